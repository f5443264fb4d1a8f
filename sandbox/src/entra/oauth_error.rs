//! Entra's refusals and the form of its answers.
//!
//! Errors have Entra's codes, statuses and members, since clients are told to go by `error` and
//! operators search for the number.

use axum::body::Bytes;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;
use uuid::Uuid;

use crate::server::exchange::Exchange;
use crate::time;

/// A request that Entra refuses.
#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    error: String,
    suberror: Option<&'static str>,
    code: Option<u32>,
    text: String,
}

impl OAuthError {
    /// A 400.
    pub(crate) fn bad(error: &str, code: u32, text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: error.to_owned(),
            suberror: None,
            code: Some(code),
            text: text.into(),
        }
    }

    /// A 401: who asks did not prove to be the app.
    pub(crate) fn invalid_client(code: u32, text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            ..Self::bad("invalid_client", code, text)
        }
    }

    /// A 400: what was granted once is not any more, or never was.
    pub(crate) fn invalid_grant(code: u32, text: impl Into<String>) -> Self {
        Self::bad("invalid_grant", code, text)
    }

    pub(crate) fn invalid_request(code: u32, text: impl Into<String>) -> Self {
        Self::bad("invalid_request", code, text)
    }

    /// A parameter that is not there.
    pub(crate) fn missing(name: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{name}'.");
        Self::invalid_request(900_144, text)
    }

    /// A scope to which nobody consented.
    pub(crate) fn not_consented(client_id: &str) -> Self {
        let text = format!(
            "The user or administrator has not consented to use the application with ID \
             '{client_id}' named 'graph-relay sandbox'. Send an interactive authorization request \
             for this user and resource."
        );
        Self {
            suberror: Some(CONSENT_REQUIRED),
            ..Self::invalid_grant(65_001, text)
        }
    }

    /// The answer that a fault asks for; its number is taken from its text, if it has one.
    pub(crate) fn of_fault(status: StatusCode, error: Option<&str>, text: &str) -> Self {
        let usual = if status.is_server_error() {
            "server_error"
        } else {
            "invalid_request"
        };
        let numbered = text
            .strip_prefix("AADSTS")
            .and_then(|rest| rest.split_once(": "))
            .and_then(|(code, rest)| Some((code.parse().ok()?, rest)));
        Self {
            status,
            error: error.unwrap_or(usual).to_owned(),
            suberror: None,
            code: numbered.map(|(code, _)| code),
            text: numbered.map_or(text, |(_, rest)| rest).to_owned(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The `error` of a redirect, where consent has a name of its own.
    pub(crate) fn redirected_error(&self) -> &str {
        match self.suberror {
            Some(CONSENT_REQUIRED) => CONSENT_REQUIRED,
            Some(_) | None => &self.error,
        }
    }

    /// `AADSTS70011: what is wrong`, as far as there is a number.
    pub(crate) fn headline(&self) -> String {
        let prefix = self.code.map(|code| format!("AADSTS{code}: "));
        format!("{}{}", prefix.unwrap_or_default(), self.text)
    }

    pub(crate) fn answer(&self, exchange: &Exchange) -> Response<Bytes> {
        let (trace, timestamp) = (&exchange.request_id, time::entra(time::now()));
        let correlation = exchange
            .given_id()
            .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let description = format!(
            "{}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
            self.headline(),
        );
        let mut body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": self.code.as_slice(),
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(code) = self.code {
                let uri = format!("https://login.microsoftonline.com/error?code={code}");
                members.insert("error_uri".to_owned(), Value::from(uri));
            }
            if let Some(suberror) = self.suberror {
                members.insert("suberror".to_owned(), Value::from(suberror));
            }
        }
        answer(self.status, &body, exchange)
    }
}

/// An answer of Entra in JSON.
pub(crate) fn answer(status: StatusCode, body: &Value, exchange: &Exchange) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = [
        (header::CACHE_CONTROL, "no-store, no-cache"),
        (header::PRAGMA, "no-cache"),
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        HeaderName::from_static("x-ms-ests-server"),
        HeaderValue::from_static("2.1.0.0 - SANDBOX"),
    );
    if let Ok(id) = HeaderValue::from_str(&exchange.request_id) {
        headers.insert(HeaderName::from_static("x-ms-request-id"), id);
    }
    response
}

const CONSENT_REQUIRED: &str = "consent_required";
