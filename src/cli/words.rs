//! Numbers, sizes and times as people read them.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::clock::span_in_words;

/// Formats a time for people, relative to now: `10:00 UTC`, `tomorrow 10:00 UTC`,
/// `2026-11-21 10:00 UTC`.
pub(super) fn when(moment: Timestamp, now: Timestamp) -> String {
    let split = |moment: Timestamp| {
        let text = moment.rfc3339();
        let (date, time) = text.split_once('T').unwrap_or((text.as_str(), ""));
        let minutes: String = time.chars().take("10:00".len()).collect();
        (date.to_owned(), minutes)
    };
    let (date, time) = split(moment);
    let (today, _) = split(now);
    let (tomorrow, _) = split(now + Duration::from_secs(24 * 60 * 60));
    match date {
        date if date == today => format!("{time} UTC"),
        date if date == tomorrow => format!("tomorrow {time} UTC"),
        date => format!("{date} {time} UTC"),
    }
}

/// Formats how long ago something was: `3 minutes ago`.
pub(super) fn ago(since: Duration) -> String {
    match since.as_secs() {
        0 => "just now".to_owned(),
        _ => format!("{} ago", span_in_words(since)),
    }
}

/// Formats a number of things, with an s if it is not one.
pub(super) fn counted(number: impl TryInto<u64>, what: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// Formats a number in groups of three digits: `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number of bytes with at most three digits: `244 B`, `3.4 kB`, `340 MB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let (mut whole, mut rest) = (bytes, 0);
    let mut unit = "B";
    for larger in UNITS {
        if whole < 1000 {
            break;
        }
        (whole, rest, unit) = (whole / 1000, whole % 1000, larger);
    }
    match (unit, whole) {
        ("B", _) | (_, 10..) => format!("{whole} {unit}"),
        (_, _) => format!("{whole}.{} {unit}", rest / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_size_has_at_most_three_digits_and_a_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (3456, "3.4 kB"),
            (35_000_000, "35 MB"),
            (999_999_999, "999 MB"),
            (1_200_000_000_000, "1.2 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_moment_of_the_past_is_told_by_its_distance() {
        assert_eq!(ago(Duration::from_millis(400)), "just now");
        assert_eq!(ago(Duration::from_secs(200)), "3 minutes ago");
    }
}
