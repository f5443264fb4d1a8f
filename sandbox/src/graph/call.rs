//! The checks of every call of Graph, in Graph's order: token, mailbox, role, the mailbox's limits,
//! size of the body; then the endpoint does its work.
//!
//! The body of a refused request is still read (up to a limit), so that a client that is writing it
//! gets the answer and not a reset; except if the client asks first (`Expect`). A fault from the
//! API can act at three points: while the body is read, before the work, and after it.

use std::sync::Arc;

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use futures_util::StreamExt;
use serde_json::Value;

use crate::entra::token::access_tokens::Grant;
use crate::faults::fault::Cut;
use crate::faults::fault::Fault;
use crate::faults::fault::Station;
use crate::graph::errors::Refusal;
use crate::graph::errors::denied;
use crate::graph::errors::envelope;
use crate::graph::errors::too_large;
use crate::graph::errors::unsupported;
use crate::graph::mailboxes::Mailbox;
use crate::graph::mailboxes::Slot;
use crate::graph::message::messages::IdKind;
use crate::graph::message::submission::Submission;
use crate::server::call::Call;
use crate::server::exchange::Exchange;
use crate::server::shared::Shared;

/// The mailbox that a path names.
pub(crate) enum Owner {
    /// The user who signed in.
    Me,
    /// The user with this UPN or object ID.
    Key(String),
}

impl Owner {
    /// The mailbox in answers, as the path named it.
    pub(crate) fn named<'a>(&'a self, mailbox: &'a Mailbox) -> &'a str {
        match self {
            Self::Me => &mailbox.upn,
            Self::Key(key) => key,
        }
    }
}

/// What a path names: a mailbox, and within it a message or folder.
pub(crate) struct Target {
    pub(crate) owner: Owner,
    /// Empty if the path has none.
    pub(crate) item: String,
}

impl FromRequestParts<Arc<Shared>> for Target {
    type Rejection = RawPathParamsRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        let parameters = RawPathParams::from_request_parts(parts, shared).await?;
        let mut target = Self {
            owner: Owner::Me,
            item: String::new(),
        };
        for (name, value) in &parameters {
            if name == "user" {
                target.owner = Owner::Key(value.to_owned());
            } else {
                target.item = value.to_owned();
            }
        }
        Ok(target)
    }
}

/// What an endpoint gets for its work.
pub(crate) struct Work<'a> {
    pub(crate) mailbox: &'a Arc<Mailbox>,
    pub(crate) body: Vec<u8>,
    /// The fault that applies. The endpoint may choose one if there is none, and the fault says
    /// whether to accept a message.
    pub(crate) fault: Option<Fault>,
}

impl Work<'_> {
    /// Whether the fault lets the work be done.
    pub(crate) fn is_done(&self) -> bool {
        self.fault.as_ref().is_none_or(Fault::stores)
    }
}

impl Call {
    /// Checks that the token is valid, the mailbox exists, the app has one of the roles for it, and
    /// the mailbox is within its limits. The slot is what Graph counts as one request: keep it
    /// until there is an answer.
    pub(crate) fn admit(&self, owner: &Owner, roles: &[&str]) -> Result<Slot, Refusal> {
        let grant = authorize(&self.shared, &self.headers)?;
        let key = match (owner, grant.user()) {
            (Owner::Key(key), _) => key,
            (Owner::Me, Some(user)) => &user.upn,
            (Owner::Me, None) => return Err(no_me()),
        };
        let mailbox = self.shared.mailboxes.find(key)?;
        self.note_mailbox(&mailbox);
        let settings = &self.shared.settings;
        if let Some(user) = grant.user() {
            let own = user.upn.eq_ignore_ascii_case(&mailbox.upn);
            if !own || !roles.iter().any(|role| grant.has_scope(role)) {
                return Err(denied());
            }
            return Slot::claim(mailbox, settings);
        }
        let in_scope = settings
            .rbac_mailboxes
            .iter()
            .any(|upn| upn.eq_ignore_ascii_case(&mailbox.upn));
        let by_scope = |role: &&str| in_scope && settings.rbac_roles.iter().any(|it| it == role);
        if !roles
            .iter()
            .any(|role| grant.has_role(role) || by_scope(role))
        {
            return Err(denied());
        }
        Slot::claim(mailbox, settings)
    }

    pub(crate) fn note_mailbox(&self, mailbox: &Mailbox) {
        self.shared.store.note(self.exchange.number, |record| {
            record.mailbox = Some(mailbox.upn.clone());
        });
    }

    pub(crate) fn note_recipients(&self, message: &Submission) {
        self.shared.store.note(self.exchange.number, |record| {
            record.recipients = message.recipients().cloned().collect();
        });
    }

    /// Answers: the work gets the whole body, unless a fault of the station prevents it.
    pub(crate) async fn answer(
        &self,
        at: Station,
        admitted: Result<Slot, Refusal>,
        body: Body,
        work: impl FnOnce(&mut Work<'_>) -> Result<Response<Bytes>, Refusal>,
    ) -> Response<Body> {
        let response = match self.run(at, admitted, body, work).await {
            Ok(response) => response,
            Err(refusal) => refusal.answer(&self.exchange),
        };
        response.map(Body::from)
    }

    async fn run(
        &self,
        at: Station,
        admitted: Result<Slot, Refusal>,
        body: Body,
        work: impl FnOnce(&mut Work<'_>) -> Result<Response<Bytes>, Refusal>,
    ) -> Result<Response<Bytes>, Refusal> {
        let mailbox = admitted.as_ref().ok().map(|slot| slot.mailbox.upn.as_str());
        let fault = mailbox.and_then(|it| self.shared.faults.take(at, Some(it)));
        if let Some(fault) = &fault
            && fault.cut == Some(Cut::Request)
        {
            return Ok(self.cut_within(fault, body).await);
        }
        let body = if self.asks_first() && (admitted.is_err() || self.announces_too_much()) {
            Err(too_large())
        } else {
            self.read(body).await
        };
        let slot = admitted?;
        if let Some(fault) = &fault
            && !fault.stores()
        {
            return Ok(self.play(fault, self.bare(StatusCode::ACCEPTED)).await);
        }
        let body = body?;
        slot.mailbox.uploads.spend(body.len() as u64)?;
        let mut task = Work {
            mailbox: &slot.mailbox,
            body,
            fault,
        };
        let response = work(&mut task)?;
        match &task.fault {
            None => Ok(response),
            Some(fault) => Ok(self.play(fault, response).await),
        }
    }

    async fn play(&self, fault: &Fault, usual: Response<Bytes>) -> Response<Bytes> {
        let answer = |status, usual| struck(fault, status, usual, &self.exchange);
        fault.play(usual, &self.connection, answer).await
    }

    /// Reads as much of the body as the fault allows, and resets the connection.
    async fn cut_within(&self, fault: &Fault, body: Body) -> Response<Bytes> {
        let mut read = 0;
        let mut chunks = body.into_data_stream();
        while read < fault.cut_after {
            let Some(Ok(chunk)) = chunks.next().await else {
                break;
            };
            read += chunk.len() as u64;
        }
        self.play(fault, self.bare(StatusCode::ACCEPTED)).await
    }

    /// Reads the body up to the limit, and much more without keeping it.
    async fn read(&self, body: Body) -> Result<Vec<u8>, Refusal> {
        let limit = self.shared.settings.request_limit;
        let announced = content_length(&self.headers).unwrap_or_default();
        let mut octets = Vec::with_capacity(announced.min(limit));
        let mut length = 0_usize;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Refusal::bad(
                    "BadRequest",
                    "The request body could not be read to its end.",
                )
            })?;
            length = length.saturating_add(chunk.len());
            if length <= limit {
                octets.extend_from_slice(&chunk);
            } else if length > limit.saturating_add(PATIENCE) {
                break;
            }
        }
        if length > limit {
            return Err(too_large());
        }
        Ok(octets)
    }

    /// Refuses a body that is not JSON.
    pub(crate) fn wants_json(&self) -> Result<(), Refusal> {
        match self.media_type().as_str() {
            "application/json" => Ok(()),
            other => Err(unsupported(other)),
        }
    }

    /// An answer without a body.
    pub(crate) fn bare(&self, status: StatusCode) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        self.exchange.sign(response.headers_mut());
        if self.id_kind() == IdKind::Immutable {
            response.headers_mut().insert(APPLIED, IMMUTABLE);
        }
        response
    }

    /// An answer with a resource.
    pub(crate) fn resource(&self, status: StatusCode, resource: &Value) -> Response<Bytes> {
        let mut response = self.bare(status);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, ODATA_JSON);
        *response.body_mut() = Bytes::from(resource.to_string());
        response
    }

    /// The kind of IDs that the client prefers (`Prefer: IdType="ImmutableId"`).
    pub(crate) fn id_kind(&self) -> IdKind {
        let asked = self.headers.get_all(PREFER).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                value.split(',').any(|preference| {
                    let bare = preference.trim().replace('"', "");
                    bare.eq_ignore_ascii_case("IdType=ImmutableId")
                })
            })
        });
        if asked && self.shared.settings.immutable_ids {
            IdKind::Immutable
        } else {
            IdKind::Regular
        }
    }

    /// The media type of the body, without its parameters, in lower case.
    pub(crate) fn media_type(&self) -> String {
        self.headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase())
            .unwrap_or_default()
    }

    /// RFC 9110 10.1.1: the client waits for 100 (Continue) before it sends the body.
    fn asks_first(&self) -> bool {
        self.headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }

    fn announces_too_much(&self) -> bool {
        content_length(&self.headers).is_some_and(|it| it > self.shared.settings.request_limit)
    }
}

/// The answer of a fault with a status, in Graph's words.
fn struck(
    fault: &Fault,
    status: StatusCode,
    usual: Response<Bytes>,
    exchange: &Exchange,
) -> Response<Bytes> {
    if status.is_success() {
        let mut taken = usual;
        *taken.status_mut() = status;
        return taken;
    }
    let code = fault.code.as_deref().unwrap_or("UnknownError");
    let message = fault.message.as_deref().unwrap_or_default();
    envelope(status, code, message, exchange)
}

/// What the request's token allows.
pub(crate) fn authorize(shared: &Shared, headers: &HeaderMap) -> Result<Arc<Grant>, Refusal> {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let judged = shared.tokens.judge(authorization, &shared.settings);
    judged.map_err(Refusal::unauthorized)
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
}

/// A 400: no user signed in.
fn no_me() -> Refusal {
    Refusal::bad(
        "BadRequest",
        "/me request is only valid with delegated authentication flow.",
    )
}

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("IdType=\"ImmutableId\"");
const ODATA_JSON: HeaderValue = HeaderValue::from_static(
    "application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false; \
     charset=utf-8",
);

/// Bytes beyond the limit that are read and dropped: more than any message that a mailbox may send
/// (150 MB and its base64), so that only a runaway client is cut off.
const PATIENCE: usize = 256 * 1024 * 1024;
