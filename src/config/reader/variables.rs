//! Keys of relay.toml from environment variables: `GRAPH_RELAY__ACCOUNT__TENANT`.
//!
//! The name of a variable is a path: `GRAPH_RELAY`, the sections and the key, separated by
//! two underscores. A section that may repeat has a number after its name, from 0; without
//! one the first section is meant. With `_FILE` at the end, the variable names a file with
//! the value.
//!
//! This file sorts the variables into a tree and finds values in it. It does not know which
//! keys exist: as for the keys of the file, the sections say so by reading them, and a
//! variable that nobody asks for is unknown. Each variable has a span behind the text of the
//! file, so that one kind of position serves both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;

/// What every variable begins with, before the first two underscores.
pub(super) const PREFIX: &str = "GRAPH_RELAY";
/// What separates the parts of a name.
const BETWEEN: &str = "__";
/// What ends the name of a variable that names a file.
pub(super) const OF_FILE: &str = "_file";

/// All variables with keys of relay.toml.
#[derive(Debug, Default)]
pub(in crate::config) struct Variables {
    root: Node,
    /// The position of the first span.
    base: usize,
    /// The name for each span.
    names: Vec<String>,
    /// What is wrong with names.
    pub(super) problems: Vec<(Range<usize>, String)>,
    /// Variables that are no keys, but look like them: with one underscore too few.
    pub(super) doubtful: Vec<String>,
}

/// A part of a name: a section, a number or a key.
#[derive(Debug, Default)]
struct Node {
    span: Range<usize>,
    value: Option<Value>,
    below: BTreeMap<String, Self>,
}

/// The value of a variable, which may be a secret.
pub(super) struct Value {
    pub(super) name: String,
    pub(super) span: Range<usize>,
    /// The text, or why there is none.
    pub(super) text: Result<String, &'static str>,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.name).finish()
    }
}

impl Variables {
    /// Sorts the variables of an environment, for a file whose text has this length.
    pub(in crate::config) fn new(
        text_length: usize,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Self {
        let mut all = Self {
            base: text_length.saturating_add(1),
            ..Self::default()
        };
        let mut named = Vec::new();
        for (name, value) in environment {
            let name = name.to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            match rest.strip_prefix(BETWEEN).map(str::to_owned) {
                Some(path) => named.push((name, path, value)),
                None if rest.starts_with('_') && rest.contains(BETWEEN) => all.doubtful.push(name),
                None => {}
            }
        }
        named.sort();
        for (name, path, value) in named {
            all.add(name, &path, value);
        }
        all
    }

    /// Whether there are none.
    pub(in crate::config) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the name for a span, if it is not one of the file.
    pub(super) fn name(&self, span: &Range<usize>) -> Option<&str> {
        let at = span.start.checked_sub(self.base)?;
        self.names.get(at).map(String::as_str)
    }

    /// The variables of all sections.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            parts: vec![Part {
                node: &self.root,
                has_numbers: false,
            }],
            prefix: PREFIX.to_owned(),
        }
    }

    fn add(&mut self, name: String, path: &str, value: OsString) {
        let span = self.span(name.clone());
        if path.split(BETWEEN).any(str::is_empty) {
            let message = format!(
                "this is not a key: write section and key after {PREFIX}, each after two \
                 underscores, like {PREFIX}__ACCOUNT__TENANT"
            );
            self.problems.push((span, message));
            return;
        }
        let text = match value.into_string() {
            Err(_) => Err("the value is not UTF-8 text"),
            Ok(text) if text.is_empty() => {
                Err("the variable is set but empty: give it a value, or remove it")
            }
            Ok(text) => Ok(text),
        };
        let mut prefix = PREFIX.to_owned();
        let mut parts = path.split(BETWEEN).peekable();
        let (mut node, names) = (&mut self.root, &mut self.names);
        while let Some(part) = parts.next() {
            prefix = format!("{prefix}{BETWEEN}{part}");
            node = node.below.entry(part.to_ascii_lowercase()).or_default();
            if node.span.is_empty() && parts.peek().is_some() {
                let at = self.base.saturating_add(names.len());
                names.push(format!("{prefix}{BETWEEN}*"));
                node.span = at..at.saturating_add(1);
            }
        }
        if let Some(first) = &node.value {
            let message = format!("{} sets the same key: keep only one of the two", first.name);
            self.problems.push((span, message));
            return;
        }
        node.value = Some(Value { name, span, text });
    }

    fn span(&mut self, name: String) -> Range<usize> {
        let at = self.base.saturating_add(self.names.len());
        self.names.push(name);
        at..at.saturating_add(1)
    }
}

/// The variables of one section.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    parts: Vec<Part<'a>>,
    /// What the names of its variables begin with.
    prefix: String,
}

#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    node: &'a Node,
    /// Whether numbers below it are other sections of the same name.
    has_numbers: bool,
}

/// Whether a variable has a value or names a file with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Value,
    File,
}

/// A variable that nobody has read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) span: Range<usize>,
    /// The part of its path that stands for a key of the section.
    pub(super) key: String,
    /// The parts after it, as in a name.
    pub(super) rest: String,
}

impl<'a> Scope<'a> {
    /// Whether there is any variable.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.keys().next().is_none())
    }

    /// Returns the name that a variable for this key has.
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("{}{BETWEEN}{}", self.prefix, key.to_ascii_uppercase())
    }

    /// What the names of its variables begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns no variables, for a section that may repeat.
    pub(super) fn none(&self, key: &str, number: usize) -> Self {
        let name = self.name_of(key);
        Self {
            parts: Vec::new(),
            prefix: match number {
                0 => name,
                number => format!("{name}{BETWEEN}{number}"),
            },
        }
    }

    /// Returns the span of the section.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        self.parts.first().map(|part| part.node.span.clone())
    }

    /// Returns the variables that set this key: more than one is an error.
    pub(super) fn values(&self, key: &str) -> Vec<(Form, &'a Value)> {
        let file = format!("{key}{OF_FILE}");
        let forms = [(Form::Value, key), (Form::File, file.as_str())];
        let found = forms.iter().flat_map(|(form, key)| {
            let nodes = self.nodes(key);
            nodes.filter_map(move |node| Some((*form, node.value.as_ref()?)))
        });
        found.collect()
    }

    /// Returns the variables of the section with this name in this one.
    pub(super) fn section(&self, key: &str) -> Self {
        let parts = self.nodes(key).filter(|node| !node.below.is_empty());
        let parts = parts.map(|node| Part {
            node,
            has_numbers: false,
        });
        Self {
            parts: parts.collect(),
            prefix: self.name_of(key),
        }
    }

    /// Returns the variables of each of the sections with this name, which may repeat: by
    /// number.
    pub(super) fn sections(&self, key: &str) -> BTreeMap<usize, Self> {
        let mut sections = BTreeMap::new();
        for node in self.nodes(key) {
            let first = Part {
                node,
                has_numbers: true,
            };
            if first.keys().next().is_some() {
                let (parts, prefix) = (vec![first], self.name_of(key));
                sections.insert(0, Self { parts, prefix });
            }
            for (number, node) in &node.below {
                let Some(at) = as_number(number) else {
                    continue;
                };
                let part = Part {
                    node,
                    has_numbers: false,
                };
                let prefix = format!("{}{BETWEEN}{number}", self.name_of(key));
                let parts = Vec::new();
                let section = sections.entry(at).or_insert(Self { parts, prefix });
                section.parts.push(part);
            }
        }
        sections
    }

    /// Returns every variable of a section whose keys have free names, with the name.
    pub(super) fn all(&self) -> Vec<(String, &'a Value)> {
        let mut found = Vec::new();
        for (key, node) in self.parts.iter().flat_map(Part::keys) {
            node.leaves(key.clone(), &mut found);
        }
        found
    }

    /// Returns the variables that set none of these keys; `is_section` says which of the
    /// keys are sections.
    pub(super) fn unread(&self, known: &[&str], is_section: impl Fn(&str) -> bool) -> Vec<Unread> {
        let is_known = |key: &str| known.contains(&key);
        let mut unread = Vec::new();
        for (key, node) in self.parts.iter().flat_map(Part::keys) {
            if is_known(key) && is_section(key) {
                continue;
            }
            let of_file = key.strip_suffix(OF_FILE);
            let is_read =
                is_known(key) || of_file.is_some_and(|it| is_known(it) && !is_section(it));
            let mut leaves = Vec::new();
            node.leaves(String::new(), &mut leaves);
            for (rest, value) in leaves {
                if !rest.is_empty() || !is_read {
                    unread.push(Unread {
                        span: value.span.clone(),
                        key: key.clone(),
                        rest: rest.to_ascii_uppercase(),
                    });
                }
            }
        }
        unread
    }

    fn nodes(&self, key: &str) -> impl Iterator<Item = &'a Node> {
        let parts = self.parts.iter();
        parts.filter_map(move |part| part.node.below.get(key))
    }
}

impl<'a> Part<'a> {
    fn keys(&self) -> impl Iterator<Item = (&'a String, &'a Node)> {
        let has_numbers = self.has_numbers;
        let below = self.node.below.iter();
        below.filter(move |(key, _)| !has_numbers || as_number(key).is_none())
    }
}

impl Node {
    /// Adds the variables here and below with their paths, which begin with `path`.
    fn leaves<'a>(&'a self, path: String, found: &mut Vec<(String, &'a Value)>) {
        for (key, node) in &self.below {
            node.leaves(format!("{path}{BETWEEN}{key}"), found);
        }
        found.extend(self.value.iter().map(|value| (path.clone(), value)));
    }
}

/// Reads the number of a section: `0`, `1`, ..., in one form only.
fn as_number(text: &str) -> Option<usize> {
    let number = text.parse::<usize>().ok()?;
    (number.to_string() == text).then_some(number)
}
