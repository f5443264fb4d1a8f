//! Wall time and its two spellings: Graph's `innerError.date` and Entra's `timestamp`.
//!
//! The stand-in reads the clock itself: it plays another machine, whose time no test owns.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in plays another machine, and imports nothing of the relay's"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The time of a clock that goes wrong by so many seconds.
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
    let (date, clock) = spelled(time);
    format!("{date}T{clock}")
}

/// `2026-11-21 19:00:00Z`: Entra's way.
pub(crate) fn entra(time: SystemTime) -> String {
    let (date, clock) = spelled(time);
    format!("{date} {clock}Z")
}

/// `2026-11-21T19:00:00Z`, for lists and pages of our own.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let (date, clock) = spelled(time);
    format!("{date}T{clock}Z")
}

/// `2026-11-21T19:00:00.1234567Z`, the finer way that Outlook's uploads have.
pub(crate) fn fine(time: SystemTime) -> String {
    let (date, clock) = spelled(time);
    let ticks = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos() / 100);
    format!("{date}T{clock}.{ticks:07}Z")
}

fn spelled(time: SystemTime) -> (String, String) {
    let seconds = epoch(time);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{hour:02}:{minute:02}:{second:02}"),
    )
}

/// The Gregorian date of a day counted from 1970-01-01, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>), for days from 1970 on.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
    }
}
