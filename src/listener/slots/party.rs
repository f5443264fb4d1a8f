//! Whom a connection is counted for: a client, or a proxy that has not named the client yet.

use std::fmt;

use crate::mail::Client;

/// A connection that asks for a slot.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) struct Arrival {
    /// The listener's number.
    pub(in crate::listener) listener: usize,
    pub(in crate::listener) party: Party,
}

/// Whom a connection is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::listener) enum Party {
    Client(Client),
    /// A proxy that has not said yet whose connection it is. All clients behind it come from
    /// here, so the limit of one client does not apply, and no rights of this machine do.
    Proxy(Client),
}

impl Party {
    /// Whether it is this machine.
    pub(in crate::listener) fn is_local(self) -> bool {
        matches!(self, Self::Client(client) if client.is_loopback())
    }
}

/// As the log and `status` name it.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => client.fmt(f),
            Self::Proxy(proxy) => write!(f, "{proxy} (proxy)"),
        }
    }
}
