//! The database's format, and opening it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use super::SpoolError;
use super::examine;
use super::examine::Beside;
use super::mark::State;
use super::usage;
use crate::clock::Timestamp;

/// The number of the format that this program reads and writes.
///
/// | format | changed |
/// |---|---|
/// | 2 | `entry.user`, `entry.bound` |
/// | 3 | `entry.draft`, `.draft_stage`, `.draft_since`, `.part_of`, `.about`, `.warned`; `attempt.requests`, `.uploaded`; states `held` and `dropped` |
/// | 4 | `entry.digest`, `.seal`, `.accepted_running`, `.ended_running`, `.own_trouble`, `.rows_cost`, `.content_cost`; `.due_at` is now `.due_running`, and `.trouble_since` and `.draft_since` are running times; `attempt.begun_running`, `.ended_running`; tables `spool`, `clock` |
/// | 5 | `entry.ret`, `.envid`, `.barred`; `recipient.notify`, `.orcpt` |
pub(super) const FORMAT: i64 = 5;

/// A name that ends in `_at` is wall time and only shown; `_running` is running
/// time (`running.rs`), by which the relay decides.
const TABLES: &str = "
CREATE TABLE entry (
    id           TEXT PRIMARY KEY,
    state        TEXT NOT NULL,
    accepted_at  INTEGER NOT NULL,
    due_running  INTEGER NOT NULL,
    ended_at     INTEGER,
    account      TEXT,
    mailbox      TEXT,
    reverse_path TEXT NOT NULL,
    author       TEXT,
    utf8         INTEGER NOT NULL,
    client       TEXT NOT NULL,
    hello        TEXT NOT NULL,
    protocol     TEXT NOT NULL,
    size         INTEGER NOT NULL,
    in_file      INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- Since when (running time) it is deferred for another reason than the configuration.
    trouble_since INTEGER,
    reason       TEXT,
    -- Who authenticated.
    user         TEXT,
    -- The only account that may send it.
    bound        TEXT,
    -- The draft that the mailbox has of it: Graph's immutable id, and how far it is.
    draft        TEXT,
    draft_stage  TEXT,
    -- Running time.
    draft_since  INTEGER,
    -- The entry that it was split off, because it had too many recipients.
    part_of      TEXT,
    -- The entry that this report is about.
    about        TEXT,
    -- Whether its sender was told that it is late.
    warned       INTEGER NOT NULL DEFAULT 0,
    -- Checksums of the content, and of the envelope with it (seal.rs).
    digest       BLOB,
    seal         BLOB,
    accepted_running INTEGER NOT NULL DEFAULT 0,
    ended_running INTEGER,
    -- Whether it is known to fail while other messages get through.
    own_trouble  INTEGER NOT NULL DEFAULT 0,
    -- What its rows and its content take up on disk (usage.rs).
    rows_cost    INTEGER NOT NULL DEFAULT 0,
    content_cost INTEGER NOT NULL DEFAULT 0,
    -- RET and ENVID of MAIL (RFC 3461).
    ret          TEXT,
    envid        TEXT,
    -- Whether its sender may not receive mail, and so no reports.
    barred       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_due ON entry (account, mailbox, due_running) WHERE state = 'waiting';
CREATE INDEX entry_open ON entry (id) WHERE state NOT IN ('delivered', 'dropped');
CREATE INDEX entry_about ON entry (about) WHERE about IS NOT NULL;
CREATE INDEX entry_ended ON entry (state, ended_running, ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE recipient (
    entry   TEXT NOT NULL REFERENCES entry ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    address TEXT NOT NULL,
    -- NOTIFY and ORCPT of RCPT (RFC 3461).
    notify  TEXT,
    orcpt   TEXT,
    PRIMARY KEY (entry, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE content (
    entry TEXT NOT NULL UNIQUE REFERENCES entry ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE attempt (
    entry             TEXT NOT NULL REFERENCES entry ON DELETE CASCADE,
    number            INTEGER NOT NULL,
    begun_at          INTEGER NOT NULL,
    client_request_id TEXT NOT NULL,
    ended_at          INTEGER,
    outcome           TEXT,
    http_status       INTEGER,
    code              TEXT,
    reason            TEXT,
    request_id        TEXT,
    -- Requests to Graph, and bytes in them: what the mailbox's limits count.
    requests          INTEGER,
    uploaded          INTEGER,
    begun_running     INTEGER NOT NULL DEFAULT 0,
    ended_running     INTEGER,
    PRIMARY KEY (entry, number)
) STRICT, WITHOUT ROWID;
-- One row: the running time when it was last written down, and what the wall clock
-- and, within one boot of the machine, its steady clock said then.
CREATE TABLE clock (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    running INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    boot    TEXT NOT NULL,
    steady  INTEGER NOT NULL
) STRICT;
-- One row: which spool this is, and how many transactions it has had (mark.rs).
CREATE TABLE spool (
    id      TEXT NOT NULL,
    commits INTEGER NOT NULL
) STRICT;
";

/// For what attempts have lately spent; and what clients named in place of the
/// recipients. No matter of the format: a program that does not know them keeps them
/// up all the same.
const ADDED: &str = "
CREATE INDEX IF NOT EXISTS attempt_begun_running ON attempt (begun_running);
CREATE TABLE IF NOT EXISTS asked (
    entry     TEXT NOT NULL REFERENCES entry ON DELETE CASCADE,
    ordinal   INTEGER NOT NULL,
    original  TEXT NOT NULL,
    recipient TEXT NOT NULL,
    PRIMARY KEY (entry, ordinal)
) STRICT, WITHOUT ROWID;
";

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

/// From format 3 to format 4: columns with their types, each added where it is
/// missing. What waits has no checksums and is sent without.
const FROM_3: [(&str, &str, &str); 5] = [
    ("entry", "digest", "BLOB"),
    ("entry", "seal", "BLOB"),
    ("entry", "own_trouble", "INTEGER NOT NULL DEFAULT 0"),
    ("entry", "rows_cost", "INTEGER NOT NULL DEFAULT 0"),
    ("entry", "content_cost", "INTEGER NOT NULL DEFAULT 0"),
];

/// See [`FROM_3`]. Running time begins here, so what was measured by the wall clock
/// begins here too; `{NOW}` is what that clock says now. For how long a message has
/// been here is believed up to 30 days, because it is shown, and for how long it
/// has been done with up to 25 hours, because it is purged by it.
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

/// From format 4 to format 5. What waits has no values: that is what a client gets
/// that asks for nothing. New columns come last, here and in [`TABLES`], so that a
/// salvage reads both with the same first page.
const FROM_4: [(&str, &str, &str); 5] = [
    ("entry", "ret", "TEXT"),
    ("entry", "envid", "TEXT"),
    ("entry", "barred", "INTEGER NOT NULL DEFAULT 0"),
    ("recipient", "notify", "TEXT"),
    ("recipient", "orcpt", "TEXT"),
];

/// Opens the database, unless it does not belong to what lies beside it.
pub(super) fn open(path: &Path, beside: &Beside, now: Timestamp) -> Result<Connection, SpoolError> {
    make_private(path)?;
    let connection = Connection::open(path)?;
    // A database that is refused keeps its log as it is.
    keep_log(&connection, true)?;
    examine::opened(&connection, beside)?;
    keep_log(&connection, false)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -4096;
         PRAGMA journal_size_limit = 4194304;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    // A plan that depends on bound values is made again whenever they change.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            let create = format!(
                "BEGIN IMMEDIATE; {} PRAGMA user_version = {FORMAT}; COMMIT;",
                stored(TABLES)
            );
            connection.execute_batch(&create)?;
        }
        1 => upgrade(&connection, &[FROM_1, FROM_2], now)?,
        2 => upgrade(&connection, &[FROM_2], now)?,
        3 => upgrade(&connection, &[], now)?,
        4 => upgrade_from_4(&connection)?,
        // The format has grown before its release.
        FORMAT => connection.execute_batch(&missing(&connection, &FROM_4)?)?,
        _ => {
            return Err(SpoolError::Format {
                path: path.to_owned(),
                found,
                known: FORMAT,
            });
        }
    }
    connection.execute_batch(&stored(ADDED))?;
    connection.execute(
        "INSERT INTO spool (id, commits) SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM spool)",
        [uuid::Uuid::new_v4().to_string()],
    )?;
    Ok(connection)
}

/// Tables as the database keeps their texts, which it does as they come: without
/// comments and indentation all fit into the first page, and no damage of another
/// page takes the tables away.
fn stored(tables: &str) -> String {
    let lines = tables.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("--"));
    let words = lines.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

/// Whether the log stays as it is when the connection is closed.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    let setting = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(setting, keep).map(drop)
}

/// A new database for what is salvaged. The caller sets its format when all is in it.
pub(super) fn create(path: &Path) -> Result<Connection, SpoolError> {
    make_private(path)?;
    let connection = Connection::open(path)?;
    // References are checked when all rows are in it; see [`open`] for the rest.
    connection.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; {} {} COMMIT;",
        stored(TABLES),
        stored(ADDED)
    ))?;
    Ok(connection)
}

/// How far the database is, for the file that says so.
pub(super) fn state(connection: &Connection, beside: &Beside) -> Result<State, SpoolError> {
    let (id, commits) = examine::progress(connection)?.unwrap_or_default();
    // A restored database may have more in its log than the file had; less was refused.
    let before = beside.state.as_ref().filter(|state| state.id == id);
    Ok(State {
        checkpointed: before.map_or(0, |state| state.checkpointed),
        id,
        commits,
    })
}

/// All steps in one transaction: a crash leaves the format as it was.
fn upgrade(connection: &Connection, steps: &[&str], now: Timestamp) -> rusqlite::Result<()> {
    let mut statements = steps.concat();
    statements += &missing(connection, &FROM_3)?;
    statements += &RUNNING_TIME.replace("{NOW}", &now.millis().to_string());
    statements += SPOOL_TABLE;
    statements += &missing(connection, &FROM_4)?;
    statements += usage::COMPUTE;
    finish(connection, &statements)
}

/// The same where only the last step is to be taken.
fn upgrade_from_4(connection: &Connection) -> rusqlite::Result<()> {
    let statements = missing(connection, &FROM_4)?;
    finish(connection, &statements)
}

fn finish(connection: &Connection, statements: &str) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {statements} PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}

/// The statements that add those of these columns that are missing.
fn missing(connection: &Connection, columns: &[(&str, &str, &str)]) -> rusqlite::Result<String> {
    let mut statements = String::new();
    for (table, column, kind) in columns {
        let known: bool = connection.query_row(
            "SELECT count(*) > 0 FROM pragma_table_info(?1) WHERE name = ?2",
            [table, column],
            |row| row.get(0),
        )?;
        if !known {
            statements += &format!("ALTER TABLE {table} ADD COLUMN {column} {kind};");
        }
    }
    Ok(statements)
}

/// Makes the database's file for its owner only, if it is not there; SQLite
/// gives its log the same mode.
fn make_private(path: &Path) -> Result<(), SpoolError> {
    let made = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| SpoolError::File {
        path: path.to_owned(),
        error,
    })
}

pub(super) fn open_reader(path: &Path) -> Result<Connection, SpoolError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA cache_size = -1024;")?;
    Ok(connection)
}
