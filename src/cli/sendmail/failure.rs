//! Why a message was not sent, and the code that a caller of Sendmail knows (sysexits(3)).
//!
//! | code | means |
//! |---|---|
//! | 65 | the relay refuses the message, or it names no recipient |
//! | 67 | the relay refuses a recipient; the others get the message |
//! | 75 | the relay is away or refuses for now: nothing was sent, and the caller still has the message |
//! | 77 | the relay does not accept mail from this user, or not from this sender |
//!
//! An option that is wrong is 64, as everywhere.

use crate::cli::Exit;
use crate::cli::smtp::Reply;
use crate::cli::talk;

/// How the command ends, and what it says.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) words: String,
    /// Whether the relay may have the message all the same, for some recipients at least.
    pub(super) is_doubtful: bool,
}

/// Which part of the dialog a reply belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The greeting and EHLO.
    Connection,
    Sender,
    Recipient,
    Message,
}

impl Failure {
    pub(super) fn new(exit: Exit, words: impl Into<String>) -> Self {
        let words = words.into();
        Self {
            exit,
            words,
            is_doubtful: false,
        }
    }

    /// Nothing was sent; the same may succeed later.
    pub(super) fn for_now(why: &str) -> Self {
        Self::new(
            Exit::TryLater,
            format!(
                "{why}. Nothing was sent and nothing is kept here: the program that called \
                 sendmail has the message, and can send it again later"
            ),
        )
    }

    pub(super) fn refused(step: Step, reply: &Reply) -> Self {
        let what = match step {
            Step::Connection => "the relay refuses the connection",
            Step::Sender => "the relay refuses the sender",
            Step::Recipient => "the relay refuses the recipient",
            Step::Message => "the relay refuses the message",
        };
        let exit = exit(step, reply);
        if exit == Exit::TryLater {
            return Self::for_now(&format!("{what} for now: {reply}"));
        }
        Self::new(exit, format!("{what}: {reply}"))
    }

    pub(super) fn tell(self) -> Exit {
        talk(&format!("sendmail: {}", self.words));
        self.exit
    }
}

/// Of a reply that is not positive.
pub(super) fn exit(step: Step, reply: &Reply) -> Exit {
    // RFC 3463 3.8: security or policy.
    let is_policy = reply
        .subject_and_detail()
        .is_some_and(|it| it.starts_with("7."));
    match step {
        _ if reply.is_for_now() => Exit::TryLater,
        // 530: authentication or STARTTLS first.
        _ if is_policy || reply.code == 530 => Exit::NotPermitted,
        Step::Connection => Exit::Unreachable,
        Step::Recipient => Exit::NoUser,
        Step::Sender | Step::Message => Exit::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(step: Step, code: u16, text: &str) -> Exit {
        let lines = vec![text.to_owned()];
        exit(step, &Reply { code, lines })
    }

    #[test]
    fn replies_are_told_in_the_codes_that_callers_know() {
        let next = "5.1.2 root has no domain and no alias";
        assert_eq!(of(Step::Recipient, 550, next), Exit::NoUser);
        assert_eq!(
            of(Step::Recipient, 550, "5.7.1 not allowed"),
            Exit::NotPermitted
        );
        assert_eq!(of(Step::Recipient, 451, "4.7.0 later"), Exit::TryLater);
        assert_eq!(of(Step::Sender, 552, "5.3.4 too large"), Exit::Data);
        assert_eq!(
            of(Step::Sender, 530, "Authentication required"),
            Exit::NotPermitted
        );
        assert_eq!(of(Step::Message, 554, "5.6.0 bad"), Exit::Data);
        assert_eq!(of(Step::Message, 452, "4.3.1 full"), Exit::TryLater);
        assert_eq!(of(Step::Connection, 421, "4.3.2 stopping"), Exit::TryLater);
        assert_eq!(
            of(Step::Connection, 554, "5.7.1 not allowed"),
            Exit::NotPermitted
        );
        assert_eq!(of(Step::Connection, 554, "no"), Exit::Unreachable);
    }
}
