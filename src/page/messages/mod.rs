//! The messages: one row for each recipient, accepted and refused together, newest first.
//! Search and filters are in the URL, so that a list can be sent to somebody.

mod actions;
mod message;
mod search;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;

use self::search::Asked;
use self::search::Choice;
use self::search::Chosen;
use super::Broken;
use super::Page;
use super::badge::Badge;
use super::layout::Layout;
use super::layout::Tab;
use super::texts::MessagesTexts;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::HistoryRow;

/// Rows of a page.
const ROWS: u32 = 100;

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route("/messages", get(list))
        .route("/messages/actions", post(actions::act))
        .route("/messages/{id}", get(message::show))
        .route("/messages/{id}/resend", post(actions::resend))
}

/// A row of the table.
struct Row {
    row: HistoryRow,
    badge: Badge,
}

impl Row {
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
    /// Whether the visitor may change messages.
    may_act: bool,
}

async fn list(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let texts = &visitor.texts().messages;
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
    super::shown(&Messages {
        layout,
        states: asked.states(texts),
        times: asked.times(texts),
        chosen: asked.chosen(texts),
        problem,
        rows: rows.collect(),
        older: next.map(|place| asked.behind(Some(place))),
        newest: asked.is_behind().then(|| asked.behind(None)),
        is_everything: asked.is_everything(),
        may_act: visitor.require(Role::Operator).is_ok(),
        asked,
    })
}
