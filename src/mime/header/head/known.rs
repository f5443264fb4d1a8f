//! Names of header fields, used to distinguish a header section from a text whose lines
//! only look like fields (`Alarm: zone 3`).
//!
//! A field is *recognised* by its name: it is registered (RFC 4021 and its successors) or
//! begins with `X-`. It is *evidence* of a header section only if its value fits as well,
//! because people write `To: the whole team` and `Date: 29.11.2026` in their texts.

use crate::mime::Field;
use crate::mime::header::date::is_date;

/// Whether a text is unlikely to contain such a field: who sent a message and when, to
/// whom, about what, and in what form.
pub(in crate::mime) fn is_evidence(field: &Field<'_>) -> bool {
    let text = field.text();
    let name = field.name.to_ascii_lowercase();
    match name.as_str() {
        "from" | "to" | "cc" | "sender" | "reply-to" => names_somebody(&text),
        "bcc" | "resent-bcc" | "subject" => true,
        "date" => is_date(&text),
        "message-id" => text.starts_with('<') || (text.contains('@') && !text.contains(' ')),
        "mime-version" => text.starts_with(|c: char| c.is_ascii_digit()),
        name => name.starts_with("content-"),
    }
}

/// Whether programs write it and people do not, so that the line before it belongs to the
/// header section and not to a text.
pub(in crate::mime) fn is_of_a_program(field: &Field<'_>) -> bool {
    let name = field.name.to_ascii_lowercase();
    let written = ["date", "message-id", "mime-version", "bcc", "resent-bcc"];
    (written.contains(&name.as_str()) || name.starts_with("content-")) && is_evidence(field)
}

/// Whether mail programs know such a field.
pub(in crate::mime) fn is_recognised(field: &Field<'_>) -> bool {
    let name = field.name.to_ascii_lowercase();
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name.as_str())
}

/// An address, a list without addresses (`undisclosed-recipients:;`), or a single word.
fn names_somebody(text: &str) -> bool {
    text.contains(['@', '<', ';']) || (!text.is_empty() && !text.contains([' ', '\t']))
}

/// Whether recipients must not see it, because it names blind recipients.
pub(in crate::mime) fn is_blind(field: &Field<'_>) -> bool {
    field.is("Bcc") || field.is("Resent-Bcc")
}

const PREFIXES: [&str; 7] = [
    "x-", "content-", "list-", "resent-", "arc-", "dkim-", "mail-",
];

const NAMES: [&str; 48] = [
    "accept-language",
    "also-control",
    "apparently-to",
    "approved",
    "authentication-results",
    "auto-submitted",
    "autoforwarded",
    "bcc",
    "cc",
    "comments",
    "conversation-id",
    "date",
    "deferred-delivery",
    "delivered-to",
    "delivery-date",
    "disposition-notification-to",
    "domainkey-signature",
    "encrypted",
    "errors-to",
    "expires",
    "feedback-id",
    "from",
    "importance",
    "in-reply-to",
    "keywords",
    "message-id",
    "mime-version",
    "newsgroups",
    "openpgp",
    "organisation",
    "organization",
    "original-recipient",
    "precedence",
    "priority",
    "received",
    "received-spf",
    "references",
    "reply-to",
    "require-recipient-valid-since",
    "return-path",
    "return-receipt-to",
    "sender",
    "sensitivity",
    "subject",
    "thread-index",
    "thread-topic",
    "to",
    "user-agent",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Header;

    fn field(line: &str) -> Vec<bool> {
        let line = format!("{line}\r\n");
        let header = Header::split(line.as_bytes(), true).unwrap();
        let field = &header.fields[0];
        vec![
            is_recognised(field),
            is_evidence(field),
            is_of_a_program(field),
        ]
    }

    #[test]
    fn a_field_is_evidence_by_its_name_and_its_value() {
        for line in [
            "Date: Sun, 29 Nov 2026 10:00:00 +0000",
            "Message-ID: <1@app>",
            "Content-Type: text/plain",
            "mime-version: 1.0",
            "BCC: a@b.c",
        ] {
            assert_eq!(field(line), [true, true, true], "{line}");
        }
        for line in ["From: Scanner <a@b.c>", "To: root", "Subject: x", "Cc: x:;"] {
            assert_eq!(field(line), [true, true, false], "{line}");
        }
        for line in [
            "To: the whole team",
            "Date: 29.11.2026",
            "From: boiler 3",
            "Received: by x",
            "X-Alarm: zone 3",
            "User-Agent: x",
        ] {
            assert_eq!(field(line), [true, false, false], "{line}");
        }
        for line in ["Alarm: zone 3", "Host: x", "Note: y"] {
            assert_eq!(field(line), [false, false, false], "{line}");
        }
    }
}
