//! Which clients hold the connections, for the log and for `status`.

use std::sync::Arc;

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::Plan;
use crate::config::Listener;
use crate::listener::Rules;
use crate::listener::Shared;
use crate::telemetry::maillog;

/// The state of the connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Connections that are open now.
    pub open: usize,
    /// `limits.connections`.
    pub limit: usize,
    /// The clients with the most connections, in descending order.
    pub holders: Vec<Holder>,
    /// How long ago a client found all taken, if ever.
    pub full_ago_ms: Option<u64>,
    /// Clients that were refused because all were taken, since the start.
    pub turned_away: u64,
    /// Clients that were refused because of `limits.connections_per_client`.
    pub over_client_limit: u64,
    /// Sessions that were closed to make room for others.
    pub made_room: u64,
}

/// A client and its number of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// An address, or the /64 of an IPv6 address; with `(proxy)` for connections whose
    /// PROXY protocol header has not come yet.
    pub client: String,
    /// The number of its connections.
    pub connections: usize,
}

impl Connections {
    /// How long ago all were in use, if that was in the last quarter of an hour.
    pub fn recently_full(&self) -> Option<Duration> {
        let ago = self.full_ago_ms.map(Duration::from_millis);
        ago.filter(|ago| *ago < RECENT)
    }

    /// Who has them, in words.
    pub fn held_by(&self) -> String {
        let holders = self.holders.iter();
        let holders: Vec<String> = holders
            .map(|holder| format!("{} by {}", holder.connections, holder.client))
            .collect();
        match holders.as_slice() {
            [] => "none".to_owned(),
            some => some.join(", "),
        }
    }
}

/// For this long it is a problem that all connections were in use.
const RECENT: Duration = Duration::from_secs(15 * 60);
/// How many clients are named.
const HOLDERS: usize = 5;

impl Shared {
    /// Returns the state of the connections.
    pub fn connections(&self) -> Connections {
        let holders = self.slots.holders(HOLDERS).into_iter();
        let counts = self.slots.counts();
        let full_ago = self.slots.full_ago();
        Connections {
            open: self.slots.taken(),
            limit: self.rules().limits.connections,
            holders: holders
                .map(|(party, connections)| Holder {
                    client: party.to_string(),
                    connections,
                })
                .collect(),
            full_ago_ms: full_ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
            turned_away: counts.turned_away,
            over_client_limit: counts.over_client_limit,
            made_room: counts.made_room,
        }
    }

    /// Logs once a minute which clients hold all connections.
    pub(in crate::listener) fn all_taken(&self, plan: &Plan, rules: &Rules) {
        if !self.slots.note_full() {
            return;
        }
        let holders = self.slots.holders(HOLDERS);
        let holders = holders
            .iter()
            .map(|(party, count)| format!("{count} by {party}"));
        let holders: Vec<String> = holders.collect();
        let on = |(number, listener): (usize, &Arc<Listener>)| {
            format!("{} on {}", self.slots.on_listener(number), listener.address)
        };
        let listeners: Vec<String> = rules.listeners.iter().enumerate().map(on).collect();
        let (taken, holders) = (self.slots.taken(), holders.join(", "));
        maillog::all_taken(taken, plan.connections, &holders, &listeners.join(", "));
    }
}
