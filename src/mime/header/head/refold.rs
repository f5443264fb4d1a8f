//! Repairs fields that were broken over lines without the blank that a continuation line
//! needs (RFC 5322 2.2.3), if it is certain how they continue; and makes the field that
//! keeps other lines visible.
//!
//! Two cases are certain: a list of addresses that ends with its separator, before a line
//! with an address; and an unclosed encoded word (RFC 2047) in a Subject, because
//! programs that encode a whole message as quoted-printable cut it like any other long
//! line.

use crate::mime::Field;
use crate::mime::header::well_folded;

/// A Subject longer than this is not joined, because each line requires reading all of
/// it.
const LONGEST_SUBJECT: usize = 4096;

/// Appends the line to the address list in a field, if it certainly belongs to it.
pub(in crate::mime) fn goes_on_with(field: &mut Field<'_>, line: &[u8]) -> bool {
    let is_next = is_open_list(field) && line.contains(&b'@');
    if is_next {
        field.append(&well_folded(line));
    }
    is_next
}

/// The Subject with the rest of an encoded word, if the line certainly is that.
pub(in crate::mime) fn with_rest_of_word<'a>(field: &Field<'a>, line: &[u8]) -> Option<Field<'a>> {
    if !field.is("Subject") || field.raw.len() > LONGEST_SUBJECT {
        return None;
    }
    let before = field.raw.trim_ascii_end();
    let open = open_word(before)?;
    let is_rest = find(line, b"?=").is_some() || line.trim_ascii_end().ends_with(b"=");
    if !is_rest {
        return None;
    }
    // The soft line break of quoted-printable.
    let is_quoted = open.encoding.eq_ignore_ascii_case(&b'q');
    let before = match before.strip_suffix(b"=") {
        Some(before) if is_quoted => before,
        Some(_) | None => before,
    };
    let mut joined = [before, line].concat();
    // Readers see no encoded word where it contains blanks (RFC 2047 2).
    let text = joined.get_mut(open.text..).unwrap_or_default();
    let end = find(text, b"?=").unwrap_or(text.len());
    let text = text.get_mut(..end).unwrap_or_default();
    for byte in text.iter_mut().filter(|byte| **byte == b' ') {
        *byte = b'_';
    }
    Field::of_raw(field.name, joined)
}

/// A field with this name that keeps lines visible; none if there are no lines.
pub(in crate::mime) fn field_of_lines<'a>(name: &'a str, lines: &[u8]) -> Option<Field<'a>> {
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines.filter(|line| !line.trim_ascii().is_empty()).collect();
    if lines.is_empty() {
        return None;
    }
    let mut raw = [name.as_bytes(), b":"].concat();
    for line in lines {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            raw.push(b' ');
        }
        raw.extend_from_slice(line);
    }
    Field::of_raw(name, raw)
}

/// Whether it is an unfinished list of addresses.
fn is_open_list(field: &Field<'_>) -> bool {
    let names = ["To", "Cc", "Bcc", "Resent-Bcc"];
    let text = field.value.trim_ascii_end();
    names.iter().any(|name| field.is(name)) && (text.ends_with(b",") || text.ends_with(b";"))
}

struct OpenWord {
    encoding: u8,
    /// The position where its text begins.
    text: usize,
}

/// The unclosed encoded word at the end of a field.
fn open_word(raw: &[u8]) -> Option<OpenWord> {
    let mut at = 0;
    loop {
        let rest = raw.get(at..)?;
        let begin = at + find(rest, b"=?")?;
        let charset = begin + 2;
        let question = charset + raw.get(charset..)?.iter().position(|byte| *byte == b'?')?;
        let [encoding, b'?'] = raw.get(question + 1..question + 3)? else {
            return None;
        };
        let text = question + 3;
        match find(raw.get(text..)?, b"?=") {
            Some(end) => at = text + end + 2,
            None => {
                let encoding = *encoding;
                return Some(OpenWord { encoding, text });
            }
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Header;

    fn repaired(first: &str, second: &str) -> Option<String> {
        let (first, second) = (format!("{first}\r\n"), format!("{second}\r\n"));
        let mut header = Header::split(first.as_bytes(), true).unwrap();
        let mut field = header.fields.remove(0);
        if !goes_on_with(&mut field, second.as_bytes()) {
            field = with_rest_of_word(&field, second.as_bytes())?;
        }
        assert!(field.raw.ends_with(&field.value));
        Some(String::from_utf8(field.raw.into_owned()).unwrap())
    }

    #[test]
    fn a_line_is_joined_only_if_it_certainly_belongs_to_the_field() {
        for (first, second, joined) in [
            ("To: a@b.c,", "d@e.f", "To: a@b.c,\r\n d@e.f\r\n"),
            ("Bcc: a@b.c;", "D <d@e.f>", "Bcc: a@b.c;\r\n D <d@e.f>\r\n"),
            (
                "Subject: =?UTF-8?Q?Neue Meldung aus Musters=",
                "tadt?=",
                "Subject: =?UTF-8?Q?Neue_Meldung_aus_Musterstadt?=\r\n",
            ),
            (
                "Subject: =?utf-8?B?w7w=?= =?utf-8?B?w7",
                "w=?= x y",
                "Subject: =?utf-8?B?w7w=?= =?utf-8?B?w7w=?= x y\r\n",
            ),
        ] {
            assert_eq!(repaired(first, second).as_deref(), Some(joined), "{first}");
        }
        for (first, second) in [
            ("To: a@b.c", "d@e.f"),
            ("To: a@b.c,", "Dear all"),
            ("Reply-To: a@b.c,", "d@e.f"),
            ("Subject: x", "Dear all,"),
            ("Subject: =?utf-8?Q?x?=", "y?="),
            ("Subject: =?utf-8?Q?x", "Dear all,"),
            ("X: =?utf-8?Q?x=", "y?="),
        ] {
            assert_eq!(repaired(first, second), None, "{first}");
        }
    }

    #[test]
    fn lines_become_one_folded_field() {
        let field = field_of_lines("X-Y", b"one\r\n\ttwo\r\n\x0c\r\nthree: 3\r\n").unwrap();
        assert_eq!(&*field.raw, b"X-Y: one\r\n\ttwo\r\n three: 3\r\n");
        assert!(field_of_lines("X-Y", b"").is_none());
    }
}
