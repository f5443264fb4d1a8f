//! How far each mailbox is from its limits, for `status` and the admin page. The limits
//! themselves and what counts against them are in `pace.rs`; this only reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::mail::Address;
use crate::mail::Destination;

/// How far a mailbox is from its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// The account.
    pub account: String,
    /// The mailbox.
    pub mailbox: Address,
    /// Requests that may go at once now.
    pub requests_at_once: u32,
    /// The same without throttling: `concurrency`.
    pub most_requests_at_once: u32,
    /// Recipients of the last 24 hours; 0 where nothing limits them.
    pub recipients: u64,
    /// `recipients_per_day`, if there is a limit.
    pub recipients_per_day: Option<u64>,
    /// When the first of these recipients no longer count.
    pub recipients_free_at: Option<Timestamp>,
    /// Messages of the last minute; 0 where nothing limits them.
    pub messages: u64,
    /// `messages_per_minute`, if there is a limit.
    pub messages_per_minute: Option<u64>,
}

/// What a mailbox has used of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) recipients: u64,
    pub(super) recipients_per_day: Option<u64>,
    /// When the first of them no longer count.
    pub(super) recipients_free_at: Option<Instant>,
    pub(super) messages: u64,
    pub(super) messages_per_minute: Option<u64>,
    pub(super) at_once: u32,
    pub(super) most_at_once: u32,
}

/// Something with limits.
pub(super) trait Uses: fmt::Debug + Send + Sync {
    /// What is used of them.
    fn used(&self, now: Instant) -> Used;
}

/// The mailboxes that were used lately; clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::delivery) struct Figures(Arc<Mutex<BTreeMap<Destination, Weak<dyn Uses>>>>);

impl Figures {
    /// Adds a mailbox, until nobody uses its limits any more.
    pub(super) fn add<U: Uses + 'static>(&self, destination: &Destination, pace: &Arc<U>) {
        let pace: Weak<dyn Uses> = Arc::<U>::downgrade(pace);
        self.lock().insert(destination.clone(), pace);
    }

    /// The first mailboxes, at most so many. `wall` is the time now.
    pub(in crate::delivery) fn rates(&self, wall: Timestamp, most: usize) -> Vec<Rates> {
        let now = Instant::now();
        let mut known = self.lock();
        known.retain(|_, pace| pace.strong_count() > 0);
        let rates = known.iter().filter_map(|(destination, pace)| {
            let used = pace.upgrade()?.used(now);
            let free_at = used.recipients_free_at;
            Some(Rates {
                account: destination.account.clone(),
                mailbox: destination.mailbox.clone(),
                requests_at_once: used.at_once,
                most_requests_at_once: used.most_at_once,
                recipients: used.recipients,
                recipients_per_day: used.recipients_per_day,
                recipients_free_at: free_at.map(|at| wall + at.saturating_duration_since(now)),
                messages: used.messages,
                messages_per_minute: used.messages_per_minute,
            })
        });
        rates.take(most).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Destination, Weak<dyn Uses>>> {
        // Every change of it is complete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
