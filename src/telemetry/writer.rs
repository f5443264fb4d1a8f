//! Writes the log to standard error, which may be a pipe that nobody reads, or to the journal
//! (`native.rs`).
//!
//! Promises: logging never waits, and no mail waits for the log. A queue holds lines up to a
//! limit, and its own thread writes them in order. Lines beyond the limit are dropped and
//! counted, and a line says how many as soon as somebody reads again. An ordinary burst loses
//! nothing. [`flush`] writes the rest before the process ends, within a time limit. A closed
//! standard error does not stop the relay.

use std::io;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use tracing::Level;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::journal;
use crate::platform::output::write_to_stderr;

/// The most bytes that wait: several seconds of the busiest relay.
const CAPACITY: usize = 8 * 1024 * 1024;
/// The last part of them is reserved for warnings and errors.
const RESERVED: usize = CAPACITY / 8;
/// How long a first line waits for others: a write and a wake-up for each line would cost a
/// busy relay a tenth of its time.
const GATHER: Duration = Duration::from_millis(2);
/// How long the end of the process waits without a byte being read.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits in all.
const LONGEST_FLUSH: Duration = Duration::from_secs(10);

static LOG: OnceLock<Arc<Queue>> = OnceLock::new();

/// What could not be written, and is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) bytes: usize,
    pub(super) lines: u64,
}

/// Starts the thread that writes to standard error; later calls change nothing.
///
/// # Errors
///
/// The machine has no free thread.
pub(super) fn start(is_journal: bool) -> io::Result<Lines> {
    start_with(is_journal, in_pieces(write_to_stderr))
}

/// Starts the thread that writes by this function: it returns how many bytes it has written.
///
/// # Errors
///
/// The machine has no free thread.
pub(super) fn start_with(
    is_journal: bool,
    write: impl FnMut(&[u8]) -> Result<usize, Lost> + Send + 'static,
) -> io::Result<Lines> {
    let lines = |queue: &Arc<Queue>| Lines {
        queue: Arc::clone(queue),
        is_journal,
    };
    if let Some(queue) = LOG.get() {
        return Ok(lines(queue));
    }
    let queue = Arc::new(Queue::new(CAPACITY, RESERVED));
    let work = Arc::clone(&queue);
    let named = std::thread::Builder::new().name("log".to_owned());
    named.spawn(move || work.run(write, tell_dropped))?;
    Ok(lines(LOG.get_or_init(|| queue)))
}

/// Queues a line that is not an event. Returns false if there is no log yet.
pub(super) fn line(text: &str) -> bool {
    let Some(queue) = LOG.get() else {
        return false;
    };
    queue.push(format!("{text}\n").as_bytes(), Weight::Heavy);
    true
}

/// Writes everything that is queued, if somebody reads it; waits for a limited time.
pub(super) fn flush() {
    if let Some(queue) = LOG.get() {
        queue.flush(PATIENCE, LONGEST_FLUSH);
    }
}

/// Returns how many lines were lost: all of them, and those that no log line mentions yet.
pub(super) fn dropped() -> (u64, u64) {
    LOG.get().map_or((0, 0), |queue| {
        let state = queue.lock();
        (state.dropped, state.untold)
    })
}

/// Receives the lines of a subscriber.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: Arc<Queue>,
    /// Whether each line begins with its priority.
    is_journal: bool,
}

/// One line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    queue: &'a Queue,
    weight: Weight,
    priority: &'static str,
}

/// Whether a line may use the reserved part of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Light,
    Heavy,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        self.line(Level::INFO)
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a> {
        self.line(*of.level())
    }
}

impl Lines {
    /// Queues these bytes for a line of this level.
    pub(super) fn push(&self, level: Level, bytes: &[u8]) {
        self.queue.push(bytes, self.line(level).weight);
    }

    fn line(&self, level: Level) -> Line<'_> {
        Line {
            queue: &self.queue,
            weight: match level <= Level::WARN {
                true => Weight::Heavy,
                false => Weight::Light,
            },
            priority: match self.is_journal {
                true => journal::priority(level),
                false => "",
            },
        }
    }
}

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let priority = self.priority.as_bytes();
        self.queue.push_both(priority, line, self.weight);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Queue {
    capacity: usize,
    reserved: usize,
    state: Mutex<State>,
    /// Signalled when something is queued.
    grown: Condvar,
    /// Signalled when something was written.
    shrunk: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Bytes that are queued or being written.
    outstanding: usize,
    /// Whether nothing is queued, being written, or to be reported.
    idle: bool,
    dropped: u64,
    /// Of these, those that no log line mentions yet.
    untold: u64,
}

impl Queue {
    fn new(capacity: usize, reserved: usize) -> Self {
        Self {
            capacity,
            reserved,
            state: Mutex::default(),
            grown: Condvar::new(),
            shrunk: Condvar::new(),
        }
    }

    /// Every change under this lock is complete in itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8], weight: Weight) {
        self.push_both(b"", line, weight);
    }

    fn push_both(&self, priority: &[u8], line: &[u8], weight: Weight) {
        let length = priority.len().saturating_add(line.len());
        let room = match weight {
            Weight::Heavy => self.capacity,
            Weight::Light => self.capacity.saturating_sub(self.reserved),
        };
        let mut state = self.lock();
        if state.outstanding.saturating_add(length) > room {
            state.dropped += 1;
            state.untold += 1;
            return;
        }
        state.lines.extend_from_slice(priority);
        state.lines.extend_from_slice(line);
        state.outstanding += length;
        let was_idle = std::mem::replace(&mut state.idle, false);
        drop(state);
        // A thread at work finds it without being woken.
        if was_idle {
            self.grown.notify_one();
        }
    }

    /// Writes as long as the process lives. `tell` logs how many lines were dropped.
    fn run(&self, mut write: impl FnMut(&[u8]) -> Result<usize, Lost>, tell: impl Fn(u64)) {
        let mut is_read = true;
        let mut batch = Vec::new();
        loop {
            let untold = self.take(&mut batch, is_read);
            if untold > 0 {
                tell(untold);
                continue;
            }
            let mut rest = batch.as_slice();
            while !rest.is_empty() {
                let written = write(rest);
                is_read = written.is_ok();
                // What cannot be written is lost; the rest is still tried.
                let (done, lost) = match written {
                    Ok(bytes) => (bytes, 0),
                    Err(Lost { bytes, lines }) => (bytes, lines),
                };
                let done = done.min(rest.len());
                rest = rest.get(done..).unwrap_or_default();
                let mut state = self.lock();
                state.dropped += lost;
                state.untold += lost;
                state.outstanding = state.outstanding.saturating_sub(done);
                drop(state);
                self.shrunk.notify_all();
            }
            batch.clear();
        }
    }

    /// Waits for lines. If there are none, but some were dropped and somebody reads again,
    /// returns how many.
    fn take(&self, batch: &mut Vec<u8>, is_read: bool) -> u64 {
        let mut state = self.lock();
        while state.lines.is_empty() {
            if is_read && state.untold > 0 {
                return std::mem::take(&mut state.untold);
            }
            state.idle = true;
            self.shrunk.notify_all();
            while state.idle {
                let woken = self.grown.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            // Nobody notifies now: this waits while lines gather.
            let gathered = self.grown.wait_timeout(state, GATHER);
            (state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(batch, &mut state.lines);
        0
    }

    fn flush(&self, patience: Duration, longest: Duration) {
        let begun = Instant::now();
        let mut state = self.lock();
        while !state.idle && begun.elapsed() < longest {
            let before = state.outstanding;
            let woken = self.shrunk.wait_timeout(state, patience);
            let (after, waited) = woken.unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() && state.outstanding >= before {
                return;
            }
        }
    }
}

/// How much is written at once: no more than a pipe holds.
const PIECE: usize = 32 * 1024;

/// Writes at most a piece at once.
fn in_pieces(
    mut write: impl FnMut(&[u8]) -> io::Result<usize>,
) -> impl FnMut(&[u8]) -> Result<usize, Lost> {
    move |rest| {
        let piece = rest.get(..PIECE).unwrap_or(rest);
        write(piece).map_err(|_| Lost {
            bytes: piece.len(),
            lines: piece.iter().filter(|byte| **byte == b'\n').count() as u64,
        })
    }
}

fn tell_dropped(lines: u64) {
    tracing::warn!(
        event = "log_dropped",
        lines,
        "{lines} log lines were dropped because nobody reads the log"
    );
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::io::BufReader;
    use std::io::Write;
    use std::sync::mpsc;

    use super::*;

    /// A queue whose lines go to a pipe.
    fn piped(capacity: usize, reserved: usize) -> (Arc<Queue>, io::PipeReader) {
        let (reader, mut writer) = io::pipe().unwrap();
        let queue = Arc::new(Queue::new(capacity, reserved));
        let (work, told) = (Arc::clone(&queue), Arc::clone(&queue));
        std::thread::spawn(move || {
            let tell = |lines| told.push(format!("{lines} dropped\n").as_bytes(), Weight::Heavy);
            let write = |bytes: &[u8]| writer.write_all(bytes).map(|()| bytes.len());
            work.run(in_pieces(write), tell);
        });
        (queue, reader)
    }

    #[test]
    fn lines_beyond_the_bound_are_dropped_and_counted_once_somebody_reads() {
        let (queue, reader) = piped(200_000, 50_000);
        let line = |number: usize| format!("{number:099}\n");

        for number in 0..10_000 {
            queue.push(line(number).as_bytes(), Weight::Light);
        }
        // There is room left for what matters.
        queue.push(b"heavy\n", Weight::Heavy);

        let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
        let mut kept = Vec::new();
        let told = loop {
            let line = lines.next().unwrap();
            if line.ends_with("dropped") {
                break line;
            }
            kept.push(line);
        };
        assert_eq!(kept.pop().unwrap(), "heavy");
        assert!(kept.len() >= 1_500, "{}", kept.len());
        // What has room is in order; the pipe may have made some in between.
        assert!(kept.is_sorted());
        assert_eq!(kept.first().unwrap(), line(0).trim_end());
        assert_eq!(told, format!("{} dropped", 10_000 - kept.len()));
        // And everything is written again.
        queue.push(b"after\n", Weight::Light);
        assert_eq!(lines.next().unwrap(), "after");
    }

    #[test]
    fn a_flush_writes_everything_and_waits_for_nobody_who_does_not_read() {
        let (queue, reader) = piped(1_000_000, 0);
        for _ in 0..5_000 {
            queue.push(format!("{:099}\n", 0).as_bytes(), Weight::Light);
        }

        queue.flush(Duration::from_millis(20), Duration::from_secs(60));
        assert!(!queue.lock().idle);

        let (done, read) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(reader).lines().take(5_000).count();
            done.send(lines).unwrap();
        });
        queue.flush(Duration::from_secs(60), Duration::from_secs(60));
        assert!(queue.lock().idle);
        assert_eq!(queue.lock().outstanding, 0);
        assert_eq!(read.recv().unwrap(), 5_000);
    }

    #[test]
    fn a_closed_log_loses_lines_and_nothing_else() {
        let (queue, reader) = piped(100_000, 0);
        drop(reader);

        for _ in 0..10_000 {
            queue.push(b"a line that nobody can read\n", Weight::Light);
        }
        queue.flush(Duration::from_secs(60), Duration::from_secs(60));

        let state = queue.lock();
        assert!(state.idle);
        assert_eq!((state.dropped, state.untold), (10_000, 10_000));
    }
}
