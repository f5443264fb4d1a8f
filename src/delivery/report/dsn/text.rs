//! The part of a report for people: which message, what happened, what to do.

use super::Facts;
use super::about;
use super::reason;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::mime::folded;
use crate::spool::DsnKind;

/// Recipients named in the text.
const MOST_IN_TEXT: usize = 100;
/// Names of one recipient in the text.
const MOST_ORIGINALS: usize = 10;

/// The part for people.
pub(super) fn text(facts: &Facts<'_>, notes: &[String]) -> String {
    let Facts { entry, outcome, .. } = facts;
    let said = facts.explanation;
    let indented = |text: &str| format!("  {}\r\n", folded(text, "\r\n  "));
    let request_id = outcome.request_id.as_ref();
    let request_id = request_id.map_or_else(String::new, |id| format!("  request-id {id}\r\n"));
    let first = match facts.kind {
        DsnKind::Failure => "A message could not be delivered. The relay will not try again.",
        DsnKind::Delay => {
            "Only a warning: a message has not been delivered yet. The relay keeps trying."
        }
        DsnKind::Relayed => {
            "A message was handed to Microsoft 365. You get this report because you asked for it."
        }
    };
    let mut text = format!(
        "{first}\r\n\r\n{}\r\nWhat happened\r\n{}{}{request_id}  client-request-id {}\r\n\r\n\
         What to do\r\n{}\r\n{}",
        description(facts),
        indented(&said.happened),
        indented(&format!("In detail: {}", reason(outcome))),
        entry.client_request_id,
        indented(&said.remedy),
        what_comes(facts),
    );
    let sender = entry.envelope.reverse_path.address();
    if sender.map(Address::key) != Some(facts.recipient.key()) {
        text.push_str("The sender has not been notified.\r\n");
    }
    notes
        .iter()
        .for_each(|note| text.push_str(&format!("{note}\r\n")));
    text
}

/// Which message it is.
fn description(facts: &Facts<'_>) -> String {
    let entry = facts.entry;
    let user = entry.trace.user.as_deref();
    let user = user.map_or_else(String::new, |user| format!(", user {user}"));
    let mut text = format!(
        "  Subject     {}\r\n  Sender      {}\r\n  Accepted    {} from {}{user}\r\n  \
         ID          {}\r\n",
        about(facts),
        entry.envelope.reverse_path,
        entry.accepted_at.rfc5322(),
        entry.trace.client.to_canonical(),
        entry.id,
    );
    let recipients = facts.recipients;
    for (at, recipient) in recipients.iter().take(MOST_IN_TEXT).enumerate() {
        let name = if at == 0 { "Recipients" } else { "" };
        let originals: Vec<&str> = entry.envelope.originals(recipient).collect();
        let shown = originals.get(..MOST_ORIGINALS).unwrap_or(&originals);
        let for_whom = match shown {
            [] => String::new(),
            shown => format!(" (for {})", shown.join(", ")),
        };
        let line = format!("{name:11} {recipient}{for_whom}");
        text.push_str(&format!("  {line}\r\n"));
    }
    if let Some(more @ 1..) = recipients.len().checked_sub(MOST_IN_TEXT) {
        text.push_str(&format!("  {:11} and {more} more\r\n", ""));
    }
    if let Some(id) = &entry.envelope.reports.envelope_id {
        text.push_str(&format!("  Envelope ID {}\r\n", id.as_str()));
    }
    text
}

/// What happens to it next.
fn what_comes(facts: &Facts<'_>) -> String {
    let (hostname, id) = (facts.hostname, facts.entry.id);
    let until = facts.until.map(Timestamp::rfc5322);
    match (facts.kind, until) {
        (DsnKind::Failure, Some(until)) => format!(
            "The relay on {hostname} keeps the message until {until}.\r\n\
             Its administrator can look at the message and send it again:\r\n  \
             graph-relay queue show {id}\r\n  graph-relay queue retry {id}\r\n"
        ),
        (DsnKind::Delay, Some(until)) => {
            format!("The relay on {hostname} keeps trying until {until}.\r\n")
        }
        (DsnKind::Relayed, _) => String::new(),
        (DsnKind::Failure | DsnKind::Delay, None) => {
            format!("The relay on {hostname} keeps trying until that is fixed.\r\n")
        }
    }
}
