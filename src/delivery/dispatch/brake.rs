//! The backoff of a mailbox or an account in trouble: until when nothing goes, and
//! what was told of it. Pure; the time comes in, from the monotonic clock: a wall
//! clock that is set makes no wait longer or shorter.

use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::outcome::Cause;
use crate::delivery::outcome::schedule;
use crate::mail::SpoolId;

/// Trouble in a row.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Brake {
    /// 0 is no trouble.
    pub(in crate::delivery) failures: u32,
    pub(in crate::delivery) until: Option<Instant>,
    /// Of that, what Graph or Entra asked for.
    pub(in crate::delivery) asked: Option<Instant>,
    /// What was told of a configuration fault.
    pub(in crate::delivery) told: Option<String>,
    /// Of the last failure.
    pub(in crate::delivery) cause: Option<Cause>,
    /// The message that failed last: the probe is another one, if there is one.
    pub(in crate::delivery) last: Option<SpoolId>,
    /// An operator waits for the next probe.
    pub(in crate::delivery) eased: bool,
}

/// A failure that makes its mailbox or account wait.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Failed {
    pub(in crate::delivery) id: SpoolId,
    pub(in crate::delivery) cause: Cause,
    /// As the answer says.
    pub(in crate::delivery) wait: Option<Duration>,
}

/// What a configuration fault's code or words have become to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum News {
    /// It was told before.
    Known,
    /// It is to be told.
    New,
}

impl Brake {
    pub(in crate::delivery) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    pub(in crate::delivery) fn engage(&mut self, now: Instant, failed: Failed) {
        let Failed { id, cause, wait } = failed;
        self.last = Some(id);
        self.eased = false;
        // Attempts that were under way together are one failure.
        if !self.holds(now) {
            self.failures += 1;
        }
        self.cause = Some(cause);
        let until = now + schedule::brake(cause, wait, self.failures - 1);
        self.until = self.until.max(Some(until));
        let asked = match cause {
            // However long it is, it was Graph who said to go slower.
            Cause::Throttled => Some(until),
            Cause::Unavailable | Cause::Configuration(_) => wait.map(|wait| now + wait),
        };
        self.asked = self.asked.max(asked);
    }

    /// Whether the next probe takes what came last: what waits for the longest may
    /// be many messages that all fail. Every other probe does. It makes no attempt
    /// more, so it asks no more of a broken way than the others. Who is throttled is
    /// so whatever the message says.
    pub(in crate::delivery) fn probes_newest(&self) -> bool {
        let is_odd = self.failures % 2 == 1;
        self.eased || is_odd && self.cause != Some(Cause::Throttled)
    }

    /// Leaves of it what Graph or Entra asked for.
    pub(in crate::delivery) fn ease(&mut self) {
        self.until = self.asked;
        self.eased = self.failures > 0;
    }

    /// Whether a fault that was told is over. What Graph said about when to come
    /// back stays in force although another request came through.
    pub(in crate::delivery) fn release(&mut self, now: Instant) -> bool {
        if self.holds(now) {
            return false;
        }
        self.failures = 0;
        self.last = None;
        self.eased = false;
        self.until = None;
        self.asked = None;
        self.told.take().is_some()
    }

    pub(in crate::delivery) fn tell(&mut self, what: &str) -> News {
        if self.told.as_deref() == Some(what) {
            return News::Known;
        }
        self.told = Some(what.to_owned());
        News::New
    }
}
