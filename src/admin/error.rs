//! What the admin socket says when it has no answer: a code for programs, and words
//! for whoever asked.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;

use crate::spool::SpoolError;

/// An error of the admin socket's, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// Which.
    pub error: ErrorCode,
    /// In words, for a person.
    pub message: String,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// There is nothing of that name (404).
    Unknown,
    /// What was asked for cannot be done (422).
    Refused,
    /// The spool cannot be read or written (500).
    Spool,
}

/// Why a request has no answer.
pub(super) enum Failure {
    Unknown,
    Spool(SpoolError),
    /// What was asked for cannot be done; in words for whoever asked.
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
        (status, Json(ApiError { error, message })).into_response()
    }
}
