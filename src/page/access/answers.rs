//! Refusals in words: what axum or the guard answers with a bare status becomes a page that
//! says what is wrong and what to do.

use axum::http::StatusCode;
use axum::http::header::ALLOW;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use crate::page::layout::told;
use crate::page::visitor::Visitor;

/// The answer in words, if it is a refusal without.
pub(super) fn in_words(visitor: &Visitor, mut response: Response) -> Response {
    let texts = &visitor.texts().access;
    let (title, words) = match response.status() {
        StatusCode::BAD_REQUEST
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => (texts.unreadable_title, texts.unreadable),
        StatusCode::NOT_FOUND => (texts.not_found_title, texts.not_found),
        StatusCode::METHOD_NOT_ALLOWED => (texts.method_title, texts.method),
        StatusCode::REQUEST_TIMEOUT => (texts.slow_title, texts.slow),
        StatusCode::PAYLOAD_TOO_LARGE => (texts.large_title, texts.large),
        _ => return response,
    };
    let kind = response.headers().get(CONTENT_TYPE);
    let is_bare = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !is_bare {
        return response;
    }
    let allowed = response.headers_mut().remove(ALLOW);
    let mut told = told(visitor, response.status(), title, words);
    told.headers_mut().extend(allowed.map(|it| (ALLOW, it)));
    told
}
