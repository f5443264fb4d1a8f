//! A message on its way in: from DATA to its verdict. Reads and stores it; whether it
//! is taken, `admission` decides.

use std::path::PathBuf;

use bytes::Buf;

use super::connection::Connection;
use super::connection::End;
use super::fit::can_fit;
use super::slots::stage::Event;
use crate::admission;
use crate::admission::Admitted;
use crate::admission::Handed;
use crate::admission::admit;
use crate::mail::Address;
use crate::mail::Client;
use crate::mail::Envelope;
use crate::mail::Lane;
use crate::mail::SpoolId;
use crate::mail::Trace;
use crate::mime::Findings;
use crate::mime::Header;
use crate::mime::outgoing_message_id;
use crate::mime::subject;
use crate::session::Fed;
use crate::session::Verdict;
use crate::spool::AcceptError;
use crate::spool::INLINE_LIMIT;
use crate::spool::Incoming;
use crate::spool::LONGEST_SUBJECT;
use crate::spool::NewEntry;
use crate::telemetry::complaints;
use crate::telemetry::maillog;

/// A message that has come in, and what became of it.
pub(super) struct Received {
    pub(super) verdict: Verdict,
    /// Bytes of content.
    pub(super) size: u64,
    /// Why it was not accepted, as far as the client need not know.
    pub(super) cause: String,
}

impl Connection<'_> {
    /// Whether a message may come now; if not, with what the log says.
    pub(super) fn has_room(&self) -> Result<(), (Verdict, String)> {
        let room = self.shared.spool.check_room(self.session.declared_size());
        room.map_err(|error| (refusal(&error), error.to_string()))?;
        match self.rules.limits.messages_per_minute_per_client {
            Some(limit) if !self.shared.clients.may_send(Client::at(self.client), limit) => {
                let cause = format!("more than {limit} messages in a minute");
                Err((Verdict::TooMany, cause))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the content of a message, to its end, and stores it.
    pub(super) async fn receive(&mut self, envelope: &Envelope) -> Result<Received, End> {
        let spool = &self.shared.spool;
        let mut incoming = spool.receive(spool.new_id()).from_client(self.client);
        let limit = self.rules.session.message_size;
        let mut reader = self.data_reader();
        let mut piece = Vec::new();
        let mut trouble: Option<(Verdict, String)> = None;
        let cut_off = self.cut_off();
        tokio::pin!(cut_off);
        loop {
            piece.clear();
            let fed = reader.feed(&self.input, &mut piece);
            self.odd_end = reader.odd_end();
            match fed {
                Fed::More => self.input.clear(),
                Fed::End(used) => self.input.advance(used),
            }
            if trouble.is_none() {
                trouble = store(&mut incoming, &piece, limit).await;
            }
            if matches!(fed, Fed::End(_)) {
                self.odd_end = None;
                break;
            }
            tokio::select! {
                read = self.read(self.rules.limits.data_timeout) => read?,
                () = incoming.taken_back() => {
                    trouble = Some((Verdict::StorageFull, incoming.why_taken_back()));
                    incoming.discard();
                }
                reply = &mut cut_off => self.say_last(&reply).await?,
            }
        }
        if !self.slot.mark(Event::Whole) {
            self.say_last(&self.farewell()).await?;
        }
        // Whoever may not send any more does not finish what was begun before.
        if let Some(reply) = self.renew() {
            self.say_last(&reply).await?;
        }
        if let Some(verdict) = self.tolerate(reader.faults(), &incoming) {
            trouble = Some((verdict, String::new()));
        }
        let size = incoming.size();
        self.recording
            .happened(&format!("a message of {size} bytes"));
        let (verdict, cause) = match trouble {
            Some(refused) => refused,
            None => match self.forbidden(envelope) {
                Some(refused) => (refused, String::new()),
                None => self.accept(incoming, self.session.bounded(envelope)).await,
            },
        };
        Ok(Received {
            verdict,
            size,
            cause,
        })
    }

    /// Stores a message that has come in whole. The text says why not, for the
    /// log.
    async fn accept(&self, mut incoming: Incoming, envelope: Envelope) -> (Verdict, String) {
        let refused = |verdict| (verdict, String::new());
        let file = match incoming.file().await {
            Ok(file) => file,
            Err(error) => return (refusal(&error), error.to_string()),
        };
        let head = incoming.head();
        let whole = head.len() as u64 == incoming.size();
        let Some(header) = Header::of_message(head, whole) else {
            return refused(Verdict::HeaderTooBig(INLINE_LIMIT));
        };
        let findings = Findings::of(&header);
        for quirk in &findings.quirks {
            complaints::protocol_deviation(self.client, quirk.name());
        }
        let handed = Handed {
            identity: self.session.identity(),
            envelope: &envelope,
        };
        let Admitted {
            author,
            lane,
            bound,
            largest_part,
        } = match admit(&header, &findings, handed, self.admission()) {
            Ok(admitted) => admitted,
            Err(verdict) => return refused(verdict),
        };
        let (id, size) = (incoming.id(), incoming.size());
        if let Err(refused) = self.fits(&header, file, size, &lane).await {
            return refused;
        }
        let trace = self.trace(&envelope);
        let entry = NewEntry {
            message_id: self.message_id(id, &header),
            subject: subject(&header, LONGEST_SUBJECT),
            content: incoming,
            trace: trace.clone(),
            envelope: envelope.clone(),
            author: author.clone(),
            lane: lane.clone(),
            bound,
            largest_part,
        };
        match self.shared.spool.accept(entry).await {
            Ok(accepted) => {
                maillog::accepted(id, &trace, &envelope, size, &lane);
                maillog::recipients_replaced(id, &envelope);
                self.log_sender(id, author.as_ref());
                self.use_mailbox(&lane, &envelope);
                maillog::split(&accepted);
                (Verdict::Queued(id), String::new())
            }
            Err(error) => (refusal(&error), error.to_string()),
        }
    }

    /// The Message-ID that a message goes out with.
    fn message_id(&self, id: SpoolId, header: &Header<'_>) -> Option<String> {
        let hostname = &self.rules.session.hostname;
        outgoing_message_id(header, || id.message_id(hostname))
    }

    /// Whether a message can be sent that is larger than one request; if not, with
    /// what the log says.
    async fn fits(
        &self,
        header: &Header<'_>,
        file: Option<PathBuf>,
        size: u64,
        lane: &Lane,
    ) -> Result<(), (Verdict, String)> {
        let Some((file, account)) = file.zip(self.admission().account(lane)) else {
            return Ok(());
        };
        match can_fit(header, file, size, &account.submission).await {
            Ok(true) => Ok(()),
            Ok(false) => Err((
                Verdict::CannotBeSplit(account.submission.largest_mime()),
                String::new(),
            )),
            Err(error) => Err((Verdict::LocalTrouble, error.to_string())),
        }
    }

    /// Says so where `[[sender]]` has an entry for the author.
    fn log_sender(&self, id: SpoolId, author: Option<&Address>) {
        let senders = &self.rules.senders;
        if let Some(author) = author
            && let Some(rule) = senders.rule(author)
        {
            let from = senders.replaced(author);
            maillog::sender_replaced(id, author, from.as_ref(), rule.mailbox.as_ref());
        }
    }

    /// Whom the message may not go to by rules that are newer than its RCPT.
    fn forbidden(&self, envelope: &Envelope) -> Option<Verdict> {
        let mut recipients = envelope.recipients.iter();
        let refused = recipients.find(|it| !self.session.may_send_to(it))?;
        Some(Verdict::NotThisRecipient(refused.clone()))
    }

    fn admission(&self) -> admission::Rules<'_> {
        admission::Rules {
            accounts: &self.rules.accounts,
            senders: &self.rules.senders,
            users: &self.rules.users,
            hostname: &self.rules.session.hostname,
            received_headers: self.rules.limits.received_headers,
        }
    }

    /// For the Received field: RFC 5321 4.4, and the registry of "mail
    /// transmission types" (RFC 3848, RFC 6531 4.3).
    fn trace(&self, envelope: &Envelope) -> Trace {
        let hello = self.session.hello();
        let base = match hello {
            _ if envelope.utf8 => "UTF8SMTP",
            Some(hello) if hello.extended => "ESMTP",
            _ => "SMTP",
        };
        let extended = envelope.utf8 || hello.is_some_and(|hello| hello.extended);
        let tls = if extended && self.session.has_tls() {
            "S"
        } else {
            ""
        };
        let authenticated = if extended && self.session.identity().is_some() {
            "A"
        } else {
            ""
        };
        Trace {
            client: self.client,
            hello: hello.map_or_else(String::new, |hello| hello.name.clone()),
            protocol: format!("{base}{tls}{authenticated}"),
            user: self.user(),
        }
    }

    fn user(&self) -> Option<String> {
        let identity = self.session.identity();
        identity.map(|identity| identity.name.clone())
    }
}

/// Stores a piece of content, unless it is too much. Nothing is left of a message
/// that is refused.
async fn store(incoming: &mut Incoming, piece: &[u8], limit: u64) -> Option<(Verdict, String)> {
    if incoming.size() + piece.len() as u64 > limit {
        incoming.discard();
        return Some((Verdict::TooBig, String::new()));
    }
    let written = incoming.write(piece).await;
    written
        .err()
        .map(|error| (refusal(&error), error.to_string()))
}

fn refusal(error: &AcceptError) -> Verdict {
    match error {
        AcceptError::Full(_) => Verdict::StorageFull,
        AcceptError::NeverFits { .. } => Verdict::NeverFits,
        AcceptError::Failed(_) => Verdict::LocalTrouble,
    }
}
