//! The errors of the admin socket: a code for programs, and words for people.

use axum::Extension;
use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;

use crate::admin::AuditResult;
use crate::admin::audit::socket::Noted;
use crate::spool::SpoolError;

/// An error of the admin socket, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The code.
    pub error: ErrorCode,
    /// The explanation for a person.
    pub message: String,
}

/// The codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Nothing has this name (404).
    Unknown,
    /// The request cannot be carried out (422).
    Refused,
    /// The spool cannot be read or written (500).
    Spool,
}

/// Why a request failed.
pub(super) enum Failure {
    Unknown,
    Spool(SpoolError),
    /// The request cannot be carried out; in words for a person.
    Refused(String),
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error, message) = match self {
            Self::Unknown => {
                let message = "not found".to_owned();
                (StatusCode::NOT_FOUND, ErrorCode::Unknown, message)
            }
            Self::Refused(words) => (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Refused, words),
            Self::Spool(error) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::Spool,
                error.to_string(),
            ),
        };
        let noted = Noted::of(AuditResult::of_status(status), message.clone());
        let body = Json(ApiError { error, message });
        (status, Extension(noted), body).into_response()
    }
}
