//! Checks whether the service's user may read what relay.toml names, and store messages.
//!
//! Root may read every file, so root asks the kernel with the rights of the service
//! ([`users::as_user`]). Any other user has read the files with its own rights when the
//! configuration was loaded.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use super::Finding;
use super::pickup;
use crate::config;
use crate::config::Config;
use crate::config::Credential;
use crate::credentials::SecretSource;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::Obstacle;
use crate::platform::users::SERVICE_USER;
use crate::platform::users::User;
use crate::platform::users::Write;

const CHECK: &str = "access";

/// A file that the service needs.
struct Needed {
    what: &'static str,
    path: PathBuf,
    /// Its path without links, as root sees it.
    target: PathBuf,
    kind: Kind,
}

/// How the service's user gets access.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It must be the owner, because nobody else may read it.
    Secret,
    /// Its group may read it.
    Shared,
    /// Its own folder.
    Folder,
}

/// Returns what the service could not do; nothing if the caller is not root, or if the
/// service runs as root.
pub fn examine(config: &Config, file: &Path) -> Vec<Finding> {
    if !users::is_root() {
        return Vec::new();
    }
    let is_service = config::is_of_the_service(file);
    let mut findings = Vec::new();
    if is_service && is_unit_installed() && unit_user().is_none() {
        findings.push(Finding::failure(
            CHECK,
            format!("the service runs as user {SERVICE_USER}, but that user does not exist"),
            "create it: systemd-sysusers",
        ));
    }
    let Some(user) = service_user(config, is_service) else {
        return findings;
    };
    let needed = needed(config, file, is_service);
    if is_service {
        findings.extend(needed.iter().filter_map(hidden));
    }
    match users::as_user(&user, || obstacles(&needed)) {
        Ok(obstacles) => {
            let closed = needed.iter().zip(obstacles);
            findings.extend(closed.filter_map(|(needed, obstacle)| {
                obstacle.map(|obstacle| closed_to(&user, needed, &obstacle))
            }));
        }
        Err(error) => findings.push(Finding::warning(
            CHECK,
            format!(
                "cannot test here which files user {} may read: {error}",
                user.name
            ),
            format!(
                "test it with: runuser -u {} -- graph-relay check --config {}",
                user.name,
                file.display()
            ),
        )),
    }
    findings.extend(pickup::examine(&config.pickups, &user, is_service));
    if findings.is_empty() {
        let words = format!(
            "user {} may read everything that {} names",
            user.name,
            file.display()
        );
        findings.push(Finding::ok(CHECK, words));
    }
    findings
}

/// Returns the user that the unit names; or else the owner of the messages, unless that is
/// root: then the relay runs as root.
fn service_user(config: &Config, is_service: bool) -> Option<User> {
    if let Some(user) = is_service.then(unit_user).flatten() {
        return Some(user).filter(|user| user.uid != 0);
    }
    let folder = fs::metadata(&config.data_dir).ok()?;
    (files::owner(&folder).uid != 0).then(|| User::owning(&folder))
}

/// As systemd sees the unit with all drop-ins, where systemd runs; else as the package has
/// it.
fn unit_user() -> Option<User> {
    // sd_booted(3).
    if Path::new("/run/systemd/system").is_dir() {
        let mut show = Command::new("systemctl");
        show.args(["show", "--property=User", "--value", "graph-relay.service"]);
        let name = show.output().ok().map(|output| output.stdout);
        let name = name.and_then(|name| String::from_utf8(name).ok());
        if let Some(user) = name.and_then(|name| User::named(name.trim())) {
            return Some(user);
        }
    }
    User::named(SERVICE_USER)
}

fn is_unit_installed() -> bool {
    [
        "/etc/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    .iter()
    .any(|folder| Path::new(folder).join("graph-relay.service").exists())
}

fn needed(config: &Config, file: &Path, is_service: bool) -> Vec<Needed> {
    let mut needed = Vec::new();
    if !config.origin.is_file_missing {
        needed.push(shared("the configuration", file));
    }
    for account in &config.accounts {
        match &account.credential {
            Credential::Secret {
                source: SecretSource::File(path),
                ..
            } => needed.push(Needed::new("the client secret", path, Kind::Secret)),
            Credential::Certificate(files) => {
                needed.push(shared("the certificate", &files.certificate_file));
                needed.push(shared("the private key", &files.private_key_file));
            }
            Credential::FederatedToken(path) => needed.push(shared("the federated token", path)),
            // systemd gives a credential to the service itself.
            Credential::Secret { .. } | Credential::ManagedIdentity(_) | Credential::Nothing => {}
        }
    }
    if let Some(files) = &config.tls {
        needed.push(shared(
            "the listeners' certificate",
            &files.certificate_file,
        ));
        needed.push(shared(
            "the listeners' private key",
            &files.private_key_file,
        ));
    }
    for alert in &config.alerts {
        if let config::alerts::AlertTarget::Webhook(webhook) = &alert.target
            && let Some(SecretSource::File(path)) = &webhook.secret
        {
            needed.push(Needed::new("the webhook's secret", path, Kind::Secret));
        }
    }
    if let Some(path) = &config.http.ca_file {
        needed.push(shared("http.ca_file", path));
    }
    // systemd creates this folder before each start, and gives it to the service.
    if !(is_service && config::is_state_folder(&config.data_dir)) {
        needed.push(Needed::new("data_dir", &config.data_dir, Kind::Folder));
    }
    // What systemd hands over belongs to the service already.
    needed.retain(|needed| !needed.path.starts_with("/run/credentials"));
    needed
}

fn shared(what: &'static str, path: &Path) -> Needed {
    Needed::new(what, path, Kind::Shared)
}

impl Needed {
    fn new(what: &'static str, path: &Path, kind: Kind) -> Self {
        Self {
            what,
            path: path.to_owned(),
            target: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            kind,
        }
    }
}

/// Runs with the rights of the service.
fn obstacles(needed: &[Needed]) -> Vec<Option<Obstacle>> {
    needed.iter().map(obstacle).collect()
}

fn obstacle(needed: &Needed) -> Option<Obstacle> {
    let Needed {
        path, target, kind, ..
    } = needed;
    if *kind != Kind::Folder {
        // A link may lead to a folder that the service may not enter.
        let target = users::obstacle(target, Write::NotWanted);
        return match users::obstacle(path, Write::NotWanted) {
            Some(Obstacle::Folder(folder)) => Some(Obstacle::Folder(folder)),
            Some(Obstacle::File(_)) | None => target,
        };
    }
    // The relay creates what is missing.
    let there = path.ancestors().find(|folder| folder.exists());
    let at = there.unwrap_or(path);
    users::obstacle(at, Write::Wanted)
}

fn closed_to(user: &User, needed: &Needed, obstacle: &Obstacle) -> Finding {
    let User { name, group, .. } = user;
    let owner = user.as_owner();
    let Needed {
        what, path, kind, ..
    } = needed;
    let shown = path.display();
    let (why, fix) = match obstacle {
        Obstacle::Folder(folder) => {
            let folder = folder.display();
            let fix = format!("chgrp {group} {folder}; chmod g+x {folder}");
            (
                format!("may not enter {folder}, which contains {shown}"),
                fix,
            )
        }
        Obstacle::File(_) => match kind {
            Kind::Secret => (
                format!("may not read {shown}"),
                format!("chown {owner} {shown}"),
            ),
            Kind::Shared => (
                format!("may not read {shown}"),
                format!("chgrp {group} {shown}; chmod g+r {shown}"),
            ),
            Kind::Folder if path.exists() => (
                format!("may not write to {shown}"),
                format!("chown -R {owner} {shown}"),
            ),
            Kind::Folder => (
                format!("may not create {shown}"),
                format!("install -d -o {name} -g {group} -m 700 {shown}"),
            ),
        },
    };
    let words = format!("{what}: the service runs as user {name}, which {why}");
    Finding::failure(CHECK, words, fix)
}

/// Returns what the unit hides from the service, whatever the modes say.
fn hidden(needed: &Needed) -> Option<Finding> {
    let Needed { what, path, .. } = needed;
    let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    let setting = if below(&["/home", "/root", "/run/user"]) {
        "ProtectHome=yes"
    } else if below(&["/tmp", "/var/tmp"]) {
        "PrivateTmp=yes"
    } else {
        return None;
    };
    let words = format!(
        "{what}: graph-relay.service hides {} from the relay ({setting})",
        path.display()
    );
    let remedy = "move it to /etc/graph-relay, and write the new path into relay.toml";
    Some(Finding::warning(CHECK, words, remedy))
}
