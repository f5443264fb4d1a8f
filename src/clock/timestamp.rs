//! Moments of wall time, and how mail and the log write them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

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
