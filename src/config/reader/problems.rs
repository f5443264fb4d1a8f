//! What is wrong with a configuration, and where.
//!
//! A position is a span of the file's text, or a span behind it for an environment variable
//! (`variables.rs`); people see line and column, or the name of the variable.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use super::FromVariable;
use super::unknown::Keys;
use super::variables::Variables;

/// All problems of a configuration: those of the file in its order, then those of variables.
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
    /// Where it is, unless it is about the file as a whole.
    pub place: Option<Place>,
    /// The problem and its fix, in one line.
    pub message: String,
    /// Whether it can go away by itself.
    pub kind: ProblemKind,
}

/// The position of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file: line and column, both from 1.
    File(usize, usize),
    /// The environment variable with this name.
    Variable(String),
    /// A key, or the heading of a section, in a text that is not in the file: lines of that would
    /// mean nothing to anybody.
    Key(String),
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
    pub(in crate::config) fn whole(file: &Path, message: String) -> Self {
        Self::of_kind(ProblemKind::Wrong, file, message)
    }

    /// Makes an error of this kind about the file as a whole.
    pub(in crate::config) fn of_kind(kind: ProblemKind, file: &Path, message: String) -> Self {
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
    /// `FILE:LINE:COLUMN: MESSAGE`, or `VARIABLE: MESSAGE`.
    pub fn in_file(&self, file: &Path) -> String {
        let file = file.display();
        match &self.place {
            Some(Place::File(line, column)) => format!("{file}:{line}:{column}: {}", self.message),
            // Most messages begin with their key.
            Some(Place::Key(key)) if self.message.starts_with(key) => self.message.clone(),
            Some(Place::Variable(name) | Place::Key(name)) => format!("{name}: {}", self.message),
            None => format!("{file}: {}", self.message),
        }
    }

    /// The same with `warning: ` before the message, for output without levels.
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
pub(in crate::config) struct Marked<T> {
    pub(in crate::config) value: T,
    pub(in crate::config) span: Range<usize>,
}

impl<T> Marked<T> {
    pub(in crate::config) fn map<U>(self, into: impl FnOnce(T) -> U) -> Marked<U> {
        Marked {
            value: into(self.value),
            span: self.span,
        }
    }
}

/// A configuration's text and variables, and the problems found so far.
#[derive(Debug)]
pub(in crate::config) struct Problems<'a> {
    text: &'a str,
    /// `None` if there is a file.
    without_file: Option<Place>,
    pub(super) variables: &'a Variables,
    found: RefCell<Vec<(usize, Problem)>>,
    warnings: RefCell<Vec<Problem>>,
    pub(super) keys: RefCell<Keys>,
    used: RefCell<Vec<FromVariable>>,
    /// Variables that name a file, and the content of each.
    hidden: RefCell<Vec<(String, String)>>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(text: &'a str, has_file: bool, variables: &'a Variables) -> Self {
        let environment = || Place::Variable("the environment".to_owned());
        let problems = Self {
            text,
            without_file: (!has_file).then(environment),
            variables,
            found: RefCell::new(Vec::new()),
            warnings: RefCell::new(Vec::new()),
            keys: RefCell::default(),
            used: RefCell::default(),
            hidden: RefCell::default(),
        };
        for (span, message) in &variables.problems {
            problems.add(span, message);
        }
        for name in &variables.doubtful {
            let place = Place::Variable(name.clone());
            problems.warn(
                Some(place),
                "this is not a key, and the relay ignores it: write two underscores after GRAPH_RELAY",
            );
        }
        problems
    }

    /// Adds a problem at `span`.
    pub(in crate::config) fn add(&self, span: &Range<usize>, message: impl Into<String>) {
        self.add_of_kind(span, ProblemKind::Wrong, message);
    }

    /// Adds a problem of this kind at `span`.
    pub(super) fn add_of_kind(
        &self,
        span: &Range<usize>,
        kind: ProblemKind,
        message: impl Into<String>,
    ) {
        self.push(span.start, Some(self.place(span)), message.into(), kind);
    }

    /// Returns the position as people see it.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        if let Some(name) = self.variables.name(span) {
            return Place::Variable(name.to_owned());
        }
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Place::File(line, column)
    }

    /// Adds a problem that has no position.
    pub(in crate::config) fn add_whole(&self, message: impl Into<String>) {
        self.add_at(None, message.into());
    }

    /// Adds a problem at a position as people see it.
    pub(super) fn add_at(&self, place: Option<Place>, message: String) {
        self.push(usize::MAX, place, message, ProblemKind::Wrong);
    }

    /// Quotes this text in no problem of this variable: it came from a file that may have been
    /// mixed up with one that has a secret.
    pub(super) fn hide(&self, name: &str, text: &str) {
        let hidden = (name.to_owned(), text.to_owned());
        self.hidden.borrow_mut().push(hidden);
    }

    fn without_hidden(&self, place: Option<&Place>, message: &str) -> String {
        let Some(Place::Variable(name)) = place else {
            return message.to_owned();
        };
        let hidden = self.hidden.borrow();
        let of_variable = hidden.iter().filter(|(of, _)| of == name);
        of_variable.fold(message.to_owned(), |message, (_, text)| {
            message.replace(&format!("{text:?}"), "the content of the file")
        })
    }

    fn push(&self, at: usize, place: Option<Place>, message: String, kind: ProblemKind) {
        let problem = Problem {
            message: self.without_hidden(place.as_ref(), &message),
            place: place.or_else(|| self.without_file.clone()),
            kind,
        };
        self.found.borrow_mut().push((at, problem));
    }

    /// Adds a warning.
    pub(in crate::config) fn warn(&self, place: Option<Place>, message: &str) {
        self.warnings.borrow_mut().push(Problem {
            message: self.without_hidden(place.as_ref(), message),
            place: place.or_else(|| self.without_file.clone()),
            kind: ProblemKind::Wrong,
        });
    }

    /// Returns every key that was read, with its section, whether it has a value or not.
    #[cfg(test)]
    pub(in crate::config) fn known_keys(&self) -> std::collections::BTreeSet<(String, String)> {
        let keys = self.keys.borrow();
        let known = keys.known();
        known
            .map(|(section, key)| (section.to_owned(), key.to_owned()))
            .collect()
    }

    /// Notes that a value comes from a variable.
    pub(super) fn note(&self, used: FromVariable) {
        self.used.borrow_mut().push(used);
    }

    /// Returns the variables that values come from.
    pub(in crate::config) fn used(&self) -> Vec<FromVariable> {
        let mut used = self.used.take();
        used.sort();
        used.dedup();
        used
    }

    /// Returns the error, if there is any problem; otherwise the warnings.
    pub(in crate::config) fn finish(self, file: &Path) -> Result<Vec<Problem>, ConfigError> {
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
