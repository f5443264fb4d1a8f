//! Raw 8-bit text in places without a charset: header fields and file names, which old
//! programs write in the charset of the machine.
//!
//! [`guessed_text`] turns such bytes into text: as UTF-8 if they are valid, otherwise in
//! the charset of the message's text part if the bytes fit it, otherwise as windows-1252,
//! which includes Latin-1 and always fits. This depends only on the bytes and the charset,
//! which `header/charset.rs` finds, so that every attempt gives the same result.

use std::borrow::Cow;

use encoding_rs::Encoding;
use encoding_rs::WINDOWS_1252;

use super::codepage::CodePage;

/// A possible charset of raw text, in which ASCII is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mime) enum Charset {
    /// A charset of the Encoding Standard.
    Standard(&'static Encoding),
    /// A code page of DOS.
    Dos(CodePage),
}

impl Charset {
    /// The charset with this name, if it is known and possible for a header field or a
    /// file name: in UTF-16 and ISO-2022-JP, ASCII would change.
    pub(in crate::mime) fn of_label(label: &str) -> Option<Self> {
        let standard = || Encoding::for_label_no_replacement(label.as_bytes());
        let dos = CodePage::of_label(label).map(Self::Dos);
        dos.or_else(|| {
            let standard = standard().filter(|encoding| encoding.is_ascii_compatible());
            standard.map(Self::Standard)
        })
    }

    /// The bytes decoded in it, if they fit.
    fn text(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Standard(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(bytes)
            }
            Self::Dos(page) => Some(Cow::Owned(page.text(bytes))),
        }
    }
}

/// The text of raw bytes; `charset` is that of the message's text part.
pub(in crate::mime) fn guessed_text(bytes: &[u8], charset: Option<Charset>) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let fitting = charset.and_then(|charset| charset.text(bytes));
    fitting.unwrap_or_else(|| WINDOWS_1252.decode_without_bom_handling(bytes).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_are_utf_8_else_the_charset_of_the_text_else_windows_1252() {
        for (bytes, charset, expected) in [
            (&b"plain"[..], Some("shift_jis"), "plain"),
            ("Grüße".as_bytes(), Some("iso-8859-1"), "Grüße"),
            (b"Gr\xfc\xdfe", None, "Grüße"),
            (b"Gr\xfc\xdfe", Some("utf-8"), "Grüße"),
            (b"\x93x\x94 \x80 5", None, "“x” € 5"),
            (b"\x93x\x94 \x80 5", Some("ISO-8859-1"), "“x” € 5"),
            (b"\xb2\xe2\xca\xd4", Some("gb2312"), "测试"),
            (b"\xb2\xe2\xca\xd4", None, "²âÊÔ"),
            (b"\x89\xef\x8bc", Some("shift_jis"), "会議"),
            (b"\xcf\xf0\xe8", Some("windows-1251"), "При"),
            (b"Gr\xfc", Some("gb2312"), "Grü"),
            (b"Gr\xfc\xdf", Some("utf-16"), "Grüß"),
            (b"Gr\xfc\xdf", Some("iso-2022-jp"), "Grüß"),
            (b"Gr\xfc\xdf", Some("x-unknown"), "Grüß"),
            (b"Gr\x81\xe1", Some("IBM437"), "Grüß"),
            (b"", None, ""),
        ] {
            let charset = charset.and_then(Charset::of_label);
            assert_eq!(guessed_text(bytes, charset), expected, "{bytes:?}");
        }
    }
}
