//! Wall time and how Graph, Entra and HTTP write it.
//!
//! The stand-in reads the clock itself: it plays another machine, whose time no test owns.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use jiff::Timestamp;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in plays another machine, and imports nothing of the relay's"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The time of a clock that is wrong by this number of seconds.
pub(crate) fn skewed(time: SystemTime, skew: Option<i64>) -> SystemTime {
    let skew = skew.unwrap_or_default();
    let by = Duration::from_secs(skew.unsigned_abs());
    let shifted = if skew < 0 {
        time.checked_sub(by)
    } else {
        time.checked_add(by)
    };
    shifted.unwrap_or(time)
}

/// Seconds since 1970, as token claims count.
pub(crate) fn epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// `2026-11-21T19:00:00`: Graph writes no zone.
pub(crate) fn graph(time: SystemTime) -> String {
    spelled(time, "%Y-%m-%dT%H:%M:%S")
}

/// `2026-11-21 19:00:00Z`: Entra's way.
pub(crate) fn entra(time: SystemTime) -> String {
    spelled(time, "%Y-%m-%d %H:%M:%SZ")
}

/// `2026-11-21T19:00:00Z`, for lists and pages of our own.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    spelled(time, "%Y-%m-%dT%H:%M:%SZ")
}

/// `2026-11-21T19:00:00.1234567Z`, the finer way that Outlook's uploads have.
pub(crate) fn fine(time: SystemTime) -> String {
    spelled(time, "%Y-%m-%dT%H:%M:%S.%7fZ")
}

/// `Sat, 21 Nov 2026 19:00:00 GMT`: the Date of answers (RFC 9110 5.6.7).
pub(crate) fn http(time: SystemTime) -> String {
    spelled(time, "%a, %d %b %Y %H:%M:%S GMT")
}

/// A clock that is wrong by millennia shows the last moment of the calendar.
fn spelled(time: SystemTime, format: &str) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_the_reference_shows_them() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_287_600);

        assert_eq!(graph(time), "2026-11-21T19:00:00");
        assert_eq!(entra(time), "2026-11-21 19:00:00Z");
        assert_eq!(
            entra(UNIX_EPOCH + Duration::from_secs(951_782_400)),
            "2000-02-29 00:00:00Z"
        );
        assert_eq!(
            fine(time + Duration::from_nanos(123_456_789)),
            "2026-11-21T19:00:00.1234567Z"
        );
        assert_eq!(http(time), "Sat, 21 Nov 2026 19:00:00 GMT");
    }
}
