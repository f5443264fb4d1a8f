//! The content of ended messages, kept for a while so that an operator can send them again
//! (`[history] keep_content`).
//!
//! - It is kept if the message is delivered or dropped while the setting is a time. For how
//!   long, the present setting decides for everything: running time (`running.rs`) since the
//!   end of the message, so that no wrong clock removes anything.
//! - The message has ended all the same. Nothing but `operator/resend.rs` reads its content,
//!   and that makes a new entry; no crash, salvage or restore makes it wait again.
//! - A report of the relay and a message in quarantine are not kept, because they cannot be
//!   sent again. An operator who drops an ended message deletes its content at once.
//! - It yields to new mail before everything else (`room/yields.rs`). A page of the database
//!   that content leaves is used again, but does not return to the disk. So content in the
//!   database is kept only while the disk has plenty of room.
//!
//! An ended entry has content if its `content_cost` is negative ([`KEPT`]). Versions that
//! do not keep content leave the cost as it was, and a file of such an entry is removed at
//! the next start. `purge.rs` removes what is kept.

mod purge;

use std::sync::Mutex;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OptionalExtension;

use super::Spool;
use super::State;
use super::columns;
use super::lock_mutex;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::mail::SpoolId;

/// Which ended entries have content, as SQL.
pub(super) const KEPT: &str = "entry.state IN ('delivered', 'dropped') AND entry.content_cost < 0";

/// For how long content is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepFor {
    /// That of delivered and dropped messages; none if it is deleted at once.
    pub ended: Option<Duration>,
    /// That of failed messages.
    pub failed: Duration,
}

/// What is kept, as the configuration says now.
#[derive(Debug)]
pub(super) struct Keeping {
    keep_for: Mutex<KeepFor>,
    /// No message that ended before has content.
    since: Mutex<RunningTime>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            keep_for: Mutex::default(),
            since: Mutex::new(RunningTime::from_millis(i64::MIN)),
        }
    }
}

/// Whether the content of a message that ends now is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    keep_for: KeepFor,
    has_plenty: bool,
}

impl Rule {
    pub(super) fn keeps(self, in_file: bool) -> bool {
        self.keep_for.ended.is_some() && (in_file || self.has_plenty)
    }

    /// For how long the content of a message is kept that has ended.
    pub(super) fn ended(self) -> Option<Duration> {
        self.keep_for.ended
    }

    /// Until when the content of a message that ends now is kept.
    pub(super) fn until(self, now: Moment) -> Option<Timestamp> {
        self.keep_for.ended.map(|length| now.at + length)
    }

    /// Until when a message can be sent again, if it can and that is limited. The columns are
    /// those of [`COLUMNS`].
    pub(super) fn of_row(
        self,
        row: &rusqlite::Row<'_>,
        first: usize,
        now: Moment,
    ) -> rusqlite::Result<Option<Timestamp>> {
        let (state, cost): (State, i64) = (row.get(first)?, row.get(first + 1)?);
        let (in_file, is_report): (bool, bool) = (row.get(first + 2)?, row.get(first + 3)?);
        let ended: Option<i64> = row.get(first + 4)?;
        let length = match state {
            State::Delivered | State::Dropped if cost < 0 => self.keep_for.ended,
            State::Failed if cost > 0 || in_file => Some(self.keep_for.failed),
            State::Delivered
            | State::Dropped
            | State::Failed
            | State::Waiting
            | State::Claimed
            | State::Held
            | State::Quarantined => None,
        };
        let until = |(ended, length)| now.wall(RunningTime::from_millis(ended) + length);
        Ok(ended.zip(length).map(until).filter(|_| !is_report))
    }
}

/// The columns of an entry that [`Rule::of_row`] expects.
pub(super) const COLUMNS: &str = "entry.state, entry.content_cost, entry.in_file,
    entry.about IS NOT NULL, entry.ended_running";

/// Keeps the content of an entry that has just ended, and returns whether it is kept.
pub(super) fn keep(db: &Connection, id: &str) -> rusqlite::Result<bool> {
    let mut keep = db.prepare_cached(
        // OR FAIL: usage.rs.
        "UPDATE OR FAIL entry SET content_cost = -content_cost WHERE id = ?1
         AND state IN ('delivered', 'dropped') AND content_cost > 0 AND about IS NULL",
    )?;
    Ok(keep.execute([id])? == 1)
}

/// Content that was removed.
pub(super) struct Removed {
    pub(super) in_file: bool,
    /// Bytes.
    cost: u64,
}

/// How much of a removal is done when damage stops the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// The content may be on the damaged page, and is not used any more.
    KeepContent,
}

/// Removes the content of an ended entry, if it has any. A file is removed after the
/// transaction.
pub(super) fn remove(
    db: &Connection,
    id: SpoolId,
    extent: Extent,
) -> rusqlite::Result<Option<Removed>> {
    let id = id.to_string();
    let kept = db
        .prepare_cached(&format!(
            "SELECT in_file, -content_cost FROM entry WHERE id = ?1 AND {KEPT}"
        ))?
        .query_row([&id], |row| {
            Ok(Removed {
                in_file: row.get(0)?,
                cost: columns::unsigned(row, 1)?,
            })
        })
        .optional()?;
    if kept.is_some() {
        db.prepare_cached("UPDATE entry SET content_cost = 0 WHERE id = ?1")?
            .execute([&id])?;
        if extent == Extent::Whole {
            db.prepare_cached("DELETE FROM content WHERE entry = ?1")?
                .execute([&id])?;
        }
    }
    Ok(kept)
}

impl Spool {
    /// Sets for how long content is kept from now on. What is kept for longer already stays
    /// until [`Spool::purge_content`].
    pub fn keep_content(&self, keep_for: KeepFor) {
        *lock_mutex(&self.shared.keeping.keep_for) = keep_for;
    }

    /// What holds for a message that ends now.
    pub(super) fn keeping(&self) -> Rule {
        let keep_for = *lock_mutex(&self.shared.keeping.keep_for);
        Rule {
            keep_for,
            // The disk is asked only if it matters.
            has_plenty: keep_for.ended.is_some() && self.shared.room.has_plenty(),
        }
    }
}
