//! `check`: the configuration, all errors at once.

use std::path::Path;

use super::Exit;
use super::say;
use super::talk;
use crate::config::Authentication;
use crate::config::Config;
use crate::config::Listener;
use crate::config::Mailbox;
use crate::config::Tls;

pub(super) fn run(file: &Path) -> Exit {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => {
            talk(&error.to_string());
            return Exit::Configuration;
        }
    };
    say(&format!("{}: correct", file.display()));
    for listener in &config.listeners {
        say(&format!(
            "  takes mail on {}{}",
            listener.address,
            access(listener)
        ));
    }
    for account in &config.accounts {
        let mailbox = match &account.mailbox {
            Mailbox::Fixed(address) => address.to_string(),
            Mailbox::From => "the mailbox of the From address".to_owned(),
        };
        let name = &account.name;
        let tenant = &account.tenant;
        say(&format!(
            "  account {name} sends from {mailbox} in {tenant}"
        ));
    }
    say(&format!(
        "  keeps messages in {}",
        config.data_dir.display()
    ));
    Exit::Done
}

/// What a client of this listener needs.
fn access(listener: &Listener) -> String {
    let tls = match listener.tls {
        Tls::Off => "",
        Tls::Starttls => ", with STARTTLS",
        Tls::StarttlsRequired => ", with STARTTLS only",
        Tls::Implicit => ", with TLS",
    };
    let authentication = match listener.authentication {
        Authentication::Off => "",
        Authentication::Optional => ", users may authenticate",
        Authentication::Required => ", from users who authenticate",
    };
    format!("{tls}{authentication}")
}
