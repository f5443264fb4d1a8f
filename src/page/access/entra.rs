//! Logging in with Entra, for the users and groups of `[admin.entra]`.
//!
//! | step | by |
//! |---|---|
//! | `GET /log-in/entra` sets a cookie with a secret, and leads to Microsoft; before that, to the name of the page at which the browser will come back | anybody |
//! | `GET /log-in/done` leads on, since the browser comes back without the cookie | anybody |
//! | `GET /log-in/entra/end` logs in | the browser with the cookie |
//!
//! `state`, `nonce` and the verifier of PKCE follow from the secret, so nothing is kept here:
//! nobody can use up room, and no other browser can end the log-in.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use tokio::time::Instant;

use super::cookies::Cookie;
use super::log_in;
use super::places;
use crate::admin::LogInAttempt;
use crate::admin::LoggedIn;
use crate::admin::NotLoggedIn;
use crate::admin::Why;
use crate::admin::secret;
use crate::config::EntraLogIn;
use crate::config::Person;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::telemetry::complaints;

/// Where the log-in begins.
const BEGIN: &str = "/log-in/entra";
/// Where the browser comes back.
const DONE: &str = "/log-in/done";
/// Where the log-in ends.
const END: &str = "/log-in/entra/end";

/// How long somebody may take at Microsoft, in seconds.
const LONGEST: u64 = 15 * 60;

/// Whether a path needs no log-in.
pub(super) fn is_open(path: &str) -> bool {
    path == BEGIN || path == DONE || path == END
}

pub(in crate::page) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route(BEGIN, get(begin))
        .route(DONE, get(done))
        .route(END, get(end))
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
    /// The browser has been led to the page's own name. Asking once is enough: a proxy may
    /// hide the name.
    #[serde(default)]
    here: bool,
}

async fn begin(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let Some(entra) = &page.access.entra else {
        return Ok(Redirect::to(log_in::PATH).into_response());
    };
    // The cookie has to be where the browser comes back.
    if visitor.host != page.url.authority() && !asked.here {
        let next = utf8_percent_encode(places::after_log_in(&asked.next), NON_ALPHANUMERIC);
        let there = page.url.to(&format!("{BEGIN}?here=true&next={next}"));
        return Ok(Redirect::to(&there).into_response());
    }
    let secret = secret().map_err(|_| Broken::Random)?;
    let attempt = LogInAttempt::of(&secret);
    let next = URL_SAFE_NO_PAD.encode(places::after_log_in(&asked.next));
    let state = format!("{}.{next}", attempt.state());
    let redirect_uri = page.url.to(DONE);
    let url = page
        .admin_state
        .log_in_url(&entra.account, &attempt, &state, &redirect_uri);
    match url {
        Ok(url) => {
            let mut response = Redirect::to(&url).into_response();
            Cookie::LogIn.set(&mut response, &visitor, &secret, LONGEST);
            Ok(response)
        }
        Err(why) => failed(&page, &visitor, Problem::of(why)),
    }
}

/// The browser comes back, without its cookie: only a page of our own has it sent again.
async fn done(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Broken> {
    let path = format!("{END}?{}", uri.query().unwrap_or_default());
    crate::page::layout::back(&visitor, &page.hostname, path)
}

#[derive(Debug, Deserialize)]
struct Ended {
    #[serde(default)]
    state: String,
}

async fn end(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(ended): Query<Ended>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Broken> {
    let (access, client, now) = (&page.access, visitor.client, Instant::now());
    let Some(entra) = &access.entra else {
        return Ok(Redirect::to(log_in::PATH).into_response());
    };
    let texts = &visitor.texts().access;
    if access.attempts.must_wait(client, now) {
        complaints::not_logged_in(client, "too many wrong attempts: the client has to wait");
        return failed(&page, &visitor, Problem::title(texts.wait));
    }
    let secret = Cookie::LogIn.of_visitor(&headers, &visitor);
    let attempt = secret.map(LogInAttempt::of);
    let proven = ended.state.split('.').next().unwrap_or_default();
    let Some(attempt) = attempt.filter(|attempt| attempt.state() == proven) else {
        return failed(&page, &visitor, Problem::title(texts.entra_stale));
    };
    let redirect_uri = page.url.to(DONE);
    let address = format!("{redirect_uri}?{}", uri.query().unwrap_or_default());
    let finished =
        page.admin_state
            .finish_log_in(&entra.account, &attempt, &address, &redirect_uri);
    let person = match finished.await {
        Ok(person) => person,
        Err(NotLoggedIn { why, is_declined }) => {
            // Whoever declines has guessed nothing.
            if !is_declined {
                access.attempts.failed(client, now);
            }
            complaints::not_logged_in(client, &why.words);
            return failed(&page, &visitor, Problem::of(why));
        }
    };
    let Some(role) = role(entra, &person) else {
        complaints::not_logged_in(client, &format!("{} is not in [admin.entra]", person.name));
        return failed(
            &page,
            &visitor,
            Problem {
                title: texts.entra_not_listed,
                why: None,
                who: Some(person.name),
                groups_are_missing: person.groups_are_missing,
            },
        );
    };
    let next = ended.state.split_once('.').map_or("", |(_, next)| next);
    let next = URL_SAFE_NO_PAD.decode(next).unwrap_or_default();
    let next = String::from_utf8(next).unwrap_or_default();
    let mut response = log_in::begin(&page, &visitor, &person.name, role, &next);
    Cookie::LogIn.forget(&mut response, &visitor);
    Ok(response)
}

/// What somebody may do: the most that a list allows.
fn role(entra: &EntraLogIn, person: &LoggedIn) -> Option<Role> {
    let is_in = |list: &[Person]| {
        list.iter().any(|listed| match listed {
            Person::Name(name) => {
                let upn = person.upn.as_ref();
                upn.is_some_and(|upn| upn.eq_ignore_ascii_case(name))
            }
            Person::Id(id) => {
                let id = id.to_string();
                person.ids.iter().any(|it| it.eq_ignore_ascii_case(&id))
            }
        })
    };
    let lists = [
        (&entra.administrators, Role::Administrator),
        (&entra.operators, Role::Operator),
        (&entra.viewers, Role::Viewer),
    ];
    let found = lists.into_iter().find(|(list, _)| is_in(list));
    found.map(|(_, role)| role)
}

/// Why a log-in with Entra failed.
struct Problem {
    title: &'static str,
    /// In English.
    why: Option<Why>,
    who: Option<String>,
    groups_are_missing: bool,
}

impl Problem {
    fn title(title: &'static str) -> Self {
        Self {
            title,
            why: None,
            who: None,
            groups_are_missing: false,
        }
    }

    fn of(why: Why) -> Self {
        Self {
            why: Some(why),
            ..Self::title("")
        }
    }
}

#[derive(Template)]
#[template(path = "log_in_failed.html")]
struct Failed {
    layout: Layout,
    problem: Problem,
}

fn failed(page: &Page, visitor: &Visitor, problem: Problem) -> Result<Response, Broken> {
    let shown = crate::page::shown(&Failed {
        layout: Layout::new(visitor, None, &page.hostname, Vec::new()),
        problem,
    })?;
    Ok((StatusCode::FORBIDDEN, shown).into_response())
}
