//! The ONE table from any failure to what becomes of the message.
//!
//! | failure | outcome | who waits |
//! |---|---|---|
//! | no token: credential unreadable, Entra refuses | Deferred, configuration | the account |
//! | no token: the mailbox is not signed in any more | Deferred, configuration | the mailbox |
//! | no token: Entra in trouble or out of reach | Deferred | the account |
//! | Graph out of reach | Deferred | the account |
//! | no answer to a request that sends | Doubtful | the mailbox |
//! | 2xx but 202, 3xx, 5xx without a known code, to a request that sends | Doubtful | the mailbox |
//! | the same to a request that prepares a draft | Deferred | the mailbox |
//! | a draft that may have been sent cannot be found | Doubtful | the mailbox |
//! | 403 to a request for a draft, unless its code says more | Deferred, configuration | the message |
//! | 401 of Graph's, with a new token too | Deferred, configuration | the account; the mailbox where it has signed in |
//! | 403, 404, 507 of Graph's: mailbox, licence, permission, policy, full | Deferred, configuration | the mailbox |
//! | 403 ErrorSendAsDenied | Deferred, configuration | the message |
//! | blocked or over quota, by its code and whatever the status | Deferred | the mailbox |
//! | 429, 509, 503 with Retry-After | Deferred, throttled | the mailbox |
//! | 503 with a known code | Deferred | the mailbox |
//! | 408, 409, 412, 423 | Deferred | the message |
//! | its content is damaged | Failed: quarantined | |
//! | 401, 403, 404 and every other 4xx without Graph's error: a proxy's, a gateway's | Deferred, configuration | the account |
//! | 413, every other 4xx with a code of Graph's | Failed | |
//!
//! Where the reason may lie in what the message says, "the mailbox" and "the
//! account" are what waits if other messages fail likewise: `suspects.rs` decides
//! whose trouble it is.
//!
//! Codes and what they mean: Graph pages "Microsoft Graph error responses" and
//! "Outlook service limits", and reports of what Exchange answers. A
//! configuration fault never fails a message: somebody corrects it, and the
//! message goes out. The waits are bounded here; when the next attempt is due
//! is decided in `schedule.rs`.

use std::time::Duration;

use super::error::AttemptError;
use super::error::Step;
use super::remedy;
use super::suspects::Verdict;
use crate::auth::TokenError;
use crate::config::SignIn;
use crate::graph::GraphError;
use crate::graph::Submitted;
use crate::http::TransportError;

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
    /// The relay itself found it too large.
    pub(super) too_large: bool,
    /// Its content is damaged: it is kept in quarantine, and not reported.
    pub(super) damaged: bool,
    /// Whether a request about the message went out: what it says may be why.
    pub(super) asked: bool,
    /// Whose trouble it is, where that had to be found out.
    pub(super) verdict: Option<Verdict>,
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
        doubt: Doubt,
        /// As the answer says, clamped.
        wait: Option<Duration>,
    },
}

/// How a doubt can be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The draft will tell.
    Look,
    /// Nothing will: `on_doubt` decides.
    Blind,
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
/// Graph's code for a mailbox that has sent as much as it may in a day.
const OVER_QUOTA: &str = "ErrorSubmissionQuotaExceeded";
/// See [`SHORTEST_WAIT`].
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

impl Outcome {
    /// What the end of an attempt means, for an account of this kind.
    pub(super) fn of(result: Result<Submitted, AttemptError>, sign_in: SignIn) -> Self {
        match result {
            Ok(submitted) => Self {
                http_status: Some(202),
                request_id: submitted.request_id,
                ..Self::new(Kind::Delivered, "submitted to Graph".to_owned())
            },
            Err(error) => Self::of_error(error, sign_in),
        }
    }

    fn of_error(error: AttemptError, sign_in: SignIn) -> Self {
        let reason = error.to_string();
        match error {
            AttemptError::Graph { step, error } => Self::of_graph(step, error, reason, sign_in),
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
                Self::new(unavailable(Scope::Message, None), reason)
            }
            AttemptError::NoAccount(_) => {
                Self::new(configuration(Scope::Mailbox, remedy::NO_ACCOUNT), reason)
            }
            AttemptError::Spool(_) => Self::new(unavailable(Scope::Message, None), reason),
            AttemptError::DraftNotFound => Self::new(doubtful(Doubt::Look, None), reason),
            AttemptError::DraftGone => Self::new(doubtful(Doubt::Blind, None), reason),
        }
    }

    fn of_graph(step: Step, error: GraphError, reason: String, sign_in: SignIn) -> Self {
        match error {
            GraphError::Token(error) => Self {
                http_status: error.status(),
                code: error.code(),
                ..Self::new(token(&error), reason)
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
                asked: true,
                ..Self::new(
                    by_sign_in(
                        in_step(step, graph(status, &code, retry_after), status),
                        sign_in,
                    ),
                    reason,
                )
            }
            .with_code(code),
            GraphError::Transport(error) => Self {
                asked: matches!(error, TransportError::MaybeSent { .. }),
                ..Self::new(in_step(step, transport(&error), 0), reason)
            },
            GraphError::UploadHost(_) => {
                Self::new(configuration(Scope::Message, remedy::UPLOAD_HOST), reason)
            }
            GraphError::Content(_) => Self::new(unavailable(Scope::Message, None), reason),
        }
    }

    fn new(kind: Kind, reason: String) -> Self {
        Self {
            kind,
            http_status: None,
            code: None,
            reason,
            request_id: None,
            too_large: false,
            damaged: false,
            asked: false,
            verdict: None,
        }
    }

    /// Whether the mailbox has sent as much as it may for now.
    pub(super) fn is_over_quota(&self) -> bool {
        let code = self.code.as_deref();
        matches!(code, Some(OVER_QUOTA | "ErrorExceededMessageLimit"))
    }

    fn with_code(self, code: String) -> Self {
        Self {
            code: Some(code).filter(|code| !code.is_empty()),
            ..self
        }
    }

    /// The attempt did not come to an end of its own: a mistake of the relay's.
    pub(super) fn panicked() -> Self {
        let reason = "the relay broke off this attempt by a mistake of its own: please report \
                      the panic in the log";
        Self::new(doubtful(Doubt::Blind, None), reason.to_owned())
    }
}

/// What is true of sendMail, in another step.
fn in_step(step: Step, kind: Kind, status: u16) -> Kind {
    match (step, kind) {
        (Step::SendMail, kind) => kind,
        // Sent before, deleted, or not to be seen yet.
        (Step::SendDraft, _) if status == 404 => doubtful(Doubt::Look, None),
        (Step::SendDraft, Kind::Doubtful { wait, .. }) => doubtful(Doubt::Look, wait),
        (Step::SendDraft, kind) => kind,
        // Without looking nothing is known, and nothing is lost by looking again.
        (Step::Look, Kind::Failed | Kind::Doubtful { .. }) => doubtful(Doubt::Look, None),
        // The upload URL has a token of its own, and ends by itself.
        (Step::Upload, _) if (400..500).contains(&status) && status != 413 && status != 429 => {
            unavailable(Scope::Message, None)
        }
        (Step::Prepare | Step::Upload, Kind::Doubtful { wait, .. }) => {
            unavailable(Scope::Mailbox, wait)
        }
        (Step::Prepare | Step::Look, kind)
            if kind == configuration(Scope::Mailbox, remedy::ACCESS) =>
        {
            configuration(Scope::Message, remedy::DRAFT_ACCESS)
        }
        (Step::Prepare | Step::Upload | Step::Look, kind) => kind,
    }
}

/// Where people have signed in, each mailbox has a token of its own, and is allowed
/// what its person has consented to.
fn by_sign_in(kind: Kind, sign_in: SignIn) -> Kind {
    let Kind::Deferred {
        cause: Cause::Configuration(remedy),
        scope,
        wait,
    } = kind
    else {
        return kind;
    };
    let (scope, remedy) = match (sign_in, remedy) {
        (SignIn::Application, _) => return kind,
        (SignIn::Delegated, remedy::TOKEN_REFUSED) => (Scope::Mailbox, remedy::SIGN_IN),
        (SignIn::Delegated, remedy::ACCESS) => (scope, remedy::CONSENT),
        (SignIn::Delegated, remedy::DRAFT_ACCESS) => (scope, remedy::DRAFT_CONSENT),
        (SignIn::Delegated, other) => (scope, other),
    };
    Kind::Deferred {
        cause: Cause::Configuration(remedy),
        scope,
        wait,
    }
}

fn doubtful(doubt: Doubt, wait: Option<Duration>) -> Kind {
    Kind::Doubtful { doubt, wait }
}

fn token(error: &TokenError) -> Kind {
    match error {
        TokenError::Credential(_) => configuration(Scope::Account, remedy::CREDENTIAL),
        TokenError::Identity(_) => configuration(Scope::Account, remedy::IDENTITY),
        TokenError::NotSignedIn { .. } => configuration(Scope::Mailbox, remedy::SIGN_IN),
        TokenError::SignedOut { code, .. } => {
            configuration(Scope::Mailbox, remedy::signed_out(code))
        }
        TokenError::Store(_) => configuration(Scope::Account, remedy::SIGN_INS),
        TokenError::Refused { aadsts, .. } => {
            configuration(Scope::Account, remedy::credential(*aadsts))
        }
        TokenError::Unavailable { retry_after, .. } => unavailable(Scope::Account, *retry_after),
        // A token request can be repeated whether it arrived or not.
        TokenError::Transport(_) => unavailable(Scope::Account, None),
    }
}

fn transport(error: &TransportError) -> Kind {
    match error {
        TransportError::NotSent { .. } => unavailable(Scope::Account, None),
        TransportError::MaybeSent { .. } => doubtful(Doubt::Blind, None),
    }
}

fn graph(status: u16, code: &str, retry_after: Option<Duration>) -> Kind {
    match (status, code) {
        // These come with 400, 403 or 429: the code says more than the status.
        (_, OVER_QUOTA | "ErrorExceededMessageLimit") => {
            throttled(Some(retry_after.unwrap_or(LONGEST_WAIT)))
        }
        (_, "ErrorAccountSuspend" | "ErrorMessageSubmissionBlocked") => {
            configuration(Scope::Mailbox, remedy::BLOCKED)
        }
        (400, "ErrorQuotaExceeded") | (507, _) => {
            configuration(Scope::Mailbox, remedy::MAILBOX_FULL)
        }
        (407, _) => configuration(Scope::Account, remedy::PROXY),
        (401 | 403 | 404, "") => configuration(Scope::Account, remedy::NOT_GRAPH),
        (401, _) => configuration(Scope::Account, remedy::TOKEN_REFUSED),
        (403, "ErrorSendAsDenied") => configuration(Scope::Message, remedy::SEND_AS),
        (403, _) => configuration(Scope::Mailbox, remedy::ACCESS),
        (404, "MailboxNotEnabledForRESTAPI") => configuration(Scope::Mailbox, remedy::NO_LICENCE),
        (404, _) => configuration(Scope::Mailbox, remedy::NO_MAILBOX),
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
        (400..=499, "") => configuration(Scope::Account, remedy::NOT_GRAPH),
        (400..=499, _) => Kind::Failed,
        _ => doubtful(Doubt::Blind, clamp(retry_after)),
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
            (401, "", None, Short::Config),
            (403, "", None, Short::Config),
            (404, "", None, Short::Config),
            (407, "", None, Short::Config),
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
    fn a_403_that_prepares_is_about_drafts_unless_its_code_says_more() {
        let kind = |code| in_step(Step::Prepare, graph(403, code, None), 403);

        let access = configuration(Scope::Message, remedy::DRAFT_ACCESS);
        assert_eq!(kind("ErrorAccessDenied"), access);
        assert_ne!(kind("ErrorAccountSuspend"), access);
    }

    #[test]
    fn an_answer_that_is_not_graphs_names_the_proxy_whatever_the_status() {
        for status in [400, 401, 403, 404, 405, 411, 414, 418, 451] {
            let kind = configuration(Scope::Account, remedy::NOT_GRAPH);
            assert_eq!(graph(status, "", None), kind, "{status}");
        }
        let password = configuration(Scope::Account, remedy::PROXY);
        assert_eq!(graph(407, "", None), password);
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

        assert_eq!(transport(&lost), doubtful(Doubt::Blind, None));
        assert!(matches!(transport(&refused), Kind::Deferred { .. }));
    }
}
