//! The frame of every page: navigation, language, log-out, and what needs attention.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Broken;
use super::Page;
use super::access::places;
use super::access::sessions::Session;
use super::attention::Notice;
use super::texts::Language;
use super::texts::Texts;
use super::visible::visible;
use super::visitor::LANGUAGE;
use super::visitor::NotAllowed;
use super::visitor::Role;
use super::visitor::Visitor;

/// Where a language is chosen, before the log-in too.
pub(super) const LANGUAGES: &str = "/language/";

/// A page of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Messages,
    Devices,
    Mailboxes,
    Setup,
    Doctor,
}

impl Tab {
    const ALL: [Self; 6] = [
        Self::Overview,
        Self::Messages,
        Self::Devices,
        Self::Mailboxes,
        Self::Setup,
        Self::Doctor,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Messages => "/messages",
            Self::Devices => "/devices",
            Self::Mailboxes => "/mailboxes",
            Self::Setup => "/setup",
            Self::Doctor => "/doctor",
        }
    }

    fn title(self, texts: &Texts) -> &'static str {
        match self {
            Self::Overview => texts.layout.overview,
            Self::Messages => texts.layout.messages,
            Self::Devices => texts.layout.devices,
            Self::Mailboxes => texts.layout.mailboxes,
            Self::Setup => texts.layout.setup,
            Self::Doctor => texts.doctor.title,
        }
    }

    /// Who may use it.
    fn least(self) -> Role {
        match self {
            Self::Overview | Self::Messages | Self::Devices | Self::Mailboxes | Self::Doctor => {
                Role::Viewer
            }
            Self::Setup => Role::Administrator,
        }
    }
}

/// A line of the navigation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) title: &'static str,
    pub(super) path: &'static str,
    pub(super) is_current: bool,
}

/// What `templates/layout.html` shows.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) texts: &'static Texts,
    pub(super) language: Language,
    pub(super) hostname: String,
    /// Path and query of this page.
    pub(super) here: String,
    pub(super) version: &'static str,
    pub(super) tabs: Vec<Entry>,
    pub(super) session: Option<Session>,
    pub(super) notices: Vec<Notice>,
    /// This page in the other languages: their names and addresses.
    pub(super) languages: Vec<(Language, String)>,
    /// In the sandbox, the page with the mail that arrived.
    pub(super) inbox: Option<Arc<str>>,
}

impl Layout {
    pub(super) fn new(
        visitor: &Visitor,
        tab: Option<Tab>,
        hostname: &str,
        notices: Vec<Notice>,
    ) -> Self {
        let texts = visitor.texts();
        let may = |it: &Tab| visitor.require(it.least()).is_ok();
        let entries = Tab::ALL.into_iter().filter(may).map(|it| Entry {
            title: it.title(texts),
            path: it.path(),
            is_current: tab == Some(it),
        });
        let others = Language::ALL
            .into_iter()
            .filter(|it| *it != visitor.language);
        let address = |language: Language| {
            let back: String = percent_encoding::utf8_percent_encode(
                &visitor.here,
                percent_encoding::NON_ALPHANUMERIC,
            )
            .collect();
            (
                language,
                format!("{LANGUAGES}{}?back={back}", language.tag()),
            )
        };
        let session = visitor.session().cloned();
        Self {
            texts,
            language: visitor.language,
            hostname: hostname.to_owned(),
            here: visitor.here.clone(),
            version: env!("CARGO_PKG_VERSION"),
            tabs: match session {
                Some(_) => entries.collect(),
                None => Vec::new(),
            },
            inbox: visitor.inbox.clone(),
            languages: others.map(address).collect(),
            session,
            notices,
        }
    }

    /// What the visitor may do, in a word.
    pub(super) fn role(&self) -> &'static str {
        let session = self.session.as_ref();
        session.map_or("", |session| (self.texts.access.role)(session.role))
    }

    /// What every form has to name.
    pub(super) fn csrf(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.csrf)
    }
}

#[derive(Template)]
#[template(path = "told.html")]
struct Told {
    layout: Layout,
    title: &'static str,
    words: &'static str,
}

/// A page that says one thing.
pub(super) fn told(
    visitor: &Visitor,
    status: StatusCode,
    title: &'static str,
    words: &'static str,
) -> Response {
    let told = Told {
        layout: Layout::new(visitor, None, "", Vec::new()),
        title,
        words,
    };
    match told.render() {
        Ok(page) => (status, Html(visible(page))).into_response(),
        Err(_) => (status, words).into_response(),
    }
}

#[derive(Template)]
#[template(path = "connect_back.html")]
struct Back {
    layout: Layout,
    path: String,
}

/// Leads a browser on that comes back from Microsoft: it sends its cookie only with requests
/// that begin at a page of ours.
pub(super) fn back(visitor: &Visitor, hostname: &str, path: String) -> Result<Response, Broken> {
    super::shown(&Back {
        layout: Layout::new(visitor, None, hostname, Vec::new()),
        path,
    })
}

impl IntoResponse for NotAllowed {
    fn into_response(self) -> Response {
        let texts = &self.visitor.texts().access;
        let words = match self.is_change {
            true => texts.not_allowed,
            false => texts.not_shown,
        };
        let title = texts.not_allowed_title;
        told(&self.visitor, StatusCode::FORBIDDEN, title, words)
    }
}

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new().route("/language/{tag}", get(choose))
}

#[derive(Debug, Deserialize)]
struct Chosen {
    back: Option<String>,
}

/// Keeps the language in a cookie; nothing else changes.
async fn choose(Path(tag): Path<String>, Query(chosen): Query<Chosen>) -> Response {
    let Some(language) = Language::of_tag(&tag) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let back = chosen.back.as_deref().and_then(places::own).unwrap_or("/");
    let mut response = Redirect::to(back).into_response();
    let (name, tag) = (LANGUAGE, language.tag());
    let cookie = format!("{name}={tag}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
