//! Settling: what came of an attempt, and what becomes of its entry.

use rusqlite::Connection;
use rusqlite::params;

use super::Claimed;
use super::Content;
use super::Spool;
use super::SpoolError;
use crate::clock::Timestamp;

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct AttemptReport {
    /// `delivered`, `deferred`, `failed` or `doubtful`.
    pub outcome: &'static str,
    /// Graph's or Entra's HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// Graph's or Entra's code.
    pub code: Option<String>,
    /// In words.
    pub reason: String,
    /// Graph's `request-id`.
    pub request_id: Option<String>,
    /// What becomes of the entry.
    pub next: Next,
    /// As [`Claimed::trouble_since`] is to be from now on.
    pub trouble_since: Option<Timestamp>,
}

/// What becomes of an entry after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done with; its content is deleted.
    Delivered,
    /// It is done with; its content is kept for the operator.
    Failed,
    /// It is not tried again until an operator says so.
    Held,
    /// The next attempt may start at this time.
    Wait(Timestamp),
}

impl Spool {
    /// Records what came of an attempt. Until this returns `Ok` the entry stays
    /// claimed; call again after an error.
    ///
    /// # Errors
    ///
    /// Nothing is recorded then.
    pub async fn settle(&self, entry: &Claimed, report: AttemptReport) -> Result<(), SpoolError> {
        let now = self.shared.clock.now().millis();
        let (id, number) = (entry.id.to_string(), entry.attempt);
        let next = report.next;
        let write = move |db: &Connection| settle_one(db, &id, number, now, &report);
        self.shared.writer.write(write).await?;
        if next == Next::Delivered {
            self.release(entry.content.size());
            if let Content::File { path, .. } = &entry.content {
                // What cannot be removed now is removed at the next start.
                let _left = tokio::fs::remove_file(path).await;
            }
        }
        Ok(())
    }
}

fn settle_one(
    db: &Connection,
    id: &str,
    number: u32,
    now: i64,
    report: &AttemptReport,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE attempt SET ended_at = ?3, outcome = ?4, http_status = ?5, code = ?6, reason = ?7,
         request_id = ?8 WHERE entry = ?1 AND number = ?2",
    )?
    .execute(params![
        id,
        number,
        now,
        report.outcome,
        report.http_status,
        report.code,
        report.reason,
        report.request_id
    ])?;
    let (state, due_at, ended_at) = match report.next {
        Next::Delivered => ("delivered", now, Some(now)),
        Next::Failed => ("failed", now, Some(now)),
        Next::Held => ("held", now, None),
        Next::Wait(due) => ("waiting", due.millis(), None),
    };
    db.prepare_cached(
        "UPDATE entry SET state = ?2, due_at = ?3, ended_at = ?4, reason = ?5, trouble_since = ?6
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        state,
        due_at,
        ended_at,
        report.reason,
        report.trouble_since.map(Timestamp::millis)
    ])?;
    if report.next == Next::Delivered {
        db.prepare_cached("DELETE FROM content WHERE entry = ?1")?
            .execute([id])?;
    }
    Ok(())
}
