//! Checks what the relay needs on its machine: its configuration and files, a spool with
//! free space, its ports.

use std::fmt::Display;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::Path;

use super::Finding;
use super::Heard;
use crate::admin::Status;
use crate::auth::Ending;
use crate::clock::Clock;
use crate::clock::span_in_words;
use crate::config::Config;
use crate::config::Environment;
use crate::config::ListenAddress;
use crate::config::Listener;
use crate::config::PRIVILEGED_PORTS;
use crate::config::Presence;
use crate::credentials::is_out_of_reach;
use crate::disk;
use crate::platform::errors;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::User;
use crate::spool;
use crate::spool::SpoolError;
use crate::spool::State;

/// Checks whether the configuration can be used, and reports everything that is wrong.
pub(super) fn configuration(
    file: &Path,
    environment: Environment,
) -> (Vec<Finding>, Option<Config>) {
    let check = "configuration";
    match Config::load_with(file, environment) {
        Ok(config) => {
            // The text of a warning says what to change.
            let warning = |it: &crate::config::Problem| Finding {
                remedy: None,
                ..Finding::warning(check, it.in_file(file), "")
            };
            let mut findings = vec![Finding::ok(check, correct(&config, file))];
            findings.extend(config.warnings.iter().map(warning));
            (findings, Some(config))
        }
        Err(error) => {
            let remedy = "fix it, then run: graph-relay doctor";
            let problems = error.problems.iter();
            let failure =
                |it: &crate::config::Problem| Finding::failure(check, it.in_file(file), remedy);
            (problems.map(failure).collect(), None)
        }
    }
}

/// Says where the configuration comes from.
fn correct(config: &Config, file: &Path) -> String {
    let variables = config.origin.variables.len();
    let file = file.display();
    match (config.origin.is_file_missing, variables) {
        (true, _) => format!(
            "the configuration in {variables} environment variables is correct (there is no {file})"
        ),
        (false, 0) => format!("{file} is correct"),
        (false, _) => format!(
            "{file} is correct, with {variables} values from environment variables (graph-relay \
             check names them)"
        ),
    }
}

pub(super) fn examine(config: &Config, file: &Path, heard: &Heard) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(relay_toml(file));
    findings.extend(data_dir(config));
    match heard {
        Heard::Status(status) => {
            findings.push(queue(config, Some(status)));
            findings.extend(of_running(status));
        }
        Heard::Stopped => findings.push(queue(config, None)),
        Heard::Unheard(_) => {}
    }
    findings.extend(space(config));
    match heard {
        Heard::Status(status) => findings.push(listening(status)),
        Heard::Stopped => findings.extend(ports(config)),
        Heard::Unheard(why) => {
            let remedy = "until it answers, doctor cannot test its ports and its queue";
            findings.push(Finding::failure("relay", why.clone(), remedy));
        }
    }
    findings.extend(certificate(config));
    findings
}

/// Whoever can write it can send as everybody.
fn relay_toml(file: &Path) -> Option<Finding> {
    let mode = files::mode(&fs::metadata(file).ok()?);
    (mode & 0o002 != 0).then(|| {
        let path = file.display();
        Finding::failure(
            "files",
            format!("{path} can be changed by everybody (mode {mode:04o})"),
            format!("chmod o-w {path}"),
        )
    })
}

/// Everything in it must belong to the relay.
fn data_dir(config: &Config) -> Vec<Finding> {
    let (check, folder) = ("files", &config.data_dir);
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let words = format!("{shown} does not exist yet: the relay creates it when it starts");
            return vec![Finding::ok(check, words)];
        }
        Err(error) => {
            let remedy = "run doctor with sudo";
            return vec![Finding::failure(check, format!("{shown}: {error}"), remedy)];
        }
    };
    if let Some(finding) = unusable(&shown, &metadata) {
        return vec![finding];
    }
    let mut findings = Vec::new();
    let mode = files::mode(&metadata);
    if mode & 0o077 != 0 {
        findings.push(Finding::failure(
            check,
            format!("{shown} can be read by others (mode {mode:04o}), with the messages in it"),
            format!("chmod 700 {shown}"),
        ));
    }
    findings.extend(foreign(folder, &metadata));
    if findings.is_empty() {
        findings.push(Finding::ok(
            check,
            format!("{shown} belongs to the relay, and nobody else can read it"),
        ));
    }
    findings
}

/// Reports files of other users in it, which the relay may not be able to read or change.
fn foreign(folder: &Path, metadata: &fs::Metadata) -> Option<Finding> {
    let mut count = 0_usize;
    let mut first = None;
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let Ok(inside) = entry.metadata() else {
                continue;
            };
            if files::owner(&inside).uid != files::owner(metadata).uid {
                count += 1;
                let found = || (entry.path(), User::owning(&inside));
                first.get_or_insert_with(found);
            }
            if inside.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    let (path, user) = first?;
    let owner = User::owning(metadata);
    let shown = folder.display();
    let others = match count {
        1 => String::new(),
        count => format!(", and so do {} more files", count - 1),
    };
    Some(Finding::failure(
        "files",
        format!(
            "{} belongs to user {}{others}, but {shown} belongs to user {}: was the relay \
             started by hand?",
            path.display(),
            user.name,
            owner.name
        ),
        format!(
            "stop the relay, then: chown -R {} {shown}",
            owner.as_owner()
        ),
    ))
}

/// Reports what makes further checks of the folder pointless.
fn unusable(shown: &dyn Display, metadata: &fs::Metadata) -> Option<Finding> {
    let check = "files";
    if !metadata.is_dir() {
        let words = format!("{shown} is not a folder");
        return Some(Finding::failure(check, words, "set data_dir to a folder"));
    }
    if !users::is_root() && users::own_uid() != files::owner(metadata).uid {
        let owner = User::owning(metadata).name;
        let words = format!("{shown} belongs to user {owner}");
        let remedy =
            "run doctor with sudo; to run the relay as your own user, set another data_dir";
        return Some(Finding::failure(check, words, remedy));
    }
    None
}

fn queue(config: &Config, running: Option<&Status>) -> Finding {
    let check = "spool";
    let Some(status) = running else {
        if let Err(error) = spool::would_open(&config.data_dir) {
            // The error with which `serve` would end.
            if let SpoolError::Refused(refusal) = &error {
                return Finding::failure(check, refusal.found(), refusal.remedy());
            }
            let remedy = if matches!(error, SpoolError::Format { .. }) {
                "start the version named here"
            } else {
                "run doctor with sudo"
            };
            return Finding::failure(check, error.to_string(), remedy);
        }
        match spool::upgrade_ahead(&config.data_dir, config.limits.free_space) {
            Ok(Some(upgrade)) => {
                return Finding::ok(check, format!("the relay is stopped: {upgrade}"));
            }
            Ok(None) => {}
            Err(error) => {
                let remedy = "free up space on its disk, or move the copy to another disk";
                return Finding::failure(check, error.to_string(), remedy);
            }
        }
        let database = config.data_dir.join("spool.db");
        let words = match database.exists() {
            true => "the relay is stopped: it sends waiting mail when it starts",
            false => "the relay is stopped and has not accepted any mail yet",
        };
        return Finding::ok(check, words);
    };
    let count = |state| status.queue.count(state);
    let (waiting, failed) = (count(State::Waiting), count(State::Failed));
    let stopped = count(State::Quarantined) + count(State::Held);
    let mut words = format!("{waiting} waiting, {failed} failed, {stopped} held or quarantined");
    if let Some(length) = config.history_content {
        let length = span_in_words(length);
        words += &format!("; the content of delivered and dropped messages is kept for {length}");
    }
    if count(State::Quarantined) > 0 {
        let remedy = "graph-relay queue list --filter state=quarantined";
        return Finding::warning(check, words, remedy);
    }
    Finding::ok(check, words)
}

/// Reports what the running relay knows of its spool and its pickup folders.
fn of_running(status: &Status) -> Vec<Finding> {
    let check = "spool";
    let mut findings = Vec::new();
    if let Some(full) = &status.full {
        let remedy = match status.is_database_gone {
            true => {
                "restart the relay: systemctl restart graph-relay; until then clients get 451 and keep \
                 their mail"
            }
            false => "free up space as described; until then clients get 452 and keep their mail",
        };
        findings.push(Finding::failure(check, full, remedy));
    }
    if let Some(error) = status.spool_error.as_ref().filter(|it| it.is_recent()) {
        let words = format!(
            "errors while writing or reading the spool: {}, the last one at {}: {}",
            error.count, error.at, error.reason
        );
        let remedy = "check the disk (journalctl -k, df, mount); once it works again, run \
                      graph-relay spool check";
        findings.push(Finding::failure(check, words, remedy));
    }
    let pickups = status.pickups.iter();
    findings.extend(pickups.map(|it| Finding::failure("pickup", &it.reason, &it.remedy)));
    findings
}

/// Below `free_space` clients get 452 and try again later.
fn space(config: &Config) -> Option<Finding> {
    let check = "disk";
    // Of the folder, or of the one in which it will be.
    let mut there = config.data_dir.ancestors().filter(|path| path.exists());
    let folder = there.next()?;
    let free = disk::free_space(folder).ok()?;
    let least = config.limits.free_space;
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let words = format!(
        "{} MB free for {}",
        megabytes(free),
        config.data_dir.display()
    );
    let needed = format!("{words}; limits.free_space is {} MB", megabytes(least));
    Some(if free < least {
        let remedy = "free up space: below limits.free_space clients get 452 and keep their mail";
        Finding::failure(check, needed, remedy)
    } else if free < least.saturating_mul(2) {
        Finding::warning(check, needed, "free up space before the disk is full")
    } else {
        Finding::ok(check, words)
    })
}

fn listening(status: &Status) -> Finding {
    let addresses: Vec<String> = status.listeners.iter().map(ToString::to_string).collect();
    Finding::ok(
        "ports",
        format!(
            "the relay is running and listens on {}",
            addresses.join(" ")
        ),
    )
}

/// Checks whether the stopped relay could listen on its addresses.
fn ports(config: &Config) -> Vec<Finding> {
    let listeners = config.listeners.iter();
    listeners.map(port).collect()
}

fn port(listener: &Listener) -> Finding {
    let check = "ports";
    let address = match &listener.address {
        ListenAddress::Socket(address) => *address,
        ListenAddress::Systemd(name) => {
            let words = format!(
                "{}: doctor cannot test this: systemd opens the socket and passes it to the \
                 service (systemctl status graph-relay-{name}.socket shows it)",
                listener.address
            );
            return Finding::ok(check, words);
        }
    };
    let port = address.port();
    match TcpListener::bind(address) {
        Ok(_) if (1..1024).contains(&port) && users::is_root() => Finding::warning(
            check,
            format!(
                "{address} is free; for a port below 1024 the service needs a drop-in with {}",
                PRIVILEGED_PORTS.join(", ")
            ),
            "check with systemctl cat graph-relay whether it has these lines; if not, add them \
                 with systemctl edit graph-relay",
        ),
        Ok(_) => Finding::ok(check, format!("{address} is free (the relay is stopped)")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::failure(
            check,
            format!("{address}: another program uses this port, and it is not this relay"),
            format!(
                "find the program with ss -ltnp 'sport = :{port}' and stop it (Postfix, Exim?), or \
                 choose another port in relay.toml"
            ),
        ),
        Err(error) if is_left_out(listener, &error) => Finding::ok(
            check,
            format!("{address} is not used: this machine has no IPv6"),
        ),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Finding::failure(
            check,
            format!("{address}: this machine does not have this address at the moment"),
            "correct it in relay.toml (the command ip address shows the addresses of this machine), \
             or wait: systemd restarts the relay until the address appears",
        ),
        Err(error) => Finding::failure(
            check,
            format!("{address}: {error}"),
            "choose an address of this machine and a port from 1024; a lower port needs a capability",
        ),
    }
}

/// The default listener on `[::1]`, on a machine without IPv6.
fn is_left_out(listener: &Listener, error: &io::Error) -> bool {
    listener.presence == Presence::WhereAvailable
        && (error.kind() == io::ErrorKind::AddrNotAvailable || errors::is_no_such_family(error))
}

/// Checks the certificate of the listeners.
fn certificate(config: &Config) -> Option<Finding> {
    let check = "certificate";
    let files = config.tls.as_ref()?;
    let shown = files.certificate_file.display();
    if is_out_of_reach(&files.certificate_file) {
        let words = format!("doctor cannot test {shown}: only the service can read it");
        return Some(Finding::ok(check, words));
    }
    let at = match files.ends() {
        Ok(at) => at,
        Err(error) => {
            let remedy = "put the certificate and its key there, in PEM format";
            return Some(Finding::failure(check, error.to_string(), remedy));
        }
    };
    let (now, remedy) = (
        Clock::System.now(),
        "replace it with a new certificate: the relay uses it at once",
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
        Finding::ok(check, format!("{shown} is valid until {at}"))
    })
}
