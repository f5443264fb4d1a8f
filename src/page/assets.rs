//! The files of `static/`, compiled in. They need no log-in, and tell nothing about this
//! relay except its version.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;

use super::Page;

/// Every file is below it.
pub(super) const FOLDER: &str = "/static/";

const STYLE: &str = include_str!("static/page.css");
const SCRIPT: &str = include_str!("static/page.js");
const HTMX: &str = include_str!("static/htmx.min.js");

/// A browser may keep them for an hour: after an upgrade, their address has another
/// version.
const KEEP: HeaderValue = HeaderValue::from_static("private, max-age=3600");

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route("/static/page.css", get(|| file("text/css", STYLE)))
        .route("/static/page.js", get(|| file("text/javascript", SCRIPT)))
        .route("/static/htmx.js", get(|| file("text/javascript", HTMX)))
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let kind = match kind {
        "text/css" => HeaderValue::from_static("text/css; charset=utf-8"),
        _ => HeaderValue::from_static("text/javascript; charset=utf-8"),
    };
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, KEEP)], text).into_response()
}
