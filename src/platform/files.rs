//! Files: owners and modes, reading and writing at a place, locks, and room on the disk.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::FileType;
use std::fs::Metadata;
use std::fs::OpenOptions;
use std::fs::Permissions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::FlockOperation;
use rustix::fs::RenameFlags;
use rustix::fs::renameat;
use rustix::fs::renameat_with;
use rustix::fs::statat;
use rustix::io::Errno;

/// Only the owner can read and write it.
pub const PRIVATE: u32 = 0o600;
/// Only the owner can enter and change it.
pub const PRIVATE_FOLDER: u32 = 0o700;

/// Gives a file this mode if opening it creates it.
pub fn with_mode(options: &mut OpenOptions, mode: u32) -> &mut OpenOptions {
    options.mode(mode)
}

/// Creates folders that only their owner can enter.
pub fn private_folders() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(PRIVATE_FOLDER);
    builder
}

/// The permissions that a mode stands for.
pub fn permissions(mode: u32) -> Permissions {
    Permissions::from_mode(mode)
}

/// The permissions of a file, as chmod(1) takes them.
pub fn mode(file: &Metadata) -> u32 {
    file.mode() & 0o7777
}

/// User and group of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The number of the user.
    pub uid: u32,
    /// The number of the group.
    pub gid: u32,
}

/// User and group of a file.
pub fn owner(file: &Metadata) -> Owner {
    Owner {
        uid: file.uid(),
        gid: file.gid(),
    }
}

/// Gives a file or folder to a user and a group; without a user it keeps its own.
///
/// # Errors
///
/// As a rule only root may.
pub fn give(path: &Path, uid: Option<u32>, gid: u32) -> io::Result<()> {
    std::os::unix::fs::chown(path, uid, Some(gid))
}

/// Gives an open file to a user and a group; without a user it keeps its own.
///
/// # Errors
///
/// As a rule only root may.
pub fn give_file(file: &File, uid: Option<u32>, gid: u32) -> io::Result<()> {
    std::os::unix::fs::fchown(file, uid, Some(gid))
}

/// What is the same for all names of one file, and different for two files that exist at
/// the same time: device and inode.
pub type Identity = (u64, u64);

/// Which file it is.
pub fn identity(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
}

/// Changes with each change of the file's content, name, owner or mode.
pub fn stamp(file: &Metadata) -> (u64, i64, i64) {
    (file.ino(), file.ctime(), file.ctime_nsec())
}

/// Reads at a place; fewer bytes than wanted, if the file ends or the system says so.
///
/// # Errors
///
/// Those of reading.
pub fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(bytes, at)
}

/// Reads exactly that many bytes at a place.
///
/// # Errors
///
/// Those of reading; also if the file is shorter.
pub fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(bytes, at)
}

/// Writes all bytes at a place.
///
/// # Errors
///
/// Those of writing.
pub fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// Locks a file or folder for this process until it is closed. Returns false if another
/// process has the lock.
///
/// # Errors
///
/// The file system has no locks.
pub fn lock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether this process can create files in a folder.
///
/// # Errors
///
/// Says why not.
pub fn may_create_in(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(
        folder,
        Access::WRITE_OK | Access::EXEC_OK,
    )?)
}

/// What is free on a disk for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// Whether a file can be created, for all that the disk says.
    pub has_inodes: bool,
}

/// What is free on the disk of a file or folder.
///
/// # Errors
///
/// It does not exist, or its disk does not say.
pub fn free(path: &Path) -> io::Result<Free> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(Free {
        bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        // Some file systems make them as needed, and say 0 of 0.
        has_inodes: disk.f_files == 0 || disk.f_favail > 0,
    })
}

/// How many names (hard links) a file has.
pub fn names(file: &Metadata) -> u64 {
    file.nlink()
}

/// Whether it is a device, which has no content of its own: `/dev/null`.
pub fn is_device(kind: FileType) -> bool {
    kind.is_char_device() || kind.is_block_device()
}

/// Whether it is a named pipe.
pub fn is_pipe(kind: FileType) -> bool {
    kind.is_fifo()
}

/// Renames a file, unless something has the new name.
///
/// # Errors
///
/// Those of renaming; `AlreadyExists` if something has the name.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    rename_new_at(CWD, from, CWD, to)
}

/// The same for names in open folders.
pub(super) fn rename_new_at(
    folder: impl AsFd,
    from: &Path,
    new_folder: impl AsFd,
    to: &Path,
) -> io::Result<()> {
    match renameat_with(&folder, from, &new_folder, to, RenameFlags::NOREPLACE) {
        // Some network file systems cannot do that.
        Err(Errno::INVAL | Errno::NOSYS)
            if statat(&new_folder, to, AtFlags::SYMLINK_NOFOLLOW).is_err() =>
        {
            Ok(renameat(folder, from, new_folder, to)?)
        }
        renamed => Ok(renamed?),
    }
}
