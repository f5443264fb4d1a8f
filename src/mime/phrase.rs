//! Display names (RFC 5322 3.2.5), as the relay writes them in front of an
//! address: quoted, or as encoded words (RFC 2047).
//!
//! What the relay writes itself is ASCII, so that it is valid whatever the
//! client said about UTF-8; encoded words that came in stay as they were. A name
//! that is not sure is not written at all: it is only a courtesy, and the field
//! that it came in stays visible under another name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// In bytes of UTF-8. Longer ones are no names, and written out this is less
/// than the 998 octets of a line (RFC 5322 2.1.1) by far.
const LONGEST_NAME: usize = 255;
/// In bytes of UTF-8: an encoded word has at most 75 characters (RFC 2047 2).
const ENCODED_AT_ONCE: usize = 45;

/// A name from a header field, written anew; `None` if it is empty or doubtful:
/// it names an address, has a control character or is too long.
pub(super) fn phrase(raw: &str) -> Option<String> {
    if raw.len() > LONGEST_NAME {
        return None;
    }
    if raw.contains("=?") && !raw.contains('"') {
        let words: Vec<&str> = raw.split_whitespace().collect();
        let sure = words.iter().all(|word| is_encoded(word) || is_atom(word));
        return sure.then(|| words.join(" "));
    }
    let plain = unquoted(raw);
    let words = plain.split([' ', '\t']).filter(|word| !word.is_empty());
    let plain = words.collect::<Vec<_>>().join(" ");
    if plain.is_empty() || plain.contains('@') || plain.contains(char::is_control) {
        return None;
    }
    if plain.is_ascii() {
        Some(quoted(&plain))
    } else {
        Some(encoded(&plain))
    }
}

/// Without the quotes and the backslashes within them.
fn unquoted(raw: &str) -> String {
    let mut plain = String::with_capacity(raw.len());
    let mut within = false;
    let mut escaped = false;
    for c in raw.chars() {
        match c {
            _ if escaped => {
                escaped = false;
                plain.push(c);
            }
            '\\' if within => escaped = true,
            '"' => within = !within,
            _ => plain.push(c),
        }
    }
    plain
}

/// RFC 5322 3.2.4.
fn quoted(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// RFC 2047 4.1, one word a line.
pub(super) fn encoded(plain: &str) -> String {
    let mut pieces = vec![String::new()];
    for c in plain.chars() {
        match pieces.last_mut() {
            Some(piece) if piece.len() + c.len_utf8() <= ENCODED_AT_ONCE => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    let word = |piece: String| format!("=?utf-8?b?{}?=", STANDARD.encode(piece));
    let words: Vec<String> = pieces.into_iter().map(word).collect();
    words.join("\r\n ")
}

/// RFC 2047 2, with the characters that it may have in a phrase (5, rule 3).
fn is_encoded(word: &str) -> bool {
    let Some(inside) = word.strip_prefix("=?").and_then(|w| w.strip_suffix("?=")) else {
        return false;
    };
    let parts: Vec<&str> = inside.split('?').collect();
    let [charset, encoding, text] = *parts else {
        return false;
    };
    let made_of = |part: &str, more: &str| {
        part.chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    word.len() <= 75
        && !charset.is_empty()
        && made_of(charset, "-_*.:+")
        && ["b", "q"].contains(&encoding.to_ascii_lowercase().as_str())
        && made_of(text, "!*+-/=_")
}

/// RFC 5322 3.2.3, with the dots that many names have (4.1 obs-phrase).
fn is_atom(word: &str) -> bool {
    let of_atoms = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    word.chars().all(of_atoms) && !word.contains("=?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_name_is_written_so_that_all_read_it() {
        for (raw, written) in [
            ("Zabbix HQ", "\"Zabbix HQ\""),
            ("  Zabbix \t HQ ", "\"Zabbix HQ\""),
            ("\"Doe, John\"", "\"Doe, John\""),
            ("\"a \\\"b\\\" \\\\c\"", "\"a \\\"b\\\" \\\\c\""),
            ("John \"Q.\" Doe", "\"John Q. Doe\""),
            ("=?utf-8?q?M=C3=BC?= HQ", "=?utf-8?q?M=C3=BC?= HQ"),
            (
                "=?iso-8859-1?Q?M=FC?=  =?utf-8?b?w7w=?=",
                "=?iso-8859-1?Q?M=FC?= =?utf-8?b?w7w=?=",
            ),
            ("\"=?utf-8?q?M=C3=BC?=\"", "\"=?utf-8?q?M=C3=BC?=\""),
            ("Büro", "=?utf-8?b?QsO8cm8=?="),
            ("\"Büro, 2\"", "=?utf-8?b?QsO8cm8sIDI=?="),
        ] {
            assert_eq!(phrase(raw).as_deref(), Some(written), "{raw}");
        }
    }

    #[test]
    fn a_doubtful_name_is_not_written() {
        for raw in [
            "",
            " ",
            "\"\"",
            "root@host",
            "\"ceo@contoso.com\"",
            "a\u{7}b",
            "B\u{85}ro",
            "=?utf-8?q?open",
            "=?utf-8?x?a?=",
            "=?utf-8?q?a?b?=",
            "=?utf-8?q?<a>?=",
            "=?utf-8?q?a?=,",
            "=?utf-8?q?a?= (b",
            &"x".repeat(256),
        ] {
            assert_eq!(phrase(raw), None, "{raw}");
        }
    }

    #[test]
    fn encoded_words_are_short_and_cut_between_characters() {
        let written = phrase(&"ü".repeat(60)).unwrap();

        let words: Vec<&str> = written.split("\r\n ").collect();
        assert_eq!(words.len(), 3);
        for word in words {
            assert!(is_encoded(word), "{word}");
            let text = word.trim_start_matches("=?utf-8?b?").trim_end_matches("?=");
            assert!(String::from_utf8(STANDARD.decode(text).unwrap()).is_ok());
        }
    }
}
