//! The part of a report for programs: the fields of each recipient.

use super::Facts;
use super::reason;
use crate::mail::Address;
use crate::mime::folded;
use crate::spool::DsnKind;

/// Bytes of recipients in the delivery-status: some thousand, and still little
/// of what one request to Graph carries.
const MOST_STATUS: usize = 512 * 1024;

/// The fields of each recipient (RFC 3464 2.3), and how many there was no room
/// for.
pub(super) fn recipients(facts: &Facts<'_>) -> (String, usize) {
    let mut written = String::new();
    let more = common_fields(facts);
    let all = facts.recipients;
    for (at, recipient) in all.iter().enumerate() {
        if written.len() > MOST_STATUS {
            return (written, all.len() - at);
        }
        written.push_str(&format!(
            "Final-Recipient: {}\r\n{more}\r\n",
            typed(recipient)
        ));
    }
    (written, 0)
}

/// What is the same for all recipients.
fn common_fields(facts: &Facts<'_>) -> String {
    let action = match facts.kind {
        DsnKind::Failure => "failed",
        DsnKind::Delay => "delayed",
    };
    let answered = match facts.outcome.http_status {
        Some(_) => "x-graph",
        None => "x-graph-relay",
    };
    let diagnostic: String = reason(facts.outcome)
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    let diagnostic = format!("Diagnostic-Code: {answered}; {diagnostic}");
    let mut fields = format!(
        "Action: {action}\r\nStatus: {}\r\n{}\r\nLast-Attempt-Date: {}\r\n",
        facts.explanation.status,
        folded(&diagnostic, "\r\n "),
        facts.now.rfc5322()
    );
    if let (DsnKind::Delay, Some(until)) = (facts.kind, facts.until) {
        fields.push_str(&format!("Will-Retry-Until: {}\r\n", until.rfc5322()));
    }
    fields
}

/// An address with its type: beyond ASCII in the form that ASCII can carry
/// (RFC 6533 3, `utf-8-addr-xtext`).
fn typed(address: &Address) -> String {
    if address.is_ascii() {
        return format!("rfc822; {address}");
    }
    let mut written = "utf-8; ".to_owned();
    for c in address.as_str().chars() {
        if c.is_ascii_graphic() && !['+', '=', '\\'].contains(&c) {
            written.push(c);
        } else {
            written.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
        }
    }
    written
}
