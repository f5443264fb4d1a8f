//! What the relay needs of its machine: its configuration and files, a spool with
//! room, its ports.

use std::fmt::Display;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Finding;
use crate::admin::Status;
use crate::auth::Ending;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::Listener;
use crate::config::PRIVILEGED_PORTS;
use crate::config::Presence;

/// Whether the configuration can be run; all that is wrong with it if not.
pub(super) fn configuration(file: &Path) -> (Vec<Finding>, Option<Config>) {
    let check = "configuration";
    match Config::load(file) {
        Ok(config) => {
            let remedy = "change it where it says";
            let warning =
                |it: &crate::config::Problem| Finding::warning(check, it.in_file(file), remedy);
            let mut findings = vec![Finding::ok(check, format!("{} is correct", file.display()))];
            findings.extend(config.warnings.iter().map(warning));
            (findings, Some(config))
        }
        Err(error) => {
            let remedy = "mend it, then run doctor again";
            let problems = error.problems.iter();
            let failure =
                |it: &crate::config::Problem| Finding::failure(check, it.in_file(file), remedy);
            (problems.map(failure).collect(), None)
        }
    }
}

pub(super) fn examine(config: &Config, file: &Path, running: Option<&Status>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(relay_toml(file));
    findings.extend(data_dir(config));
    findings.push(queue(config, running));
    findings.extend(space(config));
    match running {
        Some(status) => findings.push(listening(status)),
        None => findings.extend(ports(config)),
    }
    findings.extend(certificate(config));
    findings
}

/// Whoever can write it can send as everybody.
fn relay_toml(file: &Path) -> Option<Finding> {
    let mode = fs::metadata(file).ok()?.mode() & 0o7777;
    (mode & 0o002 != 0).then(|| {
        let path = file.display();
        Finding::failure(
            "files",
            format!("{path} can be changed by everybody (mode {mode:04o})"),
            format!("chmod o-w {path}"),
        )
    })
}

/// Everything in it must be the relay's own.
fn data_dir(config: &Config) -> Vec<Finding> {
    let (check, folder) = ("files", &config.data_dir);
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let words = format!("{shown} is not there yet: the relay makes it when it starts");
            return vec![Finding::ok(check, words)];
        }
        Err(error) => {
            let remedy = "run doctor as root, or as the relay's user";
            return vec![Finding::failure(check, format!("{shown}: {error}"), remedy)];
        }
    };
    if let Some(finding) = unusable(&shown, &metadata) {
        return vec![finding];
    }
    let mut findings = Vec::new();
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        findings.push(Finding::failure(
            check,
            format!("{shown} can be read by others (mode {mode:04o}), with the messages in it"),
            format!("chmod 700 {shown}"),
        ));
    }
    let names = [
        "spool.db",
        "messages",
        "token-key",
        "sign-ins",
        "admin.sock",
    ];
    for path in names.map(|name| folder.join(name)) {
        let Ok(inside) = fs::symlink_metadata(&path) else {
            continue;
        };
        if inside.uid() != metadata.uid() {
            let (path, uid) = (path.display(), metadata.uid());
            findings.push(Finding::failure(
                check,
                format!(
                    "{path} belongs to user {}, and {shown} to user {uid}: was the relay started \
                     by hand?",
                    inside.uid()
                ),
                format!("stop the relay, then chown -R {uid} {shown}"),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(check, format!("{shown} is the relay's own")));
    }
    findings
}

/// What makes looking into it pointless.
fn unusable(shown: &dyn Display, metadata: &fs::Metadata) -> Option<Finding> {
    let check = "files";
    if !metadata.is_dir() {
        let words = format!("{shown} is no folder");
        return Some(Finding::failure(check, words, "name a folder as data_dir"));
    }
    let uid = rustix::process::geteuid();
    if !uid.is_root() && uid.as_raw() != metadata.uid() {
        let words = format!("{shown} belongs to user {}", metadata.uid());
        let remedy = "run doctor as root, or as the relay's user; a relay of this user needs \
                      another data_dir, or chown";
        return Some(Finding::failure(check, words, remedy));
    }
    None
}

fn queue(config: &Config, running: Option<&Status>) -> Finding {
    let check = "spool";
    let Some(status) = running else {
        let database = config.data_dir.join("spool.db");
        let words = match database.exists() {
            true => "the relay is stopped: what waits goes out when it starts",
            false => "the relay is stopped, and has taken no mail yet",
        };
        return Finding::ok(check, words);
    };
    let count = |state: &str| status.queue.states.get(state).copied().unwrap_or(0);
    let (waiting, failed) = (count("waiting"), count("failed"));
    let aside = count("quarantined") + count("held");
    let words = format!("{waiting} waiting, {failed} failed, {aside} held or put aside");
    if count("quarantined") > 0 {
        let remedy = "graph-relay queue list --filter state=quarantined";
        return Finding::warning(check, words, remedy);
    }
    Finding::ok(check, words)
}

/// Below `free_space` clients are told to come again.
fn space(config: &Config) -> Option<Finding> {
    let check = "disk";
    // Of the folder, or of where it will be.
    let mut there = config.data_dir.ancestors().filter(|path| path.exists());
    let folder = there.next()?;
    let disk = rustix::fs::statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let least = config.limits.free_space;
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let words = format!(
        "{} MB free for {}",
        megabytes(free),
        config.data_dir.display()
    );
    let needed = format!("{words}; limits.free_space is {} MB", megabytes(least));
    Some(if free < least {
        let remedy = "make room: below limits.free_space clients are told 452 and keep their mail";
        Finding::failure(check, needed, remedy)
    } else if free < least.saturating_mul(2) {
        Finding::warning(check, needed, "make room before it is used up")
    } else {
        Finding::ok(check, words)
    })
}

fn listening(status: &Status) -> Finding {
    let addresses: Vec<String> = status.listeners.iter().map(ToString::to_string).collect();
    Finding::ok(
        "ports",
        format!("the relay runs and listens on {}", addresses.join(" ")),
    )
}

/// Whether the stopped relay could take its addresses.
fn ports(config: &Config) -> Vec<Finding> {
    let listeners = config.listeners.iter();
    listeners.map(port).collect()
}

fn port(listener: &Listener) -> Finding {
    let check = "ports";
    let address = listener.address;
    let port = address.port();
    match TcpListener::bind(address) {
        Ok(_) if (1..1024).contains(&port) && rustix::process::geteuid().is_root() => {
            Finding::warning(
                check,
                format!(
                    "{address} is free; for a port below 1024 the service needs a drop-in with {}",
                    PRIVILEGED_PORTS.join(", ")
                ),
                "systemctl cat graph-relay shows whether it has these lines; systemctl edit \
                 graph-relay adds them",
            )
        }
        Ok(_) => Finding::ok(check, format!("{address} is free (the relay is stopped)")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::failure(
            check,
            format!("{address}: another program has it, and it is not this relay"),
            format!(
                "find it with ss -ltnp 'sport = :{port}' and stop it (Postfix, Exim?), or choose \
                 another port in relay.toml"
            ),
        ),
        Err(error) if is_left_out(listener, &error) => {
            Finding::ok(check, format!("{address} is left out: no IPv6 here"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Finding::failure(
            check,
            format!("{address}: this machine does not have that address now"),
            "correct it in relay.toml (ip address shows those that are there), or wait: systemd \
             starts the relay again until it is there",
        ),
        Err(error) => Finding::failure(
            check,
            format!("{address}: {error}"),
            "choose an address of this machine, and a port from 1024 or the capability for it",
        ),
    }
}

/// The default listener on `[::1]`, on a machine without IPv6.
fn is_left_out(listener: &Listener, error: &io::Error) -> bool {
    listener.presence == Presence::WhereAvailable
        && (error.kind() == io::ErrorKind::AddrNotAvailable
            || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()))
}

/// Of the listeners.
fn certificate(config: &Config) -> Option<Finding> {
    let check = "certificate";
    let files = config.tls.as_ref()?;
    let shown = files.certificate_file.display();
    let at = match files.ends() {
        Ok(at) => at,
        Err(error) => {
            let remedy = "put certificate and key in place, in PEM";
            return Some(Finding::failure(check, error.to_string(), remedy));
        }
    };
    let (now, remedy) = (
        Clock::System.now(),
        "put a new certificate in place: it is used at once",
    );
    let ending = Ending {
        what: "certificate",
        at,
    };
    Some(if ending.is_past(now) {
        Finding::failure(check, format!("{shown} has expired on {at}"), remedy)
    } else if ending.is_near(now) {
        Finding::warning(check, format!("{shown} expires on {at}"), remedy)
    } else {
        Finding::ok(check, format!("{shown} is good until {at}"))
    })
}
