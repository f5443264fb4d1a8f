//! What the relay says of itself: the log, and in it the mail log; and what
//! was said in sessions that went wrong.
//!
//! Log lines go to standard error, and whoever logs never waits for its reader. Every event of a message is written by one
//! function of `maillog`, so that a line has the same fields wherever it comes
//! from. No content and no secret is ever logged (promise 7); texts from
//! outside are cleaned where they are read.

pub mod complaints;
pub mod maillog;
mod spoollog;
pub mod transcripts;
mod writer;

use std::io::IsTerminal;
use std::io::Write;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

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
    let writer =
        writer::start().map_or_else(|_| BoxMakeWriter::new(std::io::stderr), BoxMakeWriter::new);
    std::panic::set_hook(Box::new(tell_panic));
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(writer);
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

/// The hook of the standard library writes to standard error itself, and would
/// wait there for a reader.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    // Empty unless RUST_BACKTRACE asks for it.
    let trace = std::backtrace::Backtrace::capture();
    let is_there = trace.status() == std::backtrace::BacktraceStatus::Captured;
    let trace = if is_there {
        format!("\n{trace}")
    } else {
        String::new()
    };
    line(&format!("thread {name}: {panic}{trace}"));
}

/// Says a line that is no event, to standard error: in order with the log where
/// there is one.
pub fn line(text: &str) {
    if !writer::line(text) {
        let _gone = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// Lines of the log that were dropped because nobody reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Since the start.
    pub all: u64,
    /// Of them, those dropped since somebody read the log.
    pub now: u64,
}

/// How many lines nobody could read.
pub fn dropped() -> Dropped {
    let (all, now) = writer::dropped();
    Dropped { all, now }
}

/// Writes what the log has queued when it is dropped: the last thing that a
/// process does. Waits for a reader for a bounded time.
#[derive(Debug)]
pub struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        writer::flush();
    }
}
