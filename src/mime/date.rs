//! Whether the Date field can be read (RFC 5322 3.3, 3.6.1).
//!
//! A check of our own: the parsers at hand take `21 zov 2026` for November. The
//! obsolete forms (4.3: years of two digits, named zones) are dates like any
//! other, and a missing comma, second or leading zero disturbs nobody.

use std::ops::RangeInclusive;

use super::grammar::apart;

/// Whether the text is a date that receivers can read.
pub(super) fn is_date(text: &str) -> bool {
    apart(text).is_some_and(|(outside, _)| read(&outside).is_some())
}

fn read(text: &str) -> Option<()> {
    let words = text.split([' ', '\t', ',']);
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    words.next_if(|word| is_one_of(&DAYS, word));
    let day = number(words.next()?, 1..=2, 1..=31)?;
    let month = words.next()?;
    let year = words.next()?;
    let years = if year.len() == 4 {
        1900..=9999
    } else {
        0..=999
    };
    number(year, 2..=4, years)?;
    let days = match MONTHS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(month))?
    {
        1 => 29,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    let is_time = is_time(words.next()?);
    let is_zone = is_zone(words.next()?);
    (day <= days && is_time && is_zone && words.next().is_none()).then_some(())
}

fn is_time(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    let most = [23, 59, 60];
    (2..=3).contains(&parts.len())
        && parts
            .iter()
            .zip(most)
            .all(|(part, most)| number(part, 1..=2, 0..=most).is_some())
}

/// An offset, or a name: one that nobody knows is read as `-0000`.
fn is_zone(word: &str) -> bool {
    match word.strip_prefix(['+', '-']) {
        Some(offset) => number(offset, 4..=4, 0..=9959).is_some_and(|offset| offset % 100 < 60),
        None => word.len() <= 5 && word.chars().all(|c| c.is_ascii_alphabetic()),
    }
}

fn number(word: &str, digits: RangeInclusive<usize>, values: RangeInclusive<u32>) -> Option<u32> {
    let is_number = digits.contains(&word.len()) && word.chars().all(|c| c.is_ascii_digit());
    let value = word.parse().ok().filter(|_| is_number)?;
    values.contains(&value).then_some(value)
}

fn is_one_of(names: &[&str], word: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_use_are_read() {
        for date in [
            "Sat, 21 Nov 2026 19:00:00 +0000",
            "21 Nov 2026 19:00 -0330",
            "Sat, 21 Nov 2026 19:00:60 +0100 (CET)",
            "(now) Sat, 1 nov 2026 9:05:00 GMT",
            "Sat, 21 Nov 26 19:00:00 EST",
            "Sat, 21 Nov 126 19:00:00 Z",
            "Sat 21 Nov 2026 19:00:00 MESZ",
            "Sat,21 Nov 2026 19:00:00\t+0000",
            "29 Feb 2028 00:00:00 -0000",
        ] {
            assert!(is_date(date), "{date}");
        }
    }

    #[test]
    fn what_only_looks_like_a_date_is_not_read() {
        for text in [
            "",
            "now",
            "Sat Nov 21 19:00:00 2026",
            "2026-11-21T19:00:00Z",
            "2026-11-21 19:00:00 +0000",
            "21.11.2026 19:00:00 +0000",
            "Sa, 21 Nov 2026 19:00:00 +0000",
            "Sat, 21 Dez 2026 19:00:00 +0000",
            "Sat, 21 11 2026 19:00:00 +0000",
            "Sat, 32 Nov 2026 19:00:00 +0000",
            "Sat, 31 Nov 2026 19:00:00 +0000",
            "Sat, 30 Feb 2026 19:00:00 +0000",
            "Sat, 21 Nov 1026 19:00:00 +0000",
            "Sat, 21 Nov 2026 24:00:00 +0000",
            "Sat, 21 Nov 2026 19:00:00",
            "Sat, 21 Nov 2026 19:00:00 +00:00",
            "Sat, 21 Nov 2026 19:00:00 +0060",
            "Sat, 21 Nov 2026 19:00:00 +0000 x",
            "Sat, 21 Nov 2026 19 +0000",
        ] {
            assert!(!is_date(text), "{text}");
        }
    }
}
