//! Warnings about settings that are allowed but probably wrong: passwords that others can
//! read, senders that anybody can use, connections that one client can take, and messages
//! that are larger than the spool or than Exchange sends.

use std::path::Path;

use ipnet::IpNet;

use super::Account;
use super::Authentication;
use super::Config;
use super::Listener;
use super::Mailbox;
use super::OTHER_SHARES;
use super::Problem;
use super::ProblemKind;
use super::ProxyUrl;
use super::Tls;
use super::reader::Problems;
use crate::platform::files;
use crate::platform::users::SERVICE_USER;

/// Adds warnings about the text of the file.
pub(super) fn of_text(config: &Config, problems: &Problems<'_>) {
    for listener in &config.listeners {
        if let Some(message) = clear_passwords(listener) {
            problems.warn(listener.place.clone(), &message);
        }
        if let Some(message) = any_password(listener) {
            problems.warn(listener.place.clone(), &message);
        }
        for account in &config.accounts {
            if let Some(message) = any_sender(account, listener) {
                problems.warn(listener.place.clone(), &message);
            }
        }
    }
    let of_limits = [
        one_takes_all(config),
        nothing_kept(config),
        never_fits(config),
        never_sent(config),
    ];
    for message in of_limits.iter().flatten() {
        problems.warn(None, message);
    }
}

fn never_fits(config: &Config) -> Option<String> {
    let limits = &config.limits;
    let largest = limits.largest_message();
    (largest < limits.message_size).then(|| {
        format!(
            "limits.message_size is larger than limits.spool_size can hold, so the relay refuses \
             messages of more than {largest} bytes: raise spool_size, or lower message_size"
        )
    })
}

/// The most that `MaxSendSize` of a mailbox can be (Exchange Online limits).
const MOST_SENT: u64 = 150 * 1024 * 1024;

fn never_sent(config: &Config) -> Option<String> {
    (config.limits.message_size > MOST_SENT).then(|| {
        "limits.message_size is more than Exchange sends, 150 MB with the encoding included, so \
         the relay accepts messages that always fail later: lower it to \"150 MB\", or to the \
         MaxSendSize of the mailbox"
            .to_owned()
    })
}

fn one_takes_all(config: &Config) -> Option<String> {
    let (all, one) = (
        config.limits.connections,
        config.limits.connections_per_client,
    );
    (one >= all).then(|| {
        format!(
            "limits.connections_per_client = {one} lets one client take all connections \
             (limits.connections = {all}): lower it, or raise connections"
        )
    })
}

fn nothing_kept(config: &Config) -> Option<String> {
    let (limits, listeners) = (&config.limits, config.listeners.len());
    let least = listeners + OTHER_SHARES;
    let is_too_few = limits.reserved_connections > 0 && limits.connections < least;
    is_too_few.then(|| {
        format!(
            "limits.connections = {} is too few to reserve any for each listener and for this \
             machine, so reserved_connections has no effect and a flood on one listener can take \
             all connections: set connections to at least {least}, for {listeners} [[listener]]",
            limits.connections
        )
    })
}

fn clear_passwords(listener: &Listener) -> Option<String> {
    let has_passwords = match listener.authentication {
        Authentication::Off | Authentication::Any => false,
        Authentication::Optional | Authentication::Required => true,
    };
    let is_clear = listener.tls == Tls::Off && has_passwords;
    let reached = listener.networks.iter().any(is_beyond_loopback);
    let message = format!(
        "authentication: passwords cross the network unencrypted on {}: set tls = \
         \"starttls-required\" or \"implicit\" (needs [tls]); for devices without TLS, name their \
         addresses in networks of a listener without authentication",
        listener.address
    );
    (is_clear && reached && !listener.is_local()).then_some(message)
}

fn any_password(listener: &Listener) -> Option<String> {
    let networks: Vec<String> = listener.networks.iter().map(IpNet::to_string).collect();
    (listener.authentication == Authentication::Any).then(|| {
        format!(
            "authentication = \"any\": {} accepts every name and password without checking them, so \
             every program in {} may send, as without authentication. Give the clients a password \
             that you use nowhere else: it may cross the network unencrypted",
            listener.address,
            networks.join(", ")
        )
    })
}

/// A listener that lets every machine of a network send as anybody, without a password.
fn any_sender(account: &Account, listener: &Listener) -> Option<String> {
    let open = match listener.authentication {
        Authentication::Off | Authentication::Optional | Authentication::Any => &listener.networks,
        Authentication::Required => &listener.anonymous_networks,
    };
    let whole = |network: &&IpNet| {
        is_beyond_loopback(network) && network.prefix_len() < network.max_prefix_len()
    };
    let wide = account.senders.iter().find(|senders| senders.is_wide());
    let (network, senders) = open.iter().find(whole).zip(wide)?;
    if account.mailbox != Mailbox::From || listener.is_local() {
        return None;
    }
    Some(format!(
        "every machine in {network} can send as anybody ({senders}) through {} without a \
         password, because [[account]] {:?} has mailbox = \"from\": set authentication = \
         \"required\", name single machines in networks, or single addresses in senders",
        listener.address, account.name
    ))
}

fn is_beyond_loopback(network: &IpNet) -> bool {
    !(network.network().is_loopback() && network.broadcast().is_loopback())
}

/// Returns a warning about who may read the file with this text.
pub(super) fn of_file(config: &Config, path: &Path, text: &str) -> Option<Problem> {
    let metadata = std::fs::metadata(path).ok()?;
    let mode = files::mode(&metadata);
    let proxy = config.http.proxy.as_ref();
    // Environment variables may have them instead.
    let held = if !config.users.is_empty() && text.contains("password_hash") {
        "password hashes"
    } else if proxy.is_some_and(ProxyUrl::has_password) && text.contains("proxy") {
        "the proxy's password"
    } else {
        return None;
    };
    if mode & 0o004 == 0 {
        return None;
    }
    let shown = path.display();
    let group = match files::owner(&metadata).uid {
        0 => format!("chgrp {} {shown}; ", SERVICE_USER),
        _ => String::new(),
    };
    Some(Problem {
        place: None,
        message: format!(
            "everybody on this machine can read this file (mode {mode:04o}), and it contains {held}: \
             {group}chmod 640 {shown}"
        ),
        kind: ProblemKind::Wrong,
    })
}
