//! What systemd passes to a service, and what a service tells it: sd_listen_fds(3), sd_notify(3)
//! and sd_watchdog_enabled(3). Without systemd, nothing is passed and nobody is told.

pub mod journal;

use std::env;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use listenfd::ListenFd;
pub use sd_notify::NotifyState as State;

/// A socket that systemd has opened, with its name in the socket unit.
pub type Named = (String, io::Result<TcpListener>);

/// Takes the sockets over, and removes the variables that describe them from the environment: to
/// be called once, before any thread is started.
///
/// # Errors
///
/// The variables contradict each other. A socket has its own error, for instance if it is not a TCP
/// listener.
pub fn passed() -> io::Result<Vec<Named>> {
    let names: Vec<String> = sd_notify::listen_fds_with_names()?
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut sockets = ListenFd::from_env();
    let named = names.into_iter().enumerate().map(|(number, name)| {
        let socket = sockets.take_tcp_listener(number);
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        (name, socket.and_then(|it| it.ok_or_else(missing)))
    });
    Ok(named.collect())
}

/// Whether systemd wants to be told.
pub fn listens() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some()
}

/// `WatchdogSec=` of the unit, if it has one.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Tells systemd these states at once; nothing if it does not want to be told.
///
/// # Errors
///
/// Its socket cannot be written to.
pub fn notify(states: &[State<'_>]) -> io::Result<()> {
    sd_notify::notify(states)
}

/// Tells systemd that a reload begins. [`State::Ready`] ends it.
///
/// # Errors
///
/// As [`notify`].
pub fn notify_reloading() -> io::Result<()> {
    notify(&[State::Reloading, State::monotonic_usec_now()?])
}
