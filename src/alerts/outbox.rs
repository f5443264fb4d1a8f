//! Alerts that wait to be sent: in order, with growing waits between the attempts.
//!
//! Times are of the running time, which a wrong clock does not change.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::notice::Notice;
use crate::clock::RunningTime;

/// The waiting alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outbox {
    waiting: VecDeque<Waiting>,
}

/// An alert and its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) notice: Notice,
    made: RunningTime,
    due: RunningTime,
    tries: u32,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is sent.
    Sent,
    /// It is tried again after this time.
    Again(Duration),
    /// It was tried for long enough.
    GivenUp,
}

/// The waits after the first, second, ... attempt; the last one repeats.
const WAITS: [u64; 8] = [2, 10, 30, 60, 120, 300, 600, 1800];
/// An alert is tried for this long.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The most alerts that wait: with more the oldest are given up.
const MOST: usize = 100;

impl Outbox {
    /// Adds an alert that is due at once. Returns what is given up for it.
    pub(super) fn push(&mut self, notice: Notice, now: RunningTime) -> Vec<Waiting> {
        self.waiting.push_back(Waiting {
            notice,
            made: now,
            due: now,
            tries: 0,
        });
        let excess = self.waiting.len().saturating_sub(MOST);
        self.waiting.drain(..excess).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The alert to send next.
    pub(super) fn first(&self) -> Option<Notice> {
        self.waiting.front().map(|first| first.notice.clone())
    }

    /// How long until the next attempt.
    pub(super) fn wait(&self, now: RunningTime) -> Option<Duration> {
        self.waiting.front().map(|first| first.due.since(now))
    }

    /// Records an attempt to send the first alert. Returns what follows, and how many
    /// attempts there were.
    pub(super) fn tried(&mut self, is_sent: bool, now: RunningTime) -> (Outcome, u32) {
        let Some(first) = self.waiting.front_mut() else {
            return (Outcome::Sent, 0);
        };
        first.tries = first.tries.saturating_add(1);
        let tries = first.tries;
        if is_sent {
            self.waiting.pop_front();
            return (Outcome::Sent, tries);
        }
        if now.since(first.made) >= GIVEN_UP_AFTER {
            self.waiting.pop_front();
            return (Outcome::GivenUp, tries);
        }
        let wait = wait_after(tries);
        first.due = now + wait;
        (Outcome::Again(wait), tries)
    }

    /// Corrects times that another spool has counted: nothing waits for longer than the
    /// longest wait.
    pub(super) fn correct(&mut self, now: RunningTime) {
        let longest = wait_after(u32::MAX);
        for waiting in &mut self.waiting {
            waiting.made = waiting.made.min(now);
            waiting.due = waiting.due.min(now + longest);
        }
    }
}

fn wait_after(tries: u32) -> Duration {
    let number = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = WAITS.get(number).or(WAITS.last());
    Duration::from_secs(wait.copied().unwrap_or(60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn notice(id: usize) -> Notice {
        Notice::test(id.to_string(), Timestamp::from_millis(0))
    }

    fn at(seconds: u64) -> RunningTime {
        RunningTime::START + Duration::from_secs(seconds)
    }

    #[test]
    fn an_alert_is_tried_with_growing_waits_for_a_day() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(notice(1), at(0)).is_empty());
        outbox.push(notice(2), at(0));
        let mut now = 0;
        let tries = loop {
            assert_eq!(outbox.first(), Some(notice(1)), "the order stays");
            match outbox.tried(false, at(now)) {
                (Outcome::Again(wait), _) => {
                    assert_eq!(outbox.wait(at(now)), Some(wait));
                    now += wait.as_secs();
                }
                (Outcome::GivenUp, count) => break count,
                (Outcome::Sent, _) => unreachable!(),
            }
        };

        assert!((24 * 3600..25 * 3600).contains(&now), "{now}");
        assert!((50..70).contains(&tries), "{tries}");
        assert_eq!(outbox.wait(at(now)), Some(Duration::ZERO));
        assert_eq!(outbox.tried(true, at(now)), (Outcome::Sent, 1));
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn the_number_of_waiting_alerts_is_bounded() {
        let mut outbox = Outbox::default();
        let dropped: usize = (0..250).map(|n| outbox.push(notice(n), at(0)).len()).sum();

        assert_eq!((outbox.len(), dropped), (MOST, 150));
        assert_eq!(outbox.first(), Some(notice(150)));
    }

    #[test]
    fn times_of_another_spool_delay_nothing_for_longer_than_a_wait() {
        let mut outbox = Outbox::default();
        outbox.push(notice(1), at(1_000_000));

        outbox.correct(at(10));

        assert_eq!(outbox.wait(at(10)), Some(Duration::from_secs(1800)));
    }
}
