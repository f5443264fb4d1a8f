//! The users of this machine, and which files each of them can read and write.
//!
//! Users are looked up as the machine is configured (nsswitch.conf(5)), because users of
//! a directory (LDAP, SSSD) are not in /etc/passwd.
//!
//! Root can read everything, so what root can read says nothing about the service.
//! [`as_user`] runs checks on a thread with another user's rights and lets the kernel
//! decide, so that modes, access control lists and mounts all count. The caller decides
//! what to do about an [`Obstacle`].

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Access;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Gid;
use rustix::fs::Uid;

use super::files;

/// The user that `systemd/sysusers.d/graph-relay.conf` creates.
pub const SERVICE_USER: &str = "graph-relay";

/// A user and its primary group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name, or its number if the machine has no name for it.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// The name of that group, or its number.
    pub group: String,
}

/// What keeps a user from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The user may not enter this folder on the path.
    Folder(PathBuf),
    /// The user may not read or write the file itself.
    File(PathBuf),
}

impl User {
    /// The user with this name.
    pub fn named(name: &str) -> Option<Self> {
        uzers::get_user_by_name(name).map(|user| Self::found(&user))
    }

    /// The user with this number; `gid` is its group if the machine has no such user.
    pub fn numbered(uid: u32, gid: u32) -> Self {
        let unknown = || Self {
            name: uid.to_string(),
            uid,
            gid,
            group: group_name(gid),
        };
        uzers::get_user_by_uid(uid).map_or_else(unknown, |user| Self::found(&user))
    }

    fn found(user: &uzers::User) -> Self {
        let gid = user.primary_group_id();
        Self {
            name: user.name().to_string_lossy().into_owned(),
            uid: user.uid(),
            gid,
            group: group_name(gid),
        }
    }

    /// The user of this process.
    pub fn of_this_process() -> Self {
        Self::numbered(own_uid(), rustix::process::getegid().as_raw())
    }

    /// The user that a file belongs to.
    pub fn owning(file: &fs::Metadata) -> Self {
        let owner = files::owner(file);
        Self::numbered(owner.uid, owner.gid)
    }

    /// In the form that chown(1) expects for an owner: with the user's group.
    pub fn as_owner(&self) -> String {
        match self.name.parse::<u32>() {
            // The group can be left out only after a name.
            Ok(uid) => format!("{uid}:{}", self.gid),
            Err(_) => format!("{}:", self.name),
        }
    }

    /// Whether it is a user for services and not a person (login.defs(5), SYS_UID_MAX).
    pub fn is_for_services(&self) -> bool {
        (1..1000).contains(&self.uid)
    }

    /// All groups whose rights the user has.
    fn groups(&self) -> Vec<Gid> {
        let groups = uzers::get_user_groups(&self.name, self.gid).unwrap_or_default();
        groups
            .iter()
            .map(|group| Gid::from_raw(group.gid()))
            .collect()
    }
}

fn group_name(gid: u32) -> String {
    uzers::get_group_by_gid(gid).map_or_else(
        || gid.to_string(),
        |group| group.name().to_string_lossy().into_owned(),
    )
}

/// The number of the user whose rights this process has.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether this process has root's rights.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether root started this process, even if it has other rights now.
pub fn is_started_by_root() -> bool {
    rustix::process::getuid().is_root()
}

/// Runs a function with the rights of another user, on a separate thread that ends with
/// it. Only root can do this.
///
/// # Errors
///
/// This process may not use that user's rights.
pub fn as_user<T: Send>(user: &User, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    // A lookup may need rights that the user does not have.
    let groups = user.groups();
    let on_its_thread = || {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        Ok(work())
    };
    std::thread::scope(|threads| {
        let ended = threads.spawn(on_its_thread).join();
        ended.unwrap_or_else(|_| Err(io::Error::other("the check broke down")))
    })
}

/// What keeps the user of this thread from reading a file or entering a folder or, if
/// `write`, from changing it. None if the file does not exist.
pub fn obstacle(path: &Path, write: Write) -> Option<Obstacle> {
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    let closed = folders
        .into_iter()
        .find(|folder| !folder.as_os_str().is_empty() && is_denied(folder, Access::EXEC_OK));
    if let Some(folder) = closed {
        return Some(Obstacle::Folder(folder.to_owned()));
    }
    let mut wanted = Access::READ_OK;
    if path.is_dir() {
        wanted |= Access::EXEC_OK;
    }
    if write == Write::Wanted {
        wanted |= Access::WRITE_OK;
    }
    is_denied(path, wanted).then(|| Obstacle::File(path.to_owned()))
}

/// Whether a file will be changed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It will be.
    Wanted,
    /// It will only be read.
    NotWanted,
}

fn is_denied(path: &Path, access: Access) -> bool {
    let denied = [rustix::io::Errno::ACCESS, rustix::io::Errno::PERM];
    let asked = rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS);
    asked.is_err_and(|error| denied.contains(&error))
}

/// Why this process cannot read a file, and what to do: who should own the file, and
/// `fix` if the process runs as a service and can be given access.
pub fn denied(path: &Path, fix: impl Fn(&User) -> String) -> String {
    let me = User::of_this_process();
    let why = match obstacle(path, Write::NotWanted) {
        Some(Obstacle::Folder(folder)) => {
            format!("user {} may not enter {}", me.name, folder.display())
        }
        Some(Obstacle::File(_)) | None => match fs::metadata(path) {
            Ok(metadata) => {
                let owner = User::owning(&metadata).name;
                let mode = files::mode(&metadata);
                format!(
                    "it belongs to {owner} (mode {mode:04o}), and this is user {}",
                    me.name
                )
            }
            Err(_) => format!("user {} may not see it", me.name),
        },
    };
    if me.is_for_services() {
        format!("{why}: {}", fix(&me))
    } else {
        format!("{why}: run this with sudo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = User::named("root").unwrap();

        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(User::numbered(0, 5), root);
        assert!(root.groups().contains(&Gid::ROOT));
        assert_eq!(User::named("no such user"), None);
    }

    #[test]
    fn an_unknown_user_is_called_by_its_number() {
        let (uid, gid) = (4_000_000_001, 4_000_000_002);

        let unknown = User::numbered(uid, gid);

        assert_eq!((unknown.uid, unknown.gid), (uid, gid));
        assert_eq!(unknown.name, "4000000001");
        assert_eq!(unknown.group, "4000000002");
        assert_eq!(unknown.as_owner(), "4000000001:4000000002");
    }
}
