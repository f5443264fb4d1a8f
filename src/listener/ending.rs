//! When a session has to end, and what its client is told then.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::DRAIN;
use super::connection::BRIEFLY;
use crate::config::Limits;
use crate::session::LineEnd;
use crate::session::Reply;

/// When a session has to have come further, or to its end.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// When it has lasted long enough.
    end: Instant,
    /// The deadline for AUTH or MAIL; `None` once it has come.
    early: Option<Instant>,
}

impl Deadlines {
    /// For a session that begins now.
    pub(super) fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            end: now + limits.session_timeout,
            early: Some(now + limits.pre_mail_timeout),
        }
    }

    /// AUTH or MAIL has come: the session is more than a connection from now on.
    pub(super) fn mail_came(&mut self) {
        self.early = None;
    }

    /// Until when to wait for a client that may be silent for so long.
    pub(super) fn to_hear(&self, silence: Duration) -> Instant {
        (Instant::now() + silence).min(self.next())
    }

    /// Until when a client has to have read what it is told.
    pub(super) fn to_say(&self, silence: Duration) -> Instant {
        let now = Instant::now();
        (now + silence).min(self.next().max(now + BRIEFLY))
    }

    /// Whether it is over.
    pub(super) fn are_over(&self) -> bool {
        Instant::now() >= self.next()
    }

    fn next(&self) -> Instant {
        self.early.map_or(self.end, |early| early.min(self.end))
    }

    /// What is said to a client that has not come further in time: `is_under_way` if it
    /// has begun something, `misread` if it waits for an answer to something that is not a line.
    pub(super) fn out_of_time(&self, is_under_way: bool, misread: Option<LineEnd>) -> Reply {
        let now = Instant::now();
        let reply = if now >= self.end {
            Reply::session_too_long()
        } else if self.early.is_some_and(|early| now >= early) {
            Reply::no_mail_in_time()
        } else if is_under_way {
            Reply::silent_too_long()
        } else {
            Reply::idle_too_long()
        };
        match misread {
            Some(line_end) => reply.because_of(line_end),
            None => reply,
        }
    }
}

/// What is said to a client that has to leave while something is under way.
pub(super) fn farewell(stop: &CancellationToken) -> Reply {
    if stop.is_cancelled() {
        Reply::shutting_down()
    } else {
        Reply::makes_room()
    }
}

/// Within DATA: resolves when the message may not be finished any more, with
/// what is said then.
pub(super) async fn cut_off(leave: CancellationToken, stop: CancellationToken) -> Reply {
    leave.cancelled().await;
    if stop.is_cancelled() {
        tokio::time::sleep(DRAIN).await;
        Reply::shutting_down()
    } else {
        Reply::comes_too_slowly()
    }
}
