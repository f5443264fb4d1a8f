//! The log as entries of systemd's journal, with a field for each field of an event, in
//! journald's native protocol (systemd page "Native Journal Protocol"): one datagram for each
//! entry.
//!
//! The entries wait in the queue of `writer.rs`, whose promises hold here too: only the thread
//! of the log waits for a journal that nobody reads. While the journal restarts, the thread
//! tries again until it is back. The socket is in `platform/systemd/journal.rs`.

use std::fmt;
use std::io;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Event;
use tracing::Level;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::writer::Lines;
use super::writer::Lost;
use crate::platform::systemd::journal::JournalSocket;

/// Where journald receives entries.
const SOCKET: &str = "/run/systemd/journal/socket";
/// A variable that names another socket, for tests.
const VARIABLE: &str = "GRAPH_RELAY_JOURNAL_SOCKET";
/// What the journal calls the program.
const IDENTIFIER: &str = "graph-relay";
/// What begins the names of the fields that are the relay's own.
const PREFIX: &str = "GRAPHRELAY_";
/// The journal accepts no longer names.
const LONGEST_NAME: usize = 64;
/// The most bytes of one value; far more than an event needs.
const LONGEST_VALUE: usize = 512 * 1024;
/// How often the thread tries again while there is no journal.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The queue, if its entries are in this form.
static IN_USE: OnceLock<Lines> = OnceLock::new();

/// A journal that receives entries.
#[derive(Debug)]
pub(super) struct Journal(JournalSocket);

impl Journal {
    /// Finds the journal.
    ///
    /// # Errors
    ///
    /// Nothing receives entries; says at which path.
    pub(super) fn find() -> io::Result<Self> {
        let path = std::env::var_os(VARIABLE).map_or_else(|| SOCKET.into(), PathBuf::from);
        JournalSocket::find(path).map(Self)
    }

    /// Sends the first of these entries; waits until the journal receives it.
    pub(super) fn send(&self, entries: &[u8]) -> Result<usize, Lost> {
        let bytes = entries.len();
        let Some((entry, taken)) = first(entries) else {
            return Err(Lost { bytes, lines: 1 });
        };
        loop {
            let Err(error) = self.0.send(entry) else {
                return Ok(taken);
            };
            let is = |kind: ErrorKind| error.kind() == kind;
            if is(ErrorKind::NotFound) || is(ErrorKind::ConnectionRefused) {
                // It restarts.
                std::thread::park_timeout(TRY_AGAIN);
            } else if !is(ErrorKind::Interrupted) {
                return Err(Lost {
                    bytes: taken,
                    lines: 1,
                });
            }
        }
    }
}

/// Returns the first entry, and its length with what is before it in the queue.
fn first(entries: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = entries.split_first_chunk::<4>()?;
    let entry = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((entry, entry.len().saturating_add(length.len())))
}

/// Makes entries of the events.
#[derive(Clone, Debug)]
pub(super) struct Entries(Lines);

impl Entries {
    pub(super) fn new(lines: Lines) -> Self {
        Self(IN_USE.get_or_init(|| lines).clone())
    }
}

/// Queues a text that is not an event. Returns false if the log has another form.
pub(super) fn line(level: Level, text: &str) -> bool {
    let Some(lines) = IN_USE.get() else {
        return false;
    };
    lines.push(level, &queued(level, text, &[]));
    true
}

impl<S: Subscriber> Layer<S> for Entries {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut entry = Entry::default();
        event.record(&mut entry);
        let level = *event.metadata().level();
        // As in text form, because most people read nothing else.
        let message = format!("{}{}", entry.message, entry.shown);
        self.0.push(level, &queued(level, &message, &entry.fields));
    }
}

/// The fields of an event.
#[derive(Debug, Default)]
struct Entry {
    message: String,
    /// The other fields, as in text form.
    shown: String,
    /// The same in the journal's form.
    fields: Vec<u8>,
}

impl Entry {
    fn field(&mut self, field: &Field, value: &str, shown: &str) {
        let name = field.name();
        if name == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        self.shown.push_str(&format!(" {name}={shown}"));
        add(&mut self.fields, &name_of(name), value);
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, value, &format!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.field(field, &value, &value);
    }
}

/// Returns the name of a field in the journal, where only capitals, digits and `_` are allowed.
fn name_of(field: &str) -> String {
    // "ID" alone says too little among the fields of all programs.
    let field = match field {
        "id" => "queue_id",
        other => other,
    };
    let plain = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    let name = PREFIX.chars().chain(field.chars().map(plain));
    name.take(LONGEST_NAME).collect()
}

/// Returns an entry as it waits in the queue: its length before it.
fn queued(level: Level, message: &str, fields: &[u8]) -> Vec<u8> {
    let priority = match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    };
    let mut entry = Vec::with_capacity(message.len() + fields.len() + 100);
    entry.extend([0; 4]);
    add(&mut entry, "MESSAGE", message);
    add(&mut entry, "PRIORITY", priority);
    add(&mut entry, "SYSLOG_IDENTIFIER", IDENTIFIER);
    entry.extend_from_slice(fields);
    let length = u32::try_from(entry.len().saturating_sub(4)).unwrap_or_default();
    if let Some(first) = entry.first_chunk_mut::<4>() {
        *first = length.to_le_bytes();
    }
    entry
}

/// Adds a field. A value with line ends has its length before it.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    let end = value.floor_char_boundary(LONGEST_VALUE);
    let value = value.get(..end).unwrap_or_default();
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend((value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}
