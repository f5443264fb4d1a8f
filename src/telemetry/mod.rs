//! What the relay says of itself: the log, and in it the mail log; and what
//! was said in sessions that went wrong.
//!
//! Log lines go to standard error. Every event of a message is written by one
//! function of `maillog`, so that a line has the same fields wherever it comes
//! from. No content and no secret is ever logged (promise 7); texts from
//! outside are cleaned where they are read.

pub mod maillog;
pub mod transcripts;

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;

use crate::config::Log;
use crate::config::LogFormat;
use crate::config::LogLevel;

/// Begins to log; later calls change nothing.
pub fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let builder = builder.with_ansi(colour);
            // The journal has a clock of its own (systemd.exec, $JOURNAL_STREAM).
            if std::env::var_os("JOURNAL_STREAM").is_some() {
                builder.without_time().try_init()
            } else {
                builder.try_init()
            }
        }
    };
    // Fails if it was started before: then there is a log.
    drop(started);
}
