//! Drafts on record, and entries held because it is unknown whether they were sent
//! (promise 4).

use crate::spool::columns;
use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;

use crate::clock::RunningTime;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::spool::SpoolError;

/// A draft in the mailbox that holds an entry's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Graph's immutable id, which outlives the sending.
    pub id: String,
    /// How far it got.
    pub stage: Stage,
}

/// The draft of a message that was dropped or has failed and will not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// The entry.
    pub id: SpoolId,
    /// Whether an operator may retry the entry, which needs the evidence of its draft.
    pub may_be_retried: bool,
    /// The destination whose mailbox has it.
    pub destination: Destination,
    /// The draft.
    pub draft: Draft,
}

/// How far a draft got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Attachments may be missing; it was certainly not sent.
    Filling,
    /// It was complete, and may have been sent.
    Sending {
        /// When the sending began.
        since: RunningTime,
    },
}

/// The reason shown for an entry whose attempt was interrupted by the end of the relay,
/// until it is retried or an operator has decided.
pub(in crate::spool) const INTERRUPTED: &str =
    "the relay stopped during this attempt: it may have been submitted";

/// [`Stage::Filling`] in the spool.
const FILLING: &str = "filling";
/// [`Stage::Sending`] in the spool.
pub(in crate::spool) const SENDING: &str = "sending";

impl Spool {
    /// Records the draft that the mailbox has of an entry, or that there is none any
    /// more.
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

    /// Records that the mailbox no longer has this draft of an entry. A newer draft, made
    /// because an operator retried the message, stays on record.
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

    /// Drafts that are on record for dropped entries, and for entries that failed before
    /// `since`; at most `most` of them.
    /// # Errors
    ///
    /// Those of the database.
    pub async fn abandoned(
        &self,
        since: RunningTime,
        most: u32,
    ) -> Result<Vec<Abandoned>, SpoolError> {
        self.read(move |db| {
            // In random order, so that one draft that cannot be deleted does not block
            // the others.
            let mut statement = db.prepare_cached(
                "SELECT id, account, mailbox, draft, draft_stage, draft_since, state = 'failed'
                 FROM entry
                 WHERE (state = 'dropped' OR (state = 'failed' AND ended_running <= ?2))
                 AND ended_at IS NOT NULL
                 AND draft IS NOT NULL AND account IS NOT NULL ORDER BY random() LIMIT ?1",
            )?;
            let rows = statement.query_map(params![most, since.millis()], |row| {
                let destination = Destination {
                    account: row.get(1)?,
                    mailbox: columns::parsed(row, 2)?,
                };
                let (id, draft) = (columns::id(row, 0)?, draft(row, 3)?);
                let may_be_retried = row.get(6)?;
                Ok(draft.map(|draft| Abandoned {
                    id,
                    may_be_retried,
                    destination,
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

    /// Holds the waiting entries of an account whose last attempt was interrupted by a
    /// crash and that have no draft as evidence. Returns them.
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

/// The id of a draft and, from the columns after it, how far it got.
pub(in crate::spool) fn draft(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Draft>> {
    let Some(id) = row.get(column)? else {
        return Ok(None);
    };
    let stage: String = row.get(column + 1)?;
    let since: Option<i64> = row.get(column + 2)?;
    let stage = if stage == FILLING {
        Stage::Filling
    } else {
        // In every other case it may have been sent.
        Stage::Sending {
            since: RunningTime::from_millis(since.unwrap_or_default()),
        }
    };
    Ok(Some(Draft { id, stage }))
}
