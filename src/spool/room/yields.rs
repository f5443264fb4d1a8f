//! Making room: removes what may yield to new mail, in the order that `room/mod.rs`
//! gives.

use crate::spool::columns;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::params;

use super::Limit;
use super::Purpose;
use super::Removed;
use super::Short;
use super::Yielding;
use super::amounts::Yields;
use crate::mail::SpoolId;
use crate::spool::AcceptError;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::content;
use crate::spool::operator::orders;
use crate::spool::operator::orders::Extent;
use crate::spool::refusals::store;
use crate::spool::room::forgotten;

/// How often something may yield for one message. In all this allows about ten thousand
/// entries of history.
const ROUNDS: usize = 24;
/// Entries removed in one transaction, so that accepting mail does not wait for long.
const AT_ONCE: u32 = 500;
/// A little more history is removed than needed, so that not every message has to ask for
/// room.
const MARGIN: u64 = 256 * 1024;
/// How long to wait for a session to give its room back; it does so at once when asked.
const GIVES_BACK: Duration = Duration::from_secs(2);
/// More than the rows of a message to a few recipients need. If more is missing, rows
/// fill the spool, and they yield next.
const ORDINARY_ROWS: u64 = 2048;
/// The reason shown for a failed entry whose content was removed.
const REMOVED: &str = "; its content was removed to make room";

/// Which entries lack content because it was removed to make room, as SQL.
pub(in crate::spool) const YIELDED: &str = "state = 'failed' AND content_cost = 0 AND in_file = 0
    AND NOT EXISTS (SELECT 1 FROM content WHERE content.entry = entry.id)";

/// What has yielded.
enum Yielded {
    Nothing,
    /// Kept content.
    Kept,
    Other,
}

impl Spool {
    /// Waits for content that was removed to make room, and returns what was since the last
    /// call.
    pub async fn removed(&self) -> Removed {
        self.shared.room.removed().await
    }

    /// Returns the newest message that the history no longer has, because its time was over or
    /// new mail needed the room. Every later message that the spool does not know never was in it.
    ///
    /// A note that cannot be read says nothing. One that lies in the future is from a time when
    /// the clock was wrong, and hides what was removed since. Anything up to now may be gone then,
    /// and the note says so from now on.
    ///
    /// # Errors
    ///
    /// Those of the database, except damage.
    pub async fn newest_forgotten(&self) -> Result<Option<SpoolId>, SpoolError> {
        let read = self.read(forgotten::newest).await;
        let now = self.moment().at;
        match read {
            Ok(Some(newest)) if newest.time() > now => {}
            Err(error) if error.is_of_one_entry() => {}
            read => return read,
        }
        let until = SpoolId::first_of(now);
        let replace = move |db: &Connection| forgotten::replace(db, &until.to_string());
        match self.shared.writer.write(replace).await {
            Err(error) if !error.is_damage() => Err(error),
            Ok(()) | Err(_) => Ok(Some(until)),
        }
    }

    /// Reserves bytes, and makes room for them if there is none.
    pub(in crate::spool) async fn find_room(
        &self,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<(), AcceptError> {
        let room = &self.shared.room;
        if room.try_take(bytes, purpose)?.is_none() {
            return Ok(());
        }
        // One at a time, so that others can use the room that this one makes.
        let _turn = room.making.lock().await;
        let mut round = 0;
        loop {
            let Some(short) = room.try_take(bytes, purpose)? else {
                return Ok(());
            };
            match self.make_room(short, purpose).await? {
                // New mail is never refused because of it.
                Yielded::Kept => {}
                Yielded::Other if round < ROUNDS => round += 1,
                Yielded::Other | Yielded::Nothing => {
                    return Err(AcceptError::Full(room.words(short)));
                }
            }
        }
    }

    async fn make_room(&self, short: Short, purpose: Purpose) -> Result<Yielded, SpoolError> {
        let room = &self.shared.room;
        if !room.can_yield(&room.ledger(), short, purpose) {
            return Ok(Yielded::Nothing);
        }
        if self.take_back(Yielding::Stalled, purpose).await {
            return Ok(Yielded::Other);
        }
        let Yields {
            kept,
            history,
            failed,
        } = room.yields(&room.ledger(), short.limit, purpose);
        let only_files = short.limit == Limit::Disk && matches!(purpose, Purpose::Step(_));
        if kept > 0 {
            let removed = self.yield_kept(short.missing + MARGIN, only_files);
            let removed = yielded_or_damaged(removed.await)?;
            if removed > 0 {
                room.note_removed(|all| all.kept += removed);
                return Ok(Yielded::Kept);
            }
        }
        if history > 0 && self.forget(history.min(short.missing + MARGIN)).await? > 0 {
            return Ok(Yielded::Other);
        }
        if failed > 0 && self.remove_failed(short.missing, only_files).await? > 0 {
            return Ok(Yielded::Other);
        }
        let is_last = purpose == Purpose::Rows && self.take_back(Yielding::All, purpose).await;
        Ok(if is_last {
            Yielded::Other
        } else {
            Yielded::Nothing
        })
    }

    /// Takes the room of one reception back, and waits until it is free.
    async fn take_back(&self, whom: Yielding, purpose: Purpose) -> bool {
        let room = &self.shared.room;
        let Some(number) = room.take_back(whom, purpose) else {
            return false;
        };
        let given_back = async {
            loop {
                let mut ended = std::pin::pin!(room.ended.notified());
                ended.as_mut().enable();
                if !room.is_held(number) {
                    return;
                }
                ended.await;
            }
        };
        // If it was not given back in time, the next check shows what is missing.
        let _late = tokio::time::timeout(GIVES_BACK, given_back).await;
        true
    }

    /// Removes this many bytes of history; returns how many were removed. Damage to what is on
    /// record about it does not keep it.
    async fn forget(&self, bytes: u64) -> Result<u64, SpoolError> {
        let forget = move |db: &Connection, extent| forget(db, bytes, extent);
        let forgotten = self.write_as_far_as_possible(&Extent::ALL, forget).await;
        yielded_or_damaged(forgotten.map(|(freed, _)| freed))
    }

    /// Removes this many bytes of failed messages' content; returns how many were
    /// removed.
    async fn remove_failed(&self, bytes: u64, only_files: bool) -> Result<u64, SpoolError> {
        let remove = move |db: &Connection| remove_failed(db, bytes, only_files);
        let removed = yielded_or_damaged(self.shared.writer.write(remove).await)?;
        let folder = &self.shared.settings.folder;
        for failed in removed.iter().filter(|failed| failed.in_file) {
            // What cannot be removed now is removed at the next start.
            let _left = tokio::fs::remove_file(content::path(folder, failed.id)).await;
        }
        let room = &self.shared.room;
        room.note_removed(|all| all.failed.extend(removed.iter().map(|failed| failed.id)));
        Ok(removed.iter().map(|failed| failed.cost).sum())
    }
}

/// Nothing yields where the database is damaged.
fn yielded_or_damaged<T: Default>(yielded: Result<T, SpoolError>) -> Result<T, SpoolError> {
    match yielded {
        Err(error) if error.is_damage() => Ok(T::default()),
        yielded => yielded,
    }
}

/// Removes entries without content, those that ended first, until enough bytes are free.
fn forget(db: &Connection, bytes: u64, extent: Extent) -> rusqlite::Result<u64> {
    let mut freed = store::forget(db, bytes)?;
    if freed >= bytes {
        return Ok(freed);
    }
    let mut oldest = db.prepare_cached(
        "SELECT id, rows_cost FROM entry WHERE id IN (
            SELECT * FROM (SELECT id FROM entry WHERE state = 'delivered' AND ended_at IS NOT NULL
                AND content_cost >= 0 ORDER BY ended_running LIMIT ?1)
            UNION ALL
            SELECT * FROM (SELECT id FROM entry WHERE state = 'dropped' AND ended_at IS NOT NULL
                AND content_cost >= 0 ORDER BY ended_running LIMIT ?1)
            UNION ALL
            SELECT * FROM (SELECT id FROM entry WHERE state = 'failed' AND ended_at IS NOT NULL
                AND content_cost = 0 AND in_file = 0 ORDER BY ended_running LIMIT ?1))
         ORDER BY ended_running LIMIT ?1",
    )?;
    let rows = oldest.query_map([AT_ONCE], |row| {
        Ok((row.get::<_, String>(0)?, columns::unsigned(row, 1)?))
    })?;
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    let mut delete = db.prepare_cached("DELETE FROM entry WHERE id = ?1")?;
    for (id, cost) in rows {
        if freed >= bytes {
            break;
        }
        orders::forget(db, &id, extent)?;
        delete.execute([id])?;
        freed += cost.max(1);
    }
    Ok(freed)
}

/// A failed entry whose content was removed.
struct Failed {
    id: SpoolId,
    cost: u64,
    in_file: bool,
    rows: u64,
}

/// Removes the content of failed entries, those that failed first, until enough bytes are
/// free.
fn remove_failed(db: &Connection, bytes: u64, only_files: bool) -> rusqlite::Result<Vec<Failed>> {
    let mut oldest = db.prepare_cached(
        "SELECT id, content_cost, in_file, rows_cost FROM entry
         WHERE state = 'failed' AND ended_at IS NOT NULL AND content_cost > 0
         AND in_file >= ?2 ORDER BY ended_running LIMIT ?1",
    )?;
    let rows = oldest.query_map(params![AT_ONCE, only_files], |row| {
        Ok(Failed {
            id: columns::id(row, 0)?,
            cost: columns::unsigned(row, 1)?,
            in_file: row.get(2)?,
            rows: columns::unsigned(row, 3)?,
        })
    })?;
    let mut freed = 0;
    let mut removed = Vec::new();
    for row in rows {
        if freed >= bytes {
            break;
        }
        let row = row?;
        freed += row.cost + row.rows.saturating_sub(ORDINARY_ROWS);
        removed.push(row);
    }
    let mut delete = db.prepare_cached("DELETE FROM content WHERE entry = ?1")?;
    let mut say = db.prepare_cached(
        "UPDATE entry SET content_cost = 0, in_file = 0, reason = ifnull(reason, '') || ?2
         WHERE id = ?1",
    )?;
    for failed in &removed {
        let id = failed.id.to_string();
        delete.execute([&id])?;
        say.execute(params![id, REMOVED])?;
    }
    Ok(removed)
}
