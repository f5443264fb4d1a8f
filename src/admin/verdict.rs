//! What became of a message, in sentences: what happened, what happens next and when,
//! and what an operator can do. The only place where these words are; whoever shows
//! the history shows them.
//!
//! Each is made of whole sentences, except for what can be done, which is a phrase
//! from a small letter, without a full stop, so that it can stand behind a label.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::catalogue;
use crate::clock::Timestamp;
use crate::clock::span_in_words;
use crate::delivery::Waits;
use crate::mail::EnhancedStatus;
use crate::mail::SpoolId;
use crate::spool::AttemptOutcome;
use crate::spool::Became;
use crate::spool::Refused;
use crate::spool::State;

/// What there is to say of one row of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What happened.
    pub happened: String,
    /// What happens next, and when.
    pub next: Option<String>,
    /// What an operator can do.
    pub action: Option<String>,
}

/// Of an accepted message, for one recipient. `waits` is what keeps its mailbox
/// waiting.
pub(super) fn accepted(row: &Became, waits: Option<&Waits>, now: Timestamp) -> Verdict {
    let mut verdict = match row.state {
        State::Waiting => waiting(row, waits, now),
        State::Claimed => Verdict {
            happened: format!("The relay is sending it now (attempt {}).", row.attempts),
            next: Some("The result is known within minutes.".to_owned()),
            action: None,
        },
        State::Held => held(row),
        State::Delivered => delivered(row),
        State::Failed => failed(row),
        State::Dropped => dropped(row),
        State::Quarantined => Verdict {
            happened: format!("It is in quarantine: {}", ended(text(row))),
            next: Some("The relay does not send it.".to_owned()),
            action: Some(format!(
                "check the spool: graph-relay spool check; when the message can be read again: \
                 {}; or delete it: {}",
                command("retry", row),
                command("drop", row)
            )),
        },
    };
    if let Some(about) = row.about {
        let report = match about == SpoolId::ALERT {
            true => "This is an alert of the relay itself. ".to_owned(),
            false => format!("This is a report of the relay about message {about}. "),
        };
        verdict.happened.insert_str(0, &report);
    }
    if let Some(of) = row.resend_of {
        let copy = format!("This is a copy of message {of}, on an operator's order. ");
        verdict.happened.insert_str(0, &copy);
    }
    verdict
}

fn delivered(row: &Became) -> Verdict {
    let mut happened = format!(
        "Microsoft 365 accepted it from {} at {}",
        row.mailbox.as_deref().unwrap_or("the mailbox"),
        row.at
    );
    if row.attempts > 1 {
        happened.push_str(&format!(", at attempt {}", row.attempts));
    }
    let last = row.last.as_ref();
    if let Some(request) = last.and_then(|last| last.request_id.as_deref()) {
        happened.push_str(&format!(" (request-id {request})"));
    }
    happened.push('.');
    if row.is_doubted {
        happened.push_str(" An earlier attempt got no answer, so it may have arrived twice.");
    }
    let next = "The relay is done with it. If Microsoft 365 cannot deliver it, Microsoft 365 sends \
        a report of its own.";
    let follow = row.message_id.as_ref().map(|message_id| {
        format!(
            "to follow it further: the message trace of the Exchange admin center, with Message-ID \
             {message_id}"
        )
    });
    let actions: Vec<String> = follow.into_iter().chain(resend(row)).collect();
    Verdict {
        happened,
        next: Some(next.to_owned()),
        action: Some(actions.join("; ")).filter(|action| !action.is_empty()),
    }
}

fn waiting(row: &Became, waits: Option<&Waits>, now: Timestamp) -> Verdict {
    let attempts = row.attempts;
    let happened = match (&row.text, &row.status) {
        (None, _) => "The relay accepted it and has not tried to send it yet.".to_owned(),
        // An operator has decided, or there is no way for it.
        (Some(text), None) => capital(&ended(text)),
        (Some(text), Some(_)) if was_doubtful(row) => format!(
            "It is unknown whether Microsoft 365 accepted it at attempt {attempts}: {}",
            ended(text)
        ),
        (Some(text), Some(_)) => format!("Attempt {attempts} did not succeed: {}", ended(text)),
    } + &asked_to_wait(row);
    let retry = command("retry", row);
    if row.mailbox.is_none() {
        return Verdict {
            happened,
            next: Some("It waits until relay.toml has an [[account]] for it.".to_owned()),
            action: Some(
                "add an [[account]] whose senders match its From address, then restart the relay: \
                 systemctl restart graph-relay"
                    .to_owned(),
            ),
        };
    }
    let mut next = when(row, waits, now);
    if was_doubtful(row) {
        next.push_str(" If it was accepted, it arrives twice.");
    }
    if let Some(Waits::Pause(pause)) = waits {
        return Verdict {
            happened,
            next: Some(next),
            action: Some(format!("to let delivery go on: {}", pause.remedy())),
        };
    }
    let named = || is_misconfigured(row).then(|| "fix the cause that is named above".to_owned());
    let action = match (remedy(row).or_else(named), waits) {
        (Some(remedy), Some(waits)) if waits.outlasts_retry() => remedy,
        (Some(remedy), _) => format!("{remedy}; then try it at once: {retry}"),
        (None, Some(waits)) if waits.outlasts_retry() => BY_ITSELF.to_owned(),
        (None, _) => format!("{BY_ITSELF}; to try it now: {retry}"),
    };
    Verdict {
        happened,
        next: Some(next),
        action: Some(action),
    }
}

const BY_ITSELF: &str = "nothing, the relay tries again by itself";

/// For which time the last answer asked, behind another sentence.
fn asked_to_wait(row: &Became) -> String {
    let last = row.last.as_ref().filter(|_| row.status.is_some());
    let seconds = last.and_then(|last| last.retry_after_seconds);
    seconds.map_or_else(String::new, |seconds| {
        let wait = span_in_words(Duration::from_secs(seconds));
        format!(" Microsoft asked to wait {wait}.")
    })
}

/// When a message is tried next.
fn when(row: &Became, waits: Option<&Waits>, now: Timestamp) -> String {
    match waits {
        Some(Waits::Limit(limited)) => format!(
            "Its mailbox has reached {}. The next attempt is in {} ({}).",
            limited.limit,
            span_in_words(limited.until.since(now)),
            limited.until
        ),
        Some(Waits::Backoff(backing_off)) => format!(
            "{} is backing off: {}. The next attempt is in {} ({}).",
            capital(&backing_off.whose()),
            backing_off.why(),
            span_in_words(backing_off.until.since(now)),
            backing_off.until
        ),
        Some(Waits::Pause(pause)) => {
            let (what, since) = (capital(&pause.what()), pause.since);
            let (by, why) = (pause.by(), pause.why());
            format!("{what} has been paused since {since} {by}{why}.")
        }
        None if row.due_in.as_secs() > 0 => format!(
            "The next attempt is in {} ({}).",
            span_in_words(row.due_in),
            row.due_at
        ),
        None => "The next attempt starts as soon as it is its turn.".to_owned(),
    }
}

fn held(row: &Became) -> Verdict {
    let (release, drop) = (command("release", row), command("drop", row));
    let action = match was_doubtful(row) {
        true => format!(
            "ask a recipient whether it arrived. If not, send it: {release}; if it did: {drop}"
        ),
        false => format!("to send it: {release}; to delete it: {drop}"),
    };
    let happened = match was_doubtful(row) {
        true => format!(
            "It is held, because it is unknown whether Microsoft 365 accepted it: {}",
            ended(text(row))
        ),
        // An operator has decided, or something else that says so itself.
        false => capital(&ended(text(row))),
    };
    Verdict {
        happened,
        next: Some("Nothing happens until you release or drop it.".to_owned()),
        action: Some(action),
    }
}

fn failed(row: &Became) -> Verdict {
    let attempts = match row.attempts {
        1 => "after 1 attempt".to_owned(),
        attempts => format!("after {attempts} attempts"),
    };
    let mut happened = format!(
        "The relay gave up at {}, {attempts}: {}",
        row.at,
        ended(text(row))
    );
    if row.is_doubted {
        happened.push_str(
            " Not every attempt got an answer, so the recipients may have received it anyway.",
        );
    }
    let mut next = "The relay does not try it again by itself.".to_owned();
    if let Some(until) = row.resend_until {
        next.push_str(&format!(" It can be sent again until {until}."));
    }
    if let Some(report) = row.report {
        next.push_str(&format!(" The last report about it is message {report}."));
    }
    let (retry, drop) = (command("retry", row), command("drop", row));
    let action = match (remedy(row), has_wrong_recipient(row)) {
        (Some(remedy), false) => format!("{remedy}; then: {retry}; or delete it: {drop}"),
        (None, false) => format!("when the cause is fixed: {retry}; or delete it: {drop}"),
        // Another attempt would go to the same recipients.
        (remedy, true) => {
            let remedy = remedy.map_or_else(String::new, |remedy| format!("{remedy}; "));
            // A report of the relay is not sent again.
            let until = row.resend_until.filter(|_| row.about.is_none());
            let resend = until.map_or_else(String::new, |_| {
                let resend = command("resend", row);
                format!("to send this message to the right address: {resend} --to ADDRESS; ")
            });
            format!("{remedy}{resend}to delete this message: {drop}")
        }
    };
    Verdict {
        happened,
        next: Some(next),
        action: Some(action),
    }
}

fn dropped(row: &Became) -> Verdict {
    let (next, action) = match (row.resend_until, resend(row)) {
        (Some(until), Some(resend)) => (
            format!("It is not sent. Its content is kept until {until}."),
            Some(format!(
                "{resend}; to delete its content now: {}",
                command("drop", row)
            )),
        ),
        _ => (
            "It is never sent, and its content is deleted.".to_owned(),
            None,
        ),
    };
    Verdict {
        happened: format!("At {}: {}", row.at, ended(text(row))),
        next: Some(next),
        action,
    }
}

/// How to send a message again, while that is possible.
fn resend(row: &Became) -> Option<String> {
    let (until, command) = (row.resend_until?, command("resend", row));
    Some(format!("to send it again, until {until}: {command}"))
}

/// Of mail that was not accepted.
pub(super) fn refused(row: &Refused) -> Verdict {
    let refusal = &row.refusal;
    let times = row.times;
    if row.is_counted_only {
        return Verdict {
            happened: format!(
                "The relay refused {times} more within a minute, and only counted them."
            ),
            next: None,
            action: Some(
                "see the log (event=\"refused\"), and graph-relay sessions list".to_owned(),
            ),
        };
    }
    let mut happened = match refusal.reply.as_str() {
        "" => capital(&ended(&refusal.cause)),
        reply => format!("The relay refused it: {}", ended(reply)),
    };
    if !refusal.reply.is_empty() && !refusal.cause.is_empty() {
        happened.push_str(&format!(" Cause: {}", ended(&refusal.cause)));
    }
    if refusal.others > 0 {
        let others = refusal.others;
        happened.push_str(&format!(" The same holds for {others} more recipients."));
    }
    if times > 1 {
        let last = row.last_at;
        happened.push_str(&format!(
            " That happened {times} times, the last time at {last}."
        ));
    }
    let next = match refusal.reply.as_bytes().first() {
        Some(b'5') => {
            "It is not in the queue. Clients do not send again by themselves what was refused with \
             5xx."
        }
        Some(b'4') => "It is not in the queue. Most clients try again by themselves.",
        _ => "It is not in the queue. Whether the client tries again is up to the client.",
    };
    let action = Some(refusal.remedy.clone()).filter(|remedy| !remedy.is_empty());
    Verdict {
        happened,
        next: Some(next.to_owned()),
        action,
    }
}

/// What the catalogue says of the last answer, unless the reason has said it already.
fn remedy(row: &Became) -> Option<String> {
    let last = row.last.as_ref()?;
    let entry = catalogue::of_answer(last.http_status, last.code.as_deref())?;
    let mailbox = row.mailbox.as_deref().unwrap_or("MAILBOX");
    let author = row.author.as_deref().unwrap_or(catalogue::SOME_ADDRESS);
    let remedy = catalogue::named(entry.remedy, mailbox, author);
    (!text(row).contains(&remedy)).then_some(remedy)
}

/// Whether it failed because of whom it names, which nobody can change in the queue.
fn has_wrong_recipient(row: &Became) -> bool {
    let code = row.last.as_ref().and_then(|last| last.code.as_deref());
    code == Some(catalogue::INVALID_RECIPIENTS.code)
}

/// Whether somebody has to change something; the reason says what.
fn is_misconfigured(row: &Became) -> bool {
    row.status.as_deref() == Some(EnhancedStatus::MISCONFIGURED.to_string().as_str())
}

fn was_doubtful(row: &Became) -> bool {
    let last = row.last.as_ref().and_then(|last| last.outcome);
    // Whatever an operator decides after that is not an answer of Microsoft's.
    last == Some(AttemptOutcome::Doubtful)
}

fn text(row: &Became) -> &str {
    row.text.as_deref().unwrap_or("the reason is not known")
}

fn command(command: &str, row: &Became) -> String {
    format!("graph-relay queue {command} {}", row.id)
}

/// A text as the end of a sentence.
fn ended(text: &str) -> String {
    let text = text.trim_end();
    match text.ends_with(['.', '!', '?']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

/// Begins a text with a capital letter, unless it begins with a name that has none: of a file, a
/// key or a program, or an address.
pub(crate) fn capital(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let first = first.trim_end_matches([':', ',', ';', '.']);
    if !first.chars().all(|c| c.is_alphabetic() || c == '\'') {
        return text.to_owned();
    }
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
