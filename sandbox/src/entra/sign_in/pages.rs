//! The pages to sign in at: how each is sent, and the one that says what is wrong.

use askama::Template;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;

/// A page to sign in, whose forms may come back here.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response<Bytes> {
    let (status, html) = match template.render() {
        Ok(html) => (status, html),
        Err(error) => {
            tracing::error!(%error, "sandbox: making a page");
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    };
    let mut response = Response::new(Bytes::from(html));
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

/// A page that says what is wrong, or how it went.
pub(crate) fn notice(status: StatusCode, text: &str) -> Response<Bytes> {
    page(status, &Notice { text })
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    text: &'a str,
}

const FORM_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";
