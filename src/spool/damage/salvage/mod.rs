//! Salvage: copies what can be read from a damaged database and its log into a new one,
//! while no relay runs.
//!
//! - It works on a copy in which sectors that cannot be read are zeros. The
//!   damaged files are kept in `damaged-TIME/`, and nothing is deleted.
//! - Every row is read by itself (`rows.rs`), so a bad page costs only its own rows.
//! - Intact messages continue as they were. Damaged ones are quarantined. If the state of
//!   a message is lost, it may have been delivered, so it is held: an operator decides,
//!   and the relay does not send it twice.
//! - If the record of what was paused is lost, all delivery is paused.
//! - A database with fewer transactions than `spool.state` counts is older. Its waiting
//!   mail may have been delivered since, and is held.
//! - The new database is complete before it replaces the old one. The next salvage
//!   finishes an interrupted one: with the new database if that is complete, otherwise
//!   from the old one in `damaged-TIME/`.

mod rows;

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;

use self::rows::Rows;
use super::examine;
use super::mark;
use super::mark::Mark;
use super::mark::State;
use crate::clock::Timestamp;
use crate::disk;
use crate::platform::files;
use crate::spool::OnStep;
use crate::spool::Phase;
use crate::spool::SpoolError;
use crate::spool::content;
use crate::spool::lock;
use crate::spool::room::usage;
use crate::spool::schema;
use crate::spool::trouble::failed;

/// The result of a salvage.
#[derive(Clone, Debug, Default)]
pub struct Salvaged {
    /// Intact messages, by state.
    pub saved: std::collections::BTreeMap<crate::spool::State, u64>,
    /// Messages that are held because their state is lost, with their id and what is
    /// missing.
    pub held: Vec<(String, String)>,
    /// Messages in quarantine because part of them cannot be read, with their id and the
    /// reason.
    pub quarantined: Vec<(String, String)>,
    /// Messages of which only the id could be read, with what that means.
    pub lost: Vec<(String, String)>,
    /// Content of no known message; the next start moves it to `orphans/`.
    pub orphans: Vec<String>,
    /// What is missing, if the database is older than the rest of the spool or gone.
    pub behind: Option<String>,
    /// Whether the record of pauses is lost, so that all delivery is paused.
    pub are_pauses_lost: bool,
    /// Sectors of the files that could not be read.
    pub unreadable: u64,
    /// Where the damaged files are.
    pub kept: PathBuf,
}

/// The unit in which a damaged file is copied, and SQLite's page.
const BLOCK: usize = 4096;

/// Salvages the spool in `from`, in its place or as a new one in the folder `to`.
///
/// # Errors
///
/// A relay is running, or the disk cannot be written; the old files are unchanged, and no
/// copy of the database is left.
pub fn salvage(
    from: &Path,
    to: &Path,
    now: Timestamp,
    on_step: OnStep<'_>,
) -> Result<Salvaged, SpoolError> {
    must_be_a_spool(from)?;
    // It would lose what this version does not know.
    if let Some(error) = schema::of_later_format(&from.join("spool.db")) {
        return Err(error);
    }
    content::make_folders(from)?;
    content::make_folders(to)?;
    let in_place = same(from, to);
    let _from = lock(from)?;
    let _to = (!in_place).then(|| lock(to)).transpose()?;
    if !in_place && to.join("spool.db").exists() {
        let error = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(failed(&to.join("spool.db"))(error));
    }
    let stamp = now.rfc3339().replace(':', "");
    let kept = new_folder(from, &format!("damaged-{stamp}"))?;
    let new = to.join("spool.db.new");
    let mut salvaged = Salvaged {
        kept: kept.clone(),
        ..Salvaged::default()
    };
    // A complete new database is from a salvage that was interrupted while it swapped the
    // files.
    let complete = is_complete(&new);
    let finished = in_place && complete && !has_bytes(&from.join("spool.db"));
    if !finished {
        if complete {
            // The database that it was made from may no longer exist.
            disk::move_if_there(&new, &kept.join("spool.db.new")).map_err(failed(&new))?;
        }
        clear(to, &NEW)?;
        Phase::CopyingDatabase.begins(on_step);
        let copy = kept.join("copy.db");
        let copied = copy_database(from, &copy);
        let written = copied.and_then(|unreadable| {
            salvaged.unreadable = unreadable;
            Phase::Salvaging.begins(on_step);
            write_new(from, to, &copy, &new, &mut salvaged, now)
        });
        let cleared = clear(&kept, &COPY);
        if written.is_err() {
            // On a full disk, each attempt would leave less room for the next one.
            drop(clear(to, &NEW));
            drop(fs::remove_dir(&kept));
        }
        written.and(cleared)?;
    }
    if in_place {
        for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
            disk::move_if_there(&from.join(name), &kept.join(name)).map_err(failed(from))?;
        }
    }
    let content = content::folder(to);
    disk::sync(&content).map_err(failed(&content))?;
    disk::move_if_there(&new, &to.join("spool.db")).map_err(failed(&new))?;
    disk::sync(&kept).map_err(failed(&kept))?;
    disk::sync(to).map_err(failed(to))?;
    Ok(salvaged)
}

/// The new database until it is in place.
const NEW: [&str; 2] = ["spool.db.new", "spool.db.new-journal"];
/// The copy that it is made from.
const COPY: [&str; 5] = [
    "copy.db",
    "copy.db-wal",
    "copy.db-shm",
    "copy.fresh",
    "copy.fresh-journal",
];

fn clear(folder: &Path, names: &[&str]) -> Result<(), SpoolError> {
    let removed = names.iter().map(|name| disk::remove(&folder.join(name)));
    // One that cannot be removed does not keep the others.
    removed
        .fold(Ok(()), io::Result::and)
        .map_err(failed(folder))
}

/// A folder that was named by mistake stays as it is.
fn must_be_a_spool(folder: &Path) -> Result<(), SpoolError> {
    let names = [
        "spool.db",
        "spool.db-wal",
        "spool.db.new",
        "spool.state",
        "content",
    ];
    let is_one = names.iter().any(|name| folder.join(name).exists());
    if is_one || examine::moved_away(folder).is_some() {
        return Ok(());
    }
    let words = "there is no spool here, neither spool.db nor content/";
    Err(failed(folder)(io::Error::new(
        io::ErrorKind::NotFound,
        words,
    )))
}

fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

/// The database to read, and its log. One that an interrupted salvage has moved away
/// counts if it is as far as `spool.state` says; otherwise another one has replaced it
/// since.
fn source(from: &Path) -> (PathBuf, PathBuf) {
    let own = (from.join("spool.db"), from.join("spool.db-wal"));
    if own.0.exists() && (!own.0.is_file() || has_bytes(&own.0)) {
        return own;
    }
    let Some(moved) = examine::moved_away(from) else {
        return own;
    };
    let found = examine::without_log(&moved).flatten();
    let is_of_now = mark::read(from).is_none_or(|state| {
        state.checkpointed == 0
            || found.is_some_and(|(id, commits)| id == state.id && commits >= state.checkpointed)
    });
    if !is_of_now {
        return own;
    }
    let log = match own.1.exists() {
        true => own.1,
        false => moved.with_file_name("spool.db-wal"),
    };
    (moved, log)
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(a), Ok(b)) if a == b)
}

/// Writes the new database, and `spool.state` next to it.
fn write_new(
    from: &Path,
    to: &Path,
    copy: &Path,
    new: &Path,
    salvaged: &mut Salvaged,
    now: Timestamp,
) -> Result<(), SpoolError> {
    let mut target = schema::create(new)?;
    let source = Connection::open(copy)?;
    let before = mark::read(from);
    let progress = examine::progress(&source);
    let was_there = has_bytes(&self::source(from).0);
    salvaged.behind = before
        .as_ref()
        .and_then(|state| behind(state, &progress, was_there));
    let found = progress.ok().flatten();
    let transaction = target.transaction()?;
    let rows = Rows {
        source: &source,
        target: &transaction,
        from,
        to,
        now,
    };
    rows.copy(salvaged)?;
    if salvaged.behind.is_some() {
        rows.hold_what_waits(salvaged)?;
    }
    transaction.execute_batch(&usage::compute())?;
    // Ahead of both, so that the new database is not taken for an older one.
    let commits = found.as_ref().map_or(0, |(_, commits)| *commits);
    let commits = commits.max(before.as_ref().map_or(0, |state| state.commits)) + 1;
    let id = before
        .map(|state| state.id)
        .or_else(|| found.map(|(id, _)| id));
    let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    transaction.execute("DELETE FROM spool", [])?;
    let row = rusqlite::params![
        id,
        i64::try_from(commits).unwrap_or(i64::MAX),
        schema::PROGRAM
    ];
    transaction.execute(
        "INSERT INTO spool (id, commits, program) VALUES (?1, ?2, ?3)",
        row,
    )?;
    // This is written last, so a database that has it is complete.
    transaction.pragma_update(None, "user_version", schema::FORMAT)?;
    transaction.commit()?;
    drop(target);
    if !same(from, to) {
        let state = State {
            id,
            commits,
            checkpointed: commits,
        };
        Mark::write(to, state).map_err(failed(&mark::path(to)))?;
    }
    Ok(())
}

/// What a database lacks compared with `spool.state`. A database whose count cannot be
/// read is damaged, which is a different case.
fn behind(
    state: &State,
    found: &rusqlite::Result<Option<(String, u64)>>,
    was_there: bool,
) -> Option<String> {
    let expected = state.commits;
    let is = match found {
        Ok(Some((id, commits))) if *id == state.id && *commits >= expected => return None,
        Ok(Some((id, commits))) if *id == state.id => {
            let missing = expected - commits;
            format!("the database is older than spool.state: {missing} transactions are missing")
        }
        Ok(Some(_)) => "the database belongs to another spool than spool.state".to_owned(),
        Ok(None) if was_there && expected > 0 => format!(
            "the database is of an earlier version; spool.state counts {expected} transactions"
        ),
        Ok(None) | Err(_) if !was_there && expected > 0 => {
            return Some(format!(
                "the database is gone: {expected} transactions were recorded. Messages that were \
                 only in spool.db are lost unless it is restored"
            ));
        }
        Ok(None) | Err(_) => return None,
    };
    Some(format!(
        "{is}. Newer messages are missing, and older ones may have been delivered since and would \
         go out twice: waiting messages are held"
    ))
}

fn is_complete(path: &Path) -> bool {
    let db = path.exists().then(|| Connection::open(path).ok()).flatten();
    let version = db.and_then(|db| schema::version(&db).ok());
    // The next start upgrades the state file of an earlier version.
    version.is_some_and(|version| (1..=schema::FORMAT).contains(&version))
}

/// Copies database and log, with zeros for sectors that cannot be read; returns how many
/// those are. A missing database becomes one empty page, so that SQLite reads its log and
/// does not delete it.
fn copy_database(from: &Path, copy: &Path) -> Result<u64, SpoolError> {
    let (database, log) = source(from);
    let mut unreadable = 0;
    if log.is_file() {
        unreadable += copy_blocks(&log, &copy.with_extension("db-wal"))?;
    }
    if database.is_file() && fs::metadata(&database).is_ok_and(|file| file.len() > 0) {
        unreadable += copy_blocks(&database, copy)?;
    } else {
        let file = disk::create(copy).map_err(failed(copy))?;
        file.set_len(BLOCK as u64).map_err(failed(copy))?;
    }
    restore_beginning(copy)?;
    Ok(unreadable)
}

fn copy_blocks(from: &Path, to: &Path) -> Result<u64, SpoolError> {
    let source = File::open(from).map_err(failed(from))?;
    let length = source.metadata().map_err(failed(from))?.len();
    let target = disk::create(to).map_err(failed(to))?;
    target.set_len(length).map_err(failed(to))?;
    let mut block = [0; BLOCK];
    let (mut at, mut unreadable) = (0, 0);
    while at < length {
        match files::read_at(&source, &mut block, at) {
            Ok(0) => break,
            Ok(read) => {
                let read_bytes = block.get(..read).unwrap_or(&block);
                files::write_all_at(&target, read_bytes, at).map_err(failed(to))?;
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                unreadable += 1;
                at += BLOCK as u64;
            }
        }
    }
    Ok(unreadable)
}

/// If the first page is damaged, nothing can be found without it. It is replaced by the
/// one of a new database, whose tables begin at the same pages.
fn restore_beginning(copy: &Path) -> Result<(), SpoolError> {
    let readable = Connection::open(copy).and_then(|db| {
        db.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'entry'",
            [],
            |row| row.get::<_, i64>(0),
        )
    });
    if matches!(readable, Ok(1)) {
        return Ok(());
    }
    let fresh = copy.with_extension("fresh");
    drop(schema::create(&fresh)?);
    let mut page = [0; BLOCK];
    let source = File::open(&fresh).map_err(failed(&fresh))?;
    files::read_exact_at(&source, &mut page, 0).map_err(failed(&fresh))?;
    // Not the size of the new one, so that SQLite uses the size of the file.
    page.iter_mut().skip(28).take(4).for_each(|byte| *byte = 0);
    let target = File::options().write(true).open(copy);
    let target = target.map_err(failed(copy))?;
    files::write_all_at(&target, &page, 0).map_err(failed(copy))?;
    fs::remove_file(&fresh).map_err(failed(&fresh))
}

fn new_folder(parent: &Path, name: &str) -> Result<PathBuf, SpoolError> {
    let mut path = parent.join(name);
    for number in 1_u32.. {
        if !path.exists() {
            break;
        }
        path = parent.join(format!("{name}.{number}"));
    }
    let made = files::private_folders().create(&path);
    made.map_err(failed(&path))?;
    Ok(path)
}
