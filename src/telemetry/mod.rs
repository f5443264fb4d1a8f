//! What the relay reports about itself: the log, with the events of messages, and the
//! transcripts of sessions that went wrong.
//!
//! Log lines go to standard error or to systemd's journal, and logging never waits for a reader. Each event of a
//! message has one function in `maillog`, so that its line has the same fields wherever it
//! comes from. The log never contains content or secrets (promise 7). Text from outside is
//! cleaned where it is read.

pub mod alertlog;
pub mod complaints;
pub mod devices;
mod journal;
pub mod maillog;
mod native;
pub mod operatorlog;
pub mod pickuplog;
pub mod refusals;
mod spoollog;
pub mod transcripts;
mod writer;

use std::io::IsTerminal;
use std::io::Write;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Log;
use crate::config::LogFormat;
use crate::config::LogLevel;

/// Starts the log; later calls change nothing.
pub fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    std::panic::set_hook(Box::new(tell_panic));
    if log.format == LogFormat::Journald {
        match start_native(level) {
            Ok(()) => return,
            Err(error) => {
                start_on_stderr(LogFormat::Text, level);
                maillog::config_warning(&format!(
                    "[log] format = \"journald\": the relay cannot reach the journal ({error}), so the \
                     log goes to standard error, as text"
                ));
                return;
            }
        }
    }
    start_on_stderr(log.format, level);
}

/// Starts a log whose lines go to the journal, with their fields.
fn start_native(level: LevelFilter) -> std::io::Result<()> {
    let journal = native::Journal::find()?;
    let lines = writer::start_with(false, move |entries| journal.send(entries))?;
    let entries = native::Entries::new(lines);
    drop(
        tracing_subscriber::registry()
            .with(level)
            .with(entries)
            .try_init(),
    );
    Ok(())
}

fn start_on_stderr(format: LogFormat, level: LevelFilter) {
    let is_journal = journal::is_there();
    let writer = writer::start(is_journal)
        .map_or_else(|_| BoxMakeWriter::new(std::io::stderr), BoxMakeWriter::new);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(writer);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text | LogFormat::Journald => {
            let builder = builder.with_ansi(has_colour());
            // The journal adds its own time.
            if is_journal {
                builder.without_time().try_init()
            } else {
                builder.try_init()
            }
        }
    };
    // Fails if it was started before, which is fine.
    drop(started);
}

/// Whether standard error is a terminal that shows colours, and nobody has turned them off.
fn has_colour() -> bool {
    let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
    std::io::stderr().is_terminal() && !is_off && !is_dumb
}

/// The hook of the standard library writes to standard error itself, and would wait there
/// for a reader.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    // Empty unless RUST_BACKTRACE asks for a backtrace.
    let trace = std::backtrace::Backtrace::capture();
    let is_there = trace.status() == std::backtrace::BacktraceStatus::Captured;
    let trace = if is_there {
        format!("\n{trace}")
    } else {
        String::new()
    };
    error(&format!("thread {name}: {panic}{trace}"));
}

/// Writes a line that is not an event to standard error: in order with the log if there is
/// one.
pub fn line(text: &str) {
    say(Level::WARN, text);
}

/// The same for an error that ends the process: the journal shows it as one.
pub fn error(text: &str) {
    say(Level::ERROR, text);
}

fn say(level: Level, text: &str) {
    if native::line(level, text) {
        return;
    }
    let text = journal::marked(level, text);
    if !writer::line(&text) {
        let _gone = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// Log lines that were dropped because nobody reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Since the relay started.
    pub all: u64,
    /// Of these, since somebody last read the log.
    pub now: u64,
}

/// Returns how many lines nobody could read.
pub fn dropped() -> Dropped {
    let (all, now) = writer::dropped();
    Dropped { all, now }
}

/// Writes everything in the log's queue when it is dropped, as the last action of a process.
/// Waits for a reader for a limited time.
#[derive(Debug)]
pub struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        writer::flush();
    }
}
