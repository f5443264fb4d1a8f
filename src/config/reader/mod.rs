//! Reads the sections of a TOML file, and of environment variables that take precedence
//! over it. Collects all problems, each with its position.
//!
//! The keys are in `file.rs`; this folder does not know them. A key or a variable that was
//! never read is unknown: see `unknown.rs`.

mod ahead;
mod expand;
mod problems;
mod source;
mod text;
mod unknown;
mod variables;
mod words;

use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;
use toml::de::ValueDeserializer;

use self::expand::expand;
pub use self::problems::ConfigError;
pub(super) use self::problems::Marked;
pub use self::problems::Place;
pub use self::problems::Problem;
pub use self::problems::ProblemKind;
pub(super) use self::problems::Problems;
pub use self::source::Environment;
pub(super) use self::source::Source;
use self::text::Text;
use self::unknown::Owner;
use self::variables::Form;
use self::variables::Scope;
use self::variables::Value;
use self::words::in_words;
use crate::credentials;
use crate::credentials::OpenError;
use crate::credentials::handed;

/// A value that comes from an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FromVariable {
    /// The name of the variable.
    pub name: String,
    /// The file with the value, if the variable names one.
    pub file: Option<PathBuf>,
    /// The line of the value in relay.toml that it replaces.
    pub replaces: Option<usize>,
}

/// A value as it is written.
enum Raw<'a> {
    InFile(&'a Spanned<DeValue<'a>>),
    InVariable {
        text: String,
        span: Range<usize>,
    },
    /// A problem has been added.
    Unusable,
}

/// One table of the file, whose keys are read one by one.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Its name as written in the file: `[limits]`; empty for the top.
    name: String,
    /// `None` if the file does not have the section: all defaults.
    table: Option<&'a DeTable<'a>>,
    /// Its environment variables.
    scope: Scope<'a>,
    span: Range<usize>,
    problems: &'a Problems<'a>,
    known: Vec<&'static str>,
    /// Those of the known keys that are sections.
    sections: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Returns the whole file.
    pub(super) fn top(table: &'a DeTable<'a>, problems: &'a Problems<'a>) -> Self {
        let scope = problems.variables.scope();
        Self::new(String::new(), Some(table), scope, 0..0, problems)
    }

    fn new(
        name: String,
        table: Option<&'a DeTable<'a>>,
        scope: Scope<'a>,
        span: Range<usize>,
        problems: &'a Problems<'a>,
    ) -> Self {
        Self {
            name,
            table,
            scope,
            span,
            problems,
            known: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// Returns the value of a key with its position, if it exists and is well-formed.
    pub(super) fn marked<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<Marked<T>> {
        let value = self.raw(key)?;
        self.read(key, value)
    }

    /// Returns the text of a key that may contain a secret, without reading a variable of
    /// it: an environment variable is a place of its own for a secret. `KEY_FILE` is another
    /// key.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        self.known.push(key);
        let of_value = |(form, value): &(Form, &'a Value)| {
            (*form == Form::Value).then(|| (value.name.clone(), value.span.clone()))
        };
        if let Some((name, span)) = self.scope.values(key).iter().find_map(of_value) {
            self.note(key, &name, None);
            return Some(Secret::InVariable(Marked { value: name, span }));
        }
        let written = self.table?.get(key)?;
        Some(Secret::InFile(written.span()))
    }

    /// Returns all keys of a section in which the administrator chooses them, with the values
    /// that are well-formed.
    pub(super) fn entries<T: DeserializeOwned>(&self) -> Vec<(Marked<String>, Marked<T>)> {
        let variables = self.scope.all();
        let is_replaced = |key: &str| {
            let mut names = variables.iter().map(|(name, _)| name);
            names.any(|name| name.eq_ignore_ascii_case(key))
        };
        let entries = self.table.iter().flat_map(|table| table.iter());
        let entries = entries.filter(|(key, _)| !is_replaced(key.get_ref()));
        let written = entries.map(|(key, value)| {
            let (value, span) = (Raw::InFile(value), key.span());
            (key.get_ref().to_string(), span, value)
        });
        let set = variables.iter().map(|(key, value)| {
            let raw = self.variable(key, Form::Value, value);
            (key.clone(), value.span.clone(), raw)
        });
        let read = written.chain(set).filter_map(|(value, span, raw)| {
            let read = self.read(&value, raw)?;
            Some((Marked { value, span }, read))
        });
        let mut read: Vec<(Marked<String>, _)> = read.collect();
        // The table is sorted by name.
        read.sort_by_key(|(name, _)| name.span.start);
        read
    }

    fn read<T: DeserializeOwned>(&self, key: &str, raw: Raw<'a>) -> Option<Marked<T>> {
        let (span, read) = match raw {
            Raw::Unusable => return None,
            Raw::InVariable { text, span } => {
                let read = T::deserialize(Text(&text));
                (span, read.map_err(|error| error.to_string()))
            }
            Raw::InFile(value) => {
                let span = value.span();
                let read = expand(value.get_ref()).and_then(|expanded| {
                    let spanned = Spanned::new(span.clone(), expanded);
                    let read = T::deserialize(ValueDeserializer::from(spanned));
                    read.map_err(|error| error.message().trim_end().to_owned())
                });
                (span, read)
            }
        };
        match read {
            Ok(value) => Some(Marked { value, span }),
            Err(message) => {
                let message = format!("{key}: {}", in_words(&message));
                self.problems.add(&span, message);
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
            let advice = match self.scope.is_empty() {
                true => String::new(),
                false => format!(": set {}", self.scope.name_of(key)),
            };
            self.problem(format!("{} needs {key:?}{advice}", self.name));
            return None;
        }
        self.marked(key)
    }

    /// Whether the file or the environment has the section.
    pub(super) fn is_written(&self) -> bool {
        self.table.is_some() || !self.scope.is_empty()
    }

    /// Adds a problem with the value of a key.
    pub(super) fn problem_of(&self, key: &str, message: impl Into<String>) {
        let values = self.scope.values(key);
        let values = values.first().map(|(_, value)| value.span.clone());
        let in_file = || Some(self.table?.get(key)?.span());
        let section = || self.scope.section(key).span();
        let span = values.or_else(in_file).or_else(section).unwrap_or(0..0);
        self.problems.add(&span, message);
    }

    /// Returns the position of a value of this section.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        self.problems.place(span)
    }

    /// Whether a value of this section comes from an environment variable.
    pub(super) fn is_in_variable(&self, span: &Range<usize>) -> bool {
        self.problems.variables.name(span).is_some()
    }

    /// Adds a problem with the section as a whole.
    pub(super) fn problem(&self, message: impl Into<String>) {
        self.problems.add(&self.span, message);
    }

    /// Adds a problem at a position that is known already.
    pub(super) fn problem_at_place(&self, place: Option<Place>, message: String) {
        self.problems.add_at(place, message);
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
        self.problems.add_of_kind(span, kind, message);
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
        let in_file = self.table.is_some_and(|table| table.contains_key(key));
        let is_section = || !self.scope.section(key).is_empty();
        in_file || !self.scope.values(key).is_empty() || is_section()
    }

    /// Reads a number from 1 to a million.
    pub(super) fn at_least_one(&mut self, key: &'static str, default: usize) -> usize {
        let Some(marked) = self.marked::<i64>(key) else {
            return default;
        };
        if !(1..=1_000_000).contains(&marked.value) {
            let message = format!("{key}: must be from 1 to 1000000");
            self.problem_at(&marked.span, message);
            return 1;
        }
        usize::try_from(marked.value).unwrap_or(default)
    }

    /// Returns the table `[key]`; if it is missing, one without keys.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let parent = self.name.trim_matches(['[', ']']);
        let dot = if parent.is_empty() { "" } else { "." };
        let name = format!("[{parent}{dot}{key}]");
        let value = self.written_section(key);
        let table = value.and_then(|value| value.get_ref().as_table());
        if let (Some(value), None) = (value, table) {
            let message = format!("{key} is a section: write {name} on a line of its own");
            self.problems.add(&value.span(), message);
        }
        let scope = self.scope.section(key);
        let span = value.map(Spanned::span).or_else(|| scope.span());
        Self::new(name, table, scope, span.unwrap_or(0..0), self.problems)
    }

    /// Returns the tables `[[key]]`, which may occur several times.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let name = format!("[[{key}]]");
        let mut scopes = self.scope.sections(key);
        let mut sections = Vec::new();
        if let Some(value) = self.written_section(key) {
            let items: &[_] = value.get_ref().as_array().map_or(&[], |array| array);
            let tables = items.iter().map_while(|item| item.get_ref().as_table());
            for (at, (item, table)) in items.iter().zip(tables).enumerate() {
                let scope = scopes
                    .remove(&at)
                    .unwrap_or_else(|| self.scope.none(key, at));
                let table = Some(table);
                sections.push(Self::new(
                    name.clone(),
                    table,
                    scope,
                    item.span(),
                    self.problems,
                ));
            }
            if sections.len() != items.len() || items.is_empty() {
                let message =
                    format!("{key} is a section that may repeat: write {name}, with two brackets");
                self.problems.add(&value.span(), message);
            }
        }
        for (at, scope) in scopes {
            let span = scope.span().unwrap_or(0..0);
            if at != sections.len() {
                let next = self.scope.none(key, sections.len());
                let message = format!(
                    "there is no {name} before this one: use {} for the next",
                    next.prefix()
                );
                self.problems.add(&span, message);
                continue;
            }
            sections.push(Self::new(name.clone(), None, scope, span, self.problems));
        }
        sections
    }

    /// Returns a section as the file has it; a variable with its name cannot have a value.
    fn written_section(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.sections.push(key);
        for (_, value) in self.scope.values(key) {
            let message = format!(
                "{key} is a section: set a variable for each of its keys, like {}__KEY",
                self.scope.name_of(key)
            );
            self.problems.add(&value.span, message);
        }
        self.table?.get(key)
    }

    /// Reports every key that was never read.
    pub(super) fn finish(self) {
        let keys = self.table.iter().flat_map(|table| table.keys());
        let unknown = keys.filter(|key| !self.known.contains(&key.get_ref().as_ref()));
        let unknown: Vec<_> = unknown
            .map(|key| (key.span(), key.get_ref().to_string()))
            .collect();
        let is_section = |key: &str| self.sections.contains(&key);
        let unread = self.scope.unread(&self.known, is_section);
        let owner = Owner {
            name: self.name,
            prefix: self.scope.prefix().to_owned(),
            known: self.known,
            sections: self.sections,
        };
        let mut keys = self.problems.keys.borrow_mut();
        keys.add(owner, unknown.into_iter(), unread);
    }

    fn raw(&mut self, key: &'static str) -> Option<Raw<'a>> {
        self.known.push(key);
        let values = self.scope.values(key);
        let Some((form, value)) = values.first() else {
            return self.table?.get(key).map(Raw::InFile);
        };
        if let Some((_, other)) = values.get(1) {
            let message = format!("{} sets the same key: keep only one of the two", value.name);
            self.problems.add(&other.span, message);
        }
        Some(self.variable(key, *form, value))
    }

    /// Returns the value of a variable, or of the file that it names.
    fn variable(&self, key: &str, form: Form, value: &Value) -> Raw<'a> {
        let span = value.span.clone();
        let text = match (&value.text, form) {
            (Err(why), _) => Err((ProblemKind::Wrong, (*why).to_owned())),
            (Ok(text), Form::Value) => Ok((text.clone(), None)),
            (Ok(path), Form::File) => {
                let path = PathBuf::from(path);
                content(&path).map(|text| {
                    self.problems.hide(&value.name, &text);
                    (text, Some(path))
                })
            }
        };
        match text {
            Ok((text, file)) => {
                self.note(key, &value.name, file);
                Raw::InVariable { text, span }
            }
            Err((kind, why)) => {
                self.problems.add_of_kind(&span, kind, why);
                Raw::Unusable
            }
        }
    }

    /// Notes that the value of a key comes from a variable.
    fn note(&self, key: &str, name: &str, file: Option<PathBuf>) {
        let written = self.table.and_then(|table| table.get(key));
        let replaces = written.and_then(|written| match self.place(&written.span()) {
            Place::File(line, _) => Some(line),
            Place::Variable(_) | Place::Key(_) => None,
        });
        self.problems.note(FromVariable {
            name: name.to_owned(),
            file,
            replaces,
        });
    }
}

/// Where a secret is written.
pub(super) enum Secret {
    /// In relay.toml, where it must not be.
    InFile(Range<usize>),
    /// In the environment variable with this name.
    InVariable(Marked<String>),
}

/// Returns the value in a file that a variable names: without the line end that editors add.
fn content(path: &Path) -> Result<String, (ProblemKind, String)> {
    if !path.is_absolute() {
        // It may be the value itself, so it is not shown.
        let message = "write the path of a file, from the root, like /run/secrets/relay: the \
                       variable names the file with the value";
        return Err((ProblemKind::Wrong, message.to_owned()));
    }
    let shown = path.display();
    let refused = |error: OpenError| {
        let kind = ProblemKind::of_file(error.is_unreadable());
        (kind, error.words(path))
    };
    let bytes = credentials::read(path, |_, _| Ok(()), refused)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("{shown} is not UTF-8 text: write only the value into it");
        (ProblemKind::Wrong, message)
    })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => {
            let message = format!("{shown} is empty: write the value into it");
            Err((ProblemKind::Wrong, message))
        }
        text => Ok(text.to_owned()),
    }
}
