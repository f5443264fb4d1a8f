//! The list as a file: everything that matches, as CSV for a spreadsheet or as JSON Lines
//! for programs.
//!
//! - The rows are those of the list, read page by page while they are sent, so that no
//!   export is in memory. Mail comes first: others read the spool between two pages.
//! - An export ends after [`MOST_ROWS`] rows and after [`LONGEST`]. Then its last line says
//!   so: without such a line it is complete.
//! - CSV is as RFC 4180 has it, in UTF-8 with a byte order mark, without which Excel reads
//!   another charset. A cell that a spreadsheet would take for a formula gets an apostrophe
//!   in front.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::stream;
use serde_json::Value;
use tokio::time::Instant;

use super::search::Asked;
use crate::admin::HistoryRow;
use crate::admin::PAGE;
use crate::page::Page;
use crate::page::layout;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::spool::Filter;
use crate::spool::Place;
use crate::telemetry::operatorlog;

/// Rows of an export.
const MOST_ROWS: usize = 200_000;
/// The longest time of an export; a connection ends after two minutes.
const LONGEST: Duration = Duration::from_secs(90);

/// The columns of CSV: fields of the rows as JSON has them.
const COLUMNS: [&str; 27] = [
    "received_at",
    "state",
    "author",
    "sender",
    "recipient",
    "asked_for",
    "subject",
    "happened",
    "next",
    "client",
    "hello",
    "user",
    "id",
    "message_id",
    "account",
    "mailbox",
    "attempts",
    "changed_at",
    "next_attempt_at",
    "status",
    "http_status",
    "code",
    "request_id",
    "retry_after_seconds",
    "reason",
    "reply",
    "times",
];

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

pub(super) async fn csv(
    page: State<Arc<Page>>,
    visitor: Visitor,
    asked: Query<Asked>,
) -> Result<Response, Refused> {
    export(page, visitor, asked, Form::Csv)
}

pub(super) async fn json_lines(
    page: State<Arc<Page>>,
    visitor: Visitor,
    asked: Query<Asked>,
) -> Result<Response, Refused> {
    export(page, visitor, asked, Form::JsonLines)
}

fn export(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
    form: Form,
) -> Result<Response, Refused> {
    let session = visitor.require(Role::Viewer)?;
    let Ok(filter) = asked.filter() else {
        let texts = visitor.texts();
        let (title, words) = (texts.export.title, texts.messages.bad_filter);
        return Ok(layout::told(
            &visitor,
            StatusCode::BAD_REQUEST,
            title,
            words,
        ));
    };
    let (kind, name, action) = match form {
        Form::Csv => ("text/csv; charset=utf-8", "messages.csv", "export_csv"),
        Form::JsonLines => ("application/jsonl", "messages.jsonl", "export_jsonl"),
    };
    operatorlog::page_action(visitor.client, &session.name, action, 0);
    let export = Export {
        page,
        text: asked.text().to_owned(),
        filter,
        form,
        next: Next::Beginning,
        rows: 0,
        begun: Instant::now(),
    };
    let pieces = stream::try_unfold(export, |mut export| async move {
        let piece = export.piece().await?;
        Ok::<_, io::Error>(piece.map(|piece| (piece, export)))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    if let Ok(name) = name {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Where an export is.
enum Next {
    Beginning,
    Behind(Place),
    End,
}

struct Export {
    page: Arc<Page>,
    text: String,
    filter: Option<Filter>,
    form: Form,
    next: Next,
    rows: usize,
    begun: Instant,
}

impl Export {
    /// The next bytes; none at the end.
    async fn piece(&mut self) -> io::Result<Option<String>> {
        let mut piece = String::new();
        let after = match self.next {
            Next::End => return Ok(None),
            Next::Behind(place) => Some(place),
            Next::Beginning => {
                piece.push_str(self.form.head().as_str());
                None
            }
        };
        if let Some(why) = self.ends() {
            self.next = Next::End;
            piece.push_str(&self.form.note(&why));
            return Ok(Some(piece));
        }
        let admin_state = &self.page.admin_state;
        let found = admin_state.history(&self.text, self.filter.clone(), after, PAGE);
        let found = match found.await {
            Ok(found) => found,
            Err(error) => {
                self.next = Next::End;
                piece.push_str(&self.form.note(&format!("incomplete: {error}")));
                return Ok(Some(piece));
            }
        };
        self.rows += found.rows.len();
        for row in &found.rows {
            piece.push_str(&self.form.row(row)?);
        }
        self.next = found.next.map_or(Next::End, Next::Behind);
        Ok(Some(piece))
    }

    /// Why it ends here although there may be more rows.
    fn ends(&self) -> Option<String> {
        let how = "narrow the search, or use graph-relay history --json";
        if self.rows >= MOST_ROWS {
            return Some(format!("incomplete: ended after {} rows; {how}", self.rows));
        }
        let is_late = self.begun.elapsed() >= LONGEST;
        is_late.then(|| {
            let (seconds, rows) = (LONGEST.as_secs(), self.rows);
            format!("incomplete: ended after {seconds} seconds and {rows} rows; {how}")
        })
    }
}

impl Form {
    fn head(self) -> String {
        match self {
            Self::Csv => format!("\u{feff}{}\r\n", COLUMNS.join(",")),
            Self::JsonLines => String::new(),
        }
    }

    fn row(self, row: &HistoryRow) -> io::Result<String> {
        Ok(match self {
            Self::Csv => {
                let value = serde_json::to_value(row)?;
                let cells = COLUMNS.map(|column| cell(value.get(column)));
                format!("{}\r\n", cells.join(","))
            }
            Self::JsonLines => format!("{}\n", serde_json::to_string(row)?),
        })
    }

    /// The last line of an export that is not complete.
    fn note(self, why: &str) -> String {
        match self {
            Self::Csv => format!("{}\r\n", quoted(why)),
            Self::JsonLines => format!("{}\n", serde_json::json!({ "incomplete": why })),
        }
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => other.to_string(),
    }
}

/// A text as a cell (RFC 4180 2), which no spreadsheet takes for a formula: neither at its
/// beginning nor behind what separates cells where commas are decimal marks.
fn quoted(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r') {
            guarded.push('\'');
        }
        guarded.push(c);
        begins = matches!(c, ';' | '\t' | '\r' | '\n');
    }
    match guarded.contains(['"', ',', ';', '\r', '\n']) || guarded != text {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        for (text, cell) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "\"'=1+1\""),
            ("+49 30", "\"'+49 30\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t'=1\""),
            ("x;=1", "\"x;'=1\""),
            ("x\t@A", "\"x\t'@A\""),
            ("a;b", "\"a;b\""),
            ("a=1", "a=1"),
        ] {
            assert_eq!(quoted(text), cell);
        }
    }
}
