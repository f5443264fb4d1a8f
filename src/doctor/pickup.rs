//! Checks whether the service can take messages from the pickup folders: its user's rights, what
//! the unit lets it write, and what AppArmor does.
//!
//! All of these are warnings: the relay starts all the same, and the messages wait.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use super::Finding;
use crate::config::apparmor_lines;
use crate::config::pickup_remedy;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::Obstacle;
use crate::platform::users::User;
use crate::platform::users::Write;

const CHECK: &str = "pickup";
/// In the mode of a folder: only the owner of a file may rename it.
const STICKY: u32 = 0o1000;
/// The profiles that the kernel enforces; root can read them.
const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";
/// What the administrator adds to the profile of the package.
const LOCAL_RULES: &str = "/etc/apparmor.d/local/graph-relay";

/// Checks the folders for this user; also the unit, if the user is that of the service.
pub(super) fn examine(folders: &[PathBuf], user: &User, is_service: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The configuration warns of others.
    for folder in folders.iter().filter(|it| it.is_dir()) {
        findings.extend(closed_to(user, folder));
        if is_service {
            findings.extend(hidden(folder));
            findings.extend(read_only(folder));
            findings.extend(without_rule(folder));
        }
    }
    findings
}

/// What keeps the user from reading, writing and renaming in it.
fn closed_to(user: &User, folder: &Path) -> Option<Finding> {
    let User { name, group, .. } = user;
    let shown = folder.display();
    let found = fs::metadata(folder).ok()?;
    if files::mode(&found) & STICKY != 0 && files::owner(&found).uid != user.uid {
        let words = format!(
            "the relay runs as user {name}, which may not move files of others in {shown} (sticky bit)"
        );
        return Some(Finding::warning(CHECK, words, format!("chmod -t {shown}")));
    }
    let obstacle = users::as_user(user, || users::obstacle(folder, Write::Wanted));
    let (words, fix) = match obstacle.ok()?? {
        Obstacle::Folder(above) => {
            let above = above.display();
            (
                format!("may not enter {above}, which contains {shown}"),
                format!("chgrp {group} {above}; chmod g+x {above}"),
            )
        }
        Obstacle::File(_) => (
            format!("may not read and write in {shown}"),
            format!(
                "setfacl -m u:{name}:rwx {shown}, or chgrp {group} {shown}; chmod g+rwx {shown}"
            ),
        ),
    };
    let words = format!("the relay runs as user {name}, which {words}");
    Some(Finding::warning(CHECK, words, fix))
}

/// Folders that the unit hides from the service.
fn hidden(folder: &Path) -> Option<Finding> {
    let below = |folders: &[&str]| folders.iter().any(|above| folder.starts_with(above));
    let setting = match folder {
        _ if below(&["/home", "/root", "/run/user"]) => "ProtectHome=yes",
        _ if below(&["/tmp", "/var/tmp"]) => "PrivateTmp=yes",
        _ => return None,
    };
    let shown = folder.display();
    let words = format!("graph-relay.service hides {shown} from the relay ({setting})");
    let remedy = "use a folder elsewhere, such as /srv/pickup";
    Some(Finding::warning(CHECK, words, remedy))
}

/// Folders that the unit lets the service read only (`ProtectSystem=strict`).
fn read_only(folder: &Path) -> Option<Finding> {
    // sd_booted(3).
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let mut show = Command::new("systemctl");
    let properties = "--property=ProtectSystem,ReadWritePaths";
    show.args(["show", properties, "graph-relay.service"]);
    let shown = String::from_utf8(show.output().ok()?.stdout).ok()?;
    is_read_only(&shown, folder).then(|| {
        let words = format!(
            "graph-relay.service lets the relay only read {} (ProtectSystem=strict)",
            folder.display()
        );
        Finding::warning(
            CHECK,
            words,
            pickup_remedy(folder, ErrorKind::ReadOnlyFilesystem),
        )
    })
}

/// Reads what `systemctl show` prints.
fn is_read_only(shown: &str, folder: &Path) -> bool {
    let value = |name: &str| {
        let mut lines = shown.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let mut writable = value("ReadWritePaths")
        .unwrap_or_default()
        .split_whitespace();
    value("ProtectSystem") == Some("strict")
        && !writable.any(|path| folder.starts_with(path.trim_start_matches(['-', '+'])))
}

/// Folders that AppArmor's profile of the package does not name.
fn without_rule(folder: &Path) -> Option<Finding> {
    let profiles = fs::read_to_string(PROFILES).ok()?;
    let is_enforced = |line: &str| line.starts_with("graph-relay ") && line.contains("enforce");
    if !profiles.lines().any(is_enforced) {
        return None;
    }
    let rules = fs::read_to_string(LOCAL_RULES).unwrap_or_default();
    let has_rule = folder.ancestors().any(|above| {
        let start = format!("{}/", above.display());
        above.parent().is_some() && rules.lines().any(|line| line.trim().starts_with(&start))
    });
    (!has_rule).then(|| {
        let words = format!(
            "AppArmor refuses the relay {}: {LOCAL_RULES} does not name it",
            folder.display()
        );
        let remedy = format!(
            "add {} to {LOCAL_RULES}, then run apparmor_parser --replace /etc/apparmor.d/graph-relay \
             and systemctl restart graph-relay",
            apparmor_lines(folder)
        );
        Finding::warning(CHECK, words, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_lets_the_relay_write_where_read_write_paths_says_so() {
        let strict = |paths: &str| format!("ProtectSystem=strict\nReadWritePaths={paths}\n");
        let is_read_only = |shown: &str| is_read_only(shown, Path::new("/srv/pickup"));

        assert!(is_read_only(&strict("")));
        assert!(is_read_only(&strict("/srv/pick /srv/pickup/in")));
        assert!(!is_read_only(&strict("/var/x -/srv/pickup")));
        assert!(!is_read_only(&strict("/srv")));
        assert!(!is_read_only("ProtectSystem=full\nReadWritePaths=\n"));
    }
}
