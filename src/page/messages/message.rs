//! One message: what became of it in a sentence, what can be done, its recipients, and
//! everything that happened to it.

use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Row;
use crate::admin::Shown;
use crate::page::Broken;
use crate::page::Page;
use crate::page::badge::Badge;
use crate::page::layout;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::texts::MessageTexts;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::spool::AttemptOutcome;
use crate::spool::AttemptView;
use crate::spool::State as Became;

/// Recipients that are shown; a message may have some hundreds.
const RECIPIENTS: u32 = 500;

/// A step of the timeline.
struct Step {
    class: &'static str,
    at: String,
    words: String,
    /// What the relay says, in English.
    said: Option<String>,
    details: Vec<(&'static str, String)>,
}

/// A button.
struct Button {
    action: &'static str,
    title: &'static str,
    class: &'static str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    layout: Layout,
    id: String,
    title: String,
    rows: Vec<Row>,
    shown: Shown,
    steps: Vec<Step>,
    buttons: Vec<Button>,
    can_resend: bool,
}

impl Message {
    /// The first row speaks for the message.
    fn first(&self) -> Option<&Row> {
        self.rows.first()
    }
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Broken> {
    let texts = visitor.texts();
    let found = match id.parse() {
        Ok(id) => page.admin_state.message(id).await?,
        Err(_) => None,
    };
    let Some(shown) = found else {
        let (title, words) = (texts.message.unknown_title, texts.message.unknown);
        return Ok(layout::told(&visitor, StatusCode::NOT_FOUND, title, words));
    };
    let id = shown.entry.summary.id.to_string();
    let history = page.admin_state.history(&id, None, None, RECIPIENTS);
    let rows = history.await?.rows.into_iter();
    // Also found by it: reports about it, and copies of it.
    let rows = rows.filter(|row| row.id.as_deref() == Some(&id));
    let rows: Vec<Row> = rows
        .map(|row| Row {
            badge: Badge::of(&row),
            row,
        })
        .collect();
    let subject = rows.first().and_then(|row| row.row.subject.clone());
    let may_act = visitor.require(Role::Operator).is_ok();
    super::super::shown(&Message {
        layout: page.layout(&visitor, Some(Tab::Messages)).await?,
        title: subject.unwrap_or_else(|| texts.messages.no_subject.to_owned()),
        steps: steps(&shown, &texts.message),
        buttons: match may_act {
            true => buttons(shown.entry.summary.state, &texts.message),
            false => Vec::new(),
        },
        can_resend: may_act && shown.entry.about.is_none(),
        rows,
        shown,
        id,
    })
}

fn buttons(state: Became, texts: &MessageTexts) -> Vec<Button> {
    let button = |action, title, class| Button {
        action,
        title,
        class,
    };
    let retry = button("retry", texts.retry, "primary");
    let hold = button("hold", texts.hold, "");
    let release = button("release", texts.release, "primary");
    let drop = button("drop", texts.drop, "danger");
    match state {
        Became::Waiting => vec![retry, hold, drop],
        Became::Held => vec![release, drop],
        Became::Failed | Became::Quarantined => vec![retry, drop],
        // What is being sent cannot be stopped.
        Became::Claimed | Became::Delivered | Became::Dropped => Vec::new(),
    }
}

fn steps(shown: &Shown, texts: &MessageTexts) -> Vec<Step> {
    let entry = &shown.entry;
    let accepted = Step {
        class: "ok",
        at: entry.summary.accepted_at.to_string(),
        words: match entry.about {
            Some(_) => texts.made.to_owned(),
            None => (texts.accepted)(&entry.client, &entry.hello),
        },
        said: None,
        details: Vec::new(),
    };
    let attempts = entry.timeline.iter().map(|attempt| step(attempt, texts));
    let mut steps: Vec<Step> = [accepted].into_iter().chain(attempts).collect();
    if entry.summary.state == Became::Waiting {
        steps.push(Step {
            class: "",
            at: entry.summary.due_at.to_string(),
            words: (texts.planned)(entry.summary.attempts.saturating_add(1)),
            said: None,
            details: Vec::new(),
        });
    }
    steps
}

fn step(attempt: &AttemptView, texts: &MessageTexts) -> Step {
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
        (texts.took, attempt.took_ms.map(|took| format!("{took} ms"))),
        ("request-id", attempt.request_id.clone()),
        ("client-request-id", Some(attempt.client_request_id.clone())),
    ];
    let known = details
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    Step {
        class,
        at: attempt.begun_at.to_string(),
        words: (texts.attempt)(attempt.number, outcome),
        said: attempt.reason.clone(),
        details: known.collect(),
    }
}
