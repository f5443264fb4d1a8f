//! The database's format, and opening it.
//!
//! # Searching
//!
//! "What became of the mail to X?" is asked of 100,000 messages and more, and the answer
//! must not slow accepting down. Every index costs a place in a page of its own for each
//! message, so there are as few indexes as possible.
//!
//! - By time: none. An id begins with the time of acceptance, so ids sort by time. Every
//!   other index stores the id after its own column, so what it finds comes newest first
//!   without sorting.
//! - By recipient: `recipient_key`, on a key that all spellings of one address share.
//!   Usually this is the address in lower case, which needs no column. `recipient.key`
//!   stores it where it differs (a domain that is not ASCII, quotes).
//! - By the address that a client gave instead of the recipient: `asked_original`. The
//!   table has rows only if relay.toml replaces or limits recipients.
//! - By Message-ID: `entry_message_id`, for messages that have one. Those made by the
//!   relay begin with the id, so they are appended at one end.
//! - By state: the indexes that delivery needs anyway.
//!
//! # What became of a recipient
//!
//! Graph accepts a message for all of its recipients or for none. So the state, status,
//! text and time of an entry hold for each of its recipients, and a settlement writes one
//! row instead of five hundred. `recipient.state` and the columns after it are for a
//! recipient whose result differs, and are empty otherwise.
//!
//! # Versions
//!
//! `user_version` numbers the format. A database of an earlier format is upgraded when it
//! is opened (`steps.rs`), and the old one is kept (`kept.rs`). A later format is
//! refused. So that the refusal can name the version that reads it, every format from 6
//! on stores in `spool.program` the version of the program that made it.

mod kept;
mod steps;

use std::fs;
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
use crate::platform::files;

/// The number of the format that this program reads and writes.
///
/// | format | changed |
/// |---|---|
/// | 2 | `entry.user`, `entry.bound` |
/// | 3 | `entry.draft`, `.draft_stage`, `.draft_since`, `.part_of`, `.about`, `.warned`; `attempt.requests`, `.uploaded`; states `held` and `dropped` |
/// | 4 | `entry.digest`, `.seal`, `.accepted_running`, `.ended_running`, `.own_trouble`, `.rows_cost`, `.content_cost`; `.due_at` is now `.due_running`, and `.trouble_since` and `.draft_since` are running times; `attempt.begun_running`, `.ended_running`; tables `spool`, `clock` |
/// | 5 | `entry.ret`, `.envid`, `.barred`; `recipient.notify`, `.orcpt` |
/// | 6 | `entry.message_id`, `.subject`, `.status`, `.changed_at`; `recipient.key`, `.state`, `.status`, `.reason`, `.changed_at`; `spool.program`; the indexes for searching |
/// | 7 | `attempt.retry_after` |
pub(super) const FORMAT: i64 = 7;

/// The version of this program, which makes [`FORMAT`].
pub(super) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A column whose name ends in `_at` is wall time and only shown; `_running` is running
/// time (`spool/running.rs`), by which the relay decides. New columns come last, so that
/// a salvage reads earlier formats with the same first page.
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
    -- What its rows and its content take up on disk (room/usage.rs); the latter is negative
    -- if the content of an ended entry is kept (kept/).
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
    -- The seconds that the answer asked to wait.
    retry_after       INTEGER,
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

/// What attempts have spent recently, and what clients named instead of the recipients. They
/// do not change the format: a program that does not know these tables still maintains them.
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

/// What an operator has ordered; as with [`ADDED`]. It has few words, because [`stored`] tables
/// must fit into the first page: `key` is `pause MAILBOX` (`operator/pauses.rs`).
pub(super) const ORDERED: &str =
    "CREATE TABLE IF NOT EXISTS ordered(key PRIMARY KEY,at,running,uid,text)WITHOUT ROWID;";

/// Indexes for searching, see the module's doc. New columns come last, so these come
/// after all others.
const SEARCH: &str = "
CREATE INDEX IF NOT EXISTS recipient_key ON recipient (ifnull(key, lower(address)));
CREATE INDEX IF NOT EXISTS entry_message_id ON entry (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS asked_original ON asked (lower(original));
";

/// Refused mail (`refusals/`). As with [`ADDED`], a program that does not know it leaves it
/// alone.
const REFUSED: &str = "
CREATE TABLE IF NOT EXISTS refusal (
    id         TEXT PRIMARY KEY,
    running    INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    times      INTEGER NOT NULL,
    client     TEXT NOT NULL,
    -- Whom the client counts as.
    network    TEXT NOT NULL,
    hello      TEXT,
    user       TEXT,
    sender     TEXT,
    recipient  TEXT,
    others     INTEGER NOT NULL,
    subject    TEXT,
    message_id TEXT,
    reply      TEXT NOT NULL,
    cause      TEXT NOT NULL,
    remedy     TEXT NOT NULL,
    counted    INTEGER NOT NULL,
    cost       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS refusal_network ON refusal (network);
";

/// How a database of an earlier format was upgraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The old format.
    pub from: i64,
    /// The present format.
    pub to: i64,
    /// Where the old database is kept.
    pub kept: PathBuf,
}

/// Opens the database, unless it does not belong to the files in its folder, and upgrades
/// it to this format. `free_space` bytes of the disk stay free.
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
            [TABLES, ADDED, ORDERED, SEARCH, REFUSED]
                .map(stored)
                .join(" ")
        ))?;
    } else if found < FORMAT {
        let kept = kept::keep(connection, path, found, free_space)?;
        connection = connect(path, beside)?;
        steps::upgrade(&mut connection, found, now)?;
        // From here on its first page names the format; other programs read nothing else.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        upgraded = Some(Upgraded {
            from: found,
            to: FORMAT,
            kept,
        });
    }
    connection.execute_batch(&[ADDED, ORDERED, SEARCH, REFUSED].map(stored).join(" "))?;
    connection.execute(
        "INSERT INTO spool (id, commits, program)
         SELECT ?1, 0, ?2 WHERE NOT EXISTS (SELECT 1 FROM spool)",
        [&uuid::Uuid::new_v4().to_string(), PROGRAM],
    )?;
    Ok((connection, upgraded))
}

/// Opens the database as it is, unless it is refused.
fn connect(path: &Path, beside: &Beside) -> Result<Connection, SpoolError> {
    let connection = Connection::open(path)?;
    // The log of a refused database stays as it is.
    keep_log(&connection, true)?;
    must_be_known(&connection, path)?;
    examine::opened(&connection, beside)?;
    keep_log(&connection, false)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -2048;
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

/// The version of the program that made the format, if it is recorded.
pub(super) fn program(connection: &Connection) -> Option<String> {
    let said = connection.query_row("SELECT program FROM spool", [], |row| row.get(0));
    said.ok().flatten()
}

/// Upgrades a database to this format, lets `look` inspect it, and undoes the upgrade.
///
/// # Errors
///
/// The upgrade fails.
pub(super) fn rehearse<T>(
    connection: &mut Connection,
    now: Timestamp,
    look: impl FnOnce(&Connection) -> T,
) -> rusqlite::Result<T> {
    let found = version(connection)?;
    steps::rehearse(connection, found, now, look)
}

/// The statements as the database stores them, without comments and indentation. That way
/// all of them fit into the first page, and damage to another page cannot lose the
/// tables.
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

/// Creates a database for salvaged rows. The caller sets its format when all rows are in
/// it.
pub(super) fn create(path: &Path) -> Result<Connection, SpoolError> {
    make_private(path)?;
    let connection = Connection::open(path)?;
    // References are checked when all rows are in; see [`open`] for the rest.
    connection.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; {} COMMIT;",
        [TABLES, ADDED, ORDERED, SEARCH, REFUSED]
            .map(stored)
            .join(" ")
    ))?;
    Ok(connection)
}

/// How far the database is, for `spool.state`.
pub(super) fn state(connection: &Connection, beside: &Beside) -> Result<State, SpoolError> {
    let (id, commits) = examine::progress(connection)?.unwrap_or_default();
    // A restored database may have more in its log than `spool.state` counts; one with
    // less was refused.
    let before = beside.state.as_ref().filter(|state| state.id == id);
    Ok(State {
        checkpointed: before.map_or(0, |state| state.checkpointed),
        id,
        commits,
    })
}

/// Creates the database file, readable by its owner only, if it does not exist. SQLite
/// gives its log the same mode.
fn make_private(path: &Path) -> Result<(), SpoolError> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    let made = files::with_mode(&mut options, files::PRIVATE).open(path);
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
