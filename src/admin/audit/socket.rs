//! What commands do at the admin socket, in the audit list: each `POST`, with the user ID
//! that the kernel names, and the body where it contains nothing secret.
//!
//! An order that has begun goes on and is recorded although its client has gone. One that waits
//! for a person looks at [`ClientGone`], and ends.

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Audit;
use super::AuditAct;
use super::AuditAction;
use super::AuditResult;
use crate::admin::Peer;

/// What an entry says of the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// All of it.
    Body,
    /// Nothing: it may have codes that log in, or the text of a message.
    Nothing,
}

/// It only reads.
const READS: &str = "/spool/check";

/// What a request does. A test finds requests that are missing here.
fn action(path: &str, body: &Bytes) -> Option<(AuditAction, Says)> {
    Some(match path {
        "/queue/actions" => (of_messages(body), Says::Body),
        "/queue/resends" => (AuditAction::Resend, Says::Body),
        "/pauses" => (AuditAction::Pause, Says::Body),
        "/pauses/end" => (AuditAction::Resume, Says::Body),
        "/sign-ins" => (AuditAction::ConnectMailbox, Says::Body),
        "/sign-outs" => (AuditAction::ForgetSignIn, Says::Body),
        "/page-links" => (AuditAction::MakePageLink, Says::Body),
        "/test-messages" => (AuditAction::SendTest, Says::Nothing),
        "/alerts/test" => (AuditAction::TestAlerts, Says::Nothing),
        "/configuration/reload" => (AuditAction::Reload, Says::Nothing),
        "/configuration/restart" => (AuditAction::Restart, Says::Nothing),
        path if path.starts_with("/sign-ins/") => (AuditAction::ConnectMailbox, Says::Nothing),
        path if path.starts_with("/changes/") => (AuditAction::Apply, Says::Nothing),
        _ => return None,
    })
}

/// What an order does with messages.
fn of_messages(body: &Bytes) -> AuditAction {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let word = body.as_ref().and_then(|body| body.get("action")?.as_str());
    word.and_then(AuditAction::of_word)
        .unwrap_or(AuditAction::ChangeMessages)
}

/// What a handler says about its request, as an extension of its answer. Errors have it too.
#[derive(Clone, Debug)]
pub(in crate::admin) struct Noted {
    /// On what; otherwise the body says it, where it contains nothing secret.
    pub(in crate::admin) about: Option<String>,
    /// What came of it.
    pub(in crate::admin) result: AuditResult,
    /// Why, or what is left to do.
    pub(in crate::admin) reason: String,
}

impl Noted {
    /// Something that came of what the body names, and why.
    pub(in crate::admin) fn of(result: AuditResult, reason: impl Into<String>) -> Self {
        Self {
            about: None,
            result,
            reason: reason.into(),
        }
    }

    /// An order that has changed something; or else nothing, for this reason.
    pub(in crate::admin) fn of_change(has_changed: bool, otherwise: impl Into<String>) -> Self {
        match has_changed {
            true => Self::of(AuditResult::Done, ""),
            false => Self::of(AuditResult::Refused, otherwise),
        }
    }

    /// The entry about what this client did.
    pub(in crate::admin) fn act(self, peer: &Peer, action: &str) -> AuditAct {
        AuditAct {
            user: user(peer.uid),
            role: None,
            client: None,
            action: action.to_owned(),
            about: self.about.unwrap_or_default(),
            result: self.result,
            reason: self.reason,
        }
    }
}

/// The largest body, as elsewhere in axum.
const LARGEST: usize = 2 * 1024 * 1024;

/// What carries out orders and records them.
#[derive(Clone)]
pub(in crate::admin) struct Desk {
    /// Where they are recorded.
    pub(in crate::admin) audit: Audit,
    /// Those that have begun: the relay waits for their ends when it stops.
    pub(in crate::admin) orders: TaskTracker,
}

/// Cancelled when the client of a request has gone. An extension of the request.
#[derive(Clone, Debug)]
pub(in crate::admin) struct ClientGone(pub(in crate::admin) CancellationToken);

/// Lets a request through, and records it.
pub(in crate::admin) async fn audited(
    State(desk): State<Desk>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    if request.method() != Method::POST || path == READS {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    // This function ends where it stands when the client goes: the guard tells the handler so, and
    // the order is a task of its own.
    let gone = CancellationToken::new();
    parts.extensions.insert(ClientGone(gone.clone()));
    let _guard = gone.drop_guard();
    let order = desk.orders.spawn(async move {
        let request = Request::from_parts(parts, Body::from(body.clone()));
        let mut response = next.run(request).await;
        let act = act(&peer, &path, &body, &mut response);
        desk.audit.record(act).await;
        response
    });
    let response = order.await;
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The entry about an order and its answer.
fn act(peer: &Peer, path: &str, body: &Bytes, response: &mut Response) -> AuditAct {
    let known = action(path, body);
    let about = match known {
        Some((_, Says::Body)) => shown(body),
        Some((_, Says::Nothing)) | None => String::new(),
    };
    let result = AuditResult::of_status(response.status());
    let noted: Option<Noted> = response.extensions_mut().remove();
    let mut noted = noted.unwrap_or_else(|| Noted::of(result, ""));
    noted.about = noted.about.or(Some(about));
    match known {
        Some((action, _)) => noted.act(peer, action.word()),
        None => noted.act(peer, path),
    }
}

/// A body for people: `key: value` of all that has a value.
fn shown(body: &Bytes) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return String::from_utf8_lossy(body).into_owned();
    };
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    let fields = fields.map(|(key, value)| match value.as_str() {
        Some(text) => format!("{key}: {text}"),
        None => format!("{key}: {value}"),
    });
    fields.collect::<Vec<_>>().join(", ")
}

/// The user of a command.
pub(in crate::admin) fn user(uid: u32) -> String {
    match uid {
        0 => "root".to_owned(),
        uid => format!("user ID {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_as_words_without_what_has_no_value() {
        let body = Bytes::from_static(br#"{"mailbox":null,"reason":"a test","ids":["A","B"]}"#);
        assert_eq!(shown(&body), "ids: [\"A\",\"B\"], reason: a test");
        assert_eq!(shown(&Bytes::from_static(b"")), "");
    }
}
