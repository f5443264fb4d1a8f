//! Graph's error envelope, which every refused call gets, and the refusals that several endpoints
//! use.
//!
//! A refusal has a status, code and message; the answer adds the IDs and the date of `innerError`.

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::json;

use crate::server::exchange::Exchange;
use crate::time;

/// A call that Graph refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// A 400.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A 401 with its challenge.
    pub(crate) fn unauthorized(message: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "InvalidAuthenticationToken",
            message,
        )
    }

    /// Adds `Retry-After` in seconds.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn answer(&self, exchange: &Exchange) -> Response<Bytes> {
        let mut response = envelope(self.status, self.code, &self.message, exchange);
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Makes an answer with the error envelope; a 401 contains Graph's challenge.
pub(crate) fn envelope(
    status: StatusCode,
    code: &str,
    message: &str,
    exchange: &Exchange,
) -> Response<Bytes> {
    let body = json!({"error": {
        "code": code,
        "message": message,
        "innerError": {
            "date": time::graph(time::now()),
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

/// A 403 because a role is missing.
pub(crate) fn denied() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "ErrorAccessDenied",
        "Access is denied. Check credentials and try again.",
    )
}

/// A 411: the request must say its length beforehand.
pub(crate) fn length_required() -> Refusal {
    Refusal::new(
        StatusCode::LENGTH_REQUIRED,
        "BadRequest",
        "The request needs a Content-Length.",
    )
}

/// A 415.
pub(crate) fn unsupported(media_type: &str) -> Refusal {
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UnsupportedMediaType",
        format!("The media type '{media_type}' is not supported here."),
    )
}

/// A 413 in Graph's words.
pub(crate) fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "BadRequest",
        "The maximum request length supported is 4MB.",
    )
}

/// A 400 for JSON that the call does not accept.
pub(crate) fn unreadable(message: &str) -> Refusal {
    Refusal::bad("RequestBodyRead", message)
}

const CHALLENGE: HeaderValue = HeaderValue::from_static(
    "Bearer realm=\"\", \
     authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
     client_id=\"00000003-0000-0000-c000-000000000000\"",
);
