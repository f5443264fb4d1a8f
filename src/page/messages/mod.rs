//! The messages: one row for each recipient, accepted and refused together, newest first.
//! Search and filters are in the URL, so that a list can be sent to somebody.

mod actions;
mod content;
pub(super) mod desk;
mod export;
mod message;
mod order;
mod search;
pub(super) mod texts;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use self::search::Asked;
use self::search::Choice;
use self::search::Chosen;
use super::Broken;
use super::Page;
use super::access::change::Who;
use super::access::change::change;
use super::badge::Badge;
use super::layout::Layout;
use super::layout::Tab;
use super::texts::MessagesTexts;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::AuditAction;
use crate::admin::HistoryRow;
use crate::spool::Sought;
use crate::spool::ToMatch;

/// Rows of a page.
const ROWS: u32 = 100;
/// Messages that match are counted up to this number, and not for longer than this.
const COUNTED: usize = 10_000;
const PATIENCE: Duration = Duration::from_millis(15);

/// Who may change messages.
const OPERATOR: Who = Who::Role(Role::Operator);

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route("/messages", get(list))
        .route(
            "/messages/actions",
            change(OPERATOR, AuditAction::ChangeMessages, actions::act),
        )
        .route(
            "/messages/orders/{key}",
            get(order::show).merge(change(
                OPERATOR,
                AuditAction::ChangeMessages,
                actions::confirm,
            )),
        )
        .route("/messages/export.csv", get(export::csv))
        .route("/messages/export.jsonl", get(export::json_lines))
        .route("/messages/{id}", get(message::show))
        .route("/messages/{id}/content", get(content::show))
        .route("/messages/{id}/html", get(content::html))
        .route("/messages/{id}/raw", get(content::raw))
        .route(
            "/messages/{id}/resend",
            change(OPERATOR, AuditAction::Resend, actions::resend),
        )
}

/// A row of the table.
struct Row {
    row: HistoryRow,
    badge: Badge,
}

impl Row {
    /// When it came, to the second: the list says that times are in UTC.
    fn received_at(&self) -> String {
        let second = self.row.received_at.get(.."2026-12-01T12:00:00".len());
        second.unwrap_or_default().replace('T', " ")
    }

    /// Whether the list says what comes next; of what has ended, the page of the message does.
    fn goes_on(&self) -> bool {
        matches!(self.badge, Badge::Waiting | Badge::Claimed | Badge::Held)
    }

    fn status(&self, texts: &MessagesTexts) -> &'static str {
        (texts.status)(self.badge)
    }
}

#[derive(Template)]
#[template(path = "messages.html")]
struct Messages {
    layout: Layout,
    asked: Asked,
    states: Vec<Choice>,
    times: Vec<Choice>,
    /// Filters that were chosen by a link, each with the address without it.
    chosen: Vec<Chosen>,
    problem: Option<String>,
    rows: Vec<Row>,
    /// Where the next rows are.
    older: Option<String>,
    /// Where the newest rows are, if these are others.
    newest: Option<String>,
    is_everything: bool,
    /// The address of this list, without what a form has added to it.
    here: String,
    /// Whether it updates itself: only the newest, and not while somebody searches in it.
    is_live: bool,
    /// The same list as files: CSV, and JSON Lines.
    exports: [String; 2],
    /// How many messages match, and whether that is all, where an order can be for all of them.
    matching: Option<(usize, bool)>,
    /// Whether the visitor may change messages.
    may_act: bool,
}

async fn list(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let all = visitor.texts();
    let texts = &all.messages;
    let layout = page.layout(&visitor, Some(Tab::Messages)).await?;
    let (found, problem) = match asked.filter() {
        Ok(filter) => {
            let found = page
                .admin_state
                .history(asked.text(), filter, asked.place(), ROWS);
            (Some(found.await?), None)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    let (rows, next) = found.map_or((Vec::new(), None), |found| (found.rows, found.next));
    let rows = rows.into_iter().map(|row| Row {
        badge: Badge::of(&row),
        row,
    });
    let may_act = visitor.require(Role::Operator).is_ok();
    let matching = match may_act && !asked.is_everything() && problem.is_none() {
        true => matching(&page, &asked).await?,
        false => None,
    };
    super::shown(&Messages {
        layout,
        matching,
        states: asked.states(texts),
        times: asked.times(all),
        chosen: asked.chosen(texts),
        problem,
        rows: rows.collect(),
        older: next.map(|place| asked.behind(Some(place))),
        here: asked.behind(asked.place()),
        is_live: !asked.is_behind() && asked.text().is_empty(),
        newest: asked.is_behind().then(|| asked.behind(None)),
        is_everything: asked.is_everything(),
        exports: ["csv", "jsonl"].map(|form| asked.export(form)),
        may_act,
        asked,
    })
}

/// How many messages match; nothing if an order for those on the page is enough.
async fn matching(page: &Page, asked: &Asked) -> Result<Option<(usize, bool)>, Broken> {
    let Ok(filter) = asked.filter() else {
        return Ok(None);
    };
    let wanted = ToMatch {
        sought: Sought::of(asked.text()),
        filter,
        action: None,
        limit: COUNTED,
        patience: PATIENCE,
    };
    let found = page.admin_state.spool.matching(wanted).await?;
    let count = found.ids.len();
    Ok((count > 1).then_some((count, found.is_all)))
}
