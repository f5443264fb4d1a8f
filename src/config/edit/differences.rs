//! What a change changes: its keys, and its lines. Neither shows a secret.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use toml::Table;
use toml::Value;

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// Its section, as in `[[user]] printer`; empty for the top of the file.
    pub place: String,
    /// Its name.
    pub key: String,
    /// Its value before as it was written, if there was one.
    pub old: Option<String>,
    /// Its value after.
    pub new: Option<String>,
    /// Whether the values are not to be shown: they are stars then.
    pub is_secret: bool,
}

/// Its section and its name.
impl std::fmt::Display for KeyChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gap = if self.place.is_empty() { "" } else { " " };
        write!(f, "{}{gap}{}", self.place, self.key)
    }
}

/// A line of one text or of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which text has it.
    pub side: Side,
    /// The line, with stars for a value that is not to be shown.
    pub text: String,
}

/// Which text has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Both.
    Both,
    /// The one before.
    Old,
    /// The one after.
    New,
    /// Neither: lines of both are left out here.
    Gap,
}

/// What is shown instead of a secret.
const STARS: &str = "***";
/// Keys whose values may be, or may contain, a secret.
const SECRET: [&str; 4] = ["password_hash", "client_secret", "proxy", "webhook"];
/// Lines around a change that are shown with it.
const AROUND: usize = 2;

pub(super) fn keys(before: &str, after: &str) -> Vec<KeyChange> {
    let (mut old, new) = (flat(before), flat(after));
    let changed = |place: String, key: String, old: Option<String>, new: Option<String>| {
        let is_secret = SECRET.contains(&key.as_str());
        let shown = |value: String| match is_secret {
            true => STARS.to_owned(),
            false => value,
        };
        KeyChange {
            old: old.map(shown),
            new: new.map(shown),
            place,
            key,
            is_secret,
        }
    };
    let mut changes = Vec::new();
    for ((place, key), value) in new {
        let was = old.remove(&(place.clone(), key.clone()));
        if was.as_ref() != Some(&value) {
            changes.push(changed(place, key, was, Some(value)));
        }
    }
    let gone = old.into_iter();
    changes.extend(gone.map(|((place, key), value)| changed(place, key, Some(value), None)));
    changes.sort_by(|a, b| (&a.place, &a.key).cmp(&(&b.place, &b.key)));
    changes
}

/// Every key with its section.
type Flat = BTreeMap<(String, String), String>;

fn flat(text: &str) -> Flat {
    let mut found = Flat::new();
    let table = text.parse::<Table>().unwrap_or_default();
    for (key, value) in &table {
        let items = value
            .as_array()
            .filter(|items| items.iter().any(Value::is_table));
        if let Some(table) = value.as_table() {
            section(&mut found, &format!("[{key}]"), table);
        } else if let Some(items) = items {
            let tables = items.iter().filter_map(Value::as_table);
            for (number, table) in tables.enumerate() {
                section(&mut found, &entry(key, number, table), table);
            }
        } else {
            found.insert((String::new(), key.clone()), value.to_string());
        }
    }
    found
}

fn section(found: &mut Flat, place: &str, table: &Table) {
    for (key, value) in table {
        let Some(below) = value.as_table() else {
            found.insert((place.to_owned(), key.clone()), value.to_string());
            continue;
        };
        for (name, value) in below {
            let name = format!("{key}.{name}");
            found.insert((place.to_owned(), name), value.to_string());
        }
    }
}

/// One of several sections, by what people know it by.
fn entry(name: &str, number: usize, table: &Table) -> String {
    let known = ["name", "address", "match"];
    let known = known.iter().find_map(|key| table.get(*key)?.as_str());
    match known {
        Some(known) => format!("[[{name}]] {known}"),
        None => format!("[[{name}]] {}", number + 1),
    }
}

pub(super) fn lines(before: &str, after: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let all = compared(&old, &new);
    let is_near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        let near = all.iter().skip(from).take(at - from + AROUND + 1);
        near.into_iter().any(|(side, _)| *side != Side::Both)
    };
    let mut shown: Vec<Line> = Vec::new();
    for (at, (side, text)) in all.iter().enumerate() {
        if is_near(at) {
            let text = without_secret(text);
            shown.push(Line { side: *side, text });
        } else if shown.last().is_some_and(|line| line.side != Side::Gap) {
            let text = String::new();
            shown.push(Line {
                side: Side::Gap,
                text,
            });
        }
    }
    if shown.last().is_some_and(|line| line.side == Side::Gap) {
        shown.pop();
    }
    shown
}

/// Lines with the texts that have them. What is equal at the beginning and at the end is left
/// out of the comparison, whose time grows with the product of both lengths.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Side, &'a str)> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (old.get(head..), new.get(head..));
    let (old_rest, new_rest) = (old_rest.unwrap_or_default(), new_rest.unwrap_or_default());
    let backwards = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = backwards.take_while(same).count();
    let (old_mid, end) = old_rest.split_at(old_rest.len() - tail);
    let new_mid = new_rest.get(..new_rest.len() - tail).unwrap_or_default();

    let both = |lines: &[&'a str]| -> Vec<(Side, &'a str)> {
        lines.iter().map(|line| (Side::Both, *line)).collect()
    };
    let mut all = both(old.get(..head).unwrap_or_default());
    all.extend(in_the_middle(old_mid, new_mid));
    all.extend(both(end));
    all
}

/// The longest sequence of lines that both have stays; the rest was removed or added.
fn in_the_middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Side, &'a str)> {
    let width = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    let at = |longest: &[u32], i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let value = match a == b {
                true => at(&longest, i + 1, j + 1) + 1,
                false => at(&longest, i + 1, j).max(at(&longest, i, j + 1)),
            };
            if let Some(place) = longest.get_mut(i * width + j) {
                *place = value;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut all = Vec::new();
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                all.push((Side::Both, *a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                all.push((Side::Old, *a));
                i += 1;
            }
            (_, Some(b)) => {
                all.push((Side::New, *b));
                j += 1;
            }
            (_, None) => return all,
        }
    }
}

/// A line that sets a secret, also one in a comment, without its value.
fn without_secret(line: &str) -> String {
    let name = line.trim_start_matches(['#', ' ', '\t']);
    let sets = |key: &&&str| {
        let rest = name.strip_prefix(**key).map(str::trim_start);
        rest.is_some_and(|rest| rest.starts_with('='))
    };
    match (SECRET.iter().find(sets), line.split_once('=')) {
        (Some(_), Some((key, _))) => format!("{key}= {STARS}"),
        _ => line.to_owned(),
    }
}
