//! Reads the sections of a TOML file and collects all problems, each with its line and
//! column.
//!
//! The keys are in `file.rs`; this file does not know them. A key that was never read is
//! unknown: see `unknown.rs`.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;
use toml::de::ValueDeserializer;

use super::unknown::Keys;
use crate::credentials::handed;

/// All problems of a configuration file, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The problems; never empty.
    pub problems: Vec<Problem>,
}

/// A problem, or something that is probably one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line and column, both from 1, where the problem has a place.
    pub place: Option<(usize, usize)>,
    /// The problem and its fix, in one line.
    pub message: String,
    /// Whether it can go away by itself.
    pub kind: ProblemKind,
}

/// Whether a problem can go away without a change of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// This process may not read the configuration file.
    NotPermitted,
    /// A file that it names cannot be read: its disk may be mounted later.
    Unreadable,
    /// Somebody has to change the configuration file or a file that it names.
    Wrong,
}

impl ConfigError {
    /// Makes an error about the file as a whole.
    pub(super) fn whole(file: &Path, message: String) -> Self {
        Self::of_kind(ProblemKind::Wrong, file, message)
    }

    /// Makes an error of this kind about the file as a whole.
    pub(super) fn of_kind(kind: ProblemKind, file: &Path, message: String) -> Self {
        Self {
            file: file.to_owned(),
            problems: vec![Problem {
                place: None,
                message,
                kind,
            }],
        }
    }

    /// Returns the worst kind among its problems: as long as one of them needs a change,
    /// starting again does not help.
    pub fn kind(&self) -> ProblemKind {
        let kinds = self.problems.iter().map(|problem| problem.kind);
        kinds.max().unwrap_or(ProblemKind::Wrong)
    }
}

impl Problem {
    /// `FILE:LINE:COLUMN: MESSAGE`.
    pub fn in_file(&self, file: &Path) -> String {
        let file = file.display();
        match self.place {
            Some((line, column)) => format!("{file}:{line}:{column}: {}", self.message),
            None => format!("{file}: {}", self.message),
        }
    }

    /// `FILE:LINE:COLUMN: warning: MESSAGE`, for output without levels.
    pub fn as_warning_in(&self, file: &Path) -> String {
        let message = format!("warning: {}", self.message);
        let warning = Self {
            message,
            ..self.clone()
        };
        warning.in_file(file)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.problems.iter().map(|it| it.in_file(&self.file));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// A value and its position in the file.
#[derive(Clone, Debug)]
pub(super) struct Marked<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<T> Marked<T> {
    pub(super) fn map<U>(self, into: impl FnOnce(T) -> U) -> Marked<U> {
        Marked {
            value: into(self.value),
            span: self.span,
        }
    }
}

/// The file's text and the problems found so far.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    text: &'a str,
    found: RefCell<Vec<(usize, Problem)>>,
    warnings: RefCell<Vec<Problem>>,
    keys: RefCell<Keys>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            found: RefCell::new(Vec::new()),
            warnings: RefCell::new(Vec::new()),
            keys: RefCell::default(),
        }
    }

    /// Adds a problem of the text at `span`.
    pub(super) fn add(&self, span: &Range<usize>, message: impl Into<String>) {
        let place = Some(self.place(span));
        self.push(span.start, place, message.into(), ProblemKind::Wrong);
    }

    /// Returns line and column, both from 1.
    fn place(&self, span: &Range<usize>) -> (usize, usize) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }

    /// Adds a problem that has no position in the file.
    pub(super) fn add_whole(&self, message: impl Into<String>) {
        self.push(usize::MAX, None, message.into(), ProblemKind::Wrong);
    }

    fn push(&self, at: usize, place: Option<(usize, usize)>, message: String, kind: ProblemKind) {
        let problem = Problem {
            place,
            message,
            kind,
        };
        self.found.borrow_mut().push((at, problem));
    }

    /// Adds a warning.
    pub(super) fn warn(&self, place: Option<(usize, usize)>, message: &str) {
        self.warnings.borrow_mut().push(Problem {
            place,
            message: message.to_owned(),
            kind: ProblemKind::Wrong,
        });
    }

    /// Returns the error, if there is any problem; otherwise the warnings.
    pub(super) fn finish(self, file: &Path) -> Result<Vec<Problem>, ConfigError> {
        for (span, message) in self.keys.take().problems() {
            self.add(&span, message);
        }
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(self.warnings.into_inner());
        }
        found.sort_by_key(|(at, _)| *at);
        Err(ConfigError {
            file: file.to_owned(),
            problems: found.into_iter().map(|(_, problem)| problem).collect(),
        })
    }
}

/// One table of the file, whose keys are read one by one.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Its name as written in the file: `[limits]`; empty for the top.
    name: String,
    /// `None` if the file does not have the section: all defaults.
    table: Option<&'a DeTable<'a>>,
    span: Range<usize>,
    problems: &'a Problems<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Returns the whole file.
    pub(super) fn top(table: &'a DeTable<'a>, problems: &'a Problems<'a>) -> Self {
        Self::new(String::new(), Some(table), 0..0, problems)
    }

    fn new(
        name: String,
        table: Option<&'a DeTable<'a>>,
        span: Range<usize>,
        problems: &'a Problems<'a>,
    ) -> Self {
        Self {
            name,
            table,
            span,
            problems,
            known: Vec::new(),
        }
    }

    /// Returns the value of a key with its position, if it exists and is well-formed.
    pub(super) fn marked<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<Marked<T>> {
        let value = self.raw(key)?;
        self.read(key, value)
    }

    /// Returns all keys of a section in which the administrator chooses them, with the values
    /// that are well-formed.
    pub(super) fn entries<T: DeserializeOwned>(&self) -> Vec<(Marked<String>, Marked<T>)> {
        let entries = self.table.iter().flat_map(|table| table.iter());
        let read = entries.filter_map(|(key, value)| {
            let name = Marked {
                value: key.get_ref().to_string(),
                span: key.span(),
            };
            let value = self.read(&name.value, value)?;
            Some((name, value))
        });
        let mut read: Vec<(Marked<String>, _)> = read.collect();
        // The table is sorted by name.
        read.sort_by_key(|(name, _)| name.span.start);
        read
    }

    fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'a>>,
    ) -> Option<Marked<T>> {
        let span = value.span();
        let expanded = match expand(value.get_ref()) {
            Ok(expanded) => expanded,
            Err(message) => {
                self.problems.add(&span, format!("{key}: {message}"));
                return None;
            }
        };
        let spanned = Spanned::new(span.clone(), expanded);
        match T::deserialize(ValueDeserializer::from(spanned)) {
            Ok(value) => Some(Marked { value, span }),
            Err(error) => {
                let message = in_words(error.message().trim_end());
                self.problems.add(&span, format!("{key}: {message}"));
                None
            }
        }
    }

    /// Returns the value of a key, if it exists and is well-formed.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        self.marked(key).map(|marked| marked.value)
    }

    /// Returns the value of a key, or its default.
    pub(super) fn or<T: DeserializeOwned>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// Returns the value of a required key; its absence is a problem.
    pub(super) fn required<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<Marked<T>> {
        if !self.has(key) {
            self.known.push(key);
            self.problem(format!("{} needs {key:?}", self.name));
            return None;
        }
        self.marked(key)
    }

    /// Whether the file has the section.
    pub(super) fn is_written(&self) -> bool {
        self.table.is_some()
    }

    /// Adds a problem with the value of a key.
    pub(super) fn problem_of(&self, key: &str, message: impl Into<String>) {
        let span = self.table.and_then(|table| table.get(key));
        self.problems
            .add(&span.map_or(0..0, Spanned::span), message);
    }

    /// Returns line and column of a value of this section.
    pub(super) fn place(&self, span: &Range<usize>) -> (usize, usize) {
        self.problems.place(span)
    }

    /// Adds a problem with the section as a whole.
    pub(super) fn problem(&self, message: impl Into<String>) {
        self.problems.add(&self.span, message);
    }

    /// Adds a problem at a line and column.
    pub(super) fn problem_at_place(&self, place: Option<(usize, usize)>, message: String) {
        let kind = ProblemKind::Wrong;
        self.problems.push(usize::MAX, place, message, kind);
    }

    /// Adds a problem with a value of this section.
    pub(super) fn problem_at(&self, span: &Range<usize>, message: impl Into<String>) {
        self.problems.add(span, message);
    }

    /// Adds a problem with a file that a value of this section names.
    pub(super) fn problem_of_file(
        &self,
        span: &Range<usize>,
        kind: ProblemKind,
        message: impl Into<String>,
    ) {
        let place = Some(self.place(span));
        self.problems.push(span.start, place, message.into(), kind);
    }

    /// Whether files can be tested here; adds a warning if not.
    pub(super) fn can_test(&self, span: &Range<usize>, files: &[&Path]) -> bool {
        let away = files.iter().find(|path| handed::is_out_of_reach(path));
        if let Some(path) = away {
            let message = format!(
                "cannot test {} here: only the service can read it (systemd credential)",
                path.display()
            );
            self.warning_at(span, &message);
        }
        away.is_none()
    }

    /// Returns the position of the section in the file.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Adds a warning about a value of this section.
    pub(super) fn warning_at(&self, span: &Range<usize>, message: &str) {
        self.problems.warn(Some(self.place(span)), message);
    }

    /// Whether a key exists, well-formed or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Reads a number from 1 to a million.
    pub(super) fn at_least_one(&mut self, key: &'static str, default: usize) -> usize {
        match self.marked::<usize>(key) {
            Some(marked) if !(1..=1_000_000).contains(&marked.value) => {
                let message = format!("{key}: must be from 1 to 1000000");
                self.problem_at(&marked.span, message);
                1
            }
            Some(marked) => marked.value,
            None => default,
        }
    }

    /// Returns the table `[key]`; if it is missing, one without keys.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let parent = self.name.trim_matches(['[', ']']);
        let dot = if parent.is_empty() { "" } else { "." };
        let name = format!("[{parent}{dot}{key}]");
        let value = self.raw(key);
        let table = value.and_then(|value| value.get_ref().as_table());
        if let (Some(value), None) = (value, table) {
            let message = format!("{key} is a section: write {name} on a line of its own");
            self.problems.add(&value.span(), message);
        }
        let span = value.map_or(0..0, Spanned::span);
        Self::new(name, table, span, self.problems)
    }

    /// Returns the tables `[[key]]`, which may occur several times.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.raw(key) else {
            return Vec::new();
        };
        let name = format!("[[{key}]]");
        let mut sections = Vec::new();
        let items: &[_] = value.get_ref().as_array().map_or(&[], |array| array);
        for item in items {
            if let Some(table) = item.get_ref().as_table() {
                let section = Self::new(name.clone(), Some(table), item.span(), self.problems);
                sections.push(section);
            }
        }
        if sections.len() != items.len() || items.is_empty() {
            let message =
                format!("{key} is a section that may repeat: write {name}, with two brackets");
            self.problems.add(&value.span(), message);
        }
        sections
    }

    /// Reports every key that was never read.
    pub(super) fn finish(self) {
        let keys = self.table.iter().flat_map(|table| table.keys());
        let unknown = keys.filter(|key| !self.known.contains(&key.get_ref().as_ref()));
        let unknown: Vec<_> = unknown
            .map(|key| (key.span(), key.get_ref().to_string()))
            .collect();
        let mut keys = self.problems.keys.borrow_mut();
        keys.add(self.name, self.known, unknown.into_iter());
    }

    fn raw(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table?.get(key)
    }
}

/// Translates an error of serde into the words of the file.
fn in_words(message: &str) -> String {
    message
        .replace(
            "expected a sequence",
            "expected a list, in brackets like [\"...\"]",
        )
        .replace("invalid type: sequence", "invalid type: list")
        .replace("wanted string or table", "expected a text in quotes")
        .replace("unknown variant", "unknown value")
}

/// Replaces `${NAME}` in strings by the environment variable.
fn expand<'a>(value: &DeValue<'a>) -> Result<DeValue<'a>, String> {
    let mut expanded = value.clone();
    expand_in_place(&mut expanded)?;
    Ok(expanded)
}

fn expand_in_place(value: &mut DeValue<'_>) -> Result<(), String> {
    if let DeValue::String(text) = value {
        *text = expand_text(text)?.into();
    } else if let DeValue::Array(items) = value {
        for item in items.iter_mut() {
            expand_in_place(item.get_mut())?;
        }
    }
    Ok(())
}

fn expand_text(text: &str) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let (name, after) = behind
            .split_once('}')
            .ok_or_else(|| "there is a \"${\" without \"}\"".to_owned())?;
        let value = match std::env::var(name) {
            Ok(value) => value,
            Err(_) if name == handed::VARIABLE => handed::OF_THE_UNIT.to_owned(),
            Err(_) => return Err(format!("the environment variable {name} is not set")),
        };
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
