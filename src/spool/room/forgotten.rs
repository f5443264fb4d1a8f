//! The note of what the history has forgotten: the ID of the newest message that was removed
//! from it. A pickup folder asks for it before it sends a file that the spool does not know
//! (`listener/pickup`). A salvage, and a restore that holds what waits, write an ID of their own
//! time, because they cannot know what the history had. What an unreadable note means:
//! [`Spool::newest_forgotten`](crate::spool::Spool::newest_forgotten), in `yields.rs`.
//!
//! It is the row `forgotten` of the table `ordered`, because an earlier program leaves that table
//! alone.

use rusqlite::Connection;
use rusqlite::OptionalExtension;

use crate::mail::SpoolId;
use crate::spool::columns;

/// Notes that the history may no longer have messages up to this one.
pub(in crate::spool) fn note(db: &Connection, id: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO ordered (key, text) VALUES ('forgotten', ?1)
         ON CONFLICT (key) DO UPDATE SET text = excluded.text WHERE excluded.text > ordered.text",
    )?
    .execute([id])?;
    Ok(())
}

/// Replaces a note that cannot be right.
pub(super) fn replace(db: &Connection, id: &str) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO ordered (key, text) VALUES ('forgotten', ?1)")?
        .execute([id])?;
    Ok(())
}

/// The newest message that was removed from the history.
pub(in crate::spool) fn newest(db: &Connection) -> rusqlite::Result<Option<SpoolId>> {
    db.prepare_cached("SELECT text FROM ordered WHERE key = 'forgotten'")?
        .query_row([], |row| columns::id(row, 0))
        .optional()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::clock::Timestamp;
    use crate::spool::schema;

    fn id(millis: i64) -> SpoolId {
        SpoolId::first_of(Timestamp::from_millis(millis))
    }

    #[test]
    fn the_newest_forgotten_message_never_goes_back() {
        let folder = TempDir::new().unwrap();
        let db = schema::create(&folder.path().join("spool.db")).unwrap();
        assert_eq!(newest(&db).unwrap(), None);

        for (forgotten, expected) in [(2, 2), (1, 2), (3, 3)] {
            note(&db, &id(forgotten).to_string()).unwrap();
            assert_eq!(newest(&db).unwrap(), Some(id(expected)));
        }
    }
}
