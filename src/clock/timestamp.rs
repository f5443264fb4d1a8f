//! Moments of wall time, and their forms in mail, HTTP and the log.

use std::fmt;
use std::time::Duration;

use jiff::civil;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// A moment in milliseconds since 1970 (UTC), as stored in the spool. JSON has it as RFC 3339
/// writes it, with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Read")]
pub struct Timestamp(i64);

/// A moment in JSON. Earlier versions wrote milliseconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Millis(i64),
    Words(String),
}

impl TryFrom<Read> for Timestamp {
    type Error = jiff::Error;

    fn try_from(read: Read) -> Result<Self, jiff::Error> {
        match read {
            Read::Millis(millis) => Ok(Self(millis)),
            Read::Words(text) => {
                let moment: jiff::Timestamp = text.parse()?;
                Ok(Self(moment.as_millisecond()))
            }
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

/// Moments as numbers, in files that an earlier version may have to read.
pub mod in_millis {
    use super::Deserialize;
    use super::Deserializer;
    use super::Serializer;
    use super::Timestamp;

    /// Writes milliseconds.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(moment.millis())
    }

    /// Reads either form.
    ///
    /// # Errors
    ///
    /// It is neither a number nor a moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}

/// RFC 9110 5.6.7: the form to write, and two more that must be read.
const HTTP_DATES: [&str; 3] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The last second (UTC) of a day written as `2026-11-21`.
    pub fn end_of_day(text: &str) -> Option<Self> {
        let day: civil::Date = text.parse().ok()?;
        // Only this form of a day is the same when it is written again.
        (day.to_string() == text).then_some(())?;
        Self::in_utc(day.at(23, 59, 59, 0))
    }

    /// The moment that somebody writes in UTC: `2026-11-21`, which is its beginning,
    /// `2026-11-21T19:00`, with seconds, or as RFC 3339 has it, also with an offset.
    pub fn from_words(text: &str) -> Option<Self> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(Self(moment.as_millisecond()));
        }
        // A date without a time is midnight.
        Self::in_utc(text.parse().ok()?)
    }

    /// The moment in a header field of HTTP (RFC 9110 5.6.7).
    pub fn from_http_date(text: &str) -> Option<Self> {
        let read = |format| strtime::parse(format, text).ok()?.to_datetime().ok();
        HTTP_DATES.iter().find_map(read).and_then(Self::in_utc)
    }

    fn in_utc(written: DateTime) -> Option<Self> {
        let moment = written.to_zoned_datetime(TimeZone::UTC).ok()?;
        Some(Self(moment.timestamp().as_millisecond()))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The time since `earlier`; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// `Sat, 21 Nov 2026 19:00:00 +0000` (RFC 5322 3.3).
    pub fn rfc5322(self) -> String {
        self.written("%a, %-d %b %Y %H:%M:%S +0000")
    }

    /// `2026-11-21T19:00:00Z` (RFC 3339).
    pub fn rfc3339(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%SZ")
    }

    /// A moment outside the calendar, from a clock that is wrong by millennia, is shown
    /// as the first or last moment of the calendar.
    fn written(self, format: &str) -> String {
        let outside = if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(outside);
        moment.strftime(format).to_string()
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
    fn a_moment_has_a_mail_form_and_a_log_form() {
        let moment = Timestamp::from_millis(1_795_287_600_123);

        assert_eq!(moment.rfc5322(), "Sat, 21 Nov 2026 19:00:00 +0000");
        assert_eq!(moment.rfc3339(), "2026-11-21T19:00:00Z");
        let before_1970 = Timestamp::from_millis(-1);
        assert_eq!(before_1970.rfc5322(), "Wed, 31 Dec 1969 23:59:59 +0000");
        let leap_day = Timestamp::from_millis(951_782_400_000);
        assert_eq!(leap_day.rfc5322(), "Tue, 29 Feb 2000 00:00:00 +0000");
        let single_digit = Timestamp::from_millis(1_795_287_600_000 + 10 * 86_400_000);
        assert_eq!(single_digit.rfc5322(), "Tue, 1 Dec 2026 19:00:00 +0000");
    }

    #[test]
    fn a_moment_is_read_as_people_write_it() {
        for (text, moment) in [
            ("2026-11-21", "2026-11-21T00:00:00Z"),
            ("2026-11-21T19:00", "2026-11-21T19:00:00Z"),
            ("2026-11-21 19:00:05", "2026-11-21T19:00:05Z"),
            ("2026-11-21T19:00:00Z", "2026-11-21T19:00:00Z"),
            ("2026-11-21T20:00:00+01:00", "2026-11-21T19:00:00Z"),
        ] {
            let read = Timestamp::from_words(text).map(Timestamp::rfc3339);
            assert_eq!(read.as_deref(), Some(moment), "{text}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "19:00"] {
            assert_eq!(Timestamp::from_words(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn json_has_a_moment_as_rfc_3339_and_reads_milliseconds_too() {
        let moment = Timestamp::from_millis(1_795_287_600_123);

        let json = serde_json::to_string(&moment).unwrap();

        assert_eq!(json, "\"2026-11-21T19:00:00.123Z\"");
        for text in [json.as_str(), "1795287600123"] {
            assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), moment);
        }
        let ends = Timestamp::from_millis(i64::MAX);
        let json = serde_json::to_string(&ends).unwrap();
        assert!(serde_json::from_str::<Timestamp>(&json).is_ok(), "{json}");
    }

    #[test]
    fn a_moment_outside_the_calendar_is_written_too() {
        for millis in [i64::MIN, i64::MAX] {
            let moment = Timestamp::from_millis(millis);

            assert!(moment.rfc3339().contains("9999-"), "{moment}");
            assert!(moment.rfc5322().contains("9999 "), "{moment}");
        }
    }

    #[test]
    fn dates_of_http_are_read_in_all_three_forms() {
        // The examples of RFC 9110 5.6.7.
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let read = Timestamp::from_http_date(text).map(Timestamp::rfc3339);

            assert_eq!(read.as_deref(), Some("1994-11-06T08:49:37Z"), "{text}");
        }
        for wrong in [
            "",
            "soon",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0200",
            "Sun, 06 Nov 1994 08:49:37 GMT and more",
        ] {
            assert_eq!(Timestamp::from_http_date(wrong), None, "{wrong}");
        }
    }
}
