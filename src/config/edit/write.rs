//! Replaces relay.toml on disk: as a whole, or not at all.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use super::EditError;
use crate::disk;
use crate::platform::files;
use crate::platform::users;

/// The name of the text before, behind the file's own.
const PREVIOUS: &str = "previous";

/// Writes `after`, if the file still has the text `before`.
pub(super) fn write(path: &Path, before: &str, after: &str) -> Result<(), EditError> {
    let read = |error| EditError::Read {
        path: path.to_owned(),
        error,
    };
    // A link stays a link.
    let real = fs::canonicalize(path).map_err(read)?;
    let now = disk::read_small(&real).map_err(read)?;
    if now != before.as_bytes() {
        return Err(EditError::Changed(path.to_owned()));
    }
    let old = fs::metadata(&real).map_err(read)?;
    put(&real, &old, before, after).map_err(|error| EditError::Write {
        path: path.to_owned(),
        error,
    })
}

fn put(path: &Path, old: &Metadata, before: &str, after: &str) -> io::Result<()> {
    let new = Staged::write(beside(path, "new"), old, after)?;
    let previous = Staged::write(beside(path, PREVIOUS), old, before)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{PREVIOUS}"));
    disk::rename(&previous.0, Path::new(&name))?;
    disk::rename(&new.0, path)
}

/// A file that is complete on disk, but not in its place yet. It is deleted if it does not get
/// there.
struct Staged(PathBuf);

impl Staged {
    /// Writes a file that others may read as they may read the old one.
    fn write(path: PathBuf, old: &Metadata, text: &str) -> io::Result<Self> {
        // Left by a process that was killed.
        disk::remove(&path)?;
        let mut file = disk::create(&path)?;
        let staged = Self(path);
        file.write_all(text.as_bytes())?;
        keep_owner(&file, old)?;
        file.set_permissions(old.permissions())?;
        file.sync_all()?;
        Ok(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        drop(disk::remove(&self.0));
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
