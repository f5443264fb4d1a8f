//! Charsets by their labels: those that mail-parser and `encoding_rs` know, and the code
//! pages of DOS (`codepage.rs`). Text without a useful label is guessed by the same rule
//! as raw header fields (`charset.rs`): UTF-8 if it is valid, otherwise the charset of
//! the message's text, otherwise windows-1252.

use encoding_rs::Encoding;
use encoding_rs::UTF_16LE;
use mail_parser::decoders::charsets::map::charset_decoder;

use super::charset::Charset;
use super::charset::guessed_text;
use super::codepage::CodePage;

/// The text of raw bytes; `label` is the charset of the message's text.
pub(in crate::mime) fn guessed(bytes: &[u8], label: Option<&str>) -> String {
    guessed_text(bytes, label.and_then(Charset::of_label)).into_owned()
}

/// The text of bytes with a named charset; `None` if the relay does not know that charset
/// and the bytes certainly are in no other.
///
/// Bytes labelled UTF-8 that contain no UTF-8 character are guessed, because programs use
/// that label without knowing the charset. The same holds for ASCII.
pub(in crate::mime) fn text(bytes: &[u8], label: Option<&str>) -> Option<String> {
    let label = label.unwrap_or_default().trim().to_ascii_lowercase();
    let is_unsaid = UNSAID.contains(&label.as_str()) || label.ends_with("ascii");
    let guess = || guessed(bytes, None);
    let text = match std::str::from_utf8(bytes) {
        _ if is_unsaid && bytes.starts_with(b"\xff\xfe") => UTF_16LE.decode(bytes).0.into_owned(),
        _ if is_unsaid => guess(),
        Ok(text) if UTF_8.contains(&label.as_str()) => text.to_owned(),
        Err(_) if UTF_8.contains(&label.as_str()) => {
            let valid = bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
            match valid {
                true => String::from_utf8_lossy(bytes).into_owned(),
                false => guess(),
            }
        }
        Ok(text) => labelled_text(bytes, &label).unwrap_or_else(|| text.to_owned()),
        Err(_) => labelled_text(bytes, &label)?,
    };
    Some(match text.strip_prefix('\u{feff}') {
        Some(behind) => behind.to_owned(),
        None => text,
    })
}

/// The text of bytes in the charset with this name; `None` if it is unknown.
pub(in crate::mime) fn labelled_text(bytes: &[u8], label: &str) -> Option<String> {
    let known = || Encoding::for_label_no_replacement(label.as_bytes());
    CodePage::of_label(label)
        .map(|page| page.text(bytes))
        .or_else(|| charset_decoder(label.as_bytes()).map(|decode| decode(bytes)))
        .or_else(|| known().map(|encoding| encoding.decode(bytes).0.into_owned()))
}

/// Labels that do not name a charset.
const UNSAID: [&str; 7] = [
    "",
    "unknown",
    "x-unknown",
    "unknown-8bit",
    "8bit",
    "default",
    "none",
];

const UTF_8: [&str; 4] = ["utf-8", "utf8", "utf_8", "utf8mb4"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_in_its_declared_charset() {
        for (bytes, label, expected) in [
            (&b"plain"[..], None, Some("plain")),
            ("Grüße".as_bytes(), None, Some("Grüße")),
            (b"Gr\xfc\xdfe \x80", None, Some("Grüße €")),
            (b"Gr\xfc\xdfe", Some("US-ASCII"), Some("Grüße")),
            (b"Gr\xfc\xdfe", Some("x-unknown"), Some("Grüße")),
            (b"Gr\xfc\xdfe", Some("utf-8"), Some("Grüße")),
            ("\u{feff}Grüße".as_bytes(), Some("UTF8"), Some("Grüße")),
            (b"Gr\xc3\xbc\xff", Some("utf-8"), Some("Grü\u{fffd}")),
            (b"G\0r\0", Some("utf-16le"), Some("Gr")),
            (b"\xff\xfeG\0r\0", None, Some("Gr")),
            (b"Gr\x81\xe1e", Some("IBM437"), Some("Grüße")),
            (b"\xb2\xe2\xca\xd4", Some("gb2312"), Some("测试")),
            (b"\x1b$BF|K\\\x1b(B", Some("iso-2022-jp"), Some("日本")),
            (b"plain", Some("x-nobody"), Some("plain")),
            (b"\xc8A", Some("x-nobody"), None),
        ] {
            assert_eq!(
                text(bytes, label).as_deref(),
                expected,
                "{bytes:?} {label:?}"
            );
        }
    }
}
