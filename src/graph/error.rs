//! Errors of Graph (Graph page "Microsoft Graph error responses").

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::auth::TokenError;
use crate::http::Answer;
use crate::http::TransportError;
use crate::http::one_line;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Graph, or a server in front of it, answered with an error.
    #[error("{}", answered(*.status, .code, .message))]
    Answered {
        /// HTTP status.
        status: u16,
        /// The innermost code of the answer; empty if it has none.
        code: String,
        /// For people only: Microsoft may change it at any time.
        message: String,
        /// The value of Retry-After.
        retry_after: Option<Duration>,
        /// Graph's name for the request.
        request_id: Option<String>,
    },
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// There is no access token.
    #[error("{0}")]
    Token(Arc<TokenError>),
    /// Graph named an upload host that is not Microsoft's.
    #[error("Graph named an upload host that is not one of Microsoft's: {0}")]
    UploadHost(String),
    /// The message could not be read from the spool.
    #[error("the message cannot be read from the spool: {0}")]
    Content(#[source] io::Error),
}

#[derive(Deserialize)]
struct Envelope {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    /// Graph writes `innerError`, the OData text `innererror`.
    #[serde(default, alias = "innererror", rename = "innerError")]
    inner: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    code: Option<String>,
    #[serde(default, alias = "innererror", rename = "innerError")]
    inner: Option<Box<Self>>,
}

impl GraphError {
    /// Returns Graph's code, or the code of the token error.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Answered { code, .. } if !code.is_empty() => Some(code.clone()),
            Self::Token(error) => error.code(),
            Self::Answered { .. } | Self::Transport(_) | Self::UploadHost(_) | Self::Content(_) => {
                None
            }
        }
    }

    pub(super) fn of(answer: &Answer, request_id: Option<String>) -> Self {
        let envelope = serde_json::from_slice::<Envelope>(&answer.body).ok();
        let (code, message) = envelope.map_or_else(
            // Gateways answer with HTML, or with nothing.
            || (String::new(), "no error of Graph in the answer".to_owned()),
            |envelope| {
                (
                    deepest_code(&envelope.error),
                    one_line(&envelope.error.message),
                )
            },
        );
        Self::Answered {
            status: answer.status,
            code,
            message,
            retry_after: answer.retry_after,
            request_id,
        }
    }
}

/// Says who answered what. Graph puts a code into each refusal; proxies and gateways
/// answer with HTML, or with nothing. Statuses that Graph's own gateway sends without a code
/// are not blamed on a proxy.
fn answered(status: u16, code: &str, message: &str) -> String {
    match (status, code) {
        (408 | 409 | 412 | 413 | 423 | 429, _) => {}
        (400..=499, "") => {
            return format!(
                "an answer that is not Graph's: a proxy or gateway between the relay and Graph \
                 answered {status}"
            );
        }
        _ => {}
    }
    format!("Graph answered {status} {code}: {message}")
}

fn deepest_code(error: &ErrorBody) -> String {
    let mut code = error.code.as_str();
    let mut inner = error.inner.as_ref();
    while let Some(level) = inner {
        code = level.code.as_deref().unwrap_or(code);
        inner = level.inner.as_deref();
    }
    one_line(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(body: &str) -> String {
        let answer = Answer {
            status: 403,
            headers: reqwest::header::HeaderMap::new(),
            body: body.to_owned().into(),
            retry_after: None,
        };
        match GraphError::of(&answer, None) {
            GraphError::Answered { code, .. } => code,
            GraphError::Transport(_)
            | GraphError::Token(_)
            | GraphError::UploadHost(_)
            | GraphError::Content(_) => panic!("not answered"),
        }
    }

    #[test]
    fn the_deepest_code_counts_and_odd_answers_have_none() {
        assert_eq!(
            code_of(
                r#"{"error":{"code":"ErrorSendAsDenied","message":"m","innerError":{"date":"2026-11-21T19:00:00","request-id":"x"}}}"#
            ),
            "ErrorSendAsDenied"
        );
        assert_eq!(
            code_of(
                r#"{"error":{"code":"a","message":"","innererror":{"code":"b","innererror":{"code":"c"}}}}"#
            ),
            "c"
        );
        for odd in [
            "",
            "<html>",
            "{}",
            "{\"error\":\"text\"}",
            "{\"error\":{\"co",
        ] {
            assert_eq!(code_of(odd), "", "{odd}");
        }
    }
}
