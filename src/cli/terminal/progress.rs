//! The line on standard error that shows how far long work is: only on a terminal, only
//! after a second, and gone when the work ends.

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use super::screen::Stream;
use super::text;
use crate::cli::grouped;
use crate::clock::span_in_words;
use crate::spool::Step;

/// Shorter work shows nothing.
const FIRST: Duration = Duration::from_secs(1);
/// How often the line changes.
const EVERY: Duration = Duration::from_millis(250);
/// An estimate of the rest is shown if this part of the work is done, one in so many.
const ESTIMATED_FROM: u64 = 50;

/// Whether the line is on the screen. Whoever writes to the terminal holds this.
static SHOWN: Mutex<bool> = Mutex::new(false);

/// The progress of some work; its line disappears with this value.
pub(in crate::cli) struct Progress {
    state: Arc<Mutex<State>>,
    stop: Option<(Sender<()>, JoinHandle<()>)>,
}

struct State {
    what: String,
    begun: Instant,
    done: u64,
    /// 0 if it is unknown.
    of: u64,
}

impl Progress {
    /// Begins to show progress, if somebody can see it: not in a pipe, on a dumb terminal or
    /// with NO_COLOR.
    pub(in crate::cli) fn begin(what: &str) -> Self {
        let state = Arc::new(Mutex::new(State::new(what)));
        let is_seen = Stream::Err.can_move() && Stream::Err.has_colour();
        let stop = is_seen.then(|| {
            let (stop, stopped) = mpsc::channel();
            let state = Arc::clone(&state);
            let draws = std::thread::spawn(move || {
                let mut wait = FIRST;
                while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    let line = lock(&state).line();
                    draw(&line);
                    wait = EVERY;
                }
            });
            (stop, draws)
        });
        Self { state, stop }
    }

    /// So much of it is done; `of` is 0 if nobody knows of how much.
    pub(in crate::cli) fn at(&self, done: u64, of: u64) {
        let mut state = lock(&self.state);
        (state.done, state.of) = (done, of);
    }

    /// A step of work on the spool.
    pub(in crate::cli) fn step(&self, step: Step) {
        self.next(step.phase.words());
        self.at(step.done, step.of);
    }

    /// The next part of the work.
    pub(in crate::cli) fn next(&self, what: &str) {
        let mut state = lock(&self.state);
        if state.what != what {
            *state = State::new(what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, draws)) = self.stop.take() {
            drop(stop);
            drop(draws.join());
            aside(|| ());
        }
    }
}

impl State {
    fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            begun: Instant::now(),
            done: 0,
            of: 0,
        }
    }

    fn line(&self) -> String {
        let (what, passed) = (&self.what, self.begun.elapsed());
        let done = grouped(self.done);
        match (self.done, self.of) {
            (0, 0) => format!("{what}: {}", span_in_words(passed)),
            (_, 0) => format!("{what}: {done}, {}", span_in_words(passed)),
            (_, of) => format!("{what}: {done} of {}{}", grouped(of), self.rest(passed)),
        }
    }

    /// How long the rest will take.
    fn rest(&self, passed: Duration) -> String {
        if self.done < self.of / ESTIMATED_FROM || self.done == 0 {
            return String::new();
        }
        let left = u128::from(self.of.saturating_sub(self.done));
        let millis = passed.as_millis() * left / u128::from(self.done);
        let left = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        format!(", about {} left", span_in_words(left))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// ECMA-48: back to the first column, and erase the line.
const ERASE: &str = "\r\x1b[K";

fn draw(line: &str) {
    let mut is_shown = lock(&SHOWN);
    // A full line would move to the next one.
    let room = Stream::Err
        .columns()
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let line = text::cut(line, room);
    let mut terminal = io::stderr().lock();
    let _gone = write!(terminal, "{ERASE}{line}");
    let _gone = terminal.flush();
    *is_shown = true;
}

/// Writes something while no progress is on the screen.
pub(super) fn aside(write: impl FnOnce()) {
    let mut is_shown = lock(&SHOWN);
    if *is_shown {
        let _gone = io::stderr().lock().write_all(ERASE.as_bytes());
        *is_shown = false;
    }
    write();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_is_done_and_how_long_the_rest_takes() {
        let line = |done, of, seconds| {
            let mut state = State::new("retrying");
            (state.done, state.of) = (done, of);
            let passed = Duration::from_secs(seconds);
            state.begun = Instant::now().checked_sub(passed).unwrap();
            state.line()
        };

        assert_eq!(line(0, 0, 5), "retrying: 5 seconds");
        assert_eq!(line(1000, 0, 5), "retrying: 1,000, 5 seconds");
        assert_eq!(line(500, 100_000, 2), "retrying: 500 of 100,000");
        assert_eq!(
            line(25_000, 100_000, 10),
            "retrying: 25,000 of 100,000, about 30 seconds left"
        );
    }
}
