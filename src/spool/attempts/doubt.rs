//! Drafts on record, and what is held because nobody knows whether it was sent:
//! promise 4.

use crate::spool::columns;
use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;

use crate::clock::RunningTime;
use crate::mail::Lane;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::spool::SpoolError;

/// A draft in the mailbox that holds an entry's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Graph's immutable id, which outlives the sending.
    pub id: String,
    /// How far it is.
    pub stage: Stage,
}

/// A draft of a message that was dropped or has failed: nobody will send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// The entry.
    pub id: SpoolId,
    /// Whether an operator may have it tried again: what its draft tells is needed
    /// then.
    pub may_be_retried: bool,
    /// Whose mailbox has it.
    pub lane: Lane,
    /// The draft.
    pub draft: Draft,
}

/// How far a draft is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It may lack attachments, and was surely not sent.
    Filling,
    /// It was complete, and may have been sent.
    Sending {
        /// When that began.
        since: RunningTime,
    },
}

/// Why an entry waits whose attempt the relay did not live to see the end of; until
/// it is tried again, or an operator has decided about it.
pub(in crate::spool) const INTERRUPTED: &str =
    "the relay stopped during this attempt: it may have been submitted";

/// [`Stage::Filling`] in the spool.
const FILLING: &str = "filling";
/// [`Stage::Sending`] in the spool.
pub(in crate::spool) const SENDING: &str = "sending";

impl Spool {
    /// Records the draft that the mailbox has of an entry, or that there is none
    /// any more.
    ///
    /// # Errors
    ///
    /// Nothing is recorded then.
    pub async fn note_draft(&self, id: SpoolId, draft: Option<Draft>) -> Result<(), SpoolError> {
        let write = move |db: &Connection| {
            let mut columns: (Option<&str>, Option<&str>, Option<i64>) = (None, None, None);
            if let Some(draft) = &draft {
                let (stage, since) = match draft.stage {
                    Stage::Filling => (FILLING, None),
                    Stage::Sending { since } => (SENDING, Some(since.millis())),
                };
                columns = (Some(&draft.id), Some(stage), since);
            }
            db.prepare_cached(
                "UPDATE entry SET draft = ?2, draft_stage = ?3, draft_since = ?4 WHERE id = ?1",
            )?
            .execute(params![id.to_string(), columns.0, columns.1, columns.2])?;
            Ok(())
        };
        self.shared.writer.write(write).await
    }

    /// Records that the mailbox has this draft of an entry no more. One that was
    /// made since, because an operator had the message tried again, stays on record.
    ///
    /// # Errors
    ///
    /// Nothing is recorded then.
    pub async fn forget_draft(&self, id: SpoolId, draft: String) -> Result<(), SpoolError> {
        let write = move |db: &Connection| {
            db.prepare_cached(
                "UPDATE entry SET draft = NULL, draft_stage = NULL, draft_since = NULL
                 WHERE id = ?1 AND draft = ?2",
            )?
            .execute(params![id.to_string(), draft])?;
            Ok(())
        };
        self.shared.writer.write(write).await
    }

    /// Drafts that are on record for dropped entries, and for entries that failed
    /// before `since`; some of them if there are more than `most`.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn abandoned(
        &self,
        since: RunningTime,
        most: u32,
    ) -> Result<Vec<Abandoned>, SpoolError> {
        self.read(move |db| {
            // In any order: one that cannot be deleted must not keep others from it.
            let mut statement = db.prepare_cached(
                "SELECT id, account, mailbox, draft, draft_stage, draft_since, state = 'failed'
                 FROM entry
                 WHERE (state = 'dropped' OR (state = 'failed' AND ended_running <= ?2))
                 AND ended_at IS NOT NULL
                 AND draft IS NOT NULL AND account IS NOT NULL ORDER BY random() LIMIT ?1",
            )?;
            let rows = statement.query_map(params![most, since.millis()], |row| {
                let lane = Lane {
                    account: row.get(1)?,
                    mailbox: columns::parsed(row, 2)?,
                };
                let (id, draft) = (columns::id(row, 0)?, draft(row, 3)?);
                let may_be_retried = row.get(6)?;
                Ok(draft.map(|draft| Abandoned {
                    id,
                    may_be_retried,
                    lane,
                    draft,
                }))
            })?;
            Ok(rows.filter_map(Result::ok).flatten().collect())
        })
        .await
    }

    /// Returns when messages were dropped since the last call.
    pub async fn dropped(&self) {
        self.shared.dropped.notified().await;
    }

    /// Holds the waiting entries of an account whose last attempt was interrupted by
    /// a crash, and of which no draft can tell more. Returns them.
    ///
    /// # Errors
    ///
    /// Those of the database; nothing has changed then.
    pub async fn hold_interrupted(&self, account: String) -> Result<Vec<SpoolId>, SpoolError> {
        let now = self.moment().at;
        let hold = move |db: &Connection| {
            let mut held = db.prepare(
                "UPDATE entry SET state = 'held', changed_at = ?3
                 WHERE state = 'waiting' AND account = ?1 AND draft IS NULL AND reason = ?2
                 RETURNING id",
            )?;
            let values = params![account, INTERRUPTED, now.millis()];
            let rows = held.query_map(values, |row| columns::id(row, 0))?;
            rows.collect()
        };
        self.shared.writer.write(hold).await
    }
}

/// A draft's id and, in the columns behind it, how far it is.
pub(in crate::spool) fn draft(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Draft>> {
    let Some(id) = row.get(column)? else {
        return Ok(None);
    };
    let stage: String = row.get(column + 1)?;
    let since: Option<i64> = row.get(column + 2)?;
    let stage = if stage == FILLING {
        Stage::Filling
    } else {
        // Whatever else it says, it may have been sent.
        Stage::Sending {
            since: RunningTime::from_millis(since.unwrap_or_default()),
        }
    };
    Ok(Some(Draft { id, stage }))
}
