//! Damage: limits the harm of a bad sector or a foreign change in the database to the
//! entries that it affects.
//!
//! SQLite makes the rest of a transaction read-only once it has met a damaged page. So
//! work that continues after damage uses a new transaction: an unreadable entry is
//! quarantined in one, and a change that cannot be made in full is made as far as
//! possible. If not even that can be recorded, the entry is left alone while the relay
//! runs, and `graph-relay spool salvage` is the way out.

pub(super) mod check;
pub(super) mod examine;
pub(super) mod mark;
pub(super) mod recover;
pub(super) mod salvage;
pub(super) mod watch;

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::Error;
use rusqlite::ErrorCode;
use rusqlite::ffi;
use rusqlite::params;

use super::Spool;
use super::SpoolError;
use super::lock_mutex;
use crate::clock::Moment;
use crate::mail::EnhancedStatus;

/// An entry that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id.
    pub id: String,
    /// Why it cannot be read.
    pub reason: String,
    /// Whether its state says so. If not, the database is too damaged there to be
    /// changed, and the relay leaves the entry alone while it runs.
    pub recorded: bool,
}

/// Whether part of the database cannot be read, so that trying again does not help.
pub(super) fn is_damage(error: &Error) -> bool {
    let Error::SqliteFailure(code, _) = error else {
        return false;
    };
    matches!(
        code.code,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
    ) || READING.contains(&code.extended_code)
}

/// The disk's error for an unreadable sector.
const READING: [i32; 4] = [
    ffi::SQLITE_IOERR_READ,
    ffi::SQLITE_IOERR_SHORT_READ,
    ffi::SQLITE_IOERR_CORRUPTFS,
    ffi::SQLITE_IOERR_DATA,
];

/// Whether an error concerns the data of one entry, so that the transaction can continue.
pub(super) fn is_of_the_entry(error: &Error) -> bool {
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::InvalidColumnType(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::QueryReturnedNoRows
    )
}

impl SpoolError {
    /// Whether part of the database cannot be read. Trying again does not help.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }

    /// Without the hints that concern the whole spool.
    pub(super) fn cause(&self) -> &dyn std::fmt::Display {
        match self {
            Self::Damaged(error) | Self::Database(error) => error,
            Self::File { .. }
            | Self::InUse(_)
            | Self::Format { .. }
            | Self::NotKept { .. }
            | Self::Refused(_)
            | Self::NotSynced(_)
            | Self::Gone(_)
            | Self::Closed => self,
        }
    }

    /// Whether the other entries can continue without the one that this concerns.
    pub(super) fn is_of_one_entry(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Database(error) => is_of_the_entry(error),
            Self::File { .. }
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

/// Why an entry is in quarantine, for its row and for the log.
pub(super) fn reason(error: &dyn std::fmt::Display) -> String {
    format!("it cannot be read from the spool: {error}")
}

/// Whether the time of the end, which is in an index, is set too.
#[derive(Clone, Copy, Debug)]
enum Extent {
    Whole,
    StateOnly,
}

impl Spool {
    /// Quarantines an entry, in a transaction of its own.
    pub(super) async fn quarantine(
        &self,
        id: String,
        reason: String,
    ) -> Result<Quarantined, SpoolError> {
        let now = self.moment();
        let (row, why) = (id.clone(), reason.clone());
        let written = self
            .write_as_far_as_possible(&[Extent::Whole, Extent::StateOnly], move |db, extent| {
                let ended = matches!(extent, Extent::Whole).then_some(now);
                quarantine(db, &row, ended, &why)
            })
            .await;
        let recorded = match written {
            Ok(_) => true,
            Err(SpoolError::Damaged(_)) => {
                lock_mutex(&self.shared.left_alone).insert(id.clone());
                false
            }
            Err(error) => return Err(error),
        };
        Ok(Quarantined {
            id,
            reason,
            recorded,
        })
    }

    /// Entries that can neither be read nor be quarantined.
    pub(super) fn left_alone(&self) -> HashSet<String> {
        lock_mutex(&self.shared.left_alone).clone()
    }

    /// Makes a change to the first extent that damage does not stop, and returns that
    /// extent. Each is tried in a transaction of its own.
    pub(super) async fn write_as_far_as_possible<T, E, F>(
        &self,
        extents: &[E],
        operation: F,
    ) -> Result<(T, E), SpoolError>
    where
        T: Send + 'static,
        E: Copy + Send + 'static,
        F: FnMut(&Connection, E) -> rusqlite::Result<T> + Clone + Send + 'static,
    {
        let mut stopped = SpoolError::Closed;
        for extent in extents.iter().copied() {
            let mut operation = operation.clone();
            let write = move |db: &Connection| operation(db, extent);
            match self.shared.writer.write(write).await {
                Ok(written) => return Ok((written, extent)),
                Err(error @ SpoolError::Damaged(_)) => stopped = error,
                Err(error) => return Err(error),
            }
        }
        Err(stopped)
    }
}

pub(super) fn quarantine(
    db: &Connection,
    id: &str,
    ended: Option<Moment>,
    reason: &str,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE entry SET state = 'quarantined', ended_at = ?2, reason = ?3, ended_running = ?4,
         status = ?5, changed_at = ifnull(?2, changed_at) WHERE id = ?1",
    )?
    .execute(params![
        id,
        ended.map(|now| now.at.millis()),
        reason,
        ended.map(|now| now.running.millis()),
        EnhancedStatus::LOCAL_TROUBLE.to_string()
    ])?;
    Ok(())
}
