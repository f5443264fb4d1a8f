//! Who may see what: every request passes [`guard`] before a page handles it.
//!
//! | what is checked | against |
//! |---|---|
//! | Host is one of a list | DNS rebinding |
//! | the Origin of a change is the page itself | changes that another site makes a browser send |
//! | a change names the token of its session | the same |
//! | there is a session, whose cookie no other site makes a browser send (`SameSite=Strict`) | everybody else |
//! | body, time, and requests that work at once are limited | using up the relay |
//!
//! Every answer forbids scripts and styles from elsewhere or inside a page, framing,
//! guessing of types, and keeping a copy.

mod answers;
mod attempts;
pub(in crate::page) mod change;
pub(in crate::page) mod client;
pub(in crate::page) mod cookies;
pub(in crate::page) mod entra;
pub(in crate::page) mod log_in;
mod origin;
pub(in crate::page) mod places;
mod record;
pub(in crate::page) mod sessions;

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use ipnet::IpNet;
use ring::digest;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::attempts::Attempts;
use self::cookies::Cookie;
use self::sessions::By;
use self::sessions::Sessions;
use super::Connection;
use super::Page;
use super::Settings;
use super::assets;
use super::attention::Notice;
use super::layout;
use super::mailboxes::guests;
use super::server::Place;
use super::texts::Language;
use super::visitor;
use super::visitor::Visitor;
use crate::admin::AdminState;
use crate::admin::PageLinks;
use crate::config::EntraLogIn;
use crate::credentials::PasswordHash;

/// The most bytes of a form.
const LARGEST_BODY: usize = 64 * 1024;
/// How long a body may take to come in.
const BODY: Duration = Duration::from_secs(10);
/// The longest time of a request, without its body.
const LONGEST: Duration = Duration::from_secs(20);
/// Requests of those logged in that work at once: they share the spool with the delivery of
/// mail. The log-in and the files of `static/` do not use it, so strangers take no turns.
const AT_ONCE: usize = 2;
/// Passwords that are verified at once: each takes 20 MB and a core.
const PASSWORDS_AT_ONCE: usize = 1;
/// With it, the page updates itself, and nobody need be there.
const LIVE: HeaderName = HeaderName::from_static("x-live");
/// What the guard needs to know.
#[derive(Debug)]
pub(super) struct Access {
    /// Further names of the page.
    hosts: Vec<String>,
    /// Whose word counts on who a client is.
    proxies: Vec<IpNet>,
    /// A proxy whose word does not count.
    unnamed: client::proxy::Unnamed,
    links: PageLinks,
    password: Option<PasswordHash>,
    /// Who may log in with Entra.
    entra: Option<EntraLogIn>,
    sessions: Sessions,
    attempts: Attempts,
    /// Wrong log-ins in the audit list.
    wrong: record::Wrong,
    passwords: Semaphore,
    turns: Semaphore,
}

impl Access {
    /// What is unsafe about how visitors come, for every page.
    pub(super) fn notice(&self, language: Language) -> Option<Notice> {
        self.unnamed.notice(language)
    }

    pub(super) fn new(settings: &Settings, admin_state: &AdminState) -> Self {
        let mut hosts = settings.page.hosts.clone();
        hosts.push(settings.hostname.to_ascii_lowercase());
        hosts.push(settings.url.host().to_owned());
        Self {
            hosts,
            proxies: settings.page.proxies.clone(),
            unnamed: client::proxy::Unnamed::default(),
            links: admin_state.page_links.clone(),
            password: settings.page.password_hash.clone(),
            sessions: settings.sessions.clone(),
            entra: settings.page.entra.clone(),
            attempts: Attempts::default(),
            wrong: record::Wrong::default(),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

/// Lets a request through to its page, or refuses it. Records it in the audit list if it may
/// have changed something.
pub(super) async fn guard(State(page): State<Arc<Page>>, request: Request, next: Next) -> Response {
    let checked = check(&page, request).await;
    let mut response = match checked {
        Err(refused) => *refused,
        Ok((request, visitor)) if request.method() == Method::POST => {
            ordered(page, request, visitor, next).await
        }
        Ok((request, visitor)) => handled(&page, request, &visitor, next, BUSY).await,
    };
    harden(response.headers_mut());
    response
}

/// Handles a request that may change something, and records it, in a task of its own: a client
/// that closes its connection early must not keep the request out of the audit list.
async fn ordered(page: Arc<Page>, request: Request, visitor: Visitor, next: Next) -> Response {
    // The connection counts until the request is handled: clients that close early must not have
    // more requests at once than those that wait.
    let place = request.extensions().get::<Place>().cloned();
    let own = Arc::clone(&page);
    let order = page.orders.spawn(async move {
        let _place = place;
        let response = handled(&own, request, &visitor, next, BUSY_WITH_ORDER).await;
        own.record(&visitor, response.status()).await;
        response
    });
    let response = order.await;
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The answer of the page to a request, or these words if it does not come in time.
async fn handled(
    page: &Page,
    request: Request,
    visitor: &Visitor,
    next: Next,
    busy: &'static str,
) -> Response {
    let answered = answered(page, request, visitor, next);
    match tokio::time::timeout(LONGEST, answered).await {
        Ok(response) => answers::in_words(visitor, response),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, busy).into_response(),
    }
}

async fn answered(page: &Page, request: Request, visitor: &Visitor, next: Next) -> Response {
    let _turn = match visitor.session {
        // Fails only for a closed semaphore, and nobody closes this one.
        Some(_) => page.access.turns.acquire().await.ok(),
        None => None,
    };
    next.run(request).await
}

const BUSY: &str = "The relay is too busy to show this page. Mail is not affected. Try again in a \
    moment.\nDas Relay ist gerade zu beschäftigt für diese Seite. E-Mails sind nicht betroffen. \
    Bitte gleich noch einmal versuchen.\n";

/// An order that has begun goes on.
const BUSY_WITH_ORDER: &str = "The relay has not answered in time. It may still carry out what you \
    asked for: look at the message before you ask again.\nDas Relay hat nicht rechtzeitig \
    geantwortet. Vielleicht führt es den Auftrag noch aus: Bitte vor einem zweiten Versuch die \
    Nachricht ansehen.\n";

/// The answer that refuses a request.
type Refused = Box<Response>;

fn with(answer: impl IntoResponse) -> Refused {
    Box::new(answer.into_response())
}

/// The same for a status that explains nothing.
fn bare(visitor: &Visitor, status: StatusCode) -> Refused {
    with(answers::in_words(visitor, status.into_response()))
}

/// The request with its [`Visitor`], or the answer that refuses it.
async fn check(page: &Page, request: Request) -> Result<(Request, Visitor), Refused> {
    let (mut parts, body) = request.into_parts();
    let host = host(&parts, &page.access.hosts)?;
    let visitor = visitor(page, &parts, &host)?;
    let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
    if !is_read && parts.method != Method::POST {
        return Err(bare(&visitor, StatusCode::METHOD_NOT_ALLOWED));
    }
    let origin = single(&parts.headers, &header::ORIGIN);
    if !is_read && !origin.is_some_and(|origin| origin::is_own(origin, &host, &page.url)) {
        let texts = &visitor.texts().access;
        return Err(with(refused(&visitor, texts.foreign_title, texts.foreign)));
    }
    let path = parts.uri.path();
    let has_own_secret = path == log_in::PATH || guests::is_open(path) || entra::is_open(path);
    let is_open = has_own_secret
        || path.starts_with(assets::FOLDER)
        || (is_read && path.starts_with(layout::LANGUAGES));
    if visitor.session.is_none() && visitor.guest.is_none() && !is_open {
        let arrival = places::arrival(&parts, visitor.language);
        return Err(with(arrival.unwrap_or_else(|| to_log_in(&parts, &visitor))));
    }
    let body = match is_read {
        true => Body::empty(),
        false => {
            let body = received(body).await;
            let body = body.map_err(|status| bare(&visitor, status))?;
            let mut is_named = false;
            for token in visitor.tokens() {
                is_named |= names(&parts.headers, body.clone(), token).await;
            }
            // Whoever logs in has no session yet; its secret is the link or the password.
            if !has_own_secret && !is_named {
                let texts = &visitor.texts().access;
                return Err(with(refused(&visitor, texts.stale_title, texts.stale)));
            }
            Body::from(body)
        }
    };
    parts.extensions.insert(visitor.clone());
    Ok((Request::from_parts(parts, body), visitor))
}

/// The way to the log-in, which says it if a session has ended.
fn to_log_in(parts: &Parts, visitor: &Visitor) -> Response {
    match Cookie::Session.of_visitor(&parts.headers, visitor) {
        None => places::to_log_in(parts, &visitor.host, ""),
        Some(_) => {
            let mut response = places::to_log_in(parts, &visitor.host, log_in::ENDED);
            // It is said once.
            Cookie::Session.forget(&mut response, visitor);
            response
        }
    }
}

/// The Host of a request, if it is one by which the page may be reached.
fn host(parts: &Parts, hosts: &[String]) -> Result<String, Refused> {
    const UNKNOWN: &str = "This name does not belong to the admin page. To use it, add it to hosts \
        under [admin] in relay.toml, then restart the relay.\n";
    let connection = parts.extensions.get::<Connection>();
    let host = single(&parts.headers, &header::HOST);
    let known = connection.zip(host).filter(|(connection, host)| {
        let target = parts.uri.authority();
        target.is_none_or(|target| target.as_str().eq_ignore_ascii_case(host))
            && origin::is_known(host, connection.local, hosts)
    });
    match known {
        Some((_, host)) => Ok(host.to_ascii_lowercase()),
        None => Err(with((StatusCode::MISDIRECTED_REQUEST, UNKNOWN))),
    }
}

fn visitor(page: &Page, parts: &Parts, host: &str) -> Result<Visitor, Refused> {
    let connection = parts.extensions.get::<Connection>();
    let connection = connection.ok_or_else(|| with(StatusCode::INTERNAL_SERVER_ERROR))?;
    let by = match parts.headers.contains_key(LIVE) {
        true => By::Page,
        false => By::Person,
    };
    if page.access.proxies.is_empty() {
        let peer = connection.client.ip();
        page.access.unnamed.look(peer, &parts.headers);
    }
    // A proxy may end TLS in front of the page; then `url` says so.
    let is_encrypted =
        connection.is_encrypted || (page.url.is_https() && page.url.authority() == host);
    let secret = Cookie::Session.of(&parts.headers, is_encrypted, host);
    let session = secret.and_then(|secret| page.access.sessions.find(secret, by, Instant::now()));
    // A guest is nobody anywhere else.
    let guest = Cookie::Guest
        .of(&parts.headers, is_encrypted, host)
        .filter(|_| guests::is_for_guests(parts.uri.path()))
        .and_then(|secret| page.guests.find(secret, Instant::now()));
    let chosen = cookies::value(&parts.headers, visitor::LANGUAGE).and_then(Language::of_tag);
    let accepted = single(&parts.headers, &header::ACCEPT_LANGUAGE);
    Ok(Visitor {
        session,
        guest,
        host: host.to_owned(),
        language: chosen.unwrap_or_else(|| Language::accepted(accepted.unwrap_or_default())),
        client: client::client(connection.client.ip(), &parts.headers, &page.access.proxies),
        here: here(parts),
        is_encrypted,
        inbox: page.inbox.clone(),
        notes: visitor::Notes::default(),
    })
}

/// Where a link back leads: what was asked for, if it can be asked for again.
fn here(parts: &Parts) -> String {
    let asked = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    match parts.method {
        Method::GET | Method::HEAD => asked.to_owned(),
        _ => "/messages".to_owned(),
    }
}

/// The value of a field that a request has once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

async fn received(body: Body) -> Result<Bytes, StatusCode> {
    let body = axum::body::to_bytes(body, LARGEST_BODY);
    match tokio::time::timeout(BODY, body).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Whether a form names this token.
async fn names(headers: &HeaderMap, body: Bytes, token: &str) -> bool {
    #[derive(Deserialize)]
    struct Named {
        csrf: String,
    }
    let mut form = Request::new(Body::from(body));
    *form.method_mut() = Method::POST;
    let kind = headers.get(header::CONTENT_TYPE).cloned();
    form.headers_mut()
        .extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
    let form = Form::<Named>::from_request(form, &()).await;
    // Digests, so that the time of the comparison tells nothing.
    let of = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    form.is_ok_and(|Form(named)| of(&named.csrf).as_ref() == of(token).as_ref())
}

fn refused(visitor: &Visitor, title: &'static str, words: &'static str) -> Response {
    layout::told(visitor, StatusCode::FORBIDDEN, title, words)
}

/// Sets what every answer says.
fn harden(headers: &mut HeaderMap) {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
        frame-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        // The HTML of a message has a stricter one, and may be framed by this page.
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not "no-referrer": with it, browsers send `Origin: null` with a form (Fetch 3.2).
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        let value = HeaderValue::from_static(value);
        headers.entry(name).or_insert(value);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
        (PERMISSIONS, "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
