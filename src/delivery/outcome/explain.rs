//! Explains an outcome to somebody who knows neither Graph nor this relay: what happened,
//! what to do, and the enhanced status (RFC 3463) for programs.
//!
//! | outcome, after which delivery was given up | status |
//! |---|---|
//! | Failed, ErrorInvalidRecipients | 5.1.0 |
//! | Failed, 413 or too large | 5.3.4 |
//! | Failed, the content cannot be sent or read | 5.6.0 |
//! | Failed, anything else | 5.0.0 |
//! | Deferred or Doubtful for too long | 5.4.7 |
//!
//! | outcome of a message that is late | status |
//! |---|---|
//! | Deferred: throttled, or an answer with an error | 4.3.2 |
//! | Deferred or Doubtful, not answered | 4.4.1 |
//! | Deferred, configuration | 4.3.5 |
//!
//! | Delivered, if the sender asked for a report | 2.0.0 |
//! | Quarantined, which is not reported | 4.3.0 |
//!
//! Graph accepts a message for all of its recipients or for none, so one status is right
//! for each of them.

use std::time::Duration;

use super::Cause;
use super::Kind;
use super::Outcome;
use super::table;
use crate::clock::span_in_words;
use crate::mail::EnhancedStatus;
use crate::spool::Next;

/// An outcome as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Explanation {
    pub(in crate::delivery) status: EnhancedStatus,
    /// Complete sentences.
    pub(in crate::delivery) happened: String,
    /// Complete sentences.
    pub(in crate::delivery) remedy: String,
}

/// The enhanced status of an attempt for each recipient.
pub(in crate::delivery) fn status(outcome: &Outcome, next: Next) -> EnhancedStatus {
    match next {
        Next::Delivered => EnhancedStatus::SUCCESS,
        Next::Failed => given_up(outcome, Duration::ZERO).status,
        Next::Quarantined => EnhancedStatus::LOCAL_TROUBLE,
        Next::Held | Next::Wait(_) => delay(outcome, Duration::ZERO, false).status,
    }
}

/// Explains the failure of a message after it was tried for this long. Only if no attempt
/// was doubtful is it certain that nobody has received it.
pub(in crate::delivery) fn failure(
    outcome: &Outcome,
    tried: Duration,
    is_doubted: bool,
) -> Explanation {
    let mut said = given_up(outcome, tried);
    if matches!(outcome.kind, Kind::Doubtful { .. }) {
        return said;
    }
    if is_doubted {
        said.happened.push_str(
            " An earlier attempt got no answer, so the recipients may have received it anyway.",
        );
        said.remedy.insert_str(
            0,
            "Ask a recipient whether it arrived before you send it again. ",
        );
    } else {
        said.happened
            .push_str(" None of the recipients has received it.");
    }
    said
}

fn given_up(outcome: &Outcome, tried: Duration) -> Explanation {
    let tried = span_in_words(tried);
    let expired = |happened: String, remedy: &str| Explanation {
        status: EnhancedStatus::EXPIRED,
        happened,
        remedy: remedy.to_owned(),
    };
    match outcome.kind {
        Kind::Failed | Kind::Delivered => refusal(outcome),
        Kind::Doubtful { .. } => expired(
            format!(
                "For {tried} the relay handed the message to Microsoft 365 again and again, and \
                 each time it remained unknown whether it was accepted. The recipients may have \
                 received it, even more than once."
            ),
            "Ask a recipient whether it arrived before you send it again.",
        ),
        Kind::Deferred {
            cause: Cause::Configuration(fault),
            ..
        } => expired(
            format!("For {tried} the message could not be sent because of a configuration error."),
            &format!(
                "This has to be fixed: {}. Then send the message again.",
                fault.remedy(outcome.sign_in)
            ),
        ),
        Kind::Deferred {
            cause: Cause::Throttled | Cause::Unavailable,
            ..
        } => expired(
            format!(
                "For {tried} Microsoft 365 could not be reached, or did not accept the \
                message."
            ),
            "Nothing seems to be wrong with the message itself: send it again when the problem is \
             over.",
        ),
    }
}

/// Explains Graph's refusal of a message, or the relay's own.
fn refusal(outcome: &Outcome) -> Explanation {
    let code = outcome.code.as_deref().unwrap_or_default();
    let (status, happened, remedy) = match (outcome.http_status, code) {
        (None, _) if outcome.too_large => (
            EnhancedStatus::TOO_BIG,
            "The message is too large for Microsoft 365 and cannot be split: an attachment is \
             larger than the maximum, or the message is signed or encrypted, or its text alone is \
             too large. The details below say which.",
            "Send it with fewer or smaller attachments. The relay's administrator can let signed, \
             encrypted and text-only messages travel as an attachment (oversize = \"attach\" in \
             relay.toml).",
        ),
        (_, "ErrorInvalidRecipients") => (
            EnhancedStatus::SOME_ADDRESS,
            "Microsoft 365 says that the address of at least one recipient is not valid.",
            "Check the recipients' addresses, and send the message again to the correct ones.",
        ),
        (_, table::OVER_SIZE) => (
            EnhancedStatus::TOO_BIG,
            "The message is larger than its mailbox may send: 35 MB, unless somebody has changed \
             that limit. Attachments count a third more than their size.",
            "Send it with fewer or smaller attachments, or as several messages. An administrator \
             of Exchange can raise the limit (MaxSendSize of the mailbox, at most 150 MB).",
        ),
        (Some(413), _) => (
            EnhancedStatus::TOO_BIG,
            "The message is larger than Microsoft 365 (4 MB) or a proxy on the way to it accepts in \
             one request, and the relay cannot split it further.",
            "Send it with fewer or smaller attachments, or as several messages. The relay's \
             administrator can let a message that cannot be split travel as an attachment \
             (oversize = \"attach\" in relay.toml), and raise the limit of the proxy.",
        ),
        (None, _) => (
            EnhancedStatus::BAD_CONTENT,
            "The message is not well-formed and cannot be sent.",
            "Show this report to the person responsible for the program that created the message.",
        ),
        (Some(_), code) if code.starts_with("ErrorMime") => (
            EnhancedStatus::BAD_CONTENT,
            "Microsoft 365 could not read the message.",
            "Show this report to the person responsible for the program that created the message.",
        ),
        (Some(_), _) => (
            EnhancedStatus::FAILED,
            "Microsoft 365 refused the message.",
            "Show this report to the relay's administrator: the details above say why.",
        ),
    };
    Explanation {
        status,
        happened: happened.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// Explains a message that was submitted. Graph says no more than that (RFC 3464 2.3.3).
pub(in crate::delivery) fn relayed(is_doubted: bool) -> Explanation {
    let mut happened = "Microsoft 365 has accepted the message for delivery. The relay cannot \
        know whether the recipients have received it: if it cannot be delivered, Microsoft 365 \
        sends a report of its own."
        .to_owned();
    if is_doubted {
        happened.push_str(
            " An earlier attempt got no answer, so the recipients may get the message twice.",
        );
    }
    Explanation {
        status: EnhancedStatus::SUCCESS,
        happened,
        remedy: "You need not do anything.".to_owned(),
    }
}

/// Explains a delay of this length; `is_followed` if a failure is reported to the same
/// sender.
pub(in crate::delivery) fn delay(
    outcome: &Outcome,
    late: Duration,
    is_followed: bool,
) -> Explanation {
    let late = span_in_words(late);
    let no_answer = outcome.http_status.is_none();
    let (status, why) = match outcome.kind {
        Kind::Deferred {
            cause: Cause::Configuration(fault),
            ..
        } => (
            EnhancedStatus::MISCONFIGURED,
            format!(
                "because of a configuration error. The relay's administrator has to fix this: {}.",
                fault.remedy(outcome.sign_in)
            ),
        ),
        Kind::Deferred {
            cause: Cause::Throttled,
            ..
        } => (
            EnhancedStatus::NOT_ACCEPTING,
            "because Microsoft 365 asks this relay to send more slowly.".to_owned(),
        ),
        Kind::Doubtful { .. } => (
            EnhancedStatus::NO_ANSWER,
            "because Microsoft 365 has not confirmed that it accepted it. The recipients may have \
             received it, and may get it twice."
                .to_owned(),
        ),
        Kind::Deferred { .. } | Kind::Delivered | Kind::Failed if no_answer => (
            EnhancedStatus::NO_ANSWER,
            "because Microsoft 365 cannot be reached.".to_owned(),
        ),
        Kind::Deferred { .. } | Kind::Delivered | Kind::Failed => (
            EnhancedStatus::NOT_ACCEPTING,
            "because Microsoft 365 is temporarily unavailable.".to_owned(),
        ),
    };
    Explanation {
        status,
        happened: format!("The message has been waiting for {late}, {why}"),
        remedy: match is_followed {
            true => {
                "You need not do anything. Please do not send it again: delivery is still being \
                 attempted. If it fails, you get another report."
            }
            false => {
                "You need not do anything. Please do not send it again: delivery is still \
                being attempted."
            }
        }
        .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SignIn;
    use crate::delivery::outcome::Doubt;
    use crate::delivery::outcome::Fault;
    use crate::delivery::outcome::Scope;

    fn outcome(kind: Kind, http_status: Option<u16>, code: &str) -> Outcome {
        Outcome {
            kind,
            http_status,
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
            reason: "a test's".to_owned(),
            request_id: None,
            retry_after: None,
            too_large: false,
            damaged: false,
            asked: true,
            verdict: None,
            sign_in: SignIn::Application,
        }
    }

    fn deferred(cause: Cause) -> Kind {
        Kind::Deferred {
            cause,
            scope: Scope::Message,
            wait: None,
        }
    }

    const DOUBTFUL: Kind = Kind::Doubtful {
        doubt: Doubt::Blind,
        wait: None,
    };

    #[test]
    fn every_failure_has_the_status_of_the_table() {
        let tried = Duration::from_secs(4 * 24 * 60 * 60);
        for (kind, http_status, code, status) in [
            (Kind::Failed, Some(400), "ErrorInvalidRecipients", "5.1.0"),
            (Kind::Failed, Some(413), "BadRequest", "5.3.4"),
            (Kind::Failed, Some(400), "ErrorMessageSizeExceeded", "5.3.4"),
            (Kind::Failed, Some(400), "ErrorMimeContentInvalid", "5.6.0"),
            (Kind::Failed, None, "", "5.6.0"),
            (Kind::Failed, Some(415), "UnsupportedMediaType", "5.0.0"),
            (DOUBTFUL, Some(504), "", "5.4.7"),
            (deferred(Cause::Unavailable), None, "", "5.4.7"),
            (
                deferred(Cause::Configuration(Fault::Access)),
                Some(403),
                "",
                "5.4.7",
            ),
        ] {
            let said = |is_doubted| failure(&outcome(kind, http_status, code), tried, is_doubted);
            assert_eq!(said(false).status.to_string(), status, "{code}");
            let certain = |said: Explanation| {
                said.happened.contains(
                    "None of the recipients has \
                received it",
                )
            };
            assert_eq!(certain(said(false)), kind != DOUBTFUL);
            assert!(!certain(said(true)));
            assert!(said(true).happened.contains("may have received it"));
        }
        let fault = deferred(Cause::Configuration(Fault::Access));
        let said = failure(&outcome(fault, Some(403), ""), tried, false);
        assert!(
            said.remedy
                .contains(Fault::Access.remedy(SignIn::Application)),
            "{said:?}"
        );
        assert!(said.happened.starts_with("For 4 days "), "{said:?}");
    }

    #[test]
    fn a_message_that_is_too_large_is_told_the_limit_and_what_changes_it() {
        for (http_status, code, limit, setting) in [
            (413, "BadRequest", "4 MB", "oversize = \"attach\""),
            (413, "", "4 MB", "oversize = \"attach\""),
            (400, "ErrorMessageSizeExceeded", "35 MB", "MaxSendSize"),
        ] {
            let refused = outcome(Kind::Failed, Some(http_status), code);

            let said = failure(&refused, Duration::ZERO, false);

            assert!(said.happened.contains(limit), "{said:?}");
            assert!(said.remedy.contains(setting), "{said:?}");
            assert!(said.remedy.contains("smaller attachments"), "{said:?}");
        }
    }

    #[test]
    fn every_delay_has_the_status_of_the_table() {
        for (kind, http_status, status) in [
            (deferred(Cause::Throttled), Some(429), "4.3.2"),
            (deferred(Cause::Unavailable), Some(503), "4.3.2"),
            (deferred(Cause::Unavailable), None, "4.4.1"),
            (DOUBTFUL, None, "4.4.1"),
            (
                deferred(Cause::Configuration(Fault::Access)),
                Some(403),
                "4.3.5",
            ),
        ] {
            let said = delay(
                &outcome(kind, http_status, ""),
                Duration::from_secs(5 * 60 * 60),
                true,
            );
            assert_eq!(said.status.to_string(), status);
            assert!(said.happened.contains("waiting for 5 hours"), "{said:?}");
        }
    }
}
