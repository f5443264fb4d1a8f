//! Settings that remedies, replies and warnings mention can be written into relay.toml:
//! the relay accepts every `key = "value"` in a text of the source.
//! And every refusal has an entry in the catalogue, so that `explain` knows it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use graph_relay::catalogue;
use graph_relay::config::Config;

const BEGINNING: &str = "\
hostname = \"relay.example\"
data_dir = \"data\"
[[account]]
name = \"contoso\"
tenant = \"contoso.com\"
client_id = \"11111111-1111-1111-1111-111111111111\"
client_secret_env = \"PATH\"
mailbox = \"a@contoso.com\"
";

/// The places of a key after that.
const SECTIONS: [&str; 16] = [
    "",
    "[tls]",
    "[[listener]]",
    "[[pickup]]",
    "[limits]",
    "[[user]]",
    "[[sender]]",
    "[[account]]",
    "[account.rate_limits]",
    "[received]",
    "[delivery]",
    "[failure]",
    "[http]",
    "[[alert]]",
    "[doctor]",
    "[log]",
];

/// Each `key = "value"` in string literals of a file, without its tests.
fn settings(text: &str) -> Vec<(String, String)> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let mut settings = Vec::new();
    let mut rest = code;
    while let Some((before, behind)) = rest.split_once(" = \\\"") {
        let is_of_key = |c: char| c.is_ascii_lowercase() || c == '_';
        // The n of a line end does not belong to the key.
        let before = before.replace("\\n", " ");
        let key = before.rsplit(|c| !is_of_key(c)).next().unwrap();
        let (value, behind) = behind.split_once("\\\"").unwrap_or((behind, ""));
        settings.push((key.to_owned(), value.to_owned()));
        rest = behind;
    }
    settings
}

fn in_folder(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "sandbox" {
            in_folder(&path, found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "oracle.rs" {
            found.extend(settings(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Whether relay.toml accepts it somewhere: neither key nor value is unknown there.
fn is_taken(key: &str, value: &str) -> bool {
    SECTIONS.iter().any(|section| {
        let line = format!("{key} = \"{value}\"\n");
        let (text, number) = match *section {
            "" => (format!("{line}{BEGINNING}"), 1),
            section => {
                let text = format!("{BEGINNING}{section}\n{line}");
                let number = text.lines().count();
                (text, number)
            }
        };
        let Err(error) = Config::parse(&text, Path::new("relay.toml")) else {
            return true;
        };
        let place = format!("relay.toml:{number}:");
        // Any other error is because this is not a whole configuration.
        let is_wrong = |line: &str| line.starts_with(&place) && line.contains("unknown ");
        !error.to_string().lines().any(is_wrong)
    })
}

#[test]
fn every_setting_that_a_text_mentions_can_be_written_into_relay_toml() {
    let mut found = BTreeSet::new();
    in_folder(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut found,
    );
    // A text, in place of what quotation marks contain.
    found.retain(|(key, value)| !key.is_empty() && !value.contains(['{', '\n']));

    assert!(found.len() > 20, "{found:?}");
    assert!(!is_taken("submission", "mime"));
    assert!(!is_taken("frobnicate", "x"));
    for (key, value) in found {
        assert!(is_taken(&key, &value), "{key} = {value:?}");
    }
}

/// The numbers of each constant in `mail/status.rs`.
fn statuses() -> BTreeMap<String, String> {
    let text = source("mail/status.rs");
    let constants = text.lines().filter_map(|line| {
        let (name, value) = line
            .trim()
            .strip_prefix("pub const ")?
            .split_once(": Self = Self(")?;
        let numbers: Vec<&str> = value.strip_suffix(");")?.split(", ").collect();
        Some((name.to_owned(), numbers.join(".")))
    });
    constants.collect()
}

fn source(path: &str) -> String {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    fs::read_to_string(folder.join(path)).unwrap()
}

/// The names of constants behind `EnhancedStatus::`, each with the text before it.
fn constants(text: &str) -> Vec<(&str, String)> {
    let places = text.match_indices("EnhancedStatus::");
    let named = places.map(|(at, prefix)| {
        let behind = &text[at + prefix.len()..];
        let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let name = behind.chars().take_while(|c| is_of_name(*c)).collect();
        (&text[..at], name)
    });
    named.collect()
}

#[test]
fn explain_knows_every_refusal_of_the_relay() {
    let statuses = statuses();
    assert!(statuses.len() > 30, "{statuses:?}");
    let mut refusals = BTreeSet::new();
    for file in ["mod", "rights", "ending", "too_big"] {
        let text = source(&format!("session/replies/{file}.rs"));
        for (before, name) in constants(&text) {
            // `(501, EnhancedStatus::SYNTAX`, on one line or on two.
            let code = before.trim_end().strip_suffix(',').unwrap_or_default();
            let code = &code[code.len().saturating_sub(3)..];
            if code.starts_with(['4', '5']) && code.parse::<u16>().is_ok() {
                refusals.insert(format!("{code} {}", statuses[&name]));
            }
        }
    }

    assert!(refusals.len() > 25, "{refusals:?}");
    assert!(refusals.contains("535 5.7.8"), "{refusals:?}");
    for refusal in refusals {
        let known = catalogue::found_in(&refusal);
        let codes: Vec<&str> = known.iter().map(|entry| entry.code).collect();
        assert_eq!(codes, [refusal.as_str()]);
    }
}

#[test]
fn explain_knows_every_status_of_a_failure_report() {
    let statuses = statuses();
    let mut reported = BTreeSet::new();
    for file in ["delivery/outcome/explain.rs", "spool/damage/mod.rs"] {
        let text = source(file);
        let named = constants(&text).into_iter();
        reported.extend(named.filter_map(|(_, name)| statuses.get(&name).cloned()));
    }
    reported.remove("2.0.0");

    assert!(reported.contains("5.4.7"), "{reported:?}");
    for status in reported {
        let entry = catalogue::find(&status).unwrap_or_else(|| panic!("{status}"));
        assert_eq!(entry.code, status);
        assert!(
            entry.cause.starts_with("The relay's own status: "),
            "{status}"
        );
    }
}
