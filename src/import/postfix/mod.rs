//! Postfix: `main.cf` with continuation lines and variables, the listeners of `master.cf`, and
//! the lookup tables that have a counterpart.
//!
//! Promises: every parameter of `main.cf` and every option of an SMTP service in `master.cf` has
//! its row; passwords are not read further than to the name of the user before them; nothing is
//! changed in Postfix. Defaults of Postfix that nobody set are not reported: where the relay's
//! are other ones, its manual says so.

mod addresses;
mod keep;
mod limits;
mod listeners;
mod networks;
mod parameters;
mod restrictions;
mod sending;
mod services;
mod settings;
mod tables;

use std::collections::BTreeSet;
use std::path::Path;

use self::services::Service;
use self::settings::Settings;
use self::tables::Folder;
use super::Found;
use super::ImportError;
use super::content;

/// What is read, and what has been reported of it.
struct Reading {
    settings: Settings,
    services: Vec<Service>,
    folder: Folder,
    found: Found,
    /// Senders, and the mailbox that each has according to the passwords.
    mailboxes: Vec<(String, String)>,
    /// The parameters that have their row.
    reported: BTreeSet<String>,
}

/// Reads the configuration in a folder, such as `/etc/postfix` or a copy of it. `machine` is the
/// host name that Postfix uses if `main.cf` has none.
///
/// # Errors
///
/// There is no `main.cf`, or it cannot be read.
pub fn read(folder: &Path, machine: &str) -> Result<Found, ImportError> {
    let folder = &std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let main = folder.join("main.cf");
    let text = content(&main)?;
    let mut found = Found::default();
    found.draft.product = "Postfix";
    found.files.push(main);
    let master = folder.join("master.cf");
    let services = match content(&master) {
        Ok(text) => {
            found.files.push(master);
            services::parse(&text)
        }
        Err(error) => {
            let words = format!("{error}. A listener on port 25 is assumed");
            found.ask("master.cf", words);
            services::parse("smtp inet n - y - - smtpd")
        }
    };
    for line in settings::odd_lines(&text) {
        let name = line.split_whitespace().next().unwrap_or_default();
        let words = "this line of main.cf has no =, so Postfix does not understand it either";
        found.ask(name, words);
    }
    let mut reading = Reading {
        settings: Settings::parse(&text, &folder.to_string_lossy(), machine),
        services,
        folder: Folder(folder.to_owned()),
        found,
        mailboxes: Vec::new(),
        reported: BTreeSet::new(),
    };
    listeners::add(&mut reading);
    limits::add(&mut reading);
    sending::add(&mut reading);
    addresses::add(&mut reading);
    parameters::add(&mut reading);
    keep::add(&mut reading);
    Ok(reading.found)
}

impl Reading {
    /// The parameter as the report shows it.
    fn shown(&self, name: &str) -> String {
        let value = public(name, self.settings.written(name));
        format!("{name} = {value}").trim_end().to_owned()
    }

    fn take(&mut self, name: &str, words: impl Into<String>) {
        if let Some(setting) = self.first(name) {
            self.found.take(setting, words);
        }
    }

    fn change(&mut self, name: &str, words: impl Into<String>) {
        if let Some(setting) = self.first(name) {
            self.found.change(setting, words);
        }
    }

    fn lack(&mut self, name: &str, words: impl Into<String>) {
        if let Some(setting) = self.first(name) {
            self.found.lack(setting, words);
        }
    }

    fn ask(&mut self, name: &str, words: impl Into<String>) {
        if let Some(setting) = self.first(name) {
            self.found.ask(setting, words);
        }
    }

    /// Marks a parameter as reported. Returns it as it is shown, if `main.cf` sets it.
    fn first(&mut self, name: &str) -> Option<String> {
        self.reported.insert(name.to_owned());
        self.settings.has(name).then(|| self.shown(name))
    }
}

/// The value of a parameter without what may be a password.
fn public(name: &str, value: &str) -> String {
    let is_secret = |part: &&str| name.contains(*part);
    if !["passw", "_pw", "secret"].iter().any(is_secret) {
        return value.to_owned();
    }
    let items = settings::items(value);
    let items = items.iter().map(|item| match names_a_file(item) {
        true => item,
        false => "(not shown)",
    });
    items.collect::<Vec<_>>().join(", ")
}

/// Whether an item is a table in a file, such as `hash:/etc/postfix/sasl_passwd`: others may be the
/// secret itself.
fn names_a_file(item: &str) -> bool {
    let item = item.strip_prefix("proxy:").unwrap_or(item);
    let is_kind = |kind: &str| kind.chars().all(|c| c.is_ascii_alphanumeric());
    item.split_once(':')
        .is_some_and(|(kind, place)| is_kind(kind) && place.starts_with('/'))
}
