//! A message on its way in: the content behind DATA, read to its end and stored as it
//! comes. Whether it may come, and what becomes of it then: `intake.rs`.

mod fit;
pub(super) mod intake;
pub(super) mod reason;
pub(super) mod tolerance;

use self::intake::Intake;
use self::intake::Refused;
use self::intake::Taken;
use super::Shared;
use super::access::Policy;
use super::connection::Connection;
use super::connection::End;
use super::connection::Read;
use super::ending::Deadlines;
use super::ending::cut_off;
use super::ending::farewell;
use super::slots::stage::Event;
use crate::mail::Envelope;
use crate::session::DataReader;
use crate::session::Fed;
use crate::session::Session;
use crate::session::Verdict;
use crate::spool::Incoming;

/// A received message and its verdict.
pub(super) struct Received {
    pub(super) outcome: Result<Taken, Refused>,
    /// Bytes of content; `None` if not all of it was stored.
    pub(super) size: Option<u64>,
}

/// What a message comes in by: its client's connection, and what decides about it.
pub(super) struct Reception<'r, 'c> {
    pub(super) connection: &'r mut Connection<'c>,
    pub(super) policy: &'r mut Policy,
    pub(super) session: &'r mut Session,
    pub(super) deadlines: &'r Deadlines,
    pub(super) shared: &'r Shared,
}

impl Reception<'_, '_> {
    /// Reads the content of a message to its end, and stores it.
    pub(super) async fn receive(mut self, envelope: &Envelope) -> Result<Received, End> {
        let spool = &self.shared.spool;
        let client = self.policy.client();
        let mut incoming = spool.receive(spool.new_id()).from_client(client);
        let line_end = self.connection.input.line_end();
        let mut reader = tolerance::reader(line_end, self.policy.listener());
        let stored = self.store(&mut incoming, &mut reader).await?;
        if !self.connection.slot.mark(Event::Whole) {
            let reply = farewell(&self.shared.stop);
            return Err(self.connection.say_last(&reply).await);
        }
        // A client that may no longer send does not finish what it began.
        if let Some(reply) = self.policy.renew(self.session, self.shared) {
            return Err(self.connection.say_last(&reply).await);
        }
        let listener = self.policy.listener();
        let tolerated = tolerance::tolerate(reader.faults(), &incoming, listener, self.session);
        let size = stored.is_ok().then(|| incoming.size());
        let what = match size {
            Some(size) => format!("a message of {size} bytes"),
            None => format!("a message, of which {} bytes were read", incoming.size()),
        };
        self.connection.recording.happened(&what);
        let outcome = match tolerated.map_err(Refused::from).and(stored) {
            Ok(()) => self.accept(incoming, envelope).await,
            Err(refused) => Err(refused),
        };
        Ok(Received { outcome, size })
    }

    /// Stores content as it comes. What is refused is read to its end all the same.
    async fn store(
        &mut self,
        incoming: &mut Incoming,
        reader: &mut DataReader,
    ) -> Result<Result<(), Refused>, End> {
        let rules = self.policy.rules();
        let (limit, silence) = (rules.session.message_size, rules.limits.data_timeout);
        let mut piece = Vec::new();
        let mut stored = Ok(());
        let leave = self.connection.slot.leave().clone();
        let cut_off = cut_off(leave, self.shared.stop.clone());
        tokio::pin!(cut_off);
        loop {
            piece.clear();
            let fed = self.connection.input.feed(reader, &mut piece);
            if stored.is_ok() {
                stored = write(incoming, &piece, limit).await;
            }
            if matches!(fed, Fed::End(_)) {
                return Ok(stored);
            }
            let until = self.deadlines.to_hear(silence);
            tokio::select! {
                read = self.connection.read(until) => if read? == Read::TimedOut {
                    return Err(self.out_of_time().await);
                },
                () = incoming.taken_back() => {
                    let cause = incoming.why_taken_back();
                    stored = Err(Refused::because(Verdict::StorageFull, cause));
                    incoming.discard();
                }
                reply = &mut cut_off => return Err(self.connection.say_last(&reply).await),
            }
        }
    }

    async fn accept(&self, incoming: Incoming, envelope: &Envelope) -> Result<Taken, Refused> {
        self.still_allowed(envelope)?;
        let intake = Intake {
            policy: self.policy,
            session: self.session,
            shared: self.shared,
        };
        intake
            .accept(incoming, self.session.bounded(envelope))
            .await
    }

    /// Whether the message may go to its recipients by rules that are newer than its RCPT.
    fn still_allowed(&self, envelope: &Envelope) -> Result<(), Verdict> {
        let mut recipients = envelope.recipients.iter();
        match recipients.find(|it| !self.session.may_send_to(it)) {
            Some(refused) => Err(Verdict::NotThisRecipient(refused.clone())),
            None => Ok(()),
        }
    }

    async fn out_of_time(&mut self) -> End {
        let (is_under_way, misread) =
            (self.session.is_under_way(), self.connection.input.misread());
        let reply = self.deadlines.out_of_time(is_under_way, misread);
        self.connection.say_last(&reply).await
    }
}

/// Stores a piece of content, unless the message is too large. Nothing is left of a
/// refused message.
pub(super) async fn write(
    incoming: &mut Incoming,
    piece: &[u8],
    limit: u64,
) -> Result<(), Refused> {
    if incoming.size() + piece.len() as u64 > limit {
        incoming.discard();
        return Err(Verdict::TooBig.into());
    }
    Ok(incoming.write(piece).await?)
}
