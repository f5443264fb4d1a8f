//! How much mail came and went in each minute of the last week.
//!
//! The numbers are those of the metrics, read every few seconds and at each look. Those from
//! before the start of the relay are read once from the history of the spool. Until then the
//! page says that it counts from the start on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::metrics::Metrics;
use crate::spool::PastMinute;
use crate::spool::PastMinutes;
use crate::spool::Spool;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::page) struct Tally {
    pub(in crate::page) accepted: u64,
    pub(in crate::page) delivered: u64,
    pub(in crate::page) deferred: u64,
    pub(in crate::page) failed: u64,
    pub(in crate::page) refused: u64,
}

impl Tally {
    fn of(metrics: &Metrics) -> Self {
        Self {
            accepted: metrics.messages_accepted.get(),
            delivered: metrics.messages_delivered.get(),
            deferred: metrics.messages_deferred.get(),
            failed: metrics.messages_failed.get(),
            refused: metrics.messages_refused() + metrics.recipients_refused.get(),
        }
    }

    fn with(self, other: Self, each: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            accepted: each(self.accepted, other.accepted),
            delivered: each(self.delivered, other.delivered),
            deferred: each(self.deferred, other.deferred),
            failed: each(self.failed, other.failed),
            refused: each(self.refused, other.refused),
        }
    }
}

impl From<PastMinute> for Tally {
    fn from(past: PastMinute) -> Self {
        let PastMinute {
            accepted,
            delivered,
            deferred,
            failed,
            refused,
        } = past;
        Self {
            accepted,
            delivered,
            deferred,
            failed,
            refused,
        }
    }
}

/// A span of time that is shown, and the time of each bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::page) enum Span {
    /// An hour, in bars of two minutes.
    Hour,
    /// A day, in bars of an hour.
    Day,
    /// A week, in bars of six hours.
    Week,
}

impl Span {
    /// Bars, and the minutes of each.
    fn shape(self) -> (usize, u64) {
        match self {
            Self::Hour => (30, 2),
            Self::Day => (24, 60),
            Self::Week => (28, 6 * 60),
        }
    }
}

/// The counts of a relay.
#[derive(Debug)]
pub(in crate::page) struct Counts {
    metrics: Metrics,
    begun: Instant,
    /// The time of the wall clock then.
    begun_at: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the metrics said last.
    last: Tally,
    /// Whether what was before the start is known.
    knows_past: bool,
    /// Minutes in which something happened, the oldest first. The start is minute
    /// [`MINUTES`].
    minutes: VecDeque<(u64, Tally)>,
}

/// What is remembered.
const MINUTES: u64 = 7 * 24 * 60;
/// How often the metrics are read: minutes are exact to this.
const EVERY: Duration = Duration::from_secs(5);

impl Counts {
    pub(in crate::page) fn new(metrics: Metrics, now: Timestamp) -> Self {
        Self {
            metrics,
            begun_at: now,
            begun: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// Reads what was before the start, and then the metrics for ever.
    pub(in crate::page) async fn keep(&self, spool: &Spool) -> Infallible {
        let week = Duration::from_secs(MINUTES * 60);
        let past = spool.past(self.begun_at - week, self.begun_at);
        // A spool that cannot be read is what needs attention, and not these numbers.
        if let Ok(past) = past.await {
            self.remember(&past);
        }
        loop {
            self.read(Instant::now());
            tokio::time::sleep(EVERY).await;
        }
    }

    /// How long the relay has counted, if it does not know what was before.
    pub(in crate::page) fn counted_for(&self) -> Option<Duration> {
        let knows_past = self.lock().knows_past;
        (!knows_past).then(|| self.begun.elapsed())
    }

    /// Adds what was before the start.
    fn remember(&self, past: &PastMinutes) {
        let begun = self.begun_at.millis().div_euclid(60_000);
        let mut state = self.lock();
        for (minute, it) in past.iter().rev() {
            let ago = u64::try_from(begun - minute).unwrap_or(0);
            let Some(minute) = MINUTES.checked_sub(ago) else {
                break;
            };
            state.minutes.push_front((minute, Tally::from(*it)));
        }
        state.knows_past = true;
    }

    /// The bars of a span until now, the oldest first.
    pub(in crate::page) fn bars(&self, span: Span) -> Vec<Tally> {
        let now = Instant::now();
        self.read(now);
        let (bars, minutes) = span.shape();
        let mut tallies = vec![Tally::default(); bars];
        let this = self.minute(now);
        for (minute, tally) in &self.lock().minutes {
            let back = this.saturating_sub(*minute) / minutes;
            let place = usize::try_from(back)
                .ok()
                .and_then(|back| bars.checked_sub(back + 1));
            if let Some(bar) = place.and_then(|place| tallies.get_mut(place)) {
                *bar = bar.with(*tally, u64::saturating_add);
            }
        }
        tallies
    }

    fn minute(&self, now: Instant) -> u64 {
        MINUTES + now.saturating_duration_since(self.begun).as_secs() / 60
    }

    fn read(&self, now: Instant) {
        let minute = self.minute(now);
        let mut state = self.lock();
        let tally = Tally::of(&self.metrics);
        let grown = tally.with(state.last, u64::saturating_sub);
        state.last = tally;
        if grown == Tally::default() {
            return;
        }
        match state.minutes.back_mut() {
            Some((last, tally)) if *last == minute => {
                *tally = tally.with(grown, u64::saturating_add);
            }
            _ => state.minutes.push_back((minute, grown)),
        }
        let oldest = minute.saturating_sub(MINUTES);
        while state.minutes.front().is_some_and(|(at, _)| *at < oldest) {
            state.minutes.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bars_show_when_something_happened_and_for_a_week() {
        let metrics = Metrics::default();
        let counts = Counts::new(metrics.clone(), Timestamp::from_millis(0));
        metrics.messages_accepted.inc_by(3);
        counts.read(Instant::now());
        tokio::time::advance(Duration::from_secs(10 * 60)).await;
        metrics.messages_accepted.inc();
        metrics.messages_failed.inc();

        let accepted = |span| -> Vec<(usize, u64)> {
            let bars = counts.bars(span).into_iter().map(|bar| bar.accepted);
            bars.enumerate().filter(|(_, count)| *count > 0).collect()
        };
        assert_eq!(accepted(Span::Hour), [(24, 3), (29, 1)]);
        assert_eq!(accepted(Span::Day), [(23, 4)]);
        assert_eq!(accepted(Span::Week), [(27, 4)]);
        assert_eq!(counts.bars(Span::Hour)[29].failed, 1);

        tokio::time::advance(Duration::from_secs(60 * 60)).await;
        assert_eq!(accepted(Span::Hour), []);
        tokio::time::advance(Duration::from_secs(MINUTES * 60)).await;
        metrics.messages_delivered.inc();
        assert_eq!(accepted(Span::Week), []);
        assert_eq!(counts.lock().minutes.len(), 1);
    }
    #[tokio::test(start_paused = true)]
    async fn bars_have_what_happened_before_the_start() {
        const MINUTE: i64 = 60_000;
        let begun = Timestamp::from_millis(100_000 * MINUTE + 1);
        let counts = Counts::new(Metrics::default(), begun);
        assert!(counts.counted_for().is_some());
        let past = [(100_000, 1), (99_998, 2), (99_900, 3), (80_000, 4)];
        let minute = |accepted| PastMinute {
            accepted,
            ..PastMinute::default()
        };
        let past = past.map(|(at, accepted)| (at, minute(accepted)));

        counts.remember(&past.into());
        tokio::time::advance(Duration::from_secs(2 * 60)).await;

        let accepted = |span| -> Vec<(usize, u64)> {
            let bars = counts.bars(span).into_iter().map(|bar| bar.accepted);
            bars.enumerate().filter(|(_, count)| *count > 0).collect()
        };
        assert_eq!(accepted(Span::Hour), [(27, 2), (28, 1)]);
        assert_eq!(accepted(Span::Day), [(22, 3), (23, 3)]);
        assert_eq!(counts.counted_for(), None);
    }
}
