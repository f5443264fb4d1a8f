//! Writes a delivery status notification (RFC 3464): the text for people, the
//! delivery-status for programs, and the header section of the original, or all of it if
//! the client asked for that (RFC 3461 4.3).
//!
//! All of it is ASCII, except for addresses that are not and a message that is returned
//! whole. Nothing in it can become a field or a line of its own: text of others is put on
//! one line and encoded. Its size is bounded, whatever the size of the original. The
//! parts are in `text.rs`, `status.rs` and `original.rs`. `report/mod.rs` decides whether
//! there is a report and who gets it.

mod original;
mod status;
mod text;

use self::original::Cut;
pub(in crate::delivery) use self::original::Return;
use self::original::boundary;
use self::original::original;
use self::original::returned;
use self::original::whole_encoding;
use self::status::recipients;
use self::text::text;
use crate::clock::Timestamp;
use crate::delivery::attempt::compose::own_message_id;
use crate::delivery::outcome::Outcome;
use crate::delivery::outcome::explain::Explanation;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::mime::Header;
use crate::mime::outgoing_message_id;
use crate::mime::seven_bit;
use crate::mime::subject;
use crate::mime::unstructured;
use crate::spool::Claimed;
use crate::spool::DsnKind;

/// The contents of a report.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Facts<'a> {
    /// The id of the report.
    pub(in crate::delivery) id: SpoolId,
    pub(in crate::delivery) kind: DsnKind,
    /// The message that it is about.
    pub(in crate::delivery) entry: &'a Claimed,
    pub(in crate::delivery) outcome: &'a Outcome,
    pub(in crate::delivery) explanation: &'a Explanation,
    /// The original's header section, if it can be read.
    pub(in crate::delivery) header: Option<&'a Header<'a>>,
    /// How much of it is returned.
    pub(in crate::delivery) returned: Return<'a>,
    /// The recipients that the report is about.
    pub(in crate::delivery) recipients: &'a [Address],
    /// The number of other recipients of the original, who are not named.
    pub(in crate::delivery) others: usize,
    pub(in crate::delivery) hostname: &'a str,
    /// The report's From.
    pub(in crate::delivery) author: &'a Address,
    /// The report's To.
    pub(in crate::delivery) recipient: &'a Address,
    pub(in crate::delivery) now: Timestamp,
    /// Until when a failed message is kept, or a late one is tried.
    pub(in crate::delivery) until: Option<Timestamp>,
}

/// The most characters of a subject or an answer: enough to recognise it.
const LONGEST_TEXT: usize = 200;

/// Writes the message.
pub(in crate::delivery) fn compose(facts: &Facts<'_>) -> Vec<u8> {
    let boundary = boundary(facts);
    let original = facts.header.map(original);
    let (recipients, left_out) = recipients(facts);
    let notes = notes(facts, original.as_ref().map(|(_, cut)| *cut), left_out);
    let mut message = header(facts, &boundary);
    let (encoding, text) = seven_bit(text(facts, &notes).as_bytes());
    message.push_str(&format!(
        "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n{text}\r\n\
         --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
         {}Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n\r\n{recipients}",
        envelope_id(facts),
        facts.hostname,
        facts.entry.accepted_at.rfc5322(),
    ));
    let mut message = message.into_bytes();
    if let Some((kind, encoding, original)) = returned(facts, original) {
        let part = format!(
            "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        );
        message.extend_from_slice(part.as_bytes());
        message.extend_from_slice(&original);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    message
}

/// The client's own name for the message (RFC 3464 2.2.1, RFC 3461 6.3).
fn envelope_id(facts: &Facts<'_>) -> String {
    let id = facts.entry.envelope.reports.envelope_id.as_ref();
    id.map_or_else(String::new, |id| {
        format!("Original-Envelope-Id: {}\r\n", id.as_str())
    })
}

/// A note about what the report does not show.
fn notes(facts: &Facts<'_>, header: Option<Cut>, left_out: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(format!(
            "{left_out} more recipients are left out of this report."
        ));
    }
    if facts.others > 0 {
        notes.push(others(facts.others));
    }
    match (facts.returned, header) {
        (Return::Whole(_), _) => {}
        (Return::HeaderOnly, Some(Cut::Whole)) => notes.push(
            "The message is too large to be returned whole: its header section follows.".to_owned(),
        ),
        (_, None) => notes.push("The header of the message cannot be read.".to_owned()),
        (_, Some(Cut::Short)) => notes.push(
            "Only the beginning of its header section \
            follows."
                .to_owned(),
        ),
        (Return::Header, Some(Cut::Whole)) => {}
    }
    notes
}

/// A note about the recipients that a report does not name.
fn others(count: usize) -> String {
    match count {
        1 => "The message has 1 more recipient, for whom no such report was requested.".to_owned(),
        _ => format!(
            "The message has {count} more recipients, for whom no such report was requested."
        ),
    }
}

/// The header section of the report, without the empty line.
fn header(facts: &Facts<'_>, boundary: &str) -> String {
    let beginning = beginning(facts.kind);
    let mut header = format!(
        "Date: {}\r\nFrom: \"Mail delivery (graph-relay)\" <{}>\r\nTo: {}\r\n",
        facts.now.rfc5322(),
        facts.author,
        facts.recipient
    );
    header.push_str(&unstructured("Subject", beginning, &about(facts)));
    let id = facts.id.message_id(facts.hostname);
    header.push_str(&format!("Message-ID: {id}\r\n"));
    if let Some(original) = went_out_as(facts) {
        header.push_str(&format!(
            "In-Reply-To: {original}\r\nReferences: {original}\r\n"
        ));
    }
    // Graph sends nothing with a null reverse-path, so Exchange must be asked not to
    // answer automatically (RFC 3834 5 covers all others).
    header.push_str(&format!(
        "Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n"
    ));
    if let Return::Whole(content) = facts.returned {
        // RFC 2045 6.4: the widest encoding of the parts.
        let encoding = whole_encoding(content);
        header.push_str(&format!("Content-Transfer-Encoding: {encoding}\r\n"));
    }
    header
}

fn beginning(kind: DsnKind) -> &'static str {
    match kind {
        DsnKind::Failure => "Not delivered: ",
        DsnKind::Delay => "Delayed: ",
        DsnKind::Relayed => "Relayed: ",
    }
}

/// The Subject of the report, as a person reads it.
pub(in crate::delivery) fn title(facts: &Facts<'_>) -> String {
    format!("{}{}", beginning(facts.kind), about(facts))
}

/// What the report is about.
fn about(facts: &Facts<'_>) -> String {
    let subject = facts.header.map(|header| subject(header, LONGEST_TEXT));
    let subject = subject.filter(|subject| !subject.is_empty());
    subject.unwrap_or_else(|| format!("message {}", facts.entry.id))
}

/// The Message-ID that `attempt/compose.rs` gives the original.
fn went_out_as(facts: &Facts<'_>) -> Option<String> {
    let header = facts.header?;
    outgoing_message_id(header, || own_message_id(facts.entry, facts.hostname))
}

/// The answer, on one line.
fn reason(outcome: &Outcome) -> String {
    let plain = outcome.reason.replace(char::is_control, " ");
    plain.chars().take(3 * LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mail_parser::MessageParser;
    use mail_parser::MimeHeaders;

    use super::*;
    use crate::config::SignIn;
    use crate::delivery::oracle;
    use crate::delivery::outcome::Kind;
    use crate::delivery::outcome::explain;
    use crate::mail::ReversePath;

    const ID: &str = "01M7ZZDH4TKT6XKYKEMYK3N3EK";

    fn refused() -> Outcome {
        Outcome {
            kind: Kind::Failed,
            http_status: Some(400),
            code: Some("ErrorInvalidRecipients".to_owned()),
            reason: "Graph answered 400 ErrorInvalidRecipients: At least one recipient is not \
                     valid."
                .to_owned(),
            request_id: Some("9d653b97-1684-473d-b054-5cb12d805a52".to_owned()),
            retry_after: None,
            too_large: false,
            damaged: false,
            asked: true,
            verdict: None,
            sign_in: SignIn::Application,
        }
    }

    fn report(kind: DsnKind, head: &[u8], recipients: &[&str], outcome: &Outcome) -> String {
        let recipients = recipients.iter().map(|text| text.parse().unwrap());
        let entry = oracle::entry(head, recipients.collect());
        written(kind, head, entry, outcome)
    }

    fn written(kind: DsnKind, head: &[u8], mut entry: Claimed, outcome: &Outcome) -> String {
        let sender: Address = "anna@contoso.com".parse().unwrap();
        entry.envelope.reverse_path = ReversePath::Address(sender.clone());
        let header = Header::split(head, true).unwrap();
        let late = Duration::from_secs(4 * 60 * 60);
        let explanation = match kind {
            DsnKind::Failure => explain::failure(outcome, late, false),
            DsnKind::Delay => explain::delay(outcome, late, true),
            DsnKind::Relayed => explain::relayed(false),
        };
        let message = compose(&Facts {
            id: ID.parse().unwrap(),
            kind,
            entry: &entry,
            outcome,
            explanation: &explanation,
            header: Some(&header),
            returned: Return::Header,
            recipients: &entry.envelope.recipients,
            others: 0,
            hostname: "relay.test",
            author: &entry.destination.mailbox,
            recipient: &sender,
            now: entry.accepted_at + late,
            until: Some(entry.accepted_at + Duration::from_secs(4 * 24 * 60 * 60)),
        });
        String::from_utf8(message).unwrap()
    }

    /// The bodies of the parts with their types, decoded by an independent parser.
    fn parts(report: &str) -> Vec<(String, String)> {
        let message = MessageParser::default().parse(report).unwrap();
        let of = |at: u32| {
            let part = message.part(at).unwrap();
            let kind = part.content_type().unwrap();
            let name = format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default());
            let body = String::from_utf8(part.contents().to_vec()).unwrap();
            (name, body.replace("\r\n", "\n"))
        };
        (1..u32::try_from(message.parts.len()).unwrap())
            .map(of)
            .collect()
    }

    #[test]
    fn a_failure_report_follows_rfc_3464() {
        let head = b"From: App <app@contoso.com>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\
            Message-ID: <1@app>\r\n\r\n";

        let report = report(
            DsnKind::Failure,
            head,
            &["a@example.org", "j\u{fc}rgen+x@example.org"],
            &refused(),
        );

        let (header, _) = report.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            header.replace("\r\n", "\n"),
            "Date: Sat, 21 Nov 2026 23:00:00 +0000\n\
             From: \"Mail delivery (graph-relay)\" <relay@contoso.com>\n\
             To: anna@contoso.com\n\
             Subject: Not delivered:\n =?utf-8?b?Z3LDvMOfZQ==?=\n\
             Message-ID: <01M7ZZDH4TKT6XKYKEMYK3N3EK@relay.test>\n\
             In-Reply-To: <1@app>\nReferences: <1@app>\n\
             Auto-Submitted: auto-replied\nX-Auto-Response-Suppress: All\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=delivery-status;\n \
             boundary=\"=_01M7ZZDH4TKT6XKYKEMYK3N3EK\""
        );
        let parts = parts(&report);
        let names: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "text/plain",
                "message/delivery-status",
                "text/rfc822-headers"
            ]
        );
        assert_eq!(parts[0].1, TEXT);
        assert_eq!(parts[1].1.trim_end(), STATUS);
        assert_eq!(
            parts[2].1.trim_end(),
            "From: App <app@contoso.com>\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\nMessage-ID: <1@app>"
        );
        assert!(report.is_ascii());
        assert!(report.split("\r\n").all(|line| line.len() <= 998));
    }

    const TEXT: &str = "\
A message could not be delivered. The relay will not try again.

  Subject     grüße
  Sender      <anna@contoso.com>
  Accepted    Sat, 21 Nov 2026 19:00:00 +0000 from 127.0.0.1
  ID          01M7ZZDH4TKT6XKYKEMYK3N3EJ
  Recipients  a@example.org
              jürgen+x@example.org

What happened
  Microsoft 365 says that the address of at least one recipient is not valid.
  None of the recipients has received it.
  In detail: Graph answered 400 ErrorInvalidRecipients: At least one recipient
  is not valid.
  request-id 9d653b97-1684-473d-b054-5cb12d805a52
  client-request-id 00000000-0000-0000-0000-000000000000

What to do
  Check the recipients' addresses, and send the message again to the correct
  ones.

The relay on relay.test keeps the message until Wed, 25 Nov 2026 19:00:00 +0000.
Its administrator can look at the message and send it again:
  graph-relay queue show 01M7ZZDH4TKT6XKYKEMYK3N3EJ
  graph-relay queue retry 01M7ZZDH4TKT6XKYKEMYK3N3EJ
";

    const STATUS: &str = "\
Reporting-MTA: dns; relay.test
Arrival-Date: Sat, 21 Nov 2026 19:00:00 +0000

Final-Recipient: rfc822; a@example.org
Action: failed
Status: 5.1.0
Diagnostic-Code: x-graph; Graph answered 400 ErrorInvalidRecipients: At
 least one recipient is not valid.
Last-Attempt-Date: Sat, 21 Nov 2026 23:00:00 +0000

Final-Recipient: utf-8; j\\x{FC}rgen\\x{2B}x@example.org
Action: failed
Status: 5.1.0
Diagnostic-Code: x-graph; Graph answered 400 ErrorInvalidRecipients: At
 least one recipient is not valid.
Last-Attempt-Date: Sat, 21 Nov 2026 23:00:00 +0000";

    #[test]
    fn a_report_about_a_part_refers_to_the_message_that_was_split() {
        let first = "01M7ZZDH4TKT6XKYKEMYK3N3EM";
        let head = b"Subject: x\r\n\r\n";
        let mut entry = oracle::entry(head, vec!["a@b.c".parse().unwrap()]);
        entry.part_of = Some(first.parse().unwrap());

        let report = written(DsnKind::Failure, head, entry, &refused());

        assert!(report.contains(&format!("\r\nIn-Reply-To: <{first}@relay.test>\r\n")));
    }

    #[test]
    fn a_delay_notice_says_how_long_the_relay_keeps_trying() {
        let doubtful = Outcome {
            kind: Kind::Doubtful {
                doubt: crate::delivery::outcome::Doubt::Blind,
                wait: None,
            },
            http_status: None,
            ..refused()
        };

        let report = report(DsnKind::Delay, b"Subject: x\r\n\r\n", &["a@b.c"], &doubtful);

        let parts = parts(&report);
        assert!(report.contains("\r\nSubject: Delayed: x\r\n"));
        assert!(report.contains("\r\nIn-Reply-To: <01M7ZZDH4TKT6XKYKEMYK3N3EJ@relay.test>\r\n"));
        assert!(parts[0].1.contains("may get it twice"), "{}", parts[0].1);
        assert!(!parts[0].1.contains("queue retry"));
        for line in [
            "Action: delayed\n",
            "Status: 4.4.1\n",
            "Diagnostic-Code: x-graph-relay; ",
            "Will-Retry-Until: Wed, 25 Nov 2026 19:00:00 +0000\n",
        ] {
            assert!(parts[1].1.contains(line), "{line}: {}", parts[1].1);
        }
    }

    #[test]
    fn text_of_others_cannot_add_fields_or_parts_to_a_report() {
        let head = b"Subject: =?utf-8?q?x=0D=0ABcc:_eve@example.org?=\r\nMessage-ID: <1 2>\r\n\
            X: --=_01M7ZZDH4TKT6XKYKEMYK3N3EK--\r\nY: \xff\r\n\r\n";
        let odd = Outcome {
            reason: "no\r\nFinal-Recipient: rfc822; eve@example.org\u{85}\u{fc}".to_owned(),
            ..refused()
        };

        let report = report(DsnKind::Failure, head, &["a@b.c"], &odd);

        let parts = parts(&report);
        assert_eq!(parts.len(), 3);
        let (header, _) = report.split_once("\r\n\r\n").unwrap();
        assert!(header.is_ascii() && !header.contains("\r\nBcc"), "{header}");
        assert_eq!(parts[1].1.matches("\nFinal-Recipient:").count(), 1);
        assert!(report.is_ascii());
    }

    #[test]
    fn a_report_stays_small_for_any_message() {
        let head = [&b"X: y\r\n".repeat(100_000)[..], b"\r\n"].concat();
        let local = "a".repeat(60);
        let many: Vec<String> = (0..10_000)
            .map(|n| format!("{n}{local}@example.org"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();

        let report = report(DsnKind::Failure, &head, &many, &refused());

        assert!(report.len() < 1_000_000, "{}", report.len());
        let text = &parts(&report)[0].1;
        assert!(text.contains("and 9900 more\n"), "{text}");
        assert!(text.contains(" more recipients are left out of this report.\n"));
        assert!(text.contains("Only the beginning of its header section follows.\n"));
    }
}
