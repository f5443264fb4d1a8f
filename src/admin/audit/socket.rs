//! What commands do at the admin socket, in the audit list: each `POST`, with the user ID
//! that the kernel names, and the body where it contains nothing secret.

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

use super::Audit;
use super::AuditAct;
use super::AuditResult;
use crate::admin::Peer;

/// Requests whose bodies are in the list. In those of `/sign-ins/ID` there are codes that
/// log in, and in test messages there is their text.
const SHOWN: [&str; 7] = [
    "/queue/actions",
    "/queue/resends",
    "/pauses",
    "/pauses/end",
    "/sign-ins",
    "/sign-outs",
    "/page-links",
];
/// It only reads.
const READS: &str = "/spool/check";
/// The largest body, as elsewhere in axum.
const LARGEST: usize = 2 * 1024 * 1024;

/// Lets a request through, and records it.
pub(in crate::admin) async fn audited(
    State(audit): State<Audit>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    if request.method() != Method::POST || path == READS {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let about = about(&path, &body);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let act = AuditAct {
        user: user(peer.uid),
        role: None,
        client: None,
        action: format!("command {path}"),
        about,
        result: AuditResult::of_status(response.status()),
    };
    audit.record(act).await;
    response
}

fn about(path: &str, body: &Bytes) -> String {
    match SHOWN.contains(&path) {
        true => String::from_utf8_lossy(body).into_owned(),
        false => String::new(),
    }
}

fn user(uid: u32) -> String {
    match uid {
        0 => "root".to_owned(),
        uid => format!("user ID {uid}"),
    }
}
