//! Sizes and times as people write them: `"35 MB"`, `"30s"`, `"5m"`, `"4d"`.

use std::time::Duration;

use serde::Deserialize;

use crate::clock;
use crate::clock::Timestamp;

/// A number of bytes. MB is 1,000,000 bytes, MiB 1,048,576.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct ByteSize(pub(super) u64);

impl TryFrom<String> for ByteSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (number, unit) = split_unit(&text);
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1000,
            "mb" => 1000 * 1000,
            "gb" => 1000 * 1000 * 1000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(format!("{text:?} is not a size: write it like \"35 MB\"")),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a size: write it like \"35 MB\""))
    }
}

/// A length of time: `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        clock::parse_span(&text).map(Self).ok_or_else(|| {
            format!("{text:?} is not a time: write it like \"30s\", \"5m\" or \"4d\"")
        })
    }
}

/// A day as in TOML, or in quotes: `2027-11-30`. Read as the end of this day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenDay")]
pub(super) struct Day(pub(super) Timestamp);

#[derive(Deserialize)]
#[serde(untagged, expecting = "write a day like 2027-11-30")]
enum WrittenDay {
    Date(toml::value::Datetime),
    Text(String),
}

impl TryFrom<WrittenDay> for Day {
    type Error = String;

    fn try_from(written: WrittenDay) -> Result<Self, String> {
        let text = match written {
            WrittenDay::Date(date) => date.to_string(),
            WrittenDay::Text(text) => text,
        };
        Timestamp::end_of_day(&text)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a day: write it like 2027-11-30"))
    }
}

/// A number from 1, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) enum OrOff {
    Number(u32),
    Off,
}

impl OrOff {
    pub(super) fn number(self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number),
            Self::Off => None,
        }
    }
}

/// A value without regard to its type, so that a wrong one is answered with a correct one.
#[derive(Deserialize)]
#[serde(untagged, expecting = "write one value, like 5, \"35 MB\" or \"4h\"")]
enum Written {
    Number(i64),
    Fraction(f64),
    Switch(bool),
    Word(String),
}

impl Written {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Switch(switch) => switch.to_string(),
            Self::Word(word) => word,
        }
    }
}

/// Types that are written as text: a number without a unit is as wrong as another text.
macro_rules! of_text {
    ($($type:ty),+) => {
        $(impl TryFrom<Written> for $type {
            type Error = String;

            fn try_from(written: Written) -> Result<Self, String> {
                written.text().try_into()
            }
        })+
    };
}

of_text!(ByteSize, Span, SpanOrOff, SizeOrOff);

impl TryFrom<Written> for OrOff {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        match written {
            Written::Number(number) if number >= 1 => u32::try_from(number)
                .map(Self::Number)
                .map_err(|_| "the number is too large"),
            Written::Word(word) if word == "off" => Ok(Self::Off),
            Written::Number(_) | Written::Fraction(_) | Written::Switch(_) | Written::Word(_) => {
                Err("write a number from 1, or \"off\"")
            }
        }
    }
}

/// A length of time, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) enum SpanOrOff {
    Span(Duration),
    Off,
}

impl SpanOrOff {
    pub(super) fn span(self) -> Option<Duration> {
        match self {
            Self::Span(span) => Some(span),
            Self::Off => None,
        }
    }
}

impl TryFrom<String> for SpanOrOff {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        match Span::try_from(text) {
            Ok(span) if span.0.is_zero() => Err("must be more than 0; or write \"off\"".to_owned()),
            Ok(span) => Ok(Self::Span(span.0)),
            Err(wrong) => Err(format!("{wrong}, or \"off\"")),
        }
    }
}

/// A size from 1 byte, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) enum SizeOrOff {
    Bytes(u64),
    Off,
}

impl SizeOrOff {
    pub(super) fn bytes(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Off => None,
        }
    }
}

impl TryFrom<String> for SizeOrOff {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        match ByteSize::try_from(text)? {
            ByteSize(0) => Err("write a size like \"150 MB\", or \"off\"".to_owned()),
            ByteSize(bytes) => Ok(Self::Bytes(bytes)),
        }
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_unless_they_say_otherwise() {
        let size = |text: &str| ByteSize::try_from(text.to_owned()).map(|size| size.0);

        assert_eq!(size("35 MB"), Ok(35_000_000));
        assert_eq!(size("1KiB"), Ok(1024));
        assert_eq!(size("12 B"), Ok(12));
        for wrong in ["", "35", "MB", "-1 MB", "1.5 MB", "99999999999999 GB"] {
            assert!(size(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_time_may_be_off_and_not_nothing() {
        let span = |text: &str| SpanOrOff::try_from(text.to_owned());

        assert_eq!(span("4h"), Ok(SpanOrOff::Span(Duration::from_secs(14_400))));
        assert_eq!(span("off"), Ok(SpanOrOff::Off));
        assert!(span("0s").is_err() && span("never").is_err());
    }

    #[test]
    fn a_day_ends_before_midnight_and_exists() {
        let day = |text: &str| Day::try_from(WrittenDay::Text(text.to_owned()));

        let end = day("2026-11-21").unwrap().0;
        assert_eq!(end.rfc3339(), "2026-11-21T23:59:59Z");
        for wrong in [
            "",
            "2026-13-01",
            "2026-02-30",
            "26-11-21",
            "2026-11-21T10:00:00",
        ] {
            assert!(day(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_carry_their_unit() {
        let span = |text: &str| Span::try_from(text.to_owned()).map(|span| span.0.as_secs());

        assert_eq!(span("30s"), Ok(30));
        assert_eq!(span("5m"), Ok(300));
        assert_eq!(span("4d"), Ok(345_600));
        for wrong in ["", "30", "s", "1w", "-1s", "999999999d"] {
            assert!(span(wrong).is_err(), "{wrong:?}");
        }
    }
}
