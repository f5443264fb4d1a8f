//! Wall time, as a value that can be stored and compared.
//!
//! Stations ask a [`Clock`] and never the system, so that a test can own the
//! time. Waiting is `tokio::time`, which tests pause.

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

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
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
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
        /// The wall time at `origin`.
        start: Timestamp,
        /// The moment on tokio's clock that `start` belongs to.
        origin: Instant,
    },
}

impl Clock {
    /// A clock for tests with paused time.
    pub fn starting_at(start: Timestamp) -> Self {
        Self::Tokio {
            start,
            origin: Instant::now(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Tokio { start, origin } => *start + origin.elapsed(),
        }
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
}
