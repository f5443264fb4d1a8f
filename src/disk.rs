//! Files that survive a power cut, and that nobody else can read.
//!
//! What [`replace`] and [`rename`] write is on stable storage when they return, and the
//! old file is intact until then. A caller that moves many files syncs their folders once
//! at the end: [`move_if_there`], [`sync`].

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;

use crate::platform::files;

/// The ending of a file's name while [`replace`] writes it.
pub const HALF: &str = "new";

/// Replaces the file of that name. Only its owner can read the new one.
///
/// # Errors
///
/// No part of the new file is left beside it. The old file is still there, unless only the folder
/// could not be synced.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension(HALF);
    // Left by a crash.
    remove(&new)?;
    let mut file = create(&new)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let replaced = written.and_then(|()| rename(&new, path));
    // On a full disk, what was written of it takes room that others need.
    replaced.inspect_err(|_| drop(remove(&new)))
}

/// Creates a file that only its owner can read.
///
/// # Errors
///
/// Also if a file of that name exists.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    files::with_mode(&mut options, files::PRIVATE)
        .write(true)
        .create_new(true)
        .open(path)
}

/// Creates a folder that only its owner can enter, and the folders above it.
///
/// # Errors
///
/// A folder cannot be created. An existing one is not an error.
pub fn create_folder(path: &Path) -> io::Result<()> {
    files::private_folders().recursive(true).create(path)
}

/// Copies a file to a new one that only its owner can read. Its content is on stable
/// storage then, its name is not.
///
/// # Errors
///
/// Those of reading and writing.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = create(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}

/// The most bytes of a small file.
pub const SMALL: u64 = 1024 * 1024;

/// Reads a small file whole: a configuration, a key, a secret. A wrong path may name a disk
/// or something without an end.
///
/// # Errors
///
/// Those of reading; also if it has more than [`SMALL`] bytes.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    read_small_of(&File::open(path)?)
}

/// Does the same for an open file.
///
/// # Errors
///
/// As in [`read_small`].
pub fn read_small_of(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SMALL + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL {
        let words = "it has more than 1 MB: this cannot be the file that is meant";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
    }
    Ok(bytes)
}

/// Reads a small file whole as text.
///
/// # Errors
///
/// As in [`read_small`]; `InvalidData` if it is not UTF-8.
pub fn read_small_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read_small(path)?);
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Renames a file, whose content is on stable storage, within its folder.
///
/// # Errors
///
/// It may have either name.
#[expect(
    clippy::disallowed_methods,
    reason = "the folder is synced behind it, and the content was before"
)]
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder_of(to)
}

/// Moves a file if it exists. The caller syncs both folders.
///
/// # Errors
///
/// It stays where it was.
#[expect(clippy::disallowed_methods, reason = "the caller syncs the folders")]
pub fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a file if it exists. It may come back after a power cut, unless its folder is
/// synced.
///
/// # Errors
///
/// It is still there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns the bytes that are free for this user on the disk of a file or folder.
///
/// # Errors
///
/// It does not exist, or its disk does not say.
pub fn free_space(path: &Path) -> io::Result<u64> {
    Ok(files::free(path)?.bytes)
}

/// Writes a file's content, or the names in a folder, to stable storage.
///
/// # Errors
///
/// The contents on disk are unknown.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a file's name to stable storage.
///
/// # Errors
///
/// The names on disk are unknown.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => sync(Path::new(".")),
        Some(folder) => sync(folder),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sign-in");
        fs::write(&path, "before").unwrap();
        fs::write(path.with_extension(HALF), "left by a run that was killed").unwrap();

        replace(&path, b"now").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"now");
        let mode = files::mode(&fs::metadata(&path).unwrap());
        assert_eq!(mode, 0o600);
        assert!(!path.with_extension(HALF).exists());
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.json");
        fs::create_dir(&path).unwrap();

        replace(&path, b"now").unwrap_err();

        assert!(path.is_dir());
        assert!(!path.with_extension(HALF).exists());
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let refused = read_small(Path::new("/dev/zero")).unwrap_err();

        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_new_file_never_replaces_an_existing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "before").unwrap();

        assert_eq!(
            create(&path).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert!(copy(&path, &path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"before");
    }
}
