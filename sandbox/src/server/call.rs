//! A request to Entra or Graph, with everything that is needed to answer it. `entra/answer.rs` and
//! `graph/call.rs` check and answer it.

use std::sync::Arc;

use axum::extract::Extension;
use axum::extract::FromRequestParts;
use axum::extract::rejection::ExtensionRejection;
use axum::http::HeaderMap;
use axum::http::Uri;
use axum::http::header;
use axum::http::request::Parts;

use crate::server::connection::Connection;
use crate::server::exchange::Exchange;
use crate::server::shared::Shared;

/// A request with everything that is needed to answer it.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
    pub(crate) connection: Connection,
}

impl FromRequestParts<Arc<Shared>> for Call {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        let Extension(exchange) = Extension::from_request_parts(parts, shared).await?;
        let Extension(connection) = Extension::from_request_parts(parts, shared).await?;
        Ok(Self {
            shared: Arc::clone(shared),
            exchange,
            headers: parts.headers.clone(),
            uri: parts.uri.clone(),
            connection,
        })
    }
}

impl Call {
    /// Returns the scheme and host of this server, as the client named it.
    pub(crate) fn base(&self) -> String {
        let host = self.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or_default())
    }
}
