//! Checks the spool: the database's own integrity, each stored message against its
//! checksums, and the files in `content/`. Changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde::Deserialize;
use serde::Serialize;

use super::examine;
use super::recover;
use crate::clock::Clock;
use crate::spool::KEPT;
use crate::spool::OnStep;
use crate::spool::Phase;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Step;
use crate::spool::attempts;
use crate::spool::content;
use crate::spool::damage;
use crate::spool::lock;
use crate::spool::room::yields::YIELDED;
use crate::spool::schema;
use crate::spool::state::State;

/// What a check has found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checked {
    /// Messages that were compared with their checksums.
    pub messages: u64,
    /// The problems, as text.
    pub problems: Vec<String>,
    /// Whether the database itself is damaged, or refused.
    #[serde(default)]
    pub is_database_damaged: bool,
}

/// The states of messages that will be sent, or may be.
const SENDABLE: [State; 3] = [State::Waiting, State::Claimed, State::Held];

/// The most problems that SQLite lists.
const MOST_PROBLEMS: u32 = 100;

impl Spool {
    /// Checks the spool while the relay runs. Reads all of it.
    ///
    /// # Errors
    ///
    /// The database cannot even be opened.
    pub async fn check(
        &self,
        on_step: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<Checked, SpoolError> {
        let folder = self.shared.settings.folder.clone();
        let gone = self.look_for_database();
        let check = move || {
            gone?;
            let db = schema::open_reader(&folder.join("spool.db"))?;
            Ok(check(&db, &folder, &on_step))
        };
        let task = tokio::task::spawn_blocking(check);
        task.await.map_err(|_| SpoolError::Closed)?
    }
}

/// Checks a spool that no relay has open.
///
/// # Errors
///
/// A relay has it, or its files cannot be opened.
pub fn check_stopped(folder: &Path, on_step: OnStep<'_>) -> Result<Checked, SpoolError> {
    let database = folder.join("spool.db");
    if !folder.is_dir() {
        let error = std::io::Error::from(std::io::ErrorKind::NotFound);
        let path = folder.to_owned();
        return Err(SpoolError::File { path, error });
    }
    content::make_folders(folder)?;
    let _locks = lock(folder)?;
    let beside = match examine::before_opening(folder) {
        Ok(beside) => beside,
        Err(refused @ SpoolError::Refused(_)) => {
            return Ok(Checked {
                messages: 0,
                problems: vec![refused.to_string()],
                is_database_damaged: true,
            });
        }
        Err(error) => return Err(error),
    };
    if !database.exists() {
        return Ok(Checked::default());
    }
    // Opened for writing, because the log that a crash left requires it; nothing is
    // changed.
    let mut db = Connection::open(&database)?;
    schema::keep_log(&db, beside.has_log())?;
    schema::must_be_known(&db, &database)?;
    let mut checked = Checked::default();
    match examine::opened(&db, &beside) {
        Err(error @ (SpoolError::Refused(_) | SpoolError::Damaged(_))) => {
            checked.problems.push(error.to_string());
            checked.is_database_damaged = true;
        }
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    let found = match schema::version(&db)? {
        schema::FORMAT | 0 => check(&db, folder, on_step),
        format => check_earlier(&mut db, folder, format, &State::OPEN, on_step),
    };
    checked.messages = found.messages;
    checked.problems.extend(found.problems);
    checked.is_database_damaged |= found.is_database_damaged;
    Ok(checked)
}

/// Checks a copy that was made while a relay ran. A message in quarantine is known to be
/// damaged, and the content of a failed one may have been removed to make room.
pub(in crate::spool) fn of_copy(db: &Connection, folder: &Path, on_step: OnStep<'_>) -> Checked {
    check_states(db, folder, &SENDABLE, on_step)
}

/// The same for a backup, before it is restored: also whether the next start can upgrade
/// it.
pub(in crate::spool) fn before_restore(
    db: &mut Connection,
    folder: &Path,
    on_step: OnStep<'_>,
) -> Result<Checked, SpoolError> {
    Ok(match schema::version(db)? {
        schema::FORMAT => of_copy(db, folder, on_step),
        format => check_earlier(db, folder, format, &SENDABLE, on_step),
    })
}

/// For a format that the next start will upgrade: checks the upgraded form, and that the
/// upgrade works.
fn check_earlier(
    db: &mut Connection,
    folder: &Path,
    format: i64,
    states: &[State],
    on_step: OnStep<'_>,
) -> Checked {
    let now = Clock::System.now();
    let rehearsed = schema::rehearse(db, now, |db| check_states(db, folder, states, on_step));
    rehearsed.unwrap_or_else(|error| Checked {
        messages: 0,
        problems: vec![format!(
            "the database: it cannot be upgraded from format {format}: {error}"
        )],
        is_database_damaged: true,
    })
}

fn check(db: &Connection, folder: &Path, on_step: OnStep<'_>) -> Checked {
    check_states(db, folder, &State::OPEN, on_step)
}

fn check_states(db: &Connection, folder: &Path, states: &[State], on_step: OnStep<'_>) -> Checked {
    let mut checked = Checked::default();
    Phase::CheckingDatabase.begins(on_step);
    if let Err(error) = integrity(db, &mut checked.problems) {
        checked.problems.push(format!("the database: {error}"));
    }
    checked.is_database_damaged = !checked.problems.is_empty();
    let open: Vec<_> = states
        .iter()
        .map(|state| format!("'{}'", state.name()))
        .collect();
    let mut condition = format!("(state IN ({}) AND NOT ({YIELDED}))", open.join(", "));
    if states == State::OPEN {
        condition += &format!(" OR ({KEPT})");
    }
    let query = format!("SELECT id FROM entry WHERE {condition}");
    match recover::ids(db, &query) {
        Ok(ids) => {
            for (at, id) in ids.iter().map(ToString::to_string).enumerate() {
                Phase::CheckingMessages.passes(at, ids.len(), on_step);
                checked.messages += 1;
                if let Some(why) = unsound(db, &id, folder)
                    // It may have been sent, or its content removed, meanwhile.
                    && is_still(db, &id, &condition)
                {
                    checked.problems.push(format!("message {id}: {why}"));
                }
            }
        }
        Err(error) => {
            checked.is_database_damaged = true;
            checked
                .problems
                .push(format!("the list of messages: {error}"));
        }
    }
    if let Err(error) = files(db, folder, &mut checked.problems) {
        checked.problems.push(error.to_string());
    }
    checked
}

fn integrity(db: &Connection, problems: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({MOST_PROBLEMS})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            problems.push(format!("the database: {}", text.trim().replace('\n', "; ")));
        }
    }
    Ok(())
}

/// Why a message could not be sent.
fn unsound(db: &Connection, id: &str, folder: &Path) -> Option<String> {
    match attempts::read(db, id, folder) {
        Ok(entry) => Some(entry.content.verify_now(entry.digest).err()?.to_string()),
        Err(error) => Some(damage::reason(&error)),
    }
}

/// Whether a condition still holds for an entry, as far as that can be read.
fn is_still(db: &Connection, id: &str, condition: &str) -> bool {
    let query = format!("SELECT 1 FROM entry WHERE id = ?1 AND ({condition})");
    let found = db.prepare(&query).and_then(|mut found| found.exists([id]));
    found.unwrap_or(true)
}

fn files(db: &Connection, folder: &Path, problems: &mut Vec<String>) -> Result<(), SpoolError> {
    let content = content::folder(folder);
    let failed = |error| SpoolError::File {
        path: content.clone(),
        error,
    };
    let mut found = BTreeSet::new();
    for file in fs::read_dir(&content).map_err(failed)? {
        found.extend(content::id_of(&file.map_err(failed)?));
    }
    let mut known = db.prepare("SELECT 1 FROM entry WHERE id = ?1")?;
    for id in found {
        // The file of a message that is being accepted exists before its row.
        let path = content::path(folder, id);
        if !known.exists([id.to_string()])? && path.exists() && !known.exists([id.to_string()])? {
            problems.push(format!(
                "{}: no message belongs to this file; the next start moves it to orphans/",
                path.display()
            ));
        }
    }
    Ok(())
}
