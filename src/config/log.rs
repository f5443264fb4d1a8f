//! `[log]`: how much the relay logs, and in which form.

use serde::Deserialize;

use super::reader::Section;

/// Reads the section.
pub(super) fn read(top: &mut Section<'_>) -> Log {
    let mut section = top.table("log");
    let log = Log {
        level: section.or("level", LogLevel::Info),
        format: section.or("format", LogFormat::Text),
    };
    section.finish();
    log
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The lowest level that is written.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
}

/// The levels of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Events that need the operator.
    Error,
    /// Events that may need the operator.
    Warn,
    /// One line for each event of a message.
    Info,
    /// Sessions and requests too.
    Debug,
    /// Everything.
    Trace,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
    /// Entries of systemd's journal, with fields.
    Journald,
}
