//! A backup of a spool, also of one that a relay has open, and its restore.
//!
//! - A backup is a folder in the form of a spool, so it can also be copied back by hand.
//!   `backup.json` says what is in it. It is written last: without it the backup is
//!   unfinished, and is not restored.
//! - The database is copied as it was at one instant (a read transaction of SQLite; the
//!   relay continues meanwhile), and every message that it knows has its content. Large
//!   contents are hard links, or copies on another file system: the relay writes each
//!   once and never changes it (`contents.rs`).
//! - `spool.db` gets its name last. The relay refuses a folder in which a backup or a
//!   restore was interrupted, because `spool.state` or content without a database is
//!   there (`damage/examine.rs`).
//! - What was written is compared with its checksums, in a backup and before a restore.
//!
//! It leaves to the command who owns the folders, and to the operator what was delivered
//! since the backup: that would be sent again, unless it is held.

mod contents;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::StepResult;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

use self::contents::Contents;
use super::OnStep;
use super::Phase;
use super::SpoolError;
use super::content;
use super::damage::check;
use super::damage::examine;
use super::damage::mark;
use super::damage::mark::Mark;
use super::database::open_without_log;
use super::lock;
use super::room::forgotten;
use super::schema;
use super::trouble::failed;
use crate::clock::Timestamp;
use crate::disk;
use crate::mail::SpoolId;

/// A backup, as `backup.json` describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backup {
    /// When it was begun.
    pub made_at: String,
    /// The version of the program that made it.
    pub program: String,
    /// Which spool it is of.
    spool: String,
    /// The transactions that the spool had had.
    commits: u64,
    /// Messages, by state.
    pub messages: BTreeMap<String, u64>,
    /// Large contents that are hard links.
    pub linked: u64,
    /// Large contents that are copies.
    pub copied: u64,
    /// What is damaged in it, as it was in the spool.
    pub problems: Vec<String>,
}

/// The result of a restore.
#[derive(Clone, Debug)]
pub enum Restored {
    /// The spool is in place.
    Done {
        /// What was restored.
        backup: Backup,
        /// Messages that are held now.
        held: u64,
    },
    /// The backup is unfinished or damaged, for these reasons. Nothing was restored.
    Refused(Vec<String>),
}

const MANIFEST: &str = "backup.json";
/// The database until it is complete.
const PART: &str = "spool.db.part";

/// What may be in a folder that a spool is restored into.
const OTHERS: [&str; 7] = [
    "alerts",
    "audit",
    "devices.json",
    "devices.json.damaged",
    "sign-ins",
    "token-key",
    "lost+found",
];

const HELD: &str = "held by a restore: it may have been delivered since the backup";

/// Copies the spool in `from` to the empty folder `to`, whether a relay has it or not.
///
/// # Errors
///
/// The spool cannot be read, or the backup cannot be written; `to` is empty again then.
pub fn backup(
    from: &Path,
    to: &Path,
    now: Timestamp,
    on_step: OnStep<'_>,
) -> Result<Backup, SpoolError> {
    let database = from.join("spool.db");
    fs::metadata(&database).map_err(failed(&database))?;
    must_be_empty(to, &[])?;
    // If no relay has it, none may start meanwhile.
    let (_locks, beside) = match lock(from) {
        Ok(locks) => (Some(locks), examine::before_opening(from)?),
        Err(SpoolError::InUse(_)) => (None, examine::while_open(from)?),
        Err(error) => return Err(error),
    };
    let db = schema::open_reader(&database)?;
    schema::keep_log(&db, true)?;
    schema::must_be_known(&db, &database)?;
    examine::opened(&db, &beside)?;
    let written = write_backup(&db, from, to, now, on_step);
    if written.is_err() {
        clear(to);
    }
    written
}

fn write_backup(
    db: &Connection,
    from: &Path,
    to: &Path,
    now: Timestamp,
    on_step: OnStep<'_>,
) -> Result<Backup, SpoolError> {
    content::make_folders(to)?;
    let mut contents = Contents::new(from, to, true, on_step);
    let instant = contents.gather(db)?;
    let (spool, commits) = examine::progress(&instant)?.unwrap_or_default();
    write_state(to, &spool, commits)?;
    let part = to.join(PART);
    copy_database(&instant, &part, on_step)?;
    // The log of the spool grows as long as this lasts.
    drop(instant);
    let copy = open_without_log(&part).ok_or_else(|| cannot_open(&part))?;
    let backup = Backup {
        made_at: now.rfc3339(),
        program: schema::PROGRAM.to_owned(),
        spool,
        commits,
        messages: by_state(&copy)?,
        linked: contents.linked,
        copied: contents.copied,
        problems: check::of_copy(&copy, to, on_step).problems,
    };
    drop(copy);
    finish(to, &part)?;
    let manifest = to.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&backup).map_err(|error| failed(&manifest)(error.into()));
    disk::replace(&manifest, &text?).map_err(failed(&manifest))?;
    Ok(backup)
}

/// Restores a backup into a folder without a spool. With `hold`, everything that waits is
/// held.
///
/// # Errors
///
/// The folder has a spool, the backup cannot be read, or the disk cannot be written; the
/// folder is as it was then.
pub fn restore(
    from: &Path,
    to: &Path,
    hold: bool,
    now: Timestamp,
    on_step: OnStep<'_>,
) -> Result<Restored, SpoolError> {
    must_be_empty(to, &OTHERS)?;
    let backup = match manifest(from)? {
        Ok(backup) => backup,
        Err(why) => return Ok(Restored::Refused(vec![why])),
    };
    let locks = lock(to)?;
    let restored = write_spool(from, to, backup, hold.then_some(now), on_step);
    if !matches!(restored, Ok(Restored::Done { .. })) {
        clear(to);
    }
    drop(locks);
    restored
}

/// `hold`: since when everything that waits is held.
fn write_spool(
    from: &Path,
    to: &Path,
    backup: Backup,
    hold: Option<Timestamp>,
    on_step: OnStep<'_>,
) -> Result<Restored, SpoolError> {
    Phase::CopyingDatabase.begins(on_step);
    let (database, part) = (from.join("spool.db"), to.join(PART));
    write_state(to, &backup.spool, backup.commits)?;
    disk::copy(&database, &part).map_err(failed(&database))?;
    let mut db = match opened(&part, &backup) {
        Ok(db) => db,
        Err(SpoolError::Database(error) | SpoolError::Damaged(error)) => {
            return Ok(Restored::Refused(vec![format!("the database: {error}")]));
        }
        Err(error) => return Err(error),
    };
    let Some(connection) = &mut db else {
        let why = "spool.db belongs to another backup than backup.json";
        return Ok(Restored::Refused(vec![why.to_owned()]));
    };
    let problems = check::before_restore(connection, from, on_step)?.problems;
    if !problems.is_empty() {
        return Ok(Restored::Refused(problems));
    }
    let held = hold.map_or(Ok(0), |now| hold_what_waits(connection, now))?;
    content::make_folders(to)?;
    let mut contents = Contents::new(from, to, false, on_step);
    drop(contents.gather(connection)?);
    // Into the file itself, because the log does not get its new name.
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    drop(db);
    finish(to, &part)?;
    Ok(Restored::Done { backup, held })
}

/// The copied database; none if it is not the one that the backup was made of.
fn opened(part: &Path, backup: &Backup) -> Result<Option<Connection>, SpoolError> {
    let db = Connection::open(part)?;
    schema::must_be_known(&db, part)?;
    let (spool, commits) = examine::progress(&db)?.unwrap_or_default();
    let is_it = spool == backup.spool && commits == backup.commits;
    Ok(is_it.then_some(db))
}

fn manifest(from: &Path) -> Result<Result<Backup, String>, SpoolError> {
    let path = from.join(MANIFEST);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && from.is_dir() => {
            let why = "backup.json is missing: the backup was interrupted, or this is not a backup";
            return Ok(Err(why.to_owned()));
        }
        Err(error) => return Err(failed(&path)(error)),
    };
    let backup = serde_json::from_slice(&text);
    Ok(backup.map_err(|error| format!("backup.json cannot be read: {error}")))
}

/// Holds what waits, so that an operator looks before anything is sent twice. An entry that was
/// being sent would wait again at the next start, so it is held too. The history lacks everything
/// since the backup; the note keeps pickup folders from sending those files again.
fn hold_what_waits(db: &Connection, now: Timestamp) -> Result<u64, SpoolError> {
    let waits = "state IN ('waiting', 'claimed')";
    let held = match schema::version(db)? {
        schema::FORMAT => db.execute(
            &format!(
                "UPDATE entry SET state = 'held', reason = ?1, status = NULL, changed_at = ?2
                 WHERE {waits}"
            ),
            params![HELD, now.millis()],
        ),
        _ => db.execute(
            &format!("UPDATE entry SET state = 'held', reason = ?1 WHERE {waits}"),
            [HELD],
        ),
    };
    let held = held? as u64;
    // A backup of an earlier version may lack the table.
    db.execute_batch(schema::ORDERED)?;
    forgotten::note(db, &SpoolId::first_of(now).to_string())?;
    Ok(held)
}

/// Pages that are copied between two steps: 16 MB.
const PAGES: i32 = 4096;

/// Copies the database as the transaction sees it. What is written meanwhile does not change
/// what it sees, so no step begins again.
fn copy_database(instant: &Connection, to: &Path, on_step: OnStep<'_>) -> Result<(), SpoolError> {
    // SQLite would create one that everybody can read.
    drop(disk::create(to).map_err(failed(to))?);
    let mut copy = Connection::open(to)?;
    let copying = rusqlite::backup::Backup::new(instant, &mut copy)?;
    let mut step = copying.step(PAGES)?;
    while step == StepResult::More {
        let progress = copying.progress();
        let pages = |count| u64::try_from(count).unwrap_or(0);
        let (left, of) = (pages(progress.remaining), pages(progress.pagecount));
        Phase::CopyingDatabase.at(of.saturating_sub(left), of, on_step);
        step = copying.step(PAGES)?;
    }
    if step == StepResult::Done {
        Ok(())
    } else {
        let error = io::Error::from(io::ErrorKind::WouldBlock);
        Err(failed(to)(error))
    }
}

/// Before the database, so that the relay does not start in a folder without it.
fn write_state(folder: &Path, spool: &str, commits: u64) -> Result<(), SpoolError> {
    let state = mark::State {
        id: spool.to_owned(),
        commits,
        checkpointed: commits,
    };
    Mark::write(folder, state).map_err(failed(&mark::path(folder)))?;
    Ok(())
}

/// Gives the database its name, after everything else is on stable storage.
fn finish(folder: &Path, part: &Path) -> Result<(), SpoolError> {
    let content = content::folder(folder);
    disk::sync(&content).map_err(failed(&content))?;
    disk::sync(part).map_err(failed(part))?;
    disk::rename(part, &folder.join("spool.db")).map_err(failed(part))
}

fn by_state(db: &Connection) -> Result<BTreeMap<String, u64>, SpoolError> {
    let mut statement = db.prepare("SELECT state, count(*) FROM entry GROUP BY state")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, super::columns::unsigned(row, 1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn must_be_empty(folder: &Path, may_be: &[&str]) -> Result<(), SpoolError> {
    for file in fs::read_dir(folder).map_err(failed(folder))? {
        let name = file.map_err(failed(folder))?.file_name();
        if !may_be.iter().any(|other| *other == name) {
            let words = format!("the folder is not empty: {} is in it", name.display());
            let error = io::Error::new(io::ErrorKind::DirectoryNotEmpty, words);
            return Err(failed(folder)(error));
        }
    }
    Ok(())
}

/// Removes what was written into a folder that was empty before. What stays is named by the
/// next try.
fn clear(folder: &Path) {
    let names = [
        PART,
        "spool.db.part-wal",
        "spool.db.part-shm",
        "spool.db.part-journal",
        "spool.db",
        "spool.state",
        "spool.lock",
        MANIFEST,
    ];
    for name in names {
        drop(disk::remove(&folder.join(name)));
    }
    drop(fs::remove_dir_all(content::folder(folder)));
}

fn cannot_open(path: &Path) -> SpoolError {
    failed(path)(io::Error::other("the copied database cannot be opened"))
}
