//! The events of the log, from the lines of the source that log them: level, words and fields.
//!
//! A line that logs an event is `info!(event = "name", ...)`, or the same with another level; it
//! has its words as a literal. Debug lines without an event are for developers, and left out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::Problem;
use super::code;
use super::configuration;
use super::linked;

/// The worst first.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// One way in which an event is logged.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    /// Of [`LEVELS`].
    level: usize,
    words: String,
    fields: Vec<String>,
}

/// A section for each event.
pub(super) fn events() -> Result<String, Problem> {
    let mut events: BTreeMap<String, BTreeSet<Line>> = BTreeMap::new();
    for path in sources()? {
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        for (level, name) in LEVELS.iter().enumerate() {
            let macro_ = format!("{name}!(");
            for arguments in text.split(macro_.as_str()).skip(1) {
                let read = read(level, arguments);
                let read = read.map_err(|problem| format!("{}: {problem}", path.display()))?;
                if let Some((event, line)) = read {
                    events.entry(event).or_default().insert(line);
                }
            }
        }
    }
    let mut page = String::new();
    for (event, lines) in events {
        // A String takes whatever is written.
        let _taken = writeln!(page, "## {event} {{#{event}}}\n");
        for line in lines {
            let fields: Vec<_> = line.fields.iter().map(|field| code(field)).collect();
            let fields = match fields.as_slice() {
                [] => String::new(),
                fields => format!(" Fields: {}.", fields.join(", ")),
            };
            let level = LEVELS.get(line.level).unwrap_or(&"");
            let words = linked(&line.words, configuration::link);
            let _taken = writeln!(page, "- **{level}:** {words}.{fields}");
        }
        page.push('\n');
    }
    Ok(page)
}

fn sources() -> Result<Vec<PathBuf>, Problem> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The event that these arguments of a macro log, if they log one; more text may follow them.
fn read(level: usize, text: &str) -> Result<Option<(String, Line)>, Problem> {
    let mut line = Line {
        level,
        words: String::new(),
        fields: Vec::new(),
    };
    let mut event = None;
    for argument in arguments(text)? {
        match argument.split_once(" = ") {
            Some(("event", name)) => event = Some(name.trim_matches('"').to_owned()),
            _ if argument.starts_with('"') => line.words = words(argument),
            Some((name, _)) => line.fields.push(name.to_owned()),
            None => line
                .fields
                .push(argument.trim_matches(['%', '?']).to_owned()),
        }
    }
    match event {
        Some(event) if line.words.is_empty() || line.words.contains('{') => {
            Err(format!("the words of event {event:?} are not in its line"))
        }
        event => Ok(event.map(|event| (event, line))),
    }
}

/// The arguments of a macro, up to the parenthesis that closes it.
fn arguments(text: &str) -> Result<Vec<&str>, Problem> {
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0_u32);
    let (mut in_quotes, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        let ends = !in_quotes && depth == 0 && (c == ',' || c == ')');
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            _ => {}
        }
        if ends {
            found.extend(
                text.get(start..at)
                    .map(str::trim)
                    .filter(|it| !it.is_empty()),
            );
            start = at + 1;
            if c == ')' {
                return Ok(found);
            }
        }
    }
    Err("a macro that logs has no end".to_owned())
}

/// The words of a literal: in one line, and with capitals for what is put in, as elsewhere in the
/// book.
fn words(literal: &str) -> String {
    let text = literal.trim_matches('"').replace("\\\n", " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut pieces = text.split(['{', '}']);
    let mut words = pieces.next().unwrap_or_default().to_owned();
    while let (Some(name), Some(rest)) = (pieces.next(), pieces.next()) {
        if rest.is_empty() && words.is_empty() {
            // Nothing but what is put in.
            return text;
        }
        words.push_str(&name.to_uppercase().replace('_', " "));
        words.push_str(rest);
    }
    words
}
