//! The brake of a mailbox or an account in trouble: until when nothing goes, and
//! what was told of it. Pure; the time comes in.

use std::time::Duration;

use super::Braked;
use super::outcome::Cause;
use super::schedule;
use crate::clock::Timestamp;
use crate::mail::Address;

/// Trouble in a row.
#[derive(Debug, Default)]
pub(super) struct Brake {
    /// 0 is no trouble.
    pub(super) failures: u32,
    pub(super) until: Option<Timestamp>,
    /// Of that, what Graph or Entra asked for.
    pub(super) asked: Option<Timestamp>,
    /// What was told of a configuration fault.
    pub(super) told: Option<String>,
    /// Of the last failure.
    pub(super) cause: Option<Cause>,
}

/// What a configuration fault's code or words have become to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was told before.
    Known,
    /// It is to be told.
    New,
}

impl Brake {
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    pub(super) fn engage(&mut self, now: Timestamp, cause: Cause, wait: Option<Duration>) {
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

    /// How it stands, for whoever asks.
    pub(super) fn view(&self, lane: (&str, Option<&Address>), now: Timestamp) -> Option<Braked> {
        let (account, mailbox) = lane;
        let until = self.until.filter(|_| self.failures > 0)?;
        let cause = match self.cause? {
            Cause::Throttled => "throttled",
            Cause::Unavailable => "unavailable",
            Cause::Configuration(_) => "configuration",
        };
        Some(Braked {
            account: account.to_owned(),
            mailbox: mailbox.cloned(),
            until: until.max(now),
            cause: cause.to_owned(),
            told: self.told.clone(),
        })
    }

    /// Leaves of it what Graph or Entra asked for.
    pub(super) fn ease(&mut self) {
        self.until = self.asked;
    }

    /// Whether a fault that was told is over. What Graph said about when to come
    /// back stays in force although another request came through.
    pub(super) fn release(&mut self, now: Timestamp) -> bool {
        if self.holds(now) {
            return false;
        }
        self.failures = 0;
        self.until = None;
        self.asked = None;
        self.told.take().is_some()
    }

    pub(super) fn tell(&mut self, what: &str) -> News {
        if self.told.as_deref() == Some(what) {
            return News::Known;
        }
        self.told = Some(what.to_owned());
        News::New
    }
}
