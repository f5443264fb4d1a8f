//! Replaces relay.toml on disk: as a whole, or not at all.
//!
//! Promises: of two processes, or two threads, that write it at the same time, one waits for the
//! other, and then finds that the file has changed. A file system without locks gets none.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::EditError;
use crate::disk;
use crate::platform::files;
use crate::platform::users;

/// The name of the text before, behind the file's own.
const PREVIOUS: &str = "previous";
/// How often a file that somebody else is writing is tried again, and at most how many times.
const AGAIN: (Duration, u32) = (Duration::from_millis(50), 60);

/// Writes `after`, if the file still has the text `before`.
pub(super) fn write(path: &Path, before: &str, after: &str) -> Result<(), EditError> {
    let read = |error| EditError::Read {
        path: path.to_owned(),
        error,
    };
    // A link stays a link.
    let real = fs::canonicalize(path).map_err(read)?;
    let lock = locked(&real).map_err(read)?;
    let lock = lock.ok_or_else(|| EditError::Busy(path.to_owned()))?;
    let now = disk::read_small(&real).map_err(read)?;
    if now != before.as_bytes() {
        return Err(EditError::Changed(path.to_owned()));
    }
    let old = fs::metadata(&real).map_err(read)?;
    let written = put(&real, &old, before, after);
    drop(lock);
    written.map_err(|error| EditError::Write {
        path: path.to_owned(),
        error,
    })
}

/// Locks the file until the returned one is closed; `None` if somebody else has the lock all the
/// time. It locks the file itself, because whoever may read it may lock it then, and nothing is
/// left behind.
#[expect(
    clippy::disallowed_methods,
    reason = "the callers read and write files, so they have a thread of their own"
)]
fn locked(path: &Path) -> io::Result<Option<File>> {
    let (pause, most) = AGAIN;
    for _ in 0..most {
        let file = File::open(path)?;
        // Some network file systems have no locks.
        if files::lock(&file).unwrap_or(true) {
            // Whoever had the lock may have put another file in its place.
            if files::identity(&file.metadata()?) == files::identity(&fs::metadata(path)?) {
                return Ok(Some(file));
            }
            continue;
        }
        std::thread::sleep(pause);
    }
    Ok(None)
}

/// The file with the text before.
pub(super) fn previous_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{PREVIOUS}"));
    PathBuf::from(name)
}

fn put(path: &Path, old: &Metadata, before: &str, after: &str) -> io::Result<()> {
    let new = Staged::write(beside(path, "new"), old, after)?;
    let previous = Staged::write(beside(path, PREVIOUS), old, before)?;
    previous.place(&previous_of(path))?;
    new.place(path)
}

/// A file that is complete on disk, but not in its place yet. It is deleted if it does not get
/// there.
struct Staged {
    path: PathBuf,
    is_placed: bool,
}

impl Staged {
    /// Writes a file that others may read as they may read the old one.
    fn write(path: PathBuf, old: &Metadata, text: &str) -> io::Result<Self> {
        // Left by a process that was killed.
        disk::remove(&path)?;
        let mut file = disk::create(&path)?;
        let staged = Self {
            path,
            is_placed: false,
        };
        file.write_all(text.as_bytes())?;
        keep_owner(&file, old)?;
        file.set_permissions(old.permissions())?;
        file.sync_all()?;
        Ok(staged)
    }

    /// Gives it its name. With the new file in place the lock is gone, and its old name may be
    /// somebody else's.
    fn place(mut self, to: &Path) -> io::Result<()> {
        disk::rename(&self.path, to)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            drop(disk::remove(&self.path));
        }
    }
}

/// Only root can give a file away. Another user who may write the folder becomes the owner; the
/// group stays, or nobody else could read the file any more.
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    let (new, old) = (files::owner(&file.metadata()?), files::owner(old));
    let uid = (new.uid != old.uid && users::is_root()).then_some(old.uid);
    match new.gid == old.gid && uid.is_none() {
        true => Ok(()),
        false => files::give_file(file, uid, old.gid),
    }
}

/// A hidden name in the same folder.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}
