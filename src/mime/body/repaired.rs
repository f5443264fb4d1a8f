//! The header section of a part with lines that are not fields, read as lenient programs
//! do: a parameter whose line is not indented belongs to the field before it, and other
//! odd lines are skipped if a Content- field follows; otherwise the text begins there.
//! The text also begins with the delimiter of the part's own parts.
//!
//! Other programs may read it in another way. So `scan.rs` calls such a part doubtful,
//! and none of it is rewritten.

use crate::mime::Header;
use crate::mime::PartHeaders;
use crate::mime::header::boundary::delimiter;
use crate::mime::header::boundary::is_line;

/// A header section without its odd lines.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mime) struct Repaired {
    /// Its fields with the empty line after them.
    pub(in crate::mime) fields: Vec<u8>,
    /// The position where its body begins.
    pub(in crate::mime) body: usize,
}

/// Reads a header section up to its empty line, or as much of it as is looked at;
/// `None` if it does not end within that and `whole` is not set: that is all of it.
pub(in crate::mime) fn repaired(bytes: &[u8], whole: bool) -> Option<Repaired> {
    let last = last_known_field(bytes);
    let mut fields = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let body = at;
        at += line.len();
        if line == b"\r\n" {
            return Some(Repaired::at(at, fields));
        }
        let is_whole = whole || line.ends_with(b"\n");
        if line.starts_with(b"--") && is_delimiter(&fields, line) {
            return Some(Repaired::at(body, fields));
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A line of blanks neither ends nor continues a field (`header/mod.rs`).
            if !fields.is_empty() && !line.trim_ascii().is_empty() {
                fields.extend_from_slice(line);
            }
        } else if is_field(line) {
            fields.extend_from_slice(line);
        } else if continues(&fields, line) {
            let end = fields.trim_ascii_end().len();
            fields.truncate(end);
            let separator: &[u8] = if fields.ends_with(b";") { b"" } else { b";" };
            fields.extend([separator, b"\r\n ", line].concat());
        } else if last.is_none_or(|last| last < body) && (is_whole || line.len() > LONGEST_LINE) {
            return Some(Repaired::at(body, fields));
        }
    }
    whole.then(|| Repaired::at(at, fields))
}

/// RFC 5322 2.1.1.
const LONGEST_LINE: usize = 998;

impl Repaired {
    fn at(body: usize, mut fields: Vec<u8>) -> Self {
        if !fields.is_empty() && !fields.ends_with(b"\n") {
            fields.extend_from_slice(b"\r\n");
        }
        fields.extend_from_slice(b"\r\n");
        Self { fields, body }
    }

    /// What the part is.
    pub(in crate::mime) fn part_headers(
        &self,
        default: &str,
        charset: Option<&str>,
    ) -> Option<PartHeaders> {
        let header = Header::split(&self.fields, true)?;
        let mut part_headers = PartHeaders::of(&header, default, charset);
        part_headers.ambiguous = true;
        Some(part_headers)
    }
}

/// The position of the last field that describes a part, before the empty line.
fn last_known_field(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut last = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line == b"\r\n" {
            break;
        }
        let name = line.get(..KNOWN.len());
        if name.is_some_and(|name| name.eq_ignore_ascii_case(KNOWN)) && is_field(line) {
            last = Some(at);
        }
        at += line.len();
    }
    last
}

/// RFC 2045 3: the meaningful fields of a part begin with this.
const KNOWN: &[u8] = b"Content-";

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return false;
    };
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    !name.is_empty() && name.iter().all(|byte| is_token(*byte))
}

/// Whether a line delimits the parts of a multipart with these fields.
fn is_delimiter(fields: &[u8], line: &[u8]) -> bool {
    let Some(header) = Header::split(fields, true) else {
        return false;
    };
    let delimiter = header.fields.iter().find_map(delimiter);
    delimiter.is_some_and(|delimiter| is_line(line, &delimiter))
}

/// Whether a line is a parameter of the field before it (RFC 2045 5.1).
fn continues(fields: &[u8], line: &[u8]) -> bool {
    let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let name = line.get(..equals).unwrap_or_default().trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(|byte| is_token(*byte));
    // A line of base64 may look like one.
    let base = name.split(|byte| *byte == b'*').next().unwrap_or_default();
    let is_known = PARAMETERS.iter().any(|it| base.eq_ignore_ascii_case(it));
    is_name && !fields.is_empty() && (is_known || fields.trim_ascii_end().ends_with(b";"))
}

const PARAMETERS: [&[u8]; 5] = [b"filename", b"name", b"charset", b"boundary", b"type"];

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte)
}

/// Whether a header section ends with an empty line.
pub(in crate::mime) fn ends(header: &[u8]) -> bool {
    matches!(
        header,
        b"\r\n" | b"\n" | [.., b'\n', b'\r', b'\n'] | [.., b'\n', b'\n']
    )
}

/// Whether every program reads the same fields.
pub(in crate::mime) fn is_sound(header: &Header<'_>, bytes: &[u8]) -> bool {
    let is_blank = |line: &[u8]| !matches!(line, b"\r\n") && line.trim_ascii().is_empty();
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    header.body == bytes.len()
        && ends(bytes)
        && !header.cut_short
        && !header.mbox_line
        && lines.all(|line| line.ends_with(b"\r\n") && !is_blank(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields, and the text after them.
    fn of(bytes: &str) -> Option<(String, String)> {
        let repaired = repaired(bytes.as_bytes(), false)?;
        let fields = String::from_utf8(repaired.fields).unwrap();
        Some((fields, bytes[repaired.body..].to_owned()))
    }

    #[test]
    fn a_parameter_that_is_not_indented_belongs_to_the_field_before() {
        for line in ["filename=\"a b.pdf\"", "FILENAME*=utf-8''a.pdf", "x-mac=1"] {
            let read = of(&format!(
                "Content-Disposition: attachment;\r\n{line}\r\n\r\n"
            ));

            let fields = format!("Content-Disposition: attachment;\r\n {line}\r\n\r\n");
            assert_eq!(read, Some((fields, String::new())));
        }
        let read = of("Content-Type: application/pdf\r\nname=a.pdf\r\n\r\n");
        let fields = "Content-Type: application/pdf;\r\n name=a.pdf\r\n\r\n".to_owned();
        assert_eq!(read, Some((fields, String::new())));
    }

    #[test]
    fn an_odd_line_is_passed_over_where_a_known_field_follows() {
        for odd in ["base64", "From anna Mon Nov 2", "JVBERi0=", "a b: c", " \t"] {
            let read = of(&format!(
                "Content-ID: <a>\r\n{odd}\r\nContent-Type: a/b\r\n\r\n"
            ));

            let fields = "Content-ID: <a>\r\nContent-Type: a/b\r\n\r\n".to_owned();
            assert_eq!(read, Some((fields, String::new())), "{odd}");
        }
    }

    #[test]
    fn the_body_begins_with_the_delimiter_of_the_first_part() {
        for field in [
            "Content-Type: multipart/mixed; boundary=\"=_b\"\r\n",
            "Content-Type: multipart/mixed;\r\n boundary=\"=_b\";\r\n",
        ] {
            let body = "--=_b \r\nContent-Type: text/html\r\n\r\nHello\r\n";
            let read = of(&format!("{field}{body}"));

            assert_eq!(read, Some((format!("{field}\r\n"), body.to_owned())));
        }
    }

    #[test]
    fn otherwise_the_body_begins_with_the_odd_line() {
        let field = "Content-Transfer-Encoding: base64\r\n";
        for body in [
            "JVBERi0xLjQK\r\nQUJD\r\n",
            "QQ==\r\n",
            "Dear all,\r\nContents: none\r\n",
            &"J".repeat(5000),
        ] {
            let read = of(&format!("{field}{body}"));

            assert_eq!(read, Some((format!("{field}\r\n"), body.to_owned())));
        }
        let text = "Dear all,\r\n\r\nContent-Type: a/b\r\n";
        assert_eq!(of(text), Some(("\r\n".to_owned(), text.to_owned())));
    }

    #[test]
    fn a_header_section_of_fields_alone_does_not_end_before_all_does() {
        for (fields, body) in [
            ("", 0),
            ("Content-ID: <a>\r\n", 17),
            ("Content-ID: <a>\r\nX-A", 17),
            ("X-A: b\r\n c", 10),
        ] {
            assert_eq!(repaired(fields.as_bytes(), false), None);
            let all = repaired(fields.as_bytes(), true).unwrap();
            assert_eq!(all.body, body, "{fields}");
        }
    }
}
