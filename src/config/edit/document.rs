//! The text of relay.toml as tables that keep its comments.
//!
//! A comment belongs to what follows it, as `toml_edit` has it. A new section goes above the
//! comment right above the section that follows, and at the end of the file behind the last
//! comment, so that no comment changes its meaning.

use toml_edit::Array;
use toml_edit::ArrayOfTables;
use toml_edit::DocumentMut;
use toml_edit::Item;
use toml_edit::RawString;
use toml_edit::TableLike;

use super::EditError;
use super::Table;
use super::Value;

pub(super) fn set(
    document: &mut DocumentMut,
    at: &Table,
    key: &str,
    value: Value,
) -> Result<(), EditError> {
    if let Table::Section(name) = at
        && !document.contains_key(name)
    {
        add_section(document, name);
    }
    let table = table_mut(document, at)?;
    let mut value = toml_edit::Value::from(value);
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
    Ok(())
}

pub(super) fn remove(document: &mut DocumentMut, at: &Table, key: &str) -> Result<(), EditError> {
    if let Table::Section(name) = at
        && !document.contains_key(name)
    {
        return Ok(());
    }
    table_mut(document, at)?.remove(key);
    Ok(())
}

pub(super) fn add(document: &mut DocumentMut, name: &'static str) -> Result<Table, EditError> {
    let new = new_table(document, last_position(document, name));
    let empty = || Item::ArrayOfTables(ArrayOfTables::new());
    let section = document.entry(name).or_insert_with(empty);
    let Some(entries) = section.as_array_of_tables_mut() else {
        return Err(EditError::Form(format!("[[{name}]]")));
    };
    entries.push(new);
    Ok(Table::Entry(name, entries.len() - 1))
}

pub(super) fn remove_entry(document: &mut DocumentMut, entry: &Table) -> Result<(), EditError> {
    // It must exist: `remove` panics for a number behind the last.
    table_mut(document, entry)?;
    let Table::Entry(name, number) = entry else {
        return Err(EditError::Form(entry.to_string()));
    };
    let section = document.get_mut(name);
    if let Some(entries) = section.and_then(Item::as_array_of_tables_mut) {
        entries.remove(*number);
        if entries.is_empty() {
            document.remove(name);
        }
    }
    Ok(())
}

pub(super) fn entries(document: &DocumentMut, name: &str) -> usize {
    let section = document.get(name).and_then(Item::as_array_of_tables);
    section.map_or(0, ArrayOfTables::len)
}

pub(super) fn table<'a>(document: &'a DocumentMut, at: &Table) -> Option<&'a dyn TableLike> {
    match at {
        Table::Top => Some(document.as_table()),
        Table::Section(name) => document.get(name)?.as_table_like(),
        Table::Entry(name, number) => {
            let entries = document.get(name)?.as_array_of_tables()?;
            Some(entries.get(*number)?)
        }
    }
}

fn table_mut<'a>(
    document: &'a mut DocumentMut,
    at: &Table,
) -> Result<&'a mut dyn TableLike, EditError> {
    let found: Option<&mut dyn TableLike> = match at {
        Table::Top => Some(document.as_table_mut()),
        Table::Section(name) => document.get_mut(name).and_then(Item::as_table_like_mut),
        Table::Entry(name, number) => {
            let entries = document.get_mut(name);
            let entries = entries.and_then(Item::as_array_of_tables_mut);
            let entry = entries.and_then(|it| it.get_mut(*number));
            entry.map(|it| it as &mut dyn TableLike)
        }
    };
    found.ok_or_else(|| EditError::Form(at.to_string()))
}

fn add_section(document: &mut DocumentMut, name: &str) {
    let new = new_table(document, None);
    document.insert(name, Item::Table(new));
}

/// The position of the last table of a section, with its sub-tables.
fn last_position(document: &DocumentMut, name: &str) -> Option<isize> {
    let entries = document.get(name)?.as_array_of_tables()?;
    let last = entries.iter().last()?;
    let below = last.iter().filter_map(|(_, item)| item.as_table());
    let positions = below.chain(std::iter::once(last));
    positions.filter_map(toml_edit::Table::position).max()
}

/// A table for behind the one at this position, or for the end of the file, with the comments
/// that stay above it.
fn new_table(document: &mut DocumentMut, behind: Option<isize>) -> toml_edit::Table {
    let mut new = toml_edit::Table::new();
    new.set_implicit(false);
    let mut tables = Vec::new();
    collect(document.as_table_mut(), &mut tables);
    let next = tables.into_iter().filter(|table| table.position() > behind);
    let next = next.min_by_key(|table| table.position());
    let comments = match (behind, next) {
        (Some(_), Some(next)) => {
            let prefix = next.decor().prefix().and_then(RawString::as_str);
            let prefix = prefix.unwrap_or_default().to_owned();
            // What is right above the next table, without an empty line between, is about it.
            let split = prefix.rfind("\n\n").map_or(0, |at| at + 1);
            let (above, of_next) = prefix.split_at(split);
            next.decor_mut()
                .set_prefix(match of_next.starts_with('\n') {
                    true => of_next.to_owned(),
                    false => format!("\n{of_next}"),
                });
            above.to_owned()
        }
        _ => {
            let comments = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing("");
            comments
        }
    };
    let is_first = document.is_empty() && comments.trim().is_empty();
    new.decor_mut().set_prefix(match is_first {
        true => comments,
        false => format!("{}\n\n", comments.trim_end_matches('\n')),
    });
    if comments_are_blank(&new) && !is_first {
        new.decor_mut().set_prefix("\n");
    }
    new.set_position(behind);
    new
}

fn comments_are_blank(table: &toml_edit::Table) -> bool {
    let prefix = table.decor().prefix().and_then(RawString::as_str);
    prefix.is_none_or(|prefix| prefix.trim().is_empty())
}

/// All tables with a header of their own.
fn collect<'a>(table: &'a mut toml_edit::Table, into: &mut Vec<&'a mut toml_edit::Table>) {
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => into.push(table),
            Item::ArrayOfTables(entries) => into.extend(entries.iter_mut()),
            Item::None | Item::Value(_) => {}
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Top => f.write_str("the top of the file"),
            Self::Section(name) => write!(f, "[{name}]"),
            Self::Entry(name, _) => write!(f, "[[{name}]]"),
        }
    }
}

impl From<Value> for toml_edit::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => text.into(),
            Value::List(items) => items.into_iter().collect::<Array>().into(),
            Value::Number(number) => number.into(),
            Value::Flag(flag) => flag.into(),
        }
    }
}
