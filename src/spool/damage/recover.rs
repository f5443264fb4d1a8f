//! Repairs what a crash left behind.
//!
//! | found | done |
//! |---|---|
//! | an attempt without an end | doubtful; its entry waits again |
//! | an entry without its file | quarantined |
//! | the file of a finished entry | removed, unless its content is kept (`kept/`) |
//! | a finished entry without the file that was kept | has no content any more |
//! | `ID.part`: a message that was still coming in | removed; its client got no 250 |
//! | a file without an entry | moved to `orphans/`, and logged |
//! | any other name | left alone |
//!
//! A file gets the name of its entry just before the row is committed, so a crash leaves
//! a file without an entry only in that moment. It cannot be known whether that happened
//! or whether the row was lost, so such a file is never deleted.

use crate::spool::columns;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::params;

use crate::clock::ClockJump;
use crate::clock::Moment;
use crate::disk;
use crate::mail::EnhancedStatus;
use crate::mail::SpoolId;
use crate::spool::KEPT;
use crate::spool::SpoolError;
use crate::spool::Upgraded;
use crate::spool::attempts::doubt::INTERRUPTED;
use crate::spool::content;
use crate::spool::damage;
use crate::spool::state::AttemptOutcome;
use crate::spool::trouble::failed;

/// Why an entry whose content file was missing at start is in quarantine.
pub const FILE_GONE: &str = "its content file is missing from the spool";

/// What was repaired at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries that wait for delivery.
    pub waiting: u64,
    /// Waiting entries whose last attempt has no recorded end, so that it may have
    /// submitted them.
    pub interrupted: Vec<SpoolId>,
    /// Entries whose content is missing.
    pub quarantined: Vec<SpoolId>,
    /// Removed content files of finished messages, or of messages that were never
    /// accepted.
    pub removed_files: usize,
    /// Content files without an entry in the database, moved to `orphans/`.
    pub orphans: Vec<SpoolId>,
    /// The wall clock was set while the relay was stopped.
    pub clock: Option<ClockJump>,
    /// The database had an earlier format.
    pub upgraded: Option<Upgraded>,
}

/// See the module's doc.
pub(in crate::spool) fn recover(
    connection: &mut Connection,
    folder: &Path,
    now: Moment,
) -> Result<Recovered, SpoolError> {
    // Separately, so that a damaged page of attempts does not keep the relay from
    // starting.
    let ended = connection.execute(
        "UPDATE attempt SET outcome = 'doubtful', reason = ?1, ended_at = ?2, ended_running = ?3
         WHERE outcome IS NULL",
        params![INTERRUPTED, now.at.millis(), now.running.millis()],
    );
    match ended {
        Err(error) if !damage::is_damage(&error) => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let claimed = ids(connection, "SELECT id FROM entry WHERE state = 'claimed'")?;
    let interrupted = settle_again(connection, claimed)?;
    let transaction = connection.transaction()?;
    for id in &interrupted {
        transaction.execute(
            "UPDATE entry SET state = 'waiting', due_running = ?2, reason = ?3, status = ?4,
             changed_at = ?5 WHERE id = ?1",
            params![
                id.to_string(),
                now.running.millis(),
                INTERRUPTED,
                EnhancedStatus::NO_ANSWER.to_string(),
                now.at.millis()
            ],
        )?;
    }
    let files = Files::read(&transaction, folder)?;
    for id in &files.lost {
        let lost = "UPDATE entry SET content_cost = 0 WHERE id = ?1";
        transaction.execute(lost, [id.to_string()])?;
    }
    for id in &files.missing {
        damage::quarantine(&transaction, &id.to_string(), Some(now), FILE_GONE)?;
    }
    let waiting = transaction.query_row(
        "SELECT count(*) FROM entry WHERE state = 'waiting'",
        [],
        |row| columns::unsigned(row, 0),
    )?;
    transaction.commit()?;
    move_orphans(folder, &files.unknown)?;
    for path in &files.done {
        fs::remove_file(path).map_err(failed(path))?;
    }
    Ok(Recovered {
        waiting,
        interrupted,
        quarantined: files.missing,
        removed_files: files.done.len(),
        orphans: files.unknown,
        clock: None,
        upgraded: None,
    })
}

/// If damage kept an outcome out of an entry, its attempt has it, so that a delivered
/// message is not sent again. Returns the other entries.
fn settle_again(
    connection: &Connection,
    claimed: Vec<SpoolId>,
) -> Result<Vec<SpoolId>, SpoolError> {
    let mut interrupted = Vec::new();
    for id in claimed {
        let outcome = connection.query_row(
            "SELECT outcome FROM attempt WHERE entry = ?1 ORDER BY number DESC LIMIT 1",
            [id.to_string()],
            |row| row.get::<_, AttemptOutcome>(0),
        );
        let state = outcome.ok().and_then(AttemptOutcome::ends_in);
        let Some(state) = state else {
            interrupted.push(id);
            continue;
        };
        let settled = connection.execute(
            "UPDATE entry SET state = ?2, status = iif(?2 = 'delivered', '2.0.0', NULL)
             WHERE id = ?1",
            params![id.to_string(), state],
        );
        match settled {
            Err(error) if !damage::is_damage(&error) => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(interrupted)
}

/// The content folder compared with the database.
struct Files {
    /// Entries whose file is missing.
    missing: Vec<SpoolId>,
    /// Finished entries whose file was kept and is missing.
    lost: HashSet<SpoolId>,
    /// Files that are no longer needed.
    done: Vec<PathBuf>,
    /// Files without an entry.
    unknown: Vec<SpoolId>,
}

impl Files {
    fn read(connection: &Connection, folder: &Path) -> Result<Self, SpoolError> {
        let of = |condition: &str| -> rusqlite::Result<HashSet<SpoolId>> {
            let query = format!("SELECT id FROM entry WHERE in_file = 1 AND {condition}");
            Ok(ids(connection, &query)?.into_iter().collect())
        };
        let mut missing = of("state IN ('waiting', 'held', 'failed')")?;
        let ended = of(&format!(
            "state IN ('delivered', 'dropped') AND NOT ({KEPT})"
        ))?;
        let mut lost = of(KEPT)?;
        // An operator may have put the file of a quarantined entry back. The state of a
        // later version is left alone.
        let others = of("state NOT IN ('waiting', 'held', 'failed', 'delivered', 'dropped')")?;
        let (mut done, mut unknown) = (Vec::new(), Vec::new());
        let content = content::folder(folder);
        for file in fs::read_dir(&content).map_err(failed(&content))? {
            let file = file.map_err(failed(&content))?;
            if content::is_part(&file) {
                done.push(file.path());
                continue;
            }
            // lost+found, an editor's file: not ours.
            let Some(id) = content::id_of(&file) else {
                continue;
            };
            if ended.contains(&id) {
                done.push(file.path());
            } else if !missing.remove(&id) && !lost.remove(&id) && !others.contains(&id) {
                unknown.push(id);
            }
        }
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort();
        unknown.sort();
        Ok(Self {
            missing,
            lost,
            done,
            unknown,
        })
    }
}

/// Where files without an entry go.
pub(in crate::spool) fn orphans(folder: &Path) -> PathBuf {
    folder.join("orphans")
}

pub(in crate::spool) fn move_orphans(folder: &Path, unknown: &[SpoolId]) -> Result<(), SpoolError> {
    if unknown.is_empty() {
        return Ok(());
    }
    let orphans = orphans(folder);
    disk::create_folder(&orphans).map_err(failed(&orphans))?;
    for id in unknown {
        let from = content::path(folder, *id);
        let name = id.to_string();
        let mut to = orphans.join(&name);
        for number in 1_u32.. {
            if !to.exists() {
                break;
            }
            to = orphans.join(format!("{name}.{number}"));
        }
        disk::move_if_there(&from, &to).map_err(failed(&from))?;
    }
    for folder in [&orphans, &content::folder(folder)] {
        disk::sync(folder).map_err(failed(folder))?;
    }
    Ok(())
}

pub(in crate::spool) fn ids(
    connection: &Connection,
    query: &str,
) -> rusqlite::Result<Vec<SpoolId>> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| columns::id(row, 0))?;
    rows.collect()
}
