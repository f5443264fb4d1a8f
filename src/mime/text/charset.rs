//! Raw 8-bit text in places without a charset: header fields and file names, which old
//! programs write in the charset of the machine.
//!
//! [`guessed_text`] turns such bytes into text: as UTF-8 if they are valid, otherwise in
//! the charset of the message's text part if the bytes fit it, otherwise as windows-1252,
//! which includes Latin-1 and always fits. [`text_charset`] finds the charset of the text
//! part. Both depend only on the bytes of the message, so that every attempt gives the
//! same result.

use std::borrow::Cow;

use encoding_rs::Encoding;
use encoding_rs::WINDOWS_1252;

use super::codepage::CodePage;
use crate::mime::Header;

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

/// How much of the body is searched for the first text part.
const SEARCHED: usize = 64 * 1024;

/// The charset of a message's text: from its own Content-Type, otherwise from that of its
/// first text part. `body` is the body or its beginning.
pub(in crate::mime) fn text_charset(header: &Header<'_>, body: &[u8]) -> Option<Charset> {
    let own = header.all("Content-Type").map(|field| field.value.as_ref());
    let own = own.into_iter().find_map(charset);
    own.or_else(|| {
        let body = body.get(..SEARCHED).unwrap_or(body);
        let lines = body.split(|byte| *byte == b'\n');
        let offsets = lines.scan(0, |next, line| {
            let at = *next;
            *next += line.len() + 1;
            Some((at, line))
        });
        offsets.into_iter().find_map(|(at, line)| {
            let behind_name = value_of(line, b"content-type:")?;
            value_of(behind_name.trim_ascii_start(), b"text/")?;
            charset(folded_field(body.get(at..)?))
        })
    })
}

/// A field with its continuation lines.
fn folded_field(bytes: &[u8]) -> &[u8] {
    let mut breaks = bytes.windows(2);
    let end = breaks.position(|pair| matches!(pair, [b'\n', next] if !b" \t".contains(next)));
    end.and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// What follows a prefix, in any case.
fn value_of<'b>(bytes: &'b [u8], prefix: &[u8]) -> Option<&'b [u8]> {
    let (begins, rest) = bytes.split_at_checked(prefix.len())?;
    begins.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The charset in a Content-Type field, if it is possible for a header field.
fn charset(value: &[u8]) -> Option<Charset> {
    let at = |at: usize| value.get(at..).and_then(|rest| value_of(rest, b"charset"));
    let behind = (0..value.len()).find_map(|start| {
        let behind = at(start)?.trim_ascii_start().strip_prefix(b"=")?;
        Some(behind.trim_ascii_start())
    })?;
    let behind = behind.strip_prefix(b"\"").unwrap_or(behind);
    let is_of_labels = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.:+".contains(byte);
    let label: Vec<u8> = behind.iter().take_while(is_of_labels).copied().collect();
    Charset::of_label(std::str::from_utf8(&label).ok()?)
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
            let field = charset.map(|label| format!("text/plain; charset={label}"));
            let charset = field.and_then(|field| super::charset(field.as_bytes()));
            assert_eq!(guessed_text(bytes, charset), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_charset_is_that_of_the_first_text() {
        let of = |message: &str| {
            let header = Header::split(message.as_bytes(), true).unwrap();
            text_charset(&header, &message.as_bytes()[header.body..])
        };
        for (message, expected) in [
            ("Subject: x\r\n\r\nx", None),
            (
                "Content-Type: text/plain; charset=gb2312\r\n\r\nx",
                Some("GBK"),
            ),
            (
                "content-type: text/html;\r\n\tCharset = \"Shift_JIS\"; x=y\r\n\r\nx",
                Some("Shift_JIS"),
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
                 Content-Type: application/pdf; name=x\r\n\r\n--b\r\n\
                 CONTENT-TYPE:text/plain;\r\n charset=big5\r\n\r\nx\r\n--b--\r\n",
                Some("Big5"),
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
                 Content-Type: text/plain\r\n\r\ncharset=big5\r\n--b--\r\n",
                None,
            ),
            ("Content-Type: text/plain; charset=\r\n\r\nx", None),
            ("Content-Type: text/plain; charset\r\n\r\nx", None),
        ] {
            assert_eq!(
                of(message),
                expected.and_then(Charset::of_label),
                "{message}"
            );
        }
    }
}
