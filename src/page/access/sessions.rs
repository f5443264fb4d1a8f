//! Who is logged in. A session ends by a log-out, when nothing was asked for
//! [`LONGEST_IDLE`], after [`LONGEST`], and when the relay stops. What is kept of its
//! secret is a digest.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::admin::PageRole as Role;
use crate::admin::Secret;
use crate::admin::secret;

/// A session ends after this time without a request that a person made.
const LONGEST_IDLE: Duration = Duration::from_secs(60 * 60);
/// A session ends after this time in any case.
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at once; another one ends the one that was idle for longest.
const MOST: usize = 100;

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::page) struct Session {
    /// Who it is, for the audit list.
    pub(in crate::page) name: String,
    /// What the session may do.
    pub(in crate::page) role: Role,
    /// What every change must name.
    pub(in crate::page) csrf: String,
}

/// All sessions; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<Mutex<HashMap<Secret, Kept>>>);

#[derive(Debug)]
struct Kept {
    session: Session,
    begun: Instant,
    used: Instant,
}

/// Whether a request shows that somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Somebody asked.
    Person,
    /// The page updates itself.
    Page,
}

impl Kept {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) >= LONGEST_IDLE || now.duration_since(self.begun) >= LONGEST
    }
}

impl Sessions {
    /// Begins a session, and returns the secret of its cookie.
    pub(super) fn begin(
        &self,
        name: &str,
        role: Role,
        now: Instant,
    ) -> Result<String, ring::error::Unspecified> {
        let (cookie, csrf) = (secret()?, secret()?);
        let session = Session {
            name: name.to_owned(),
            role,
            csrf,
        };
        let kept = Kept {
            session,
            begun: now,
            used: now,
        };
        let mut all = self.lock();
        all.retain(|_, kept| !kept.is_over(now));
        if all.len() >= MOST {
            let idle = all.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(idle) = idle.map(|(secret, _)| *secret) {
                all.remove(&idle);
            }
        }
        all.insert(Secret::of(&cookie), kept);
        Ok(cookie)
    }

    /// The session of a cookie, if it has not ended.
    pub(super) fn find(&self, cookie: &str, by: By, now: Instant) -> Option<Session> {
        let mut all = self.lock();
        let secret = Secret::of(cookie);
        let kept = all.get_mut(&secret)?;
        if kept.is_over(now) {
            all.remove(&secret);
            return None;
        }
        if by == By::Person {
            kept.used = now;
        }
        Some(kept.session.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, cookie: &str) {
        self.lock().remove(&Secret::of(cookie));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Secret, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_ends_when_nobody_uses_it_even_if_the_page_updates_itself() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.begin("anna", Role::Viewer, now).unwrap();
        let at = |by, after| sessions.find(&cookie, by, now + after).is_some();

        assert!(at(By::Page, LONGEST_IDLE - SECOND));
        assert!(!at(By::Page, LONGEST_IDLE));
        assert!(!at(By::Person, SECOND), "it has ended");
    }

    #[test]
    fn a_session_that_is_used_ends_after_the_longest_time() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.begin("anna", Role::Viewer, now).unwrap();

        let mut after = Duration::ZERO;
        while after < LONGEST {
            let found = sessions.find(&cookie, By::Person, now + after);
            assert!(found.is_some(), "{after:?}");
            after += LONGEST_IDLE / 2;
        }
        assert!(sessions.find(&cookie, By::Person, now + LONGEST).is_none());
    }

    #[test]
    fn sessions_are_limited_and_the_one_idle_for_longest_makes_room() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let begin = |n: u32| sessions.begin("anna", Role::Viewer, now + SECOND * n);
        let cookies: Vec<_> = (0..100).map(|n| begin(n).unwrap()).collect();
        let later = now + SECOND * 200;
        assert!(sessions.find(&cookies[0], By::Person, later).is_some());

        let last = begin(201).unwrap();

        let is_there = |cookie: &str| sessions.find(cookie, By::Page, later).is_some();
        assert!(is_there(&last) && is_there(&cookies[0]) && is_there(&cookies[2]));
        assert!(!is_there(&cookies[1]));
    }
}
