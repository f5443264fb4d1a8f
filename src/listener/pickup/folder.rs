//! The files of a pickup folder: which of them may be messages, and where they go.
//!
//! | place | holds |
//! |---|---|
//! | `NAME.eml` | what an application has written |
//! | `.taking/ID.NAME.eml` | a message that is being handed to the spool as the entry ID |
//! | `bad/NAME.eml`, `bad/NAME.eml.txt` | a refused one, and the reason |
//!
//! All names are in one file system, so that each step is one rename. Links are never followed:
//! neither the relay's own files nor others can be sent, moved or overwritten by a link to them.
//! `.taking/` and `bad/` must be the relay's own folders, because others may write beside them.

use std::fs;
use std::fs::File;
use std::fs::FileType;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::disk;
use crate::mail::SpoolId;
use crate::platform::files;
use crate::platform::users::User;
use crate::platform::users::own_uid;
use crate::spool::Spool;

const TAKING: &str = ".taking";
const BAD: &str = "bad";
/// Bytes of a file's name in `.taking/` and `bad/`, where more is added to it.
const LONGEST_NAME: usize = 200;
/// Entries of a folder that are looked at in one look.
const MOST_ENTRIES: usize = 10_000;

/// What two looks compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: files::Identity,
    pub(super) size: u64,
    changed: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(file: &fs::Metadata) -> Self {
        Self {
            identity: files::identity(file),
            size: file.len(),
            changed: file.modified().ok(),
        }
    }
}

/// A file whose name ends with `.eml`.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    kind: FileType,
    links: u64,
}

impl Candidate {
    /// Why it cannot be a message of at most this size.
    pub(super) fn wrong(&self, limit: u64) -> Option<String> {
        if self.kind.is_symlink() {
            return Some("this is a symbolic link: the relay takes only files".to_owned());
        }
        if !self.kind.is_file() {
            let what = match files::is_pipe(self.kind) {
                true => "a pipe",
                false => "a socket or a device",
            };
            return Some(format!("this is {what}: the relay takes only files"));
        }
        if self.links > 1 {
            return Some(
                "this file has another name too (a hard link): the relay takes only files with one"
                    .to_owned(),
            );
        }
        (self.stamp.size > limit).then(|| {
            format!(
                "this file has {} bytes, and message_size of [limits] allows {limit}",
                self.stamp.size
            )
        })
    }
}

/// The files that may be messages, oldest first.
pub(super) async fn candidates(folder: &Path) -> io::Result<Vec<Candidate>> {
    let folder = folder.to_owned();
    blocking(move || {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)?.take(MOST_ENTRIES) {
            let path = entry?.path();
            let ends = path
                .extension()
                .map(|it| it.to_string_lossy().to_lowercase());
            if ends.as_deref() != Some("eml") {
                continue;
            }
            let file = match fs::symlink_metadata(&path) {
                Ok(file) => file,
                // Its application took it away again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if file.is_dir() {
                continue;
            }
            found.push(Candidate {
                stamp: Stamp::of(&file),
                kind: file.file_type(),
                links: files::names(&file),
                path,
            });
        }
        found.sort_by(|one, other| {
            (one.stamp.changed, &one.path).cmp(&(other.stamp.changed, &other.path))
        });
        Ok(found)
    })
    .await
}

/// Gives a file the name of the entry that it is to become.
pub(super) async fn begin(
    folder: &Path,
    candidate: &Candidate,
    id: SpoolId,
) -> io::Result<PathBuf> {
    let taking = folder.join(TAKING);
    let name = short_name(&candidate.path);
    let from = candidate.path.clone();
    blocking(move || {
        made(&taking)?;
        let to = taking.join(format!("{id}.{name}"));
        renamed(&from, &to)?;
        Ok(to)
    })
    .await
}

/// Deletes a file whose message the spool has.
pub(super) async fn end(taken: &Path) -> io::Result<()> {
    let taken = taken.to_owned();
    blocking(move || fs::remove_file(taken)).await
}

/// Gives a file its old name back.
pub(super) async fn give_back(taken: &Path, before: &Path) -> io::Result<()> {
    let (taken, before) = (taken.to_owned(), before.to_owned());
    blocking(move || renamed(&taken, &free(&before, is_free))).await
}

/// Moves a file to `bad/`, and writes the reason beside it. Returns where it is.
pub(super) async fn refuse(
    folder: &Path,
    now: &Path,
    before: &Path,
    reason: &str,
) -> io::Result<PathBuf> {
    let bad = folder.join(BAD);
    let name = short_name(before);
    let (now, reason) = (now.to_owned(), format!("{reason}\n"));
    blocking(move || {
        made(&bad)?;
        let place = free(&bad.join(name), |it| is_free(it) && is_free(&note(it)));
        renamed(&now, &place)?;
        // It must be new: whatever has this name now, also a link, stays as it is.
        let mut note = File::create_new(note(&place))?;
        note.write_all(reason.as_bytes())?;
        Ok(place)
    })
    .await
}

/// The name of a file, with at most [`LONGEST_NAME`] bytes.
fn short_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.len() <= LONGEST_NAME {
        return name.into_owned();
    }
    let end = name.floor_char_boundary(LONGEST_NAME - ".eml".len());
    format!("{}.eml", name.get(..end).unwrap_or_default())
}

/// The file with the reason, beside a refused one.
fn note(refused: &Path) -> PathBuf {
    let mut note = refused.as_os_str().to_owned();
    note.push(".txt");
    note.into()
}

/// Whether the subfolders, as far as they are there, are the relay's own.
pub(super) async fn check(folder: &Path) -> io::Result<()> {
    let places = [folder.join(TAKING), folder.join(BAD)];
    blocking(move || {
        for place in &places {
            match own(place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                checked => checked?,
            }
        }
        Ok(())
    })
    .await
}

/// Decides about files that a crash or trouble of the spool left in `.taking/`: the spool knows
/// whether it has them. While it cannot answer, they stay there.
pub(super) async fn recover(folder: &Path, spool: &Spool) -> io::Result<()> {
    let taking = folder.join(TAKING);
    let listed = blocking(move || match fs::read_dir(&taking) {
        Ok(entries) => entries
            .take(MOST_ENTRIES)
            .map(|entry| entry.map(|it| it.path()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    });
    let listed = listed.await?;
    if !listed.is_empty() {
        // What the spool has is durable only if it can still write: then so is what was before.
        spool.probe().await.map_err(io::Error::other)?;
    }
    for left in listed {
        let name = left
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let parts = name
            .split_once('.')
            .and_then(|(id, name)| Some((id.parse::<SpoolId>().ok()?, name)));
        let Some((id, name)) = parts else {
            continue;
        };
        match spool.show(id).await.map_err(io::Error::other)? {
            Some(_) => end(&left).await?,
            None => give_back(&left, &folder.join(name)).await?,
        }
    }
    Ok(())
}

/// Creates a folder, unless it is there; it must be the relay's own.
fn made(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => own(folder),
        made => made,
    }
}

/// Says why this is not a folder of the relay's user.
fn own(folder: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    let shown = folder.display();
    if !found.is_dir() {
        let words = format!("{shown} is not a folder: remove it, and the relay makes its own");
        return Err(io::Error::other(words));
    }
    if files::owner(&found).uid != own_uid() {
        let (owner, me) = (User::owning(&found).name, User::of_this_process().name);
        return Err(io::Error::other(format!(
            "{shown} belongs to {owner}, and the relay is {me}: remove it, and the relay makes its own"
        )));
    }
    Ok(())
}

/// Renames on stable storage; nothing that is there is replaced.
fn renamed(from: &Path, to: &Path) -> io::Result<()> {
    files::rename_new(from, to)?;
    disk::sync_folder_of(from)?;
    disk::sync_folder_of(to)
}

fn is_free(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}

/// A path that is free: this one, or one with a number before the name.
fn free(path: &Path, is_free: impl Fn(&Path) -> bool) -> PathBuf {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let numbered = (1..).map(|number: u64| path.with_file_name(format!("{number}-{name}")));
    let mut paths = std::iter::once(path.to_owned()).chain(numbered);
    paths
        .find(|path| is_free(path))
        .unwrap_or_else(|| path.to_owned())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::spool::Settings;
    use crate::spool::Subjects;

    #[tokio::test]
    async fn half_taken_files_stay_while_the_spool_cannot_say_whether_it_has_them() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("pickup");
        let taken = folder.join(TAKING).join("01ARZ3NDEKTSV4RRFFQ69G5FAV.1.eml");
        fs::create_dir_all(folder.join(TAKING)).unwrap();
        fs::write(&taken, "").unwrap();
        let open = || {
            let settings = Settings {
                folder: home.path().join("data"),
                size: 100_000_000,
                free_space: 0,
                subjects: Subjects::Kept,
            };
            Spool::open(settings, Clock::System).unwrap().0
        };
        let spool = open();
        spool.close().await;

        assert!(recover(&folder, &spool).await.is_err());
        assert!(taken.exists());
        drop(spool);

        recover(&folder, &open()).await.unwrap();
        assert!(!taken.exists() && folder.join("1.eml").exists());
    }

    #[test]
    fn long_names_are_cut_between_characters_and_keep_their_ending() {
        let long = format!("{}.eml", "ä".repeat(120));

        assert_eq!(short_name(Path::new("/p/1.EML")), "1.EML");
        assert_eq!(
            short_name(Path::new(&long)),
            format!("{}.eml", "ä".repeat(98))
        );
    }
}
