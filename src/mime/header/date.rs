//! Whether the Date field can be read (RFC 5322 3.3, 3.6.1).
//!
//! A check of our own, because the available parsers read `21 zov 2026` as November. The
//! obsolete forms (4.3: years of two digits, named zones) are valid dates, and a missing
//! comma, second or leading zero does no harm.

use std::ops::RangeInclusive;

use crate::mime::addresses::grammar::apart;

/// Whether the text is a date that receivers can read.
pub(in crate::mime) fn is_date(text: &str) -> bool {
    apart(text).is_some_and(|(outside, _)| read(&outside).is_some())
}

/// The date with its full year, if that has three digits: programs that count years from
/// 1900 write 126 for 2026 (RFC 5322 4.3), which readers take for the year 126.
pub(in crate::mime) fn with_the_full_year(text: &str) -> Option<String> {
    with_another_word(text, |before, word| {
        let year = number(word, 3..=3, 0..=999).filter(|_| is_one_of(&MONTHS, before))?;
        Some((year + 1900).to_string())
    })
}

/// The date with its zone as a number, if that is one letter: `Z` is +0000, and the
/// meaning of the others is unknown (RFC 5322 4.3). Some readers expect three octets for
/// the name of a zone, and so miss the end of the line.
pub(in crate::mime) fn with_the_zone_as_a_number(text: &str) -> Option<String> {
    with_another_word(text, |before, word| {
        let is_letter = word.len() == 1 && word.chars().all(|c| c.is_ascii_alphabetic());
        let zone = match word {
            "Z" | "z" => "+0000",
            _ => "-0000",
        };
        (is_letter && is_time(before)).then(|| zone.to_owned())
    })
}

/// The date with the first word replaced that has a replacement. The function gets the
/// preceding word and the word.
fn with_another_word(text: &str, other: impl Fn(&str, &str) -> Option<String>) -> Option<String> {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | ',');
    let mut at = 0;
    let mut before = "";
    for word in text.split(is_blank) {
        if let Some(other) = other(before, word) {
            let (date, rest) = text.split_at_checked(at)?;
            let rest = rest.strip_prefix(word)?;
            let whole = format!("{date}{other}{rest}");
            return Some(whole).filter(|whole| is_date(whole));
        }
        at += word.len() + 1;
        if !word.is_empty() {
            before = word;
        }
    }
    None
}

/// Whether a line has the date of an mbox line: `From root Sun Nov 29 10:00:00 2026`.
pub(in crate::mime) fn is_mbox_date(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    words.windows(4).any(|words| {
        let [weekday, month, day, time] = words else {
            return false;
        };
        is_one_of(&DAYS, weekday)
            && is_one_of(&MONTHS, month)
            && number(day, 1..=2, 1..=31).is_some()
            && is_time(time)
    })
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

/// An offset, or a name; an unknown name is read as `-0000`.
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
    fn the_date_of_an_mbox_line_is_distinguished_from_words() {
        assert!(is_mbox_date("From root Sun Nov 29 10:00:00 2026"));
        assert!(is_mbox_date(
            "From a@b.c  Tue Nov  3 10:00 2026 remote from x"
        ));
        for text in ["From boiler 3 alarm", "From Sun to Mon", "From Sun Nov 29"] {
            assert!(!is_mbox_date(text), "{text}");
        }
    }

    #[test]
    fn a_year_of_three_digits_is_counted_from_1900() {
        let full = |text: &str| with_the_full_year(text);
        assert_eq!(
            full("Sun, 29 Nov 126 10:00:00 +0000 (UTC)").as_deref(),
            Some("Sun, 29 Nov 2026 10:00:00 +0000 (UTC)")
        );
        assert_eq!(
            full("29\tNov  099 10:00 GMT").as_deref(),
            Some("29\tNov  1999 10:00 GMT")
        );
        for text in [
            "Sun, 29 Nov 2026 10:00:00 +0000",
            "Sun, 29 Nov 26 10:00:00 +0000",
            "Sun, 29 Nov 126",
            "",
        ] {
            assert_eq!(full(text), None, "{text}");
        }
    }

    #[test]
    fn a_zone_of_one_letter_becomes_a_number() {
        for (text, expected) in [
            ("29 Nov 2026 10:00:00 Z", Some("29 Nov 2026 10:00:00 +0000")),
            (
                "29 Nov 2026 10:00 s (x)",
                Some("29 Nov 2026 10:00 -0000 (x)"),
            ),
            ("29 Nov 2026 10:00 UT", None),
            ("29 Nov 2026 10:00 +0000 Z", None),
            ("Z", None),
        ] {
            let found = with_the_zone_as_a_number(text);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

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
    fn text_that_resembles_a_date_is_not_a_date() {
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
