//! What became of a message, in sentences: what happened, what happens next and when,
//! and what an operator can do. The only place where these words are; whoever shows
//! the history shows them.
//!
//! Each is made of whole sentences, except for what can be done, which is a phrase
//! from a small letter, without a full stop, so that it can stand behind a label.

use serde::Deserialize;
use serde::Serialize;

use crate::catalogue;
use crate::clock::Timestamp;
use crate::clock::span_in_words;
use crate::delivery::Waits;
use crate::spool::AttemptOutcome;
use crate::spool::Became;
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
        let report = format!("This is a report of the relay about message {about}. ");
        verdict.happened.insert_str(0, &report);
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
    let action = row.message_id.as_ref().map(|message_id| {
        format!(
            "to follow it further: the message trace of the Exchange admin center, with Message-ID \
             {message_id}"
        )
    });
    Verdict {
        happened,
        next: Some(next.to_owned()),
        action,
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
    };
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
    let action = match remedy(row) {
        Some(remedy) => format!("{remedy}; then try it at once: {retry}"),
        None => format!("nothing, the relay tries again by itself; to try it now: {retry}"),
    };
    Verdict {
        happened,
        next: Some(next),
        action: Some(action),
    }
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
        Some(Waits::Backoff(braked)) => {
            let whose = match &braked.mailbox {
                Some(mailbox) => mailbox.to_string(),
                None => format!("Account {}", braked.account),
            };
            format!(
                "{whose} is backing off: {}. The next attempt is in {} ({}).",
                braked.why(),
                span_in_words(braked.until.since(now)),
                braked.until
            )
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
    if let Some(report) = row.report {
        next.push_str(&format!(" The last report about it is message {report}."));
    }
    let (retry, drop) = (command("retry", row), command("drop", row));
    let action = match remedy(row) {
        Some(remedy) => format!("{remedy}; then: {retry}; or delete it: {drop}"),
        None => format!("when the cause is fixed: {retry}; or delete it: {drop}"),
    };
    Verdict {
        happened,
        next: Some(next),
        action: Some(action),
    }
}

fn dropped(row: &Became) -> Verdict {
    Verdict {
        happened: format!("At {}: {}", row.at, ended(text(row))),
        next: Some("It is never sent, and its content is deleted.".to_owned()),
        action: None,
    }
}

/// What the catalogue says of the last answer, unless the reason has said it already.
fn remedy(row: &Became) -> Option<String> {
    let code = row.last.as_ref()?.code.as_deref()?;
    let entry = catalogue::find(code)?;
    let mailbox = row.mailbox.as_deref().unwrap_or("MAILBOX");
    let author = row.author.as_deref().unwrap_or(mailbox);
    let remedy = catalogue::named(entry.remedy, mailbox, author);
    (!text(row).contains(&remedy)).then_some(remedy)
}

fn was_doubtful(row: &Became) -> bool {
    let last = row.last.as_ref().and_then(|last| last.outcome);
    // Whatever an operator decides after that is no answer of Microsoft's.
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

/// A text as the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::BackoffCause;
    use crate::delivery::Braked;
    use crate::delivery::Limited;
    use crate::spool::LastAttempt;

    const NOW: Timestamp = Timestamp::from_millis(1_795_287_600_000);

    fn row(state: State, text: Option<&str>) -> Became {
        Became {
            id: crate::mail::SpoolId::first_of(NOW),
            ordinal: 0,
            recipient: "anna@example.org".to_owned(),
            asked_for: None,
            state,
            status: text.map(|_| "4.3.2".to_owned()),
            text: text.map(str::to_owned),
            at: NOW,
            accepted_at: NOW,
            due_at: NOW + Duration::from_secs(720),
            due_in: Duration::from_secs(720),
            reverse_path: "app@contoso.com".to_owned(),
            author: Some("app@contoso.com".to_owned()),
            message_id: Some("<1@app.contoso.com>".to_owned()),
            subject: Some("Offer 88".to_owned()),
            client: "192.0.2.17".to_owned(),
            hello: "printer-2".to_owned(),
            user: None,
            account: Some("default".to_owned()),
            mailbox: Some("relay@contoso.com".to_owned()),
            attempts: 1,
            last: Some(LastAttempt {
                outcome: Some(AttemptOutcome::Deferred),
                http_status: Some(503),
                code: None,
                request_id: Some("a0e8677f".to_owned()),
            }),
            is_doubted: false,
            about: None,
            report: None,
        }
    }

    fn doubtful(row: Became) -> Became {
        let last = LastAttempt {
            outcome: Some(AttemptOutcome::Doubtful),
            ..LastAttempt::default()
        };
        Became {
            last: Some(last),
            is_doubted: true,
            ..row
        }
    }

    fn with_code(row: Became, code: &str) -> Became {
        let code = Some(code.to_owned());
        let last = row.last.clone().map(|last| LastAttempt { code, ..last });
        Became { last, ..row }
    }

    /// All sentences, with the case that each is for.
    #[expect(clippy::too_many_lines, reason = "one table of all cases")]
    fn all() -> Vec<(&'static str, Verdict)> {
        let until = NOW + Duration::from_secs(1800);
        let limit = Waits::Limit(Limited {
            account: "default".to_owned(),
            mailbox: "relay@contoso.com".parse().unwrap(),
            limit: "recipients_per_day".to_owned(),
            daily: true,
            until,
        });
        let backoff = Waits::Backoff(Braked {
            account: "default".to_owned(),
            mailbox: None,
            until,
            cause: BackoffCause::Configuration,
            told: Some("AADSTS7000222".to_owned()),
        });
        let waiting = || row(State::Waiting, Some("Graph answered 503: busy"));
        let new = Became {
            attempts: 0,
            last: None,
            due_in: Duration::ZERO,
            ..row(State::Waiting, None)
        };
        let released = Became {
            status: None,
            ..row(State::Waiting, Some("released by an operator (user ID 0)"))
        };
        let nowhere = Became {
            account: None,
            mailbox: None,
            status: None,
            ..row(
                State::Waiting,
                Some("no [[account]] sends for its From address"),
            )
        };
        let delivered = || row(State::Delivered, Some("accepted"));
        let late = Became {
            attempts: 3,
            is_doubted: true,
            ..delivered()
        };
        let report = Became {
            about: Some(crate::mail::SpoolId::first_of(NOW)),
            message_id: None,
            ..delivered()
        };
        let failed = || {
            row(
                State::Failed,
                Some("Graph answered 400 ErrorInvalidRecipients: no."),
            )
        };
        let told = Became {
            report: Some(crate::mail::SpoolId::first_of(NOW)),
            attempts: 2,
            is_doubted: true,
            ..with_code(failed(), "ErrorSendAsDenied")
        };
        let held = || row(State::Held, Some("held by an operator (user ID 0)"));
        let unknown = || doubtful(row(State::Waiting, Some("no answer within 60s")));
        [
            ("new", &new, None),
            ("waiting", &waiting(), None),
            (
                "waiting, with a remedy",
                &with_code(waiting(), "AADSTS7000222"),
                None,
            ),
            ("waiting for a limit", &waiting(), Some(&limit)),
            (
                "waiting for an account in trouble",
                &waiting(),
                Some(&backoff),
            ),
            ("released", &released, None),
            ("without an account", &nowhere, None),
            ("waiting after doubt", &unknown(), None),
            ("being sent", &row(State::Claimed, None), None),
            ("held", &held(), None),
            (
                "held after doubt",
                &doubtful(row(State::Held, Some("no answer"))),
                None,
            ),
            ("delivered", &delivered(), None),
            ("delivered late", &late, None),
            ("a report", &report, None),
            ("failed", &failed(), None),
            ("failed and reported", &told, None),
            (
                "dropped",
                &row(State::Dropped, Some("dropped by an operator (user ID 0)")),
                None,
            ),
            (
                "quarantined",
                &row(State::Quarantined, Some("its content is damaged")),
                None,
            ),
        ]
        .map(|(case, row, waits)| (case, accepted(row, waits, NOW)))
        .into()
    }

    #[test]
    fn every_state_has_its_sentences() {
        let mut text = String::new();
        for (case, verdict) in all() {
            let Verdict {
                happened,
                next,
                action,
            } = verdict;
            text.push_str(&format!("{case}\n  happened  {happened}\n"));
            for (label, words) in [("next", next), ("you can", action)] {
                let words = words.unwrap_or_else(|| "-".to_owned());
                text.push_str(&format!("  {label:10}{words}\n"));
            }
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../tests/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("verdicts", text));
    }

    #[test]
    fn a_remedy_that_the_reason_has_is_not_said_twice() {
        let remedy = catalogue::SEND_AS_DENIED.remedy;
        let remedy = catalogue::named(remedy, "relay@contoso.com", "app@contoso.com");
        let reason = format!("Graph answered 403; {remedy}");
        let row = with_code(row(State::Waiting, Some(&reason)), "ErrorSendAsDenied");

        let verdict = accepted(&row, None, NOW);

        assert!(verdict.happened.contains(&remedy));
        assert!(!verdict.action.unwrap().contains(&remedy));
    }
}
