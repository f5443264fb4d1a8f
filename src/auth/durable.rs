//! Files that survive: what is written is on stable storage before what it replaces
//! is gone, and is nobody else's to read.

use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How the name of a file ends that is being written.
pub(super) const HALF: &str = "new";

/// Puts a file in the place of the one of that name: the new one is on stable
/// storage before the old one goes, and is nobody else's to read.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension(HALF);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "file and folder are synced, here too"
    )]
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// Removes a file for good, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(path),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
