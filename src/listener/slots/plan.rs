//! How many connections all clients may have together, and each of them.

use super::Party;
use crate::config::OTHER_SHARES;

/// How connections are divided.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) struct Plan {
    /// Connections at once, of all clients.
    pub(in crate::listener) connections: usize,
    /// Connections at once of one client on another machine.
    pub(in crate::listener) per_client: usize,
    /// Connections at once of one address of this machine; `None` means any number.
    pub(in crate::listener) per_local_client: Option<usize>,
    /// Connections kept free for each listener and for this machine.
    pub(in crate::listener) reserved: usize,
    /// The number of listeners.
    pub(in crate::listener) listeners: usize,
    /// Whether applications of this machine may connect to any of them.
    pub(in crate::listener) is_local: bool,
}

impl Plan {
    /// With few connections, the reserves take only a share of them.
    pub(in crate::listener) fn reserve(&self) -> usize {
        let shares = self.listeners.saturating_add(OTHER_SHARES);
        self.reserved.min(self.connections / shares)
    }

    /// The most connections of one party.
    pub(in crate::listener) fn limit_of(&self, party: Party) -> usize {
        match party {
            Party::Proxy(_) => usize::MAX,
            Party::Client(client) if client.is_loopback() => {
                self.per_local_client.unwrap_or(usize::MAX)
            }
            Party::Client(_) => self.per_client,
        }
    }
}
