//! Display names (RFC 5322 3.2.5), as the relay writes them before an address: quoted, or
//! as encoded words (RFC 2047).
//!
//! What the relay writes is ASCII, so that it is valid whatever the client said about
//! UTF-8, and every program reads it alike. Valid encoded words stay as they were.
//! Quotes, backslashes and angle brackets, which programs read differently, are never
//! written as such. A name that is too long is left out, because it is not essential and
//! the original field stays visible under another name.

use super::tolerant::readable;
use crate::mime::text::words;
use crate::mime::text::words::encoded;
use crate::mime::text::words::is_encoded;

/// The longest name, in bytes of UTF-8. Longer texts are not names. Written out, this is
/// far below the 998 octets of a line (RFC 5322 2.1.1).
const LONGEST_NAME: usize = 255;
/// The same with its encoding, in quotes and with blanks.
const LONGEST_RAW: usize = 4 * LONGEST_NAME;

/// Rewrites a name from a header field; `None` if there is none or it is too long.
pub(in crate::mime) fn phrase(raw: &str) -> Option<String> {
    if raw.len() > LONGEST_RAW {
        return None;
    }
    if raw.contains("=?") && !raw.contains('"') && raw.len() <= LONGEST_NAME {
        let words: Vec<&str> = raw.split_whitespace().collect();
        let is_sound = |word: &str| is_encoded(word) && is_word_by_the_book(word);
        let is_sound = |word: &&str| is_sound(word) || is_atom(word);
        if !raw.starts_with('.') && words.iter().all(is_sound) {
            return Some(words.join(" "));
        }
    }
    let plain = readable(raw);
    if plain.is_empty() || plain.len() > LONGEST_NAME {
        return None;
    }
    if plain.is_ascii() && !plain.contains(['"', '\\', '<', '>']) && !plain.contains("=?") {
        Some(format!("\"{plain}\""))
    } else {
        Some(encoded(&plain))
    }
}

/// Whether a word of a phrase is not an encoded word, or is one that contains nothing
/// which a reader could take for syntax or that could end a field.
pub(in crate::mime) fn is_word_by_the_book(word: &str) -> bool {
    let syntax = ['(', ')', '<', '>', '@', ',', ';', ':', '"', '[', ']'];
    !word.contains("=?") || !(word.contains(syntax) || says_control(word))
}

/// Whether encoded words in a text, including quoted ones, decode to something that could
/// end a field.
pub(in crate::mime) fn says_control(text: &str) -> bool {
    text.contains("=?") && words::read(text.as_bytes(), None).contains(char::is_control)
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
    fn a_name_is_written_so_that_all_readers_agree() {
        for (raw, written) in [
            ("Zabbix HQ", "\"Zabbix HQ\""),
            ("  Zabbix \t HQ ", "\"Zabbix HQ\""),
            ("\"Doe, John\"", "\"Doe, John\""),
            ("\"a \\\"b\\\" \\\\c\"", "=?utf-8?b?YSAiYiIgXGM=?="),
            ("root@host", "\"root@host\""),
            ("Contoso, Inc.", "\"Contoso, Inc.\""),
            ("a\u{7}b", "\"a b\""),
            ("=?utf-8?q?Doe,_John?=", "\"Doe, John\""),
            (
                "=?utf-8?q?a=22_=3Ce=40f=3E?=",
                "=?utf-8?q?a=22_=3Ce=40f=3E?=",
            ),
            ("=?utf-8?q?a\"_<e@f>?=", "=?utf-8?b?YSIgPGVAZj4=?="),
            ("=?utf-8?q?open", "=?utf-8?b?PT91dGYtOD9xP29wZW4=?="),
            ("\"Scanner", "\"Scanner\""),
            ("Scanner\"", "\"Scanner\""),
            ("Monitor 24\"", "=?utf-8?b?TW9uaXRvciAyNCI=?="),
            ("\"Foo\"Bar", "=?utf-8?b?IkZvbyJCYXI=?="),
            ("John (floor 2 (west))", "\"John (floor 2 (west))\""),
            ("(Cron (the daemon))", "\"Cron (the daemon)\""),
            ("<Scanner>", "\"Scanner\""),
            ("\"DOM\\user\"", "=?utf-8?b?RE9NXHVzZXI=?="),
            ("John \"Q.\" Doe", "\"John Q. Doe\""),
            ("=?utf-8?q?M=C3=BC?= HQ", "=?utf-8?q?M=C3=BC?= HQ"),
            (
                "=?iso-8859-1?Q?M=FC?=  =?utf-8?b?w7w=?=",
                "=?iso-8859-1?Q?M=FC?= =?utf-8?b?w7w=?=",
            ),
            ("\"=?utf-8?q?M=C3=BC?=\"", "=?utf-8?b?TcO8?="),
            ("Büro", "=?utf-8?b?QsO8cm8=?="),
            ("\"Büro, 2\"", "=?utf-8?b?QsO8cm8sIDI=?="),
        ] {
            assert_eq!(phrase(raw).as_deref(), Some(written), "{raw}");
        }
    }

    #[test]
    fn a_name_that_is_empty_or_too_long_is_not_written() {
        for raw in ["", " ", "\"\"", "\u{a0}", "<>", "()", &"x".repeat(256)] {
            assert_eq!(phrase(raw), None, "{raw}");
        }
    }
}
