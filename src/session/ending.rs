//! Replies that end a session for the sake of others: the limits of connections
//! and of time.

use super::Reply;
use crate::mail::EnhancedStatus;

impl Reply {
    /// All connections are taken, and none can be made free.
    pub fn all_taken() -> Self {
        let text = "All connections are taken, try again later (limits.connections)";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text).remedy(WHO_HOLDS_THEM)
    }

    /// Somebody else needs the connection.
    pub fn makes_room() -> Self {
        let text = "All connections are taken and this one is idle, connect again to send mail";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text).remedy(WHO_HOLDS_THEM)
    }

    /// The client has not come to AUTH or MAIL in time: a health check, usually.
    pub fn no_mail_in_time() -> Self {
        let text = "No AUTH or MAIL in time, closing (limits.pre_mail_timeout)";
        Self::new(421, EnhancedStatus::TIMED_OUT, text)
    }
}

const WHO_HOLDS_THEM: &str = "graph-relay status shows which clients hold the connections; raise \
                              limits.connections if they are all yours";
