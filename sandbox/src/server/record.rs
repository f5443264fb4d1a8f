//! The layers around every endpoint of Entra and Graph: they record each request, and date its
//! answer.
//!
//! A record begins when the request's head has arrived, and ends with the status of the answer. If
//! there was no answer (the connection was cut, the client left), the record has no status.

use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use uuid::Uuid;

use crate::server::exchange::CLIENT_REQUEST_ID;
use crate::server::exchange::Exchange;
use crate::server::shared::Shared;
use crate::store::Framing;
use crate::store::RequestKind;
use crate::store::RequestRecord;
use crate::time;

/// Records each request.
pub(crate) async fn record(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let exchange = Arc::new(begin(&shared, &request));
    request.extensions_mut().insert(Arc::clone(&exchange));

    let response = next.run(request).await;

    shared.store.note(exchange.number, |record| {
        record.status = Some(response.status().as_u16());
    });
    response
}

/// Dates each answer by the clock of the settings; without one, hyper writes the date.
pub(crate) async fn date(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Some(skew) = shared.settings.clock_skew {
        let now = time::skewed(time::now(), Some(skew));
        if let Ok(date) = HeaderValue::from_str(&time::http(now)) {
            response.headers_mut().insert(header::DATE, date);
        }
    }
    response
}

fn begin(shared: &Shared, request: &Request) -> Exchange {
    let request_id = Uuid::new_v4().to_string();
    let client_request_id = request
        .headers()
        .get(CLIENT_REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let path = request.uri().path();
    let number = shared.store.begin(RequestRecord {
        number: 0,
        received: Instant::now().into_std(),
        time: time::now(),
        method: request.method().to_string(),
        path: path.to_owned(),
        kind: kind(request.method(), path),
        framing: framing(request.headers()),
        request_id: request_id.clone(),
        client_request_id: client_request_id.clone(),
        grant: None,
        mailbox: None,
        recipients: Vec::new(),
        status: None,
    });
    Exchange {
        number,
        request_id,
        client_request_id,
    }
}

fn kind(method: &Method, path: &str) -> RequestKind {
    if path.ends_with("/oauth2/v2.0/token") {
        return RequestKind::Token;
    }
    if path.starts_with("/v1.0/") && path.ends_with("/sendMail") {
        return RequestKind::SendMail;
    }
    if path.ends_with("/oauth2/v2.0/authorize") {
        return RequestKind::Authorize;
    }
    if path.ends_with("/oauth2/v2.0/devicecode") {
        return RequestKind::Device;
    }
    if path.ends_with("/metadata/identity/oauth2/token") || path == "/msi/token" {
        return RequestKind::Identity;
    }
    let segments = path.split('/').skip(1).collect::<Vec<_>>();
    let method = method.as_str();
    match (method, segments.as_slice()) {
        ("PUT", ["api", "gv1.0", ..]) => RequestKind::Upload,
        ("GET", ["api", "gv1.0", ..]) => RequestKind::Progress,
        ("DELETE", ["api", "gv1.0", ..]) => RequestKind::Cancel,
        (_, ["v1.0", "users", _, rest @ ..] | ["v1.0", "me", rest @ ..]) => match (method, rest) {
            ("POST", ["messages"]) => RequestKind::Draft,
            ("GET", ["messages", ..] | ["mailFolders", _, "messages"]) => RequestKind::Look,
            ("PATCH", ["messages", _]) => RequestKind::Patch,
            ("DELETE", ["messages", _]) => RequestKind::Delete,
            ("POST", ["messages", _, "attachments"]) => RequestKind::Attach,
            ("POST", ["messages", _, "attachments", "createUploadSession"]) => RequestKind::Session,
            ("POST", ["messages", _, "send"]) => RequestKind::Submit,
            _ => RequestKind::Other,
        },
        _ => RequestKind::Other,
    }
}

fn framing(headers: &HeaderMap) -> Framing {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) => Framing::ContentLength(length),
        None if headers.contains_key(header::TRANSFER_ENCODING) => Framing::Chunked,
        None => Framing::Bodiless,
    }
}
