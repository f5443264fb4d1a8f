//! One message: what became of it in a sentence, what can be done, its recipients, and
//! everything that happened to it.

use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Row;
use super::actions;
use super::timeline::Step;
use super::timeline::steps;
use crate::admin::Shown;
use crate::page::Broken;
use crate::page::Page;
use crate::page::badge::Badge;
use crate::page::layout;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::texts::MessageTexts;
use crate::page::texts::Texts;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::spool::EntryView;
use crate::spool::State as Became;

/// Recipients that the choice of the original ones names.
const NAMED: usize = 10;
/// Recipients that are shown; a message may have some hundreds.
const RECIPIENTS: u32 = 500;

/// A button.
struct Button {
    action: &'static str,
    title: &'static str,
    class: &'static str,
}

/// How a message can be sent again, or why it cannot.
struct Resend {
    /// In English; nothing if it can.
    why_not: Option<String>,
    /// Until when it can.
    until: Option<String>,
    original: String,
    /// The mailbox that sends it, if it has an address.
    mailbox: Option<String>,
    /// Whether what was typed is not an address.
    is_wrong: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// What was wrong with the form that led here.
    wrong: Option<String>,
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
    resend: Option<Resend>,
    /// Whether the visitor may look at its content, and it has some.
    has_content: bool,
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
    Query(asked): Query<Asked>,
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
    let message = shown.entry.summary.id;
    let id = message.to_string();
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
        steps: steps(&shown, texts),
        buttons: match may_act {
            true => buttons(&shown.entry, &texts.message),
            false => Vec::new(),
        },
        has_content: may_act && page.admin_state.content(message).await?.is_ok(),
        resend: match may_act {
            true => Some(resend(&page, &shown.entry, &asked, texts).await?),
            false => None,
        },
        rows,
        shown,
        id,
    })
}

fn buttons(entry: &EntryView, texts: &MessageTexts) -> Vec<Button> {
    let button = |action, title, class| Button {
        action,
        title,
        class,
    };
    let retry = button("retry", texts.retry, "primary");
    let hold = button("hold", texts.hold, "");
    let release = button("release", texts.release, "primary");
    let drop = button("drop", texts.drop, "danger");
    match entry.summary.state {
        Became::Waiting => vec![retry, hold, drop],
        Became::Held => vec![release, drop],
        Became::Failed | Became::Quarantined => vec![retry, drop],
        // Deletes its content.
        Became::Dropped if entry.kept_until_at.is_some() => vec![drop],
        // What is being sent cannot be stopped.
        Became::Claimed | Became::Delivered | Became::Dropped => Vec::new(),
    }
}

async fn resend(
    page: &Page,
    entry: &EntryView,
    asked: &Asked,
    texts: &Texts,
) -> Result<Resend, Broken> {
    let recipients = &entry.summary.recipients;
    let mut original: Vec<&str> = recipients.iter().map(String::as_str).take(NAMED).collect();
    let more;
    if recipients.len() > original.len() {
        more = (texts.order.further_recipients)(recipients.len() - original.len());
        original.push(&more);
    }
    let until = entry.kept_until_at.map(crate::page::moment);
    let mailbox = entry.summary.mailbox.clone();
    Ok(Resend {
        why_not: actions::why_not_resent(page, entry.summary.id).await?,
        until: until.map(|until| (texts.order.can_until)(&until)),
        original: (texts.order.resend_original)(&original.join(", ")),
        mailbox: mailbox
            .filter(|it| it.contains('@'))
            .map(|it| (texts.order.resend_mailbox)(&it)),
        is_wrong: asked.wrong.is_some(),
    })
}
