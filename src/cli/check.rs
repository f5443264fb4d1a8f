//! `check`: examines relay.toml and prints all errors at once.

use std::path::Path;

use super::Exit;
use super::say;
use super::talk;
use super::talk_of_error;
use crate::clock::span_in_words;
use crate::config::Account;
use crate::config::Authentication;
use crate::config::Cloud;
use crate::config::Config;
use crate::config::FromVariable;
use crate::config::ListenAddress;
use crate::config::Listener;
use crate::config::Mailbox;
use crate::config::Origin;
use crate::config::SignIn;
use crate::config::Tls;
use crate::doctor;
use crate::doctor::Finding;
use crate::doctor::State;
use crate::spool;

pub(super) fn run(file: &Path) -> Exit {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => {
            talk_of_error(&error.to_string());
            return error.kind().into();
        }
    };
    for warning in &config.warnings {
        talk(&warning.as_warning_in(file));
    }
    let closed = doctor::access(&config, file);
    for finding in &closed {
        tell(finding, file);
    }
    // The service would not start until somebody changes that.
    if closed.iter().any(|it| it.state == State::Failure) {
        return Exit::Configuration;
    }
    summary(&config, file);
    spool(&config)
}

/// Says what the configuration means.
pub(super) fn summary(config: &Config, file: &Path) {
    say(&match config.origin.is_file_missing {
        true => format!("the environment: correct (there is no {})", file.display()),
        false => format!("{}: correct", file.display()),
    });
    // Without an account it opens none of them: a warning says so.
    let opened = config.listeners.iter();
    for listener in opened.filter(|_| !config.accounts.is_empty()) {
        say(&format!(
            "  accepts mail on {}{}",
            listener.address,
            access(listener)
        ));
    }
    for folder in &config.pickups {
        say(&format!(
            "  takes messages from files in {}",
            folder.display()
        ));
    }
    for account in &config.accounts {
        let mailbox = match &account.mailbox {
            Mailbox::Fixed(address) => address.to_string(),
            Mailbox::From => "the mailbox of the From address".to_owned(),
        };
        say(&format!(
            "  account {} sends from {mailbox}{}",
            account.name,
            identity(account)
        ));
    }
    say(&format!(
        "  keeps messages in {}",
        config.data_dir.display()
    ));
    if let Some(length) = config.history_content {
        say(&format!(
            "  keeps the content of delivered and dropped messages for {}: root and the relay's \
             user can read it",
            span_in_words(length)
        ));
    }
    environment(&config.origin);
}

/// Says which values come from environment variables, but not the values: there may be
/// secrets among them.
fn environment(origin: &Origin) {
    if !origin.variables.is_empty() {
        say("  takes these values from environment variables, in preference to the file:");
    }
    for FromVariable {
        name,
        file,
        replaces,
    } in &origin.variables
    {
        let file = file
            .as_ref()
            .map(|file| format!(" (in the file {})", file.display()));
        let replaces = replaces.map(|line| format!(" (instead of line {line})"));
        let [file, replaces] = [file, replaces].map(Option::unwrap_or_default);
        say(&format!("    {name}{file}{replaces}"));
    }
}

/// Prints a file that the service cannot read, and how to change that.
fn tell(finding: &Finding, file: &Path) {
    let Some(remedy) = &finding.remedy else {
        return;
    };
    let text = format!("{}: {}: {remedy}", file.display(), finding.words);
    match finding.state {
        State::Failure => talk_of_error(&text),
        State::Ok | State::Warning => talk(&text),
    }
}

/// Says what the next start does to the spool: an upgrade, for instance.
fn spool(config: &Config) -> Exit {
    match spool::upgrade_ahead(&config.data_dir, config.limits.free_space) {
        Ok(Some(upgrade)) => say(&format!("  {upgrade}")),
        Ok(None) => {}
        Err(error) => {
            talk(&error.to_string());
            return Exit::CannotCreate;
        }
    }
    for (copy, size) in spool::copies(&config.data_dir) {
        say(&format!(
            "  {} ({}) is a copy of the spool from before an upgrade: delete it when you no longer \
             need to go back",
            copy.display(),
            spool::megabytes(size)
        ));
    }
    Exit::Done
}

/// Says in which tenant and cloud the account is, and which credential it uses.
fn identity(account: &Account) -> String {
    let place = match (account.tenant.as_str(), account.cloud) {
        ("", _) => String::new(),
        (tenant, Cloud::Global) => format!(" in {tenant}"),
        (tenant, cloud) => format!(" in {tenant} ({})", cloud.name()),
    };
    let credential = account.credential.name();
    let untested = match account.credential.is_readable_here() {
        true => "",
        false => "; not tested here: only the service can read it (systemd credential)",
    };
    match account.sign_in {
        SignIn::Application => format!("{place}, as an app with a {credential}{untested}"),
        SignIn::Delegated => {
            format!("{place}, for mailboxes that have signed in ({credential}){untested}")
        }
    }
}

/// Names who may send although the listener requires authentication.
fn required(listener: &Listener) -> String {
    let networks: Vec<String> = listener
        .anonymous_networks
        .iter()
        .map(ToString::to_string)
        .collect();
    match networks.as_slice() {
        [] => ", from users who authenticate".to_owned(),
        networks => format!(
            ", from users who authenticate, and without a password from {} (anonymous_networks)",
            networks.join(", ")
        ),
    }
}

/// Names the load balancers that say who the client is.
fn proxies(listener: &Listener) -> String {
    let proxies = listener.proxy_protocol_from.iter();
    let proxies: Vec<String> = proxies.map(ToString::to_string).collect();
    match proxies.as_slice() {
        [] => String::new(),
        proxies => format!(
            ", by the PROXY protocol header of load balancers in {} (proxy_protocol_from)",
            proxies.join(", ")
        ),
    }
}

/// Says what a client of this listener needs.
fn access(listener: &Listener) -> String {
    let tls = match listener.tls {
        Tls::Off => "",
        Tls::Starttls => ", with STARTTLS",
        Tls::StarttlsRequired => ", with STARTTLS only",
        Tls::Implicit => ", with TLS",
        Tls::Auto => ", with TLS or STARTTLS",
    };
    let authentication = match listener.authentication {
        Authentication::Off => "",
        Authentication::Optional => ", users may authenticate",
        Authentication::Required => &required(listener),
        Authentication::Any => ", with any name and password, none of which is checked",
    };
    let untested = match &listener.address {
        ListenAddress::Socket(_) => String::new(),
        ListenAddress::Systemd(name) => format!(
            "; not tested here: systemd passes this socket to the service \
             (graph-relay-{name}.socket)"
        ),
    };
    let proxies = proxies(listener);
    format!("{tls}{authentication}{proxies}{untested}")
}
