//! Whether a name and a password belong together, and how often they did not.
//!
//! Promises: an unknown name costs what the costliest known one does; few verifications run
//! at once, and none on a thread that serves sessions; wrong passwords of a
//! client are answered later and later. A right one is never counted, and
//! forgets the wrong ones before it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::PasswordHash;
use crate::config::User;
use crate::session::Credentials;
use crate::session::Identity;
use crate::session::Verification;
use crate::telemetry::complaints;

/// Verifies passwords and remembers who was wrong.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Each verification takes a core and 19 MiB for a while.
    permits: Arc<Semaphore>,
    failures: Mutex<HashMap<Key, Failures>>,
}

/// A client and the name that it gave; without a name, all that it gave.
type Key = (IpAddr, Option<String>);

/// Wrong passwords in a row.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Verifications at once.
const AT_ONCE: usize = 2;
/// The first wrong password is answered after this, each one after it twice as
/// late as the one before: a person does not notice, a guesser does.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// Doubled so often at most: 16 seconds.
const DOUBLINGS: u32 = 6;
/// After so many wrong passwords in a row the session is closed each time.
const TOO_OFTEN: u32 = 10;
/// After so long without another, wrong passwords are forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Names and clients that are remembered at once.
const REMEMBERED: usize = 10_000;

impl Verifier {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            failures: Mutex::default(),
        }
    }

    /// Verifies, and waits before it says no.
    pub(super) async fn verify(
        &self,
        users: &[User],
        client: IpAddr,
        credentials: Credentials,
    ) -> Verification {
        let user = users.iter().find(|user| user.is_called(&credentials.name));
        let costliest = || users.iter().max_by_key(|user| user.password_hash.cost());
        let Some(hash) = user.or_else(costliest).map(|user| &user.password_hash) else {
            return Verification::Unavailable;
        };
        let Some(matches) = self.matches(hash.clone(), &credentials).await else {
            return Verification::Unavailable;
        };
        match user {
            Some(user) if matches => {
                self.forget(client, &credentials.name);
                Verification::Accepted(Identity {
                    name: user.name.clone(),
                    senders: user.senders.clone(),
                })
            }
            _ => self.refuse(client, &credentials.name, user).await,
        }
    }

    async fn matches(&self, hash: PasswordHash, credentials: &Credentials) -> Option<bool> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let password = credentials.password.clone();
        let verified = tokio::task::spawn_blocking(move || {
            let matches = hash.verify(password.expose_secret());
            // Also where the session is gone meanwhile.
            drop(permit);
            matches
        });
        verified.await.ok()
    }

    async fn refuse(&self, client: IpAddr, name: &str, user: Option<&User>) -> Verification {
        let count = self.count(client, name);
        // A name that is none may be a password that was typed in its place.
        complaints::wrong_password(client, user.map(|user| user.name.as_str()), count);
        tokio::time::sleep(delay(count)).await;
        if count >= TOO_OFTEN {
            Verification::RefusedTooOften
        } else {
            Verification::Refused
        }
    }

    /// Counts a wrong password; how many there were in a row. One client that
    /// tries many names is counted by half of all it tried.
    fn count(&self, client: IpAddr, name: &str) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if failures.len() >= REMEMBERED {
            failures.retain(|_, failed| now - failed.last < MEMORY);
        }
        if failures.len() >= REMEMBERED {
            failures.clear();
        }
        let mut counted = |name: Option<String>| {
            let failed = failures.entry((client, name)).or_insert(Failures {
                count: 0,
                last: now,
            });
            if now - failed.last >= MEMORY {
                failed.count = 0;
            }
            failed.count = failed.count.saturating_add(1);
            failed.last = now;
            failed.count
        };
        let of_all_names = counted(None);
        counted(Some(key(name))).max(of_all_names / 2)
    }

    fn forget(&self, client: IpAddr, name: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&(client, Some(key(name))));
        failures.remove(&(client, None));
    }
}

fn key(name: &str) -> String {
    const LONGEST: usize = 254;
    name.to_lowercase().chars().take(LONGEST).collect()
}

fn delay(count: u32) -> Duration {
    FIRST_DELAY * 2_u32.pow(count.saturating_sub(1).min(DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::session::Mechanism;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn users() -> Vec<User> {
        vec![User {
            name: "Scanner".to_owned(),
            password_hash: PasswordHash::of("Canary123").unwrap(),
            senders: Vec::new(),
            account: None,
        }]
    }

    async fn verify(verifier: &Verifier, name: &str, password: &str) -> (Verification, Duration) {
        let credentials = Credentials {
            name: name.to_owned(),
            password: password.to_owned().into(),
            mechanism: Mechanism::Plain,
        };
        let begun = Instant::now();
        let verification = verifier.verify(&users(), CLIENT, credentials).await;
        (verification, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_passwords_are_answered_later_and_later_and_right_ones_at_once() {
        let verifier = Verifier::new();
        let mut delays = Vec::new();
        for _ in 0..4 {
            let (verification, delay) = verify(&verifier, "scanner", "wrong").await;
            assert_eq!(verification, Verification::Refused);
            delays.push(delay.as_millis());
        }
        assert_eq!(delays, [250, 500, 1000, 2000]);

        let (verification, delay) = verify(&verifier, "SCANNER", "Canary123").await;
        assert!(
            matches!(verification, Verification::Accepted(identity) if identity.name == "Scanner")
        );
        assert_eq!(delay, Duration::ZERO);
        let (_, delay) = verify(&verifier, "scanner", "wrong").await;
        assert!(delay < Duration::from_secs(1), "{delay:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_goes_on_guessing_is_closed_and_forgotten_after_a_while() {
        let verifier = Verifier::new();
        for n in 0..18 {
            let (verification, _) = verify(&verifier, &format!("user{n}"), "wrong").await;
            assert_eq!(verification, Verification::Refused, "{n}");
        }
        for _ in 0..3 {
            verify(&verifier, "another", "wrong").await;
        }
        let (verification, delay) = verify(&verifier, "another", "wrong").await;
        assert_eq!(verification, Verification::RefusedTooOften);
        assert_eq!(delay, Duration::from_secs(16));

        tokio::time::advance(MEMORY).await;
        let (verification, delay) = verify(&verifier, "another", "wrong").await;
        assert_eq!(verification, Verification::Refused);
        assert_eq!(delay, FIRST_DELAY);
    }
}
