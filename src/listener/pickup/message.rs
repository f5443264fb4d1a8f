//! One file as a message: the dialog that a client on this machine would have.
//!
//! All recipients are accepted or none, so that a message never goes out to half of them while
//! its file is refused.

use std::fs::File;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::BufReader;

use super::fate::Fate;
use super::folder::Stamp;
use super::letter::Known;
use super::letter::Letter;
use super::letter::written;
use crate::listener::Shared;
use crate::listener::access::Policy;
use crate::listener::receive::intake::Intake;
use crate::listener::receive::intake::Refused;
use crate::listener::receive::reason;
use crate::listener::receive::tolerance::tolerate;
use crate::listener::receive::write;
use crate::mail::EnhancedStatus;
use crate::mail::Envelope;
use crate::mail::ForwardPath;
use crate::mail::SpoolId;
use crate::session::DataReader;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Step;
use crate::session::Verdict;
use crate::spool::Incoming;

/// A file that has been read, with all that the spool needs to accept it.
pub(super) struct Message<'a> {
    transaction: Transaction<'a>,
    incoming: Incoming,
}

/// Whom it is from and to, and what decides about it.
struct Transaction<'a> {
    policy: Policy,
    session: Session,
    envelope: Envelope,
    shared: &'a Shared,
}

/// How much of a line is read at once.
const PIECE: u64 = 64 * 1024;

impl<'a> Message<'a> {
    /// Reads a file that was complete when it had this stamp. `known` is what it says of itself,
    /// also if it is refused.
    pub(super) async fn read(
        file: File,
        stamp: Stamp,
        id: SpoolId,
        shared: &'a Shared,
        known: &mut Known,
    ) -> Result<Self, Fate> {
        is_unchanged(&file.metadata()?, stamp)?;
        let mut input = BufReader::new(tokio::fs::File::from_std(file));
        let letter = Letter::read(&mut input, known).await?;
        let policy = Policy::for_files(shared).map_err(Fate::Shortage)?;
        let mut session = policy.session();
        let envelope = dialog(&mut session, &letter, stamp.size)?;
        if let Some(barred) = envelope.recipients.iter().find(|it| policy.bars(it)) {
            return Err(Fate::bad(format!(
                "recipients_allowed of a [[listener]] for this machine does not allow mail to {barred}"
            )));
        }
        let mut incoming = shared.spool.receive(id).from_client(policy.client());
        let mut transaction = Transaction {
            policy,
            session,
            envelope,
            shared,
        };
        if let Err(refused) = transaction.intake().begin(&transaction.envelope) {
            return Err(transaction.judged(refused));
        }
        let stored = transaction.store(&letter, &mut input, &mut incoming, stamp);
        if let Err(fate) = stored.await {
            transaction.give_back();
            return Err(fate);
        }
        Ok(Self {
            transaction,
            incoming,
        })
    }

    /// Its file cannot be taken: nothing of it counts.
    pub(super) fn give_back(&self) {
        self.transaction.give_back();
    }

    /// Hands it to the spool.
    pub(super) async fn accept(self) -> Result<(), Fate> {
        let Self {
            mut transaction,
            incoming,
        } = self;
        let bounded = transaction.bounded();
        let accepted = transaction.intake().accept(incoming, bounded).await;
        let Err(refused) = accepted else {
            return Ok(());
        };
        transaction.give_back();
        let is_unknown = refused.verdict == Verdict::LocalTrouble;
        Err(match transaction.judged(refused) {
            Fate::Shortage(words) if is_unknown => Fate::Unknown(words),
            fate @ (Fate::Bad { .. }
            | Fate::Later(_)
            | Fate::Shortage(_)
            | Fate::Unreadable(_)
            | Fate::Unknown(_)) => fate,
        })
    }
}

impl Transaction<'_> {
    fn intake(&self) -> Intake<'_> {
        Intake {
            policy: &self.policy,
            session: &self.session,
            shared: self.shared,
        }
    }

    /// The envelope that is admitted, within the recipient rules of all listeners.
    fn bounded(&self) -> Envelope {
        let mut bounded = self.session.bounded(&self.envelope);
        let sender = self.envelope.reverse_path.address();
        bounded.reports.sender_is_barred |= sender.is_some_and(|it| self.policy.bars(it));
        bounded
    }

    /// Its recipients do not count: it was not accepted.
    fn give_back(&self) {
        let allowance = self.intake().allowance();
        allowance.give_recipients_back(&self.envelope);
    }

    /// Stores the content, as long as it does not change.
    async fn store(
        &mut self,
        letter: &Letter,
        input: &mut BufReader<tokio::fs::File>,
        incoming: &mut Incoming,
        stamp: Stamp,
    ) -> Result<(), Fate> {
        let limit = self.policy.rules().session.message_size;
        let mut reader = DataReader::default();
        let stored = store(letter, input, &mut reader, incoming, limit).await?;
        // An application that still writes was too slow for two looks.
        is_unchanged(&input.get_ref().metadata().await?, stamp)?;
        let listener = self.policy.listener();
        let tolerated = tolerate(reader.faults(), incoming, listener, &mut self.session);
        let stored = tolerated.map_err(Refused::from).and(stored);
        stored.map_err(|refused| self.judged(refused))
    }

    /// The fate of a message with this verdict, which is counted as for a client.
    fn judged(&mut self, refused: Refused) -> Fate {
        if let Some(why) = reason::of(&refused.verdict) {
            self.shared.metrics.refused(why);
        }
        let cause = match refused.cause.as_str() {
            "" => String::new(),
            cause => format!(" ({cause})"),
        };
        // A file with fewer recipients may still be within the limit of an hour.
        let is_shortage = matches!(
            refused.verdict,
            Verdict::StorageFull | Verdict::LocalTrouble | Verdict::TooMany
        );
        match refusal(&self.session.verdict(refused.verdict), "") {
            Fate::Bad { reason, remedy } => Fate::Bad {
                reason: reason + &cause,
                remedy,
            },
            Fate::Later(words) if is_shortage => Fate::Shortage(words + &cause),
            Fate::Later(words) => Fate::Later(words + &cause),
            fate @ (Fate::Shortage(_) | Fate::Unreadable(_) | Fate::Unknown(_)) => fate,
        }
    }
}

fn is_unchanged(file: &std::fs::Metadata, stamp: Stamp) -> Result<(), Fate> {
    match Stamp::of(file) == stamp {
        true => Ok(()),
        false => Err(Fate::Later("the file is still being written".to_owned())),
    }
}

/// Says what a client would say; returns the envelope.
fn dialog(session: &mut Session, letter: &Letter, size: u64) -> Result<Envelope, Fate> {
    let is_ascii = letter.from.is_ascii() && letter.to.iter().all(ForwardPath::is_ascii);
    let utf8 = if is_ascii { "" } else { " SMTPUTF8" };
    let mut lines = vec![
        "EHLO pickup".to_owned(),
        format!(
            "MAIL FROM:<{}> SIZE={size} BODY=8BITMIME{utf8}",
            letter.from
        ),
    ];
    lines.extend(
        letter
            .to
            .iter()
            .map(|to| format!("RCPT TO:<{}>", written(to))),
    );
    for line in lines {
        match session.line(line.as_bytes()) {
            Step::Say(reply) if !reply.is_refusal() => {}
            Step::Say(reply)
            | Step::Close(reply)
            | Step::Receive(reply, _)
            | Step::StartTls(reply) => {
                let command = line.split([' ', ':']).next().unwrap_or_default();
                return Err(refusal(&reply, &format!("{command}: ")));
            }
            Step::Verify(_) => return Err(Fate::Later("a password is asked for".to_owned())),
        }
    }
    match session.line(b"DATA") {
        Step::Receive(_, envelope) => Ok(*envelope),
        Step::Say(reply) | Step::Close(reply) | Step::StartTls(reply) => Err(refusal(&reply, "")),
        Step::Verify(_) => Err(Fate::Later("a password is asked for".to_owned())),
    }
}

fn refusal(reply: &Reply, before: &str) -> Fate {
    let words = format!("{before}{}", reply.lines.join(" "));
    let remedy = reply.remedy;
    let bad = |reason| match remedy {
        "" => Fate::bad(reason),
        remedy => Fate::Bad { reason, remedy },
    };
    match reply.code {
        500.. => bad(words),
        // A client would send to the others in another transaction; a file is one.
        _ if reply.status == Some(EnhancedStatus::TOO_MANY_RECIPIENTS) => bad(words),
        _ => Fate::Later(words),
    }
}

/// Stores header section and body; a message that is too large is discarded.
async fn store(
    letter: &Letter,
    input: &mut BufReader<tokio::fs::File>,
    reader: &mut DataReader,
    incoming: &mut Incoming,
    limit: u64,
) -> Result<Result<(), Refused>, Fate> {
    let mut content = Vec::new();
    reader.feed(&stuffed(&letter.header), &mut content);
    let mut stored = write(incoming, &content, limit).await;
    let mut line = Vec::new();
    let (mut is_start, mut is_behind_cr) = (true, false);
    loop {
        line.clear();
        content.clear();
        let read = (&mut *input)
            .take(PIECE)
            .read_until(b'\n', &mut line)
            .await?;
        if read == 0 || stored.is_err() {
            break;
        }
        let is_end = line.ends_with(b"\n");
        if is_start && line.starts_with(b".") {
            line.insert(0, b'.');
        }
        let has_cr = line.ends_with(b"\r\n") || line == b"\n" && is_behind_cr;
        if is_end && !has_cr {
            line.pop();
            line.extend_from_slice(b"\r\n");
        }
        (is_start, is_behind_cr) = (is_end, line.ends_with(b"\r"));
        reader.feed(&line, &mut content);
        stored = write(incoming, &content, limit).await;
    }
    if stored.is_ok() {
        content.clear();
        let end: &[u8] = if is_start { b".\r\n" } else { b"\r\n.\r\n" };
        reader.feed(end, &mut content);
        stored = write(incoming, &content, limit).await;
    }
    Ok(stored)
}

/// Lines with a dot more where they begin with one (RFC 5321 4.5.2).
fn stuffed(lines: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed
}
