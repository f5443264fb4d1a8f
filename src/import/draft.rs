//! A relay.toml that is being put together, as text in the order of the manual.
//!
//! It contains only what the other product sets, so that everything else keeps the relay's
//! defaults. What is missing stands there as a comment to fill in: `check` then names it.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// The order of the sections in the file.
const ORDER: [&str; 13] = [
    "[[listener]]",
    "[tls]",
    "[[user]]",
    "[aliases]",
    "[limits]",
    "[[account]]",
    "[account.rate_limits]",
    "[[sender]]",
    "[delivery]",
    "[failure]",
    "[[pickup]]",
    "[http]",
    "[log]",
];

/// A relay.toml.
#[derive(Debug, Default)]
pub struct Draft {
    /// The product that it is made from, as its first line names it.
    pub product: &'static str,
    top: Vec<String>,
    /// By their names.
    sections: BTreeMap<&'static str, Vec<Section>>,
    /// A secret, for a file of its own beside relay.toml.
    pub secret: Option<SecretFile>,
}

/// A section with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    name: &'static str,
    lines: Vec<String>,
}

/// A secret that relay.toml refers to by the name of a file.
#[derive(Debug)]
pub struct SecretFile {
    /// The name of the file, without a folder.
    pub name: &'static str,
    /// Its content.
    pub value: SecretString,
}

/// Stands for the folder of relay.toml until that is known; no other text of TOML has it.
const FOLDER: &str = "\u{1}";
/// The same in quotes.
const QUOTED_FOLDER: &str = "\\u0001";

impl Draft {
    /// Adds a key before the first section, unless it is there.
    pub(super) fn top(&mut self, key: &str, value: &str) {
        once(&mut self.top, key, format!("{key} = {}", quoted(value)));
    }

    /// Adds a key to `[limits]`, unless it is there. The value is a number, or a text in quotes.
    pub(super) fn limit(&mut self, key: &str, value: &str) {
        self.within("[limits]", |limits| {
            once(&mut limits.lines, key, format!("{key} = {value}"));
        });
    }

    /// Adds a section.
    pub(super) fn add(&mut self, section: Section) {
        if !section.lines.is_empty() {
            let sections = self.sections.entry(section.name).or_default();
            sections.push(section);
        }
    }

    /// Fills a section that may occur only once.
    pub(super) fn within(&mut self, name: &'static str, fill: impl FnOnce(&mut Section)) {
        let sections = self.sections.entry(name).or_default();
        if let Some(section) = sections.first_mut() {
            return fill(section);
        }
        let mut section = Section::new(name);
        fill(&mut section);
        sections.push(section);
    }

    /// Whether there is a section with this name.
    pub fn has(&self, name: &str) -> bool {
        self.sections.contains_key(name)
    }

    /// Returns the text; its secrets are in files of this folder.
    pub fn text(&self, folder: &str) -> String {
        let (top, sections) = self.parts(folder, |_| true);
        let between = if top.is_empty() { "" } else { "\n" };
        format!(
            "# relay.toml, made from the configuration of {} by graph-relay import.\n\
             # Keys that are not here have their defaults: graph-relay man relay.toml explains \
             them all.\n{between}{top}\n{sections}",
            self.product
        )
    }

    /// Returns the keys before the first section, and the sections, as far as their names are
    /// wanted: the first part of the name, without brackets.
    pub fn parts(&self, folder: &str, is_wanted: impl Fn(&str) -> bool) -> (String, String) {
        let folder = quoted(folder);
        let folder = folder.trim_matches('"');
        let written = |lines: &[String]| {
            let lines = lines.iter();
            lines.fold(String::new(), |text, line| {
                text + &line.replace(QUOTED_FOLDER, folder) + "\n"
            })
        };
        let top = self.top.iter();
        let top = top.filter(|line| is_wanted(line.split(' ').next().unwrap_or_default()));
        let mut sections = Vec::new();
        for name in ORDER {
            let key = name.trim_matches(['[', ']']).split('.').next();
            let named = self.sections.get(name).into_iter().flatten();
            for section in named.filter(|_| key.is_some_and(&is_wanted)) {
                sections.push(format!("{name}\n{}", written(&section.lines)));
            }
        }
        (
            written(&top.cloned().collect::<Vec<_>>()),
            sections.join("\n"),
        )
    }
}

impl Section {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            lines: Vec::new(),
        }
    }

    /// Adds a key with a text.
    pub(super) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, &quoted(value))
    }

    /// Adds a key with the path of a file in the folder of relay.toml.
    pub fn file(&mut self, key: &str, name: &str) -> &mut Self {
        self.raw(key, &quoted(&format!("{FOLDER}/{name}")))
    }

    /// Adds a key with a list of texts.
    pub(super) fn list<T: AsRef<str>>(&mut self, key: &str, values: &[T]) -> &mut Self {
        let values: Vec<String> = values.iter().map(|it| quoted(it.as_ref())).collect();
        self.raw(key, &format!("[{}]", values.join(", ")))
    }

    /// Adds a key with a number or a truth value.
    pub(super) fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let key = match !key.is_empty() && key.chars().all(is_bare) {
            true => key.to_owned(),
            false => quoted(key),
        };
        self.lines.push(format!("{key} = {value}"));
        self
    }

    /// Adds a line that somebody has to complete.
    pub(super) fn missing(&mut self, line: &str) -> &mut Self {
        self.lines.push(format!("# {line}"));
        self
    }
}

fn once(lines: &mut Vec<String>, key: &str, new: String) {
    let start = format!("{key} = ");
    if !lines.iter().any(|line| line.starts_with(&start)) {
        lines.push(new);
    }
}

/// A text as a basic string of TOML, for which JSON's quoting works.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}
