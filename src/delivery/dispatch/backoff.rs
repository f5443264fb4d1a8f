//! The backoff of a mailbox or an account after failures: until when nothing is sent, and
//! what was logged about it. Without I/O; the caller passes the time of the monotonic
//! clock, so that setting the wall clock changes no wait.

use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::outcome::Cause;
use crate::delivery::outcome::schedule;
use crate::mail::SpoolId;

/// Failures in a row.
#[derive(Debug, Default)]
pub(in crate::delivery) struct BackoffState {
    /// 0 means no backoff.
    pub(in crate::delivery) failures: u32,
    pub(in crate::delivery) until: Option<Instant>,
    /// The part of the wait that Graph or Entra asked for.
    pub(in crate::delivery) asked: Option<Instant>,
    /// What was logged about a configuration fault.
    pub(in crate::delivery) reported: Option<String>,
    /// The time of the last failure.
    pub(in crate::delivery) cause: Option<Cause>,
    /// The message that failed last. The probe is another message if there is one.
    pub(in crate::delivery) last: Option<SpoolId>,
    /// An operator waits for the next probe.
    pub(in crate::delivery) eased: bool,
}

/// A failure that makes its mailbox or account back off.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Failed {
    pub(in crate::delivery) id: SpoolId,
    pub(in crate::delivery) cause: Cause,
    /// The wait that the answer asks for.
    pub(in crate::delivery) wait: Option<Duration>,
}

/// Whether a configuration fault's code or text is new to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Notice {
    /// It was logged before.
    Known,
    /// It has to be logged.
    New,
}

impl BackoffState {
    pub(in crate::delivery) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    pub(in crate::delivery) fn engage(&mut self, now: Instant, failed: Failed) {
        let Failed { id, cause, wait } = failed;
        self.last = Some(id);
        self.eased = false;
        // Attempts that were under way together count as one failure.
        if !self.holds(now) {
            self.failures += 1;
        }
        self.cause = Some(cause);
        let until = now + schedule::backoff(cause, wait, self.failures - 1);
        self.until = self.until.max(Some(until));
        let asked = match cause {
            // However long it is, Graph asked for it.
            Cause::Throttled => Some(until),
            Cause::Unavailable | Cause::Configuration(_) => wait.map(|wait| now + wait),
        };
        self.asked = self.asked.max(asked);
    }

    /// Whether the next probe takes the newest message. The oldest may be many messages
    /// that all fail, so every second probe takes the newest. This adds no attempt, so a
    /// failing service gets no more requests. After throttling it is not done, because
    /// throttling does not depend on the message.
    pub(in crate::delivery) fn probes_newest(&self) -> bool {
        let is_odd = self.failures % 2 == 1;
        self.eased || is_odd && self.cause != Some(Cause::Throttled)
    }

    /// Keeps only the part of the wait that Graph or Entra asked for.
    pub(in crate::delivery) fn ease(&mut self) {
        self.until = self.asked;
        self.eased = self.failures > 0;
    }

    /// Ends the backoff; returns whether a fault that was logged is over. A time that
    /// Graph gave stays in force although another request succeeded.
    pub(in crate::delivery) fn release(&mut self, now: Instant) -> bool {
        if self.holds(now) {
            return false;
        }
        self.failures = 0;
        self.last = None;
        self.eased = false;
        self.until = None;
        self.asked = None;
        self.reported.take().is_some()
    }

    pub(in crate::delivery) fn tell(&mut self, what: &str) -> Notice {
        if self.reported.as_deref() == Some(what) {
            return Notice::Known;
        }
        self.reported = Some(what.to_owned());
        Notice::New
    }
}
