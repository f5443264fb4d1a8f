//! The only table from a failure to what happens to the message.
//!
//! | failure | outcome | who waits |
//! |---|---|---|
//! | no token: credential unreadable, Entra refuses | Deferred, configuration | the account |
//! | no token: the mailbox is no longer signed in | Deferred, configuration | the mailbox |
//! | no token: Entra fails or is unreachable | Deferred | the account |
//! | Graph is unreachable | Deferred | the account |
//! | no answer to a request that sends | Doubtful | the mailbox |
//! | 2xx other than 202, 3xx, 5xx without a known code, to a request that sends | Doubtful | the mailbox |
//! | the same to a request that prepares a draft | Deferred | the mailbox |
//! | a draft that may have been sent cannot be found | Doubtful | the mailbox |
//! | 403 to a request for a draft, unless its code says more | Deferred, configuration | the message |
//! | 401 from Graph, also with a new token | Deferred, configuration | the account; the mailbox if it has signed in itself |
//! | 403, 404, 507 from Graph: mailbox, licence, permission, policy, full | Deferred, configuration | the mailbox |
//! | 403 ErrorSendAsDenied | Deferred, configuration | the message |
//! | blocked or over quota, by its code, with any status | Deferred | the mailbox |
//! | 429, 509, 503 with Retry-After | Deferred, throttled | the mailbox |
//! | 503 with a known code | Deferred | the mailbox |
//! | 408, 409, 412, 423 | Deferred | the message |
//! | 4xx to a piece of an upload, except 413, 429 and ErrorMessageSizeExceeded | Deferred | the message |
//! | its content is damaged | Failed: quarantined | |
//! | 401, 403, 404 and every other 4xx without an error of Graph: from a proxy or gateway | Deferred, configuration | the account |
//! | 413, every other 4xx with a code of Graph | Failed | |
//!
//! If the content of the message may be the reason, "the mailbox" and "the account" wait
//! only if other messages fail in the same way: `suspects.rs` decides.
//!
//! A configuration fault never fails a message: somebody corrects it, and the message is
//! sent.
//!
//! | file | contains |
//! |---|---|
//! | `error.rs` | how an attempt can end without success, and what an answer means to a request that does not send |
//! | `table.rs` | the rows above: from an error and its step to an outcome |
//! | `fault.rs` | the configuration faults, and the remedy of each |
//! | `suspicion.rs` | whether the message itself may be the reason, and what an outcome shows about mailbox and account |
//! | `schedule.rs` | when the next attempt is due, and when delivery is given up |
//! | `explain.rs` | an outcome in words for the sender, with its enhanced status |
//!
//! Only this folder decides by an HTTP status or a code. The exception is
//! [`crate::graph`], which handles answers that belong to Graph's protocol: an expired
//! token, a missing draft.

pub(super) mod error;
pub(super) mod explain;
mod fault;
pub(super) mod faults;
pub(super) mod schedule;
pub(super) mod suspects;
mod suspicion;
mod table;

use std::time::Duration;

use self::error::AttemptError;
use self::error::Step;
pub(super) use self::fault::Fault;
pub(super) use self::fault::named;
use self::suspects::Verdict;
pub(super) use self::suspicion::Suspicion;
use crate::config::SignIn;
use crate::graph::GraphError;
use crate::graph::Submitted;
use crate::http::TransportError;

/// The outcome of an attempt, with its details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// HTTP status of the answer, if there was one.
    pub(super) http_status: Option<u16>,
    /// Graph's or Entra's code.
    pub(super) code: Option<String>,
    /// The explanation, in one line.
    pub(super) reason: String,
    /// Graph's `request-id`.
    pub(super) request_id: Option<String>,
    /// The wait that the answer asks for, as it asks.
    pub(super) retry_after: Option<Duration>,
    /// The relay itself found it too large.
    pub(super) too_large: bool,
    /// Its content is damaged: it is quarantined and not reported.
    pub(super) damaged: bool,
    /// Whether a request about the message was made, so that its content may be the
    /// reason.
    pub(super) asked: bool,
    /// What the problem concerns, if that had to be found out.
    pub(super) verdict: Option<Verdict>,
    /// How its account gets its tokens, which decides about the remedy.
    pub(super) sign_in: SignIn,
}

/// The four outcomes of the glossary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Graph accepted it.
    Delivered,
    /// It was not accepted, and will be tried again.
    Deferred {
        cause: Cause,
        scope: Scope,
        /// The wait that the answer asks for, clamped.
        wait: Option<Duration>,
    },
    /// It will not be tried again.
    Failed,
    /// It may have been accepted.
    Doubtful {
        doubt: Doubt,
        /// The wait that the answer asks for, clamped.
        wait: Option<Duration>,
    },
}

/// How a doubt can be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The draft will show whether it was sent.
    Look,
    /// It cannot be resolved: `on_doubt` decides.
    Blind,
}

/// Why it was deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Graph asks to go slower.
    Throttled,
    /// A temporary problem on the way or at Microsoft.
    Unavailable,
    /// Somebody has to correct something, see [`Fault::remedy`].
    Configuration(Fault),
}

/// What the problem concerns, and so what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Message,
    Mailbox,
    Account,
}

impl Outcome {
    /// The outcome for the end of an attempt, for an account that gets its tokens this
    /// way.
    pub(super) fn of(result: Result<Submitted, AttemptError>, sign_in: SignIn) -> Self {
        let outcome = match result {
            Ok(submitted) => Self {
                // `graph` accepts no other status as a success.
                http_status: Some(202),
                request_id: submitted.request_id,
                ..Self::new(Kind::Delivered, "submitted to Graph".to_owned())
            },
            Err(error) => Self::of_error(error),
        };
        Self {
            kind: table::by_sign_in(outcome.kind, sign_in),
            sign_in,
            ..outcome
        }
    }

    fn of_error(error: AttemptError) -> Self {
        let reason = error.to_string();
        match error {
            AttemptError::Graph { step, error } => Self::of_graph(step, error, reason),
            AttemptError::Compose(_) => Self::new(Kind::Failed, reason),
            AttemptError::Oversize(_) => Self {
                too_large: true,
                ..Self::new(Kind::Failed, reason)
            },
            AttemptError::Damaged(_) => Self {
                damaged: true,
                ..Self::new(Kind::Failed, reason)
            },
            AttemptError::UploadStuck | AttemptError::UploadShort => {
                Self::new(table::unavailable(Scope::Message, None), reason)
            }
            AttemptError::NoAccount(_) => Self::new(
                table::configuration(Scope::Mailbox, Fault::NoAccount),
                reason,
            ),
            AttemptError::Spool(_) => Self::new(table::unavailable(Scope::Message, None), reason),
            AttemptError::DraftNotFound => Self::new(table::doubtful(Doubt::Look, None), reason),
            AttemptError::DraftGone => Self::new(table::doubtful(Doubt::Blind, None), reason),
        }
    }

    fn of_graph(step: Step, error: GraphError, reason: String) -> Self {
        match error {
            GraphError::Token(error) => Self {
                http_status: error.status(),
                code: error.code(),
                retry_after: error.retry_after(),
                ..Self::new(table::token(&error), reason)
            },
            GraphError::Answered {
                status,
                code,
                retry_after,
                request_id,
                ..
            } => Self {
                http_status: Some(status),
                request_id,
                retry_after,
                asked: true,
                ..Self::new(
                    table::in_step(
                        step,
                        table::graph(status, &code, retry_after),
                        Some((status, code.as_str())),
                    ),
                    reason,
                )
            }
            .with_code(code),
            GraphError::Transport(error) => Self {
                asked: matches!(error, TransportError::MaybeSent { .. }),
                ..Self::new(table::in_step(step, table::transport(&error), None), reason)
            },
            GraphError::UploadHost(_) => Self::new(
                table::configuration(Scope::Message, Fault::UploadHost),
                reason,
            ),
            GraphError::Content(_) => Self::new(table::unavailable(Scope::Message, None), reason),
        }
    }

    fn new(kind: Kind, reason: String) -> Self {
        Self {
            kind,
            http_status: None,
            code: None,
            reason,
            request_id: None,
            retry_after: None,
            too_large: false,
            damaged: false,
            asked: false,
            verdict: None,
            sign_in: SignIn::Application,
        }
    }

    /// Whether the mailbox has reached its sending quota.
    pub(super) fn is_over_quota(&self) -> bool {
        let code = self.code.as_deref();
        matches!(code, Some(table::OVER_QUOTA | table::OVER_MESSAGE_LIMIT))
    }

    /// Whether Graph does not know the mailbox.
    pub(super) fn is_mailbox_unknown(&self) -> bool {
        self.http_status == Some(404) && self.code.is_some()
    }

    fn with_code(self, code: String) -> Self {
        Self {
            code: Some(code).filter(|code| !code.is_empty()),
            ..self
        }
    }

    /// The attempt was aborted by a bug in the relay.
    pub(super) fn panicked() -> Self {
        let reason = "the relay broke off this attempt because of a bug: please report \
                      the panic in the log";
        Self::new(table::doubtful(Doubt::Blind, None), reason.to_owned())
    }
}
