//! Signals that somebody sends to the process.

use std::io;

pub use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// Receives SIGTERM, which asks for an orderly end.
///
/// # Errors
///
/// It cannot be received, here as in the functions below; what the system does with the
/// signal by itself remains.
pub fn terminate() -> io::Result<Signal> {
    signal(SignalKind::terminate())
}

/// Receives SIGINT: Ctrl-C.
///
/// # Errors
///
/// As in [`terminate`].
pub fn interrupt() -> io::Result<Signal> {
    signal(SignalKind::interrupt())
}

/// Receives SIGHUP: the terminal is gone, or for a service: read the configuration again.
///
/// # Errors
///
/// As in [`terminate`].
pub fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Receives SIGQUIT.
///
/// # Errors
///
/// As in [`terminate`].
pub fn quit() -> io::Result<Signal> {
    signal(SignalKind::quit())
}
