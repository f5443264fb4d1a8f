//! What an outcome shows of the message, its mailbox and its account. Whose trouble
//! a failure is, `suspects.rs` finds out from several of them.

use super::Cause;
use super::Kind;
use super::Outcome;
use super::Scope;

/// A failure that may be the message's own trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Suspicion {
    /// What is in trouble if it is not.
    pub(in crate::delivery) scope: Scope,
    /// Whether it takes more than one message to tell.
    pub(in crate::delivery) patient: bool,
}

impl Outcome {
    /// Whether the failure may be the message's own trouble.
    pub(in crate::delivery) fn suspicion(&self) -> Option<Suspicion> {
        // Each may be a message that arrives twice: one is enough.
        let at_once = Suspicion {
            scope: Scope::Mailbox,
            patient: false,
        };
        match self.kind {
            Kind::Doubtful { .. } => Some(at_once),
            _ if !self.asked => None,
            // Graph refuses the token, whatever it was sent with.
            Kind::Deferred { .. } if self.http_status == Some(401) && self.code.is_some() => None,
            Kind::Deferred {
                cause: Cause::Configuration(_),
                scope: scope @ (Scope::Mailbox | Scope::Account),
                ..
            } => Some(Suspicion {
                scope,
                // Other codes are about the mailbox, and leave no doubt.
                patient: self.code.is_none() || self.http_status == Some(403),
            }),
            // The same of a request for a draft. Graph's codes leave no doubt.
            Kind::Deferred {
                cause: Cause::Unavailable,
                scope: Scope::Mailbox,
                ..
            } if self.code.is_none() => Some(at_once),
            Kind::Deferred { .. } | Kind::Delivered | Kind::Failed => None,
        }
    }

    /// Whether Graph has judged the message, so that mailbox and account work.
    pub(in crate::delivery) fn shows_that_mailbox_works(&self) -> bool {
        self.verdict.is_none()
            && self.is_graphs()
            && match self.kind {
                Kind::Delivered | Kind::Failed => true,
                Kind::Deferred { scope, .. } => scope == Scope::Message,
                Kind::Doubtful { .. } => false,
            }
    }

    /// Whether Graph knows the token, whatever it says of the mailbox.
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

    /// Whether there was an answer, and it came from where it should.
    fn is_graphs(&self) -> bool {
        self.http_status.is_some() && (self.kind == Kind::Delivered || self.code.is_some())
    }
}
