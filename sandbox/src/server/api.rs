//! The stand-in's own endpoints under `/sandbox`, for tests and scripts.
//!
//! Their requests are not recorded, and faults do not apply to them.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::entra::sign_in::authorize;
use crate::entra::sign_in::device;
use crate::faults::fault::Fault;
use crate::server::shared::Shared;
use crate::store::Attachment;
use crate::store::Form;
use crate::time;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/sandbox/messages", get(messages).delete(clear))
        .route("/sandbox/messages/{id}/raw", get(raw))
        .route("/sandbox/messages/{id}/attachments/{file}", get(attachment))
        .route("/sandbox/drafts", get(drafts))
        .route("/sandbox/requests", get(requests))
        .route("/sandbox/totals", get(totals))
        .route(
            "/sandbox/faults",
            get(faults).post(inject).delete(clear_faults),
        )
        .route("/sandbox/tokens/revoke", post(revoke))
        .route("/sandbox/sign-out", post(sign_out))
        .route("/sandbox/sign-in/{request}", get(authorize::decide))
        .route("/sandbox/device", get(device::form).post(device::decide))
}

async fn messages(State(shared): State<Arc<Shared>>) -> Json<Vec<Value>> {
    let arrivals = shared.store.arrivals();
    let listed = arrivals.iter().map(|arrival| {
        json!({
            "id": arrival.id,
            "at": time::rfc3339(arrival.time),
            "mailbox": arrival.mailbox,
            "route": arrival.route,
            "form": arrival.form,
            "subject": arrival.subject,
            "from": arrival.from,
            "to": arrival.to,
            "cc": arrival.cc,
            "bcc": arrival.bcc,
            "bcc_by": arrival.bcc_by,
            "size": arrival.octets(),
            "attachments": arrival.attachments.iter().map(listed).collect::<Vec<_>>(),
            "message_id": arrival.message_id,
            "client_request_id": arrival.client_request_id,
            "request_id": arrival.request_id,
        })
    });
    Json(listed.collect())
}

async fn drafts(State(shared): State<Arc<Shared>>) -> Json<Vec<Value>> {
    let drafts = shared.drafts().into_iter().map(|draft| {
        json!({
            "id": draft.id,
            "immutable_id": draft.immutable_id,
            "at": time::rfc3339(draft.time),
            "mailbox": draft.mailbox,
            "form": draft.form,
            "subject": draft.subject,
            "message_id": draft.message_id,
            "recipients": draft.recipients,
            "attachments": draft.attachments.iter().map(listed).collect::<Vec<_>>(),
            "open_uploads": draft.open_uploads,
        })
    });
    Json(drafts.collect())
}

fn listed(attachment: &Attachment) -> Value {
    json!({
        "name": attachment.name,
        "content_type": attachment.content_type,
        "content_id": attachment.content_id,
        "inline": attachment.inline,
        "size": attachment.content.len(),
        "sha256": attachment.sha256,
    })
}

/// A file of a message, by its position in the list, from 0.
async fn attachment(
    State(shared): State<Arc<Shared>>,
    Path((id, file)): Path<(u64, usize)>,
) -> Response {
    let arrival = shared.store.arrival(id);
    let file = arrival.and_then(|it| it.attachments.get(file).cloned());
    let Some(file) = file else {
        return (StatusCode::NOT_FOUND, "no such file is kept\n").into_response();
    };
    served("application/octet-stream", file.content)
}

async fn raw(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Response {
    let Some(arrival) = shared.store.arrival(id) else {
        return (StatusCode::NOT_FOUND, "no such message is kept\n").into_response();
    };
    let media_type = match arrival.form {
        Form::Mime => "message/rfc822",
        Form::Json => "application/json",
    };
    served(media_type, arrival.raw.clone())
}

fn served(media_type: &'static str, content: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        // The content is from strangers: no browser may show it as a page.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
    ];
    (headers, content).into_response()
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<Value>> {
    let records = shared.store.requests();
    let listed = records.into_iter().map(|record| {
        json!({
            "number": record.number,
            "at": time::rfc3339(record.time),
            "kind": record.kind,
            "method": record.method,
            "path": record.path,
            "grant": record.grant,
            "framing": record.framing,
            "status": record.status,
            "mailbox": record.mailbox,
            "recipients": record.recipients,
            "request_id": record.request_id,
            "client_request_id": record.client_request_id,
        })
    });
    Json(listed.collect())
}

async fn totals(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.store.totals()).into_response()
}

async fn clear(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.clear();
    StatusCode::NO_CONTENT
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<Fault>> {
    Json(shared.faults.list())
}

async fn inject(
    State(shared): State<Arc<Shared>>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Response {
    let fault = match fault {
        Ok(Json(fault)) => fault,
        Err(rejection) => return rejection.into_response(),
    };
    if let Some(flaw) = fault.flaw() {
        return (StatusCode::BAD_REQUEST, format!("{flaw}\n")).into_response();
    }
    shared.faults.add(fault);
    StatusCode::NO_CONTENT.into_response()
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}

async fn revoke(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.tokens.revoke();
    StatusCode::NO_CONTENT
}

/// The user whose refresh tokens are refused from now on, and the error number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignOut {
    user: String,
    code: u32,
}

async fn sign_out(
    State(shared): State<Arc<Shared>>,
    asked: Result<Json<SignOut>, JsonRejection>,
) -> Response {
    let asked = match asked {
        Ok(Json(asked)) => asked,
        Err(rejection) => return rejection.into_response(),
    };
    if shared.users.find(&asked.user).is_none() {
        return (StatusCode::NOT_FOUND, "no such user\n").into_response();
    }
    shared.sign_ins.sign_out(&asked.user, asked.code);
    StatusCode::NO_CONTENT.into_response()
}
