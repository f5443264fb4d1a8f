//! A folder by its handle: what is done in it happens there, whatever others make of its path in
//! the meantime. Only the path of [`Folder::open`] is followed; no link within the folder is.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Dir;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::mkdirat;
use rustix::fs::openat;
use rustix::fs::unlinkat;

use super::files;

/// An open folder.
#[derive(Debug)]
pub struct Folder(File);

impl Folder {
    /// Opens the folder that a path leads to.
    ///
    /// # Errors
    ///
    /// Those of opening; also if it is no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?.into()))
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    ///
    /// Those of opening; `NotADirectory` if it is anything else, also a link to a folder.
    pub fn within(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(self.opened(name, OFlags::RDONLY | OFlags::DIRECTORY)?))
    }

    /// Makes a folder in this one that only its owner can enter.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if something has the name.
    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        let mode = Mode::from_raw_mode(files::PRIVATE_FOLDER);
        Ok(mkdirat(&self.0, name, mode)?)
    }

    /// Opens a file for reading, and waits for no pipe.
    ///
    /// # Errors
    ///
    /// Those of opening; also if it is a link.
    pub fn read(&self, name: &OsStr) -> io::Result<File> {
        self.opened(name, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Creates a file that only its owner can read.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if something has the name.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        self.opened(name, flags)
    }

    /// What has a name here: a link counts as itself. The file is not opened.
    ///
    /// # Errors
    ///
    /// `NotFound` if nothing has the name.
    pub fn metadata_of(&self, name: &OsStr) -> io::Result<Metadata> {
        self.opened(name, OFlags::PATH)?.metadata()
    }

    /// The folder itself.
    ///
    /// # Errors
    ///
    /// Those of asking.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    /// The names in it.
    ///
    /// # Errors
    ///
    /// Those of reading, also for each name.
    pub fn names(&self) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
        let entries = Dir::read_from(&self.0)?.map(|entry| {
            let entry = entry?;
            Ok(OsStr::from_bytes(entry.file_name().to_bytes()).to_owned())
        });
        let is_listed =
            |name: &io::Result<OsString>| !matches!(name, Ok(name) if name == "." || name == "..");
        Ok(entries.filter(is_listed))
    }

    /// Renames a file to a name in a folder that nothing has; both folders are on stable storage
    /// then.
    ///
    /// # Errors
    ///
    /// Those of renaming; `AlreadyExists` if something has the name.
    pub fn rename_new(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        files::rename_new_at(&self.0, Path::new(name), &to.0, Path::new(new))?;
        self.0.sync_all()?;
        to.0.sync_all()
    }

    /// Deletes a file.
    ///
    /// # Errors
    ///
    /// Those of deleting.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Keeps others out of it: only its owner can enter it then.
    ///
    /// # Errors
    ///
    /// Only its owner may.
    pub fn close_to_others(&self) -> io::Result<()> {
        self.0
            .set_permissions(files::permissions(files::PRIVATE_FOLDER))
    }

    /// Locks it for this process as long as it is open. Returns false if another has the lock.
    ///
    /// # Errors
    ///
    /// The file system has no locks.
    pub fn lock(&self) -> io::Result<bool> {
        files::lock(&self.0)
    }

    fn opened(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(files::PRIVATE);
        Ok(openat(&self.0, name, flags, mode)?.into())
    }
}
