//! One file as a message: its envelope, and the dialog that a client on this machine would have.
//!
//! As with IIS, `X-Sender` and `X-Receiver` are the envelope; without them it is From, and To, Cc
//! and Bcc. These fields and Bcc do not go out. All recipients are accepted or none, so that a
//! message never goes out to half of them while its file is refused.

use std::fs::File;
use std::io;
use std::path::Path;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::BufReader;

use super::folder::Stamp;
use crate::listener::Shared;
use crate::listener::access::Policy;
use crate::listener::receive::intake::Intake;
use crate::listener::receive::intake::Refused;
use crate::listener::receive::reason;
use crate::listener::receive::tolerance::tolerate;
use crate::listener::receive::write;
use crate::mail::Address;
use crate::mail::EnhancedStatus;
use crate::mail::Envelope;
use crate::mail::ForwardPath;
use crate::mail::SpoolId;
use crate::mime::Field;
use crate::mime::Header;
use crate::platform::files::open_itself;
use crate::session::DataReader;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Step;
use crate::session::Verdict;
use crate::spool::INLINE_LIMIT;
use crate::spool::Incoming;

/// What becomes of a file.
pub(super) enum Fate {
    /// The spool has committed it.
    Taken,
    /// It is refused for good, and why.
    Bad(String),
    /// It may be taken later, and why not now.
    Later(String),
    /// Nothing can be taken now, and why.
    Shortage(String),
    /// The spool may have committed it or not; what went wrong.
    Unknown(String),
}

impl From<io::Error> for Fate {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Self::Bad(format!("the relay's user may not read this file: {error}"));
        }
        Self::Later(error.to_string())
    }
}

/// The sender and recipients of a file, and its header section as it is taken.
#[derive(Debug, PartialEq, Eq)]
struct Letter {
    /// Empty for the null sender.
    from: String,
    to: Vec<ForwardPath>,
    header: Vec<u8>,
}

/// How much of a line is read at once.
const PIECE: u64 = 64 * 1024;
/// Fields that are not part of the message.
const ENVELOPE: [&str; 4] = ["X-Sender", "X-Receiver", "Bcc", "Resent-Bcc"];

/// Takes a file that was complete when it had this stamp.
pub(super) async fn take(path: &Path, stamp: Stamp, id: SpoolId, shared: &Shared) -> Fate {
    let taken = taken(path, stamp, id, shared).await;
    taken.map_or_else(|fate| fate, |()| Fate::Taken)
}

async fn taken(path: &Path, stamp: Stamp, id: SpoolId, shared: &Shared) -> Result<(), Fate> {
    let file = open(path, stamp)?;
    let mut input = BufReader::new(tokio::fs::File::from_std(file));
    let letter = Letter::read(&mut input).await?;
    let policy = Policy::for_files(shared).map_err(Fate::Shortage)?;
    let mut session = policy.session();
    let envelope = dialog(&mut session, &letter, stamp.size)?;
    if let Some(barred) = envelope.recipients.iter().find(|it| policy.bars(it)) {
        return Err(Fate::Bad(format!(
            "recipients_allowed of a [[listener]] for this machine does not allow mail to {barred}"
        )));
    }
    if let Err(refused) = intake(&policy, &session, shared).begin(&envelope) {
        return Err(judged(&mut session, refused, shared));
    }
    let mut incoming = shared.spool.receive(id).from_client(policy.client());
    let limit = policy.rules().session.message_size;
    let mut reader = DataReader::default();
    let stored = store(&letter, &mut input, &mut reader, &mut incoming, limit).await?;
    // An application that still writes was too slow for two looks.
    if Stamp::of(&input.get_ref().metadata().await?) != stamp {
        return Err(Fate::Later("the file is still being written".to_owned()));
    }
    let listener = policy.listener();
    let tolerated = tolerate(reader.faults(), &incoming, listener, &mut session);
    let mut is_handed = false;
    let outcome = match tolerated.map_err(Refused::from).and(stored) {
        Ok(()) => {
            let mut bounded = session.bounded(&envelope);
            let sender = envelope.reverse_path.address();
            bounded.reports.sender_is_barred |= sender.is_some_and(|it| policy.bars(it));
            is_handed = true;
            intake(&policy, &session, shared)
                .accept(incoming, bounded)
                .await
        }
        Err(refused) => Err(refused),
    };
    outcome.map(drop).map_err(|refused| {
        let is_unknown = is_handed && refused.verdict == Verdict::LocalTrouble;
        match judged(&mut session, refused, shared) {
            Fate::Shortage(words) if is_unknown => Fate::Unknown(words),
            fate @ (Fate::Taken
            | Fate::Bad(_)
            | Fate::Later(_)
            | Fate::Shortage(_)
            | Fate::Unknown(_)) => fate,
        }
    })
}

fn intake<'a>(policy: &'a Policy, session: &'a Session, shared: &'a Shared) -> Intake<'a> {
    Intake {
        policy,
        session,
        shared,
    }
}

/// Opens a file without following a link or waiting for a pipe.
fn open(path: &Path, stamp: Stamp) -> Result<File, Fate> {
    let file = open_itself(path)?;
    match Stamp::of(&file.metadata()?) == stamp {
        true => Ok(file),
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

fn written(path: &ForwardPath) -> &str {
    match path {
        ForwardPath::Address(address) => address.as_str(),
        ForwardPath::Name(name) => name,
    }
}

/// The fate of a message with this verdict, which is counted as for a client.
fn judged(session: &mut Session, refused: Refused, shared: &Shared) -> Fate {
    if let Some(why) = reason::of(&refused.verdict) {
        shared.metrics.refused(why);
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
    match refusal(&session.verdict(refused.verdict), "") {
        Fate::Bad(words) => Fate::Bad(words + &cause),
        Fate::Later(words) if is_shortage => Fate::Shortage(words + &cause),
        Fate::Later(words) => Fate::Later(words + &cause),
        fate @ (Fate::Taken | Fate::Shortage(_) | Fate::Unknown(_)) => fate,
    }
}

fn refusal(reply: &Reply, before: &str) -> Fate {
    let words = format!("{before}{}", reply.lines.join(" "));
    match reply.code {
        500.. => Fate::Bad(words),
        // A client would send to the others in another transaction; a file is one.
        _ if reply.status == Some(EnhancedStatus::TOO_MANY_RECIPIENTS) => Fate::Bad(words),
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
    let mut is_start = true;
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
        if is_end && !line.ends_with(b"\r\n") {
            line.pop();
            line.extend_from_slice(b"\r\n");
        }
        is_start = is_end;
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

impl Letter {
    async fn read(input: &mut BufReader<tokio::fs::File>) -> Result<Self, Fate> {
        let mut head = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = (&mut *input)
                .take(INLINE_LIMIT as u64 + 1)
                .read_until(b'\n', &mut line)
                .await?;
            let is_end = read == 0 || line == b"\n" || line == b"\r\n";
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            head.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
            head.extend_from_slice(b"\r\n");
            if is_end {
                break;
            }
            if head.len() > INLINE_LIMIT {
                return Err(Fate::Bad(format!(
                    "the header section has more than {INLINE_LIMIT} bytes"
                )));
            }
        }
        Self::of(&head)
    }

    /// Of a header section with its empty line.
    fn of(head: &[u8]) -> Result<Self, Fate> {
        let header = Header::split(head, true).unwrap_or_default();
        let from = sender(&header)?;
        let mut receivers = header.all("X-Receiver").peekable();
        let to = match receivers.peek() {
            Some(_) => recipients(receivers)?,
            None => {
                let named = header.fields.iter();
                recipients(named.filter(|it| ["To", "Cc", "Bcc"].iter().any(|name| it.is(name))))?
            }
        };
        if to.is_empty() {
            return Err(Fate::Bad(
                "there are no recipients: neither X-Receiver nor To, Cc and Bcc name anybody"
                    .to_owned(),
            ));
        }
        let mut kept = Vec::with_capacity(head.len());
        let is_envelope = |field: &Field<'_>| ENVELOPE.iter().any(|name| field.is(name));
        for field in header.fields.iter().filter(|it| !is_envelope(it)) {
            kept.extend_from_slice(&field.raw);
        }
        kept.extend_from_slice(b"\r\n");
        // What follows a line that is no field belongs to the text.
        kept.extend_from_slice(head.get(header.body..).unwrap_or_default());
        Ok(Self {
            from,
            to,
            header: kept,
        })
    }
}

fn sender(header: &Header<'_>) -> Result<String, Fate> {
    let given = header.all("X-Sender").next();
    if given.is_some_and(|it| ["<>", ""].contains(&it.text().trim())) {
        return Ok(String::new());
    }
    let field = given.or_else(|| header.all("From").next());
    let items = field
        .map(|it| it.list().items.as_slice())
        .unwrap_or_default();
    let address = items.iter().find_map(|item| item.address.as_ref());
    let address = address.map(|it: &Address| it.as_str().to_owned());
    address.ok_or_else(|| {
        Fate::Bad("there is no sender: neither X-Sender nor From has an address".to_owned())
    })
}

fn recipients<'h>(fields: impl Iterator<Item = &'h Field<'h>>) -> Result<Vec<ForwardPath>, Fate> {
    let mut found = Vec::new();
    for item in fields.flat_map(|field| &field.list().items) {
        let path = match &item.address {
            Some(address) => ForwardPath::Address(address.clone()),
            None => item.text.trim().parse().map_err(|error| {
                Fate::Bad(format!("{:?} cannot receive mail: {error}", item.text))
            })?,
        };
        found.push(path);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(head: &str) -> Result<(String, Vec<String>, String), String> {
        let letter = Letter::of(head.as_bytes()).map_err(|fate| match fate {
            Fate::Bad(words)
            | Fate::Later(words)
            | Fate::Shortage(words)
            | Fate::Unknown(words) => words,
            Fate::Taken => String::new(),
        })?;
        let to = letter.to.iter().map(|it| written(it).to_owned()).collect();
        Ok((letter.from, to, String::from_utf8(letter.header).unwrap()))
    }

    #[test]
    fn the_envelope_of_iis_comes_before_the_fields_that_people_see() {
        let (from, to, header) = letter(
            "X-Sender: app@contoso.com\r\nX-Receiver: a@example.org\r\nx-receiver: <b@example.org>\r\n\
             From: Shop <shop@contoso.com>\r\nTo: everybody@example.org\r\nBcc: c@example.org\r\nSubject: x\r\n\r\n",
        )
        .unwrap();
        assert_eq!(from, "app@contoso.com");
        assert_eq!(to, ["a@example.org", "b@example.org"]);
        assert_eq!(
            header,
            "From: Shop <shop@contoso.com>\r\nTo: everybody@example.org\r\nSubject: x\r\n\r\n"
        );
    }

    #[test]
    fn without_them_from_to_cc_and_bcc_are_the_envelope() {
        let (from, to, header) = letter(
            "From: Shop <shop@contoso.com>\r\nTo: A <a@example.org>, root\r\nCc: b@example.org\r\nBcc: c@example.org\r\n\r\n",
        )
        .unwrap();
        assert_eq!(from, "shop@contoso.com");
        assert_eq!(
            to,
            ["a@example.org", "root", "b@example.org", "c@example.org"]
        );
        assert!(!header.contains("Bcc"), "{header}");
        assert_eq!(
            letter("X-Sender: <>\r\nTo: a@example.org\r\n\r\n")
                .unwrap()
                .0,
            ""
        );
    }

    #[test]
    fn a_file_without_sender_or_recipients_is_refused_with_the_reason() {
        for (head, words) in [
            ("To: a@example.org\r\n\r\n", "there is no sender"),
            ("From: a@example.org\r\n\r\n", "there are no recipients"),
            ("\r\n", "there is no sender"),
        ] {
            let error = letter(head).unwrap_err();
            assert!(error.contains(words), "{head:?}: {error}");
        }
    }
}
