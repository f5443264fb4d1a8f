//! Recent correct passwords, so that a device need not wait in the queue behind clients
//! that guess.
//!
//! A success is remembered for its client as a proof: an HMAC of hash and password under
//! a random key of this process, which is stored nowhere else. Promises: a proof is
//! short-lived and becomes invalid with the hash, so no password is accepted after the
//! configuration stops accepting it; memory is bounded. That a client knew a password is
//! remembered for longer than the proof: such a client does not wait for the guesses of
//! others.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use ring::hmac;
use ring::rand::SystemRandom;
use tokio::time::Instant;

use super::guesses::key;
use crate::config::User;
use crate::credentials::PasswordHash;
use crate::mail::Client;

/// Successes of clients.
#[derive(Debug)]
pub(in crate::listener) struct Recent {
    /// None if the system has no randomness; then every password is verified.
    key: Option<hmac::Key>,
    successes: Mutex<HashMap<(Client, String), Success>>,
}

struct Success {
    proof: hmac::Tag,
    hash: PasswordHash,
    at: Instant,
}

/// How well a client that gives a user's name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) enum Standing {
    /// It gave this very password a short while ago.
    Proved,
    /// It gave another password a short while ago, so this one is wrong.
    Differs,
    /// It gave the right password within the last day.
    Familiar,
    /// None of these.
    Stranger,
}

/// How long a password is accepted without being verified again. Most devices that send
/// often do so more often than this.
const PROOF: Duration = Duration::from_secs(30 * 60);
/// How long a client is familiar: long enough for a device that reports once a day.
const FAMILIAR: Duration = Duration::from_secs(26 * 60 * 60);
/// Clients and users that are remembered at once.
const REMEMBERED: usize = 10_000;

impl Recent {
    pub(in crate::listener) fn new() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            successes: Mutex::default(),
        }
    }

    /// What is known about a client that gives this password for this user.
    pub(in crate::listener) fn standing(
        &self,
        client: Client,
        user: &User,
        password: &str,
    ) -> Standing {
        let Some(secret) = &self.key else {
            return Standing::Stranger;
        };
        let successes = self.successes();
        let success = successes.get(&(client, key(&user.name)));
        let Some(success) = success.filter(|success| success.hash == user.password_hash) else {
            return Standing::Stranger;
        };
        let age = success.at.elapsed();
        let text = text(&success.hash, password);
        if age >= FAMILIAR {
            Standing::Stranger
        } else if age >= PROOF {
            Standing::Familiar
        } else if hmac::verify(secret, &text, success.proof.as_ref()).is_ok() {
            Standing::Proved
        } else {
            Standing::Differs
        }
    }

    /// Remembers that the password was verified and is correct.
    pub(in crate::listener) fn remember(&self, client: Client, user: &User, password: &str) {
        let Some(secret) = &self.key else { return };
        let hash = user.password_hash.clone();
        let success = Success {
            proof: hmac::sign(secret, &text(&hash, password)),
            hash,
            at: Instant::now(),
        };
        let mut successes = self.successes();
        let of = (client, key(&user.name));
        if successes.len() >= REMEMBERED && !successes.contains_key(&of) {
            let oldest = successes.iter().min_by_key(|(_, success)| success.at);
            if let Some(oldest) = oldest.map(|(of, _)| of.clone()) {
                successes.remove(&oldest);
            }
        }
        successes.insert(of, success);
    }

    /// Forgets users that were removed or have another hash.
    pub(in crate::listener) fn keep(&self, users: &[User]) {
        self.successes().retain(|(_, name), success| {
            let mut users = users.iter();
            users.any(|user| user.is_called(name) && user.password_hash == success.hash)
        });
    }

    fn successes(&self) -> MutexGuard<'_, HashMap<(Client, String), Success>> {
        self.successes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash contains no NUL, so two pairs never have the same text.
fn text(hash: &PasswordHash, password: &str) -> Vec<u8> {
    format!("{hash}\0{password}").into_bytes()
}

impl fmt::Debug for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Success(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(hash: &PasswordHash) -> User {
        User {
            name: "Scanner".to_owned(),
            password_hash: hash.clone(),
            senders: Vec::new(),
            recipients: crate::mail::RecipientPolicy::default(),
            account: None,
        }
    }

    fn client(last: u8) -> Client {
        Client::at([192, 0, 2, last].into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_was_right_is_known_to_this_client_for_a_while() {
        let recent = Recent::new();
        let user = user(&PasswordHash::of("Canary123").unwrap());
        let standing = |password| recent.standing(client(1), &user, password);
        assert_eq!(standing("Canary123"), Standing::Stranger);

        recent.remember(client(1), &user, "Canary123");

        assert_eq!(standing("Canary123"), Standing::Proved);
        assert_eq!(standing("canary123"), Standing::Differs);
        let elsewhere = recent.standing(client(2), &user, "Canary123");
        assert_eq!(elsewhere, Standing::Stranger);
        tokio::time::advance(PROOF).await;
        assert_eq!(standing("Canary123"), Standing::Familiar);
        assert_eq!(standing("canary123"), Standing::Familiar);
        tokio::time::advance(FAMILIAR).await;
        assert_eq!(standing("Canary123"), Standing::Stranger);
        assert!(!format!("{recent:?}").contains("Canary123"));
    }

    #[test]
    fn a_changed_hash_makes_all_clients_unfamiliar() {
        let recent = Recent::new();
        let old = user(&PasswordHash::of("Canary123").unwrap());
        // The same password with another salt.
        let new = user(&PasswordHash::of("Canary123").unwrap());
        recent.remember(client(1), &old, "Canary123");

        let standing = recent.standing(client(1), &new, "Canary123");
        assert_eq!(standing, Standing::Stranger);
        recent.keep(std::slice::from_ref(&old));
        assert_eq!(recent.successes().len(), 1);
        recent.keep(std::slice::from_ref(&new));
        assert!(recent.successes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_forgets_the_oldest() {
        let recent = Recent::new();
        let user = user(&PasswordHash::of("Canary123").unwrap());
        for n in 0..=REMEMBERED {
            let at = u32::try_from(n).unwrap();
            let client = Client::at(std::net::Ipv4Addr::from(0x0a00_0000 + at).into());
            recent.remember(client, &user, "Canary123");
            tokio::time::advance(Duration::from_millis(1)).await;
        }

        assert_eq!(recent.successes().len(), REMEMBERED);
        let first = Client::at([10, 0, 0, 0].into());
        assert!(!recent.successes().contains_key(&(first, key("scanner"))));
    }
}
