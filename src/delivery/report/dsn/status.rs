//! The part of a report for programs: the fields of each recipient.

use super::Facts;
use super::reason;
use crate::mail::utf8_address_in_ascii;
use crate::mime::folded;
use crate::spool::DsnKind;

/// Bytes for recipients in the delivery-status: enough for about a thousand, and a small
/// part of one request to Graph.
const MOST_STATUS: usize = 512 * 1024;

/// The fields of each recipient (RFC 3464 2.3), and the number of recipients for whom
/// there was no room.
pub(super) fn recipients(facts: &Facts<'_>) -> (String, usize) {
    let mut written = String::new();
    let more = common_fields(facts);
    let all = facts.recipients;
    for (at, recipient) in all.iter().enumerate() {
        if written.len() > MOST_STATUS {
            return (written, all.len() - at);
        }
        // RFC 3464 2.3.1, RFC 3461 6.3: the decoded ORCPT; otherwise the address that the
        // client named instead of this recipient.
        let asked = facts.entry.envelope.reports.of(recipient);
        if let Some((kind, address)) = asked
            .and_then(|asked| asked.original.as_ref())
            .and_then(|original| original.as_str().split_once(';'))
        {
            written.push_str(&format!("Original-Recipient: {kind}; {address}\r\n"));
        } else if let Some(original) = facts.entry.envelope.originals(recipient).next() {
            written.push_str(&format!("Original-Recipient: {}\r\n", typed(original)));
        }
        written.push_str(&format!(
            "Final-Recipient: {}\r\n{more}\r\n",
            typed(recipient.as_str())
        ));
    }
    (written, 0)
}

/// What is the same for all recipients.
fn common_fields(facts: &Facts<'_>) -> String {
    let action = match facts.kind {
        DsnKind::Failure => "failed",
        DsnKind::Delay => "delayed",
        // RFC 3464 2.3.3: Graph does not say what happens later.
        DsnKind::Relayed => "relayed",
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
    let diagnostic = match facts.kind {
        DsnKind::Failure | DsnKind::Delay => format!("{}\r\n", folded(&diagnostic, "\r\n ")),
        // There was no error.
        DsnKind::Relayed => String::new(),
    };
    let mut fields = format!(
        "Action: {action}\r\nStatus: {}\r\n{diagnostic}Last-Attempt-Date: {}\r\n",
        facts.explanation.status,
        facts.now.rfc5322()
    );
    if let (DsnKind::Delay, Some(until)) = (facts.kind, facts.until) {
        fields.push_str(&format!("Will-Retry-Until: {}\r\n", until.rfc5322()));
    }
    fields
}

/// An address with its type.
fn typed(address: &str) -> String {
    if address.is_ascii() {
        return format!("rfc822; {address}");
    }
    format!("utf-8; {}", utf8_address_in_ascii(address))
}
