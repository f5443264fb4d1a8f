//! What operators have ordered about single messages, for the timeline of each.
//!
//! An order is written down in the transaction that carries it out. The rows are in the
//! table `ordered`: `key` is `order ID RUNNING` with the running time in milliseconds, so
//! that the orders of a message are together and in order; `text` is what was ordered, and
//! who did if a name is known. Only the last [`MOST`] orders of a message are kept, and they
//! go with the message. The row `forgotten` of that table is of `room/forgotten.rs`.

use rusqlite::Connection;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::Moment;
use crate::clock::Timestamp;
use crate::mail::SpoolId;
use crate::spool::room::forgotten;

/// Orders that are kept of one message.
const MOST: u32 = 20;
/// What an order and its name cost on disk (`room/usage.rs`).
const COST: u32 = 150;

/// Who gives an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenBy {
    /// The user on this machine.
    pub uid: u32,
    /// The name on the admin page; none for a command.
    pub name: Option<String>,
}

impl From<u32> for GivenBy {
    fn from(uid: u32) -> Self {
        Self { uid, name: None }
    }
}

/// An order about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// When it was carried out.
    pub at: Timestamp,
    /// `retry`, `hold`, `release`, `drop` or `resend`.
    pub order: String,
    /// The user on this machine who gave it.
    pub uid: u32,
    /// The name on the admin page, if it was given there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The copy, if the message was sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<SpoolId>,
}

/// Writes an order down. `what` is one word, or `resend` with the id of the copy.
pub(in crate::spool) fn note(
    db: &Connection,
    id: &str,
    what: &str,
    by: &GivenBy,
    now: Moment,
) -> rusqlite::Result<()> {
    let text = match &by.name {
        Some(name) => format!("{what} by {name}"),
        None => what.to_owned(),
    };
    let key = format!("order {id} {:015}", now.running.millis().max(0));
    db.prepare_cached(
        "INSERT OR REPLACE INTO ordered (key, at, running, uid, text) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        key,
        now.at.millis(),
        now.running.millis(),
        by.uid,
        text
    ])?;
    let removed = db
        .prepare_cached(
            "DELETE FROM ordered WHERE key IN (SELECT key FROM ordered
             WHERE key BETWEEN 'order ' || ?1 || ' ' AND 'order ' || ?1 || '~'
             ORDER BY key DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![id, MOST])?;
    if removed == 0 {
        db.prepare_cached("UPDATE entry SET rows_cost = rows_cost + ?2 WHERE id = ?1")?
            .execute(params![id, COST])?;
    }
    Ok(())
}

/// How much is written about a message that is removed from the history, when damage stops the
/// whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spool) enum Extent {
    /// Its orders go, and the note says that it is gone.
    Whole,
    /// Its orders stay.
    OnlyNote,
    /// There is no note either: nobody can read it.
    Nothing,
}

impl Extent {
    /// From the whole on.
    pub(in crate::spool) const ALL: [Self; 3] = [Self::Whole, Self::OnlyNote, Self::Nothing];
}

/// Forgets the orders of a message that is removed from the history, and notes that it is gone;
/// `extent` says how much of this is done. Returns damage as an error, because SQLite writes
/// nothing more in this transaction then.
pub(in crate::spool) fn forget(db: &Connection, id: &str, extent: Extent) -> rusqlite::Result<()> {
    if extent == Extent::Nothing {
        return Ok(());
    }
    forgotten::note(db, id)?;
    if extent == Extent::Whole {
        db.prepare_cached(
            "DELETE FROM ordered WHERE key BETWEEN 'order ' || ?1 || ' ' AND 'order ' || ?1 || '~'",
        )?
        .execute([id])?;
    }
    Ok(())
}

/// The orders about a message, the oldest first. What cannot be read is not shown.
pub(in crate::spool) fn of(db: &Connection, id: &str) -> Vec<OrderView> {
    let read = || -> rusqlite::Result<Vec<OrderView>> {
        let mut statement = db.prepare_cached(
            "SELECT at, uid, text FROM ordered
             WHERE key BETWEEN 'order ' || ?1 || ' ' AND 'order ' || ?1 || '~' ORDER BY key",
        )?;
        let rows = statement.query_map([id], |row| {
            let at = Timestamp::from_millis(row.get(0)?);
            Ok(view(at, row.get(1)?, &text(row, 2)?))
        })?;
        rows.collect()
    };
    read().unwrap_or_default()
}

fn text(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(row.get::<_, Option<String>>(at)?.unwrap_or_default())
}

fn view(at: Timestamp, uid: u32, text: &str) -> OrderView {
    let (what, by) = match text.split_once(" by ") {
        Some((what, by)) => (what, Some(by.to_owned())),
        None => (text, None),
    };
    let (order, copy) = match what.split_once(' ') {
        Some((order, copy)) => (order, copy.parse().ok()),
        None => (what, None),
    };
    OrderView {
        at,
        order: order.to_owned(),
        uid,
        by,
        copy,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::clock::RunningTime;
    use crate::spool::schema;

    #[test]
    fn a_message_is_noted_as_forgotten_although_its_orders_have_to_stay() {
        let folder = TempDir::new().unwrap();
        let db = schema::create(&folder.path().join("spool.db")).unwrap();
        let now = Moment {
            at: Timestamp::from_millis(5),
            running: RunningTime::START,
        };
        let removed = SpoolId::first_of(Timestamp::from_millis(2));
        let message = removed.to_string();
        note(&db, &message, "hold", &GivenBy::from(0), now).unwrap();

        forget(&db, &message, Extent::OnlyNote).unwrap();
        assert_eq!(forgotten::newest(&db).unwrap(), Some(removed));
        assert_eq!(of(&db, &message).len(), 1);

        forget(&db, &message, Extent::Whole).unwrap();
        assert!(of(&db, &message).is_empty());
    }
}
