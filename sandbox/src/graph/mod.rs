//! Microsoft Graph: sendMail, drafts, uploads, and the owners of aliases.

pub(crate) mod attachments;
pub(crate) mod call;
pub(crate) mod drafts;
pub(crate) mod errors;
pub(crate) mod mailboxes;
pub(crate) mod message;
pub(crate) mod rate;
pub(crate) mod send_mail;
pub(crate) mod upload;
pub(crate) mod uploads;
pub(crate) mod users;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use axum::routing::post;
use axum::routing::put;

use crate::server::shared::Shared;

/// Graph's endpoints. Graph also refuses all paths that no other service has.
pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1.0/users", get(users::list))
        .merge(mailbox("/v1.0/users/{user}"))
        .merge(mailbox("/v1.0/me"))
        .fallback(send_mail::not_found)
}

/// The endpoints of a mailbox.
fn mailbox(owner: &str) -> Router<Arc<Shared>> {
    let messages = format!("{owner}/messages");
    let of = |rest: &str| format!("{messages}/{{id}}{rest}");
    Router::new()
        .route(&format!("{owner}/sendMail"), post(send_mail::send_mail))
        .route(&messages, get(drafts::all).post(drafts::create))
        .route(
            &format!("{owner}/mailFolders/{{folder}}/messages"),
            get(drafts::of_folder),
        )
        .route(
            &of(""),
            get(drafts::one)
                .patch(drafts::change)
                .delete(drafts::delete),
        )
        .route(&of("/send"), post(drafts::send))
        .route(
            &of("/attachments"),
            get(attachments::list).post(attachments::attach),
        )
        .route(
            &of("/attachments/createUploadSession"),
            post(attachments::create_session),
        )
}

/// The endpoints of the upload host.
pub(crate) fn upload_router() -> Router<Arc<Shared>> {
    Router::new()
        .route(
            "/api/gv1.0/{*session}",
            put(upload::put)
                .get(upload::progress)
                .delete(upload::cancel),
        )
        .fallback(send_mail::not_found)
}
