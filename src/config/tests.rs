//! Every key of relay.toml can also be set by an environment variable, and then means the
//! same. The list of keys is the reader's own, so a new key without a value here is an error.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use toml::Table;
use toml::Value;

use super::Authentication;
use super::Config;
use super::file;
use super::reader::Source;

/// Every key once, with another value than its default. FOLDER has the files.
const ALL: &str = include_str!("all_keys.toml");
/// A key that only an environment variable may set: a secret must not be in the file.
const IN_VARIABLES_ONLY: (&str, &str) = ("[[account]]", "client_secret");

/// The variables that say the same as a file.
type Variables = Vec<(String, String)>;

/// A folder with the files that `ALL` names, and its text.
fn all_keys() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/common/keys");
    for name in ["app.crt", "app.key"] {
        private(&folder, name, &fs::read_to_string(keys.join(name)).unwrap());
    }
    private(&folder, "secret", "a-secret");
    private(&folder, "token", "e30.e30.e30");
    let text = ALL.replace("FOLDER", folder.path().to_str().unwrap());
    (folder, text)
}

fn private(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, crate::platform::files::permissions(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a file and variables mean, without the positions of values.
fn meaning(text: &str, variables: &[(String, String)]) -> Result<Config, String> {
    let set = variables.iter();
    let set = set.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let source = Source::new(text.to_owned(), set);
    let config = file::parse(&source, Path::new("relay.toml"));
    let mut config = config.map_err(|error| error.to_string())?;
    for listener in &mut config.listeners {
        listener.place = None;
    }
    for warning in &mut config.warnings {
        warning.place = None;
    }
    config
        .warnings
        .sort_by(|one, other| one.message.cmp(&other.message));
    config.origin = super::Origin::default();
    Ok(config)
}

fn variables(text: &str) -> Variables {
    let table: Table = text.parse().unwrap();
    let mut found = Vec::new();
    add(&mut found, "GRAPH_RELAY", &Value::Table(table));
    found
}

fn add(found: &mut Variables, name: &str, value: &Value) {
    if let Some(table) = value.as_table() {
        for (key, value) in table {
            let key = key.to_uppercase();
            add(found, &format!("{name}__{key}"), value);
        }
        return;
    }
    let items = value.as_array().map(Vec::as_slice);
    if let Some(sections) = items.filter(|items| items.iter().all(Value::is_table)) {
        for (number, section) in sections.iter().enumerate() {
            add(found, &format!("{name}__{number}"), section);
        }
        return;
    }
    let items = items.unwrap_or_else(|| std::slice::from_ref(value));
    let items: Vec<String> = items.iter().map(text_of).collect();
    found.push((name.to_owned(), items.join(", ")));
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn every_key_of_the_reader_has_a_value_in_the_test() {
    let (_folder, text) = all_keys();
    let source = Source::new(text, std::iter::empty());
    let problems = source.problems();
    let (table, is_toml) = source.table(&problems);
    assert!(is_toml);
    let config = file::everything(&table, &problems, Path::new("relay.toml"));
    assert!(config.accounts.len() > 5);

    let known = problems.known_keys();
    assert!(known.len() > 70, "{known:#?}");
    let set = set_keys(source.text());
    for key in known {
        let is_set = set.contains(&key) || key == owned(IN_VARIABLES_ONLY);
        assert!(is_set, "all_keys.toml has no {key:?}");
    }
    problems.finish(Path::new("relay.toml")).unwrap();
}

/// The keys that a text sets, with their sections as written.
fn set_keys(text: &str) -> BTreeSet<(String, String)> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        match line.split_once(" = ") {
            Some((key, _)) => {
                keys.insert((section.clone(), key.to_owned()));
            }
            None if line.starts_with('[') => section = line.to_owned(),
            None => {}
        }
    }
    keys
}

fn owned((section, key): (&str, &str)) -> (String, String) {
    (section.to_owned(), key.to_owned())
}

#[test]
fn users_may_log_in_on_the_listeners_that_are_there_by_default() {
    let (_folder, all) = all_keys();
    let mut table: Table = all.parse().unwrap();
    table.remove("listener");
    let authentication = |table: &Table| {
        let config = meaning(&table.to_string(), &[]).unwrap();
        let listeners = config.listeners.into_iter();
        listeners.map(|it| it.authentication).collect::<Vec<_>>()
    };

    assert_eq!(authentication(&table), [Authentication::Optional; 2]);
    table.remove("user");
    assert_eq!(authentication(&table), [Authentication::Off; 2]);
}

#[test]
fn every_key_set_by_a_variable_means_the_same_as_in_the_file() {
    let (_folder, text) = all_keys();
    let all = variables(&text);

    let in_file = meaning(&text, &[]).unwrap();
    assert_eq!(meaning("", &all).as_ref(), Ok(&in_file));

    for at in 0..all.len() {
        let mut fewer = all.clone();
        let (name, _) = fewer.remove(at);
        assert_ne!(
            meaning("", &fewer).as_ref(),
            Ok(&in_file),
            "{name} has no effect"
        );
    }
}

#[test]
fn every_variable_can_name_a_file_with_the_value() {
    let (folder, text) = all_keys();
    let all = variables(&text);
    // The names in [aliases] are free, so none of them stands for a file.
    let is_alias = |name: &str| name.starts_with("GRAPH_RELAY__ALIASES__");

    let in_files = all
        .iter()
        .enumerate()
        .map(|(at, (name, value))| match is_alias(name) {
            true => (name.clone(), value.clone()),
            false => {
                let file = private(&folder, &format!("value-{at}"), &format!("{value}\n"));
                (format!("{name}_FILE"), file)
            }
        });
    let in_files: Vec<_> = in_files.collect();

    assert_eq!(meaning("", &in_files), meaning(&text, &[]));
}

#[test]
fn every_variable_takes_precedence_over_the_file() {
    let (_folder, text) = all_keys();
    let all = variables(&text);
    let in_file = meaning(&text, &[]);
    assert!(in_file.is_ok());
    // Every value of the file is wrong now, and none of its sections are missing.
    let wrong = spoiled(&text.parse::<Table>().unwrap());

    assert_eq!(meaning(&wrong, &all), in_file);
}

/// The same keys with a value that none of them may have, except in [aliases].
fn spoiled(table: &Table) -> String {
    fn spoil(value: &mut Value) {
        if let Some(table) = value.as_table_mut() {
            table.iter_mut().for_each(|(_, value)| spoil(value));
        } else if let Some(items) = value.as_array_mut()
            && items.iter().all(Value::is_table)
        {
            items.iter_mut().for_each(spoil);
        } else {
            *value = Value::Float(0.5);
        }
    }
    let mut table = table.clone();
    table.iter_mut().for_each(|(_, value)| spoil(value));
    toml::to_string(&table).unwrap()
}
