//! The ONE table from any failure to what becomes of the message.
//!
//! | failure | outcome | who waits |
//! |---|---|---|
//! | no token: secret unreadable, Entra refuses | Deferred, configuration | the account |
//! | no token: Entra in trouble or out of reach | Deferred | the account |
//! | Graph out of reach | Deferred | the account |
//! | no answer to a request that was sent | Doubtful | the mailbox |
//! | 2xx but 202, 3xx, 5xx without a known code | Doubtful | the mailbox |
//! | 401, with a new token too | Deferred, configuration | the account |
//! | 403, 404, 507: mailbox, licence, permission, policy, full | Deferred, configuration | the mailbox |
//! | 403 ErrorSendAsDenied | Deferred, configuration | the message |
//! | blocked or over quota, by its code and whatever the status | Deferred | the mailbox |
//! | 429, 509, 503 with Retry-After | Deferred, throttled | the mailbox |
//! | 503 with a known code | Deferred | the mailbox |
//! | 408, 409, 412, 423 | Deferred | the message |
//! | 4xx that is not Graph's: a proxy's, a wrong URL's | Deferred, configuration | the account |
//! | 413, every other 4xx with a code of Graph's | Failed | |
//!
//! Codes and what they mean: Graph pages "Microsoft Graph error responses" and
//! "Outlook service limits", and reports of what Exchange answers. A
//! configuration fault never fails a message: somebody mends it, and the
//! message goes out. The waits are bounded here; when the next attempt is due
//! is decided in `schedule.rs`.

use std::time::Duration;

use super::compose::ComposeError;
use crate::auth::TokenError;
use crate::graph::GraphError;
use crate::graph::Submitted;
use crate::http::TransportError;

/// Why an attempt did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error("{0}")]
    Token(std::sync::Arc<TokenError>),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the message cannot be sent: {0}")]
    Compose(#[from] ComposeError),
    #[error("there is no [[account]] named {0:?} any more")]
    NoAccount(String),
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// HTTP status of the answer, if there was one.
    pub(super) http_status: Option<u16>,
    /// Graph's or Entra's code.
    pub(super) code: Option<String>,
    /// In words, one line.
    pub(super) reason: String,
    /// Graph's `request-id`.
    pub(super) request_id: Option<String>,
}

/// The four outcomes of the glossary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Graph took it.
    Delivered,
    /// It was not taken, and will be tried again.
    Deferred {
        cause: Cause,
        scope: Scope,
        /// As the answer says, clamped.
        wait: Option<Duration>,
    },
    /// It will not be tried again.
    Failed,
    /// It may have been taken.
    Doubtful {
        /// As the answer says, clamped.
        wait: Option<Duration>,
    },
}

/// Why it was deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Graph asks to go slower.
    Throttled,
    /// Trouble on the way or on their side: it passes.
    Unavailable,
    /// Somebody has to change something; the words say what.
    Configuration(&'static str),
}

/// What the trouble concerns, and so what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Message,
    Mailbox,
    Account,
}

/// Graph says when to come back; an answer that says "never" or "at once" is not
/// taken at its word. Coming back early counts against the quota (Graph page
/// "Microsoft Graph throttling guidance").
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// See [`SHORTEST_WAIT`].
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

impl Outcome {
    /// What the end of an attempt means.
    pub(super) fn of(result: Result<Submitted, AttemptError>) -> Self {
        match result {
            Ok(submitted) => Self {
                kind: Kind::Delivered,
                http_status: Some(202),
                code: None,
                reason: "submitted to Graph".to_owned(),
                request_id: submitted.request_id,
            },
            Err(error) => {
                let reason = error.to_string();
                let (kind, http_status, code, request_id) = match error {
                    AttemptError::Token(error) => {
                        (token(&error), token_status(&error), error.code(), None)
                    }
                    AttemptError::Graph(GraphError::Answered {
                        status,
                        code,
                        retry_after,
                        request_id,
                        ..
                    }) => {
                        let kind = graph(status, &code, retry_after);
                        let code = Some(code).filter(|code| !code.is_empty());
                        (kind, Some(status), code, request_id)
                    }
                    AttemptError::Graph(GraphError::Transport(error)) => {
                        (transport(&error), None, None, None)
                    }
                    AttemptError::Graph(GraphError::Content(_)) => {
                        (unavailable(Scope::Message, None), None, None, None)
                    }
                    AttemptError::Compose(_) => (Kind::Failed, None, None, None),
                    AttemptError::NoAccount(_) => {
                        (configuration(Scope::Mailbox, NO_ACCOUNT), None, None, None)
                    }
                };
                Self {
                    kind,
                    http_status,
                    code,
                    reason,
                    request_id,
                }
            }
        }
    }
}

impl Outcome {
    /// The attempt did not come to an end of its own: a mistake of the relay's.
    pub(super) fn panicked() -> Self {
        Self {
            kind: Kind::Doubtful { wait: None },
            http_status: None,
            code: None,
            reason: "the relay broke off this attempt by a mistake of its own: please report the \
                     panic in the log"
                .to_owned(),
            request_id: None,
        }
    }
}

fn token(error: &TokenError) -> Kind {
    match error {
        TokenError::Secret(_) => configuration(Scope::Account, SECRET),
        TokenError::Refused { aadsts, .. } => {
            configuration(Scope::Account, credential_remedy(*aadsts))
        }
        TokenError::Unavailable { retry_after, .. } => unavailable(Scope::Account, *retry_after),
        // A token request can be repeated whether it arrived or not.
        TokenError::Transport(_) => unavailable(Scope::Account, None),
    }
}

fn token_status(error: &TokenError) -> Option<u16> {
    match error {
        TokenError::Refused { status, .. } | TokenError::Unavailable { status, .. } => {
            Some(*status)
        }
        TokenError::Secret(_) | TokenError::Transport(_) => None,
    }
}

fn transport(error: &TransportError) -> Kind {
    match error {
        TransportError::NotSent { .. } => unavailable(Scope::Account, None),
        TransportError::MaybeSent { .. } => Kind::Doubtful { wait: None },
    }
}

fn graph(status: u16, code: &str, retry_after: Option<Duration>) -> Kind {
    match (status, code) {
        // These come with 400, 403 or 429: the code says more than the status.
        (_, "ErrorSubmissionQuotaExceeded" | "ErrorExceededMessageLimit") => {
            throttled(Some(retry_after.unwrap_or(LONGEST_WAIT)))
        }
        (_, "ErrorAccountSuspend" | "ErrorMessageSubmissionBlocked") => {
            configuration(Scope::Mailbox, BLOCKED)
        }
        (400, "ErrorQuotaExceeded") | (507, _) => configuration(Scope::Mailbox, MAILBOX_FULL),
        (401, _) => configuration(Scope::Account, TOKEN_REFUSED),
        (403, "ErrorSendAsDenied") => configuration(Scope::Message, SEND_AS),
        (403, _) => configuration(Scope::Mailbox, ACCESS),
        (404, "MailboxNotEnabledForRESTAPI") => configuration(Scope::Mailbox, NO_LICENCE),
        (404, _) => configuration(Scope::Mailbox, NO_MAILBOX),
        (407, _) => configuration(Scope::Account, PROXY),
        (429 | 509, _) => throttled(retry_after),
        (408 | 409 | 412 | 423, _) => unavailable(Scope::Message, retry_after),
        (503, _) if retry_after.is_some() => throttled(retry_after),
        (
            503,
            "ErrorServerBusy"
            | "ServiceUnavailable"
            | "serviceNotAvailable"
            | "ErrorMailboxStoreUnavailable",
        ) => unavailable(Scope::Mailbox, None),
        (413, _) => Kind::Failed,
        (400..=499, "") => configuration(Scope::Account, NOT_GRAPH),
        (400..=499, _) => Kind::Failed,
        _ => Kind::Doubtful {
            wait: clamp(retry_after),
        },
    }
}

fn throttled(wait: Option<Duration>) -> Kind {
    Kind::Deferred {
        cause: Cause::Throttled,
        scope: Scope::Mailbox,
        wait: clamp(wait),
    }
}

fn unavailable(scope: Scope, wait: Option<Duration>) -> Kind {
    Kind::Deferred {
        cause: Cause::Unavailable,
        scope,
        wait: clamp(wait),
    }
}

fn configuration(scope: Scope, remedy: &'static str) -> Kind {
    Kind::Deferred {
        cause: Cause::Configuration(remedy),
        scope,
        wait: None,
    }
}

fn clamp(wait: Option<Duration>) -> Option<Duration> {
    wait.map(|wait| wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// The commonest of Entra's refusals ("Microsoft Entra authentication and
/// authorization error codes").
fn credential_remedy(aadsts: Option<u32>) -> &'static str {
    match aadsts {
        Some(7_000_215 | 70_002) => {
            "the client secret is wrong: in Entra, App registrations, Certificates & secrets, copy \
             the secret's Value (not its Secret ID), or make a new one, and put it in place"
        }
        Some(7_000_222) => {
            "the client secret has expired: in Entra, App registrations, Certificates & secrets, \
             make a new one and put its Value in place"
        }
        Some(700_016 | 700_011 | 7_000_229) => {
            "the tenant does not know this client_id: compare client_id and tenant with the app \
             registration's overview, and grant admin consent there"
        }
        Some(90_002 | 900_023) => {
            "there is no such tenant: compare tenant with Entra's overview page, \
             \"Tenant ID\" or \"Primary domain\""
        }
        _ => "compare tenant, client_id and client secret with the app registration in Entra",
    }
}

const SECRET: &str = "put the client secret's Value in the place that relay.toml names";
const TOKEN_REFUSED: &str = "Graph refuses tokens of this app: check that login_url and graph_url \
    belong to the same cloud, and that admin consent was granted";
const ACCESS: &str = "the app may not send from this mailbox: grant it the application permission \
    Mail.Send with admin consent, or include the mailbox in its RBAC scope or application access \
    policy; a change takes up to two hours";
const SEND_AS: &str = "the mailbox may not send as this From address: send through the mailbox of \
    that address (another [[account]], or mailbox = \"from\"), or give the mailbox Send As on it";
const NO_MAILBOX: &str = "there is no such mailbox: compare mailbox in relay.toml with the user's \
    principal name (an alias does not work)";
const NO_LICENCE: &str = "the mailbox has no Exchange Online licence, or is not in Exchange Online: \
    assign one, or send through another mailbox";
const MAILBOX_FULL: &str = "the sending mailbox is full: empty its Sent Items, or raise its quota";
const BLOCKED: &str = "Exchange has blocked sending from this mailbox: see Restricted entities in the \
    Microsoft Defender portal, and unblock it there";
const NOT_GRAPH: &str = "this is no answer of Graph's: look at graph_url, at http.proxy, and at \
    what stands between this machine and Graph";
const PROXY: &str = "the proxy wants authentication: put user and password into http.proxy";
const NO_ACCOUNT: &str = "restart the relay, so that waiting messages find their [[account]]";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Short {
        Failed,
        Doubtful,
        Throttled,
        Later,
        Config,
    }

    fn short(status: u16, code: &str, retry_after: Option<u64>) -> Short {
        match graph(status, code, retry_after.map(Duration::from_secs)) {
            Kind::Delivered => panic!("delivered"),
            Kind::Failed => Short::Failed,
            Kind::Doubtful { .. } => Short::Doubtful,
            Kind::Deferred { cause, .. } => match cause {
                Cause::Throttled => Short::Throttled,
                Cause::Unavailable => Short::Later,
                Cause::Configuration(_) => Short::Config,
            },
        }
    }

    #[test]
    fn every_row_of_the_table_holds() {
        for (status, code, retry_after, outcome) in [
            (200, "", None, Short::Doubtful),
            (201, "", None, Short::Doubtful),
            (302, "", None, Short::Doubtful),
            (400, "ErrorInvalidRecipients", None, Short::Failed),
            (
                400,
                "ErrorMimeContentInvalidBase64String",
                None,
                Short::Failed,
            ),
            (400, "", None, Short::Config),
            (405, "", None, Short::Config),
            (400, "ErrorExceededMessageLimit", None, Short::Throttled),
            (403, "ErrorSubmissionQuotaExceeded", None, Short::Throttled),
            (400, "ErrorAccountSuspend", None, Short::Config),
            (401, "InvalidAuthenticationToken", None, Short::Config),
            (403, "ErrorAccessDenied", None, Short::Config),
            (403, "ErrorSendAsDenied", None, Short::Config),
            (404, "ErrorInvalidUser", None, Short::Config),
            (404, "MailboxNotEnabledForRESTAPI", None, Short::Config),
            (409, "ErrorIrresolvableConflict", None, Short::Later),
            (413, "BadRequest", None, Short::Failed),
            (415, "UnsupportedMediaType", None, Short::Failed),
            (429, "ApplicationThrottled", Some(10), Short::Throttled),
            (429, "TooManyRequests", None, Short::Throttled),
            (429, "ErrorSubmissionQuotaExceeded", None, Short::Throttled),
            (500, "ErrorInternalServerError", None, Short::Doubtful),
            (502, "", None, Short::Doubtful),
            (503, "ErrorServerBusy", None, Short::Later),
            (503, "", Some(5), Short::Throttled),
            (503, "", None, Short::Doubtful),
            (504, "UnknownError", None, Short::Doubtful),
            (507, "", None, Short::Config),
            (509, "", None, Short::Throttled),
            (599, "", None, Short::Doubtful),
        ] {
            assert_eq!(short(status, code, retry_after), outcome, "{status} {code}");
        }
    }

    #[test]
    fn retry_after_is_clamped() {
        let wait = |seconds: u64| match graph(429, "", Some(Duration::from_secs(seconds))) {
            Kind::Deferred { wait, .. } => wait.unwrap(),
            Kind::Delivered | Kind::Failed | Kind::Doubtful { .. } => panic!("not deferred"),
        };

        assert_eq!(wait(0), SHORTEST_WAIT);
        assert_eq!(wait(10), Duration::from_secs(10));
        assert_eq!(wait(1_000_000_000_000), LONGEST_WAIT);
    }

    #[test]
    fn only_a_request_that_may_have_arrived_is_doubtful() {
        let (host, reason) = (String::new(), String::new());
        let lost = TransportError::MaybeSent {
            host: host.clone(),
            reason: reason.clone(),
        };
        let refused = TransportError::NotSent { host, reason };

        assert_eq!(transport(&lost), Kind::Doubtful { wait: None });
        assert!(matches!(transport(&refused), Kind::Deferred { .. }));
    }
}
