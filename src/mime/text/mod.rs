//! Text in fields and bodies: read in its charset and out of its encoded words, and
//! written by the relay itself, then always ASCII, in lines of moderate length. Nothing
//! here knows fields or parts.

pub(super) mod charset;
mod codepage;
pub(super) mod flowed;
pub(super) mod labels;
pub(super) mod words;

use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;

use self::words::encoded;

/// WSP of RFC 5322. Programs disagree about other blank characters.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// Base64, of which neither padding nor the bits after the last byte are checked.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// RFC 5322 2.1.1 asks for 78, RFC 2047 2 and RFC 2045 6.7 for 76.
const WIDTH: usize = 76;

/// A field's text with its encoded words (RFC 2047) decoded, on one line, and cut after
/// `longest` characters.
pub(super) fn decoded(raw: &str, longest: usize) -> String {
    let unfolded = raw.replace(['\r', '\n'], "");
    let plain = words::read(unfolded.as_bytes(), None).replace(char::is_control, " ");
    let plain = plain.trim();
    match plain.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", plain.get(..end).unwrap_or_default()),
        None => plain.to_owned(),
    }
}

/// A field of free text, folded: `prefix` is ASCII, `text` on one line.
pub fn unstructured(name: &str, prefix: &str, text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return format!(
            "{}\r\n",
            folded(&format!("{name}: {prefix}{text}"), "\r\n ")
        );
    }
    let beginning = format!("{name}: {prefix}");
    format!("{}\r\n {}\r\n", beginning.trim_end(), encoded(text))
}

/// Words in lines of moderate length, with `between` between the lines.
pub fn folded(text: &str, between: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if folded.is_empty() {
            width = length;
        } else if width + 1 + length > WIDTH {
            folded.push_str(between);
            width = between.trim_start_matches(['\r', '\n']).len() + length;
        } else {
            folded.push(' ');
            width += 1 + length;
        }
        folded.push_str(word);
    }
    folded
}

/// A body of CRLF lines in seven bits, with the name of its Content-Transfer-Encoding;
/// unchanged if possible (RFC 2045 2.7).
pub fn seven_bit(body: &[u8]) -> (&'static str, String) {
    /// RFC 5322 2.1.1, without CRLF.
    const LONGEST_LINE: usize = 998;
    let mut lines = body.split(|byte| *byte == b'\n');
    let plain = body.is_ascii() && lines.all(|line| line.len() <= LONGEST_LINE);
    match std::str::from_utf8(body) {
        Ok(text) if plain => ("7bit", text.to_owned()),
        Ok(_) | Err(_) => ("quoted-printable", quoted_printable::encode_to_str(body)),
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::decoders::quoted_printable::quoted_printable_decode;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_encoded_words_are_decoded() {
        for (raw, read) in [
            ("Nightly backup", "Nightly backup"),
            ("=?utf-8?q?gr=C3=BC=C3=9Fe?=", "grüße"),
            ("=?iso-8859-1?Q?M=FCller?= 7", "Müller 7"),
            (
                "=?utf-8?q?a=0D=0ABcc:_eve@example.org?=",
                "a  Bcc: eve@example.org",
            ),
            ("a\u{7}b", "a b"),
            ("", ""),
        ] {
            assert_eq!(decoded(raw, 100), read, "{raw}");
        }
        assert_eq!(decoded("grüße und mehr", 3), "grü...");
    }

    #[test]
    fn a_field_of_free_text_is_ascii_and_folded() {
        assert_eq!(
            unstructured("Subject", "Not delivered: ", "Backup"),
            "Subject: Not delivered: Backup\r\n"
        );
        assert_eq!(
            unstructured("Subject", "Not delivered: ", "Büro"),
            "Subject: Not delivered:\r\n =?utf-8?b?QsO8cm8=?=\r\n"
        );
        assert_eq!(
            unstructured("Subject", "", "=?x"),
            "Subject:\r\n =?utf-8?b?PT94?=\r\n"
        );
        let long = unstructured("Subject", "", &"word ".repeat(40));
        assert!(
            long.trim_end().lines().all(|line| line.len() <= WIDTH),
            "{long}"
        );
        assert!(
            long.trim_end()
                .lines()
                .skip(1)
                .all(|line| line.starts_with(' '))
        );
    }

    #[test]
    fn ascii_text_is_unchanged() {
        let long = |length: usize| format!("{}\r\n", "x".repeat(length));
        for (body, encoding) in [
            ("Subject: =?utf-8?q?a=20?=\r\n\tb\r\n", "7bit"),
            ("gr\u{fc}\u{df}e\r\n", "quoted-printable"),
            (&long(997), "7bit"),
            (&long(998), "quoted-printable"),
        ] {
            let (written_as, written) = seven_bit(body.as_bytes());
            assert_eq!(written_as, encoding, "{body}");
            assert_eq!(written == body, encoding == "7bit");
        }
    }

    proptest! {
        #[test]
        fn quoted_printable_is_ascii_in_short_lines_and_reads_back(
            lines in proptest::collection::vec("[ -~äß=\t\r\n]{0,200}", 0..5)
        ) {
            let body = format!("ä {}", lines.join("\r\n"));

            let (encoding, written) = seven_bit(body.as_bytes());

            prop_assert_eq!(encoding, "quoted-printable");
            prop_assert!(written.is_ascii());
            for line in written.split("\r\n") {
                prop_assert!(line.len() <= WIDTH && !line.ends_with([' ', '\t']), "{line}");
            }
            prop_assert_eq!(quoted_printable_decode(written.as_bytes()).unwrap(), body.as_bytes());
        }
    }
}
