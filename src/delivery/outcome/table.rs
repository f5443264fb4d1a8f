//! What each error means, in each step of an attempt: the rows of the table in
//! `mod.rs`.
//!
//! Codes and their meaning: Graph pages "Microsoft Graph error responses" and "Outlook
//! service limits", and reports of real answers from Exchange. The waits that an answer
//! asks for are clamped here.

use std::time::Duration;

use super::Cause;
use super::Doubt;
use super::Kind;
use super::Scope;
use super::error::Step;
use super::fault::Fault;
use crate::auth::TokenError;
use crate::config::SignIn;
use crate::http::TransportError;

/// The shortest wait that an answer can ask for: "never" and "at once" are not taken
/// literally. Coming back early counts against the quota (Graph page "Microsoft Graph
/// throttling guidance").
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Graph's code for a mailbox that has reached its daily sending quota.
pub(super) const OVER_QUOTA: &str = "ErrorSubmissionQuotaExceeded";
/// The same in another spelling that was seen.
pub(super) const OVER_MESSAGE_LIMIT: &str = "ErrorExceededMessageLimit";
/// Graph's code for a message that is larger than its mailbox may send, which is also the answer
/// to the piece of an upload that exceeds it.
pub(super) const OVER_SIZE: &str = "ErrorMessageSizeExceeded";
/// See [`SHORTEST_WAIT`].
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Applies the rules for sendMail to another step.
pub(super) fn in_step(step: Step, kind: Kind, answer: Option<(u16, &str)>) -> Kind {
    let status = answer.map(|(status, _)| status);
    match (step, kind) {
        (Step::SendMail, kind) => kind,
        // It was sent before, deleted, or is not visible yet.
        (Step::SendDraft, _) if status == Some(404) => doubtful(Doubt::Look, None),
        (Step::SendDraft, Kind::Doubtful { wait, .. }) => doubtful(Doubt::Look, wait),
        (Step::SendDraft, kind) => kind,
        // Without looking nothing is known, and looking again does no harm.
        (Step::Look, Kind::Failed | Kind::Doubtful { .. }) => doubtful(Doubt::Look, None),
        (Step::Upload, Kind::Failed) if answer.is_some_and(|(_, code)| code == OVER_SIZE) => kind,
        // The upload URL has a token of its own, which expires.
        (Step::Upload, _) if matches!(status, Some(400..=412 | 414..=428 | 430..=499)) => {
            unavailable(Scope::Message, None)
        }
        (Step::Prepare | Step::Upload, Kind::Doubtful { wait, .. }) => {
            unavailable(Scope::Mailbox, wait)
        }
        (Step::Prepare | Step::Look, kind)
            if kind == configuration(Scope::Mailbox, Fault::Access) =>
        {
            configuration(Scope::Message, Fault::DraftAccess)
        }
        (Step::Prepare | Step::Upload | Step::Look, kind) => kind,
    }
}

/// If people sign in, each mailbox has a token of its own.
pub(super) fn by_sign_in(kind: Kind, sign_in: SignIn) -> Kind {
    match (sign_in, kind) {
        (
            SignIn::Delegated,
            Kind::Deferred {
                cause: cause @ Cause::Configuration(Fault::TokenRefused),
                wait,
                ..
            },
        ) => Kind::Deferred {
            cause,
            scope: Scope::Mailbox,
            wait,
        },
        (SignIn::Application | SignIn::Delegated, kind) => kind,
    }
}

pub(super) fn doubtful(doubt: Doubt, wait: Option<Duration>) -> Kind {
    Kind::Doubtful { doubt, wait }
}

pub(super) fn token(error: &TokenError) -> Kind {
    match error {
        TokenError::Credential(_) => configuration(Scope::Account, Fault::Credential),
        TokenError::Identity(_) => configuration(Scope::Account, Fault::ManagedIdentity),
        TokenError::NotSignedIn { .. } => configuration(Scope::Mailbox, Fault::NotSignedIn),
        TokenError::SignedOut { code, .. } => {
            configuration(Scope::Mailbox, Fault::signed_out(code))
        }
        TokenError::Store(_) => configuration(Scope::Account, Fault::SignInStore),
        TokenError::Refused { aadsts, .. } => {
            configuration(Scope::Account, Fault::Refused(*aadsts))
        }
        TokenError::Unavailable { retry_after, .. } => unavailable(Scope::Account, *retry_after),
        // A token request can be repeated, whether it arrived or not.
        TokenError::Transport(_) => unavailable(Scope::Account, None),
    }
}

pub(super) fn transport(error: &TransportError) -> Kind {
    match error {
        TransportError::NotSent { .. } => unavailable(Scope::Account, None),
        TransportError::MaybeSent { .. } => doubtful(Doubt::Blind, None),
    }
}

pub(super) fn graph(status: u16, code: &str, retry_after: Option<Duration>) -> Kind {
    match (status, code) {
        // These come with 400, 403 or 429, so the code says more than the status.
        (_, OVER_QUOTA | OVER_MESSAGE_LIMIT) => {
            throttled(Some(retry_after.unwrap_or(LONGEST_WAIT)))
        }
        (_, "ErrorAccountSuspend" | "ErrorMessageSubmissionBlocked") => {
            configuration(Scope::Mailbox, Fault::Blocked)
        }
        (400, "ErrorQuotaExceeded") | (507, _) => configuration(Scope::Mailbox, Fault::MailboxFull),
        (407, _) => configuration(Scope::Account, Fault::Proxy),
        (401 | 403 | 404, "") => configuration(Scope::Account, Fault::NotGraph),
        (401, _) => configuration(Scope::Account, Fault::TokenRefused),
        (403, "ErrorSendAsDenied") => configuration(Scope::Message, Fault::SendAs),
        (403, _) => configuration(Scope::Mailbox, Fault::Access),
        (404, "MailboxNotEnabledForRESTAPI") => configuration(Scope::Mailbox, Fault::NoLicence),
        (404, _) => configuration(Scope::Mailbox, Fault::NoMailbox),
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
        (400..=499, "") => configuration(Scope::Account, Fault::NotGraph),
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

pub(super) fn unavailable(scope: Scope, wait: Option<Duration>) -> Kind {
    Kind::Deferred {
        cause: Cause::Unavailable,
        scope,
        wait: clamp(wait),
    }
}

pub(super) fn configuration(scope: Scope, fault: Fault) -> Kind {
    Kind::Deferred {
        cause: Cause::Configuration(fault),
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
        let kind = |code| in_step(Step::Prepare, graph(403, code, None), Some((403, code)));

        let access = configuration(Scope::Message, Fault::DraftAccess);
        assert_eq!(kind("ErrorAccessDenied"), access);
        assert_ne!(kind("ErrorAccountSuspend"), access);
    }

    #[test]
    fn an_upload_that_exceeds_the_size_of_the_mailbox_fails() {
        let kind = |code| in_step(Step::Upload, graph(400, code, None), Some((400, code)));

        assert_eq!(kind("ErrorMessageSizeExceeded"), Kind::Failed);
        assert_eq!(kind("InvalidRange"), unavailable(Scope::Message, None));
        assert_eq!(kind(""), unavailable(Scope::Message, None));
    }

    #[test]
    fn an_answer_that_is_not_graphs_names_the_proxy_whatever_the_status() {
        for status in [400, 401, 403, 404, 405, 411, 414, 418, 451] {
            let kind = configuration(Scope::Account, Fault::NotGraph);
            assert_eq!(graph(status, "", None), kind, "{status}");
        }
        let password = configuration(Scope::Account, Fault::Proxy);
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
