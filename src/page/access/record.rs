//! What the audit list says about a request. The guard records every `POST`, so no page can
//! forget it: its route says what it does (`change.rs`), and the handler adds on what, and what
//! came of it ([`Notes`](crate::page::visitor::Notes)). What strangers try is recorded up to
//! [`MOST_WRONG`] times an hour.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;

use crate::admin::AuditAct;
use crate::admin::AuditResult;
use crate::page::Page;
use crate::page::visitor::Visitor;

/// Wrong log-ins that are recorded in an hour, so that nobody can push everything else out of
/// the list; the log has the others.
const MOST_WRONG: u32 = 100;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The name of somebody whose log-in was wrong.
const NOBODY: &str = "(not logged in)";

impl Page {
    /// Records a request of this visitor that was answered so, if there is anything to record.
    pub(in crate::page) async fn record(&self, visitor: &Visitor, status: StatusCode) {
        let Some(act) = visitor.act(status) else {
            return;
        };
        if act.user != NOBODY || self.access.wrong.counts(Instant::now()) {
            self.admin_state.audit.record(act).await;
        }
    }
}

impl Visitor {
    /// The entry about a request that was answered so, if there is one.
    pub(in crate::page) fn act(&self, status: StatusCode) -> Option<AuditAct> {
        let notes = self.notes.get();
        let (user, role) = match (&notes.who, self.session(), &self.guest) {
            (Some((name, role)), _, _) => (name.clone(), Some(*role)),
            (None, Some(session), _) => (session.name.clone(), Some(session.role)),
            (None, None, Some(guest)) => (format!("guest for {}", guest.mailbox), None),
            (None, None, None) => (NOBODY.to_owned(), None),
        };
        let (result, reason) = notes.result.unwrap_or_else(|| {
            let reason = match status {
                StatusCode::SERVICE_UNAVAILABLE => "not answered in time: it may still be done",
                _ => "",
            };
            (AuditResult::of_status(status), reason.to_owned())
        });
        Some(AuditAct {
            user,
            role: role.map(|role| role.name().to_owned()),
            client: Some(self.client),
            // Without one, the request has reached no route, or only asked a question.
            action: notes.action?.word().to_owned(),
            about: notes.about,
            result,
            reason,
        })
    }
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
