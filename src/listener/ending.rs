//! When a session has to end, and why.

use tokio::time::Instant;

use super::DRAIN;
use super::connection::Connection;
use super::slots::stage::Event;
use crate::session::LineEnd;
use crate::session::Reply;

impl Connection<'_> {
    /// Why the session must end before its next command, if it must.
    pub(super) fn must_end(&mut self) -> Option<Reply> {
        if let Some(reply) = self.renew() {
            return Some(reply);
        }
        if self.slot.leave().is_cancelled() {
            return Some(self.farewell());
        }
        (Instant::now() >= self.deadline()).then(|| self.out_of_time())
    }

    /// When the session has to have come further, or to its end.
    pub(super) fn deadline(&self) -> Instant {
        self.early.map_or(self.end, |early| early.min(self.end))
    }

    pub(super) fn out_of_time(&self) -> Reply {
        let now = Instant::now();
        let reply = if now >= self.end {
            Reply::session_too_long()
        } else if self.early.is_some_and(|early| now >= early) {
            Reply::no_mail_in_time()
        } else if self.session.is_under_way() {
            Reply::silent_too_long()
        } else {
            Reply::idle_too_long()
        };
        match self.misread() {
            Some(line_end) => reply.because_of(line_end),
            None => reply,
        }
    }

    /// What the client has ended a line with, or its message, where that is not the
    /// end: it waits for an answer that does not come.
    pub(super) fn misread(&self) -> Option<LineEnd> {
        let has = |byte| self.input.contains(&byte);
        let unended = has(b'\r') && !has(b'\n');
        self.odd_end.or_else(|| unended.then_some(LineEnd::Cr))
    }

    /// What is said to a client that has to leave while something is under way.
    pub(super) fn farewell(&self) -> Reply {
        if self.shared.stop.is_cancelled() {
            Reply::shutting_down()
        } else {
            Reply::makes_room()
        }
    }

    /// The same while the relay waits for a command.
    pub(super) fn idle_farewell(&self) -> Reply {
        let stops = self.shared.stop.is_cancelled();
        if stops || self.session.is_in_transaction() || !self.input.is_empty() {
            self.farewell()
        } else {
            Reply::idle_makes_room()
        }
    }

    /// The session is more than a connection from now on.
    pub(super) fn reached(&mut self, event: Event) {
        self.early = None;
        self.slot.mark(event);
    }

    /// Within DATA: resolves when the message may not be finished any more, with
    /// what is said then.
    pub(super) fn cut_off(&self) -> impl Future<Output = Reply> + use<> {
        let (leave, stop) = (self.slot.leave().clone(), self.shared.stop.clone());
        async move {
            leave.cancelled().await;
            if stop.is_cancelled() {
                tokio::time::sleep(DRAIN).await;
                Reply::shutting_down()
            } else {
                Reply::comes_too_slowly()
            }
        }
    }
}
