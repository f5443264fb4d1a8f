//! The terminal: its size, and hiding what is typed.

use std::io;
use std::os::fd::AsFd;

use rustix::termios;
use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use rustix::termios::Termios;

/// Columns and lines of the terminal that a stream leads to, as far as it says.
pub fn size(stream: &impl AsFd) -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(stream).ok()?;
    Some((size.ws_col, size.ws_row))
}

/// How a terminal was set.
#[derive(Clone, Debug)]
pub struct Settings(Termios);

/// How the terminal of standard input is set.
///
/// # Errors
///
/// It is no terminal.
pub fn settings() -> io::Result<Settings> {
    Ok(Settings(termios::tcgetattr(io::stdin())?))
}

impl Settings {
    /// The same, but what is typed is not shown.
    #[must_use]
    pub fn hidden(&self) -> Self {
        let mut hidden = self.0.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        Self(hidden)
    }

    /// Sets the terminal of standard input so.
    ///
    /// # Errors
    ///
    /// It stays as it is.
    pub fn apply(&self) -> io::Result<()> {
        Ok(termios::tcsetattr(
            io::stdin(),
            OptionalActions::Now,
            &self.0,
        )?)
    }
}
