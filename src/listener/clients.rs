//! What each client has sent recently: messages of the last minute, recipients of the
//! last hour and, for each mailbox, of the last day.
//!
//! Promises: for any number of clients, only [`REMEMBERED`] of a kind are remembered at
//! once and looking one up costs the same; those beyond count as one. A restart forgets
//! all of them.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::mail::Client;
use crate::mail::Destination;

/// All clients; clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct Clients(Arc<Mutex<Known>>);

/// Who sends: an authenticated user counts as itself, from any address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    User(String),
    Client(Client),
}

#[derive(Debug)]
struct Known {
    /// Where the windows begin.
    begun: Instant,
    messages: Remembered<Client, Bucket>,
    /// Messages by the minute.
    hour: Remembered<Sender, Window<60>>,
    /// Recipients by the hour.
    day: Remembered<(Sender, Destination), Day>,
}

/// Messages of a client that still count (a leaky bucket of one minute).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    used: f64,
    at: Option<Instant>,
}

/// Counts of the last N units of time.
#[derive(Clone, Copy, Debug)]
struct Window<const N: usize> {
    /// Counts, the newest first.
    counts: [u32; N],
    /// The time unit of the newest.
    last: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Day {
    recipients: Window<24>,
    /// The hour in which it was logged that half of the quota is used.
    logged: Option<u64>,
}

/// Values by key, with a bounded number of keys.
#[derive(Debug)]
struct Remembered<K, V> {
    by_key: HashMap<K, V>,
    /// The value for all keys without room.
    others: V,
    tidied: Option<Instant>,
}

/// Clients that are remembered at once, for each kind of count.
const REMEMBERED: usize = 10_000;
/// How often expired counts are searched for, at most.
const TIDY: Duration = Duration::from_secs(1);
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * 60;

impl Default for Clients {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Known {
            begun: Instant::now(),
            messages: Remembered::default(),
            hour: Remembered::default(),
            day: Remembered::default(),
        })))
    }
}

impl Clients {
    /// Whether the client may send another message, which is then counted.
    pub(super) fn may_send(&self, client: Client, per_minute: u32) -> bool {
        let full = f64::from(per_minute);
        let now = Instant::now();
        let used = |bucket: &Bucket| {
            let minutes = bucket.at.map_or(0.0, |at| (now - at).as_secs_f64() / 60.0);
            (bucket.used - minutes * full).max(0.0)
        };
        let mut known = self.known();
        let is_over = |bucket: &mut Bucket| used(bucket) <= 0.0;
        let bucket = known.messages.of(client, now, is_over);
        let used = used(bucket);
        let may = used + 1.0 <= full;
        *bucket = Bucket {
            used: if may { used + 1.0 } else { used },
            at: Some(now),
        };
        may
    }

    /// How many recipients a sender may still have within the hour.
    pub(super) fn recipients_left(&self, sender: Sender, per_hour: u32) -> usize {
        let (mut known, now) = (self.known(), Instant::now());
        let used = known.hour_of(sender, now).total();
        usize::try_from(u64::from(per_hour).saturating_sub(used)).unwrap_or(usize::MAX)
    }

    /// Counts the recipients of a message, if the sender may have this many more.
    pub(super) fn take_recipients(&self, sender: Sender, count: u32, per_hour: u32) -> bool {
        let (mut known, now) = (self.known(), Instant::now());
        let window = known.hour_of(sender, now);
        let may = window.total() + u64::from(count) <= u64::from(per_hour);
        if may {
            window.add(count);
        }
        may
    }

    /// The message was not accepted: its recipients do not count.
    pub(super) fn give_recipients_back(&self, sender: Sender, count: u32) {
        let (mut known, now) = (self.known(), Instant::now());
        known.hour_of(sender, now).take_back(count);
    }

    /// Counts recipients of an accepted message for a mailbox with this daily quota.
    /// Returns the sender's sum, once a day, when it reaches half of the quota.
    pub(super) fn use_mailbox(
        &self,
        sender: Sender,
        destination: &Destination,
        count: u32,
        per_day: u32,
    ) -> Option<u64> {
        let (mut known, now) = (self.known(), Instant::now());
        let hour = known.since_begun(now) / HOUR;
        let is_over = |day: &mut Day| day.recipients.at(hour).total() == 0;
        let day = known.day.of((sender, destination.clone()), now, is_over);
        let recipients = day.recipients.at(hour);
        recipients.add(count);
        let total = recipients.total();
        let is_logged = day.logged.is_some_and(|logged| hour - logged < 24);
        if is_logged || total * 2 < u64::from(per_day) {
            return None;
        }
        day.logged = Some(hour);
        Some(total)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn since_begun(&self, now: Instant) -> u64 {
        (now - self.begun).as_secs()
    }

    /// The recipients of a sender.
    fn hour_of(&mut self, sender: Sender, now: Instant) -> &mut Window<60> {
        let minute = self.since_begun(now) / MINUTE;
        let is_over = |window: &mut Window<60>| window.at(minute).total() == 0;
        self.hour.of(sender, now, is_over).at(minute)
    }
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Self {
            counts: [0; N],
            last: 0,
        }
    }
}

impl<const N: usize> Window<N> {
    /// Forgets counts that have expired by that unit.
    fn at(&mut self, unit: u64) -> &mut Self {
        let over = unit.saturating_sub(self.last);
        let over = usize::try_from(over).unwrap_or(N).min(N);
        self.counts.rotate_right(over);
        self.counts
            .iter_mut()
            .take(over)
            .for_each(|count| *count = 0);
        self.last = self.last.max(unit);
        self
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    fn add(&mut self, more: u32) {
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(more);
        }
    }

    /// Beginning with the newest.
    fn take_back(&mut self, mut less: u32) {
        for count in &mut self.counts {
            let taken = less.min(*count);
            *count -= taken;
            less -= taken;
        }
    }
}

impl<K, V: Default> Default for Remembered<K, V> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            others: V::default(),
            tidied: None,
        }
    }
}

impl<K: Eq + Hash, V: Default> Remembered<K, V> {
    /// The value of a key. Expired values make room for new keys.
    fn of(&mut self, key: K, now: Instant, is_over: impl Fn(&mut V) -> bool) -> &mut V {
        if self.by_key.len() >= REMEMBERED && !self.by_key.contains_key(&key) {
            if self.tidied.is_none_or(|tidied| now - tidied >= TIDY) {
                self.tidied = Some(now);
                self.by_key.retain(|_, value| !is_over(value));
            }
            if self.by_key.len() >= REMEMBERED {
                return &mut self.others;
            }
        }
        self.by_key.entry(key).or_default()
    }
}

/// In the form used in the log.
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Client(client) => write!(f, "{client}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    fn sender(address: &str) -> Sender {
        Sender::Client(client(address))
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_of_messages_a_minute_holds_for_each_client() {
        let clients = Clients::default();
        for n in 0..3 {
            assert!(clients.may_send(client(&format!("2001:db8::{n}")), 3));
        }
        assert!(!clients.may_send(client("2001:db8::9"), 3));
        assert!(clients.may_send(client("192.0.2.1"), 3));

        tokio::time::advance(Duration::from_secs(21)).await;

        assert!(clients.may_send(client("2001:db8::9"), 3));
        assert!(!clients.may_send(client("2001:db8::9"), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn ever_new_clients_are_bounded_and_count_as_one_in_the_end() {
        let clients = Clients::default();
        let mut may = 0;
        for n in 0..2 * u32::try_from(REMEMBERED).unwrap() {
            let address = std::net::IpAddr::from(n.to_be_bytes());
            may += usize::from(clients.may_send(Client::at(address), 1));
        }
        assert_eq!(may, REMEMBERED + 1);
        assert_eq!(clients.known().messages.by_key.len(), REMEMBERED);

        // Expired ones make room, and those that are remembered are not touched.
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(clients.may_send(client("192.0.2.1"), 1));
        assert!(clients.may_send(client("192.0.2.2"), 1));
        assert_eq!(clients.known().messages.by_key.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn recipients_count_for_an_hour_unless_they_are_given_back() {
        let clients = Clients::default();
        let one = || sender("192.0.2.1");
        assert!(clients.take_recipients(one(), 7, 10));
        assert!(!clients.take_recipients(one(), 4, 10));
        assert_eq!(clients.recipients_left(one(), 10), 3);
        assert_eq!(clients.recipients_left(Sender::User("a".into()), 10), 10);

        tokio::time::advance(Duration::from_secs(30 * 60)).await;
        assert!(clients.take_recipients(one(), 3, 10));
        clients.give_recipients_back(one(), 4);
        assert_eq!(clients.recipients_left(one(), 10), 4);

        tokio::time::advance(Duration::from_secs(31 * 60)).await;
        assert_eq!(clients.recipients_left(one(), 10), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_a_mailboxs_day_is_reported_once_a_day() {
        let clients = Clients::default();
        let destination = |mailbox: &str| Destination {
            account: "default".into(),
            mailbox: mailbox.parse().unwrap(),
        };
        let send = |mailbox: &str, count| {
            let sender = sender("192.0.2.1");
            clients.use_mailbox(sender, &destination(mailbox), count, 100)
        };
        assert_eq!(send("a@contoso.com", 49), None);
        assert_eq!(send("b@contoso.com", 49), None);
        assert_eq!(send("a@contoso.com", 3), Some(52));
        assert_eq!(send("a@contoso.com", 40), None);

        tokio::time::advance(Duration::from_secs(25 * 60 * 60)).await;
        assert_eq!(send("a@contoso.com", 49), None);
        assert_eq!(send("a@contoso.com", 1), Some(50));
    }
}
