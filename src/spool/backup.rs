//! A backup of a spool, also of one that a relay has open, and its restore.
//!
//! - A backup is a folder in the form of a spool, so it can also be copied back by hand.
//!   `backup.json` says what is in it. It is written last: without it the backup is
//!   unfinished, and is not restored.
//! - The database is copied as it was at one instant (a read transaction of SQLite; the
//!   relay continues meanwhile), and every message that it knows has its content. Large
//!   contents are hard links, or copies on another file system: the relay writes each
//!   once and never changes it. See [`Contents::gather`].
//! - `spool.db` gets its name last. The relay refuses a folder in which a backup or a
//!   restore was interrupted, because `spool.state` or content without a database is
//!   there (`damage/examine.rs`).
//! - What was written is compared with its checksums, in a backup and before a restore.
//!
//! It leaves to the command who owns the folders, and to the operator what was delivered
//! since the backup: that would be sent again, unless it is held.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::Transaction;
use rusqlite::backup::StepResult;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

use super::SpoolError;
use super::content;
use super::damage::check;
use super::damage::examine;
use super::damage::mark;
use super::damage::mark::Mark;
use super::damage::recover;
use super::database::open_without_log;
use super::lock;
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
const OTHERS: [&str; 3] = ["sign-ins", "token-key", "lost+found"];

/// Messages whose content is in a file.
const IN_FILES: &str =
    "SELECT id FROM entry WHERE in_file = 1 AND state NOT IN ('delivered', 'dropped')";

/// Each is shorter than the one before; more than a few mean that something else is wrong.
const ROUNDS: usize = 100;

const HELD: &str = "held by a restore: it may have been delivered since the backup";

/// Copies the spool in `from` to the empty folder `to`, whether a relay has it or not.
///
/// # Errors
///
/// The spool cannot be read, or the backup cannot be written; `to` is empty again then.
pub fn backup(from: &Path, to: &Path, now: Timestamp) -> Result<Backup, SpoolError> {
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
    let written = write_backup(&db, from, to, now);
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
) -> Result<Backup, SpoolError> {
    content::make_folders(to)?;
    let mut contents = Contents::new(from, to, true);
    let instant = contents.gather(db)?;
    let part = to.join(PART);
    copy_database(&instant, &part)?;
    // The log of the spool grows as long as this lasts.
    drop(instant);
    let copy = open_without_log(&part).ok_or_else(|| cannot_open(&part))?;
    let (spool, commits) = examine::progress(&copy)?.unwrap_or_default();
    let backup = Backup {
        made_at: now.rfc3339(),
        program: schema::PROGRAM.to_owned(),
        spool,
        commits,
        messages: by_state(&copy)?,
        linked: contents.linked,
        copied: contents.copied,
        problems: check::of_copy(&copy, to).problems,
    };
    drop(copy);
    write_state(to, &backup)?;
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
pub fn restore(from: &Path, to: &Path, hold: bool, now: Timestamp) -> Result<Restored, SpoolError> {
    must_be_empty(to, &OTHERS)?;
    let backup = match manifest(from)? {
        Ok(backup) => backup,
        Err(why) => return Ok(Restored::Refused(vec![why])),
    };
    let locks = lock(to)?;
    let restored = write_spool(from, to, backup, hold.then_some(now));
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
) -> Result<Restored, SpoolError> {
    let (database, part) = (from.join("spool.db"), to.join(PART));
    write_state(to, &backup)?;
    disk::copy(&database, &part).map_err(failed(&database))?;
    let mut db = match opened(&part, &backup) {
        Ok(db) => db,
        Err(SpoolError::Database(error) | SpoolError::Damaged(error)) => {
            return Ok(Restored::Refused(vec![format!("the database: {error}")]));
        }
        Err(error) => return Err(error),
    };
    let Some(connection) = &mut db else {
        let why = "spool.db belongs to another backup than backup.json".to_owned();
        return Ok(Restored::Refused(vec![why]));
    };
    let problems = check::before_restore(connection, from)?.problems;
    if !problems.is_empty() {
        return Ok(Restored::Refused(problems));
    }
    let held = hold.map_or(Ok(0), |now| hold_what_waits(connection, now))?;
    content::make_folders(to)?;
    let mut contents = Contents::new(from, to, false);
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

/// So that an operator looks before anything is sent twice. An entry that was being sent
/// waits again at the next start, so it is held too.
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
    Ok(held? as u64)
}

/// The large contents, on their way from one folder to another.
struct Contents<'a> {
    from: &'a Path,
    to: &'a Path,
    /// Whether a file may be a link to the one that it comes from.
    may_link: bool,
    kept: BTreeSet<SpoolId>,
    /// Copies by the device and inode that they are of: entries that were split share one.
    copies: HashMap<(u64, u64), PathBuf>,
    linked: u64,
    copied: u64,
}

impl<'a> Contents<'a> {
    fn new(from: &'a Path, to: &'a Path, may_link: bool) -> Self {
        Self {
            from,
            to,
            may_link,
            kept: BTreeSet::new(),
            copies: HashMap::new(),
            linked: 0,
            copied: 0,
        }
    }

    /// Takes over every content that the database knows at one instant, and returns that
    /// instant.
    ///
    /// A message may be delivered, and its file removed, after the instant and before its
    /// file is taken over. Then a later instant is tried, at which it has ended: only what
    /// is new has to be taken over by then. A file that is missing at two instants is
    /// missing in the spool too, and the check reports it.
    fn gather<'db>(&mut self, db: &'db Connection) -> Result<Transaction<'db>, SpoolError> {
        let mut before = BTreeSet::new();
        for _ in 0..ROUNDS {
            let instant = db.unchecked_transaction()?;
            let ids = recover::ids(&instant, IN_FILES)?;
            let mut missing = BTreeSet::new();
            for id in &ids {
                if !self.kept.contains(id) && !self.take(*id)? {
                    missing.insert(*id);
                }
            }
            if missing.is_subset(&before) {
                self.leave_only(&ids.into_iter().collect())?;
                return Ok(instant);
            }
            before = missing;
        }
        let words = "large messages come and go too quickly: try again";
        Err(failed(&content::folder(self.from))(io::Error::new(
            io::ErrorKind::WouldBlock,
            words,
        )))
    }

    /// Returns whether the file was there.
    fn take(&mut self, id: SpoolId) -> Result<bool, SpoolError> {
        let (from, to) = (content::path(self.from, id), content::path(self.to, id));
        let file = match fs::metadata(&from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(&from)(error)),
        };
        // Another file system, or one without links: copied.
        let linked = self.may_link && fs::hard_link(&from, &to).is_ok();
        let identity = (file.dev(), file.ino());
        let has_copy = self.copies.get(&identity);
        if linked {
            self.linked += 1;
        } else if has_copy.is_some_and(|copy| fs::hard_link(copy, &to).is_ok()) {
            self.copied += 1;
        } else {
            match disk::copy(&from, &to) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(failed(&to)(error)),
            }
            self.copies.insert(identity, to);
            self.copied += 1;
        }
        self.kept.insert(id);
        Ok(true)
    }

    /// Removes what has ended since it was taken over.
    fn leave_only(&self, ids: &BTreeSet<SpoolId>) -> Result<(), SpoolError> {
        for id in self.kept.difference(ids) {
            let path = content::path(self.to, *id);
            disk::remove(&path).map_err(failed(&path))?;
        }
        Ok(())
    }
}

/// Copies the database as the transaction sees it.
fn copy_database(instant: &Connection, to: &Path) -> Result<(), SpoolError> {
    // SQLite would create one that everybody can read.
    drop(disk::create(to).map_err(failed(to))?);
    let mut copy = Connection::open(to)?;
    let step = rusqlite::backup::Backup::new(instant, &mut copy)?.step(-1)?;
    if step == StepResult::Done {
        Ok(())
    } else {
        let error = io::Error::from(io::ErrorKind::WouldBlock);
        Err(failed(to)(error))
    }
}

fn write_state(folder: &Path, backup: &Backup) -> Result<(), SpoolError> {
    let state = mark::State {
        id: backup.spool.clone(),
        commits: backup.commits,
        checkpointed: backup.commits,
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
    ];
    for name in names {
        drop(disk::remove(&folder.join(name)));
    }
    drop(fs::remove_dir_all(content::folder(folder)));
}

fn cannot_open(path: &Path) -> SpoolError {
    failed(path)(io::Error::other("the copied database cannot be opened"))
}
