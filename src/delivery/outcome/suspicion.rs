//! What one outcome shows about the message, its mailbox and its account. `suspects.rs`
//! combines several of them.

use super::Cause;
use super::Kind;
use super::Outcome;
use super::Scope;

/// A failure that the message itself may have caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Suspicion {
    /// What is affected if the message is not the cause.
    pub(in crate::delivery) scope: Scope,
    /// Whether one message is not enough to decide.
    pub(in crate::delivery) patient: bool,
}

impl Outcome {
    /// Whether the message itself may have caused the failure.
    pub(in crate::delivery) fn suspicion(&self) -> Option<Suspicion> {
        // Each may be a message that arrives twice, so one is enough.
        let at_once = Suspicion {
            scope: Scope::Mailbox,
            patient: false,
        };
        match self.kind {
            Kind::Doubtful { .. } => Some(at_once),
            _ if !self.asked => None,
            // Graph refuses the token for every message.
            Kind::Deferred { .. } if self.http_status == Some(401) && self.code.is_some() => None,
            Kind::Deferred {
                cause: Cause::Configuration(_),
                scope: scope @ (Scope::Mailbox | Scope::Account),
                ..
            } => Some(Suspicion {
                scope,
                // Other codes clearly concern the mailbox.
                patient: self.code.is_none() || self.http_status == Some(403),
            }),
            // The same for a request for a draft. Graph's codes leave no doubt.
            Kind::Deferred {
                cause: Cause::Unavailable,
                scope: Scope::Mailbox,
                ..
            } if self.code.is_none() => Some(at_once),
            Kind::Deferred { .. } | Kind::Delivered | Kind::Failed => None,
        }
    }

    /// Whether Graph has judged the message, which shows that mailbox and account work.
    pub(in crate::delivery) fn shows_that_mailbox_works(&self) -> bool {
        self.verdict.is_none()
            && self.is_graphs()
            && match self.kind {
                Kind::Delivered | Kind::Failed => true,
                Kind::Deferred { scope, .. } => scope == Scope::Message,
                Kind::Doubtful { .. } => false,
            }
    }

    /// Whether Graph accepts the token, whatever it says about the mailbox.
    pub(in crate::delivery) fn shows_that_account_works(&self) -> bool {
        let judged = self.http_status.is_some_and(|status| status < 500);
        let of_account = matches!(
            self.kind,
            Kind::Deferred {
                scope: Scope::Account,
                ..
            }
        );
        self.shows_that_mailbox_works() || judged && self.is_graphs() && !of_account
    }

    /// Whether there was an answer, and it came from the right server.
    fn is_graphs(&self) -> bool {
        self.http_status.is_some() && (self.kind == Kind::Delivered || self.code.is_some())
    }
}
