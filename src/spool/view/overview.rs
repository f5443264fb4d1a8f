//! The state of the queue as a whole.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::params_from_iter;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::spool::Filter;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::columns;
use crate::spool::operator::condition::Condition;
use crate::spool::state::State;
use crate::spool::view;

/// The queue in a few numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Overview {
    /// Unfinished entries, by state.
    pub states: BTreeMap<State, u64>,
    /// When the oldest entry that waits was accepted.
    pub oldest_waiting: Option<Timestamp>,
    /// How long it has waited.
    pub oldest_waiting_ms: Option<u64>,
    /// How long the oldest entry that is not paused has waited, or the time since something
    /// was resumed if that is shorter.
    #[serde(default)]
    pub oldest_unpaused_ms: Option<u64>,
    /// Waiting entries that fail while others get through.
    #[serde(default)]
    pub own_trouble: u64,
    /// Waiting entries whose attempts have failed more than once; in the status without those
    /// whose mailbox or account has a problem that is reported by itself, unless they fail while
    /// others get through.
    #[serde(default)]
    pub failing: u64,
    /// Why the oldest of them waits.
    #[serde(default)]
    pub failing_because: Option<String>,
    /// The same by destination, that of the oldest entry first.
    #[serde(skip)]
    pub(crate) failing_by: Vec<Failing>,
    /// Waiting entries that no account sends.
    #[serde(default)]
    pub without_account: u64,
    /// The last entries that have failed, the newest first.
    pub failures: Vec<Failure>,
}

/// Waiting entries of one destination that fail.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    destination: Destination,
    /// Whether they fail while others get through: no problem of the destination explains that.
    is_own: bool,
    count: u64,
    /// Why the oldest of them waits.
    because: Option<String>,
}

/// How much entries are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many.
    pub messages: u64,
    /// Bytes of their contents.
    pub bytes: u64,
}

/// An entry that has failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Its id.
    pub id: SpoolId,
    /// When it failed.
    pub ended_at: Option<Timestamp>,
    /// How long ago that was.
    pub ended_ago_ms: Option<u64>,
    /// The reason.
    pub reason: Option<String>,
    /// Whether it is an alert of the relay itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_alert: bool,
}

/// The condition for [`Overview::failing`]. One failed attempt is nothing to report yet.
const FAILING: &str = "(reason IS NOT NULL AND attempts > 1)";
/// As many as fit on a screen with everything else.
const FAILURES: u32 = 5;

impl Overview {
    /// How many entries are in this state.
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// Does not count as failing what fails because of a problem of its destination.
    pub fn leave_out_failing(&mut self, is_explained: impl Fn(&Destination) -> bool) {
        self.failing_by
            .retain(|it| it.is_own || !is_explained(&it.destination));
        self.failing = self.failing_by.iter().map(|it| it.count).sum();
        let oldest = self.failing_by.first();
        self.failing_because = oldest.and_then(|it| it.because.clone());
    }
}

impl Spool {
    /// Adds up what [`Spool::search`] finds over all its pages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn sum(&self, filter: Option<Filter>) -> Result<Sum, SpoolError> {
        let now = self.moment();
        self.read(move |db| {
            let condition = Condition::of(filter.as_ref(), &State::OPEN, now.running);
            let mut statement = db.prepare_cached(&format!(
                "SELECT count(*), coalesce(sum(size), 0) FROM entry WHERE {}",
                condition.sql
            ))?;
            statement.query_row(params_from_iter(condition.values), |row| {
                Ok(Sum {
                    messages: columns::unsigned(row, 0)?,
                    bytes: columns::unsigned(row, 1)?,
                })
            })
        })
        .await
    }

    /// Returns the state of the queue.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn overview(&self) -> Result<Overview, SpoolError> {
        let (now, pauses) = (self.moment(), self.pauses());
        self.read(move |db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT state, count(*), min(accepted_running), sum(own_trouble),
                 sum(account IS NULL), sum({FAILING}) FROM entry
                 WHERE state NOT IN ('delivered', 'dropped') GROUP BY state",
            ))?;
            let mut overview = Overview::default();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let state: State = row.get(0)?;
                if state == State::Waiting {
                    let accepted = RunningTime::from_millis(row.get(2)?);
                    overview.oldest_waiting = Some(now.wall(accepted));
                    overview.own_trouble = columns::unsigned(row, 3)?;
                    overview.without_account = columns::unsigned(row, 4)?;
                    overview.failing = columns::unsigned(row, 5)?;
                    overview.oldest_waiting_ms = Some(view::millis_since(now, accepted));
                    let unpaused = pauses.oldest_unpaused(db, accepted)?;
                    overview.oldest_unpaused_ms = unpaused.map(|it| view::millis_since(now, it));
                }
                overview.states.insert(state, columns::unsigned(row, 1)?);
            }
            if overview.failing > 0 {
                overview.failing_by = failing_by(db)?;
                overview.leave_out_failing(|_| false);
            }
            let mut statement = db.prepare_cached(
                "SELECT id, ended_at, reason, ended_running, about FROM entry WHERE state = 'failed'
                 AND ended_at IS NOT NULL
                 ORDER BY ended_running DESC, ended_at DESC LIMIT ?1",
            )?;
            let alert = Some(SpoolId::ALERT.to_string());
            let failures = statement.query_map([FAILURES], |row| {
                Ok(Failure {
                    id: columns::id(row, 0)?,
                    ended_at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis),
                    reason: row.get(2)?,
                    is_alert: row.get::<_, Option<String>>(4)? == alert,
                    ended_ago_ms: row
                        .get::<_, Option<i64>>(3)?
                        .map(|at| view::millis_since(now, RunningTime::from_millis(at))),
                })
            })?;
            overview.failures = failures.collect::<rusqlite::Result<_>>()?;
            Ok(overview)
        })
        .await
    }
}

/// Those that fail. What no account sends is counted by itself.
fn failing_by(db: &Connection) -> rusqlite::Result<Vec<Failing>> {
    // Both conditions on the state: the second one is that of the index. The reason is that of the
    // row with the smallest ID.
    let mut statement = db.prepare_cached(&format!(
        "SELECT account, mailbox, count(*), reason, min(id), own_trouble FROM entry
         WHERE state = 'waiting' AND state NOT IN ('delivered', 'dropped') AND {FAILING}
         GROUP BY account, mailbox, own_trouble ORDER BY min(id)",
    ))?;
    let mut rows = statement.query([])?;
    let mut failing = Vec::new();
    while let Some(row) = rows.next()? {
        let account: Option<String> = row.get(0)?;
        let mailbox: Option<Address> = columns::optional(row, 1).unwrap_or_default();
        if let (Some(account), Some(mailbox)) = (account, mailbox) {
            failing.push(Failing {
                destination: Destination { account, mailbox },
                is_own: row.get(5)?,
                count: columns::unsigned(row, 2)?,
                because: row.get(3)?,
            });
        }
    }
    Ok(failing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_messages_whose_mailbox_has_a_problem_are_left_out() {
        let failing = |mailbox: &str, is_own, count, because: &str| Failing {
            is_own,
            destination: Destination {
                account: "contoso".to_owned(),
                mailbox: mailbox.parse().unwrap(),
            },
            count,
            because: Some(because.to_owned()),
        };
        let mut overview = Overview {
            failing: 6,
            failing_by: vec![
                failing("a@contoso.com", false, 3, "throttled"),
                failing("b@contoso.com", false, 2, "refused"),
                failing("a@contoso.com", true, 1, "too large"),
            ],
            ..Overview::default()
        };

        overview.leave_out_failing(|it| it.mailbox.as_str() == "a@contoso.com");

        assert_eq!(overview.failing, 3);
        assert_eq!(overview.failing_because.as_deref(), Some("refused"));
    }
}
