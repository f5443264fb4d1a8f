//! Processes that the benchmark starts: each with a log of its own, each ended by its id.
//!
//! Whatever is started is owned by a `Process`; dropping it, also when the run fails or is
//! interrupted, ends it and every descendant it had, first with SIGTERM and then with SIGKILL.

use std::fs;
use std::fs::File;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::client::Connection;
use crate::failure::Failure;
use crate::failure::Result;
use crate::failure::Trying;
use crate::usage;
use crate::usage::Identity;

/// A process that was started here.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command with standard output and error in the file `log`.
    pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = log_file(log)?;
        command.stdin(Stdio::null()).stdout(output);
        Self::spawn(name, command, log)
    }

    /// Starts a command that is talked with through its standard input and output.
    pub(crate) fn start_talking(
        name: &'static str,
        command: &mut Command,
        log: &Path,
    ) -> Result<(Self, ChildStdin, ChildStdout)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self::spawn(name, command, log)?;
        let (Some(input), Some(output)) = (process.child.stdin.take(), process.child.stdout.take())
        else {
            return Err(Failure::new(format!("{name} has no pipes")));
        };
        Ok((process, input, output))
    }

    fn spawn(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let child = command
            .stderr(log_file(log)?)
            .spawn()
            .trying(|| format!("start {name} ({})", command.get_program().display()))?;
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
        })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns once the server greets; fails if it ends before, or takes too long.
    pub(crate) async fn greets_at(&mut self, address: SocketAddr) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Ok(Ok(connection)) = timeout(LONGEST_START, Connection::open(address)).await
                && connection.quit().await.is_ok()
            {
                return Ok(());
            }
            let ended = self
                .child
                .try_wait()
                .trying(|| format!("wait for {}", self.name))?;
            if ended.is_some() || start.elapsed() > LONGEST_START {
                let what =
                    ended.map_or_else(|| "does not greet".to_owned(), |status| status.to_string());
                return Err(Failure::new(format!(
                    "{} at {address}: {what}; the end of its log:\n{}",
                    self.name,
                    self.end_of_log()
                )));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn end_of_log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Waits until neither the child nor any of these is left.
    fn all_ended_within(&mut self, time: Duration, tree: &[Identity]) -> bool {
        let start = Instant::now();
        loop {
            let child_ended = !matches!(self.child.try_wait(), Ok(None));
            if child_ended && !tree.iter().any(Identity::lives) {
                return true;
            }
            if start.elapsed() > time {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let tree = usage::identities(self.id());
        signal(self.id(), Signal::TERM);
        if self.all_ended_within(GRACE, &tree) {
            return;
        }
        for process in tree.iter().filter(|process| process.lives()) {
            signal(process.id, Signal::KILL);
        }
        if !self.all_ended_within(GRACE, &tree) {
            eprintln!("{} ({}) does not end", self.name, self.id());
        }
    }
}

/// A loopback address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .trying(|| "find a free port".to_owned())
}

/// This program, to be started in another role.
pub(crate) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().trying(|| "find this program".to_owned())
}

fn log_file(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .trying(|| format!("write {}", path.display()))
}

fn signal(id: u32, signal: Signal) {
    let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else {
        return;
    };
    if let Err(error) = kill_process(pid, signal)
        && error != rustix::io::Errno::SRCH
    {
        eprintln!("cannot signal {id}: {error}");
    }
}

/// Postfix takes about a second from its start to its first greeting on a busy machine.
const LONGEST_START: Duration = Duration::from_secs(15);

/// Between SIGTERM and SIGKILL: a relay drains, and the messages left over are of no worth here.
const GRACE: Duration = Duration::from_secs(4);
