//! Whether the database belongs to what lies beside it: looked at before
//! anything is changed.
//!
//! A database that is missing, empty, older or another one means that somebody
//! has moved or restored files. Going on would lose mail that was accepted, or
//! send again what was delivered, and SQLite would delete the log of a database
//! that is missing. So the relay refuses to start, says what it has found and
//! how to go on, and leaves every file as it is.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::OptionalExtension;

use super::SpoolError;
use super::content;
use super::mark;
use super::mark::State;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{found}. Starting now would lose mail or send it twice, so nothing was changed. {remedy}")]
pub struct Refusal {
    found: String,
    remedy: String,
}

/// What lies beside the database.
#[derive(Debug)]
pub(super) struct Beside {
    folder: PathBuf,
    /// How far the spool was.
    pub(super) state: Option<State>,
    /// Content files.
    contents: usize,
    /// Whether there is a log with something in it.
    log: bool,
}

/// How every SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Looks at the files before SQLite does.
pub(super) fn before_opening(folder: &Path) -> Result<Beside, SpoolError> {
    let beside = Beside::of(folder)?;
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

/// Compares the database as SQLite sees it, with its log.
pub(super) fn opened(connection: &Connection, beside: &Beside) -> Result<(), SpoolError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        // A kill at the very first start leaves a log without a whole transaction:
        // SQLite counts the pages of the last one that is whole.
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        return beside.must_be_new("has no tables", beside.log && pages > 1);
    }
    match &beside.state {
        Some(state) => beside.compare(state.commits, state, progress(connection)?),
        None => Ok(()),
    }
}

/// How far the database is; nothing if it has a format that did not count.
pub(super) fn progress(connection: &Connection) -> rusqlite::Result<Option<(String, u64)>> {
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

/// How far the database's file is without its log, if that can be read. A crash
/// in the middle of a checkpoint may leave it unreadable; the log repairs that.
fn without_log(path: &Path) -> Option<Option<(String, u64)>> {
    let path = path.to_str()?;
    let path = path.replace('%', "%25").replace('?', "%3f");
    let uri = format!("file:{}?immutable=1", path.replace('#', "%23"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).ok()?;
    progress(&connection).ok()
}

impl Beside {
    fn of(folder: &Path) -> Result<Self, SpoolError> {
        let mut contents = 0;
        let content = content::folder(folder);
        let failed = |error| SpoolError::File {
            path: content.clone(),
            error,
        };
        for file in fs::read_dir(&content).map_err(failed)? {
            let file = file.map_err(failed)?;
            contents += usize::from(content::id_of(&file).is_some());
        }
        let log = fs::metadata(folder.join("spool.db-wal"));
        Ok(Self {
            folder: folder.to_owned(),
            state: mark::read(folder),
            contents,
            // SQLite's header of a log has 32 bytes, and says nothing.
            log: log.is_ok_and(|log| log.len() > 32),
        })
    }

    fn database(&self) -> PathBuf {
        self.folder.join("spool.db")
    }

    /// A database without anything in it is right only where nothing is beside it.
    fn must_be_new(&self, is: &str, log: bool) -> Result<(), SpoolError> {
        let mut beside = Vec::new();
        if log {
            beside.push("spool.db-wal has something in it".to_owned());
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
        if beside.is_empty() {
            return Ok(());
        }
        Err(self.refuse(format!("{is}, but {}", beside.join(", and "))))
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
                "is older than the rest of the spool: it has {commits} transactions, spool.state \
                 counts {expected}"
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
                "If the database was moved, move it back to {}. Else run: graph-relay spool \
                 salvage. It reads what is left into a new database and deletes nothing",
                path.display()
            ),
        })
    }

    fn older(&self, is: String) -> SpoolError {
        let path = self.database();
        SpoolError::Refused(Refusal {
            found: format!("{} {is}", path.display()),
            remedy: format!(
                "Put the newer database back, or restore the whole folder {} from one backup. To \
                 go on with this database although mail may be missing or sent twice: rm {}",
                self.folder.display(),
                mark::path(&self.folder).display()
            ),
        })
    }
}
