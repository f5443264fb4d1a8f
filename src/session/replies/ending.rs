//! Replies that end a session for the benefit of others: the limits on connections and
//! time.

use super::proxy::LET_IT_IN;
use crate::mail::EnhancedStatus;
use crate::session::LineEnd;
use crate::session::Reply;

impl Reply {
    /// The same to a client that ends its lines, or its message, with this and waits for
    /// an answer.
    #[must_use]
    pub fn because_of(self, line_end: LineEnd) -> Self {
        self.remedy(line_end.remedy())
    }

    /// All connections are in use, and none can be freed.
    pub fn all_taken() -> Self {
        let text = "All connections are in use, try again later (limits.connections)";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text).remedy(WHO_HOLDS_THEM)
    }

    /// Another client needs the connection.
    pub fn makes_room() -> Self {
        let text = "All connections are in use: closing this one to make room, connect again to \
            send mail";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text).remedy(WHO_HOLDS_THEM)
    }

    /// All connections are in use, and this one is idle.
    pub fn idle_makes_room() -> Self {
        let text = "All connections are in use: closing this idle one, connect again to send mail";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text).remedy(WHO_HOLDS_THEM)
    }

    /// All connections are in use, and the message on this one makes hardly any progress.
    pub fn comes_too_slowly() -> Self {
        let text = "All connections are in use and this message arrives too slowly, send it again";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text).remedy(WHO_HOLDS_THEM)
    }

    /// After a reload: the listener no longer allows this client.
    pub fn no_longer_admitted() -> Self {
        let text = "The configuration has changed: this client is no longer allowed to connect";
        Self::new(421, EnhancedStatus::NOT_NOW, text).remedy(LET_IT_IN)
    }

    /// After a reload: the user was removed, or has another password.
    pub fn user_changed() -> Self {
        let text = "The configuration has changed: authenticate again";
        Self::new(421, EnhancedStatus::NOT_NOW, text)
            .remedy("compare the client's name and password with the [[user]]")
    }

    /// After a reload: the listener requires TLS or a password now, or the user may no
    /// longer send as the address of the transaction.
    pub fn rules_changed() -> Self {
        let text = "The configuration has changed: connect again";
        Self::new(421, EnhancedStatus::NOT_NOW, text).remedy(
            "compare the client's settings with tls and authentication of the [[listener]] and \
             senders of the [[user]]",
        )
    }

    /// This client or user has reached its hourly limit of recipients.
    pub(in crate::session) fn too_many_recipients_for_now() -> Self {
        let text = "Too many recipients in an hour, try again later \
                    (limits.recipients_per_hour_per_client)";
        Self::new(451, EnhancedStatus::NOT_NOW, text).remedy(
            "the client tries again; raise limits.recipients_per_hour_per_client if it is too low",
        )
    }

    /// The client has not reached AUTH or MAIL in time; usually a health check.
    pub fn no_mail_in_time() -> Self {
        let text = "No AUTH or MAIL in time, closing (limits.pre_mail_timeout)";
        Self::new(421, EnhancedStatus::TIMED_OUT, text)
    }
}

impl LineEnd {
    /// The fix for a client that ends its message in this way and waits for ever.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Lf => {
                "this client ends its message with LF . LF, which the relay does not accept as \
                 the end (SMTP smuggling): set it to end lines with CR LF; in a script, write \
                 \\r\\n instead of \\n"
            }
            Self::Cr => {
                "this client ends its lines with a carriage return alone (CR . CR is not the end \
                 of a message): set it to end lines with CR LF; in a script, write \\r\\n instead \
                 of \\r"
            }
            Self::CrCrLf => {
                "this client ends its message with . CR CR LF, which is not the end of a message: \
                 something turns each LF into CR LF although the program already writes CR LF; \
                 make the program write to the connection in binary mode"
            }
            Self::CrLf => "the client stopped responding before it had finished: see its own log",
        }
    }
}

const WHO_HOLDS_THEM: &str = "graph-relay status shows which clients hold the connections; if \
    they are all yours, raise limits.connections";
