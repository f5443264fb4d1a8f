//! Who makes a request.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::access::sessions::Session;
use super::mailboxes::guests::Guest;
use super::texts::Language;
use super::texts::Texts;
pub(super) use crate::admin::PageRole as Role;

/// The cookie with the language that somebody chose.
pub(super) const LANGUAGE: &str = "graph-relay-language";

/// Who makes a request, and how.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// Who it is; none at the log-in only.
    pub(super) session: Option<Session>,
    /// Who came by a link to connect one mailbox; only where guests may go.
    pub(super) guest: Option<Guest>,
    pub(super) language: Language,
    pub(super) client: IpAddr,
    /// Name and port by which the browser reaches the page.
    pub(super) host: String,
    /// Path and query of the request; of an order, of the list that it is about.
    pub(super) here: String,
    pub(super) is_encrypted: bool,
    /// In the sandbox, the page with the mail that arrived.
    pub(super) inbox: Option<Arc<str>>,
}

impl Visitor {
    /// The texts in the visitor's language.
    pub(super) fn texts(&self) -> &'static Texts {
        self.language.texts()
    }

    /// Whoever is logged in.
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// What a change must name one of, and whoever knows it is this visitor.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        let session = self.session.iter().map(|session| session.csrf.as_str());
        let guest = self.guest.iter().map(|guest| guest.csrf.as_str());
        session.chain(guest)
    }

    /// Whoever is logged in and may do this.
    pub(super) fn require(&self, role: Role) -> Result<&Session, NotAllowed> {
        let session = self.session.as_ref().filter(|it| it.role >= role);
        session.ok_or_else(|| NotAllowed(Box::new(self.clone())))
    }
}

/// A visitor whose role does not suffice.
#[derive(Debug)]
pub(super) struct NotAllowed(pub(super) Box<Visitor>);

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let visitor = parts.extensions.get::<Self>().cloned();
        // The guard has put it there.
        visitor.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
