//! A terminal of a given width, for what a command shows to a person.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::pty::OpenptFlags;
use rustix::termios;
use rustix::termios::Winsize;

use super::PATIENCE;

/// The person's end of a new terminal, and the end of the command.
pub(crate) fn open(columns: u16) -> (File, OwnedFd) {
    let terminal = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
    let inner = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(0o400) // O_NOCTTY
        .open(name.to_str().unwrap())
        .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    termios::tcsetwinsize(&inner, size).unwrap();
    (File::from(terminal), inner.into())
}

/// A command on a terminal.
pub(crate) struct Screen {
    pub(crate) child: Child,
    terminal: File,
    /// Everything that the command has shown.
    pub(crate) said: String,
}

impl Screen {
    /// Starts a command on a terminal with this many columns, which shows colours unless the
    /// command says otherwise.
    pub(crate) fn start(columns: u16, mut command: Command) -> Self {
        let (terminal, inner) = open(columns);
        let named: Vec<_> = command
            .get_envs()
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"] {
            if !named.iter().any(|it| it == name) {
                command.env_remove(name);
            }
        }
        if !named.iter().any(|it| it == "TERM") {
            command.env("TERM", "xterm");
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::from(inner.try_clone().unwrap()))
            .stderr(Stdio::from(inner))
            .spawn()
            .unwrap();
        Self {
            child,
            terminal,
            said: String::new(),
        }
    }

    /// Waits until the command has shown this.
    pub(crate) fn wait_for(&mut self, words: &str) {
        while !self.said.contains(words) {
            assert!(self.read(), "it never shows {words:?}: {}", self.said);
        }
    }

    /// Waits for the end of the command. Returns its exit code and all that it has shown.
    pub(crate) fn end(mut self) -> (i32, String) {
        while self.read() {}
        let code = self.child.wait().unwrap().code().unwrap();
        (code, std::mem::take(&mut self.said).replace("\r\n", "\n"))
    }

    /// Reads more; false at the end.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let mut says = [PollFd::new(&self.terminal, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let ready = rustix::event::poll(&mut says, Some(&patience)).unwrap();
        assert!(ready > 0, "it shows nothing more: {}", self.said);
        // Without a command at the other end, reading is an error.
        let read = self.terminal.read(&mut bytes).unwrap_or(0);
        self.said.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
