//! Upgrades from every earlier format to this one. All steps are one transaction, so a
//! crash leaves the old format. The old database is kept (`kept.rs`).

use rusqlite::Connection;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;
use rusqlite::params;

use super::ADDED;
use super::FORMAT;
use super::ORDERED;
use super::PROGRAM;
use super::REFUSED;
use super::SEARCH;
use super::stored;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::spool::accept::requests::recipient_key;
use crate::spool::room::usage;

/// A table, a column that it lacks, and the column's type.
type Column = (&'static str, &'static str, &'static str);

/// Upgrades from this format.
pub(super) fn upgrade(
    connection: &mut Connection,
    from: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    take(&transaction, from, now)?;
    transaction.commit()
}

/// Upgrades, lets the caller look, and undoes the upgrade.
pub(super) fn rehearse<T>(
    connection: &mut Connection,
    from: i64,
    now: Timestamp,
    look: impl FnOnce(&Connection) -> T,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    take(&transaction, from, now)?;
    let seen = look(&transaction);
    transaction.rollback()?;
    Ok(seen)
}

fn take(db: &Transaction<'_>, from: i64, now: Timestamp) -> rusqlite::Result<()> {
    if from < 2 {
        db.execute_batch(FROM_1)?;
    }
    if from < 3 {
        db.execute_batch(FROM_2)?;
    }
    if from < 4 {
        add_missing(db, &FROM_3)?;
        db.execute_batch(&RUNNING_TIME.replace("{NOW}", &now.millis().to_string()))?;
        db.execute_batch(SPOOL_TABLE)?;
    }
    add_missing(db, &FROM_4)?;
    add_missing(db, &FROM_5)?;
    add_missing(db, &FROM_6)?;
    db.execute_batch(&[ADDED, ORDERED, SEARCH, REFUSED].map(stored).join(" "))?;
    if from < 4 {
        db.execute_batch(&usage::compute())?;
    }
    if from < 6 {
        db.execute_batch(&WHAT_BECAME.replace("{ROWS}", usage::ROWS))?;
        note_keys(db)?;
    }
    db.execute("UPDATE spool SET program = ?1", [PROGRAM])?;
    db.pragma_update(None, "user_version", FORMAT)
}

/// Adds the columns that are missing.
fn add_missing(db: &Connection, columns: &[Column]) -> rusqlite::Result<()> {
    for (table, column, kind) in columns {
        let known: bool = db.query_row(
            "SELECT count(*) > 0 FROM pragma_table_info(?1) WHERE name = ?2",
            [table, column],
            |row| row.get(0),
        )?;
        if !known {
            db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {kind}"))?;
        }
    }
    Ok(())
}

/// From format 1 to format 2.
const FROM_1: &str = "
ALTER TABLE entry ADD COLUMN user TEXT;
ALTER TABLE entry ADD COLUMN bound TEXT;
PRAGMA user_version = 2;
";

/// From format 2 to format 3.
const FROM_2: &str = "
ALTER TABLE entry ADD COLUMN draft TEXT;
ALTER TABLE entry ADD COLUMN draft_stage TEXT;
ALTER TABLE entry ADD COLUMN draft_since INTEGER;
ALTER TABLE entry ADD COLUMN part_of TEXT;
ALTER TABLE entry ADD COLUMN about TEXT;
ALTER TABLE entry ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN requests INTEGER;
ALTER TABLE attempt ADD COLUMN uploaded INTEGER;
DROP INDEX entry_open;
CREATE INDEX entry_open ON entry (id) WHERE state NOT IN ('delivered', 'dropped');
CREATE INDEX entry_about ON entry (about) WHERE about IS NOT NULL;
PRAGMA user_version = 3;
";

/// From format 3 to format 4: columns with their types, each added if it is missing.
/// Waiting mail has no checksums and is sent without them.
const FROM_3: [Column; 5] = [
    ("entry", "digest", "BLOB"),
    ("entry", "seal", "BLOB"),
    ("entry", "own_trouble", "INTEGER NOT NULL DEFAULT 0"),
    ("entry", "rows_cost", "INTEGER NOT NULL DEFAULT 0"),
    ("entry", "content_cost", "INTEGER NOT NULL DEFAULT 0"),
];

/// See [`FROM_3`]. Running time begins here, and so does everything that was measured by
/// the wall clock before; `{NOW}` is the present wall time. The age of a message is
/// believed up to 30 days, because it is shown. The time since its end is believed up to
/// 25 hours, because purging depends on it.
const RUNNING_TIME: &str = "
ALTER TABLE entry RENAME COLUMN due_at TO due_running;
ALTER TABLE entry ADD COLUMN accepted_running INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN ended_running INTEGER;
ALTER TABLE attempt ADD COLUMN begun_running INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN ended_running INTEGER;
UPDATE entry SET due_running = 0,
    accepted_running = max(min(accepted_at - {NOW}, 0), -30 * 86400000),
    ended_running = max(min(ended_at - {NOW}, 0), -25 * 3600000),
    trouble_since = iif(trouble_since IS NULL, NULL, 0),
    draft_since = iif(draft_since IS NULL, NULL, 0);
UPDATE attempt SET begun_running = max(min(begun_at - {NOW}, 0), -25 * 3600000),
    ended_running = max(min(ended_at - {NOW}, 0), -25 * 3600000);
DROP INDEX IF EXISTS entry_ended;
CREATE INDEX entry_ended ON entry (state, ended_running, ended_at) WHERE ended_at IS NOT NULL;
DROP INDEX IF EXISTS attempt_begun;
CREATE TABLE clock (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    running INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    boot    TEXT NOT NULL,
    steady  INTEGER NOT NULL
) STRICT;
";

/// See [`FROM_3`].
const SPOOL_TABLE: &str = "
CREATE TABLE IF NOT EXISTS spool (
    id      TEXT NOT NULL,
    commits INTEGER NOT NULL
) STRICT;
";

/// From format 4 to format 5. Waiting mail has no values, like mail of a client that asks
/// for nothing.
const FROM_4: [Column; 5] = [
    ("entry", "ret", "TEXT"),
    ("entry", "envid", "TEXT"),
    ("entry", "barred", "INTEGER NOT NULL DEFAULT 0"),
    ("recipient", "notify", "TEXT"),
    ("recipient", "orcpt", "TEXT"),
];

/// From format 5 to format 6. Earlier mail has neither Message-ID nor Subject: the
/// content of delivered messages is gone, and the others are not read here.
const FROM_5: [Column; 10] = [
    ("entry", "message_id", "TEXT"),
    ("entry", "subject", "TEXT"),
    ("entry", "status", "TEXT"),
    ("entry", "changed_at", "INTEGER"),
    ("recipient", "key", "TEXT"),
    ("recipient", "state", "TEXT"),
    ("recipient", "status", "TEXT"),
    ("recipient", "reason", "TEXT"),
    ("recipient", "changed_at", "INTEGER"),
    ("spool", "program", "TEXT"),
];

/// See [`FROM_5`]. The indexes need room, so the cost of all rows is computed again.
const WHAT_BECAME: &str = "
UPDATE entry SET
    status = iif(state = 'delivered', '2.0.0', NULL),
    changed_at = coalesce(
        ended_at,
        (SELECT max(attempt.ended_at) FROM attempt WHERE attempt.entry = entry.id),
        accepted_at),
    rows_cost = {ROWS};
";

/// From format 6 to format 7. Nobody knows for which time earlier answers asked.
const FROM_6: [Column; 1] = [("attempt", "retry_after", "INTEGER")];

/// Fills `recipient.key` where it is needed.
fn note_keys(db: &Connection) -> rusqlite::Result<()> {
    let mut odd = db.prepare(
        "SELECT entry, ordinal, address FROM recipient
         WHERE address GLOB '\"*' OR address GLOB '*[^ -~]*'",
    )?;
    let odd = odd.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
    })?;
    let odd: Vec<(String, i64, String)> = odd.collect::<rusqlite::Result<_>>()?;
    let mut note = db.prepare("UPDATE recipient SET key = ?3 WHERE entry = ?1 AND ordinal = ?2")?;
    for (entry, ordinal, address) in odd {
        // Text that is not an address is searched for as it is.
        if let Ok(address) = address.parse::<Address>() {
            note.execute(params![entry, ordinal, recipient_key(&address)])?;
        }
    }
    Ok(())
}
