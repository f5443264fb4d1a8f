//! Counts wrong passwords in a row, and how long a client that continues must wait.
//!
//! They are counted for a client and a name, for a client and all names that it gave, and
//! for a name over all clients. Promises: the memory is bounded, and one client's
//! activity displaces only the least important counts, never everything; users of the
//! configuration are forgotten last. An unknown name is counted and delayed like a known
//! one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::mail::Client;

/// Recent wrong passwords.
#[derive(Debug, Default)]
pub(in crate::listener) struct Guesses(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    of_pairs: Table<(Client, String)>,
    of_clients: Table<Client>,
    of_names: Table<String>,
}

#[derive(Debug)]
struct Table<K>(HashMap<K, Failures>);

/// Wrong passwords in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Failures {
    /// Whether the name is that of a `[[user]]`.
    known: bool,
    count: u32,
    last: Instant,
}

/// A name as it was given, and whether a `[[user]]` has it.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) struct Name<'n> {
    pub(in crate::listener) text: &'n str,
    pub(in crate::listener) known: bool,
}

/// The delay of the reply to the first wrong password; each further one doubles it. A
/// person does not notice, a guesser does.
pub(in crate::listener) const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The most doublings, which gives 16 seconds; devices wait longer than that for a reply.
const DOUBLINGS: u32 = 6;
/// Wrong passwords in a row before the next one must wait for its verification: enough
/// for a device with an old password, and for a person who tries three.
const UNDELAYED: u32 = 10;
/// How long wrong passwords are remembered without another one.
pub(in crate::listener) const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Pairs, clients or names that are remembered at once.
const REMEMBERED: usize = 10_000;

impl Guesses {
    /// Counts a wrong password; returns how many there were in a row. A client that tries
    /// many names is counted by half of all its tries.
    pub(in crate::listener) fn count(&self, client: Client, name: Name<'_>) -> u32 {
        let mut counts = self.counts();
        let key = key(name.text);
        let of_client = counts.of_clients.count(client, false);
        counts.of_names.count(key.clone(), name.known);
        let of_pair = counts.of_pairs.count((client, key), name.known);
        of_pair.max(of_client / 2)
    }

    /// Forgets the wrong passwords of a client that gave a correct one. What others tried
    /// with the name still counts.
    pub(in crate::listener) fn forget(&self, client: Client, name: &str) {
        let mut counts = self.counts();
        counts.of_clients.0.remove(&client);
        counts.of_pairs.0.remove(&(client, key(name)));
    }

    /// Wrong passwords in a row that this client gave for this name.
    pub(in crate::listener) fn of_pair(&self, client: Client, name: &str) -> u32 {
        self.counts().of_pairs.now(&(client, key(name)))
    }

    /// Wrong passwords in a row that all clients gave for this name.
    pub(in crate::listener) fn of_name(&self, name: &str) -> u32 {
        self.counts().of_names.now(&key(name))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the refusal of the `count`th wrong password in a row is delayed.
pub(in crate::listener) fn delay_after(count: u32) -> Duration {
    FIRST_DELAY * 2_u32.pow(count.saturating_sub(1).min(DOUBLINGS))
}

/// How long a password waits for its verification after `count` wrong ones.
pub(in crate::listener) fn delay_before(count: u32) -> Duration {
    match count.checked_sub(UNDELAYED) {
        None | Some(0) => Duration::ZERO,
        Some(more) => delay_after(more),
    }
}

/// The part of a name that is compared, because a client may send any length.
pub(in crate::listener) fn key(name: &str) -> String {
    const LONGEST: usize = 254;
    name.to_lowercase().chars().take(LONGEST).collect()
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn count(&mut self, key: K, known: bool) -> u32 {
        let now = Instant::now();
        if !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let failed = self.0.entry(key).or_insert(Failures {
            known,
            count: 0,
            last: now,
        });
        if now - failed.last >= MEMORY {
            failed.count = 0;
        }
        failed.known = known;
        failed.count = failed.count.saturating_add(1);
        failed.last = now;
        failed.count
    }

    fn now(&self, key: &K) -> u32 {
        let fresh = |failed: &&Failures| failed.last.elapsed() < MEMORY;
        let failed = self.0.get(key).filter(fresh);
        failed.map_or(0, |failed| failed.count)
    }

    /// Forgets old counts; if that is not enough, the least important: unknown names
    /// before known ones, the fewest failures first, and of those the oldest.
    fn make_room(&mut self, now: Instant) {
        if self.0.len() < REMEMBERED {
            return;
        }
        self.0.retain(|_, failed| now - failed.last < MEMORY);
        if self.0.len() < REMEMBERED {
            return;
        }
        let least = self.0.iter().min_by_key(|(_, failed)| **failed);
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Client {
        Client::at([192, 0, 2, last].into())
    }

    fn known(text: &str) -> Name<'_> {
        Name { text, known: true }
    }

    fn unknown(text: &str) -> Name<'_> {
        Name { text, known: false }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_counted_over_all_clients_and_for_each_alone() {
        let guesses = Guesses::default();
        for n in 0..20 {
            assert_eq!(guesses.count(client(n), known("Scanner")), 1);
        }

        assert_eq!(guesses.of_name("scanner"), 20);
        assert_eq!(guesses.of_pair(client(3), "SCANNER"), 1);
        // A correct password from elsewhere does not end the delay for the guessing.
        guesses.forget(client(3), "scanner");
        assert_eq!(guesses.of_pair(client(3), "scanner"), 0);
        assert_eq!(guesses.of_name("scanner"), 20);

        tokio::time::advance(MEMORY).await;
        assert_eq!(guesses.of_name("scanner"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn random_names_push_nobody_out_who_counts() {
        let guesses = Guesses::default();
        for _ in 0..7 {
            guesses.count(client(1), known("scanner"));
        }
        guesses.count(client(2), known("printer"));

        // From countless addresses, under countless names, twice each.
        for n in 0..REMEMBERED + 100 {
            let at = u32::try_from(n).unwrap();
            let other = Client::at(std::net::Ipv4Addr::from(0x0a00_0000 + at).into());
            for _ in 0..2 {
                guesses.count(other, unknown(&format!("name{n}")));
            }
        }

        assert_eq!(guesses.of_pair(client(1), "scanner"), 7);
        assert_eq!(guesses.of_pair(client(2), "printer"), 1);
        assert_eq!(guesses.of_name("printer"), 1);
        let counts = guesses.counts();
        assert!(counts.of_pairs.0.len() <= REMEMBERED);
        assert!(counts.of_clients.0.len() <= REMEMBERED);
        assert!(counts.of_clients.0.contains_key(&client(1)));
        assert!(counts.of_names.0.len() <= REMEMBERED);
    }

    #[test]
    fn delays_grow_and_end() {
        let seconds = |delay: Duration| delay.as_secs_f64();
        assert_eq!(
            [1, 2, 7, 99].map(|n| seconds(delay_after(n))),
            [0.25, 0.5, 16.0, 16.0]
        );
        assert_eq!(
            [0, 10, 11, 12, 99].map(|n| seconds(delay_before(n))),
            [0.0, 0.0, 0.25, 0.5, 16.0]
        );
    }
}
