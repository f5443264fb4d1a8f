//! Wall time for people to read, and running time to decide by.
//!
//! The wall clock is set by hand, by NTP and by a hardware clock that is wrong
//! at boot, in both directions and by years. So a [`Timestamp`] is only shown,
//! and everything that is decided by time (when an entry is due, has expired or
//! may be purged) is decided by [`RunningTime`]: the milliseconds that the
//! relay has run, which the spool keeps over restarts. Due times are kept in
//! it too, instead of being corrected after each jump: then a jump changes
//! nothing, and it need not be noticed in time. The price is that no time
//! passes while the relay is stopped; the spool makes up for that where
//! an error is harmless (`spool/running.rs`).
//!
//! Stations ask a [`Clock`] and never the system, so that a test can own the
//! time. Waiting is `tokio::time`, which tests pause.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustix::time::ClockId;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

/// A moment in milliseconds since 1970 (UTC), as the spool keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The last second (UTC) of a day written as `2026-11-21`.
    pub fn end_of_day(text: &str) -> Option<Self> {
        let date = mail_parser::DateTime::parse_rfc3339(&format!("{text}T00:00:00Z"))?;
        let begin = Self(date.to_timestamp().checked_mul(1000)?);
        // Only a day that exists, and nothing but a day, comes out as it went in.
        let same = begin.rfc3339().strip_suffix("T00:00:00Z") == Some(text);
        same.then(|| begin + Duration::from_secs(24 * 60 * 60 - 1))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// How long from `earlier` to here; nothing if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// `Sat, 21 Nov 2026 19:00:00 +0000` (RFC 5322 3.3).
    pub fn rfc5322(self) -> String {
        self.calendar().to_rfc822()
    }

    /// `2026-11-21T19:00:00Z` (RFC 3339).
    pub fn rfc3339(self) -> String {
        self.calendar().to_rfc3339()
    }

    fn calendar(self) -> mail_parser::DateTime {
        mail_parser::DateTime::from_timestamp(self.0.div_euclid(1000))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, back: Duration) -> Self {
        let millis = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// A moment in milliseconds for which the relay has run, over all its starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunningTime(i64);

impl RunningTime {
    /// The first start of the relay with this spool.
    pub const START: Self = Self(0);

    /// From milliseconds.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds; negative before the first start.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// How long from `earlier` to here; nothing if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for RunningTime {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self((Timestamp(self.0) + wait).0)
    }
}

impl std::ops::Sub<Duration> for RunningTime {
    type Output = Self;

    fn sub(self, back: Duration) -> Self {
        Self((Timestamp(self.0) - back).0)
    }
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall time.
    pub at: Timestamp,
    /// The running time.
    pub running: RunningTime,
}

impl Moment {
    /// The wall time of another moment, as far as the wall clock is right now.
    pub fn wall(self, other: RunningTime) -> Timestamp {
        self.at + other.since(self.running) - self.running.since(other)
    }
}

/// A length of time as people write it: `30s`, `5m`, `2h`, `4d`, `50ms`.
pub fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    // A hundred years keeps every sum with it inside the clock's range.
    const LONGEST: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
    let millis = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (millis <= LONGEST).then(|| Duration::from_millis(millis))
}

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Begins at a given moment and goes on with tokio's clock, so that a test
    /// that pauses tokio's time owns this one too.
    Tokio {
        /// The wall time at `origin`, in milliseconds since 1970.
        start: Arc<AtomicI64>,
        /// The moment on tokio's clock that `start` belongs to.
        origin: Instant,
        /// See [`Clock::boot`].
        boot: Uuid,
    },
}

impl Clock {
    /// A clock for tests with paused time.
    pub fn starting_at(start: Timestamp) -> Self {
        Self::Tokio {
            start: Arc::new(AtomicI64::new(start.0)),
            origin: Instant::now(),
            boot: Uuid::new_v4(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Tokio { start, origin, .. } => {
                Timestamp(start.load(Ordering::Relaxed)) + origin.elapsed()
            }
        }
    }

    /// Sets a test's wall clock, as somebody sets a machine's. Nobody sets the
    /// machine's clock by this.
    pub fn set(&self, to: Timestamp) {
        match self {
            Self::System => {}
            Self::Tokio { start, origin, .. } => {
                start.store((to - origin.elapsed()).0, Ordering::Relaxed);
            }
        }
    }

    /// A clock that nobody can set, from an unknown moment. It goes on while
    /// the machine is suspended.
    pub fn steady(&self) -> Duration {
        match self {
            Self::System => {
                let time = rustix::time::clock_gettime(ClockId::Boottime);
                let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
                Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
            }
            Self::Tokio { origin, .. } => origin.elapsed(),
        }
    }

    /// Names the boot of the machine: two readings of [`Clock::steady`] can be
    /// compared within one. One that cannot be read is like no other.
    pub fn boot(&self) -> Uuid {
        match self {
            Self::System => std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or_else(Uuid::new_v4),
            Self::Tokio { boot, .. } => *boot,
        }
    }
}

/// Looks at a clock from time to time, to notice that somebody has set it.
#[derive(Debug)]
pub struct ClockWatch {
    clock: Clock,
    wall: Timestamp,
    steady: Duration,
}

/// The wall clock has been set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// What it would have said.
    pub from: Timestamp,
    /// What it says.
    pub to: Timestamp,
}

/// NTP corrects a clock by seconds, and no mail depends on those.
const SMALLEST_JUMP: Duration = Duration::from_secs(60);

impl ClockJump {
    /// Compares what the clock says with what it should say.
    pub fn between(from: Timestamp, to: Timestamp) -> Option<Self> {
        let jump = Self { from, to };
        (jump.by() >= SMALLEST_JUMP).then_some(jump)
    }

    /// By how much, in either direction.
    pub fn by(self) -> Duration {
        self.from.since(self.to).max(self.to.since(self.from))
    }

    /// Whether it was set to a later time.
    pub fn is_forward(self) -> bool {
        self.to > self.from
    }
}

impl ClockWatch {
    /// Begins with what the clock says now.
    pub fn begin(clock: Clock) -> Self {
        Self {
            wall: clock.now(),
            steady: clock.steady(),
            clock,
        }
    }

    /// Whether the clock was set since the last look.
    pub fn look(&mut self) -> Option<ClockJump> {
        let now = Self::begin(self.clock.clone());
        let expected = self.wall + now.steady.saturating_sub(self.steady);
        let jump = ClockJump::between(expected, now.wall);
        *self = now;
        jump
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(0) + since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_mail_and_as_log_want_it() {
        let moment = Timestamp::from_millis(1_795_287_600_123);

        assert_eq!(moment.rfc5322(), "Sat, 21 Nov 2026 19:00:00 +0000");
        assert_eq!(moment.rfc3339(), "2026-11-21T19:00:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_clock_is_noticed_and_a_small_correction_is_not() {
        let minute = Duration::from_secs(60);
        let clock = Clock::starting_at(Timestamp::from_millis(1_795_287_600_000));
        let mut watch = ClockWatch::begin(clock.clone());

        tokio::time::advance(minute).await;
        clock.set(clock.now() + Duration::from_secs(5));
        assert_eq!(watch.look(), None);

        tokio::time::advance(minute).await;
        let before = clock.now();
        clock.set(before - Duration::from_secs(3 * 60 * 60));
        let jump = watch.look().unwrap();
        assert_eq!((jump.from, jump.to), (before, clock.now()));
        assert_eq!(jump.by(), Duration::from_secs(3 * 60 * 60));
        assert!(!jump.is_forward());

        tokio::time::advance(minute).await;
        assert_eq!(watch.look(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn setting_the_clock_does_not_change_the_steady_one() {
        let clock = Clock::starting_at(Timestamp::from_millis(0));
        let before = clock.steady();

        clock.set(Timestamp::from_millis(1_795_287_600_000));

        assert_eq!(clock.now().rfc3339(), "2026-11-21T19:00:00Z");
        assert_eq!(clock.steady(), before);
    }

    #[test]
    fn a_moment_of_running_time_is_shown_as_wall_time() {
        let now = Moment {
            at: Timestamp::from_millis(1_000_000),
            running: RunningTime::from_millis(500),
        };

        let wall = |running| now.wall(RunningTime::from_millis(running)).millis();

        assert_eq!(wall(700), 1_000_200);
        assert_eq!(wall(-500), 999_000);
    }
}
