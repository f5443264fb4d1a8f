//! How it stands with the queue as a whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use super::Spool;
use super::SpoolError;
use super::view;
use crate::clock::Timestamp;
use crate::mail::SpoolId;

/// The queue in a few numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overview {
    /// Entries that are not done with, by state.
    pub states: BTreeMap<String, u64>,
    /// When the oldest entry that waits was accepted.
    pub oldest_waiting: Option<Timestamp>,
    /// The last entries that have failed, the newest first.
    pub failures: Vec<Failure>,
}

/// An entry that has failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Its id.
    pub id: SpoolId,
    /// When it was given up.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

/// As many as fit on a screen with everything else.
const FAILURES: u32 = 5;

impl Spool {
    /// How it stands with the queue.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn overview(&self) -> Result<Overview, SpoolError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT state, count(*), min(accepted_at) FROM entry
                 WHERE state NOT IN ('delivered', 'dropped') GROUP BY state",
            )?;
            let mut overview = Overview {
                states: BTreeMap::new(),
                oldest_waiting: None,
                failures: Vec::new(),
            };
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let state: String = row.get(0)?;
                if state == "waiting" {
                    overview.oldest_waiting = Some(Timestamp::from_millis(row.get(2)?));
                }
                overview.states.insert(state, view::unsigned(row, 1)?);
            }
            let mut statement = db.prepare_cached(
                "SELECT id, ended_at, reason FROM entry WHERE state = 'failed'
                 ORDER BY ended_at DESC LIMIT ?1",
            )?;
            let failures = statement.query_map([FAILURES], |row| {
                Ok(Failure {
                    id: view::id(row, 0)?,
                    ended_at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis),
                    reason: row.get(2)?,
                })
            })?;
            overview.failures = failures.collect::<rusqlite::Result<_>>()?;
            Ok(overview)
        })
        .await
    }
}
