//! Lengths of time as people write and read them: one number and one unit.
//!
//! `1h30m` is refused: relay.toml has one way to write each length.

use std::time::Duration;

struct Unit {
    symbol: &'static str,
    word: &'static str,
    millis: u64,
}

const MILLISECOND: Unit = unit("ms", "millisecond", 1);
const SECOND: Unit = unit("s", "second", 1000);
const MINUTE: Unit = unit("m", "minute", 60 * SECOND.millis);
const HOUR: Unit = unit("h", "hour", 60 * MINUTE.millis);
const DAY: Unit = unit("d", "day", 24 * HOUR.millis);

/// A hundred years keeps every sum within the range of the clock.
const LONGEST: u64 = 100 * 366 * DAY.millis;

const fn unit(symbol: &'static str, word: &'static str, millis: u64) -> Unit {
    Unit {
        symbol,
        word,
        millis,
    }
}

/// Reads a length of time: `30s`, `5m`, `2h`, `4d`, `50ms`.
pub fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, symbol) = text.split_at_checked(digits)?;
    let symbol = symbol.trim_start();
    let unit = [MILLISECOND, SECOND, MINUTE, HOUR, DAY]
        .into_iter()
        .find(|unit| unit.symbol == symbol)?;
    let millis = number.parse::<u64>().ok()?.checked_mul(unit.millis)?;
    (millis <= LONGEST).then(|| Duration::from_millis(millis))
}

/// Writes a length of time for a table or a log: `36h`.
pub fn span(length: Duration) -> String {
    let smallest = match length.as_secs() {
        0 => MILLISECOND,
        _ => SECOND,
    };
    let (number, unit) = measured(length, smallest);
    format!("{number}{}", unit.symbol)
}

/// Writes a length of time for a sentence, at least one second: `36 hours`.
pub fn span_in_words(length: Duration) -> String {
    let (number, unit) = measured(length, SECOND);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {}{plural}", unit.word)
}

/// The largest unit of which there are at least two, otherwise the smallest one, and the
/// number of them.
fn measured(length: Duration, smallest: Unit) -> (u128, Unit) {
    let millis = length.as_millis();
    let unit = [DAY, HOUR, MINUTE]
        .into_iter()
        .find(|unit| millis >= 2 * u128::from(unit.millis))
        .unwrap_or(smallest);
    (millis / u128::from(unit.millis), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_written_in_one_unit() {
        for (seconds, short, words) in [
            (1, "1s", "1 second"),
            (119, "119s", "119 seconds"),
            (60 * 60, "60m", "60 minutes"),
            (36 * 60 * 60, "36h", "36 hours"),
            (48 * 60 * 60, "2d", "2 days"),
        ] {
            let length = Duration::from_secs(seconds);

            assert_eq!(span(length), short);
            assert_eq!(span_in_words(length), words);
            assert!(
                parse_span(short).is_some_and(|read| read == length),
                "{short}"
            );
        }
    }

    #[test]
    fn less_than_a_second_is_shown_only_in_a_table() {
        let length = Duration::from_millis(250);

        assert_eq!(span(length), "250ms");
        assert_eq!(span_in_words(length), "0 seconds");
    }
}
