//! What the audit list says about a request. The guard records every `POST` of somebody who
//! is logged in, so no page can forget it; the handler adds the words ([`Notes`]). A log-in
//! is recorded too, and so are wrong ones, up to [`MOST_WRONG`] an hour: nobody can push
//! everything else out of the list.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;

use crate::admin::AuditAct;
use crate::admin::AuditResult;
use crate::page::visitor::Visitor;

/// Wrong log-ins that are recorded in an hour; the log has the others.
const MOST_WRONG: u32 = 100;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The name of somebody whose log-in was wrong.
const NOBODY: &str = "(not logged in)";

/// The entry about a request of this visitor that was answered so, if there is one.
pub(super) fn entry(visitor: &Visitor, path: &str, status: StatusCode) -> Option<AuditAct> {
    let notes = visitor.notes.get();
    let guest = visitor.guest.as_ref();
    let who = match (&notes.who, visitor.session()) {
        (Some((name, role)), _) => (name.clone(), Some(role.name().to_owned())),
        (None, Some(session)) => (session.name.clone(), Some(session.role.name().to_owned())),
        (None, None) if guest.is_some() => (
            guest.map_or_else(String::new, |it| format!("guest for {}", it.mailbox)),
            None,
        ),
        (None, None) if notes.action.is_some() => (NOBODY.to_owned(), None),
        (None, None) => return None,
    };
    let result = AuditResult::of_status(status);
    if notes.is_question && result == AuditResult::Done {
        return None;
    }
    let (user, role) = who;
    Some(AuditAct {
        user,
        role,
        client: Some(visitor.client),
        action: notes.action.unwrap_or_else(|| path.to_owned()),
        about: notes.about,
        result,
    })
}

/// How many wrong log-ins were recorded within the hour.
#[derive(Debug)]
pub(super) struct Wrong(Mutex<(Instant, u32)>);

impl Default for Wrong {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }
}

impl Wrong {
    /// Whether another one is recorded.
    pub(super) fn counts(&self, now: Instant) -> bool {
        let mut hour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(hour.0) >= HOUR {
            *hour = (now, 0);
        }
        hour.1 = hour.1.saturating_add(1);
        hour.1 <= MOST_WRONG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_log_ins_are_recorded_up_to_a_number_in_an_hour() {
        let (wrong, now) = (Wrong::default(), Instant::now());
        for _ in 0..MOST_WRONG {
            assert!(wrong.counts(now));
        }

        assert!(!wrong.counts(now));
        assert!(wrong.counts(now + HOUR));
    }
}
