//! The table of refusals: writing it, and keeping it within its bounds.

use rusqlite::Connection;
use rusqlite::params;

use super::Refusal;
use super::Refused;
use crate::clock::RunningTime;
use crate::mail::Client;
use crate::spool::SpoolError;
use crate::spool::Subjects;

/// Rows in the table.
const MOST_ROWS: u32 = 10_000;
/// Bytes in the table,
const MOST_BYTES: u64 = 8_000_000;
/// and as a part of `spool_size`.
const MOST_OF_THE_SPOOL: u64 = 50;
/// Rows that go at once when there are too many.
const AT_ONCE: u32 = 100;
/// A row, without its texts.
const ROW: usize = 160;
/// Bytes of a text that are kept.
const LONGEST: usize = 400;

/// Begins to count the rows in the sums of the history, which are kept for dropped
/// messages. What was kept before fits the settings and the running time of this start.
pub(in crate::spool) fn begin(
    db: &Connection,
    subjects: Subjects,
    base: RunningTime,
) -> Result<(), SpoolError> {
    let begun = db.execute_batch(&format!(
        "UPDATE refusal SET running = {} WHERE running > {};
         UPDATE temp.usage SET rows = rows + (SELECT ifnull(sum(cost), 0) FROM main.refusal)
             WHERE state = 'dropped';
         CREATE TEMP TRIGGER refusal_added AFTER INSERT ON main.refusal BEGIN
             UPDATE usage SET rows = rows + NEW.cost WHERE state = 'dropped'; END;
         CREATE TEMP TRIGGER refusal_removed AFTER DELETE ON main.refusal BEGIN
             UPDATE usage SET rows = rows - OLD.cost WHERE state = 'dropped'; END;",
        base.millis(),
        base.millis()
    ));
    let begun = begun.and_then(|()| match subjects {
        Subjects::Kept => Ok(()),
        Subjects::NotKept => db
            .execute(
                "UPDATE refusal SET subject = NULL WHERE subject IS NOT NULL",
                [],
            )
            .map(drop),
    });
    match begun.map_err(SpoolError::from) {
        // Mail is worth more than what was refused.
        Err(error) if !error.is_damage() => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes rows, new ones or not, and removes the oldest beyond the bounds.
pub(super) fn write(
    db: &Connection,
    rows: &[Refused],
    now: RunningTime,
    spool_size: u64,
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO refusal (id, running, last_at, times, client, network, hello, user, sender,
         recipient, others, subject, message_id, reply, cause, remedy, counted, cost)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (id) DO UPDATE SET times = excluded.times, last_at = excluded.last_at,
         running = excluded.running",
    )?;
    for row in rows {
        let Refusal {
            client,
            hello,
            user,
            sender,
            recipient,
            others,
            subject,
            message_id,
            reply,
            cause,
            remedy,
        } = &row.refusal;
        let client = client.map(|client| client.to_canonical());
        let network = client.map(|client| Client::at(client).to_string());
        let texts = [hello, user, sender, recipient, subject, message_id];
        let [hello, user, sender, recipient, subject, message_id] =
            texts.map(|text| text.as_deref().map(cut));
        let [reply, cause, remedy] = [reply, cause, remedy].map(|text| cut(text));
        let texts = [hello, user, sender, recipient, subject, message_id];
        let texts = texts.into_iter().flatten().chain([reply, cause, remedy]);
        let cost = ROW + texts.map(str::len).sum::<usize>();
        insert.execute(params![
            row.id.to_string(),
            now.millis(),
            row.last_at.millis(),
            row.times,
            client.map(|client| client.to_string()).unwrap_or_default(),
            network.unwrap_or_default(),
            hello,
            user,
            sender,
            recipient,
            others,
            subject,
            message_id,
            reply,
            cause,
            remedy,
            row.is_counted_only,
            i64::try_from(cost).unwrap_or(i64::MAX)
        ])?;
    }
    keep_within(db, MOST_BYTES.min(spool_size / MOST_OF_THE_SPOOL))
}

/// A text that is not too long.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST))
        .unwrap_or(text)
}

/// Removes the oldest rows of whoever has the most, as long as there are too many.
fn keep_within(db: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let is_too_much = |db: &Connection| {
        db.prepare_cached("SELECT count(*) > ?1 OR ifnull(sum(cost), 0) > ?2 FROM refusal")?
            .query_row(params![MOST_ROWS, bytes], |row| row.get::<_, bool>(0))
    };
    while is_too_much(db)? {
        let removed = db
            .prepare_cached(
                "DELETE FROM refusal WHERE id IN (SELECT id FROM refusal WHERE network =
                     (SELECT network FROM refusal GROUP BY network ORDER BY count(*) DESC LIMIT 1)
                 ORDER BY id LIMIT ?1)",
            )?
            .execute([AT_ONCE])?;
        if removed == 0 {
            return Ok(());
        }
    }
    Ok(())
}

/// Removes what is older than this.
pub(super) fn purge(db: &Connection, oldest: RunningTime) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM refusal WHERE running < ?1")?
        .execute([oldest.millis()])
        .map(drop)
}

/// Removes the oldest rows until they have given so many bytes back; how many that were.
pub(in crate::spool) fn forget(db: &Connection, bytes: u64) -> rusqlite::Result<u64> {
    let mut freed = 0;
    while freed < bytes {
        let mut oldest = db.prepare_cached(
            "DELETE FROM refusal WHERE id IN (SELECT id FROM refusal ORDER BY id LIMIT ?1)
             RETURNING cost",
        )?;
        let costs = oldest.query_map([AT_ONCE], |row| row.get::<_, i64>(0))?;
        let costs: Vec<i64> = costs.collect::<rusqlite::Result<_>>()?;
        if costs.is_empty() {
            return Ok(freed);
        }
        let costs = costs
            .into_iter()
            .map(|cost| u64::try_from(cost).unwrap_or(0));
        freed += costs.sum::<u64>();
    }
    Ok(freed)
}
