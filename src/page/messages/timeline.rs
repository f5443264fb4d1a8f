//! What happened to a message, step by step: from the connection of the client to the answer
//! of Graph for each attempt, with the orders of operators between them.

use std::time::Duration;

use crate::admin::Shown;
use crate::clock::Timestamp;
use crate::page::texts::MessageTexts;
use crate::page::texts::Texts;
use crate::spool::AttemptOutcome;
use crate::spool::AttemptView;
use crate::spool::EntryView;
use crate::spool::OrderView;
use crate::spool::State as Became;

/// A step of the timeline.
pub(super) struct Step {
    pub(super) class: &'static str,
    pub(super) at: String,
    pub(super) words: String,
    /// What the relay says, in English.
    pub(super) said: Option<String>,
    /// For which time Microsoft asked.
    pub(super) wait: Option<String>,
    pub(super) details: Vec<(&'static str, String)>,
    /// The message that this step has made.
    pub(super) copy: Option<String>,
}

pub(super) fn steps(shown: &Shown, texts: &Texts) -> Vec<Step> {
    let entry = &shown.entry;
    let attempts = entry.timeline.iter();
    let attempts = attempts.map(|it| (it.begun_at, attempt(it, texts)));
    let orders = entry
        .orders
        .iter()
        .map(|it| (it.at, order(entry, it, texts)));
    let mut later: Vec<(Timestamp, Step)> = attempts.chain(orders).collect();
    later.sort_by_key(|(at, _)| *at);
    let later = later.into_iter().map(|(_, step)| step);
    let mut steps: Vec<Step> = [accepted(entry, &texts.message)]
        .into_iter()
        .chain(later)
        .collect();
    if entry.summary.state == Became::Waiting {
        steps.push(Step {
            class: "",
            at: entry.summary.due_at.to_string(),
            words: (texts.message.planned)(entry.summary.attempts.saturating_add(1)),
            said: None,
            wait: None,
            details: Vec::new(),
            copy: None,
        });
    }
    steps
}

fn accepted(entry: &EntryView, texts: &MessageTexts) -> Step {
    let is_own = entry.about.is_some();
    let has_tls = entry.protocol.contains("SMTPS");
    let details = match is_own {
        true => Vec::new(),
        false => vec![
            ("HELO", entry.hello.clone()),
            ("TLS", if has_tls { texts.yes } else { texts.no }.to_owned()),
            (
                "AUTH",
                entry.user.clone().unwrap_or_else(|| texts.no.to_owned()),
            ),
            (texts.protocol, entry.protocol.clone()),
        ],
    };
    Step {
        class: "ok",
        at: entry.summary.accepted_at.to_string(),
        words: match is_own {
            true => texts.made.to_owned(),
            false => (texts.accepted)(&entry.client, &entry.hello),
        },
        said: None,
        wait: None,
        details,
        copy: None,
    }
}

fn order(entry: &EntryView, order: &OrderView, texts: &Texts) -> Step {
    let what = match entry.is_about_content(order) {
        true => "drop content",
        false => order.order.as_str(),
    };
    let by = order
        .by
        .clone()
        .unwrap_or_else(|| (texts.order.user)(order.uid));
    Step {
        class: "",
        at: order.at.to_string(),
        words: (texts.order.ordered)(what, &by),
        said: None,
        wait: None,
        details: Vec::new(),
        copy: order.copy.map(|copy| copy.to_string()),
    }
}

fn attempt(attempt: &AttemptView, texts: &Texts) -> Step {
    let time = &texts.time;
    let texts = &texts.message;
    let (class, outcome) = match attempt.outcome {
        None => ("", texts.under_way),
        Some(AttemptOutcome::Delivered) => ("ok", texts.delivered),
        Some(AttemptOutcome::Deferred) => ("warn", texts.deferred),
        Some(AttemptOutcome::Failed) => ("bad", texts.failed),
        Some(AttemptOutcome::Doubtful) => ("bad", texts.doubtful),
    };
    let details = [
        ("HTTP", attempt.http_status.map(|status| status.to_string())),
        (texts.code, attempt.code.clone()),
        (
            "Retry-After",
            attempt.retry_after_seconds.map(|it| format!("{it} s")),
        ),
        (texts.took, attempt.took_ms.map(|took| format!("{took} ms"))),
        ("request-id", attempt.request_id.clone()),
        ("client-request-id", Some(attempt.client_request_id.clone())),
    ];
    let known = details
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let wait = attempt.retry_after_seconds.map(Duration::from_secs);
    Step {
        class,
        at: attempt.begun_at.to_string(),
        words: (texts.attempt)(attempt.number, outcome),
        wait: wait.map(|wait| (texts.asked_to_wait)(&time.span(wait))),
        said: attempt.reason.clone(),
        details: known.collect(),
        copy: None,
    }
}
