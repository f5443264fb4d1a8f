//! The sign-ins that have begun on the page, and how far each is.
//!
//! The browser comes back from Microsoft without the cookie of the page (`SameSite=Strict`),
//! so its answer is found by `state` alone. It is only kept then; it takes effect when the
//! browser of whoever began the sign-in asks for it, with the cookie. So nobody can end a
//! sign-in that somebody else has begun. An answer is kept once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;
use ulid::Ulid;

use crate::admin::BrowserSignIn;
use crate::admin::NotSignedIn;
use crate::admin::Secret;
use crate::mail::Address;
use crate::mail::SpoolId;

/// How long a sign-in and its result are kept.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// More than anybody begins by hand.
const MOST: usize = 200;

/// All sign-ins of the page.
#[derive(Debug, Default)]
pub(in crate::page) struct UnderWay(Mutex<BTreeMap<Ulid, Entry>>);

#[derive(Debug)]
struct Entry {
    owner: Secret,
    state: Secret,
    begun: Instant,
    seen: Seen,
}

/// A sign-in, as its owner may see it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) account: String,
    pub(super) mailbox: Address,
    pub(super) stage: Stage,
}

/// How far a sign-in is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The user has to sign in at this address.
    Begun {
        /// At Entra.
        url: String,
    },
    /// The browser has come back with this address; it is not checked yet.
    Returned {
        /// With its query.
        address: String,
    },
    /// The relay asks Entra.
    Checking,
    /// The mailbox has not signed in.
    Failed(NotSignedIn),
    /// It has.
    Connected {
        /// Messages that waited for it.
        waiting: usize,
        /// The test message, or why there is none.
        test: Result<SpoolId, String>,
    },
}

impl UnderWay {
    /// Keeps a sign-in that has begun. Its owner is whoever knows this token.
    pub(super) fn begin(&self, owner: &str, mailbox: Address, begun: BrowserSignIn, now: Instant) {
        let mut all = self.lock();
        all.retain(|_, entry| now.duration_since(entry.begun) < LIFE);
        while all.len() >= MOST {
            drop(all.pop_first());
        }
        let entry = Entry {
            owner: Secret::of(owner),
            state: Secret::of(&begun.state),
            begun: now,
            seen: Seen {
                account: begun.account,
                mailbox,
                stage: Stage::Begun { url: begun.url },
            },
        };
        all.insert(begun.id, entry);
    }

    /// Keeps the answer with which a browser came back. Returns the ID of the sign-in that it
    /// belongs to, even if that has had an answer before.
    pub(super) fn come_back(&self, state: &str, address: String, now: Instant) -> Option<Ulid> {
        let state = Secret::of(state);
        let mut all = self.lock();
        let (id, entry) = all.iter_mut().find(|(_, entry)| entry.state == state)?;
        if now.duration_since(entry.begun) >= LIFE {
            return None;
        }
        if let Stage::Begun { .. } = entry.seen.stage {
            entry.seen.stage = Stage::Returned { address };
        }
        Some(*id)
    }

    /// Shows a sign-in to its owner. An answer is shown once: whoever gets it checks it.
    pub(super) fn look<'t>(
        &self,
        id: Ulid,
        mut tokens: impl Iterator<Item = &'t str>,
        now: Instant,
    ) -> Option<Seen> {
        let mut all = self.lock();
        let entry = all.get_mut(&id)?;
        let is_owner = tokens.any(|token| Secret::of(token) == entry.owner);
        if !is_owner || now.duration_since(entry.begun) >= LIFE {
            return None;
        }
        let seen = entry.seen.clone();
        if let Stage::Returned { .. } = seen.stage {
            entry.seen.stage = Stage::Checking;
        }
        Some(seen)
    }

    /// Keeps the result.
    pub(super) fn end(&self, id: Ulid, stage: Stage) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.seen.stage = stage;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Ulid, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(under_way: &UnderWay, owner: &str, now: Instant) -> (Ulid, String) {
        let id = Ulid::new();
        let state = format!("state of {id}");
        let sign_in = BrowserSignIn {
            id,
            account: "default".to_owned(),
            url: "https://login.example".to_owned(),
            state: state.clone(),
        };
        under_way.begin(owner, "a@x.example".parse().unwrap(), sign_in, now);
        (id, state)
    }

    fn address(seen: Option<Seen>) -> Option<String> {
        let Stage::Returned { address } = seen?.stage else {
            return None;
        };
        Some(address)
    }

    #[test]
    fn an_answer_is_kept_once_and_shown_once_to_its_owner() {
        let (under_way, now) = (UnderWay::default(), Instant::now());
        let (id, state) = begun(&under_way, "anna", now);
        let back = |state: &str, code: &str| under_way.come_back(state, code.to_owned(), now);

        assert_eq!(back("another", "x"), None);
        assert_eq!(back("", "x"), None);
        assert_eq!(back(&state, "first"), Some(id));
        assert_eq!(back(&state, "second"), Some(id), "it is the same sign-in");

        let look = |owner: &'static str| under_way.look(id, [owner].into_iter(), now);
        assert!(look("bert").is_none());
        assert_eq!(address(look("anna")).as_deref(), Some("first"));
        assert!(matches!(look("anna").unwrap().stage, Stage::Checking));
        assert_eq!(back(&state, "third"), Some(id));
        assert_eq!(address(look("anna")), None);
    }

    #[test]
    fn a_sign_in_is_forgotten_after_an_hour() {
        let (under_way, now) = (UnderWay::default(), Instant::now());
        let (id, state) = begun(&under_way, "anna", now);

        let later = now + LIFE;
        assert!(under_way.look(id, ["anna"].into_iter(), later).is_none());
        assert_eq!(under_way.come_back(&state, String::new(), later), None);
    }

    #[test]
    fn only_so_many_sign_ins_are_kept() {
        let (under_way, now) = (UnderWay::default(), Instant::now());
        for _ in 0..3 * MOST {
            begun(&under_way, "anna", now);
        }

        assert_eq!(under_way.lock().len(), MOST);
    }
}
