//! How much mail came and went in each minute before now, for the charts of the admin page
//! after a restart.
//!
//! It is read once, from the history, in pieces between which others read. What the history
//! no longer has does not count, and a message counts as delivered or failed only if it was
//! accepted in the same time.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::params;

use crate::clock::Timestamp;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::State;
use crate::spool::columns;

/// What happened in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PastMinute {
    /// Messages that were accepted from clients.
    pub accepted: u64,
    /// Messages that were delivered.
    pub delivered: u64,
    /// Attempts after which a message waited for another.
    pub deferred: u64,
    /// Messages that failed.
    pub failed: u64,
    /// Messages and recipients that were refused.
    pub refused: u64,
}

/// Minutes since 1970, and what happened in each.
pub type PastMinutes = BTreeMap<i64, PastMinute>;

/// Messages that are read at once.
const PIECE: u32 = 4000;

impl Spool {
    /// What happened from a time on until another.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn past(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<PastMinutes, SpoolError> {
        let mut minutes = self
            .read(move |db| {
                let mut minutes = PastMinutes::new();
                refused(db, since, until, &mut minutes)?;
                Ok(minutes)
            })
            .await?;
        let mut after = SpoolId::first_of(since).to_string();
        loop {
            let read = self.read(move |db| {
                let last = accepted(db, &after, until, &mut minutes)?;
                if let Some(last) = &last {
                    deferred(db, &after, last, until, &mut minutes)?;
                }
                Ok((minutes, last))
            });
            let last;
            (minutes, last) = read.await?;
            match last {
                Some(last) => after = last,
                None => return Ok(minutes),
            }
        }
    }
}

fn count(minutes: &mut PastMinutes, at: i64, until: Timestamp, add: impl FnOnce(&mut PastMinute)) {
    if at < until.millis() {
        add(minutes.entry(at.div_euclid(60_000)).or_default());
    }
}

/// Counts the messages of a piece, and returns the last of them.
fn accepted(
    db: &Connection,
    after: &str,
    until: Timestamp,
    minutes: &mut PastMinutes,
) -> rusqlite::Result<Option<String>> {
    let mut statement = db.prepare_cached(
        "SELECT id, accepted_at, state, ended_at, about IS NULL FROM entry
         WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, PIECE])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        let (state, ended): (String, Option<i64>) = (row.get(2)?, row.get(3)?);
        if row.get(4)? {
            count(minutes, row.get(1)?, until, |it| it.accepted += 1);
        }
        if let Some(ended) = ended {
            count(minutes, ended, until, |it| match State::named(&state) {
                Some(State::Delivered) => it.delivered += 1,
                Some(State::Failed) => it.failed += 1,
                Some(
                    State::Waiting
                    | State::Claimed
                    | State::Held
                    | State::Dropped
                    | State::Quarantined,
                )
                | None => {}
            });
        }
    }
    Ok(last)
}

fn deferred(
    db: &Connection,
    after: &str,
    last: &str,
    until: Timestamp,
    minutes: &mut PastMinutes,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT ended_at FROM attempt WHERE entry > ?1 AND entry <= ?2
         AND outcome = 'deferred' AND ended_at IS NOT NULL",
    )?;
    let mut rows = statement.query([after, last])?;
    while let Some(row) = rows.next()? {
        count(minutes, row.get(0)?, until, |it| it.deferred += 1);
    }
    Ok(())
}

fn refused(
    db: &Connection,
    since: Timestamp,
    until: Timestamp,
    minutes: &mut PastMinutes,
) -> rusqlite::Result<()> {
    let mut statement =
        db.prepare_cached("SELECT last_at, times, others FROM refusal WHERE id >= ?1")?;
    let mut rows = statement.query([SpoolId::first_of(since).to_string()])?;
    while let Some(row) = rows.next()? {
        let times = columns::unsigned(row, 1)? + columns::unsigned(row, 2)?;
        count(minutes, row.get(0)?, until, |it| it.refused += times);
    }
    Ok(())
}
