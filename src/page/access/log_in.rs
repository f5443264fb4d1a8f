//! Logging in and out: with a link that `graph-relay page` prints, or with the password of
//! `[admin] password_hash`.
//!
//! Opening a link does not use it up; the button of its page does. So no program that
//! looks at links ahead logs in, and the cookie is set by a request of the page itself.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use tokio::time::Instant;

use super::change::Who;
use super::change::change;
use super::cookies::Cookie;
use super::places;
use super::sessions::LONGEST;
use crate::admin::AuditAction;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::texts::AccessTexts;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::telemetry::complaints;
use crate::telemetry::operatorlog;

/// The only page that needs no log-in.
pub(in crate::page) const PATH: &str = places::LOG_IN;

/// Who used a link: only root and the relay's own user can get one.
const BY_LINK: &str = "link";
/// Who used the password of relay.toml.
const BY_PASSWORD: &str = "password";

#[derive(Template)]
#[template(path = "log_in.html")]
struct LogIn {
    layout: Layout,
    link: Option<String>,
    /// Where the log-in leads.
    next: String,
    has_password: bool,
    has_entra: bool,
    /// What has just happened.
    news: Option<&'static str>,
    problem: Option<&'static str>,
}

pub(in crate::page) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route(
            PATH,
            get(ask).merge(change(Who::Anybody, AuditAction::LogIn, answer)),
        )
        .route(
            "/log-out",
            change(Who::Role(Role::Viewer), AuditAction::LogOut, log_out),
        )
}

#[derive(Debug, Deserialize)]
struct Opened {
    link: Option<String>,
    #[serde(default)]
    next: String,
    /// What has just happened.
    said: Option<String>,
}

/// The session has ended by itself.
pub(super) const ENDED: &str = "said=ended";
/// Somebody has logged out.
const LOGGED_OUT: &str = "said=logged-out";

impl Opened {
    fn news(&self, texts: &AccessTexts) -> Option<&'static str> {
        match self.said.as_deref()? {
            "ended" => Some(texts.session_ended),
            "logged-out" => Some(texts.logged_out),
            _ => None,
        }
    }
}

async fn ask(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(opened): Query<Opened>,
) -> Result<Response, Broken> {
    if visitor.session().is_some() {
        return Ok(Redirect::to(places::after_log_in(&opened.next)).into_response());
    }
    let news = opened.news(&visitor.texts().access);
    let shown = log_in(&page, &visitor, opened.link, &opened.next, None);
    crate::page::shown(&LogIn { news, ..shown })
}

fn form(
    page: &Page,
    visitor: &Visitor,
    link: Option<String>,
    next: &str,
    problem: Option<&'static str>,
) -> Result<Response, Broken> {
    crate::page::shown(&log_in(page, visitor, link, next, problem))
}

fn log_in(
    page: &Page,
    visitor: &Visitor,
    link: Option<String>,
    next: &str,
    problem: Option<&'static str>,
) -> LogIn {
    LogIn {
        layout: Layout::new(visitor, None, &page.hostname, Vec::new()),
        link: link.filter(|_| problem.is_none()),
        next: places::after_log_in(next).to_owned(),
        has_password: page.access.password.is_some(),
        has_entra: page.access.entra.is_some(),
        news: None,
        problem,
    }
}

#[derive(Deserialize)]
struct Shown {
    link: Option<String>,
    password: Option<String>,
    #[serde(default)]
    next: String,
}

async fn answer(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(shown): Form<Shown>,
) -> Result<Response, Broken> {
    let (access, client, now) = (&page.access, visitor.client, Instant::now());
    let texts = &visitor.texts().access;
    // A link cannot be guessed: whoever has one need not wait because of others.
    let link = shown.link.unwrap_or_default();
    if let Some(role) = access.links.redeem(&link, now) {
        return Ok(begin(&page, &visitor, BY_LINK, role, &shown.next));
    }
    // One password of a client at a time: nobody else waits for more than one of it, and the
    // next of the client is verified only if it need not wait by then.
    let turns = access.attempts.turns(client);
    let _turn = turns.lock().await;
    let now = Instant::now();
    if access.attempts.must_wait(client, now) {
        complaints::not_logged_in(client, "too many wrong attempts: the client has to wait");
        visitor.audit_nothing();
        let response = form(&page, &visitor, None, &shown.next, Some(texts.wait))?;
        return Ok((StatusCode::TOO_MANY_REQUESTS, response).into_response());
    }
    if let Some(password) = shown.password
        && verify(&page, password).await
    {
        // Whoever set it may change relay.toml.
        let role = Role::Administrator;
        return Ok(begin(&page, &visitor, BY_PASSWORD, role, &shown.next));
    }
    access.attempts.failed(client, now);
    let (reason, problem) = match link.is_empty() {
        true => ("wrong password", texts.wrong_password),
        false => (
            "the link was used, has expired or never existed",
            texts.wrong_link,
        ),
    };
    complaints::not_logged_in(client, reason);
    visitor.audit_refused(reason);
    let response = form(&page, &visitor, None, &shown.next, Some(problem))?;
    Ok((StatusCode::FORBIDDEN, response).into_response())
}

/// Verifies a password, one at a time, on a thread of its own.
async fn verify(page: &Page, password: String) -> bool {
    let Some(hash) = page.access.password.clone() else {
        return false;
    };
    // Fails only for a closed semaphore, and nobody closes this one.
    let _turn = page.access.passwords.acquire().await;
    let verified = tokio::task::spawn_blocking(move || hash.verify(&password)).await;
    verified.unwrap_or(false)
}

/// Begins a session.
pub(super) fn begin(
    page: &Page,
    visitor: &Visitor,
    name: &str,
    role: Role,
    next: &str,
) -> Response {
    let begun = page.access.sessions.begin(name, role, Instant::now());
    let Ok(secret) = begun else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    operatorlog::logged_in(visitor.client, name, role.name());
    visitor.audit_log_in(name, role);
    let mut response = Redirect::to(places::after_log_in(next)).into_response();
    Cookie::Session.set(&mut response, visitor, &secret, LONGEST.as_secs());
    response
}

async fn log_out(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    headers: axum::http::HeaderMap,
) -> Response {
    if let Some(secret) = Cookie::Session.of_visitor(&headers, &visitor) {
        page.access.sessions.end(secret);
    }
    let mut response = Redirect::to(&format!("{PATH}?{LOGGED_OUT}")).into_response();
    Cookie::Session.forget(&mut response, &visitor);
    // Nobody who goes back in the browser sees a page of the session again.
    let everything_kept = HeaderValue::from_static("\"cache\"");
    response
        .headers_mut()
        .insert("clear-site-data", everything_kept);
    response
}
