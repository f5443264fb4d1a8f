//! `check`: the configuration, all errors at once.

use std::path::Path;

use super::Exit;
use super::say;
use super::talk;
use crate::config::Config;
use crate::config::Mailbox;

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
        say(&format!("  takes mail on {}", listener.address));
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
