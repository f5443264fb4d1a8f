//! Why there is no token.

use std::time::Duration;

use serde::Deserialize;

use crate::config::SecretError;
use crate::http::Answer;
use crate::http::TransportError;
use crate::http::one_line;

/// Why there is no token, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The credential could not be read.
    #[error("client secret: {0}")]
    Secret(#[from] SecretError),
    /// Entra refused the credential, the client or the tenant: somebody has to
    /// change something.
    #[error("Entra refused the token request: {description}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// `error` of RFC 6749 5.2.
        error: String,
        /// The number of `AADSTSn`.
        aadsts: Option<u32>,
        /// `error_description`, its first line.
        description: String,
    },
    /// Entra is throttling or in trouble.
    #[error("the token endpoint answered {status}: {description}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// As the answer says.
        retry_after: Option<Duration>,
        /// In words.
        description: String,
    },
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Error body of the token endpoint (RFC 6749 5.2, and Entra's additions:
/// "Microsoft Entra authentication and authorization error codes").
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Errors that RFC 6749 5.2 and Entra use for trouble on their side.
const THEIR_TROUBLE: [&str; 2] = ["temporarily_unavailable", "server_error"];

impl TokenError {
    /// What an answer other than a token means. An answer that is no token
    /// endpoint's (HTML from a proxy, a 200 without a token) is trouble on the
    /// way, and passes or does not.
    pub(super) fn of(answer: &Answer) -> Self {
        let unavailable = |description: String| Self::Unavailable {
            status: answer.status,
            retry_after: answer.retry_after,
            description,
        };
        let Ok(body) = serde_json::from_slice::<ErrorBody>(&answer.body) else {
            return unavailable("the answer is not a token endpoint's (a proxy's?)".to_owned());
        };
        let description = first_line(&body.error_description).unwrap_or(&body.error);
        let theirs = THEIR_TROUBLE.contains(&body.error.as_str());
        if theirs || answer.status == 429 || answer.status >= 500 {
            return unavailable(one_line(description));
        }
        Self::Refused {
            status: answer.status,
            aadsts: aadsts(&body.error_description),
            description: one_line(description),
            error: one_line(&body.error),
        }
    }

    /// How long to wait before the next request, if the answer said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Secret(_) | Self::Refused { .. } | Self::Transport(_) => None,
        }
    }

    /// `AADSTS7000215` and its like, else RFC 6749's word.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Refused {
                aadsts: Some(number),
                ..
            } => Some(format!("AADSTS{number}")),
            Self::Refused { error, .. } => Some(error.clone()),
            Self::Secret(_) | Self::Unavailable { .. } | Self::Transport(_) => None,
        }
    }
}

/// Entra appends trace id, correlation id and time stamp on lines of their own
/// or behind a blank.
fn first_line(description: &str) -> Option<&str> {
    let line = description.lines().next()?;
    let line = line.split(" Trace ID:").next()?.trim();
    (!line.is_empty()).then_some(line)
}

fn aadsts(description: &str) -> Option<u32> {
    let digits = description.strip_prefix("AADSTS")?;
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}
