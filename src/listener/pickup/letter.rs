//! The header section of a file: its envelope, and what of it goes out.
//!
//! As with IIS, `X-Sender` and `X-Receiver` are the envelope; without them it is From, and To, Cc
//! and Bcc. These fields and Bcc do not go out.

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::BufReader;

use super::fate::Fate;
use crate::mail::Address;
use crate::mail::ForwardPath;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::outgoing_message_id;
use crate::mime::subject;
use crate::spool::INLINE_LIMIT;
use crate::spool::LONGEST_SUBJECT;
use crate::telemetry::refusals::Caption;

/// Fields that are not part of the message.
const ENVELOPE: [&str; 4] = ["X-Sender", "X-Receiver", "Bcc", "Resent-Bcc"];

/// The sender and recipients of a file, and its header section as it is taken.
#[derive(Debug)]
pub(super) struct Letter {
    /// Empty for the null sender.
    pub(super) from: String,
    pub(super) to: Vec<ForwardPath>,
    pub(super) header: Vec<u8>,
}

/// What people know a file by, as far as its header section says.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) caption: Caption,
}

impl Known {
    /// Of a header section that may lack anything.
    fn of(header: &Header<'_>) -> Self {
        let caption = Caption {
            message_id: outgoing_message_id(header, String::new).filter(|it| !it.is_empty()),
            subject: Some(subject(header, LONGEST_SUBJECT)).filter(|it| !it.is_empty()),
        };
        let to = receivers(header).unwrap_or_default();
        Self {
            from: sender(header).unwrap_or_default(),
            to: to.iter().map(|it| written(it).to_owned()).collect(),
            caption,
        }
    }
}

impl Letter {
    /// Reads the header section to its end. What is known of the file is known also if it is
    /// refused.
    pub(super) async fn read(
        input: &mut BufReader<tokio::fs::File>,
        known: &mut Known,
    ) -> Result<Self, Fate> {
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
                return Err(Fate::bad(format!(
                    "the header section has more than {INLINE_LIMIT} bytes"
                )));
            }
        }
        let header = Header::split(&head, true).unwrap_or_default();
        *known = Known::of(&header);
        Self::of(&head, &header)
    }

    /// Of a header section with its empty line.
    fn of(head: &[u8], header: &Header<'_>) -> Result<Self, Fate> {
        let from = sender(header)?;
        let to = receivers(header)?;
        if to.is_empty() {
            return Err(Fate::bad(
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
        Fate::bad("there is no sender: neither X-Sender nor From has an address".to_owned())
    })
}

fn receivers(header: &Header<'_>) -> Result<Vec<ForwardPath>, Fate> {
    let mut receivers = header.all("X-Receiver").peekable();
    if receivers.peek().is_some() {
        return recipients(receivers);
    }
    let named = header.fields.iter();
    recipients(named.filter(|it| ["To", "Cc", "Bcc"].iter().any(|name| it.is(name))))
}

/// As a client would write it.
pub(super) fn written(path: &ForwardPath) -> &str {
    match path {
        ForwardPath::Address(address) => address.as_str(),
        ForwardPath::Name(name) => name,
    }
}

fn recipients<'h>(fields: impl Iterator<Item = &'h Field<'h>>) -> Result<Vec<ForwardPath>, Fate> {
    let mut found = Vec::new();
    for item in fields.flat_map(|field| &field.list().items) {
        let path = match &item.address {
            Some(address) => ForwardPath::Address(address.clone()),
            None => item.text.trim().parse().map_err(|error| {
                Fate::bad(format!("{:?} cannot receive mail: {error}", item.text))
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
        let header = Header::split(head.as_bytes(), true).unwrap_or_default();
        let letter = Letter::of(head.as_bytes(), &header).map_err(|fate| match fate {
            Fate::Bad { reason, .. } => reason,
            fate
            @ (Fate::Later(_) | Fate::Shortage(_) | Fate::Unreadable(_) | Fate::Unknown(_)) => {
                panic!("{fate:?}")
            }
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
