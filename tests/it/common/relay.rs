//! The real relay as a process, and its log, line by line.

use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::Home;
use super::PATIENCE;
use super::Smtp;
use super::binary;

/// A running relay; killed when it is dropped.
pub(crate) struct Relay {
    child: Child,
    log: Arc<Log>,
    pub(crate) address: SocketAddr,
    /// Kept as long as the relay uses it.
    _folder: Option<Arc<TempDir>>,
}

#[derive(Default)]
struct Log {
    /// Parsed lines, and whether the log has ended.
    lines: Mutex<(Vec<Value>, bool)>,
    grown: Condvar,
}

impl Log {
    fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let lines = self.lines.lock().unwrap();
            let last = &lines.0[lines.0.len().saturating_sub(20)..];
            assert!(
                Instant::now() < deadline,
                "it does not come true: {last:#?}"
            );
            let often = Duration::from_millis(20);
            drop(self.grown.wait_timeout(lines, often).unwrap());
        }
    }
}

impl Relay {
    pub(crate) fn start(home: &Home) -> Self {
        let mut relay = Self::start_by(binary().arg("serve").arg("--config").arg(&home.config));
        relay._folder = Some(Arc::clone(&home.folder));
        relay
    }

    pub(crate) fn start_by(command: &mut Command) -> Self {
        let mut relay = Self::spawn(command);
        relay.event("started", |_| true);
        relay.address = relay.addresses()[0];
        relay
    }

    /// Returns the relay once it serves, or as an error the relay that ended before.
    pub(crate) fn try_start_by(command: &mut Command) -> Result<Self, Self> {
        let mut relay = Self::spawn(command);
        if relay.event_unless_ended(&["started"], |_| true).is_none() {
            relay.wait();
            return Err(relay);
        }
        relay.address = relay.addresses()[0];
        Ok(relay)
    }

    /// The process, which may not serve yet.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, filled) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { break };
                let parsed = serde_json::from_str(&line).unwrap_or(Value::String(line));
                filled.lines.lock().unwrap().0.push(parsed);
                filled.grown.notify_all();
            }
            filled.lines.lock().unwrap().1 = true;
            filled.grown.notify_all();
        });
        Self {
            child,
            log,
            address: "127.0.0.1:0".parse().unwrap(),
            _folder: None,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The addresses of all listeners, in the order of the configuration.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let events = self.events("listening");
        let addresses = events
            .iter()
            .map(|event| event["address"].as_str().unwrap().parse().unwrap());
        addresses.collect()
    }

    /// Waits for the first log line of this event for which `is` holds.
    pub(crate) fn event(&self, event: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.event_of(&[event], is)
    }

    /// The same for one of several events.
    pub(crate) fn event_of(&self, events: &[&str], is: impl Fn(&Value) -> bool) -> Value {
        let found = self.event_unless_ended(events, is);
        found.unwrap_or_else(|| panic!("the relay ended without {events:?}: {:#?}", self.all()))
    }

    /// The same; none if the relay ends without it.
    pub(crate) fn event_unless_ended(
        &self,
        events: &[&str],
        is: impl Fn(&Value) -> bool,
    ) -> Option<Value> {
        let matches = |line: &&Value| {
            let event = line["event"].as_str();
            event.is_some_and(|event| events.contains(&event)) && is(line)
        };
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().find(matches) {
                return Some(line.clone());
            }
            if lines.1 {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {events:?} in the log: {:#?}", lines.0);
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits until a condition holds, checking at every line of the log and often.
    pub(crate) fn wait_until(&self, holds: impl FnMut() -> bool) {
        self.log.wait_until(holds);
    }

    /// Waits until a condition holds, or until the relay has ended by itself; then
    /// returns how it ended.
    pub(crate) fn wait_until_or_ended(
        &mut self,
        mut holds: impl FnMut() -> bool,
    ) -> Option<ExitStatus> {
        let mut end = None;
        let (child, log) = (&mut self.child, &self.log);
        log.wait_until(|| {
            end = child.try_wait().unwrap();
            end.is_some() || holds()
        });
        end
    }

    /// The number of messages delivered so far.
    pub(crate) fn delivered(&self) -> usize {
        let lines = self.log.lines.lock().unwrap();
        let of = lines.0.iter().filter(|line| line["event"] == "delivered");
        of.count()
    }

    /// All log lines of this event so far.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        let lines = self.log.lines.lock().unwrap();
        let of = lines.0.iter().filter(|line| line["event"] == event);
        of.cloned().collect()
    }

    /// The whole log so far.
    pub(crate) fn all(&self) -> Vec<Value> {
        self.log.lines.lock().unwrap().0.clone()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end of the process and of its log.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let lines = self.log.lines.lock().unwrap();
        let more = |lines: &mut (Vec<Value>, bool)| !lines.1;
        let waited = self.log.grown.wait_timeout_while(lines, PATIENCE, more);
        drop(waited.unwrap());
        status
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub(crate) fn connect(&self) -> Smtp {
        Smtp::connect(self.address)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
