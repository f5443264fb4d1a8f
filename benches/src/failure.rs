//! The one error of the benchmark: a sentence that says what was tried and what came of it.
//!
//! Nothing here is recovered from, so a failure has no kinds: the run stops and prints it.

use std::fmt;
use std::io;

/// What went wrong, for the person who started the run.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// Short for a result that can only fail with words.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure in so many words.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Adds what was tried to an I/O error.
pub(crate) trait Trying<T> {
    /// `what` completes "cannot ...".
    fn trying(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure(format!("cannot {}: {error}", what())))
    }
}
