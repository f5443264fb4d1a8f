//! The pages, first the one that shows what arrived: no script, and nothing a message says can become one.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;

use crate::sandbox::Shared;
use crate::sandbox::addresses::fault_addresses;
use crate::sandbox::store::Arrival;
use crate::sandbox::wall;

pub(super) fn router() -> Router<Arc<Shared>> {
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

/// A page to sign in, whose forms may come back here.
pub(super) fn page(status: StatusCode, template: &impl Template) -> axum::http::Response<Bytes> {
    let (status, html) = match template.render() {
        Ok(html) => (status, html),
        Err(error) => {
            tracing::error!(%error, "sandbox: making a page");
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    };
    let mut response = axum::http::Response::new(Bytes::from(html));
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, FORM_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With "no-referrer" a browser would say "Origin: null" for the forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
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
        time: wall::rfc3339(arrival.time),
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

const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const FORM_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// Messages on the page: as many as anyone reads; the rest is in `/sandbox/messages`.
const SHOWN: usize = 200;
