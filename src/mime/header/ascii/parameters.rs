//! The parameters of Content-Type and Content-Disposition in ASCII (RFC 2231).
//!
//! Old programs write file names as raw octets. What those mean is guessed by
//! `text/charset.rs`; reading parameters is left to `header/parameters.rs`.

use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use crate::mime::Field;
use crate::mime::text::BLANKS;

/// An outgoing Content-Type or Content-Disposition.
pub(super) fn parameters(field: &Field<'_>) -> Vec<u8> {
    let said = field.said();
    let mut pieces = Vec::new();
    let mut is_lossy = false;
    for piece in outside_quotes(&said) {
        let piece = piece.trim_matches(BLANKS);
        if piece.is_ascii() {
            pieces.push(piece.to_owned());
            continue;
        }
        let Some((name, value)) = piece.split_once('=').filter(|(name, _)| name.is_ascii()) else {
            is_lossy = true;
            continue;
        };
        let (name, value) = (name.trim_matches(BLANKS), value.trim_matches(BLANKS));
        if name.eq_ignore_ascii_case("boundary") {
            return field.raw.to_vec();
        }
        let value = value.strip_prefix('"').unwrap_or(value);
        let value = value.strip_suffix('"').unwrap_or(value);
        pieces.extend(extended(name, value));
    }
    let mut out = format!("{}: {}\r\n", field.name, pieces.join(";\r\n ")).into_bytes();
    if pieces.is_empty() {
        out.clear();
    }
    if is_lossy {
        out.extend(field.renamed());
    }
    out
}

/// The pieces of a field between semicolons outside quotes.
fn outside_quotes(text: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let mut escaped = false;
    let is_end = |c: char| {
        let is_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if is_quoted && !is_escaped => escaped = true,
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        c == ';' && !is_quoted
    };
    let pieces = text.split(is_end);
    pieces
        .filter(|piece| !piece.trim_matches(BLANKS).is_empty())
        .collect()
}

/// A parameter according to RFC 2231, in pieces if it is long.
fn extended(name: &str, value: &str) -> Vec<String> {
    /// The longest piece, in octets as written.
    const LONGEST: usize = 54;
    let (name, value) = match name.strip_suffix('*') {
        // It begins with its charset, and its ASCII characters are encoded.
        Some(name) => (
            name,
            value.rsplit_once('\'').map_or(value, |(_, value)| value),
        ),
        None => (name, value),
    };
    // `filename*0`: already a piece.
    let longest = if name.contains('*') {
        usize::MAX
    } else {
        LONGEST
    };
    let mut pieces = vec![String::new()];
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        // A backslash within quotes (RFC 5322 3.2.4).
        if c == '\\' && chars.peek().is_some_and(|next| ['"', '\\'].contains(next)) {
            continue;
        }
        let mut octets = [0; 4];
        let written = utf8_percent_encode(c.encode_utf8(&mut octets), ENCODED).to_string();
        match pieces.last_mut() {
            Some(piece) if piece.len() + written.len() <= longest => piece.push_str(&written),
            _ => pieces.push(written),
        }
    }
    if let [only] = pieces.as_slice() {
        let is_first = name.split_once('*').is_none_or(|(_, at)| at == "0");
        let charset = if is_first { "utf-8''" } else { "" };
        return vec![format!("{name}*={charset}{only}")];
    }
    let pieces = pieces.into_iter().enumerate();
    let charset = |at| if at == 0 { "utf-8''" } else { "" };
    pieces
        .map(|(at, piece)| format!("{name}*{at}*={}{piece}", charset(at)))
        .collect()
}

/// RFC 2231 7: everything that is not an attribute-char, and a few of those.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Header;

    fn written(field: &[u8]) -> String {
        let head = [field, b"\r\n\r\n"].concat();
        let header = Header::split(&head, true).unwrap();
        String::from_utf8(parameters(&header.fields[0])).unwrap()
    }

    #[test]
    fn parameters_are_written_by_rfc_2231() {
        for (field, expected) in [
            (
                &b"Content-Type: application/pdf; name=\"\xdcber; 1.pdf\"; x=y"[..],
                "Content-Type: application/pdf;\r\n name*=utf-8''%C3%9Cber%3B%201.pdf;\r\n x=y\r\n",
            ),
            (
                b"Content-Disposition: attachment; filename=\xfc.pdf",
                "Content-Disposition: attachment;\r\n filename*=utf-8''%C3%BC.pdf\r\n",
            ),
            (
                b"Content-Type: text/plain; \xfc",
                "Content-Type: text/plain\r\nX-Original-Content-Type: text/plain; =?utf-8?b?w7w=?=\r\n",
            ),
        ] {
            assert_eq!(written(field), expected);
        }
        let boundary = "Content-Type: multipart/mixed; boundary=\u{fc}\r\n";
        assert_eq!(written(boundary.trim_end().as_bytes()), boundary);
        let long =
            written(format!("Content-Type: a/b; name=\"{}\"", "\u{fc}".repeat(60)).as_bytes());
        assert!(long.contains("name*0*=utf-8''%C3%BC") && long.contains("\r\n name*1*=%C3%BC"));
        assert!(long.lines().all(|line| line.len() <= 76), "{long}");
    }
}
