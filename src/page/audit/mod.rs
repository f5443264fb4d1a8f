//! The audit list, for administrators: who did what, when, from where, and what came of it.
//! The guard records every change (`access/record.rs`); `admin/audit/` keeps the list.

mod texts;

use std::io;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

pub(super) use self::texts::AuditTexts;
use super::Page;
use super::layout::Layout;
use super::texts::Language;
use super::visitor::NotAllowed;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::AuditAct;
use crate::admin::AuditAction;
use crate::admin::AuditEntry;
use crate::admin::AuditResult;

/// Where it is.
pub(super) const PATH: &str = "/audit";

/// Entries on a page.
const MOST: usize = 100;

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route("/audit", get(list))
        .route("/audit.jsonl", get(download))
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
    /// Entries that are skipped.
    #[serde(default)]
    from: usize,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct List {
    layout: Layout,
    q: String,
    rows: Vec<AuditEntry>,
    newest: Option<String>,
    older: Option<String>,
    download: String,
    is_unreadable: bool,
}

impl List {
    fn class(&self, result: &AuditResult) -> &'static str {
        match result {
            AuditResult::Done => "ok",
            AuditResult::Begun => "",
            AuditResult::Prepared | AuditResult::Refused => "warn",
            AuditResult::Failed => "bad",
        }
    }

    fn result(&self, result: &AuditResult) -> &'static str {
        (self.layout.texts.audit.result_of)(*result)
    }

    /// The action in words; none if another version has written it.
    fn action(&self, act: &AuditAct) -> Option<&'static str> {
        let action = AuditAction::of_word(&act.action);
        action.map(self.layout.texts.audit.action_of)
    }
}

/// What the page shows of an entry in the words of a language: these are found too.
fn shown_in(language: Language) -> impl Fn(&AuditAct) -> String + Send + 'static {
    let texts = &language.texts().audit;
    move |act| {
        let action = AuditAction::of_word(&act.action).map_or("", texts.action_of);
        format!("{action} {}", (texts.result_of)(act.result))
    }
}

async fn list(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, NotAllowed> {
    visitor.require_to_see(Role::Administrator)?;
    let found = page.found(&visitor, &asked).await;
    let is_unreadable = found.is_err();
    let found = found.unwrap_or_default();
    let end = asked.from.saturating_add(MOST);
    let q: String = utf8_percent_encode(&asked.q, NON_ALPHANUMERIC).collect();
    let list = List {
        older: (found.len() > end).then(|| format!("{PATH}?q={q}&from={end}")),
        newest: (asked.from > 0).then(|| format!("{PATH}?q={q}")),
        download: format!("/audit.jsonl?q={q}"),
        rows: found.into_iter().skip(asked.from).take(MOST).collect(),
        is_unreadable,
        q: asked.q,
        layout: match page.layout(&visitor, None).await {
            Ok(layout) => layout,
            Err(broken) => return Ok(broken.into_response()),
        },
    };
    Ok(super::shown(&list).into_response())
}

impl Page {
    async fn found(&self, visitor: &Visitor, asked: &Asked) -> io::Result<Vec<AuditEntry>> {
        let shown = shown_in(visitor.language);
        self.admin_state.audit.find(&asked.q, shown).await
    }
}

/// All that is found, one JSON object a line.
async fn download(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, NotAllowed> {
    visitor.require_to_see(Role::Administrator)?;
    let Ok(found) = page.found(&visitor, &asked).await else {
        return Ok(super::Broken::Spool.into_response());
    };
    let lines = found.iter().filter_map(|it| serde_json::to_string(it).ok());
    let text: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/jsonl; charset=utf-8"),
        ),
        (
            CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"audit.jsonl\""),
        ),
    ];
    Ok((headers, text).into_response())
}
