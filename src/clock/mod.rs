//! Wall time for people to read, and running time for decisions.
//!
//! The wall clock is set by hand, by NTP and by a hardware clock that is wrong at boot,
//! in both directions and by years. So a [`Timestamp`] is only shown. Every decision that
//! depends on time (when an entry is due, has expired or may be purged) uses
//! [`RunningTime`]: the milliseconds that the relay has run, which the spool keeps over
//! restarts. Due times are kept in it too, instead of being corrected after each jump, so
//! a jump changes nothing and need not be noticed in time. The disadvantage is that no
//! time passes while the relay is stopped; the spool compensates for that where an error
//! is harmless (`spool/running.rs`).
//!
//! All modules ask a [`Clock`] and never the system, so that a test can set the time.
//! Waiting is `tokio::time`, which tests pause.

mod pulse;
mod span;
mod timestamp;

use crate::platform::system;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

pub use self::pulse::Beat;
pub use self::pulse::Pulse;
pub use self::span::parse_span;
pub use self::span::span;
pub use self::span::span_in_words;
pub use self::timestamp::Timestamp;
pub use self::timestamp::in_millis;

/// A moment in milliseconds that the relay has run, summed over all its starts.
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

    /// The time since `earlier`; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for RunningTime {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self((Timestamp::from_millis(self.0) + wait).millis())
    }
}

impl std::ops::Sub<Duration> for RunningTime {
    type Output = Self;

    fn sub(self, back: Duration) -> Self {
        Self((Timestamp::from_millis(self.0) - back).millis())
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
    /// The wall time of another moment, if the wall clock is right now.
    pub fn wall(self, other: RunningTime) -> Timestamp {
        self.at + other.since(self.running) - self.running.since(other)
    }
}

/// The source of time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Begins at a given moment and follows tokio's clock, so that a test that pauses
    /// tokio's time sets this clock too.
    Tokio {
        /// The wall time at `origin`, in milliseconds since 1970.
        start: Arc<AtomicI64>,
        /// The moment on tokio's clock that matches `start`.
        origin: Instant,
        /// See [`Clock::boot`].
        boot: Uuid,
    },
}

impl Clock {
    /// A clock for tests with paused time.
    pub fn starting_at(start: Timestamp) -> Self {
        Self::Tokio {
            start: Arc::new(AtomicI64::new(start.millis())),
            origin: Instant::now(),
            boot: Uuid::new_v4(),
        }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Tokio { start, origin, .. } => {
                Timestamp::from_millis(start.load(Ordering::Relaxed)) + origin.elapsed()
            }
        }
    }

    /// Sets a test's wall clock, as an administrator sets a machine's. It never sets the
    /// machine's clock.
    pub fn set(&self, to: Timestamp) {
        match self {
            Self::System => {}
            Self::Tokio { start, origin, .. } => {
                start.store((to - origin.elapsed()).millis(), Ordering::Relaxed);
            }
        }
    }

    /// A clock that nobody can set, with an unknown beginning. It continues while the
    /// machine is suspended.
    pub fn steady(&self) -> Duration {
        match self {
            Self::System => system::since_boot(),
            Self::Tokio { origin, .. } => origin.elapsed(),
        }
    }

    /// Identifies the boot of the machine: two readings of [`Clock::steady`] can be
    /// compared within one boot. An identifier that cannot be read equals no other.
    pub fn boot(&self) -> Uuid {
        match self {
            Self::System => system::boot_id()
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(Uuid::new_v4),
            Self::Tokio { boot, .. } => *boot,
        }
    }
}

/// Checks a clock regularly to notice that it was set.
#[derive(Debug)]
pub struct ClockWatch {
    clock: Clock,
    wall: Timestamp,
    steady: Duration,
}

/// The wall clock has been set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// The time that it would have shown.
    pub from: Timestamp,
    /// The time that it shows.
    pub to: Timestamp,
}

/// NTP corrects a clock by seconds, which affects no mail.
const SMALLEST_JUMP: Duration = Duration::from_secs(60);

impl ClockJump {
    /// Compares the clock with the expected time.
    pub fn between(from: Timestamp, to: Timestamp) -> Option<Self> {
        let jump = Self { from, to };
        (jump.by() >= SMALLEST_JUMP).then_some(jump)
    }

    /// The size of the change, in either direction.
    pub fn by(self) -> Duration {
        self.from.since(self.to).max(self.to.since(self.from))
    }

    /// Whether it was set to a later time.
    pub fn is_forward(self) -> bool {
        self.to > self.from
    }
}

impl ClockWatch {
    /// Begins with the present time of the clock.
    pub fn begin(clock: Clock) -> Self {
        Self {
            wall: clock.now(),
            steady: clock.steady(),
            clock,
        }
    }

    /// Whether the clock was set since the last check.
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
    Timestamp::from_millis(0) + since
}

#[cfg(test)]
mod tests {
    use super::*;

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
