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

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use self::services::Service;
use self::settings::Settings;
use self::settings::is_of_name;
use self::settings::variables;
use self::tables::Folder;
use super::Found;
use super::HIDDEN;
use super::ImportError;
use super::content;
use super::is_secret;

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
    /// The parameters whose values are not shown.
    secrets: BTreeSet<String>,
}

/// How the restrictions begin that have the name of a list in DNS behind them.
const ASKING_LISTS: [&str; 4] = [
    "reject_rbl_",
    "reject_rhsbl_",
    "permit_dnswl_",
    "permit_rhswl_",
];

/// Reads the configuration in a folder, such as `/etc/postfix` or a copy of it. `machine` is the
/// host name that Postfix uses if `main.cf` has none.
///
/// # Errors
///
/// There is no `main.cf`, it cannot be read, or it is something else.
pub fn read(folder: &Path, machine: &str) -> Result<Found, ImportError> {
    let folder = &std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let main = folder.join("main.cf");
    let text = content(&main)?;
    let settings = Settings::parse(&text, &folder.to_string_lossy(), machine);
    let odd_lines = settings::odd_lines(&text);
    if settings.names().next().is_none() && !odd_lines.is_empty() {
        let words = "this is not a main.cf: no line sets a parameter (name = value). Name the folder with \
                     the main.cf and master.cf of Postfix, such as /etc/postfix";
        return Err(ImportError::Content {
            path: main,
            words: words.to_owned(),
        });
    }
    let mut found = Found::default();
    found.draft.product = "Postfix";
    found.files.push(main);
    let master = folder.join("master.cf");
    let mut services = match content(&master) {
        Ok(text) => {
            found.files.push(master);
            let services = services::parse(&text);
            odd_services(&mut found, &text, &services);
            services
        }
        Err(error) => {
            let words = format!("{error}. A listener on port 25 is assumed");
            found.warn("master.cf", words);
            services::parse("smtp inet n - y - - smtpd")
        }
    };
    services::disable(&mut services, &settings);
    for number in odd_lines {
        let words = "this line does not set a parameter (name = value), so Postfix does not understand it \
                     either. If it belongs to the line before, it has to begin with white space";
        found.ask(format!("line {number} of main.cf"), words);
    }
    let mut reading = Reading {
        secrets: secrets(&settings, &services),
        settings,
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

/// The rows of what Postfix does not understand in `master.cf`: without values, which may be secrets.
fn odd_services(found: &mut Found, text: &str, services: &[Service]) {
    for number in services::odd_lines(text) {
        let words = "this line has too few columns, so Postfix does not understand it either: add a \
                     [[listener]] if it is to accept mail";
        found.ask(format!("line {number} of master.cf"), words);
    }
    for service in services {
        for name in &service.broken {
            let words = "Postfix does not understand this option, and does not start the service: it needs \
                         -o name=value without blanks, or -o { name = value }";
            found.ask(format!("-o {name} of {}", service.shown()), words);
        }
    }
}

impl Reading {
    /// The parameter as the report shows it.
    fn shown(&self, name: &str) -> String {
        let value = public(&self.secrets, name, self.settings.written(name));
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

/// The parameters that have secrets, and those that such a value is made of.
fn secrets(settings: &Settings, services: &[Service]) -> BTreeSet<String> {
    let of_main = settings.names().map(|it| (it, settings.written(it)));
    let of_services = services.iter().flat_map(|it| &it.overrides);
    let of_services = of_services.map(|(name, value)| (name.as_str(), value.as_str()));
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut waiting = Vec::new();
    for (name, value) in of_main.chain(of_services) {
        values.entry(name).or_default().push(value);
        let own = Some(name).filter(|name| is_secret(name));
        let keys = words(value).into_iter().filter(|(_, _, is_key)| *is_key);
        let keys = keys.flat_map(|(word, _, _)| variables(word));
        waiting.extend(
            own.into_iter()
                .chain(keys.filter(|it| !settings.is_own(it))),
        );
    }
    let mut secrets = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if secrets.insert(name.to_owned()) {
            let values = values.get(name).into_iter().flatten().copied();
            let parts = values.flat_map(variables);
            waiting.extend(parts.filter(|it| !settings.is_own(it)));
        }
    }
    secrets
}

/// The value of a parameter without secrets.
fn public(secrets: &BTreeSet<String>, name: &str, value: &str) -> String {
    if !secrets.contains(name) {
        return without_keys(value);
    }
    let items = settings::items(value);
    let items = items.iter().map(|item| match names_a_file(name, item) {
        true => item.as_str(),
        false => HIDDEN,
    });
    items.collect::<Vec<_>>().join(", ")
}

/// Whether an item is a table in a file, such as `hash:/etc/postfix/sasl_passwd`: others may be the
/// secret itself.
fn names_a_file(name: &str, item: &str) -> bool {
    let item = item.strip_prefix("proxy:").unwrap_or(item);
    let is_kind = |kind: &str| {
        !["", "static", "inline"].contains(&kind) && kind.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let is_file = |(kind, place): (&str, &str)| is_kind(kind) && place.starts_with('/');
    (name.ends_with("_maps") || name.ends_with("_map")) && item.split_once(':').is_some_and(is_file)
}

/// Restrictions without the names of the lists in DNS that they ask.
fn without_keys(value: &str) -> String {
    let words = words(value).into_iter();
    let words = words.map(|(word, between, is_key)| match is_key {
        true => format!("{HIDDEN}{between}"),
        false => format!("{word}{between}"),
    });
    words.collect()
}

/// The words of a value, each with what stands between it and the next one, and whether it is the
/// name of a list in DNS.
fn words(value: &str) -> Vec<(&str, &str, bool)> {
    let is_between = |c: char| c == ',' || c.is_whitespace();
    let mut words = Vec::new();
    let mut is_key = false;
    for piece in value.split_inclusive(is_between) {
        let (word, between) = piece.split_at(piece.trim_end_matches(is_between).len());
        words.push((word, between, is_key && !word.is_empty()));
        if !word.is_empty() {
            is_key = asks_a_list(word);
        }
    }
    words
}

/// Whether a restriction has the name of a list in DNS behind it.
fn asks_a_list(word: &str) -> bool {
    let name = word.rsplit(|c| !is_of_name(c)).next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    ASKING_LISTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each parameter of a main.cf and of a master.cf as the report shows it.
    fn shown(main: &str, master: &str) -> Vec<String> {
        let settings = Settings::parse(main, "/etc/postfix", "mail.contoso.com");
        let services = services::parse(master);
        let secrets = secrets(&settings, &services);
        let mut rows = Vec::new();
        for name in settings.names() {
            let value = public(&secrets, name, settings.written(name));
            rows.push(format!("{name} = {value}"));
        }
        for service in &services {
            for (name, value) in &service.overrides {
                rows.push(service.option(name, value, &secrets));
            }
        }
        rows
    }

    #[test]
    fn a_parameter_that_a_password_is_made_of_is_not_shown() {
        let main = "part = canary\nlogin = static:u:${part}\nsmtp_sasl_password_maps = $login\n\
                    of_option = canary\nmydomain = contoso.com\n\
                    x_password = $mydomain\nother = $login\n";
        let master = "smtp unix - - y - - smtp\n -o own=static:u:canary -o smtp_sasl_password_maps=$own\n \
                      -o lmtp_sasl_password_maps=$(of_option)\n";

        let rows = shown(main, master);

        assert!(!rows.iter().any(|it| it.contains("canary")), "{rows:#?}");
        for row in ["mydomain = contoso.com", "other = $login"] {
            assert!(rows.contains(&row.to_owned()), "{row}: {rows:#?}");
        }
    }

    #[test]
    fn ten_thousand_parameters_addresses_and_aliases_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let lines = |line: fn(u32) -> String| (0..10_000).map(line).collect::<String>();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        let maps = "virtual_alias_maps = hash:/etc/postfix/virtual\nalias_maps = hash:/etc/postfix/aliases\n\
                    sender_canonical_maps = hash:/etc/postfix/senders\n";
        write("main.cf", lines(|at| format!("own_{at} = {at}\n")) + maps).unwrap();
        let own = |at| format!("u{at}@d{at}.example it@contoso.com\nd{at}.example x\n");
        write("virtual", lines(own)).unwrap();
        // Each leads to the next one: all but the last are too far from an address.
        let chain = |at| format!("a{at}: a{}\n", at + 1);
        write("aliases", lines(chain) + "a10000: it@contoso.com\n").unwrap();
        write("senders", lines(|at| format!("s{at} it@contoso.com\n"))).unwrap();

        let found = read(folder.path(), "mail.contoso.com").unwrap();

        let own = |row: &&crate::import::Row| row.setting.starts_with("own_");
        assert_eq!(found.none.iter().filter(own).count(), 10_000);
        let text = found.draft.text("/");
        for line in [
            "a10000 = \"it@contoso.com\"",
            "a9999 = \"a10000\"",
            "\"u7@d7.example\" =",
        ] {
            assert!(text.contains(line), "{line}");
        }
        assert_eq!(text.matches("[[sender]]").count(), 30_000);
        assert!(!text.contains("a9000 =") && !text.contains("\nd7.example ="));
    }

    #[test]
    fn a_password_may_be_made_of_a_long_chain_of_parameters() {
        let links = (0..10_000).map(|at| format!("n{:05} = $n{at:05}\n", at + 1));
        let main: String = links.collect();

        let rows = shown(&format!("{main}x_password = $n10000\nn00000 = canary"), "");

        assert!(!rows.iter().any(|it| it.contains("canary")));
        assert_eq!(rows.len(), 10_002);
    }

    #[test]
    fn only_a_table_in_a_file_is_shown_in_place_of_a_password() {
        let main = "ldap_bind_pw = canary:/def\nx_password = static:/canary\n\
                    smtp_sasl_password_maps = hash:/a, proxy:ldap:/b, static:/canary :/canary\n\
                    lmtp_sasl_password_maps = inline:/canary proxy:static:/canary\n";

        let rows = shown(main, "");

        assert_eq!(
            rows,
            [
                "ldap_bind_pw = (not shown)",
                "lmtp_sasl_password_maps = (not shown), (not shown)",
                "smtp_sasl_password_maps = hash:/a, proxy:ldap:/b, (not shown), (not shown)",
                "x_password = (not shown)",
            ]
        );
    }

    #[test]
    fn the_key_in_the_name_of_a_blocklist_is_not_shown() {
        let main = "key = canary\nlists = reject_rbl_client $key.zen.example, permit\n\
                    smtpd_client_restrictions = permit_mynetworks,Reject_RBL_Client  canary.a=127.0.0.2 ,reject\n\
                    smtpd_relay_restrictions = ${x?{reject_rhsbl_sender canary.a}} permit_dnswl_client canary.b\n\
                    postscreen_dnsbl_sites = canary.a*3 b\nrbl_reply_maps = hash:/etc/replies\n";

        let rows = shown(main, "");

        assert!(!rows.iter().any(|it| it.contains("canary")), "{rows:#?}");
        for row in [
            "lists = reject_rbl_client (not shown), permit",
            "rbl_reply_maps = hash:/etc/replies",
            "smtpd_client_restrictions = permit_mynetworks,Reject_RBL_Client  (not shown) ,reject",
        ] {
            assert!(rows.contains(&row.to_owned()), "{row}: {rows:#?}");
        }
    }
}
