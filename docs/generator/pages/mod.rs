//! What the pages say, in Markdown.
//!
//! | file | makes | from |
//! |---|---|---|
//! | `codes.rs` | a page for each code, and one for each family of them | `src/catalogue/` |
//! | `configuration.rs` | the keys of relay.toml | `relay.toml` |
//! | `commands.rs` | commands and options | the command line itself |
//! | `events.rs` | log events | each line of `src/` that logs one |
//! | `observed.rs` | metrics, answers of the admin socket | `tests/snapshots/`, which a test holds equal to a running relay |
//!
//! A place in a hand-written page that is filled in is a comment on a line of its own, such as
//! `<!-- generated: metrics -->`.

mod codes;
mod commands;
mod configuration;
mod events;
mod observed;

use std::fs;
use std::path::Path;

/// Why a page cannot be made.
pub(crate) type Problem = String;

/// A page without a file of its own.
pub(crate) struct Page {
    /// Below `docs/src`, as a link names it.
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) below: Vec<Self>,
}

pub(crate) use self::codes::codes;

const MARK: (&str, &str) = ("<!-- generated: ", " -->");

/// A page with its marked places filled in.
pub(crate) fn filled(text: &str) -> Result<String, Problem> {
    let mut filled = String::new();
    for line in text.split_inclusive('\n') {
        let mark = line.trim_end().strip_prefix(MARK.0);
        match mark.and_then(|rest| rest.strip_suffix(MARK.1)) {
            Some(name) => filled.push_str(&generated(name)?),
            None => filled.push_str(line),
        }
    }
    Ok(filled)
}

fn generated(name: &str) -> Result<String, Problem> {
    match name {
        "relay.toml" => configuration::keys(),
        "commands" => Ok(commands::commands()),
        "exit-codes" => commands::exit_codes(),
        "log-events" => events::events(),
        "metrics" => observed::metrics(),
        _ => match name.strip_prefix("answer ") {
            Some(snapshot) => observed::answer(snapshot),
            None => Err(format!("nothing generates {name:?}")),
        },
    }
}

/// A file of the repository.
fn source(path: &str) -> Result<String, Problem> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A text that is not Markdown, so that it reads as it is. What is between backticks stays code.
fn plain(text: &str) -> String {
    linked(text, |_| None)
}

/// The same, with a link at each word that has one.
fn linked(text: &str, target: impl Fn(&str) -> Option<String>) -> String {
    let pieces = text.split('`').enumerate().map(|(at, piece)| {
        if at % 2 == 1 {
            return code(piece);
        }
        let words = words(piece).map(|(word, rest)| match target(word) {
            Some(target) => format!("[{}]({target}){}", escaped(word), escaped(rest)),
            None => escaped(word) + &escaped(rest),
        });
        words.collect()
    });
    pieces.collect()
}

/// Each word that could be a code, a section or a key, and what follows it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "._-[]".contains(c));
    text.split_inclusive(ends).map(move |piece| {
        let word = piece.trim_end_matches(|c| ends(c) || c == '.');
        (word, piece.strip_prefix(word).unwrap_or_default())
    })
}

fn escaped(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        c if "\\*_[]<>#|&~".contains(c) => format!("\\{c}"),
        c => c.to_string(),
    });
    escaped.collect()
}

/// A text as code within a line; a pipe in it does not end the cell of a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// The row of a table.
fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
