//! Moments as people read them. What the relay says in sentences has them as RFC 3339 writes them,
//! because log, JSON and terminal have the same sentences; so what a page shows of a sentence that
//! can have a moment passes [`sentence`].

use std::fmt::Display;

/// A moment as people read it, to the second; its RFC 3339 form is in the attribute of its
/// element.
pub(super) fn moment(at: impl Display) -> String {
    let at = at.to_string();
    match at.get(.."2026-12-01T12:00:00".len()) {
        Some(second) if at.ends_with('Z') => format!("{} UTC", second.replace('T', " ")),
        Some(_) | None => at,
    }
}

/// A sentence of the relay, with its moments as people read them. What is part of a longer word,
/// such as of a filter, stays as it is.
pub(super) fn sentence(text: impl Display) -> String {
    let text = text.to_string();
    let words = text.split_inclusive(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        match is_moment(bare) {
            true => word.replacen(bare, &moment(bare), 1),
            false => word.to_owned(),
        }
    });
    words.collect()
}

/// Whether a word is a moment as the relay writes it.
fn is_moment(word: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    word.replace(is_digit, "0") == "0000-00-00T00:00:00Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_a_sentence_are_written_as_people_read_them() {
        for (text, shown) in [
            ("", ""),
            ("It is not sent.", "It is not sent."),
            (
                "It can be sent again until 2026-12-08T12:16:05Z.",
                "It can be sent again until 2026-12-08 12:16:05 UTC.",
            ),
            (
                "The next attempt is in 5 minutes (2026-12-01T10:00:00Z). Wait until \
                 2026-12-01T10:00:00Z: it goes then",
                "The next attempt is in 5 minutes (2026-12-01 10:00:00 UTC). Wait until \
                 2026-12-01 10:00:00 UTC: it goes then",
            ),
            (
                "look for since=2026-12-01T10:00:00Z, 2026-12-01 or 2026-12-01T10:00Z",
                "look for since=2026-12-01T10:00:00Z, 2026-12-01 or 2026-12-01T10:00Z",
            ),
        ] {
            assert_eq!(sentence(text), shown);
        }
    }
}
