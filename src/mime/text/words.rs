//! Encoded words (RFC 2047) as they really arrive: without padding, in either alphabet of
//! base64, cut within a character or within a group of letters, next to raw 8-bit text.
//! One reader for subjects, display names and file names, and one writer.

use base64::Engine;
use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;

use super::BASE64;
use super::labels;
use super::labels::guessed;

/// The text of a field or a parameter, with its lines joined. The charset of raw 8-bit
/// text is guessed; `charset` is that of the message's text part. Text that only
/// resembles an encoded word is unchanged.
pub(in crate::mime) fn read(mut bytes: &[u8], charset: Option<&str>) -> String {
    let mut read = String::with_capacity(bytes.len());
    let mut run = Run::default();
    let mut plain = 0;
    while let Some(at) = memchr::memmem::find(bytes.get(plain..).unwrap_or_default(), b"=?") {
        let start = plain + at;
        let Some((word, length)) = bytes.get(start..).and_then(Word::at) else {
            plain = start + 2;
            continue;
        };
        let before = bytes.get(..start).unwrap_or_default();
        bytes = bytes.get(start + length..).unwrap_or_default();
        plain = 0;
        // RFC 2047 6.2: blanks between them are dropped; so are quotes in a name.
        let is_next =
            before.iter().all(|byte| b" \t\r\n\"".contains(byte)) && !run.words.is_empty();
        if !is_next {
            run.finish(&mut read);
            read.push_str(&guessed(before, charset));
        } else if !run.goes_on(&word) {
            run.finish(&mut read);
        }
        run.words.push(word);
    }
    run.finish(&mut read);
    read.push_str(&guessed(bytes, charset));
    read
}

/// Words that are decoded together.
#[derive(Default)]
struct Run<'b> {
    words: Vec<Word<'b>>,
}

impl<'b> Run<'b> {
    fn goes_on(&self, word: &Word<'b>) -> bool {
        let last = self.words.last();
        last.is_none_or(|last| last.charset.eq_ignore_ascii_case(word.charset))
    }

    /// Appends the decoded words and forgets them.
    fn finish(&mut self, read: &mut String) {
        let words = std::mem::take(&mut self.words);
        let Some(charset) = words.first().map(|word| word.charset) else {
            return;
        };
        let text = |bytes: Vec<u8>| {
            let text = labels::text(&bytes, Some(charset));
            text.unwrap_or_else(|| guessed(&bytes, None))
        };
        let each = text(words.iter().flat_map(Word::bytes).collect());
        let is_base64 = words.len() > 1 && words.iter().all(|word| word.is_base64);
        if is_base64 && each.contains(char::REPLACEMENT_CHARACTER) {
            // Cut within a group of letters, although RFC 2047 5 forbids it.
            let letters: Vec<u8> = words.iter().flat_map(|word| word.text).copied().collect();
            let joined = text(of_base64(&letters));
            if !joined.contains(char::REPLACEMENT_CHARACTER) {
                read.push_str(&joined);
                return;
            }
        }
        read.push_str(&each);
    }
}

/// `=?charset?encoding?text?=`
struct Word<'b> {
    charset: &'b str,
    is_base64: bool,
    text: &'b [u8],
}

/// RFC 2047 2 allows 75 characters; real fields contain no longer ones than this.
const LONGEST_WORD: usize = 8 * 1024;

/// The longest registered name of a charset has 45 characters.
const LONGEST_CHARSET: usize = 64;

impl<'b> Word<'b> {
    /// The word at the beginning, and its length.
    fn at(bytes: &'b [u8]) -> Option<(Self, usize)> {
        let inside = bytes.strip_prefix(b"=?")?;
        let head = inside.get(..LONGEST_CHARSET).unwrap_or(inside);
        let (charset, behind) = inside.split_at_checked(memchr::memchr(b'?', head)?)?;
        let charset = std::str::from_utf8(charset).ok()?;
        let is_label = |c: char| c.is_ascii_alphanumeric() || "-_.:+*".contains(c);
        if charset.is_empty() || !charset.chars().all(is_label) {
            return None;
        }
        let [b'?', encoding, b'?', text @ ..] = behind else {
            return None;
        };
        let is_base64 = match encoding.to_ascii_lowercase() {
            b'b' => true,
            b'q' => false,
            _ => return None,
        };
        let most = text.get(..LONGEST_WORD).unwrap_or(text);
        let length = memchr::memmem::find(most, b"?=")?;
        let text = text.get(..length)?;
        let word = Self {
            // RFC 2231 5: a language may follow it.
            charset: charset.split('*').next().unwrap_or_default(),
            is_base64,
            text,
        };
        Some((word, 2 + charset.len() + 3 + length + 2))
    }

    fn bytes(&self) -> Vec<u8> {
        if self.is_base64 {
            return of_base64(self.text);
        }
        let mut bytes = Vec::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            match (byte, behind) {
                (b'_', _) => bytes.push(b' '),
                (b'=', [high, low, after @ ..]) => match escaped(*high, *low) {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = after;
                    }
                    None => bytes.push(b'='),
                },
                _ => bytes.push(*byte),
            }
        }
        bytes
    }
}

/// Decodes base64 in either alphabet. Each run of letters up to padding is complete in
/// itself; what is neither a letter nor padding is skipped.
fn of_base64(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    for run in text.split(|byte| *byte == b'=') {
        let mut letters: Vec<u8> = run.iter().copied().filter_map(letter).collect();
        // A single one makes no byte.
        if letters.len() % 4 == 1 {
            letters.pop();
        }
        let done = BASE64.decode_vec(&letters, &mut decoded);
        debug_assert!(done.is_ok(), "only letters, and no single one");
    }
    decoded
}

/// A letter of base64, in the alphabet of RFC 2045 6.8.
fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'+' | b'-' => Some(b'+'),
        b'/' | b'_' => Some(b'/'),
        _ => byte.is_ascii_alphanumeric().then_some(byte),
    }
}

/// Two hexadecimal digits.
pub(in crate::mime) fn escaped(high: u8, low: u8) -> Option<u8> {
    let [high, low] = [high, low].map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// RFC 2047 4.1, one word a line.
pub(in crate::mime) fn encoded(plain: &str) -> String {
    let mut written = String::new();
    // The first word follows the blank of a folded line, like all others.
    let mut writer = EmailWriter::new(&mut written, 1, 0, false);
    // Writing to a String cannot fail.
    let _taken = rfc2047::encode(plain, &mut writer);
    drop(writer);
    written
}

/// RFC 2047 2, with the characters that it may have in a phrase (5, rule 3).
pub(in crate::mime) fn is_encoded(word: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encoded_words_are_read_as_they_arrive() {
        for (raw, expected) in [
            (&b"plain"[..], "plain"),
            (b"=?utf-8?q?Z=C3=BCrich?= now", "Zürich now"),
            (b"to =?utf-8?Q?Z=c3=bcrich?=", "to Zürich"),
            // Base64 without padding, in the other alphabet, with blanks.
            (b"=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),
            (b"=?utf-8?B?R3LDvMOf ZQ==?=", "Grüße"),
            (b"=?utf-8?B?w7_Dvg==?=", "ÿþ"),
            (b"=?utf-8?B?R3LDvA==w59l?=", "Grüße"),
            (b"=?UTF8?B?R3LDvMOfZQ==?=", "Grüße"),
            // Blanks between words are dropped, those around them are not.
            (b"=?utf-8?q?a?= =?utf-8?q?b?= c =?utf-8?q?d?=", "ab c d"),
            (b"=?utf-8?q?a_?=\t=?utf-8?q?b?=", "a b"),
            (b"=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
            (b"=?utf-8?B?w7w=?= =?shift_jis?B?k/o=?=", "ü日"),
            // Cut within a character, and within a group of letters.
            (b"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC?=", "Grü"),
            (b"=?utf-8?B?R3LD?= =?UTF-8?B?vMOfZQ==?=", "Grüße"),
            (b"=?utf-8?B?R3LDvM?= =?utf-8?B?OfZQ==?=", "Grüße"),
            (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
            // Charsets with unregistered names.
            (b"=?ibm437?B?R3KB4WU=?=", "Grüße"),
            (b"=?iso-8859-1*de?Q?B=FCro?=", "Büro"),
            (b"=?x-nobody-knows?Q?B=FCro?=", "Büro"),
            (b"=?utf-8?Q?B=FCro?=", "Büro"),
            // Not encoded words, or not quite.
            (b"=?utf-8?q?open", "=?utf-8?q?open"),
            (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
            (b"=? ?q?a?= =?utf-8?q?b?=", "=? ?q?a?= b"),
            (b"=?utf-8?q?a=ZZ=?=", "a=ZZ="),
            (b"=?utf-8?q??=", ""),
            (b"a =? b ?=", "a =? b ?="),
            // Next to raw text.
            (b"B\xfcro =?utf-8?q?=C3=BC?=", "Büro ü"),
            ("Büro =?utf-8?q?=C3=BC?=".as_bytes(), "Büro ü"),
        ] {
            assert_eq!(read(raw, None), expected, "{}", raw.escape_ascii());
        }
        assert_eq!(read(b"\xb2\xe2\xca\xd4.pdf", Some("gb18030")), "测试.pdf");
    }

    #[test]
    fn encoded_words_are_short_and_cut_between_characters() {
        let written = encoded(&"ü".repeat(60));

        let words: Vec<&str> = written.split("\r\n ").collect();
        assert_eq!(words.len(), 3);
        for word in words {
            assert!(is_encoded(word), "{word}");
            let text = word.trim_start_matches("=?utf-8?b?").trim_end_matches("?=");
            assert!(String::from_utf8(STANDARD.decode(text).unwrap()).is_ok());
        }
    }

    proptest! {
        #[test]
        fn text_that_was_encoded_is_read_back(text in "\\PC{0,40}", plain in "[a-z ]{0,9}") {
            let encoded = encoded(&text);

            let raw = format!("{plain}. {}", encoded.replace("\r\n", ""));

            prop_assert_eq!(read(raw.as_bytes(), None), format!("{plain}. {text}"));
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..60), pieces in "(=\\?|\\?=|\\?[bq]\\?|utf-8|[a-z=_]){0,20}") {
            read(&[pieces.as_bytes(), &bytes].concat(), Some("utf-16"));
            let from_pieces = read(pieces.as_bytes(), None);
            prop_assert!(from_pieces.len() <= pieces.len() * 4);
        }
    }
}
