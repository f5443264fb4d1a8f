//! The codes of Entra, Graph and Exchange: the words of `graph-relay explain`, with links from one
//! code to those that belong to it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;

use graph_relay::catalogue;
use graph_relay::catalogue::Entry;
use graph_relay::catalogue::FAMILIES;
use graph_relay::catalogue::Family;

use super::Page;
use super::code;
use super::configuration;
use super::linked;
use super::plain;
use super::row;

/// The folder of the pages, below `docs/src`.
const FOLDER: &str = "fails";
/// More of them have the remedy because it is a general one, such as to wait.
const MOST_RELATED: usize = 12;

/// The words in the cause and the remedy of each code.
static WORDS: LazyLock<BTreeMap<&str, BTreeSet<&str>>> = LazyLock::new(|| {
    let of = |text: &'static str| super::words(text).map(|(word, _)| word);
    let words = |entry: &'static Entry| of(entry.cause).chain(of(entry.remedy)).collect();
    catalogue::all()
        .map(|entry| (entry.code, words(entry)))
        .collect()
});

/// A page for each family, and below it one for each of its codes.
pub(crate) fn codes() -> Vec<Page> {
    FAMILIES.iter().map(family).collect()
}

fn family(family: &Family) -> Page {
    let mut text = format!("# {}\n\n{}\n\n", family.name, plain(family.about));
    text.push_str("| code | what happened |\n|---|---|\n");
    for entry in family.entries() {
        text.push_str(&row(&[&link(entry), &plain(&entry.summary())]));
    }
    Page {
        path: format!("{FOLDER}/{}", file_of(family)),
        title: family.name.to_owned(),
        text,
        below: family.entries().map(|entry| page(entry, family)).collect(),
    }
}

fn page(entry: &Entry, family: &Family) -> Page {
    let mut text = format!("# {}\n\n", plain(entry.code));
    for (label, words) in entry.lines().filter(|(label, _)| *label != "code") {
        let words = match label {
            "place" if is_typed(&words) => code(&words),
            _ => linked(&words, |word| match other(word, entry) {
                Some(other) => Some(page_of(other)),
                None => configuration::link(word).map(|link| format!("../reference/{link}")),
            }),
        };
        // A String takes whatever is written.
        let _taken = writeln!(text, "**{}** {words}\n", heading(label));
    }
    let related = related(entry);
    if !related.is_empty() {
        let links: Vec<_> = related.into_iter().map(link).collect();
        let _taken = writeln!(text, "See also {}.\n", links.join(", "));
    }
    let _taken = writeln!(
        text,
        "On the machine of the relay: `graph-relay explain {}`. All codes of this kind: [{}]({}). \
         Where to look first: [find the cause](README.md).",
        entry.code,
        family.name,
        file_of(family)
    );
    Page {
        path: format!("{FOLDER}/{}", page_of(entry)),
        title: entry.code.to_owned(),
        text,
        below: Vec::new(),
    }
}

/// `Entra (AADSTS)` is in `entra.md`.
fn file_of(family: &Family) -> String {
    let words = family.name.split(" (").next().unwrap_or_default();
    format!("{}.md", words.to_lowercase().replace(' ', "-"))
}

/// `535 5.7.8` is in `535-5.7.8.md`.
fn page_of(entry: &Entry) -> String {
    format!("{}.md", entry.code.replace(' ', "-"))
}

fn link(entry: &Entry) -> String {
    format!("[{}]({})", plain(entry.code), page_of(entry))
}

/// `cause` as it begins a paragraph.
fn heading(label: &str) -> String {
    let mut letters = label.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain([':']).collect()
}

/// Whether a place is a command or an address to copy, and no way through menus.
fn is_typed(place: &str) -> bool {
    let first = place.split(' ').next().unwrap_or_default();
    let is_command = first.contains('-') || ["curl", "journalctl", "timedatectl"].contains(&first);
    first.starts_with("https://") || is_command
}

/// The entry that a word names, besides the one that the text is about.
fn other(word: &str, about: &Entry) -> Option<&'static Entry> {
    catalogue::all().find(|entry| entry.code == word && entry.code != about.code)
}

/// Codes that have to do with this one: the words of one name the other, or the remedy is the same.
fn related(entry: &Entry) -> Vec<&'static Entry> {
    let names =
        |from: &Entry, to: &Entry| WORDS.get(from.code).is_some_and(|it| it.contains(to.code));
    let is_named = |other: &Entry| names(other, entry) || names(entry, other);
    let others = || catalogue::all().filter(|other| other.code != entry.code);
    let same_remedy = others().filter(|other| other.remedy == entry.remedy);
    let is_general = same_remedy.count() > MOST_RELATED;
    others()
        .filter(|other| is_named(other) || (other.remedy == entry.remedy && !is_general))
        .collect()
}
