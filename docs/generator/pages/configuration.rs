//! relay.toml, key by key, from the commented file itself, which a test holds equal to what the
//! relay reads.
//!
//! `#key = ...` is a default, `# key = ...` an example, and a line without `#` has to be filled in.
//! A comment belongs to the keys right below it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use super::Problem;
use super::code;
use super::linked;
use super::plain;
use super::source;

/// Its keys are the names that people choose.
const FREE_KEYS: &str = "[aliases]";
/// Before the comment that begins a part of the file.
const PART: &str = "--- ";

/// Where each section (`[http]`) and each key (`http.proxy`, `data_dir`) is described.
static ANCHORS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let source = source("relay.toml").unwrap_or_default();
    Page::of(&source, |_| None).anchors
});

/// All sections with their keys.
pub(super) fn keys() -> Result<String, Problem> {
    let page = Page::of(&source("relay.toml")?, |word| {
        anchor(word).map(|id| format!("#{id}"))
    });
    if page.anchors.is_empty() {
        return Err("relay.toml has no keys".to_owned());
    }
    Ok(page.text)
}

/// A link to a section or a key, from the folder of this page.
pub(super) fn link(word: &str) -> Option<String> {
    anchor(word).map(|id| format!("relay-toml.md#{id}"))
}

/// A key counts without its section too, if it is not an ordinary word and only one section has it.
fn anchor(word: &str) -> Option<&'static String> {
    ANCHORS.get(word).or_else(|| {
        let is_key = |name: &str| name.rsplit('.').next() == Some(word);
        let mut known = ANCHORS.iter().filter(|(name, _)| is_key(name));
        match (known.next(), known.next()) {
            (Some((_, id)), None) if word.contains('_') => Some(id),
            _ => None,
        }
    })
}

enum Line<'t> {
    Blank,
    Words(&'t str),
    Section(&'t str),
    Key {
        kind: Kind,
        name: &'t str,
        text: &'t str,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Default,
    Example,
    Required,
}

impl<'t> Line<'t> {
    fn of(line: &'t str) -> Self {
        let (kind, text) = match line.strip_prefix("# ") {
            Some(text) => (Kind::Example, text),
            None => match line.strip_prefix('#') {
                Some(text) => (Kind::Default, text),
                None => (Kind::Required, line),
            },
        };
        let is_toml = || toml::from_str::<toml::Table>(text).is_ok();
        match text.split_once(" = ") {
            _ if text.is_empty() => Self::Blank,
            _ if text.starts_with('[') && is_toml() => Self::Section(text),
            Some((name, _)) if is_toml() => Self::Key { kind, name, text },
            _ => Self::Words(text),
        }
    }
}

/// The page as it grows.
struct Page<L> {
    text: String,
    anchors: BTreeMap<String, String>,
    /// What a word links to.
    link: L,
    /// The comment that is not written yet.
    words: String,
    /// Whether that comment is about the section that follows.
    is_part: bool,
    section: String,
    /// Whether the section was shown before, with other values.
    is_again: bool,
    /// The keys that are described together.
    group: Vec<(Kind, String, String)>,
}

impl<L: Fn(&str) -> Option<String>> Page<L> {
    fn of(source: &str, link: L) -> Self {
        let mut page = Self {
            text: String::new(),
            anchors: BTreeMap::new(),
            link,
            words: String::new(),
            is_part: false,
            section: String::new(),
            is_again: false,
            group: Vec::new(),
        };
        for line in source.lines() {
            match Line::of(line) {
                Line::Blank if page.is_part => {}
                Line::Blank => page.paragraph(),
                Line::Words(words) => page.words(words),
                Line::Section(name) => page.section(name),
                Line::Key { kind, name, text } => {
                    page.group.push((kind, name.to_owned(), text.to_owned()));
                }
            }
        }
        page.paragraph();
        page
    }

    fn words(&mut self, words: &str) {
        let part = words.strip_prefix(PART);
        if part.is_some() || !self.group.is_empty() {
            self.paragraph();
            self.is_part = part.is_some();
        }
        self.words.push_str(part.unwrap_or(words));
        self.words.push('\n');
    }

    fn section(&mut self, name: &str) {
        let words = std::mem::take(&mut self.words);
        self.paragraph();
        self.is_part = false;
        self.is_again = self.section == name;
        if self.is_again {
            return;
        }
        name.clone_into(&mut self.section);
        let id = self.id("");
        let words = linked(&words, &self.link);
        // A String takes whatever is written.
        let _taken = write!(self.text, "## {} {{#{id}}}\n\n{words}\n", plain(name));
        self.anchors.insert(name.to_owned(), id);
    }

    /// Of a key in the section, or of the section itself.
    fn id(&self, key: &str) -> String {
        let section = self.section.trim_matches(['[', ']']);
        let id = format!("{section}-{key}").replace('.', "-");
        id.trim_matches('-').to_owned()
    }

    /// Writes what belongs together.
    fn paragraph(&mut self) {
        let words = std::mem::take(&mut self.words);
        let group = std::mem::take(&mut self.group);
        let has_heading = !self.is_again && self.section != FREE_KEYS;
        if let Some((_, first, _)) = group.first().filter(|_| has_heading) {
            let names: Vec<_> = group.iter().map(|(_, name, _)| plain(name)).collect();
            let id = self.id(first);
            let _taken = writeln!(self.text, "### {} {{#{id}}}\n", names.join(", "));
            let section = self.section.trim_matches(['[', ']']);
            for (_, name, _) in &group {
                let name = format!("{section}.{name}");
                let name = name.trim_start_matches('.').to_owned();
                self.anchors.insert(name, id.clone());
            }
        }
        if !words.is_empty() {
            let _taken = writeln!(self.text, "{}", linked(&words, &self.link));
        }
        for (kind, label) in [
            (Kind::Required, "Set it"),
            (Kind::Default, "Default"),
            (Kind::Example, "Example"),
        ] {
            let lines = group.iter().filter(|(of, ..)| *of == kind);
            let lines: Vec<_> = lines.map(|(.., text)| code(text)).collect();
            if !lines.is_empty() {
                let again = if self.is_again {
                    " of the second section"
                } else {
                    ""
                };
                let _taken = writeln!(self.text, "{label}{again}: {}\n", lines.join(", "));
            }
        }
    }
}
