//! Settling: records the outcome of an attempt, and what becomes of its entry.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::params;

use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::mail::EnhancedStatus;
use crate::mail::SpoolId;
use crate::spool::Claimed;
use crate::spool::Content;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Urgency;
use crate::spool::accept::Row;
use crate::spool::accept::dsn::Dsn;
use crate::spool::accept::dsn::DsnKind;
use crate::spool::columns;
use crate::spool::kept;
use crate::spool::room::usage;
use crate::spool::state::AttemptOutcome;
use crate::spool::state::State;

/// The outcome of an attempt.
#[derive(Clone, Debug)]
pub struct AttemptReport {
    /// The outcome in one word.
    pub outcome: AttemptOutcome,
    /// Graph's or Entra's HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// Graph's or Entra's code.
    pub code: Option<String>,
    /// The explanation.
    pub reason: String,
    /// The enhanced status for each recipient.
    pub status: EnhancedStatus,
    /// Graph's `request-id`.
    pub request_id: Option<String>,
    /// The wait that the answer asks for (Retry-After).
    pub retry_after: Option<Duration>,
    /// What happens to the entry.
    pub next: Next,
    /// The new value of [`Claimed::trouble_since`].
    pub trouble_since: Option<RunningTime>,
    /// The new value of [`Claimed::own_trouble`].
    pub own_trouble: bool,
    /// Requests that the attempt made to Graph.
    pub requests: u64,
    /// Bytes of their bodies.
    pub uploaded: u64,
    /// A report about the entry.
    pub dsn: Option<Dsn>,
}

/// What happens to an entry after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is finished; its content is deleted, or kept for a while (`kept/`).
    Delivered,
    /// It is finished; its content is kept for the operator.
    Failed,
    /// Its content cannot be read; it is kept for the operator.
    Quarantined,
    /// It is not tried again until an operator decides.
    Held,
    /// The next attempt may start at this time.
    Wait(RunningTime),
}

impl Spool {
    /// Records the outcome of an attempt, and accepts the report about it in the same
    /// transaction, so that no crash can separate a failure from its report. Earlier
    /// reports that still wait when the entry is finished are withdrawn, because they are
    /// no longer true. Returns the withdrawn ones.
    ///
    /// Until this returns `Ok` the entry stays claimed; call it again after an error. If
    /// a damaged page stops part of it, the state is recorded all the same, because a
    /// delivered message must not be sent again at the next start.
    ///
    /// # Errors
    ///
    /// Nothing is recorded then. After [`SpoolError::Damaged`] another try fails too.
    pub async fn settle(
        &self,
        entry: &Claimed,
        report: AttemptReport,
    ) -> Result<Vec<SpoolId>, SpoolError> {
        let now = self.moment();
        let (id, number) = (entry.id, entry.attempt);
        let (next, subjects) = (report.next, self.shared.settings.subjects);
        let taken_in = report.dsn.as_ref();
        let taken_in = taken_in.map(|dsn| dsn.destination.clone());
        let keeps = self.keeping().keeps(entry.content.is_file());
        let write = move |db: &Connection, extent| {
            settle_one(db, &id.to_string(), number, now, &report, extent)?;
            let is_kept =
                next == Next::Delivered && end_content(db, &id.to_string(), keeps, extent)?;
            let done = matches!(next, Next::Delivered | Next::Failed);
            let withdrawn = if done && extent.with_end() {
                withdraw(db, id, now, extent)?
            } else {
                Vec::new()
            };
            if let Some(dsn) = &report.dsn
                && extent.with_report()
            {
                Row::report(dsn.clone(), id, now, subjects).insert(db)?;
                if dsn.kind == DsnKind::Delay {
                    db.prepare_cached("UPDATE entry SET warned = 1 WHERE id = ?1")?
                        .execute([id.to_string()])?;
                }
            }
            Ok((withdrawn, is_kept))
        };
        let ((withdrawn, is_kept), extent) =
            self.write_as_far_as_possible(&Extent::ALL, write).await?;
        if let Some(destination) = taken_in
            && extent.with_report()
        {
            self.announce(destination, Urgency::Ordinary);
        }
        if next == Next::Delivered
            && !is_kept
            && let Content::File { path, .. } = &entry.content
        {
            // What cannot be removed now is removed at the next start.
            let _left = tokio::fs::remove_file(path).await;
        }
        Ok(withdrawn)
    }
}

/// How much of a settlement is recorded if damage stops the whole. Each variant records
/// less than the one before, and touches fewer pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    /// Content stays, because it may be on the damaged page.
    KeepContent,
    /// The time of the end is left out too, because it is in an index.
    NoEnd,
    /// Nothing of the attempt is recorded, and no report is withdrawn.
    EntryAndReport,
    /// Only the state.
    Entry,
    /// Only the attempt; the next start reads it.
    Attempt,
}

impl Extent {
    const ALL: [Self; 6] = [
        Self::Whole,
        Self::KeepContent,
        Self::NoEnd,
        Self::EntryAndReport,
        Self::Entry,
        Self::Attempt,
    ];

    fn with_attempt(self) -> bool {
        match self {
            Self::Whole | Self::KeepContent | Self::NoEnd | Self::Attempt => true,
            Self::EntryAndReport | Self::Entry => false,
        }
    }

    fn with_end(self) -> bool {
        matches!(self, Self::Whole | Self::KeepContent)
    }

    fn with_report(self) -> bool {
        match self {
            Self::Whole | Self::KeepContent | Self::NoEnd | Self::EntryAndReport => true,
            Self::Entry | Self::Attempt => false,
        }
    }
}

fn settle_one(
    db: &Connection,
    id: &str,
    number: u32,
    now: Moment,
    report: &AttemptReport,
    extent: Extent,
) -> rusqlite::Result<()> {
    if extent.with_attempt() {
        end_attempt(db, id, number, now, report)?;
    }
    if extent == Extent::Attempt {
        return Ok(());
    }
    let (state, due, ended) = match report.next {
        Next::Delivered => (State::Delivered, now.running, Some(now)),
        Next::Failed => (State::Failed, now.running, Some(now)),
        Next::Quarantined => (State::Quarantined, now.running, Some(now)),
        Next::Held => (State::Held, now.running, None),
        Next::Wait(due) => (State::Waiting, due, None),
    };
    let ended = ended.filter(|_| extent.with_end());
    db.prepare_cached(
        // OR FAIL: usage.rs.
        "UPDATE OR FAIL entry SET state = ?2, due_running = ?3, ended_at = ?4, reason = ?5,
         trouble_since = ?6, ended_running = ?7, own_trouble = ?8,
         rows_cost = rows_cost + ?9, status = ?10, changed_at = ?11 WHERE id = ?1",
    )?
    .execute(params![
        id,
        state,
        due.millis(),
        ended.map(|now| now.at.millis()),
        report.reason,
        report.trouble_since.map(RunningTime::millis),
        ended.map(|now| now.running.millis()),
        report.own_trouble,
        i64::try_from(usage::ATTEMPT + report.reason.len() as u64).unwrap_or(i64::MAX),
        report.status.to_string(),
        now.at.millis()
    ])?;
    Ok(())
}

/// Keeps or deletes the content of an entry that was delivered. Returns whether it is kept.
fn end_content(db: &Connection, id: &str, keeps: bool, extent: Extent) -> rusqlite::Result<bool> {
    if extent != Extent::Whole {
        return Ok(false);
    }
    let is_kept = keeps && kept::keep(db, id)?;
    if !is_kept {
        db.prepare_cached("DELETE FROM content WHERE entry = ?1")?
            .execute([id])?;
    }
    Ok(is_kept)
}

fn end_attempt(
    db: &Connection,
    id: &str,
    number: u32,
    now: Moment,
    report: &AttemptReport,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE attempt SET ended_at = ?3, outcome = ?4, http_status = ?5, code = ?6, reason = ?7,
         request_id = ?8, requests = ?9, uploaded = ?10, ended_running = ?11,
         retry_after = ?12 WHERE entry = ?1 AND number = ?2",
    )?
    .execute(params![
        id,
        number,
        now.at.millis(),
        report.outcome,
        report.http_status,
        report.code,
        report.reason,
        report.request_id,
        i64::try_from(report.requests).unwrap_or(i64::MAX),
        i64::try_from(report.uploaded).unwrap_or(i64::MAX),
        now.running.millis(),
        report.retry_after.map(columns::seconds)
    ])?;
    Ok(())
}

/// Drops the reports about an entry that still wait, and returns their ids.
fn withdraw(
    db: &Connection,
    about: SpoolId,
    now: Moment,
    extent: Extent,
) -> rusqlite::Result<Vec<SpoolId>> {
    let about = about.to_string();
    // Nearly every entry has none. So ask first, without RETURNING: for that SQLite makes
    // a table in memory even if no row matches.
    let withdrawn: Vec<_> = db
        .prepare_cached("SELECT id FROM entry WHERE about = ?1 AND state = 'waiting'")?
        .query_map([&about], |row| columns::id(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    if withdrawn.is_empty() {
        return Ok(withdrawn);
    }
    db.prepare_cached(
        "UPDATE entry SET state = 'dropped', ended_at = ?2, ended_running = ?3, status = NULL,
         changed_at = ?2, reason = 'withdrawn: what it says of the message is no longer so'
         WHERE about = ?1 AND state = 'waiting'",
    )?
    .execute(params![about, now.at.millis(), now.running.millis()])?;
    for id in withdrawn.iter().filter(|_| extent == Extent::Whole) {
        db.prepare_cached("DELETE FROM content WHERE entry = ?1")?
            .execute([id.to_string()])?;
    }
    Ok(withdrawn)
}
