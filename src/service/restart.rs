//! A restart within the process, and what it keeps: a change of an `[[account]]` made on the
//! admin page takes effect without a shell, and whoever made it stays logged in, unless `[admin]` has
//! changed.
//!
//! The socket of the page stays open: a browser that comes while the relay is stopped waits for
//! its answer, instead of being refused. Only a relay that waits for room on a full disk closes it,
//! because that may take long.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::net::TcpListener;

use super::Service;
use crate::admin::AuditAct;
use crate::admin::AuditResult;
use crate::admin::Changes;
use crate::admin::Configuration;
use crate::admin::Restart;
use crate::clock::Clock;
use crate::config::Config;
use crate::listener;
use crate::page;

/// What outlives a restart within the process.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    pub(super) sessions: page::Sessions,
    /// What came of changes on the page.
    pub(super) outcomes: page::Outcomes,
    /// Changes that wait for somebody who may write the file.
    pub(super) changes: Changes,
    pub(super) page: PageSocket,
    /// The restart itself, as the audit list has it.
    pub(super) restart: Option<AuditAct>,
}

impl Carried {
    /// What is kept for the start with a new configuration: nobody stays logged in if it says
    /// otherwise than the old one who may log in.
    #[must_use]
    pub fn between(&self, old: &Config, new: &Config) -> Self {
        let sessions = match old.admin == new.admin {
            true => self.sessions.clone(),
            false => page::Sessions::default(),
        };
        Self {
            sessions,
            ..self.clone()
        }
    }

    /// The same after a restart that somebody wanted; `error` is why it did not work.
    #[must_use]
    pub fn restarted(self, wanted: Option<AuditAct>, error: Option<&str>) -> Self {
        let result = match error {
            None => AuditResult::Done,
            Some(_) => AuditResult::Failed,
        };
        let restart = wanted.map(|act| AuditAct {
            result,
            reason: error.unwrap_or_default().to_owned(),
            ..act
        });
        Self { restart, ..self }
    }

    /// Closes the socket of the page, until the next start: nobody should wait for a relay of which
    /// nobody knows when it starts.
    pub fn close_page(&self) {
        self.page.close();
    }

    /// The configuration that is in force, with what was not in force yet before the restart.
    pub(super) fn configuration(&self, config: &Config, file: Option<&Path>) -> Configuration {
        let changes = self.changes.clone();
        Configuration::new(config.clone(), file, changes, self.last_restart())
    }

    /// The restart, as the status shows it.
    fn last_restart(&self) -> Option<Restart> {
        let act = self.restart.as_ref()?;
        Some(Restart {
            at: Clock::System.now(),
            error: Some(act.reason.clone()).filter(|reason| !reason.is_empty()),
        })
    }
}

/// The socket of the page, with its address in the configuration; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct PageSocket(Arc<Mutex<Option<(SocketAddr, std::net::TcpListener)>>>);

impl PageSocket {
    /// Returns the socket at this address: the one that was open before the restart, or a new
    /// one. Without an address it is closed.
    pub(super) fn open(&self, address: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = kept.take().filter(|(known, _)| Some(*known) == address);
        let Some(address) = address else {
            return Ok(None);
        };
        let socket = match same {
            Some((_, socket)) => socket,
            None => listener::bind(address)?.into_std()?,
        };
        let opened = socket.try_clone()?;
        *kept = Some((address, socket));
        TcpListener::from_std(opened).map(Some)
    }

    /// Closes the socket: whoever waits for an answer is refused. [`open`](Self::open) opens it
    /// again.
    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Service {
    /// Returns when somebody wants relay.toml to be reloaded.
    pub async fn reload_wanted(&self) {
        self.configuration.reload_wanted().await;
    }

    /// Returns when somebody wants the relay to be restarted, with what the audit list says
    /// about it.
    pub async fn restart_wanted(&self) -> Option<AuditAct> {
        self.configuration.restart_wanted().await
    }

    /// Returns the configuration with which it was started, and what a restart keeps.
    pub fn to_carry(&self) -> (Config, Carried) {
        (self.config.clone(), self.carried.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_of_the_page_stays_open_as_long_as_its_address_is_the_same() {
        let sockets = PageSocket::default();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = sockets.open(Some(any)).unwrap().unwrap();
        let port = first.local_addr().unwrap();
        drop(first);

        // While nobody accepts, it waits.
        let waits = std::net::TcpStream::connect(port).unwrap();
        let second = sockets.open(Some(any)).unwrap().unwrap();
        assert_eq!(second.local_addr().unwrap(), port);
        let (_stream, client) = second.accept().await.unwrap();
        assert_eq!(client, waits.local_addr().unwrap());
        drop(second);

        // A relay that waits for room on the disk keeps no browser waiting.
        let waits = std::net::TcpStream::connect(port).unwrap();
        sockets.close();
        assert!(std::net::TcpStream::connect(port).is_err(), "it is closed");
        drop(waits);
        let third = sockets.open(Some(any)).unwrap().unwrap();
        let port = third.local_addr().unwrap();
        assert!(std::net::TcpStream::connect(port).is_ok(), "it is open");
        drop(third);

        assert!(sockets.open(None).unwrap().is_none());
        assert!(std::net::TcpStream::connect(port).is_err(), "it is closed");
    }
}
