//! Watches the files of an open spool: an fsync may fail, or somebody may take the
//! database away.
//!
//! - After an fsync error the process ends (70) and is started again. The kernel may have
//!   thrown the data away and report nothing the next time, so what the process and the
//!   page cache hold no longer proves what is on disk. A failed write is different,
//!   because nothing was promised yet: the client gets 451, or 452 on a full disk, and
//!   the relay continues.
//! - While the database file was removed or replaced, no mail is accepted. The relay
//!   keeps running and sends what it has. When it ends, it writes the database out again
//!   if the name is free. Ending at once would lose waiting mail.
//! - The same holds for its log, `spool.db-wal`, and for a truncated database. The
//!   contents of a removed log are written to the database at once, and so is everything
//!   after that.
//!
//! SQLite removes and replaces the log only when the last connection is closed. It
//! shortens the database only when somebody runs VACUUM, and its first page says so then.
//! `spool.db-shm` contains nothing that is not in the log.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::disk;
use crate::platform::files;
use crate::platform::files::Identity;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::lock_mutex;

/// See the module's doc.
#[derive(Debug)]
pub(in crate::spool) struct Watch {
    database: Opened,
    log: Opened,
    /// The smallest size that the database must have.
    length: AtomicU64,
    not_synced: CancellationToken,
    why: Mutex<String>,
    gone: CancellationToken,
    /// What the last check found.
    was_lost: AtomicBool,
}

impl Watch {
    /// Begins, with the database open.
    pub(in crate::spool) fn new(database: PathBuf) -> Self {
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        Self {
            log: Opened::new(log.into()),
            database: Opened::new(database),
            length: AtomicU64::new(0),
            not_synced: CancellationToken::new(),
            why: Mutex::new(String::new()),
            gone: CancellationToken::new(),
            was_lost: AtomicBool::new(false),
        }
    }

    /// The database's path.
    pub(in crate::spool) fn database(&self) -> &Path {
        &self.database.path
    }

    pub(in crate::spool) fn not_synced(&self, why: String) {
        if !self.not_synced.is_cancelled() {
            *lock_mutex(&self.why) = why;
        }
        self.not_synced.cancel();
    }

    /// Which of the files is no longer the one that was opened.
    pub(in crate::spool) fn lost(&self) -> Option<&Path> {
        let lost = self.look();
        self.was_lost.store(lost.is_some(), Ordering::Release);
        lost.inspect(|_| self.gone.cancel())
    }

    /// The same without checking, as long as nothing was found missing.
    fn known_lost(&self) -> Option<&Path> {
        let was_lost = self.was_lost.load(Ordering::Acquire);
        was_lost.then(|| self.lost()).flatten()
    }

    fn look(&self) -> Option<&Path> {
        // Read before the file is checked, because it may grow meanwhile.
        let before = self.length.load(Ordering::Acquire);
        let Some(database) = self.database.found() else {
            return Some(&self.database.path);
        };
        if self.log.found().is_none() {
            return Some(&self.log.path);
        }
        let length = database.map_or(0, |file| file.len());
        if length >= before {
            self.length.fetch_max(length, Ordering::AcqRel);
            return None;
        }
        if !self.is_whole(length) {
            return Some(&self.database.path);
        }
        self.length.store(length, Ordering::Release);
        None
    }

    /// Whether only the log was removed or replaced.
    pub(in crate::spool) fn may_save(&self) -> bool {
        self.database.found().is_some() && self.log.found().is_none()
    }

    /// Whether the database was truncated, so that its log is worth more than the file.
    pub(in crate::spool) fn is_cut_short(&self) -> bool {
        let has_names = self.database.found().is_some() && self.log.found().is_some();
        has_names && self.lost().is_some()
    }

    /// Whether a database of this length is as long as its first page says.
    fn is_whole(&self, length: u64) -> bool {
        let mut header = [0; 32];
        let read = File::open(&self.database.path)
            .and_then(|it| files::read_exact_at(&it, &mut header, 0));
        // SQLite, "Database File Format", 1.3: the page size, and the number of pages.
        let [.., p0, p1, _, _, _, _, _, _, _, _, _, _, n0, n1, n2, n3] = header;
        let page = match u64::from(u16::from_be_bytes([p0, p1])) {
            1 => 65536,
            page => page,
        };
        let pages = u64::from(u32::from_be_bytes([n0, n1, n2, n3]));
        read.is_ok() && length > 0 && pages * page == length
    }
}

/// An open file.
#[derive(Debug)]
struct Opened {
    path: PathBuf,
    identity: Option<Identity>,
}

impl Opened {
    fn new(path: PathBuf) -> Self {
        let identity = fs::metadata(&path).ok().as_ref().map(files::identity);
        Self { path, identity }
    }

    /// The file with its name now; none if that is a different file or missing.
    #[expect(
        clippy::option_option,
        reason = "a file that was not there when it was opened is found as not there"
    )]
    fn found(&self) -> Option<Option<Metadata>> {
        let found = fs::metadata(&self.path).ok();
        (found.as_ref().map(files::identity) == self.identity).then_some(found)
    }
}

impl Spool {
    /// Whether the open database is still the one on disk.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Gone`]: mail accepted now would be lost.
    pub fn look_for_database(&self) -> Result<(), SpoolError> {
        let watch = &self.shared.watch;
        let lost = watch.lost().map(Path::to_owned);
        lost.map_or(Ok(()), |lost| Err(SpoolError::Gone(lost)))
    }

    /// The same by the results so far. The writer checks before and after it records new
    /// mail.
    pub(in crate::spool) fn known_database(&self) -> Result<(), SpoolError> {
        let lost = self.shared.watch.known_lost().map(Path::to_owned);
        lost.map_or(Ok(()), |lost| Err(SpoolError::Gone(lost)))
    }

    /// Returns when the database or its log was found missing for the first time, with
    /// its name. If possible, accepted mail is in the database's file by then.
    pub async fn gone(&self) -> PathBuf {
        let watch = &self.shared.watch;
        watch.gone.cancelled().await;
        let lost = watch.lost().unwrap_or(&watch.database.path).to_owned();
        // The writer saves what it can whenever it has something to do.
        let _saved = self.shared.writer.write(|_| Ok(())).await;
        lost
    }

    /// Returns, with the reason, when an fsync has failed: the process must end.
    pub async fn not_synced(&self) -> String {
        self.shared.watch.not_synced.cancelled().await;
        lock_mutex(&self.shared.watch.why).clone()
    }

    /// Where to write the database when it is closed; none while its file is in place.
    pub(in crate::spool) fn rescue(&self) -> Option<PathBuf> {
        let database = &self.shared.watch.database;
        if database.found().is_some() || !database.path.parent()?.is_dir() {
            return None;
        }
        let path = &database.path;
        let numbered = (1_u32..).map(|n| path.with_extension(format!("db.rescued.{n}")));
        // Under its own name, if possible.
        let mut paths = std::iter::once(path.clone()).chain(numbered);
        paths.find(|path| !path.exists())
    }
}

/// Writes a removed database to a file that does not exist yet.
pub(in crate::spool) fn write_out(connection: &Connection, to: &Path) -> Result<(), SpoolError> {
    let file = |error| SpoolError::File {
        path: to.to_owned(),
        error,
    };
    // SQLite accepts an empty file, and would create one that everybody can read.
    drop(disk::create(to).map_err(file)?);
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    disk::sync(to).map_err(file)?;
    disk::sync_folder_of(to).map_err(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_growing_database_is_never_taken_for_truncated() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("spool.db");
        let mut file = File::create(&path).unwrap();
        let watch = Watch::new(path);

        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| assert_eq!(watch.lost(), None)));
            }
            scope.spawn(|| (0..20_000).for_each(|_| file.write_all(b"a page").unwrap()));
        });
    }
}
