//! Slows down whoever guesses at the log-in: after [`FREE`] wrong attempts within
//! [`WINDOW`], a client has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::client::network;

/// Wrong attempts that somebody may make by mistake.
const FREE: u32 = 5;
/// The time after which they are forgotten.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// Clients that are remembered; beyond that, the oldest is forgotten.
const MOST: usize = 1000;

/// Wrong attempts, by client, and whose password is being verified.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, (u32, Instant)>>, Mutex<Turns>);

/// The turns of the clients whose passwords are being verified, or wait for that.
type Turns = HashMap<IpAddr, Weak<tokio::sync::Mutex<()>>>;

impl Attempts {
    /// Whoever holds it verifies a password of this client.
    pub(super) fn turns(&self, client: IpAddr) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turns| turns.strong_count() > 0);
        let turns = all.entry(network(client)).or_default();
        turns.upgrade().unwrap_or_else(|| {
            let new = Arc::default();
            *turns = Arc::downgrade(&new);
            new
        })
    }

    /// Whether this client has to wait.
    pub(super) fn must_wait(&self, client: IpAddr, now: Instant) -> bool {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(&network(client));
        known.is_some_and(|(count, last)| *count >= FREE && now.duration_since(*last) < WINDOW)
    }

    /// Counts a wrong attempt.
    pub(super) fn failed(&self, client: IpAddr, now: Instant) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MOST {
            clients.retain(|_, (_, last)| now.duration_since(*last) < WINDOW);
        }
        if clients.len() >= MOST {
            let oldest = clients.iter().min_by_key(|(_, (_, last))| *last);
            if let Some(oldest) = oldest.map(|(client, _)| *client) {
                clients.remove(&oldest);
            }
        }
        let (count, last) = clients.entry(network(client)).or_insert((0, now));
        if now.duration_since(*last) >= WINDOW {
            *count = 0;
        }
        *count = count.saturating_add(1);
        *last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_after_five_wrong_attempts_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let client: IpAddr = "2001:db8::1".parse().unwrap();
        for _ in 0..FREE {
            assert!(!attempts.must_wait(client, now));
            attempts.failed(client, now);
        }

        assert!(attempts.must_wait(client, now));
        assert!(attempts.must_wait("2001:db8::2".parse().unwrap(), now));
        assert!(!attempts.must_wait("2001:db8:0:1::1".parse().unwrap(), now));
        assert!(!attempts.must_wait("192.0.2.1".parse().unwrap(), now));
        assert!(!attempts.must_wait(client, now + WINDOW));
        attempts.failed(client, now + WINDOW);
        assert!(!attempts.must_wait(client, now + WINDOW));
    }

    #[test]
    fn each_client_has_one_turn_and_those_without_are_not_remembered() {
        let attempts = Attempts::default();
        let [one, other]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let turns = attempts.turns(one);
        let turn = turns.try_lock().unwrap();

        assert!(attempts.turns(one).try_lock().is_err());
        assert!(attempts.turns(other).try_lock().is_ok());
        drop(turn);
        assert!(attempts.turns(one).try_lock().is_ok());
        assert_eq!(attempts.1.lock().unwrap().len(), 1);
    }

    #[test]
    fn only_so_many_clients_are_remembered() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..3000_u32 {
            attempts.failed(IpAddr::V4(n.into()), now);
        }

        assert!(attempts.0.lock().unwrap().len() <= MOST);
    }
}
