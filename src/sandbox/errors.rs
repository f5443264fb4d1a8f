//! Graph's error envelope: what every refused call is answered with.
//!
//! A refusal names its status, code and message; the ids and the date of `innerError` come from
//! the exchange when the answer is made.

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use crate::sandbox::exchange::Exchange;
use crate::sandbox::wall;

/// A call that Graph refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// A 400.
    pub(super) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A 401 with the challenge that goes with it.
    pub(super) fn unauthorized(message: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "InvalidAuthenticationToken",
            message,
        )
    }

    /// Adds `Retry-After` in seconds.
    pub(super) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn answer(&self, exchange: &Exchange) -> Response<Bytes> {
        let mut response = envelope(self.status, self.code, &self.message, exchange);
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An answer with the error envelope; a 401 carries Graph's challenge.
pub(super) fn envelope(
    status: StatusCode,
    code: &str,
    message: &str,
    exchange: &Exchange,
) -> Response<Bytes> {
    let body = json!({"error": {
        "code": code,
        "message": message,
        "innerError": {
            "date": wall::graph(wall::now()),
            "request-id": exchange.request_id,
            "client-request-id": exchange.client_request_id(),
        },
    }});
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    exchange.sign(response.headers_mut());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    response
}

const CHALLENGE: HeaderValue = HeaderValue::from_static(
    "Bearer realm=\"\", \
     authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
     client_id=\"00000003-0000-0000-c000-000000000000\"",
);
