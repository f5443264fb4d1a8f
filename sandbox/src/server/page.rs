//! The page that shows the received messages. It has no script, and nothing in a message can become
//! one.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;

use crate::faults::addresses::fault_addresses;
use crate::server::shared::Shared;
use crate::store::Arrival;
use crate::time;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(arrived))
        .route("/sandbox/page.css", get(style))
}

#[derive(Template)]
#[template(path = "sandbox.html")]
struct Page<'a> {
    rows: Vec<Row>,
    arrived: u64,
    mailboxes: &'a [String],
    admin_page: Option<&'a str>,
    faults: &'static [(&'static str, &'static str)],
}

struct Row {
    id: u64,
    time: String,
    mailbox: String,
    to: String,
    cc: String,
    bcc: String,
    subject: String,
    size: usize,
    files: Vec<String>,
}

async fn arrived(State(shared): State<Arc<Shared>>) -> Response {
    let newest = shared.store.newest(SHOWN);
    let page = Page {
        rows: newest.iter().map(|arrival| row(arrival)).collect(),
        arrived: shared.store.totals().arrivals,
        mailboxes: &shared.settings.mailboxes,
        admin_page: shared.admin_page.get().map(String::as_str),
        faults: fault_addresses(),
    };
    match page.render() {
        Ok(html) => served("text/html; charset=utf-8", html),
        Err(error) => {
            tracing::error!(%error, "sandbox: making the page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn style() -> Response {
    served(
        "text/css; charset=utf-8",
        include_str!("page.css").to_owned(),
    )
}

fn row(arrival: &Arrival) -> Row {
    Row {
        id: arrival.id,
        time: time::rfc3339(arrival.time),
        mailbox: arrival.mailbox.clone(),
        to: arrival.to.join(", "),
        cc: arrival.cc.join(", "),
        bcc: arrival.bcc.join(", "),
        subject: arrival.subject.clone(),
        size: arrival.octets(),
        files: arrival
            .attachments
            .iter()
            .map(|it| it.name.clone())
            .collect(),
    }
}

fn served(media_type: &'static str, content: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, content).into_response()
}

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// How many messages the page shows; `/sandbox/messages` has the others.
const SHOWN: usize = 200;
