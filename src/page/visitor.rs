//! Who makes a request.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;

use super::Broken;
use super::access::sessions::Session;
use super::mailboxes::guests::Guest;
use super::texts::Language;
use super::texts::Texts;
use crate::admin::Applied;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
pub(super) use crate::admin::PageRole as Role;
use crate::spool::SpoolError;

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
    /// What the audit list says about the request.
    pub(super) notes: Notes,
}

/// What the audit list says about a request; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

/// The words of a handler about its request.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted {
    /// Who has logged in by it.
    pub(super) who: Option<(String, Role)>,
    /// What was done; none if there is nothing to record.
    pub(super) action: Option<AuditAction>,
    /// On what.
    pub(super) about: String,
    /// What came of it, and why; otherwise the status of the answer says it.
    pub(super) result: Option<(AuditResult, String)>,
}

impl Notes {
    /// What was noted.
    pub(super) fn get(&self) -> Noted {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Says in the audit list what this request does, and on what: never a secret.
    pub(super) fn audit(&self, action: AuditAction, about: impl Into<String>) {
        let mut noted = self.notes.lock();
        noted.action = Some(action);
        noted.about = about.into();
    }

    /// Says on what the request does what its route says.
    pub(super) fn audit_about(&self, about: impl Into<String>) {
        self.notes.lock().about = about.into();
    }

    /// Says what came of it, and why, where the status of the answer does not.
    pub(super) fn audit_result(&self, result: AuditResult, why: impl Into<String>) {
        self.notes.lock().result = Some((result, why.into()));
    }

    /// Says that it is refused, and why.
    pub(super) fn audit_refused(&self, why: impl Into<String>) {
        self.audit_result(AuditResult::Refused, why);
    }

    /// Says what became of a change of relay.toml.
    pub(super) fn audit_change(&self, applied: &Applied) {
        let (result, why) = match applied {
            Applied::Prepared { id } => (
                AuditResult::Prepared,
                format!("waits for: graph-relay apply {id}"),
            ),
            Applied::Written(in_force) => in_force.result(),
        };
        self.audit_result(result, why);
    }

    /// Says that the audit list has no entry about this request: it changes nothing, such as
    /// one that is answered by a question.
    pub(super) fn audit_nothing(&self) {
        self.notes.lock().action = None;
    }

    /// The same visitor, with notes of its own for another entry about the same request.
    pub(super) fn apart(&self) -> Self {
        Self {
            notes: Notes(Arc::new(Mutex::new(self.notes.get()))),
            ..self.clone()
        }
    }

    /// Says in the audit list who has logged in by this request.
    pub(super) fn audit_log_in(&self, name: &str, role: Role) {
        self.audit(AuditAction::LogIn, "");
        self.notes.lock().who = Some((name.to_owned(), role));
    }

    /// Whoever is logged in and may see this.
    pub(super) fn require_to_see(&self, role: Role) -> Result<&Session, NotAllowed> {
        let refused = |NotAllowed { visitor, .. }| NotAllowed {
            visitor,
            is_change: false,
        };
        self.require(role).map_err(refused)
    }

    /// Whoever is logged in and may do this.
    pub(super) fn require(&self, role: Role) -> Result<&Session, NotAllowed> {
        let session = self.session.as_ref().filter(|it| it.role >= role);
        session.ok_or_else(|| NotAllowed {
            visitor: Box::new(self.clone()),
            is_change: true,
        })
    }

    /// Whoever gives an order; its route has checked the role.
    pub(super) fn logged_in(&self) -> Result<&Session, NotAllowed> {
        self.require(Role::Viewer)
    }
}

/// A visitor whose role does not suffice.
#[derive(Debug)]
pub(super) struct NotAllowed {
    pub(super) visitor: Box<Visitor>,
    /// Whether it was about changing something, or about seeing it.
    pub(super) is_change: bool,
}

/// Why a visitor does not get a page, or an order is not carried out.
#[derive(Debug)]
pub(super) enum Refused {
    /// The role does not suffice.
    Role(NotAllowed),
    /// It cannot be shown.
    Page(Broken),
}

impl From<NotAllowed> for Refused {
    fn from(why: NotAllowed) -> Self {
        Self::Role(why)
    }
}

impl From<Broken> for Refused {
    fn from(why: Broken) -> Self {
        Self::Page(why)
    }
}

impl From<SpoolError> for Refused {
    fn from(why: SpoolError) -> Self {
        Self::Page(why.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Role(why) => why.into_response(),
            Self::Page(why) => why.into_response(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let visitor = parts.extensions.get::<Self>().cloned();
        // The guard has put it there.
        visitor.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
