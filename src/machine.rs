//! The users of this machine, and what one of them may read and write.
//!
//! Root may read everything, so what root can read says nothing about what the
//! service can. [`as_user`] runs checks on a thread with another user's rights
//! and lets the kernel decide: modes, access control lists and mounts all count.
//! What to do about an [`Obstacle`] is left to whoever asks.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Access;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Gid;
use rustix::fs::Uid;

/// The user that `systemd/sysusers.d/graph-relay.conf` makes.
pub const SERVICE_USER: &str = "graph-relay";

/// A user and the groups that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name, or its number where the machine has no name for it.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// The name of that group, or its number.
    pub group: String,
    /// The other groups.
    pub groups: Vec<u32>,
}

/// What keeps a user from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The user may not enter this folder, which is on the way.
    Folder(PathBuf),
    /// The user may not read the file itself, or not write to it.
    File(PathBuf),
}

impl User {
    /// The user of this name.
    pub fn named(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        Self::find(&users, &groups, |user| user.name == name)
    }

    /// The user of this number; `gid` is its group where the machine has no such
    /// user.
    pub fn numbered(uid: u32, gid: u32) -> Self {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        let unknown = || Self {
            name: uid.to_string(),
            uid,
            gid,
            group: group_name(&groups, gid),
            groups: Vec::new(),
        };
        Self::find(&users, &groups, |user| user.uid == uid).unwrap_or_else(unknown)
    }

    /// The user of this process.
    pub fn of_this_process() -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Self::numbered(uid.as_raw(), gid.as_raw())
    }

    /// As chown(1) wants an owner: with the user's group.
    pub fn as_owner(&self) -> String {
        match self.name.parse::<u32>() {
            // Only a name may leave the group out.
            Ok(uid) => format!("{uid}:{}", self.gid),
            Err(_) => format!("{}:", self.name),
        }
    }

    /// Whether it is one that services run as, and not a person (login.defs(5),
    /// SYS_UID_MAX).
    pub fn is_for_services(&self) -> bool {
        (1..1000).contains(&self.uid)
    }

    /// passwd(5) and group(5).
    fn find(users: &str, groups: &str, is: impl Fn(&Self) -> bool) -> Option<Self> {
        let users = users.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            let (group, groups) = (group_name(groups, gid), groups_of(groups, &name));
            Some(Self {
                name,
                uid,
                gid,
                group,
                groups,
            })
        });
        users.into_iter().find(is)
    }
}

fn group_name(groups: &str, gid: u32) -> String {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    };
    groups
        .lines()
        .find_map(of)
        .unwrap_or_else(|| gid.to_string())
}

fn groups_of(groups: &str, name: &str) -> Vec<u32> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        let members = fields.next()?;
        members
            .split(',')
            .any(|member| member == name)
            .then_some(gid)
    };
    groups.lines().filter_map(of).collect()
}

/// Runs something with the rights of another user, on a thread of its own that
/// ends with it. Only root may.
///
/// # Errors
///
/// This process may not take that user's rights.
pub fn as_user<T: Send>(user: &User, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let on_its_thread = || {
        let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
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

/// What keeps this thread's user from reading a file or entering a folder, or, if
/// `write`, from changing it. Nothing where the file does not exist.
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

/// Whether a file is to be changed, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is.
    Wanted,
    /// It is only read.
    NotWanted,
}

fn is_denied(path: &Path, access: Access) -> bool {
    let denied = [rustix::io::Errno::ACCESS, rustix::io::Errno::PERM];
    let asked = rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS);
    asked.is_err_and(|error| denied.contains(&error))
}

/// Why this process may not read a file, and what to do: how the file belongs to
/// whom, and `fix` where the process runs as a service and can be let in.
pub fn denied(path: &Path, fix: impl Fn(&User) -> String) -> String {
    let me = User::of_this_process();
    let why = match obstacle(path, Write::NotWanted) {
        Some(Obstacle::Folder(folder)) => {
            format!("user {} may not enter {}", me.name, folder.display())
        }
        Some(Obstacle::File(_)) | None => match fs::metadata(path) {
            Ok(metadata) => {
                let owner = User::numbered(metadata.uid(), metadata.gid()).name;
                let mode = metadata.mode() & 0o7777;
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
    fn users_are_found_with_all_their_groups() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\n\
                     graph-relay:x:997:996::/var/lib/graph-relay:/usr/sbin/nologin\n";
        let groups = "root:x:0:\ngraph-relay:x:996:\nssl-cert:x:115:postgres,graph-relay\n\
                      other:x:116:graph-relay2\n";

        let found = User::find(users, groups, |user| user.uid == 997);

        let expected = User {
            name: "graph-relay".to_owned(),
            uid: 997,
            gid: 996,
            group: "graph-relay".to_owned(),
            groups: vec![115],
        };
        assert_eq!(found, Some(expected));
        assert_eq!(User::find(users, groups, |user| user.uid == 1), None);
        assert_eq!(group_name(groups, 5), "5");
    }
}
