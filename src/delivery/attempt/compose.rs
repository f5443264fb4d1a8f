//! Makes the message that Graph gets from the one that came in: promise 5.
//!
//! A Received field (RFC 5321 4.4) is put at the top, with or without the client that
//! sent the message (`[received]`). Everything else goes out as the bytes that came in,
//! except for the fields that the rules below name. A field that a rule renames stays
//! visible as `X-Original-` and the field's name.
//!
//! - Date and Message-ID, if missing or malformed: the time of acceptance, and the
//!   entry's id. A Date whose year has three digits gets the full year.
//! - From, if it names no author that a mailbox can be (see [`Address::is_routable`]):
//!   replaced by the account's, with the display name that came in unless that contains
//!   another address. A From with several authors keeps only the author. With `from =
//!   "mailbox"` every From becomes the mailbox, under the display name that came in; the
//!   author moves to Reply-To if there is none, and Sender is renamed.
//! - From and Sender, if `[[sender]]` replaces the address: the new address, under the
//!   display name that came in. The author moves to Reply-To if there is none and a
//!   mailbox can have the address. A Sender that equals the author is redundant and left
//!   out.
//! - Fields that may appear once (RFC 5322 3.6, RFC 2045 3), if they appear twice: of
//!   Date, From, Message-ID, Sender, Reply-To, In-Reply-To, References, Subject,
//!   MIME-Version, Content-Type and Content-Transfer-Encoding the first usable one
//!   counts.
//! - Sender, Resent-From and Resent-Sender, if they do not clearly name a mailbox:
//!   renamed (`mime/header/acting.rs`). The listener refuses addresses that its user
//!   may not use.
//! - Fields that only Exchange's transport may write (`mime/header/reserved.rs`):
//!   renamed.
//! - Malformed names (`Contoso, Inc. <a@b.c>`) in From, Sender and Reply-To, and every
//!   field that is not ASCII: rewritten so that all programs read them alike
//!   (`mime/header/ascii/`). Renamed fields are ASCII too.
//! - Odd beginnings and ends of the header section: `mime/header/head/mod.rs`.
//! - To, Cc, Bcc and their Resent- forms: `recipients.rs`.
//!
//! `mime/header/quirks.rs` decides what is usable, and has a name for each oddity. Every
//! attempt makes the same message, so that a repetition can be recognised by its
//! Message-ID, which the spool has on record (`mime/header/caption.rs`).

use std::collections::HashSet;
use std::net::IpAddr;

use bytes::Bytes;

use super::author_fields::AuthorFields;
use super::recipients;
use super::recipients::Decision;
use super::recipients::Edit;
use super::recipients::Visible;
use crate::config::BlindRule;
use crate::config::ReceivedClient;
use crate::config::Senders;
use crate::config::Submission;
use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::Trace;
use crate::mime::Findings;
use crate::mime::Header;
use crate::mime::Outgoing;
use crate::mime::Piece;
use crate::mime::Quirk;
use crate::mime::is_message_id;
use crate::mime::outgoing_message_id;
use crate::mime::sendable;
use crate::spool::Claimed;
use crate::spool::Content;

/// The header section cannot be made to match the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::delivery) enum ComposeError {
    /// The header section no longer ends where it did when the message was accepted.
    #[error("its header section cannot be read")]
    Header,
    /// The edited header section names other recipients than the envelope.
    #[error("its header section cannot be changed to name exactly the envelope's recipients")]
    Recipients,
}

/// What the account prescribes for the messages that it sends.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Rules<'a> {
    /// The From for a message without a usable one.
    pub(in crate::delivery) from: &'a Address,
    /// The mailbox that sends.
    pub(in crate::delivery) mailbox: &'a Address,
    pub(in crate::delivery) submission: &'a Submission,
    pub(in crate::delivery) hostname: &'a str,
    /// Whether the Received field names the client.
    pub(in crate::delivery) client: ReceivedClient,
    /// How addresses in From and Sender are replaced.
    pub(in crate::delivery) senders: &'a Senders,
}

/// A message that is ready to go out.
#[derive(Debug)]
pub(in crate::delivery) struct Composed {
    pub(in crate::delivery) message: Outgoing,
    /// Its Message-ID; none if its own is too long for a line.
    pub(in crate::delivery) message_id: Option<String>,
    /// All recipients.
    pub(in crate::delivery) recipients: Vec<Address>,
    /// Recipients whom the message does not name: `blind = "property"`.
    pub(in crate::delivery) blind: Vec<Address>,
}

/// Makes the outgoing message. `head` is the beginning of the content with the whole
/// header section.
pub(in crate::delivery) fn compose(
    entry: &Claimed,
    head: &Bytes,
    rules: Rules<'_>,
) -> Result<Composed, ComposeError> {
    let size = entry.content.size();
    let whole = head.len() as u64 == size;
    let header = Header::of_message(head, whole).ok_or(ComposeError::Header)?;
    let envelope = recipients::effective(&header, &entry.envelope, rules.submission.recipients);
    let (edited, blind) = edit_header(entry, &header, &envelope, rules)?;
    let body = match &entry.content {
        Content::Inline(bytes) => Piece::Bytes(bytes.slice(header.body..)),
        Content::File { path, .. } => Piece::File {
            path: path.clone(),
            offset: header.body as u64,
            size: size.saturating_sub(header.body as u64),
        },
    };
    let message = Outgoing {
        header: edited.into(),
        body: vec![body],
    };
    let message_id = outgoing_message_id(&header, || own_message_id(entry, rules.hostname));
    Ok(Composed {
        message,
        message_id,
        recipients: envelope.into_owned().recipients,
        blind,
    })
}

/// The outgoing header section, and the recipients that it does not name.
fn edit_header(
    entry: &Claimed,
    header: &Header<'_>,
    envelope: &Envelope,
    rules: Rules<'_>,
) -> Result<(Vec<u8>, Vec<Address>), ComposeError> {
    let findings = Findings::of(header);
    for visible in [Visible::AsWritten, Visible::Nobody] {
        let mut decision = recipients::decide(header, envelope, visible);
        let unnamed = match rules.submission.blind {
            BlindRule::Header => {
                decision.added.extend(decision.bcc());
                Vec::new()
            }
            BlindRule::Property => std::mem::take(&mut decision.blind),
        };
        let edited = edit(entry, header, &findings, decision, rules);
        let keys: HashSet<String> = unnamed.iter().map(Address::key).collect();
        let recipients = envelope.recipients.iter();
        let named = recipients.filter(|recipient| !keys.contains(&recipient.key()));
        if recipients::names_exactly(&edited, named) {
            return Ok((edited, unnamed));
        }
    }
    Err(ComposeError::Recipients)
}

/// The outgoing header section, with the empty line that ends it.
fn edit(
    entry: &Claimed,
    header: &Header<'_>,
    findings: &Findings,
    decision: Decision,
    rules: Rules<'_>,
) -> Vec<u8> {
    let hostname = rules.hostname;
    let mut edited = received(entry, rules);
    if findings.has(&[Quirk::NoDate, Quirk::BadDate]) {
        edited.push_str(&format!("Date: {}\r\n", entry.accepted_at.rfc5322()));
    }
    if let Some(date) = &findings.date {
        edited.push_str(&format!("Date: {date}\r\n"));
    }
    if findings.has(&[Quirk::NoMessageId, Quirk::BadMessageId]) {
        let id = own_message_id(entry, hostname);
        edited.push_str(&format!("Message-ID: {id}\r\n"));
    }
    let from = AuthorFields::of(header, findings, rules);
    edited.push_str(&from.added);
    let mut edited = edited.into_bytes();
    edited.extend_from_slice(&decision.added);
    for (at, (field, edit)) in header.fields.iter().zip(decision.edits).enumerate() {
        let aside = findings.aside.contains(&at) || from.aside.iter().any(|name| field.is(name));
        match edit {
            Edit::Keep if aside => edited.extend(field.renamed()),
            Edit::Keep => edited.extend_from_slice(&sendable(field)),
            Edit::Replace(bytes) => edited.extend(bytes),
        }
    }
    edited.extend_from_slice(b"\r\n");
    edited
}

/// The Message-ID that the relay gives an entry: the one on record, so that a new
/// hostname does not change it.
pub(in crate::delivery) fn own_message_id(entry: &Claimed, hostname: &str) -> String {
    // A damaged page may contain other bytes.
    let recorded = entry.message_id.clone().filter(|id| is_message_id(id));
    // The parts of a split message are one message.
    recorded.unwrap_or_else(|| entry.part_of.unwrap_or(entry.id).message_id(hostname))
}

/// RFC 5321 4.4, folded. The relay's own reports came from no client.
fn received(entry: &Claimed, rules: Rules<'_>) -> String {
    let (id, hostname) = (entry.id, rules.hostname);
    let accepted = entry.accepted_at.rfc5322();
    if entry.about.is_some() {
        return format!("Received: by {hostname} (graph-relay) id {id};\r\n {accepted}\r\n");
    }
    let client = match rules.client {
        ReceivedClient::Full => client(&entry.trace),
        ReceivedClient::Hidden => HIDDEN_CLIENT.to_owned(),
    };
    format!(
        "Received: from {client}\r\n by {hostname} (graph-relay) with {} id {id};\r\n {accepted}\r\n",
        entry.trace.protocol,
    )
}

/// RFC 5321 4.4 requires a from clause in every message received by SMTP. No host has a
/// name under .invalid (RFC 2606 2).
const HIDDEN_CLIENT: &str = "client.invalid (hidden)";

/// The client's EHLO name, and its address.
fn client(trace: &Trace) -> String {
    let address = match trace.client.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    };
    // The EHLO name may be anything; characters that could end the clause are removed.
    let is_safe = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let hello = trace.hello.chars();
    let hello: String = hello.map(|c| if is_safe(c) { c } else { '?' }).collect();
    format!("{hello} ({address})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::oracle;

    fn entry(content: &[u8], recipients: &[&str]) -> Claimed {
        let recipients = recipients.iter().map(|text| text.parse().unwrap());
        oracle::entry(content, recipients.collect())
    }

    fn composed(entry: &Claimed) -> Vec<u8> {
        oracle::composed(entry).0
    }

    /// The fields after Received, with Date and Message-ID if the input has none.
    fn edited(fields: &str, recipients: &[&str]) -> String {
        let entry = entry(format!("{fields}\r\nbody\r\n").as_bytes(), recipients);
        let header = String::from_utf8(composed(&entry)).unwrap();
        let (_, behind) = header.split_once("+0000\r\n").unwrap();
        behind.strip_suffix("\r\n").unwrap().to_owned()
    }

    const DATE: &str = "Date: Sat, 21 Nov 2026 19:00:00 +0000\r\n";
    const ID: &str = "Message-ID: <01M7ZZDH4TKT6XKYKEMYK3N3EJ@relay.test>\r\n";

    #[test]
    fn the_rules_for_from_and_doubled_fields_change_what_they_name() {
        const GOOD: &str = "Date: 1 Nov 26 9:00 GMT\r\nMessage-ID: <1@app>\r\n";
        for (sent, added, kept) in [
            ("From: A <a@b.c>\r\n", "", "From: A <a@b.c>\r\n"),
            ("", "From: relay@contoso.com\r\n", ""),
            (
                "From: Zabbix HQ\r\n",
                "From: \"Zabbix HQ\" <relay@contoso.com>\r\n",
                "X-Original-From: Zabbix HQ\r\n",
            ),
            (
                "From: =?utf-8?q?B=C3=BCro?=\r\n <root@host>\r\n",
                "From: =?utf-8?q?B=C3=BCro?= <relay@contoso.com>\r\n",
                "X-Original-From: =?utf-8?q?B=C3=BCro?=\r\n <root@host>\r\n",
            ),
            (
                "From: \"unclosed <a@b.c>\r\n",
                "",
                "From: \"unclosed\" <a@b.c>\r\n",
            ),
            (
                "From:\r\n",
                "From: relay@contoso.com\r\n",
                "X-Original-From:\r\n",
            ),
            (
                "From: Contoso, Inc. <a@b.c>\r\n",
                "",
                "From: \"Contoso, Inc.\" <a@b.c>\r\n",
            ),
            (
                "From: root, a@b.c\r\n",
                "From: a@b.c\r\n",
                "X-Original-From: root, a@b.c\r\n",
            ),
            (
                "From: a@b.c\r\nfrom : d@e.f\r\n",
                "",
                "From: a@b.c\r\nX-Original-from: d@e.f\r\n",
            ),
            (
                "From: a@b.c\r\nReply-To: x@y.z\r\nSubject: \r\nReply-To: root\r\nSubject: 2\r\n",
                "",
                "From: a@b.c\r\nReply-To: x@y.z\r\nX-Original-Subject: \r\n\
                 X-Original-Reply-To: root\r\nSubject: 2\r\n",
            ),
        ] {
            let expected = format!("{added}{GOOD}To: d@e.f\r\n{kept}");
            let sent = format!("{GOOD}To: d@e.f\r\n{sent}");
            assert_eq!(edited(&sent, &["d@e.f"]), expected, "{sent}");
        }
    }

    #[test]
    fn the_rules_for_other_fields_change_what_they_name() {
        const FROM: &str = "From: a@b.c\r\n";
        for (sent, added, kept) in [
            (
                "Date: now\r\nMessage-Id: 4711\r\nTo: d@e.f\r\n",
                format!("{DATE}{ID}"),
                "X-Original-Date: now\r\nX-Original-Message-Id: 4711\r\nTo: d@e.f\r\n",
            ),
            (
                "Date: Sat, 21 Nov 126 19:00:00 +0000\r\nTo: d@e.f\r\n",
                format!("{DATE}{ID}"),
                "X-Original-Date: Sat, 21 Nov 126 19:00:00 +0000\r\nTo: d@e.f\r\n",
            ),
            (
                "To:\r\nCc: \r\n",
                format!("{DATE}{ID}Bcc: d@e.f\r\n"),
                "To: undisclosed-recipients:;\r\nX-Original-To:\r\nX-Original-Cc: \r\n",
            ),
            (
                "Cc: eve@e.f\r\n",
                format!("{DATE}{ID}To: undisclosed-recipients:;\r\nBcc: d@e.f\r\n"),
                "X-Original-Cc: eve@e.f\r\n",
            ),
            (
                "To: \"d\"@e.f\r\n",
                format!("{DATE}{ID}Bcc: d@e.f\r\n"),
                "To: undisclosed-recipients:;\r\nX-Original-To: \"d\"@e.f\r\n",
            ),
            (
                "To: All\r\n",
                format!("{DATE}{ID}Bcc: d@e.f\r\n"),
                "To: undisclosed-recipients:;\r\nX-Original-To: All\r\n",
            ),
            (
                "To: \u{fc} <d@e.f>, eve@e.f\r\n",
                format!("{DATE}{ID}"),
                "To: =?utf-8?b?w7w=?= <d@e.f>\r\nX-Original-To: =?utf-8?b?w7w=?= <d@e.f>, eve@e.f\r\n",
            ),
        ] {
            let expected = format!("{added}{FROM}{kept}");
            assert_eq!(edited(&format!("{FROM}{sent}"), &["d@e.f"]), expected);
        }
    }

    #[test]
    fn a_hidden_client_leaves_neither_its_name_nor_its_address_in_received() {
        let received = |client, address: &str| {
            let mut entry = entry(b"Subject: a\r\n\r\n", &["d@e.f"]);
            entry.trace = Trace {
                client: address.parse().unwrap(),
                hello: "pc-of-anna.corp.example".to_owned(),
                protocol: "ESMTPSA".to_owned(),
                user: Some("anna".to_owned()),
            };
            let rules = Rules {
                from: &entry.destination.mailbox,
                mailbox: &entry.destination.mailbox,
                submission: &Submission::default(),
                hostname: "relay.test",
                client,
                senders: &Senders::default(),
            };
            received(&entry, rules)
        };
        let with = |from: &str| {
            format!(
                "Received: from {from}\r\n by relay.test (graph-relay) with ESMTPSA id \
                 01M7ZZDH4TKT6XKYKEMYK3N3EJ;\r\n Sat, 21 Nov 2026 19:00:00 +0000\r\n"
            )
        };
        for (address, literal) in [
            ("10.1.2.3", "[10.1.2.3]"),
            ("::ffff:10.1.2.3", "[10.1.2.3]"),
            ("2001:db8::7", "[IPv6:2001:db8::7]"),
        ] {
            let full = with(&format!("pc-of-anna.corp.example ({literal})"));
            assert_eq!(received(ReceivedClient::Full, address), full);
            let hidden = with("client.invalid (hidden)");
            assert_eq!(received(ReceivedClient::Hidden, address), hidden);
        }
    }

    #[test]
    fn a_header_section_grows_eightfold_at_most() {
        for field in [
            &b"To:\r\n"[..],
            b"To:x\r\n",
            b"To:a@b\r\n",
            b"To:\xfc<a@b>\r\n",
            b"Cc:\xfc\xfc<a@b>,\xfc\xfc<a@b>,\xfc\xfc<a@b>,\xfc\xfc<a@b>\r\n",
            b"To:\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc<a@b>\r\n",
            b"From:\xfc<a@b.c>,x\r\n",
            b"To:\xfc\r\n",
            b"X:\xfc\r\n",
            b"X:\xfc a \xfc a \xfc\r\n",
            b"Content-ID:\xfc\r\n",
            b"Reply-To:\xfc,\xfc<a@b.c>,x\r\n",
            b"Disposition-Notification-To:\xfc<a@b>,\xfc<a@b>,x\r\n",
            b"Date:\r\n",
            b"X:\r\n",
        ] {
            // A stray recipient keeps the original fields visible.
            let strays = b"To:x\r\nCc:x\r\n";
            let content = [&strays[..], &field.repeat(2000), b"\r\n"].concat();
            let entry = entry(&content, &["a@b", "x@y.z"]);

            let out = composed(&entry);

            let most = oracle::largest_header(&entry.envelope, content.len());
            assert!(out.len() <= most, "{}", field.escape_ascii());
        }
    }
}
