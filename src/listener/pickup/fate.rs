//! What becomes of a file that is no message, or none yet.

use std::io;

/// Why a file has not become a message.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is refused for good, and what to do.
    Bad {
        reason: String,
        remedy: &'static str,
    },
    /// It may be taken later, and why not now.
    Later(String),
    /// Nothing can be taken now, and why.
    Shortage(String),
    /// The file cannot be read.
    Unreadable(io::Error),
    /// The spool may have committed it or not; what went wrong.
    Unknown(String),
}

impl Fate {
    pub(super) fn bad(reason: String) -> Self {
        let remedy = "correct the file, and move it back from bad/ to the pickup folder";
        Self::Bad { reason, remedy }
    }
}

impl From<io::Error> for Fate {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}
