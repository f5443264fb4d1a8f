//! An existing relay.toml and an imported one, as one file.
//!
//! The text of the existing file stays, with its comments. Sections that it does not have are added
//! at its end, keys before the first section in front of that. A section that may occur only once,
//! such as `[limits]`, keeps its keys and gets those that it lacks. What both have with the same
//! values is left alone, so that a second import changes nothing, also after somebody has completed a
//! section. What both have with other values is replaced only if that is wanted.

use std::collections::BTreeSet;

use toml::Table;
use toml::Value;
use toml_edit::DocumentMut;
use toml_edit::Item;
use toml_edit::TableLike;

use crate::import::Draft;

/// How the two go together.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// The existing file has everything.
    Same,
    /// The new text.
    Text(String),
    /// They differ in these sections and keys.
    Differs(Vec<String>),
}

/// Why the two cannot go together, with the place and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The existing file is not TOML.
    Existing(String),
    /// The draft is not TOML: a fault of the importer.
    Draft(String),
}

/// Whether sections and keys of the existing file may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    Allowed,
    NotAllowed,
}

/// Puts a draft, whose files are in this folder, into the text of an existing file.
///
/// # Errors
///
/// One of the two is not TOML; says where.
pub(super) fn merge(
    existing: &str,
    draft: &Draft,
    folder: &str,
    replace: Replace,
) -> Result<Merged, Unreadable> {
    let (mut document, old) = parsed(existing).map_err(Unreadable::Existing)?;
    let (drafted, new) = parsed(&draft.text(folder)).map_err(Unreadable::Draft)?;
    let lacking = missing(&new, &old);
    if lacking.is_empty() {
        return Ok(Merged::Same);
    }
    let differing = lacking.iter().filter(|key| differs(key, &new, &old));
    let differing: Vec<String> = differing.map(|key| shown(key, &old)).collect();
    if !differing.is_empty() && replace == Replace::NotAllowed {
        return Ok(Merged::Differs(differing));
    }
    let mut whole = BTreeSet::new();
    for key in lacking {
        if let Some((new, old)) = tables(key, &new, &old) {
            let into = document.get_mut(key).and_then(Item::as_table_like_mut);
            let from = drafted.get(key).and_then(Item::as_table_like);
            if let Some((into, from)) = into.zip(from) {
                set_keys(into, from, &missing(new, old));
            }
        } else {
            document.remove(key);
            whole.insert(key);
        }
    }
    let (top, sections) = draft.parts(folder, |key| whole.contains(key));
    Ok(Merged::Text(joined(&document.to_string(), &top, &sections)))
}

/// A text of TOML, once with its comments and once as values.
fn parsed(text: &str) -> Result<(DocumentMut, Table), String> {
    let document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let values: Table = text.parse().map_err(|error| format!("{error}"))?;
    Ok((document, values))
}

/// The keys that another table lacks or has with other values.
fn missing<'n>(new: &'n Table, old: &Table) -> BTreeSet<&'n str> {
    let is_in = |key: &String, value: &Value| old.get(key).is_some_and(|old| is_part(value, old));
    let missing = new.iter().filter(|(key, value)| !is_in(key, value));
    missing.map(|(key, _)| key.as_str()).collect()
}

/// What two tables have under a key, if that is a section that may occur only once.
fn tables<'t>(key: &str, new: &'t Table, old: &'t Table) -> Option<(&'t Table, &'t Table)> {
    new.get(key)?.as_table().zip(old.get(key)?.as_table())
}

/// Whether two tables have other values for a missing key. Of a section, only the keys that both
/// have count.
fn differs(key: &str, new: &Table, old: &Table) -> bool {
    match tables(key, new, old) {
        Some((new, old)) => missing(new, old).iter().any(|key| old.contains_key(*key)),
        None => old.contains_key(key),
    }
}

/// Sets keys of a section. Its comments stay, also those above and behind a key that is there
/// already: `insert` would remove these.
fn set_keys(into: &mut dyn TableLike, from: &dyn TableLike, keys: &BTreeSet<&str>) {
    for (key, item) in from.iter().filter(|(key, _)| keys.contains(key)) {
        let mut item = item.clone();
        match into.get_mut(key) {
            Some(old) => {
                if let (Some(new), Some(old)) = (item.as_value_mut(), old.as_value()) {
                    *new.decor_mut() = old.decor().clone();
                }
                *old = item;
            }
            None => {
                if let Some(new) = item.as_value_mut() {
                    new.decor_mut().clear();
                }
                into.insert(key, item);
            }
        }
    }
}

/// As people find it in the file.
fn shown(key: &str, table: &Table) -> String {
    match table.get(key) {
        Some(Value::Table(_)) => format!("[{key}]"),
        Some(Value::Array(items)) if items.iter().all(Value::is_table) => format!("[[{key}]]"),
        _ => key.to_owned(),
    }
}

/// Whether the other has everything of a value. Two hashes of one password are different.
fn is_part(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Table(value), Value::Table(other)) => value.iter().all(|(key, value)| {
            let other = other.get(key);
            other.is_some_and(|other| key == "password_hash" || is_part(value, other))
        }),
        (Value::Array(values), Value::Array(others)) => {
            values.len() == others.len()
                && values
                    .iter()
                    .zip(others)
                    .all(|(one, other)| is_part(one, other))
        }
        (value, other) => value == other,
    }
}

/// The keys go in front of the first section and the comment above it, and the sections to the end.
fn joined(existing: &str, top: &str, sections: &str) -> String {
    let lines: Vec<&str> = existing.split_inclusive('\n').collect();
    let is_header = |line: &&str| line.trim_start().starts_with('[');
    let header = lines.iter().position(is_header).unwrap_or(lines.len());
    let (before, rest) = lines.split_at(header);
    let comments = before.iter().rev().take_while(|line| line.starts_with('#'));
    let of_header = if rest.is_empty() { 0 } else { comments.count() };
    let (before, comments) = before.split_at(header.saturating_sub(of_header));
    let rest = [comments, rest].concat().concat();
    let mut text = before.concat();
    for part in [top, rest.as_str(), sections] {
        if part.is_empty() {
            continue;
        }
        if !text.is_empty() && !text.ends_with("\n\n") {
            text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_is_not_toml_is_an_error() {
        let mut draft = Draft::default();
        draft.product = "one\nand another line";
        let merged = merge("", &draft, "/etc/graph-relay", Replace::Allowed);
        assert!(matches!(merged, Err(Unreadable::Draft(_))), "{merged:?}");
    }

    #[test]
    fn keys_of_a_section_are_set_between_its_comments() {
        let old = "# a\n[limits] # b\n# c\nrecipients = 5 # d\n\"x y\" = 1\n# e\n\n# f\n[log]\n";
        let new = "[limits]\n\"z z\" = [\"1\"]\nrecipients = 7\n";
        let mut document: DocumentMut = old.parse().unwrap();
        let from: DocumentMut = new.parse().unwrap();
        let into = document.get_mut("limits").unwrap();
        let from = from.get("limits").unwrap();
        set_keys(
            into.as_table_like_mut().unwrap(),
            from.as_table_like().unwrap(),
            &BTreeSet::from(["recipients", "z z"]),
        );
        let expected = "# a\n[limits] # b\n# c\nrecipients = 7 # d\n\"x y\" = 1\n\"z z\" = [\"1\"]\n# e\n\n\
                        # f\n[log]\n";
        assert_eq!(document.to_string(), expected);
    }
}
