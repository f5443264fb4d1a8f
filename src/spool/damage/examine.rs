//! Checks whether the database belongs to the files next to it, before anything is
//! changed.
//!
//! A missing, empty, older or different database means that somebody has moved or
//! restored files. Going on would lose accepted mail or send delivered mail again, and
//! SQLite would delete the log of a missing database. So the relay refuses to start, says
//! what it has found and what to do, and leaves every file as it is.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::OptionalExtension;

use super::mark;
use super::mark::State;
use crate::spool::SpoolError;
use crate::spool::content;
use crate::spool::database::MAGIC;
use crate::spool::database::open_without_log;
use crate::spool::schema;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{found}. Starting now would lose mail or send it twice, so nothing was changed. {remedy}")]
pub struct Refusal {
    found: String,
    remedy: String,
}

impl Refusal {
    /// What is wrong.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What to do.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// The files next to the database.
#[derive(Debug)]
pub(in crate::spool) struct Beside {
    folder: PathBuf,
    /// How far the spool was.
    pub(in crate::spool) state: Option<State>,
    /// Content files.
    contents: usize,
    /// Whether there is a log that is not empty.
    log: bool,
}

/// Checks the files before SQLite opens them.
pub(in crate::spool) fn before_opening(folder: &Path) -> Result<Beside, SpoolError> {
    let beside = Beside::of(folder)?;
    beside.state_is_readable()?;
    let path = beside.database();
    let file = |error| SpoolError::File {
        path: path.clone(),
        error,
    };
    let kind = match fs::metadata(&path) {
        Ok(kind) => kind,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            beside.must_be_new("is missing", beside.log)?;
            return Ok(beside);
        }
        Err(error) => return Err(file(error)),
    };
    if !kind.is_file() {
        return Err(beside.refuse("is not a file".to_owned()));
    }
    if kind.len() == 0 {
        beside.must_be_new("is empty", beside.log)?;
        return Ok(beside);
    }
    let mut begin = Vec::new();
    let opened = File::open(&path).map_err(file)?;
    let mut opened = opened.take(MAGIC.len() as u64);
    opened.read_to_end(&mut begin).map_err(file)?;
    if begin != MAGIC {
        return Err(beside.refuse("is not an SQLite database, or its beginning is damaged".into()));
    }
    if let Some(state) = &beside.state
        && let Some(found) = without_log(&path)
    {
        beside.compare(state.checkpointed, state, found)?;
    }
    Ok(beside)
}

/// The files next to a database that a relay has open and has checked.
pub(in crate::spool) fn while_open(folder: &Path) -> Result<Beside, SpoolError> {
    Beside::of(folder)
}

/// Checks the database as SQLite sees it, with its log.
pub(in crate::spool) fn opened(connection: &Connection, beside: &Beside) -> Result<(), SpoolError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        // A kill at the very first start leaves a log without a complete transaction.
        // SQLite counts the pages of the last complete one.
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        return beside.must_be_new("has no tables", beside.log && pages > 1);
    }
    match &beside.state {
        Some(state) => beside.compare(state.commits, state, progress(connection)?),
        None => Ok(()),
    }
}

/// How far the database is; none if its format did not count transactions.
pub(in crate::spool) fn progress(
    connection: &Connection,
) -> rusqlite::Result<Option<(String, u64)>> {
    let counts: bool = connection.query_row(
        "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'spool'",
        [],
        |row| row.get(0),
    )?;
    if !counts {
        return Ok(None);
    }
    connection
        .query_row("SELECT id, commits FROM spool", [], |row| {
            let commits: i64 = row.get(1)?;
            Ok((row.get(0)?, u64::try_from(commits).unwrap_or(0)))
        })
        .optional()
}

/// How far the database's file is without its log, if that can be read. A crash in the
/// middle of a checkpoint may leave it unreadable, and the log repairs that.
pub(in crate::spool) fn without_log(path: &Path) -> Option<Option<(String, u64)>> {
    progress(&open_without_log(path)?).ok()
}

/// Whether the database would be refused, as far as that can be known without changing a
/// file. For a spool that no relay has open.
///
/// # Errors
///
/// The error that a start would report.
pub fn would_open(folder: &Path) -> Result<(), SpoolError> {
    let beside = before_opening(folder)?;
    let path = beside.database();
    if let Some(error) = schema::of_later_format(&path) {
        return Err(error);
    }
    if beside.log || fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        return Ok(());
    }
    open_without_log(&path).map_or(Ok(()), |connection| opened(&connection, &beside))
}

/// The database that an interrupted salvage had moved away, the newest if there are
/// several.
pub(in crate::spool) fn moved_away(folder: &Path) -> Option<PathBuf> {
    let kept = fs::read_dir(folder).ok()?.flatten();
    let kept = kept.filter(|it| it.file_name().to_string_lossy().starts_with("damaged-"));
    let databases = kept.map(|it| it.path().join("spool.db"));
    databases.filter(|database| database.is_file()).max()
}

impl Beside {
    fn of(folder: &Path) -> Result<Self, SpoolError> {
        let mut contents = 0;
        let content = content::folder(folder);
        let failed = |error| SpoolError::File {
            path: content.clone(),
            error,
        };
        let files = match fs::read_dir(&content) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            files => Some(files.map_err(failed)?),
        };
        for file in files.into_iter().flatten() {
            let file = file.map_err(failed)?;
            contents += usize::from(content::id_of(&file).is_some());
        }
        let log = fs::metadata(folder.join("spool.db-wal"));
        Ok(Self {
            folder: folder.to_owned(),
            state: mark::read(folder),
            contents,
            // The header of SQLite's log has 32 bytes and no content.
            log: log.is_ok_and(|log| log.len() > 32),
        })
    }

    /// Whether there is a log that is not empty.
    pub(in crate::spool) fn has_log(&self) -> bool {
        self.log
    }

    fn database(&self) -> PathBuf {
        self.folder.join("spool.db")
    }

    /// An empty database is right only if there are no other files next to it.
    fn must_be_new(&self, is: &str, log: bool) -> Result<(), SpoolError> {
        let mut beside = Vec::new();
        if log {
            beside.push("spool.db-wal is not empty".to_owned());
        }
        match self.contents {
            0 => {}
            1 => beside.push("there is 1 message in content/".to_owned()),
            many => beside.push(format!("there are {many} messages in content/")),
        }
        match &self.state {
            Some(state) if state.commits > 0 => {
                let commits = state.commits;
                beside.push(format!("spool.state counts {commits} transactions"));
            }
            Some(_) | None => {}
        }
        if let Some((copy, _)) = schema::copies(&self.folder).first() {
            let (name, path) = (copy.file_name().unwrap_or_default(), self.database());
            beside.push(format!(
                "{} is there, the copy from before an upgrade",
                name.display()
            ));
            if !log && self.contents == 0 && self.state.is_none() {
                return Err(SpoolError::Refused(Refusal {
                    found: format!("{} {is}, but {}", path.display(), beside.join(", and ")),
                    remedy: format!(
                        "To use that copy: mv {} {}. To start with an empty spool, move it out of \
                         the folder",
                        copy.display(),
                        path.display()
                    ),
                }));
            }
        }
        if let Some(kept) = self.interrupted() {
            let (path, kept) = (self.database(), kept.display());
            return Err(SpoolError::Refused(Refusal {
                found: format!(
                    "{} {is}, but {kept} is there: a salvage was interrupted",
                    path.display()
                ),
                remedy: "Run graph-relay spool salvage again: it continues with the files that \
                    are there"
                    .to_owned(),
            }));
        }
        if beside.is_empty() {
            return Ok(());
        }
        let is = format!("{is}, but {}", beside.join(", and "));
        match &self.state {
            Some(state) if !log => Err(self.refuse_lost(is, state.commits)),
            _ => Err(self.refuse(is)),
        }
    }

    /// What a salvage left behind that was interrupted while it swapped the files.
    fn interrupted(&self) -> Option<PathBuf> {
        let new = self.folder.join("spool.db.new");
        new.exists()
            .then_some(new)
            .or_else(|| moved_away(&self.folder))
    }

    /// A file that exists and cannot be read gives no information, and must not be
    /// written.
    fn state_is_readable(&self) -> Result<(), SpoolError> {
        let path = mark::path(&self.folder);
        let error = match fs::read(&path) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => error,
        };
        Err(SpoolError::Refused(Refusal {
            found: format!("{} cannot be read: {error}", path.display()),
            remedy: format!(
                "Make it a file that the relay can read, or restore it. To start without it (the \
                 relay then does not notice an older database): mv {} {}",
                path.display(),
                path.with_extension("state.unread").display()
            ),
        }))
    }

    fn compare(
        &self,
        expected: u64,
        state: &State,
        found: Option<(String, u64)>,
    ) -> Result<(), SpoolError> {
        if expected == 0 {
            return Ok(());
        }
        match found {
            Some((id, commits)) if id == state.id && commits >= expected => Ok(()),
            Some((id, commits)) if id == state.id => Err(self.older(format!(
                "is older than the rest of the spool, or the folder was copied while the relay ran: \
                 it has {commits} transactions, spool.state counts {expected}"
            ))),
            Some(_) => Err(self.older("belongs to another spool than spool.state".to_owned())),
            None => Err(self.older(
                "is older than the rest of the spool: its format is that of an earlier version"
                    .to_owned(),
            )),
        }
    }

    fn refuse(&self, is: String) -> SpoolError {
        let path = self.database();
        SpoolError::Refused(Refusal {
            found: format!("{} {is}", path.display()),
            remedy: format!(
                "If the database was moved, move it back to {}. Otherwise run: graph-relay spool \
                 salvage. It reads what is left into a new database and deletes nothing",
                path.display()
            ),
        })
    }

    /// Without a log only files can be salvaged.
    fn refuse_lost(&self, is: String, commits: u64) -> SpoolError {
        let path = self.database();
        SpoolError::Refused(Refusal {
            found: format!("{} {is}", path.display()),
            remedy: format!(
                "Move the database back to {}, or restore the whole folder {} from one backup: \
                 otherwise messages that were only in it are lost ({commits} transactions were \
                 recorded). To continue without it: graph-relay spool salvage. It keeps what is \
                 in content/ and deletes nothing",
                path.display(),
                self.folder.display()
            ),
        })
    }

    fn older(&self, is: String) -> SpoolError {
        let path = self.database();
        SpoolError::Refused(Refusal {
            found: format!("{} {is}", path.display()),
            remedy: format!(
                "Put the newer database back, or restore the whole folder {} from one backup. To \
                 use this database although mail may be missing or sent twice: rm {}",
                self.folder.display(),
                mark::path(&self.folder).display()
            ),
        })
    }
}
