//! The recipients of an entry, and the addresses that clients gave instead of them. They
//! are written when the entry is accepted, and read by each attempt and by commands that
//! show the queue.

use crate::spool::columns;
use std::str::FromStr;

use rusqlite::Connection;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

use crate::mail::Asked;

/// A recipient that replaces another address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The address that the client gave at RCPT.
    pub original: String,
    /// Who receives the message.
    pub recipient: String,
}

/// The recipients of an entry, in order; as text where they are only shown.
pub(in crate::spool) fn recipients<T>(db: &Connection, id: &str) -> rusqlite::Result<Vec<T>>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let mut statement =
        db.prepare_cached("SELECT address FROM recipient WHERE entry = ?1 ORDER BY ordinal")?;
    let rows = statement.query_map([id], |row| columns::parsed(row, 0))?;
    rows.collect()
}

pub(in crate::spool) fn insert(db: &Connection, id: &str, asked: &[Asked]) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO asked (entry, ordinal, original, recipient) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (ordinal, it) in (0_u32..).zip(asked) {
        insert.execute(params![id, ordinal, it.original, it.recipient.as_str()])?;
    }
    Ok(())
}

/// All recipients of an entry, in order.
pub(in crate::spool) fn read(db: &Connection, id: &str) -> rusqlite::Result<Vec<Asked>> {
    let mut statement = db.prepare_cached(
        "SELECT original, recipient FROM asked WHERE entry = ?1 ORDER BY ordinal",
    )?;
    let rows = statement.query_map([id], |row| {
        Ok(Asked {
            original: row.get(0)?,
            recipient: columns::parsed(row, 1)?,
        })
    })?;
    rows.collect()
}

/// Only the replaced ones; what cannot be read is not shown.
pub(in crate::spool) fn replaced(db: &Connection, id: &str) -> Vec<Replaced> {
    let asked = read(db, id).unwrap_or_default().into_iter();
    let asked = asked.map(|asked| Replaced {
        original: asked.original,
        recipient: asked.recipient.to_string(),
    });
    asked.filter(|it| it.original != it.recipient).collect()
}
