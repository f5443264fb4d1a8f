//! Writes the files of setup to disk: all of them, or none.
//!
//! Promises: no file changes before all questions are answered and the answers make a usable
//! configuration. Each file is complete or not there at all (a temporary file in the same
//! folder, fsync, rename, fsync of the folder). If the second of two files cannot be put in
//! place, the first goes back. A secret is readable by the relay's user only, relay.toml by
//! root and the relay's group.
//!
//! An old relay.toml is kept as `relay.toml.old`, since it contains no secret. The old secret
//! is kept as `client-secret.old` only until the new one has worked: a copy that still opens
//! the mailbox is one more to steal.

use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::disk;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::SERVICE_USER;
use crate::platform::users::User;

/// A file that is complete on disk, but not in its place yet.
#[derive(Debug)]
pub(in crate::cli) struct Staged {
    temporary: PathBuf,
    place: PathBuf,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Readers {
    /// The relay's user.
    Relay,
    /// Its owner, who may change it, and the relay's group.
    Group,
}

impl Staged {
    /// Writes a temporary file in the folder where it is to be.
    pub(in crate::cli) fn write(
        place: &Path,
        content: &[u8],
        readers: Readers,
    ) -> io::Result<Self> {
        let folder = folder(place);
        fs::create_dir_all(folder)?;
        let staged = Self {
            temporary: beside(place, "new"),
            place: place.to_owned(),
        };
        // Left by a run that was killed.
        disk::remove(&staged.temporary)?;
        let mode = match readers {
            Readers::Relay => 0o600,
            Readers::Group => 0o640,
        };
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = files::with_mode(&mut options, mode).open(&staged.temporary)?;
        if users::is_root()
            && let Some(user) = User::named(SERVICE_USER)
        {
            let owner = (readers == Readers::Relay).then_some(user.uid);
            files::give_file(&file, owner, user.gid)?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        Ok(staged)
    }

    /// Its current path.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.temporary
    }

    fn put(self) -> io::Result<()> {
        disk::rename(&self.temporary, &self.place)
    }
}

/// A temporary file that was not put in place is deleted.
impl Drop for Staged {
    fn drop(&mut self) {
        drop(disk::remove(&self.temporary));
    }
}

/// Puts both in their places. Returns the copy of the old secret, if there was one.
pub(in crate::cli) fn put(file: Staged, secret: Option<Staged>) -> io::Result<Option<PathBuf>> {
    keep_old(&file.place, &old_name(&file.place))?;
    let Some(secret) = secret else {
        return file.put().map(|()| None);
    };
    let place = secret.place.clone();
    let before = link(&place)?;
    let ended = secret.put().and_then(|()| file.put());
    match (&ended, before) {
        (Ok(()), Some(before)) => {
            let old = place.with_extension("old");
            // A copy of an earlier run is the one that worked; the secret after it did not.
            if old.exists() {
                disk::remove(&before)?;
            } else {
                rename_link(&before, &old)?;
            }
            Ok(Some(old))
        }
        (Ok(()), None) => Ok(None),
        (Err(_), Some(before)) => rename_link(&before, &place).and(ended).map(|()| None),
        (Err(_), None) => disk::remove(&place).and(ended).map(|()| None),
    }
}

/// The name of the old relay.toml.
pub(in crate::cli) fn old_name(place: &Path) -> PathBuf {
    place.with_extension("toml.old")
}

/// Keeps a file under another name; later writes do not change it.
fn keep_old(place: &Path, old: &Path) -> io::Result<()> {
    let Some(before) = link(place)? else {
        return Ok(());
    };
    rename_link(&before, old).inspect_err(|_| drop(disk::remove(&before)))
}

/// Creates a second name of a file, if there is one.
fn link(place: &Path) -> io::Result<Option<PathBuf>> {
    let second = beside(place, "old");
    disk::remove(&second)?;
    match fs::hard_link(place, &second) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Not every file system has hard links.
        Err(_) => {
            let copied = fs::copy(place, &second).and_then(|_| disk::sync(&second));
            copied.inspect_err(|_| drop(disk::remove(&second)))?;
        }
    }
    Ok(Some(second))
}

/// Renames what [`link`] created. If the file has both names already, the system keeps both.
fn rename_link(second: &Path, to: &Path) -> io::Result<()> {
    disk::rename(second, to)?;
    disk::remove(second)
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or_else(|| Path::new("."))
}

/// A hidden name in the same folder: always the same, so that the next run finds the file
/// that a killed one left.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        files::mode(&fs::metadata(path).unwrap())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// relay.toml and the secret.
    fn places(folder: &tempfile::TempDir) -> [PathBuf; 2] {
        ["relay.toml", "client-secret"].map(|name| folder.path().join(name))
    }

    fn stage(file: &Path, secret: &Path, content: &str) -> (Staged, Staged) {
        (
            Staged::write(file, content.as_bytes(), Readers::Group).unwrap(),
            Staged::write(secret, content.as_bytes(), Readers::Relay).unwrap(),
        )
    }

    #[test]
    fn both_files_change_together_and_the_old_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [file, secret] = places(&folder);
        let stage = |content: &str| stage(&file, &secret, content);

        let (first, value) = stage("first");
        assert!(!file.exists() && !secret.exists());
        assert_eq!(put(first, Some(value)).unwrap(), None);
        let (second, value) = stage("second");
        let old = put(second, Some(value)).unwrap().unwrap();

        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(
            (read(&file), read(&secret)),
            ("second".into(), "second".into())
        );
        assert_eq!(read(&old), "first");
        assert_eq!(read(&file.with_extension("toml.old")), "first");
        assert_eq!(
            [&file, &secret, &old].map(|path| mode(path)),
            [0o640, 0o600, 0o600]
        );
        drop(stage("third"));
        let expected = [
            "client-secret",
            "client-secret.old",
            "relay.toml",
            "relay.toml.old",
        ];
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn a_file_that_cannot_be_put_in_place_leaves_the_secret_as_it_was() {
        for old in [Some("first"), None] {
            let folder = tempfile::tempdir().unwrap();
            let [file, secret] = places(&folder);
            if let Some(old) = old {
                fs::write(&secret, old).unwrap();
            }
            let (staged, value) = stage(&file, &secret, "second");
            fs::remove_file(staged.path()).unwrap();

            put(staged, Some(value)).unwrap_err();

            assert_eq!(fs::read_to_string(&secret).ok().as_deref(), old);
            assert!(!file.exists());
        }
    }

    #[test]
    fn a_file_or_secret_that_cannot_be_put_in_place_leaves_no_second_name() {
        let folder = tempfile::tempdir().unwrap();
        let [file, secret] = places(&folder);
        let stage = |content: &str| stage(&file, &secret, content);
        let (first, value) = stage("first");
        put(first, Some(value)).unwrap();

        // The second try finds relay.toml.old as another name of relay.toml.
        for _ in 0..2 {
            let (second, value) = stage("second");
            fs::remove_file(value.path()).unwrap();
            put(second, Some(value)).unwrap_err();
            let (second, value) = stage("second");
            fs::remove_file(second.path()).unwrap();
            put(second, Some(value)).unwrap_err();
        }

        let expected = ["client-secret", "relay.toml", "relay.toml.old"];
        assert_eq!(names(folder.path()), expected);
        for place in [&file, &secret] {
            assert_eq!(fs::read_to_string(place).unwrap(), "first");
        }
    }
}
