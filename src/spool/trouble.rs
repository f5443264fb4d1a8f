//! The last error of writing or reading the spool, for `status`, `doctor` and the
//! metrics.
//!
//! Reached limits are not errors, and neither is one unreadable entry if the rest can be
//! read.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::ErrorCode;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use super::Spool;
use super::SpoolError;
use super::damage;
use super::lock_mutex;
use crate::clock::Timestamp;

/// Turns an I/O error of this file or folder into one of the spool.
pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> SpoolError {
    move |error| SpoolError::File {
        path: path.to_owned(),
        error,
    }
}

/// An error of the spool, and its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// The text of the last one.
    pub reason: String,
    /// When that was.
    pub at: Timestamp,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// The number of errors since the start.
    pub count: u64,
}

/// A disk that has failed may fail again, so the error is shown for this long.
const RECENT: Duration = Duration::from_secs(60 * 60);

impl Trouble {
    /// Whether it needs attention.
    pub fn is_recent(&self) -> bool {
        Duration::from_millis(self.ago_ms) < RECENT
    }
}

impl SpoolError {
    /// Whether the database found no room on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Database(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Damaged(_)
            | Self::File { .. }
            | Self::InUse(_)
            | Self::Format { .. }
            | Self::NotKept { .. }
            | Self::Refused(_)
            | Self::NotSynced(_)
            | Self::Gone(_)
            | Self::Closed => false,
        }
    }
}

/// Records errors.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<Option<Last>>);

#[derive(Debug)]
struct Last {
    reason: String,
    at: Instant,
    count: u64,
}

impl Troubles {
    pub(super) fn note_database(&self, error: &rusqlite::Error) {
        if !damage::is_of_the_entry(error) {
            self.note(&format!("spool database error: {error}"));
        }
    }

    pub(super) fn note(&self, error: &dyn Display) {
        let mut last = lock_mutex(&self.0);
        let count = last.as_ref().map_or(0, |last| last.count);
        *last = Some(Last {
            reason: error.to_string(),
            at: Instant::now(),
            count: count + 1,
        });
    }
}

impl Spool {
    /// The last error of writing or reading, since the start.
    pub fn trouble(&self) -> Option<Trouble> {
        let last = lock_mutex(&self.shared.room.troubles.0);
        last.as_ref().map(|last| {
            let ago = last.at.elapsed();
            Trouble {
                reason: last.reason.clone(),
                at: self.shared.clock.now() - ago,
                ago_ms: u64::try_from(ago.as_millis()).unwrap_or(u64::MAX),
                count: last.count,
            }
        })
    }
}
