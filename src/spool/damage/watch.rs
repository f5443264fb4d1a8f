//! What can befall the files of an open spool: an fsync fails, or somebody takes
//! the database away.
//!
//! - After an fsync error the process ends (70) and is started again: the kernel
//!   may have thrown the data away and say nothing the next time, so what the
//!   process and the page cache hold is no longer proof of what is on disk. A
//!   write that fails is different, for nothing was promised yet: the client
//!   gets 451, or 452 on a full disk, and the relay goes on.
//! - While the database has no name any more, or another file has it, no mail is
//!   accepted. The relay does not end: it goes on sending what it has, and at its
//!   end it writes the database out again, where its name is free. Ending at once
//!   would lose what waits.
//! - The same goes for its log, `spool.db-wal`, and for a database that was cut
//!   short. What is in a log that has lost its name is written to the database at
//!   once, and so is everything after that.
//!
//! SQLite removes and replaces the log only when the last connection is closed.
//! It makes the database shorter only when somebody runs VACUUM; its first page
//! then says so. `spool.db-shm` holds nothing that is not in the log.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::disk;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::lock_mutex;

/// See the module's doc.
#[derive(Debug)]
pub(in crate::spool) struct Watch {
    database: Opened,
    log: Opened,
    /// How long the database was at least.
    length: AtomicU64,
    not_synced: CancellationToken,
    why: Mutex<String>,
    gone: CancellationToken,
    /// What the last look found.
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

    pub(in crate::spool) fn not_synced(&self, why: String) {
        if !self.not_synced.is_cancelled() {
            *lock_mutex(&self.why) = why;
        }
        self.not_synced.cancel();
    }

    /// Which of the files is no longer what was opened.
    pub(in crate::spool) fn lost(&self) -> Option<&Path> {
        let lost = self.look();
        self.was_lost.store(lost.is_some(), Ordering::Release);
        lost.inspect(|_| self.gone.cancel())
    }

    /// The same without looking, as long as nobody has found anything lost.
    fn known_lost(&self) -> Option<&Path> {
        let was_lost = self.was_lost.load(Ordering::Acquire);
        was_lost.then(|| self.lost()).flatten()
    }

    fn look(&self) -> Option<&Path> {
        // Read before the file is looked at: whoever looks meanwhile may find it longer.
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

    /// Whether only the log has lost its name.
    pub(in crate::spool) fn may_save(&self) -> bool {
        self.database.found().is_some() && self.log.found().is_none()
    }

    /// Whether the database was cut short: its log is worth more than it is.
    pub(in crate::spool) fn is_cut_short(&self) -> bool {
        let has_names = self.database.found().is_some() && self.log.found().is_some();
        has_names && self.lost().is_some()
    }

    /// Whether a database of this length is as long as its first page says.
    fn is_whole(&self, length: u64) -> bool {
        let mut header = [0; 32];
        let read = File::open(&self.database.path).and_then(|it| it.read_exact_at(&mut header, 0));
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

/// A file that is open.
#[derive(Debug)]
struct Opened {
    path: PathBuf,
    /// Device and inode.
    identity: Option<(u64, u64)>,
}

impl Opened {
    fn new(path: PathBuf) -> Self {
        let identity = fs::metadata(&path).ok().as_ref().map(identity);
        Self { path, identity }
    }

    /// What has its name: nothing if that is another file, or none.
    #[expect(
        clippy::option_option,
        reason = "a file that was not there when it was opened is found as not there"
    )]
    fn found(&self) -> Option<Option<Metadata>> {
        let found = fs::metadata(&self.path).ok();
        (found.as_ref().map(identity) == self.identity).then_some(found)
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

impl Spool {
    /// Whether the database that is open is still the one on disk.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Gone`]; what is accepted now would be lost.
    pub fn look_for_database(&self) -> Result<(), SpoolError> {
        let watch = &self.shared.watch;
        let lost = watch.lost().map(Path::to_owned);
        lost.map_or(Ok(()), |lost| Err(SpoolError::Gone(lost)))
    }

    /// The same as far as somebody has found out: the writer looks before and after it
    /// puts new mail on record.
    pub(in crate::spool) fn known_database(&self) -> Result<(), SpoolError> {
        let lost = self.shared.watch.known_lost().map(Path::to_owned);
        lost.map_or(Ok(()), |lost| Err(SpoolError::Gone(lost)))
    }

    /// Returns when the database or its log was found gone for the first time: which
    /// of them. What was accepted is in the database's file by then, if that can be.
    pub async fn gone(&self) -> PathBuf {
        let watch = &self.shared.watch;
        watch.gone.cancelled().await;
        let lost = watch.lost().unwrap_or(&watch.database.path).to_owned();
        // The writer saves what it can whenever it has something to do.
        let _saved = self.shared.writer.write(|_| Ok(())).await;
        lost
    }

    /// Returns, with the reason, when an fsync has failed: the process is to end.
    pub async fn not_synced(&self) -> String {
        self.shared.watch.not_synced.cancelled().await;
        lock_mutex(&self.shared.watch.why).clone()
    }

    /// Where the database is to be written when it is closed: nowhere as long as
    /// it has its name.
    pub(in crate::spool) fn rescue(&self) -> Option<PathBuf> {
        let database = &self.shared.watch.database;
        if database.found().is_some() || !database.path.parent()?.is_dir() {
            return None;
        }
        let path = &database.path;
        let numbered = (1_u32..).map(|n| path.with_extension(format!("db.rescued.{n}")));
        // As it was called, if it can be.
        let mut paths = std::iter::once(path.clone()).chain(numbered);
        paths.find(|path| !path.exists())
    }
}

/// Writes the database, which has lost its name, to a file that is not there yet.
pub(in crate::spool) fn write_out(connection: &Connection, to: &Path) -> Result<(), SpoolError> {
    let file = |error| SpoolError::File {
        path: to.to_owned(),
        error,
    };
    // SQLite writes into an empty file, and would make one that all may read.
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
