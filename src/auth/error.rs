//! Why there is no token.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::sign_in::store::StoreError;
use crate::credentials::CertificateError;
use crate::credentials::SecretError;
use crate::http::Answer;
use crate::http::TransportError;
use crate::http::one_line;
use crate::mail::Address;

/// Why there is no token; each variant needs another remedy.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The credential could not be read.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Entra refused the credential, the client or the tenant. An administrator has to
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
    /// The machine has no identity, or its identity service refuses.
    #[error("no token for the managed identity: {0}")]
    Identity(String),
    /// Entra or the machine's identity service throttles, or has a temporary problem.
    #[error("the token endpoint answered {status}: {description}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// The value of Retry-After.
        retry_after: Option<Duration>,
        /// In words.
        description: String,
    },
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Nobody has signed in for this mailbox.
    #[error("nobody has signed in for {mailbox}")]
    NotSignedIn {
        /// The mailbox.
        mailbox: Address,
    },
    /// Entra no longer accepts the sign-in of this mailbox.
    #[error("Entra no longer accepts the sign-in of {mailbox}: {reason}")]
    SignedOut {
        /// The mailbox.
        mailbox: Address,
        /// `AADSTSn`, or else the error word of RFC 6749.
        code: String,
        /// `error_description`, its first line.
        reason: String,
    },
    /// The sign-ins cannot be read or stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a credential cannot be used; the text contains the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The client secret.
    #[error("client secret: {0}")]
    Secret(#[from] SecretError),
    /// The certificate or its key.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// Entra does not accept signatures of this key.
    #[error("certificate: the private key must be an RSA key of 2048 bits or more")]
    Key,
    /// The token of another issuer.
    #[error("federated token: cannot read {}: {error}", path.display())]
    FederatedToken {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// Error body of the token endpoint (RFC 6749 5.2, and Entra's additions:
/// "Microsoft Entra authentication and authorization error codes").
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Errors that RFC 6749 5.2 and Entra use for problems on their side.
const THEIR_TROUBLE: [&str; 2] = ["temporarily_unavailable", "server_error"];

/// Errors that are about the user who has signed in, and not about the app (Entra page
/// "Refresh tokens"). `invalid_grant` also means that the user must do something: MFA, a
/// new password, consent.
const OF_THE_PERSON: [&str; 5] = [
    "invalid_grant",
    "access_denied",
    "interaction_required",
    "consent_required",
    "login_required",
];

/// An `invalid_grant` that is not about the user and is temporary: too many requests
/// (AADSTS50196).
const PASSING: [u32; 1] = [50_196];

impl TokenError {
    /// Returns what an answer without a token means. An answer that is not from a token
    /// endpoint (HTML from a proxy, a 200 without a token) counts as a temporary problem of
    /// the network.
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

    /// Returns the error for an answer that could not be read at all.
    pub(super) fn no_answer() -> Self {
        Self::Unavailable {
            status: 0,
            retry_after: None,
            description: "the answer could not be read".to_owned(),
        }
    }

    /// Returns a refusal that is about this user's sign-in as such.
    pub(super) fn of_person(self, mailbox: &Address) -> Self {
        if let Self::Refused {
            error, description, ..
        } = &self
            && OF_THE_PERSON.contains(&error.as_str())
            && !matches!(&self, Self::Refused { aadsts: Some(number), .. } if PASSING.contains(number))
        {
            return Self::SignedOut {
                mailbox: mailbox.clone(),
                code: self.code().unwrap_or_default(),
                reason: description.clone(),
            };
        }
        self
    }

    /// Returns the wait before the next request, if the answer named one.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Credential(_)
            | Self::Refused { .. }
            | Self::Identity(_)
            | Self::Transport(_)
            | Self::NotSignedIn { .. }
            | Self::SignedOut { .. }
            | Self::Store(_) => None,
        }
    }

    /// Returns the HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Unavailable { status, .. } => Some(*status),
            Self::Credential(_)
            | Self::Identity(_)
            | Self::Transport(_)
            | Self::NotSignedIn { .. }
            | Self::SignedOut { .. }
            | Self::Store(_) => None,
        }
    }

    /// Returns `AADSTS7000215` and the like, or else the error word of RFC 6749.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Refused {
                aadsts: Some(number),
                ..
            } => Some(format!("AADSTS{number}")),
            Self::Refused { error, .. } => Some(error.clone()),
            Self::SignedOut { code, .. } => Some(code.clone()),
            Self::NotSignedIn { .. } => Some("not_signed_in".to_owned()),
            Self::Credential(_)
            | Self::Identity(_)
            | Self::Unavailable { .. }
            | Self::Transport(_)
            | Self::Store(_) => None,
        }
    }
}

/// Entra appends trace ID, correlation ID and time stamp, on lines of their own or after
/// a space.
fn first_line(description: &str) -> Option<&str> {
    let line = description.lines().next()?;
    let line = line.split(" Trace ID:").next()?.trim();
    (!line.is_empty()).then_some(line)
}

pub(super) fn aadsts(description: &str) -> Option<u32> {
    let digits = description.strip_prefix("AADSTS")?;
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}
