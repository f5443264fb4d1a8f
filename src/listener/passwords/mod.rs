//! Verifies names and passwords.
//!
//! Promises: few verifications run at once, only one for each client, and none on a
//! thread that serves sessions; a verification that nobody waits for any more is skipped.
//! An unknown name costs exactly as much as a known one. Wrong passwords are answered
//! later and later. After many for one name, from any clients, passwords for it wait
//! before they are verified, except those of a client that has recently given the correct
//! one. A correct password is never counted, and clears the client's earlier wrong ones.
//!
//! A password that was correct a moment ago waits for no turn and for no other client. It
//! waits, 16 seconds at most, only while somebody guesses for the same name from the same
//! address (for example behind one NAT). An immediate answer would tell that guesser that
//! every password without an immediate answer is wrong: it would disconnect and try the
//! next, as fast as it can connect, and neither the delay of refusals nor the count would
//! slow it down.
//!
//! `turns.rs` has the queue, `guesses.rs` the counts, `recent.rs` the recent correct
//! passwords.

pub(super) mod authenticate;
mod guesses;
pub(super) mod hint;
mod recent;
mod turns;

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::debug;

use self::guesses::Guesses;
use self::guesses::Name;
use self::guesses::delay_after;
use self::guesses::delay_before;
use self::recent::Recent;
use self::recent::Standing;
use self::turns::Turns;
use crate::config::User;
use crate::credentials::PasswordHash;
use crate::mail::Client;
use crate::session::Credentials;
use crate::session::Identity;
use crate::session::Verification;
use crate::telemetry::complaints;

/// Verifies passwords and counts wrong ones.
#[derive(Debug)]
pub(super) struct Verifier {
    turns: Turns,
    guesses: Arc<Guesses>,
    recent: Recent,
}

/// A name and a password to be verified.
#[derive(Clone, Copy, Debug)]
struct Claim<'c> {
    address: IpAddr,
    client: Client,
    users: &'c [User],
    /// The user with that name.
    user: Option<&'c User>,
    credentials: &'c Credentials,
    standing: Standing,
}

/// The result of a verification.
#[derive(Clone, Copy, Debug)]
enum Verified {
    Right,
    /// The number of wrong passwords in a row.
    Wrong(u32),
}

/// Verifications at once: each uses a core and 19 MiB for a while.
const AT_ONCE: usize = 2;
/// The number of wrong passwords in a row after which the session is closed each time.
const TOO_OFTEN: u32 = 10;

impl Verifier {
    pub(super) fn new() -> Self {
        Self {
            turns: Turns::new(AT_ONCE),
            guesses: Arc::default(),
            recent: Recent::new(),
        }
    }

    /// Forgets passwords that the configuration no longer accepts.
    pub(super) fn reload(&self, users: &[User]) {
        self.recent.keep(users);
    }

    /// Verifies a password, and delays a refusal. Dropping the future removes the client
    /// from the queue.
    pub(super) async fn verify(
        &self,
        users: &[User],
        address: IpAddr,
        credentials: Credentials,
    ) -> Verification {
        let client = Client::at(address);
        let user = users.iter().find(|user| user.is_called(&credentials.name));
        let password = credentials.password.expose_secret();
        let standing = user.map(|user| self.recent.standing(client, user, password));
        let claim = Claim {
            address,
            client,
            users,
            user,
            credentials: &credentials,
            standing: standing.unwrap_or(Standing::Stranger),
        };
        if let Some(user) = user
            && claim.standing == Standing::Proved
        {
            self.wait(&claim, Instant::now()).await;
            self.guesses.forget(client, &credentials.name);
            return accepted(user);
        }
        // It is known to be wrong, and counts even if the client does not wait for the
        // answer. Otherwise disconnecting early would make a guess free.
        let counted = (claim.standing == Standing::Differs).then(|| self.count(&claim));
        match (self.matches(&claim, counted).await, user) {
            (Some(Verified::Right), Some(user)) => {
                self.guesses.forget(client, &credentials.name);
                self.recent.remember(client, user, password);
                accepted(user)
            }
            (Some(Verified::Wrong(count)), _) => refused(count).await,
            (Some(Verified::Right) | None, _) => Verification::Unavailable,
        }
    }

    /// Verifies when it is the client's turn; `None` if that is impossible.
    async fn matches(&self, claim: &Claim<'_>, counted: Option<u32>) -> Option<Verified> {
        let trials = trials(claim.users, claim.user)?;
        let begun = Instant::now();
        let turn = loop {
            self.wait(claim, begun).await;
            let turn = self.turns.take(claim.client).await;
            // Others may have continued to guess meanwhile.
            if begun + self.delay(claim) <= Instant::now() {
                break turn;
            }
        };
        let credentials = claim.credentials;
        let (password, name) = (credentials.password.clone(), credentials.name.clone());
        let (address, client) = (claim.address, claim.client);
        let user = claim.user.map(|user| user.name.clone());
        let guesses = Arc::clone(&self.guesses);
        let verified = tokio::task::spawn_blocking(move || {
            let mut right = false;
            for trial in &trials {
                let matches = trial.hash.verify(password.expose_secret());
                right |= matches && trial.counts;
            }
            debug!(event = "verified", client = %address, right, "a password was checked");
            // Also if the session has ended meanwhile.
            drop(turn);
            if right {
                return Verified::Right;
            }
            Verified::Wrong(
                counted.unwrap_or_else(|| wrong(&guesses, address, client, &name, user)),
            )
        });
        verified.await.ok()
    }

    /// Waits as long as this claim must; others may continue to guess meanwhile.
    async fn wait(&self, claim: &Claim<'_>, begun: Instant) {
        loop {
            let until = begun + self.delay(claim);
            tokio::time::sleep_until(until).await;
            if begun + self.delay(claim) <= until {
                return;
            }
        }
    }

    /// How long this claim must wait before it is verified.
    fn delay(&self, claim: &Claim<'_>) -> std::time::Duration {
        let name = &claim.credentials.name;
        let of_pair = self.guesses.of_pair(claim.client, name);
        match claim.standing {
            Standing::Proved | Standing::Differs | Standing::Familiar => delay_before(of_pair),
            Standing::Stranger => delay_before(of_pair.max(self.guesses.of_name(name))),
        }
    }

    fn count(&self, claim: &Claim<'_>) -> u32 {
        let user = claim.user.map(|user| user.name.clone());
        let name = &claim.credentials.name;
        wrong(&self.guesses, claim.address, claim.client, name, user)
    }
}

/// Counts and logs a wrong password.
fn wrong(
    guesses: &Guesses,
    address: IpAddr,
    client: Client,
    name: &str,
    user: Option<String>,
) -> u32 {
    let known = user.is_some();
    let count = guesses.count(client, Name { text: name, known });
    // An unknown name may be a password that was typed in its place.
    complaints::wrong_password(address, user.as_deref(), count);
    count
}

fn accepted(user: &User) -> Verification {
    Verification::Accepted(Identity {
        name: user.name.clone(),
        senders: user.senders.clone(),
        recipients: user.recipients.clone(),
    })
}

async fn refused(count: u32) -> Verification {
    tokio::time::sleep(delay_after(count)).await;
    if count >= TOO_OFTEN {
        Verification::RefusedTooOften
    } else {
        Verification::Refused
    }
}

/// A hash to compare a password with.
#[derive(Debug)]
struct Trial {
    hash: PasswordHash,
    /// Whether it decides; the others are only computed for the time that they take.
    counts: bool,
}

/// The same work for every name: one hash of each cost that users have, including the
/// user's own. `None` if there are no users.
fn trials(users: &[User], user: Option<&User>) -> Option<Vec<Trial>> {
    let own = user.map(|user| &user.password_hash);
    let mut trials: Vec<Trial> = Vec::new();
    for user in users {
        let hash = &user.password_hash;
        if trials.iter().any(|trial| trial.hash.cost() == hash.cost()) {
            continue;
        }
        let own = own.filter(|own| own.cost() == hash.cost());
        trials.push(Trial {
            hash: own.unwrap_or(hash).clone(),
            counts: own.is_some(),
        });
    }
    Some(trials).filter(|trials| !trials.is_empty())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::LazyLock;
    use std::time::Duration;

    use argon2::Algorithm;
    use argon2::Argon2;
    use argon2::Params;
    use argon2::PasswordHasher;
    use argon2::Version;

    use super::guesses::FIRST_DELAY;
    use super::guesses::MEMORY;
    use super::*;
    use crate::mail::RecipientPolicy;
    use crate::session::Mechanism;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    static USERS: LazyLock<Vec<User>> = LazyLock::new(|| {
        vec![
            user("Scanner", hash(128, "Canary123")),
            user("Cheap", hash(64, CHEAP)),
        ]
    });

    /// A hash whose verification takes this memory, in KiB: what the names cost must differ,
    /// and need not be much.
    fn hash(memory: u32, password: &str) -> PasswordHash {
        let params = Params::new(memory, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password(password.as_bytes()).unwrap();
        hash.to_string().try_into().unwrap()
    }

    fn user(name: &str, password_hash: PasswordHash) -> User {
        User {
            name: name.to_owned(),
            password_hash,
            senders: Vec::new(),
            recipients: RecipientPolicy::default(),
            account: None,
        }
    }

    fn other(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    async fn verify(verifier: &Verifier, name: &str, password: &str) -> (Verification, Duration) {
        verify_from(CLIENT, verifier, name, password).await
    }

    async fn verify_from(
        client: IpAddr,
        verifier: &Verifier,
        name: &str,
        password: &str,
    ) -> (Verification, Duration) {
        let credentials = Credentials {
            name: name.to_owned(),
            password: password.to_owned().into(),
            mechanism: Mechanism::Plain,
        };
        let begun = Instant::now();
        let verification = verifier.verify(&USERS, client, credentials).await;
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
    async fn a_guessing_client_is_disconnected_and_forgotten_after_a_while() {
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

    #[tokio::test(start_paused = true)]
    async fn guesses_from_everywhere_delay_a_name_before_it_is_verified() {
        let verifier = Verifier::new();
        let (known, _) = verify_from(other(250), &verifier, "cheap", CHEAP).await;
        assert!(matches!(known, Verification::Accepted(_)));
        tokio::time::advance(Duration::from_secs(60 * 60)).await;
        for n in 0..30 {
            for name in ["cheap", "nobody"] {
                verify_from(other(n), &verifier, name, "wrong").await;
            }
        }

        // A client that has given the correct one is not delayed, even without a proof.
        let (verification, delay) = verify_from(other(250), &verifier, "cheap", CHEAP).await;
        assert!(matches!(verification, Verification::Accepted(_)));
        assert_eq!(delay, Duration::ZERO);
        let (verification, delay) = verify_from(other(251), &verifier, "cheap", CHEAP).await;
        assert!(matches!(verification, Verification::Accepted(_)));
        assert_eq!(delay, Duration::from_secs(16));
        let (_, delay) = verify_from(other(252), &verifier, "nobody", "wrong").await;
        assert_eq!(delay, Duration::from_secs(16) + FIRST_DELAY);
        // Other names have no effect.
        let (_, delay) = verify_from(other(252), &verifier, "scanner", "Canary123").await;
        assert_eq!(delay, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_recent_password_waits_for_no_turn() {
        let verifier = Verifier::new();
        verify(&verifier, "cheap", CHEAP).await;
        let _all = [
            verifier.turns.take(Client::at(other(1))).await,
            verifier.turns.take(Client::at(other(2))).await,
        ];

        let (verification, _) = verify(&verifier, "CHEAP", CHEAP).await;

        assert!(
            matches!(verification, Verification::Accepted(identity) if identity.name == "Cheap")
        );
        // Another password, another client and a changed hash must wait.
        let waits = |client, users: &[User], password: &str| {
            let credentials = Credentials {
                name: "cheap".to_owned(),
                password: password.to_owned().into(),
                mechanism: Mechanism::Plain,
            };
            let users = users.to_vec();
            let verifier = &verifier;
            async move {
                let verifying = verifier.verify(&users, client, credentials);
                let hour = Duration::from_secs(60 * 60);
                tokio::time::timeout(hour, verifying).await.is_err()
            }
        };
        assert!(waits(CLIENT, &USERS, "wrong").await);
        assert!(waits(other(3), &USERS, CHEAP).await);
        let changed = [user("cheap", hash(64, CHEAP))];
        assert!(waits(CLIENT, &changed, CHEAP).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_password_counts_even_if_nobody_waits_for_the_answer() {
        let verifier = Verifier::new();
        verify(&verifier, "cheap", CHEAP).await;
        for n in 0..TOO_OFTEN {
            let credentials = Credentials {
                name: "cheap".to_owned(),
                password: format!("guess{n}").into(),
                mechanism: Mechanism::Plain,
            };
            let mut verifying = Box::pin(verifier.verify(&USERS, CLIENT, credentials));
            assert!(futures_util::poll!(verifying.as_mut()).is_pending());
        }

        assert_eq!(
            verifier.guesses.of_pair(Client::at(CLIENT), "cheap"),
            TOO_OFTEN
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_recent_password_waits_for_guesses_from_its_address_and_for_no_turn() {
        let verifier = Verifier::new();
        verify(&verifier, "cheap", CHEAP).await;
        let _all = [
            verifier.turns.take(Client::at(other(1))).await,
            verifier.turns.take(Client::at(other(2))).await,
        ];
        let mut guessing = Vec::new();
        for n in 0..100 {
            let guess = format!("guess{n}");
            let verifier = &verifier;
            let mut verifying = Box::pin(async move { verify(verifier, "cheap", &guess).await });
            assert!(futures_util::poll!(verifying.as_mut()).is_pending());
            guessing.push(verifying);
        }

        // Without a wait, every password that is not answered at once would be known to
        // be wrong.
        let right = verify(&verifier, "cheap", CHEAP);
        let right = tokio::time::timeout(Duration::from_secs(60 * 60), right);
        let (verification, delay) = right.await.unwrap();
        assert!(matches!(verification, Verification::Accepted(_)));
        assert_eq!(delay, Duration::from_secs(16));
        // It forgets the earlier guesses.
        let (_, delay) = verify(&verifier, "cheap", CHEAP).await;
        assert_eq!(delay, Duration::ZERO);
    }

    #[test]
    fn every_name_costs_the_same_work_whatever_the_hashes_cost() {
        let users = &USERS;
        let work = |user: Option<&User>| {
            let trials = trials(users, user).unwrap();
            let decide = trials.iter().filter(|trial| trial.counts).count();
            let costs: Vec<_> = trials.iter().map(|trial| trial.hash.cost()).collect();
            (costs, decide)
        };

        let (unknown, decides) = work(None);
        assert_eq!((unknown.len(), decides), (2, 0));
        for user in users.iter() {
            assert_eq!(work(Some(user)), (unknown.clone(), 1));
        }
        assert!(trials(&[], None).is_none());
    }

    const CHEAP: &str = "Printer123Scan456";
}
