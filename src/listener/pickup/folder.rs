//! The files of a pickup folder: which of them may be messages, and where they go.
//!
//! | place | holds |
//! |---|---|
//! | `NAME.eml` | what an application has written |
//! | `.taking/ID.NAME.eml` | a message that is being handed to the spool as the entry ID |
//! | `bad/NAME.eml`, `bad/NAME.eml.txt` | a refused one, and the reason |
//!
//! Others may write in the folder, and may be at it just now. So everything is done by the
//! handles of the folders and by names in them, never by a path: whatever takes the place of a
//! file, of `bad` or of `.taking`, nothing outside the folder is read, moved or written.
//! `.taking/` and `bad/` must be the relay's own folders, and nobody else can enter `.taking/`.
//! Nothing that is there is replaced. One relay has the folder: it locks `.taking/`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::FileType;
use std::io;
use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::mail::SpoolId;
use crate::platform::files;
use crate::platform::folders::Folder;
use crate::platform::strings;
use crate::platform::users::User;
use crate::platform::users::own_uid;

const TAKING: &str = ".taking";
const BAD: &str = "bad";
/// Bytes of a file's name in `.taking/` and `bad/`, where more is added to it.
const LONGEST_NAME: usize = 200;
/// Files that are compared with the next look.
const MOST_FILES: usize = 10_000;

/// What two looks compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: files::Identity,
    pub(super) size: u64,
    changed: Option<SystemTime>,
    links: u64,
}

impl Stamp {
    pub(super) fn of(file: &fs::Metadata) -> Self {
        Self {
            identity: files::identity(file),
            size: file.len(),
            changed: file.modified().ok(),
            links: files::names(file),
        }
    }
}

/// A file whose name ends with `.eml`.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) name: OsString,
    pub(super) stamp: Stamp,
    kind: FileType,
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
        if self.stamp.links > 1 {
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

/// A file in `.taking/`.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: SpoolId,
    /// Its name there.
    taken: OsString,
    /// The name that it had.
    before: OsString,
}

/// A pickup folder that is open.
#[derive(Debug)]
pub(super) struct Place {
    /// As relay.toml has it, to tell people of it.
    path: PathBuf,
    root: Folder,
    taking: Folder,
}

impl Place {
    /// Opens the folder that is there now, for this relay alone.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = Folder::open(path)?;
        let taking = own(&root, path, TAKING)?;
        if files::mode(&taking.metadata()?) & 0o077 != 0 {
            taking.close_to_others()?;
        }
        // Some network file systems have no locks.
        if taking.lock().is_ok_and(|is_ours| !is_ours) {
            let words = format!(
                "another relay takes the messages in {}: a pickup folder can have only one",
                path.display()
            );
            return Err(io::Error::other(words));
        }
        Ok(Self {
            path: path.to_owned(),
            root,
            taking,
        })
    }

    /// Whether its path and the names in it still lead there.
    pub(super) fn is_current(&self) -> bool {
        let same = |one: io::Result<fs::Metadata>, other: io::Result<fs::Metadata>| {
            let both = one.ok().zip(other.ok());
            both.is_some_and(|(one, other)| files::identity(&one) == files::identity(&other))
        };
        same(fs::metadata(&self.path), self.root.metadata())
            && same(
                self.root.metadata_of(OsStr::new(TAKING)),
                self.taking.metadata(),
            )
    }

    /// Its path, to tell people of it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it, to tell people of it.
    pub(super) fn shown(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// The files that may be messages: those that do not have to wait first, oldest first.
    pub(super) fn candidates(&self, waiting: &HashSet<OsString>) -> io::Result<Vec<Candidate>> {
        let mut found: Vec<Candidate> = Vec::new();
        let sort = |found: &mut Vec<Candidate>| {
            found.sort_by(|one, other| {
                let key = |it: &Candidate| (waiting.contains(&it.name), it.stamp.changed);
                (key(one), &one.name).cmp(&(key(other), &other.name))
            });
            found.truncate(MOST_FILES);
        };
        for name in self.root.names()? {
            let name = name?;
            let ends = Path::new(&name).extension();
            if !ends.is_some_and(|it| it.eq_ignore_ascii_case("eml")) {
                continue;
            }
            let file = match self.root.metadata_of(&name) {
                Ok(file) => file,
                // Its application took it away again.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if file.is_dir() {
                continue;
            }
            found.push(Candidate {
                stamp: Stamp::of(&file),
                kind: file.file_type(),
                name,
            });
            if found.len() >= 2 * MOST_FILES {
                sort(&mut found);
            }
        }
        sort(&mut found);
        Ok(found)
    }

    /// Opens a file for reading.
    pub(super) fn read(&self, candidate: &Candidate) -> io::Result<File> {
        self.root.read(&candidate.name)
    }

    /// Gives a file the name of the entry that it is to become.
    pub(super) fn begin(&self, candidate: &Candidate, id: SpoolId) -> io::Result<Claim> {
        let claim = Claim {
            id,
            taken: added(&format!("{id}."), &short_name(&candidate.name), ""),
            before: candidate.name.clone(),
        };
        let root = &self.root;
        root.rename_new(&claim.before, &self.taking, &claim.taken)?;
        // Its application may have written it again meanwhile. A rename changes nothing of this.
        let now = self.taking.metadata_of(&claim.taken)?;
        if Stamp::of(&now) == candidate.stamp {
            return Ok(claim);
        }
        self.give_back(&claim)?;
        Err(io::Error::other("the file was changed while it was read"))
    }

    /// Deletes a file whose message the spool has.
    pub(super) fn end(&self, claim: &Claim) -> io::Result<()> {
        self.taking.remove(&claim.taken)
    }

    /// Gives a file its old name back.
    pub(super) fn give_back(&self, claim: &Claim) -> io::Result<()> {
        for name in names(&claim.before, claim.id) {
            match self.taking.rename_new(&claim.taken, &self.root, &name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                renamed => return renamed,
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Moves a file to `bad/`, with the reason beside it. Returns its path there, to tell people
    /// of it.
    pub(super) fn refuse(&self, name: &OsStr, id: SpoolId, reason: &str) -> io::Result<PathBuf> {
        self.move_to_bad((&self.root, name), name, id, reason)
    }

    /// The same for a file in `.taking/`.
    pub(super) fn refuse_taken(&self, claim: &Claim, reason: &str) -> io::Result<PathBuf> {
        let now = (&self.taking, claim.taken.as_os_str());
        self.move_to_bad(now, &claim.before, claim.id, reason)
    }

    fn move_to_bad(
        &self,
        (folder, now): (&Folder, &OsStr),
        before: &OsStr,
        id: SpoolId,
        reason: &str,
    ) -> io::Result<PathBuf> {
        let bad = own(&self.root, &self.path, BAD)?;
        for name in names(&short_name(before), id) {
            let note = added("", &name, ".txt");
            match write_note(&bad, &note, reason) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                written => written?,
            }
            let moved = folder.rename_new(now, &bad, &name);
            if let Err(error) = moved {
                bad.remove(&note)?;
                if error.kind() == ErrorKind::AlreadyExists {
                    continue;
                }
                return Err(error);
            }
            return Ok(self.path.join(BAD).join(name));
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// The files that a crash, or trouble with the spool or the folder, left in `.taking/`.
    pub(super) fn left(&self) -> io::Result<Vec<Claim>> {
        let mut left = Vec::new();
        for taken in self.taking.names()? {
            let taken = taken?;
            let bytes = taken.as_encoded_bytes();
            let dot = bytes.iter().position(|byte| *byte == b'.');
            let parts = dot.and_then(|dot| Some((bytes.get(..dot)?, bytes.get(dot + 1..)?)));
            let Some((id, before)) = parts else { continue };
            let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
            let Some(id) = id else { continue };
            left.push(Claim {
                id,
                before: strings::from_bytes(before.to_vec()),
                taken,
            });
            if left.len() == MOST_FILES {
                break;
            }
        }
        Ok(left)
    }
}

/// Opens a subfolder, which is made if it is not there. It must be the relay's own.
fn own(root: &Folder, path: &Path, name: &str) -> io::Result<Folder> {
    let (shown, name) = (path.join(name), OsStr::new(name));
    let shown = shown.display();
    if root
        .metadata_of(name)
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
    {
        root.make(name)?;
    }
    let folder = match root.within(name) {
        Ok(folder) => folder,
        Err(_) if root.metadata_of(name).is_ok_and(|it| !it.is_dir()) => {
            let words = format!("{shown} is not a folder: remove it, and the relay makes its own");
            return Err(io::Error::other(words));
        }
        Err(error) => return Err(io::Error::new(error.kind(), format!("{shown}: {error}"))),
    };
    let found = folder.metadata()?;
    if files::owner(&found).uid != own_uid() {
        let (owner, me) = (User::owning(&found).name, User::of_this_process().name);
        return Err(io::Error::other(format!(
            "{shown} belongs to {owner}, and the relay is {me}: remove it, and the relay makes its own"
        )));
    }
    Ok(folder)
}

/// Writes a new file with the reason. Whoever can list the folder can read it.
fn write_note(bad: &Folder, name: &OsStr, reason: &str) -> io::Result<()> {
    let readers = files::mode(&bad.metadata()?) & 0o044;
    let mut note = bad.create(name)?;
    let written = note
        .write_all(format!("{reason}\n").as_bytes())
        .and_then(|()| note.set_permissions(files::permissions(files::PRIVATE | readers)));
    if written.is_err() {
        bad.remove(name)?;
    }
    written
}

/// The names that a file may get: its own, or one that no other file has.
fn names(name: &OsStr, id: SpoolId) -> [OsString; 2] {
    let other = added(&format!("{id}-"), &short_name(name), "");
    [name.to_owned(), other]
}

fn added(before: &str, name: &OsStr, behind: &str) -> OsString {
    let mut whole = OsString::from(before);
    whole.push(name);
    whole.push(behind);
    whole
}

/// A name with at most [`LONGEST_NAME`] bytes and the same ending.
fn short_name(name: &OsStr) -> OsString {
    const ENDING: &[u8] = b".eml";
    let bytes = name.as_encoded_bytes();
    if bytes.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let is_within_a_character = |at: &usize| bytes.get(*at).is_some_and(|it| it & 0xC0 == 0x80);
    let mut ends = (0..=LONGEST_NAME - ENDING.len()).rev();
    let end = ends.find(|at| !is_within_a_character(at)).unwrap_or(0);
    strings::from_bytes([bytes.get(..end).unwrap_or_default(), ENDING].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters_and_keep_their_ending() {
        let long = format!("{}.eml", "ä".repeat(120));

        assert_eq!(short_name(OsStr::new("1.EML")), "1.EML");
        assert_eq!(
            short_name(OsStr::new(&long)),
            OsString::from(format!("{}.eml", "ä".repeat(98)))
        );
    }
}
