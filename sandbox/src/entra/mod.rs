//! Entra ID: its endpoints, and those of managed identities.

pub(crate) mod answer;
pub(crate) mod application;
pub(crate) mod arc_keys;
pub(crate) mod assertion;
pub(crate) mod discovery;
pub(crate) mod managed_identity;
pub(crate) mod oauth_error;
pub(crate) mod parameters;
pub(crate) mod secrets;
pub(crate) mod sign_in;
pub(crate) mod token;
pub(crate) mod users;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use axum::routing::post;

use crate::entra::sign_in::authorize;
use crate::entra::sign_in::device;
use crate::entra::token::endpoint;
use crate::server::shared::Shared;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(endpoint::token))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::authorize))
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device::begin))
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(discovery::configuration),
        )
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys))
        .route("/common/discovery/instance", get(discovery::instance))
        .route(
            "/metadata/identity/oauth2/token",
            get(managed_identity::machine),
        )
        .route("/msi/token", get(managed_identity::app_service))
        .route(
            "/arc/metadata/identity/oauth2/token",
            get(managed_identity::arc),
        )
}
