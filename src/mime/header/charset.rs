//! The charset of a message's text, in which old programs also write raw 8-bit header
//! fields and file names. It depends only on the bytes of the message; `text/charset.rs`
//! reads by it.

use crate::mime::Header;
use crate::mime::text::charset::Charset;

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
