//! The terminal: everything that a command prints for people goes through here.
//!
//! - On a terminal no line is wider than it: text is broken at blanks, and tables cut long
//!   addresses and subjects in the middle. Nothing else is cut, above all no ID.
//! - Where the output is no terminal, it has no colour, no progress, and nothing is cut.
//! - Characters that a terminal obeys never reach it.
//!
//! | file | has |
//! |---|---|
//! | `screen` | the size of the terminal, and whether it shows colours |
//! | `text` | widths, and where text is broken or cut |
//! | `style` | colours |
//! | `table` | tables |
//! | `progress` | the line that shows how far long work is |
//! | `questions` | questions to the user |

mod progress;
mod questions;
mod screen;
mod style;
mod table;
mod text;

use std::io::Write;

use serde::Serialize;

pub(super) use self::progress::Progress;
pub(super) use self::questions::agreed;
pub(super) use self::questions::ask;
pub(super) use self::questions::ask_secret;
pub(super) use self::questions::is_there;
pub(super) use self::questions::is_yes;
pub(super) use self::questions::line;
pub(super) use self::questions::mind_interrupts;
pub(super) use self::questions::prompt;
pub(super) use self::questions::uninterrupted;
use self::screen::Stream;
pub(super) use self::style::Style;
pub(super) use self::table::Column;
pub(super) use self::table::Table;
use self::text::clean;
use crate::telemetry;

/// Prints text to standard output. A reader that went away (`| head`) ends nothing.
pub(super) fn say(text: &str) {
    say_styled(&[(Style::Plain, text)]);
}

/// Prints a text of parts in different styles.
pub(super) fn say_styled(parts: &[(Style, &str)]) {
    for line in lines(parts, Stream::Out) {
        say_exactly(&line);
    }
}

/// Prints a line that somebody copies or another program reads: it is never broken. It must
/// not contain text from outside.
pub(super) fn say_exactly(line: &str) {
    progress::aside(|| {
        let _gone = writeln!(std::io::stdout().lock(), "{line}");
    });
}

/// Prints a value as one line of JSON.
pub(super) fn say_json(value: &impl Serialize) {
    let json = serde_json::to_string(value).unwrap_or_default();
    say_exactly(&harmless(&json));
}

/// JSON writes most characters that a terminal obeys as escapes; this does the others.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_control() {
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    text
}

/// Prints a message to standard error.
pub(super) fn talk(text: &str) {
    talk_by(telemetry::line, text);
}

/// The same for an error that ends the command: the journal shows it as one.
pub(super) fn talk_of_error(text: &str) {
    talk_by(telemetry::error, text);
}

fn talk_by(print: impl FnOnce(&str), text: &str) {
    let lines = lines(&[(Style::Plain, text)], Stream::Err);
    progress::aside(|| print(&lines.join("\n")));
}

/// The lines of a text, as wide as the stream allows.
fn lines(parts: &[(Style, &str)], stream: Stream) -> Vec<String> {
    let (columns, has_colour) = (stream.columns(), stream.has_colour());
    if columns.is_none() && !has_colour {
        let text: String = parts.iter().map(|(_, text)| *text).collect();
        return text.split('\n').map(clean).collect();
    }
    let mut lines = vec![Vec::new()];
    for (style, text) in parts {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                lines.push(Vec::new());
            }
            if let Some(last) = lines.last_mut() {
                last.extend(text::pieces(&clean(line), *style));
            }
        }
    }
    let broken = lines.into_iter().flat_map(|line| match columns {
        Some(room) => text::wrapped(line, room),
        None => vec![line],
    });
    broken
        .map(|line| text::painted(&line, has_colour))
        .collect()
}

/// Shows a text in place of the one before, as much of it as fits on the terminal. Where
/// nothing can be erased, one stands below the other.
pub(super) fn show_screen(parts: &[(Style, &str)]) {
    let lines = lines(parts, Stream::Out);
    let height = Stream::Out.size().map(|(_, height)| height);
    let (Some(height), true) = (height, Stream::Out.can_move()) else {
        lines.iter().for_each(|line| say_exactly(line));
        say_exactly("");
        return;
    };
    // ECMA-48: to the beginning; erase the rest of each line, and what is below.
    let mut screen = "\x1b[H".to_owned();
    for line in lines.iter().take(height.saturating_sub(1)) {
        screen.push_str(line);
        screen.push_str("\x1b[K\n");
    }
    screen.push_str("\x1b[J");
    let mut terminal = std::io::stdout().lock();
    let _gone = terminal.write_all(screen.as_bytes());
    let _gone = terminal.flush();
}

/// Whether standard output is a terminal.
pub(super) fn is_watched() -> bool {
    Stream::Out.columns().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_without_characters_that_a_terminal_obeys() {
        let text = "a\u{9b}31m\u{7f}\u{1b}é";
        let json = serde_json::to_string(text).unwrap();

        let shown = harmless(&json);

        assert!(!shown.contains(char::is_control), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
