//! So much within so long: one of a mailbox's limits by time. Pure; the time
//! comes in.
//!
//! The window slides in [`SLICES`] steps. What is spent counts until the end of
//! the slice that it was spent in has left the span, so in no span of that
//! length is ever more spent than the limit allows, and a window that says that
//! there is no room is wrong by at most one slice, under one per cent of the
//! rate. A window holds one number for each slice in which something was spent:
//! its memory has a bound, whatever is spent.
//!
//! What is larger than the whole limit goes when nothing else is in the window;
//! it would never go otherwise.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;

/// One amount per span.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// `None` is any amount.
    limit: Option<u64>,
    slice: i64,
    /// The slice, counted from 1970, and what was spent in it; oldest first.
    spent: VecDeque<(i64, u64)>,
    sum: u64,
}

/// Steps of a window: of a minute half a second, of a day twelve minutes.
const SLICES: i64 = 120;

impl Window {
    /// A window in which nothing was spent.
    pub(super) fn new(limit: Option<u64>, span: Duration) -> Self {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self {
            limit,
            slice: (span / SLICES).max(1),
            spent: VecDeque::new(),
            sum: 0,
        }
    }

    /// The limit; without one the largest number.
    pub(super) fn limit(&self) -> u64 {
        self.limit.unwrap_or(u64::MAX)
    }

    /// How much may be spent now.
    pub(super) fn room(&mut self, now: Timestamp) -> u64 {
        self.slide(now);
        self.limit().saturating_sub(self.sum)
    }

    /// Whether so much may be spent now.
    pub(super) fn fits(&mut self, now: Timestamp, amount: u64) -> bool {
        self.room(now) >= amount.min(self.limit())
    }

    /// Spends, whether there is room or not: what has happened counts.
    pub(super) fn spend(&mut self, at: Timestamp, amount: u64) {
        if self.limit.is_none() || amount == 0 {
            return;
        }
        let slice = self.slice_of(at);
        // Nearly always the newest, or one of the last few.
        let behind = self.spent.iter().rev();
        let newer = behind.take_while(|(known, _)| *known > slice).count();
        let place = self.spent.len() - newer;
        match place.checked_sub(1).and_then(|at| self.spent.get_mut(at)) {
            Some((known, sum)) if *known == slice => *sum = sum.saturating_add(amount),
            Some(_) | None => self.spent.insert(place, (slice, amount)),
        }
        self.sum = self.sum.saturating_add(amount);
    }

    /// Takes back what was spent at a time, and did not happen after all.
    pub(super) fn give_back(&mut self, at: Timestamp, amount: u64) {
        let slice = self.slice_of(at);
        if let Ok(place) = self.spent.binary_search_by_key(&slice, |(known, _)| *known)
            && let Some((_, sum)) = self.spent.get_mut(place)
        {
            let back = amount.min(*sum);
            *sum -= back;
            self.sum = self.sum.saturating_sub(back);
        }
    }

    /// When so much may be spent, if nothing else is until then.
    pub(super) fn free_at(&mut self, now: Timestamp, amount: u64) -> Timestamp {
        let mut missing = amount.min(self.limit()).saturating_sub(self.room(now));
        let mut at = now;
        for (slice, sum) in &self.spent {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(*sum);
            at = Timestamp::from_millis((slice + SLICES + 1).saturating_mul(self.slice));
        }
        at
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&mut self, now: Timestamp) -> bool {
        self.slide(now);
        self.sum == 0
    }

    fn slide(&mut self, now: Timestamp) {
        let current = self.slice_of(now);
        while let Some((slice, sum)) = self.spent.front().copied()
            && slice < current - SLICES
        {
            self.spent.pop_front();
            self.sum = self.sum.saturating_sub(sum);
        }
        // After the clock was put back: what was spent was spent by now.
        let mut ahead = 0_u64;
        while let Some((slice, sum)) = self.spent.back().copied()
            && slice > current
        {
            self.spent.pop_back();
            self.sum = self.sum.saturating_sub(sum);
            ahead = ahead.saturating_add(sum);
        }
        self.spend(now, ahead);
    }

    fn slice_of(&self, at: Timestamp) -> i64 {
        at.millis().div_euclid(self.slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_was_spent_is_free_again_after_the_span() {
        let mut window = Window::new(Some(10), MINUTE);
        window.spend(at(0), 6);
        window.spend(at(30_000), 4);

        assert!(!window.fits(at(59_999), 1));
        assert_eq!(window.free_at(at(59_999), 1), at(60_500));
        assert_eq!(window.free_at(at(59_999), 7), at(90_500));
        assert_eq!(window.room(at(60_500)), 6);
        assert!(window.is_empty(at(90_500)));
    }

    #[test]
    fn what_is_larger_than_the_limit_goes_when_the_window_is_empty() {
        let mut window = Window::new(Some(10), MINUTE);

        assert!(window.fits(at(0), 99));
        window.spend(at(0), 99);
        assert!(!window.fits(at(60_000), 1));
        assert!(window.fits(at(60_500), 99));
    }

    #[test]
    fn what_did_not_happen_is_given_back_once() {
        let mut window = Window::new(Some(10), MINUTE);
        window.spend(at(0), 10);

        window.give_back(at(0), 4);
        assert_eq!(window.room(at(1000)), 4);
        window.give_back(at(0), 99);
        assert_eq!(window.room(at(1000)), 10);
        window.give_back(at(0), 1);
        assert_eq!(window.room(at(1000)), 10);
    }

    #[test]
    fn a_clock_that_is_put_back_costs_one_span_at_most() {
        let mut window = Window::new(Some(10), MINUTE);
        window.spend(at(100_000_000), 10);

        assert!(!window.fits(at(0), 1));
        assert!(window.fits(at(60_500), 10));
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let mut window = Window::new(None, MINUTE);
        window.spend(at(0), u64::MAX);

        assert!(window.fits(at(0), u64::MAX));
        assert!(window.spent.is_empty());
    }

    #[test]
    fn memory_has_a_bound_whatever_is_spent() {
        let mut window = Window::new(Some(u64::MAX), MINUTE);
        for millis in 0..200_000 {
            window.spend(at(millis), 1);
            window.slide(at(millis));
        }

        assert!(window.spent.len() <= 121, "{}", window.spent.len());
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_in_any_span_and_never_idle_with_room(
            limit in 1_u64..50,
            asks in proptest::collection::vec((0_i64..9_000, 1_u64..60), 1..200),
        ) {
            let mut window = Window::new(Some(limit), MINUTE);
            let mut spent: Vec<(i64, u64)> = Vec::new();
            let mut now = 0;
            for (pause, amount) in asks {
                now += pause;
                let within = |span: i64| -> u64 {
                    let of = spent.iter().filter(|(when, _)| now - when < span);
                    of.map(|(_, amount)| amount).sum()
                };
                let least = amount.min(limit);
                if window.fits(at(now), amount) {
                    prop_assert!(within(60_000) + least <= limit);
                    window.spend(at(now), amount);
                    spent.push((now, amount));
                } else {
                    prop_assert!(within(60_500) + least > limit, "idle with room");
                    let free = window.free_at(at(now), amount);
                    prop_assert!(free > at(now) && !window.clone().fits(at(free.millis() - 1), amount));
                    prop_assert!(window.clone().fits(free, amount));
                }
            }
        }
    }
}
