//! Lines for systemd's journal: each begins with its priority, as sd-daemon(3) has it. The
//! journal takes it off again, and `journalctl -p warning` finds the line.

use std::borrow::Cow;

use tracing::Level;

use crate::platform::output;

/// Whether standard error goes to the journal: `$JOURNAL_STREAM` names device and inode
/// (systemd.exec(5)). A program that was started with another standard error inherits the
/// variable too.
pub(super) fn is_there() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    output::identity_of_stderr().is_some_and(|identity| identity == stream)
}

/// Returns what begins a line of this level.
pub(super) fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Returns a text for the journal, if that is where it goes: each of its lines has the
/// priority.
pub(super) fn marked(level: Level, text: &str) -> Cow<'_, str> {
    if !is_there() {
        return Cow::Borrowed(text);
    }
    let priority = priority(level);
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("{priority}{line}"))
        .collect();
    Cow::Owned(lines.join("\n"))
}
