//! What attempts have recently used of a mailbox's rate limits, so that a restart does
//! not forget it.
//!
//! It is read once at start from the record of attempts, summed up by destination and time in
//! the database. Attempts that are no longer on record, because the history is kept for
//! less than a day, are not counted.

use crate::spool::columns;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;

use crate::clock::RunningTime;
use crate::mail::Destination;
use crate::spool::Spool;
use crate::spool::SpoolError;

/// What a destination used at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The destination.
    pub destination: Destination,
    /// How long ago it was, to the second, or for recipients to the minute.
    pub ago: Duration,
    /// Attempts begun.
    pub messages: u64,
    /// Requests to Graph, of attempts that counted them.
    pub requests: u64,
    /// Bytes in those.
    pub uploaded: u64,
    /// Interrupted attempts, whose use is unknown.
    pub uncounted: u64,
    /// Bytes of content of those.
    pub uncounted_size: u64,
    /// Recipients of messages that were accepted or may have been.
    pub recipients: u64,
}

impl Spool {
    /// What was used within a time, in no order. The time during which the relay was
    /// stopped before this start counts.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn spent(&self, within: Duration) -> Result<Vec<Spent>, SpoolError> {
        // As a moment of running time after which nothing was used.
        let now = self.running() + self.stopped();
        self.read(move |db| {
            let mut spent = messages(db, now)?;
            spent.extend(requests(db, now)?);
            spent.extend(recipients(db, now, within)?);
            Ok(spent)
        })
        .await
    }
}

/// Messages count for a minute and requests for ten. Requests of an attempt count from
/// its end, and an attempt that takes longer than this does not belong to a mailbox at
/// its limit.
const MESSAGES: Duration = Duration::from_secs(60 + 1);
/// See [`MESSAGES`].
const REQUESTS: Duration = Duration::from_secs(60 * 60);

fn messages(db: &Connection, now: RunningTime) -> rusqlite::Result<Vec<Spent>> {
    rows(
        db,
        "SELECT account, mailbox, (begun_running / 1000 + 1) * 1000, count(*), 0, 0, 0, 0, 0
         FROM attempt JOIN entry ON id = entry
         WHERE begun_running > ?1 AND account IS NOT NULL
         GROUP BY account, mailbox, begun_running / 1000",
        now,
        MESSAGES,
    )
}

fn requests(db: &Connection, now: RunningTime) -> rusqlite::Result<Vec<Spent>> {
    rows(
        db,
        "SELECT account, mailbox, (attempt.ended_running / 1000 + 1) * 1000, 0,
         ifnull(sum(requests), 0), ifnull(sum(uploaded), 0), sum(requests IS NULL),
         sum(iif(requests IS NULL, size, 0)), 0
         FROM attempt JOIN entry ON id = entry
         WHERE begun_running > ?1 AND attempt.ended_running IS NOT NULL AND account IS NOT NULL
         GROUP BY account, mailbox, attempt.ended_running / 1000",
        now,
        REQUESTS,
    )
}

fn recipients(db: &Connection, now: RunningTime, within: Duration) -> rusqlite::Result<Vec<Spent>> {
    rows(
        db,
        "SELECT account, mailbox, (begun_running / 60000 + 1) * 60000, 0, 0, 0, 0, 0,
         sum((SELECT count(*) FROM recipient WHERE recipient.entry = id))
         FROM attempt JOIN entry ON id = attempt.entry
         WHERE begun_running > ?1 AND account IS NOT NULL AND outcome IN ('delivered', 'doubtful')
         GROUP BY account, mailbox, begun_running / 60000",
        now,
        within,
    )
}

fn rows(
    db: &Connection,
    query: &str,
    now: RunningTime,
    within: Duration,
) -> rusqlite::Result<Vec<Spent>> {
    let mut statement = db.prepare(query)?;
    let spent = |row: &Row<'_>| {
        Ok(Spent {
            destination: Destination {
                account: row.get(0)?,
                mailbox: columns::parsed(row, 1)?,
            },
            ago: now.since(RunningTime::from_millis(row.get(2)?)),
            messages: columns::unsigned(row, 3)?,
            requests: columns::unsigned(row, 4)?,
            uploaded: columns::unsigned(row, 5)?,
            uncounted: columns::unsigned(row, 6)?,
            uncounted_size: columns::unsigned(row, 7)?,
            recipients: columns::unsigned(row, 8)?,
        })
    };
    statement
        .query_map(params![(now - within).millis()], spent)?
        .collect()
}
