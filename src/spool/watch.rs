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

use std::fs;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::Spool;
use super::SpoolError;
use super::lock_mutex;

/// See the module's doc.
#[derive(Debug)]
pub(super) struct Watch {
    database: PathBuf,
    /// Device and inode of the database that is open.
    opened: Option<(u64, u64)>,
    not_synced: CancellationToken,
    why: Mutex<String>,
    gone: CancellationToken,
}

impl Watch {
    /// Begins, with the database open.
    pub(super) fn new(database: PathBuf) -> Self {
        Self {
            opened: identity(&database),
            database,
            not_synced: CancellationToken::new(),
            why: Mutex::new(String::new()),
            gone: CancellationToken::new(),
        }
    }

    pub(super) fn not_synced(&self, why: String) {
        if !self.not_synced.is_cancelled() {
            *lock_mutex(&self.why) = why;
        }
        self.not_synced.cancel();
    }

    /// Whether another file has its name, or none.
    fn is_replaced(&self) -> bool {
        identity(&self.database) != self.opened
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

impl Spool {
    /// Whether the database that is open is still the one on disk.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Gone`]; what is accepted now would be lost.
    pub fn look_for_database(&self) -> Result<(), SpoolError> {
        let watch = &self.shared.watch;
        if watch.is_replaced() {
            watch.gone.cancel();
            return Err(SpoolError::Gone(watch.database.clone()));
        }
        Ok(())
    }

    /// Returns when the database was found gone for the first time: its path.
    pub async fn gone(&self) -> PathBuf {
        self.shared.watch.gone.cancelled().await;
        self.shared.watch.database.clone()
    }

    /// Returns, with the reason, when an fsync has failed: the process is to end.
    pub async fn not_synced(&self) -> String {
        self.shared.watch.not_synced.cancelled().await;
        lock_mutex(&self.shared.watch.why).clone()
    }

    /// Where the database is to be written when it is closed: nowhere as long as
    /// it has its name.
    pub(super) fn rescue(&self) -> Option<PathBuf> {
        let watch = &self.shared.watch;
        if !watch.is_replaced() || !watch.database.parent()?.is_dir() {
            return None;
        }
        let numbered = (1_u32..).map(|n| watch.database.with_extension(format!("db.rescued.{n}")));
        // As it was called, if it can be.
        let mut paths = std::iter::once(watch.database.clone()).chain(numbered);
        paths.find(|path| !path.exists())
    }
}

/// Writes the database, which has lost its name, to a file that is not there yet.
pub(super) fn write_out(connection: &Connection, to: &Path) -> Result<(), SpoolError> {
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    let file = |error| SpoolError::File {
        path: to.to_owned(),
        error,
    };
    File::open(to).and_then(|it| it.sync_all()).map_err(file)?;
    if let Some(folder) = to.parent() {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(file)?;
    }
    Ok(())
}
