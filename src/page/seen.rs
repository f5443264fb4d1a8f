//! Since when a problem has been there, where the relay does not know it: since it was first
//! seen. The relay looks every few seconds, so that the time does not depend on visitors; after
//! a start it begins again. `admin/attention/` decides what a problem is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::admin::AdminState;
use crate::admin::Status;
use crate::admin::attention::Condition;
use crate::admin::attention::Kind;
use crate::admin::attention::LONG;
use crate::admin::attention::conditions;
use crate::clock::Timestamp;

/// How often the list of problems is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Looking takes no more than one part in so many of the time, however full the spool is.
const SHARE: u32 = 50;

/// The problems of the last look, and when each was first seen.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<BTreeMap<(Kind, Option<String>), Timestamp>>);

impl Seen {
    /// Returns everything that needs attention now, with the time when it was first seen.
    pub(super) fn look(&self, status: &Status) -> Vec<(Condition, Timestamp)> {
        self.dated(conditions(status, LONG), status.now)
    }

    /// Looks again and again.
    pub(super) async fn keep(&self, admin_state: &AdminState) -> Infallible {
        loop {
            let begun = Instant::now();
            self.look(&admin_state.live_status().await);
            tokio::time::sleep(LOOK.max(begun.elapsed() * SHARE)).await;
        }
    }

    fn dated(&self, found: Vec<Condition>, now: Timestamp) -> Vec<(Condition, Timestamp)> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        let date = |condition: Condition| {
            let key = (condition.kind, condition.subject.clone());
            // A clock that was set back leaves no time in the future.
            let at = before.get(&key).map_or(now, |at| *at.min(&now));
            known.insert(key, at);
            (condition, at)
        };
        found.into_iter().map(date).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(kind: Kind, subject: &str) -> Condition {
        let json = serde_json::json!({"kind": kind, "subject": subject, "sentence": "it is wrong"});
        serde_json::from_value(json).unwrap()
    }

    /// The times of what is found at this second.
    fn times(seen: &Seen, second: i64, found: &[Condition]) -> Vec<i64> {
        let now = Timestamp::from_millis(second * 1000);
        let dated = seen.dated(found.to_vec(), now).into_iter();
        dated.map(|(_, at)| at.millis() / 1000).collect()
    }

    #[test]
    fn a_problem_keeps_the_time_when_it_was_first_seen_until_it_is_over() {
        let seen = Seen::default();
        let anna = condition(Kind::NoToken, "anna@contoso.com");
        let bert = condition(Kind::NoToken, "bert@contoso.com");

        assert_eq!(times(&seen, 10, std::slice::from_ref(&anna)), [10]);
        assert_eq!(times(&seen, 20, &[bert.clone(), anna.clone()]), [20, 10]);
        assert_eq!(times(&seen, 30, &[bert]), [20]);
        assert_eq!(times(&seen, 40, std::slice::from_ref(&anna)), [40]);
        // The clock was set back.
        assert_eq!(times(&seen, 5, &[anna]), [5]);
    }
}
