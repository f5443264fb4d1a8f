//! The database's format, and opening it.
//!
//! # Searching
//!
//! "What became of the mail to X?" is asked of 100,000 messages and more, and
//! accepting must not pay for it: every index costs a place in a page of its own for
//! each message. So there are as few as can be.
//!
//! - By time: none. An id begins with the time of acceptance, so the order of the
//!   ids is that of time, and every other index has the id behind its own column:
//!   what it finds comes newest first without sorting.
//! - By recipient: `recipient_key`, on what the spellings of one address share.
//!   That is the address in lower case, which needs no column; `recipient.key` has it
//!   where it is something else (a domain that is not ASCII, quotes).
//! - By what a client named in a recipient's place: `asked_original`. The table has
//!   rows only where relay.toml replaces or bounds recipients.
//! - By Message-ID: `entry_message_id`, of those that have one. Those that the relay
//!   makes begin with the id, so they are appended at one end.
//! - A message's state is found by the indexes that delivery needs anyway.
//!
//! # What became of a recipient
//!
//! Graph takes a message for all of its recipients or for none, so the state, status,
//! text and time of an entry are those of each of its recipients: a settlement writes
//! one row and not five hundred. `recipient.state` and the columns behind it are for a
//! recipient for whom it was different, and empty otherwise.
//!
//! # Versions
//!
//! `user_version` numbers the format. An earlier one is brought up to this one when
//! the database is opened (`steps.rs`), and what it was is kept (`kept.rs`). A later
//! one is refused. So that it can be said what reads it, every format from 6 on has
//! `spool.program`: the version of the program that made the format.

mod kept;
mod steps;

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

pub use self::kept::Upgrade;
pub use self::kept::copies;
use self::kept::later;
pub(super) use self::kept::of_later_format;
pub use self::kept::upgrade_ahead;
use super::SpoolError;
use super::damage::examine;
use super::damage::examine::Beside;
use super::damage::mark::State;
use crate::clock::Timestamp;

/// The number of the format that this program reads and writes.
///
/// | format | changed |
/// |---|---|
/// | 2 | `entry.user`, `entry.bound` |
/// | 3 | `entry.draft`, `.draft_stage`, `.draft_since`, `.part_of`, `.about`, `.warned`; `attempt.requests`, `.uploaded`; states `held` and `dropped` |
/// | 4 | `entry.digest`, `.seal`, `.accepted_running`, `.ended_running`, `.own_trouble`, `.rows_cost`, `.content_cost`; `.due_at` is now `.due_running`, and `.trouble_since` and `.draft_since` are running times; `attempt.begun_running`, `.ended_running`; tables `spool`, `clock` |
/// | 5 | `entry.ret`, `.envid`, `.barred`; `recipient.notify`, `.orcpt` |
/// | 6 | `entry.message_id`, `.subject`, `.status`, `.changed_at`; `recipient.key`, `.state`, `.status`, `.reason`, `.changed_at`; `spool.program`; the indexes for searching |
pub(super) const FORMAT: i64 = 6;

/// The version of this program, which makes [`FORMAT`].
pub(super) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A name that ends in `_at` is wall time and only shown; `_running` is running
/// time (`spool/running.rs`), by which the relay decides. New columns come last, so that a
/// salvage reads earlier formats with the same first page.
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
    -- Checksums of the content, and of the envelope with it (spool/seal.rs).
    digest       BLOB,
    seal         BLOB,
    accepted_running INTEGER NOT NULL DEFAULT 0,
    ended_running INTEGER,
    -- Whether it is known to fail while other messages get through.
    own_trouble  INTEGER NOT NULL DEFAULT 0,
    -- What its rows and its content take up on disk (room/usage.rs).
    rows_cost    INTEGER NOT NULL DEFAULT 0,
    content_cost INTEGER NOT NULL DEFAULT 0,
    -- RET and ENVID of MAIL (RFC 3461).
    ret          TEXT,
    envid        TEXT,
    -- Whether its sender may not receive mail, and so no reports.
    barred       INTEGER NOT NULL DEFAULT 0,
    -- The Message-ID that goes out, and the Subject, decoded and cut.
    message_id   TEXT,
    subject      TEXT,
    -- The enhanced status of what happened last, and when the state last changed.
    status       TEXT,
    changed_at   INTEGER
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
    -- What its spellings share, where that is not the address in lower case.
    key     TEXT,
    -- Where it is not as its entry.
    state   TEXT,
    status  TEXT,
    reason  TEXT,
    changed_at INTEGER,
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
-- One row: which spool this is, how many transactions it has had (damage/mark.rs), and the
-- version of the program that made its format.
CREATE TABLE spool (
    id      TEXT NOT NULL,
    commits INTEGER NOT NULL,
    program TEXT
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

/// What is searched by, see the module's doc. Behind all others, as new columns are.
const SEARCH: &str = "
CREATE INDEX IF NOT EXISTS recipient_key ON recipient (ifnull(key, lower(address)));
CREATE INDEX IF NOT EXISTS entry_message_id ON entry (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS asked_original ON asked (lower(original));
";

/// What became of a database of an earlier format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The format that it had.
    pub from: i64,
    /// The format that it has now.
    pub to: i64,
    /// Where it is kept as it was.
    pub kept: PathBuf,
}

/// Opens the database, unless it does not belong to the files in its folder; brings it up
/// to this format. The disk keeps this number of bytes free.
pub(super) fn open(
    path: &Path,
    beside: &Beside,
    now: Timestamp,
    free_space: u64,
) -> Result<(Connection, Option<Upgraded>), SpoolError> {
    make_private(path)?;
    let mut connection = connect(path, beside)?;
    let found = version(&connection)?;
    let mut upgraded = None;
    if found == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {} PRAGMA user_version = {FORMAT}; COMMIT;",
            [TABLES, ADDED, SEARCH].map(stored).join(" ")
        ))?;
    } else if found < FORMAT {
        let kept = kept::keep(connection, path, found, free_space)?;
        connection = connect(path, beside)?;
        steps::upgrade(&mut connection, found, now)?;
        // From here on its first page says so, which is all that others read.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        upgraded = Some(Upgraded {
            from: found,
            to: FORMAT,
            kept,
        });
    }
    connection.execute_batch(&[ADDED, SEARCH].map(stored).join(" "))?;
    connection.execute(
        "INSERT INTO spool (id, commits, program)
         SELECT ?1, 0, ?2 WHERE NOT EXISTS (SELECT 1 FROM spool)",
        [&uuid::Uuid::new_v4().to_string(), PROGRAM],
    )?;
    Ok((connection, upgraded))
}

/// The database as it is, unless it is refused.
fn connect(path: &Path, beside: &Beside) -> Result<Connection, SpoolError> {
    let connection = Connection::open(path)?;
    // A database that is refused keeps its log as it is.
    keep_log(&connection, true)?;
    must_be_known(&connection, path)?;
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
    Ok(connection)
}

/// Refuses a format that a later version has made.
pub(super) fn must_be_known(connection: &Connection, path: &Path) -> Result<(), SpoolError> {
    match version(connection)? {
        found if found > FORMAT => Err(later(path, found, program(connection))),
        _ => Ok(()),
    }
}

/// The format that a database has; 0 if it has none yet.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The version of the program that made the format, if that is said.
pub(super) fn program(connection: &Connection) -> Option<String> {
    let said = connection.query_row("SELECT program FROM spool", [], |row| row.get(0));
    said.ok().flatten()
}

/// Brings a database up to this format and undoes it, after `look` has seen it.
///
/// # Errors
///
/// It cannot be brought up.
pub(super) fn rehearse<T>(
    connection: &mut Connection,
    now: Timestamp,
    look: impl FnOnce(&Connection) -> T,
) -> rusqlite::Result<T> {
    let found = version(connection)?;
    steps::rehearse(connection, found, now, look)
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
        "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; {} COMMIT;",
        [TABLES, ADDED, SEARCH].map(stored).join(" ")
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
