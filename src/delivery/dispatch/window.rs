//! An amount within a span of time: one of a mailbox's limits. Without I/O; the caller
//! passes the time of the monotonic clock, so that setting the wall clock neither frees a
//! window nor fills it.
//!
//! The window slides in [`SLICES`] steps. What is spent counts until the end of its slice
//! has left the span. So no span of that length ever contains more than the limit allows,
//! and a window that says it is full is late by at most one slice, which is less than one
//! per cent of the rate. A window holds one number for each slice in which something was
//! spent, so its memory is bounded.
//!
//! An amount above the whole limit is allowed when the window is empty; otherwise it
//! would never be.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// One amount per span.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct Window {
    /// `None` allows any amount.
    limit: Option<u64>,
    /// The span in milliseconds.
    slice: i64,
    /// Where the count of slices begins.
    origin: Instant,
    /// Each slice and what was spent in it, oldest first.
    spent: VecDeque<(i64, u64)>,
    sum: u64,
}

/// Steps of a window: half a second for a minute, twelve minutes for a day.
const SLICES: i64 = 120;

impl Window {
    /// A window in which nothing was spent.
    pub(in crate::delivery) fn new(limit: Option<u64>, span: Duration, origin: Instant) -> Self {
        let span = millis(span);
        Self {
            limit,
            slice: (span / SLICES).max(1),
            origin,
            spent: VecDeque::new(),
            sum: 0,
        }
    }

    /// The limit; the largest number if there is none.
    pub(in crate::delivery) fn limit(&self) -> u64 {
        self.limit.unwrap_or(u64::MAX)
    }

    /// How much may be spent now.
    pub(in crate::delivery) fn room(&mut self, now: Instant) -> u64 {
        self.slide(now);
        self.limit().saturating_sub(self.sum)
    }

    /// Whether this amount may be spent now.
    pub(in crate::delivery) fn fits(&mut self, now: Instant, amount: u64) -> bool {
        self.room(now) >= amount.min(self.limit())
    }

    /// Spends the amount, whether there is room or not, because it has happened.
    pub(in crate::delivery) fn spend(&mut self, at: Instant, amount: u64) {
        if self.limit.is_none() || amount == 0 {
            return;
        }
        let slice = self.slice_of(at);
        // Nearly always the newest slice, or one of the last few.
        let behind = self.spent.iter().rev();
        let newer = behind.take_while(|(known, _)| *known > slice).count();
        let place = self.spent.len() - newer;
        match place.checked_sub(1).and_then(|at| self.spent.get_mut(at)) {
            Some((known, sum)) if *known == slice => *sum = sum.saturating_add(amount),
            Some(_) | None => self.spent.insert(place, (slice, amount)),
        }
        self.sum = self.sum.saturating_add(amount);
    }

    /// Also counts what was spent in another window of the same span. Nothing counts for
    /// a shorter time than it does there.
    pub(in crate::delivery) fn absorb(&mut self, other: &Self) {
        for (slice, amount) in &other.spent {
            self.spend(other.begin_of(slice + 1), *amount);
        }
    }

    /// Returns an amount that was recorded at a time and not used after all.
    pub(in crate::delivery) fn give_back(&mut self, at: Instant, amount: u64) {
        let slice = self.slice_of(at);
        if let Ok(place) = self.spent.binary_search_by_key(&slice, |(known, _)| *known)
            && let Some((_, sum)) = self.spent.get_mut(place)
        {
            let back = amount.min(*sum);
            *sum -= back;
            self.sum = self.sum.saturating_sub(back);
        }
    }

    /// When this amount may be spent, if nothing else is spent until then.
    pub(in crate::delivery) fn free_at(&mut self, now: Instant, amount: u64) -> Instant {
        let mut missing = amount.min(self.limit()).saturating_sub(self.room(now));
        let mut at = now;
        for (slice, sum) in &self.spent {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(*sum);
            at = self.begin_of(slice + SLICES + 1);
        }
        at
    }

    /// Whether it is empty.
    pub(in crate::delivery) fn is_empty(&mut self, now: Instant) -> bool {
        self.slide(now);
        self.sum == 0
    }

    fn slide(&mut self, now: Instant) {
        let current = self.slice_of(now);
        while let Some((slice, sum)) = self.spent.front().copied()
            && slice < current - SLICES
        {
            self.spent.pop_front();
            self.sum = self.sum.saturating_sub(sum);
        }
    }

    /// Negative for amounts spent before the window was created.
    fn slice_of(&self, at: Instant) -> i64 {
        let after = millis(at.saturating_duration_since(self.origin));
        let before = millis(self.origin.saturating_duration_since(at));
        (after - before).div_euclid(self.slice)
    }

    fn begin_of(&self, slice: i64) -> Instant {
        let at = slice.saturating_mul(self.slice);
        let span = Duration::from_millis(at.unsigned_abs());
        let begin = match at < 0 {
            true => self.origin.checked_sub(span),
            false => self.origin.checked_add(span),
        };
        begin.unwrap_or(self.origin)
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    fn at(millis: u64) -> Instant {
        *ORIGIN + Duration::from_millis(millis)
    }

    fn window(limit: Option<u64>) -> Window {
        Window::new(limit, MINUTE, at(0))
    }

    #[test]
    fn spent_amounts_are_free_again_after_the_span() {
        let mut window = window(Some(10));
        window.spend(at(0), 6);
        window.spend(at(30_000), 4);

        assert!(!window.fits(at(59_999), 1));
        assert_eq!(window.free_at(at(59_999), 1), at(60_500));
        assert_eq!(window.free_at(at(59_999), 7), at(90_500));
        assert_eq!(window.room(at(60_500)), 6);
        assert!(window.is_empty(at(90_500)));
    }

    #[test]
    fn an_amount_above_the_limit_passes_when_the_window_is_empty() {
        let mut window = window(Some(10));

        assert!(window.fits(at(0), 99));
        window.spend(at(0), 99);
        assert!(!window.fits(at(60_000), 1));
        assert!(window.fits(at(60_500), 99));
    }

    #[test]
    fn an_unused_reservation_is_returned_once() {
        let mut window = window(Some(10));
        window.spend(at(0), 10);

        window.give_back(at(0), 4);
        assert_eq!(window.room(at(1000)), 4);
        window.give_back(at(0), 99);
        assert_eq!(window.room(at(1000)), 10);
        window.give_back(at(0), 1);
        assert_eq!(window.room(at(1000)), 10);
    }

    #[test]
    fn amounts_spent_before_a_restart_count_until_their_span_is_over() {
        let mut window = Window::new(Some(10), MINUTE, at(50_000));
        window.spend(at(20_000), 10);

        assert_eq!(window.free_at(at(50_000), 1), at(80_500));
        assert!(!window.fits(at(80_499), 1));
        assert!(window.fits(at(80_500), 10));
    }

    #[test]
    fn a_window_without_a_limit_stores_nothing() {
        let mut window = window(None);
        window.spend(at(0), u64::MAX);

        assert!(window.fits(at(0), u64::MAX));
        assert!(window.spent.is_empty());
    }

    #[test]
    fn a_window_uses_bounded_memory() {
        let mut window = window(Some(u64::MAX));
        for millis in 0..200_000 {
            window.spend(at(millis), 1);
            window.slide(at(millis));
        }

        assert!(window.spent.len() <= 121, "{}", window.spent.len());
    }

    proptest! {
        #[test]
        fn a_window_never_exceeds_its_limit_and_never_idles_with_room(
            limit in 1_u64..50,
            asks in proptest::collection::vec((0_u64..9_000, 1_u64..60), 1..200),
        ) {
            let mut window = window(Some(limit));
            let mut spent: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (pause, amount) in asks {
                now += pause;
                let within = |span: u64| -> u64 {
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
                    let before = free - Duration::from_millis(1);
                    prop_assert!(free > at(now) && !window.clone().fits(before, amount));
                    prop_assert!(window.clone().fits(free, amount));
                }
            }
        }
    }
}
