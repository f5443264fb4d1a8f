//! Which entries are copies that an operator has sent again, and of which messages.

use rusqlite::Connection;
use rusqlite::params;

use crate::clock::Moment;
use crate::mail::SpoolId;
use crate::spool::GivenBy;
use crate::spool::columns;
use crate::spool::operator::orders;

/// Of which message an entry is a copy, and who wanted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::spool) struct Resend {
    pub(in crate::spool) of: SpoolId,
    pub(in crate::spool) by: GivenBy,
}

/// Records that an entry is a copy, and forgets copies that are no longer in the history.
pub(in crate::spool) fn insert(
    db: &Connection,
    id: &str,
    resend: &Resend,
    now: Moment,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM ordered WHERE key BETWEEN 'resend ' AND 'resend~'
         AND NOT EXISTS (SELECT 1 FROM entry WHERE id = substr(key, 8))",
    )?
    .execute([])?;
    db.prepare_cached(
        "INSERT INTO ordered (key, at, running, uid, text)
         VALUES ('resend ' || ?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        id,
        now.at.millis(),
        now.running.millis(),
        resend.by.uid,
        resend.of.to_string()
    ])?;
    let what = format!("resend {id}");
    orders::note(db, &resend.of.to_string(), &what, &resend.by, now)
}

/// The message that an entry is a copy of. What cannot be read is not shown.
pub(in crate::spool) fn original_of(db: &Connection, id: &str) -> Option<SpoolId> {
    let mut statement = db
        .prepare_cached("SELECT text FROM ordered WHERE key = 'resend ' || ?1")
        .ok()?;
    statement.query_row([id], |row| columns::id(row, 0)).ok()
}

/// The copies of an entry, oldest first. What cannot be read is not shown.
pub(in crate::spool) fn copies_of(db: &Connection, id: &str) -> Vec<SpoolId> {
    let read = || -> rusqlite::Result<Vec<SpoolId>> {
        let mut statement = db.prepare_cached(
            "SELECT substr(key, 8) FROM ordered WHERE key BETWEEN 'resend ' AND 'resend~'
             AND text = ?1 ORDER BY key",
        )?;
        let rows = statement.query_map([id], |row| columns::id(row, 0))?;
        rows.collect()
    };
    read().unwrap_or_default()
}
