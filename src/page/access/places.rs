//! Where a visitor goes on after the log-in, or after a link from another site.
//!
//! A browser sends the cookie of the session (`SameSite=Strict`) with no link of another
//! site, such as one of an alert in a chat. So whoever is logged in and follows one would
//! end at the log-in. [`arrival`] answers such a request with a page that leads to the same
//! address: that request comes from this page, so it has the cookie. It tells nothing, and
//! a link can change nothing.

use askama::Template;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::REFERER;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use super::single;
use crate::page::texts::AccessTexts;
use crate::page::texts::Language;

/// The log-in: the only page that needs no session.
pub(in crate::page) const LOG_IN: &str = "/log-in";

/// Where the request comes from (Fetch Metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Whether it opens a page.
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// htmx makes the request.
const HTMX: HeaderName = HeaderName::from_static("hx-request");
/// The page in which htmx makes it.
const HTMX_PAGE: HeaderName = HeaderName::from_static("hx-current-url");
/// htmx goes there.
const HTMX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// The longest place that is kept during the log-in.
const LONGEST: usize = 2000;

/// A place of this page, if it is one: a browser reads `//host` and `/\host` as another
/// site.
pub(in crate::page) fn own(place: &str) -> Option<&str> {
    let is_own = place.starts_with('/')
        && !place.starts_with("//")
        && !place.contains(|c: char| c == '\\' || c.is_control())
        && place.len() <= LONGEST;
    is_own.then_some(place)
}

/// Where a log-in leads: to what was asked for, or to the overview.
pub(super) fn after_log_in(next: &str) -> &str {
    own(next)
        .filter(|next| !next.starts_with(LOG_IN))
        .unwrap_or("/")
}

#[derive(Template)]
#[template(path = "arrival.html")]
struct Arrival<'a> {
    language: Language,
    texts: &'static AccessTexts,
    place: &'a str,
}

/// The page that goes on to the same address, for a link of another site.
pub(super) fn arrival(parts: &Parts, language: Language) -> Option<Response> {
    let is_link = parts.method == Method::GET
        && single(&parts.headers, &SITE) == Some("cross-site")
        && single(&parts.headers, &MODE) == Some("navigate");
    let place = parts.uri.path_and_query()?.as_str();
    let page = Arrival {
        language,
        texts: &language.texts().access,
        place: own(place).filter(|_| is_link)?,
    };
    let page = page.render().ok()?;
    Some((StatusCode::OK, Html(page)).into_response())
}

/// The way to the log-in, and from there on to what was asked for. `said` is what the log-in
/// says, if anything.
pub(super) fn to_log_in(parts: &Parts, host: &str, said: &str) -> Response {
    let headers = &parts.headers;
    if headers.contains_key(HTMX) {
        // A redirect would put the log-in into the middle of the page.
        let there = log_in_before(
            &page_in(headers, &HTMX_PAGE, None).unwrap_or_default(),
            said,
        );
        let place = HeaderValue::from_str(&there);
        let place = place.unwrap_or(HeaderValue::from_static(LOG_IN));
        return (StatusCode::UNAUTHORIZED, [(HTMX_REDIRECT, place)]).into_response();
    }
    let asked = match parts.method {
        Method::GET => parts.uri.path_and_query().map(|it| it.as_str().to_owned()),
        // Back to the form.
        _ => page_in(headers, &REFERER, Some(host)),
    };
    Redirect::to(&log_in_before(&asked.unwrap_or_default(), said)).into_response()
}

/// The page that a field names, of this host.
fn page_in(headers: &HeaderMap, name: &HeaderName, host: Option<&str>) -> Option<String> {
    let url: Uri = single(headers, name)?.parse().ok()?;
    let is_own = host.is_none_or(|host| {
        let named = url.authority().map(|it| it.as_str());
        named.is_some_and(|named| named.eq_ignore_ascii_case(host))
    });
    let place = url.path_and_query().map(|it| it.as_str().to_owned());
    place.filter(|_| is_own)
}

/// The address of the log-in that leads to this place.
fn log_in_before(place: &str, said: &str) -> String {
    let next = match after_log_in(place) {
        "/" => String::new(),
        place => format!("next={}", utf8_percent_encode(place, NON_ALPHANUMERIC)),
    };
    let query = [said, &next].into_iter().filter(|it| !it.is_empty());
    let query = query.collect::<Vec<_>>().join("&");
    match query.as_str() {
        "" => LOG_IN.to_owned(),
        query => format!("{LOG_IN}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_this_page_are_its_own() {
        for place in ["/", "/messages?q=a&state=failed", "/messages/ABC", "/a//b"] {
            assert_eq!(own(place), Some(place));
        }
        for foreign in [
            "",
            "messages",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/\r\nSet-Cookie: a=b",
            "https://evil.example",
            "javascript:alert(1)",
            &"/a".repeat(LONGEST),
        ] {
            assert_eq!(own(foreign), None, "{foreign}");
        }
        assert_eq!(after_log_in("/log-in?link=x"), "/");
        assert_eq!(after_log_in("//evil.example"), "/");
    }
}
