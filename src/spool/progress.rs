//! How far long work on a whole spool is: a check, a backup, a restore, a salvage.

use serde::Deserialize;
use serde::Serialize;

/// What is being done, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is being done.
    pub phase: Phase,
    /// How many messages, pages or files are done.
    pub done: u64,
    /// How many there are; 0 if that is unknown.
    pub of: u64,
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The database compares its own pages.
    CheckingDatabase,
    /// Messages are compared with their checksums.
    CheckingMessages,
    /// The database is copied.
    CopyingDatabase,
    /// Large contents are copied or linked.
    CopyingContents,
    /// Rows are read from a damaged database.
    Salvaging,
}

/// Hears each step, on the thread that works.
pub type OnStep<'a> = &'a (dyn Fn(Step) + Sync);

/// Messages between two steps.
const EVERY: usize = 256;

impl Phase {
    /// As a label.
    pub fn words(self) -> &'static str {
        match self {
            Self::CheckingDatabase => "checking the database",
            Self::CheckingMessages => "checking messages",
            Self::CopyingDatabase => "copying the database",
            Self::CopyingContents => "copying large contents",
            Self::Salvaging => "reading what can be read",
        }
    }

    /// Reports that it begins.
    pub(super) fn begins(self, on_step: OnStep<'_>) {
        self.at(0, 0, on_step);
    }

    /// Reports how far it is.
    pub(super) fn at(self, done: u64, of: u64, on_step: OnStep<'_>) {
        on_step(Step {
            phase: self,
            done,
            of,
        });
    }

    /// The same while a list is gone through, now and then.
    pub(super) fn passes(self, done: usize, of: usize, on_step: OnStep<'_>) {
        if done.is_multiple_of(EVERY) {
            let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
            self.at(number(done), number(of), on_step);
        }
    }
}
