//! A message in memory with its parts, as far as must be known to tell what is read
//! from what is attached.
//!
//! The parts are found by `body/scan.rs`, what each says of itself is read by
//! [`PartHeaders`](crate::mime::PartHeaders), and what is in it is decoded by `body/decode/`,
//! as for every other form. What cannot be decoded for certain is said to be so, and never
//! guessed.

use std::borrow::Cow;
use std::ops::Range;

use crate::mime::Encoding;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::Part;
use crate::mime::Structure;
use crate::mime::body::decode::decoded;
use crate::mime::body::scan::parts_of;
use crate::mime::text::labels;
use crate::mime::text::words;

/// The parts of a message, and what they say.
#[derive(Debug)]
pub(in crate::mime) struct Parts<'m> {
    /// Where they are.
    pub(in crate::mime) structure: Structure,
    body: &'m [u8],
}

impl<'m> Parts<'m> {
    /// Splits a message with CRLF line ends; `None` if it has more parts than any message
    /// meant for people.
    pub(in crate::mime) fn of(header: &Header<'_>, message: &'m [u8]) -> Option<Self> {
        let body = message.get(header.body..).unwrap_or_default();
        let structure = parts_of(header, body);
        (!structure.cut_short).then_some(Self { structure, body })
    }

    /// The charset of the first text.
    pub(in crate::mime) fn charset(&self) -> Option<&str> {
        let mut texts = self
            .structure
            .parts
            .iter()
            .filter(|part| part.part_headers.is_text());
        texts.find_map(|part| part.part_headers.charset.as_deref())
    }

    /// What a part is as a message.
    pub(in crate::mime) fn as_message(&self, part: &Part) -> &'m [u8] {
        self.bytes(&part.as_message())
    }

    /// The body of a part without its transfer encoding (RFC 2045 6); `None` if it
    /// cannot be told for certain.
    pub(in crate::mime) fn content(&self, part: &Part) -> Option<Cow<'m, [u8]>> {
        let body = self.bytes(&part.body);
        if part.part_headers.encoding == Encoding::Identity {
            return Some(Cow::Borrowed(body));
        }
        decoded(part.part_headers.encoding, body).map(Cow::Owned)
    }

    /// The content as text, without NULs and without line breaks that are only for old
    /// terminals (RFC 3676). `None` if it is not certain.
    pub(in crate::mime) fn text(&self, part: &Part) -> Option<String> {
        let content = self.content(part)?;
        let text = labels::text(&content, part.part_headers.charset.as_deref())?;
        let text = text.replace('\0', "");
        let is_plain = part.part_headers.content_type == "text/plain";
        match part.part_headers.flowed.filter(|_| is_plain) {
            Some(flowed) => Some(flowed.unfolded(&text)),
            None => Some(text),
        }
    }

    fn bytes(&self, range: &Range<u64>) -> &'m [u8] {
        let [start, end] = [range.start, range.end].map(usize::try_from);
        let range = start.and_then(|start| Ok(start..end?));
        range.map_or(&[], |range| self.body.get(range).unwrap_or_default())
    }
}

/// The readable text of a field: encoded words (RFC 2047) decoded, on one line. `charset`
/// is that of the message's text.
pub(in crate::mime) fn words(field: &Field<'_>, charset: Option<&str>) -> String {
    let bytes = field.value.iter().copied();
    let unfolded: Vec<u8> = bytes.filter(|byte| !b"\r\n".contains(byte)).collect();
    one_line(&words::read(&unfolded, charset))
}

/// Removes control characters, which could be used to forge a field.
pub(in crate::mime) fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars()
        .map(clean)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
impl<'m> Parts<'m> {
    /// Of a message that can be taken apart.
    pub(super) fn read(message: &'m (impl AsRef<[u8]> + ?Sized)) -> Self {
        let header = Header::split(message.as_ref(), true).unwrap();
        Self::of(&header, message.as_ref()).unwrap()
    }

    /// The message itself.
    pub(super) fn root(&self) -> &Part {
        &self.structure.parts[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the parts without parts, what each says.
    fn texts(message: &str) -> Vec<String> {
        let parts = Parts::read(message);
        let leaves = parts.structure.leaves(parts.root());
        let within = leaves.filter(|part| part.parent.is_some());
        within.map(|part| parts.text(part).unwrap()).collect()
    }

    #[test]
    fn pieces_stand_between_delimiter_lines_alone() {
        for (body, expected) in [
            (
                "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
                &["one", "two"][..],
            ),
            (
                "preamble\r\n--b\r\n\r\none\r\n--b-- \t\r\nepilogue\r\n--b\r\n\r\nx",
                &["one"],
            ),
            ("--b  \r\n\r\none", &["one"]),
            (
                "--b\r\n\r\na --b\r\n --b\r\n--bb\r\n--b-\r\n--b--c\r\n--b--",
                &["a --b\r\n --b\r\n--bb\r\n--b-\r\n--b--c"],
            ),
            ("--b\r\n\r\n\r\n\r\n--b\r\n--b--\r\n", &["\r\n", ""]),
            ("--b\r\n\r\none\r\n--b --\r\n--b--", &["one\r\n--b --"]),
            ("--b\r\nA: b\r\n--b\r\none\r\n--b--", &["", "one"]),
            ("--b--\r\n--b\r\n\r\nx", &[]),
            ("nothing", &[]),
        ] {
            let message = format!("Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n{body}");
            assert_eq!(texts(&message), expected, "{body}");
        }
        let nameless = "Content-Type: multipart/mixed; boundary=\" \"\r\n\r\n--\r\n\r\nx\r\n";
        assert!(texts(nameless).is_empty());
    }

    #[test]
    fn an_outer_delimiter_ends_what_was_left_open() {
        let message = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
            Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\none\r\n--a\r\n\r\ntwo";

        assert_eq!(texts(message), ["one", "two"]);
    }

    #[test]
    fn a_multipart_with_the_boundary_of_one_around_it_cannot_be_read_for_certain() {
        let inner = "Content-Type: multipart/alternative; boundary=a\r\n\r\n\
            --a\r\n\r\none\r\n--a--\r\n--a\r\n\r\ntwo\r\n--a--\r\n";
        let message = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n{inner}");

        let parts = Parts::read(&message);

        assert_eq!(parts.content(&parts.structure.parts[1]), None);
        let long = message.replace("boundary=a", &format!("boundary={}", "a".repeat(201)));
        let parts = Parts::read(&long);
        assert_eq!(parts.content(parts.root()), None);
        // A second one next to another does no harm.
        let inner =
            "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n";
        let beside =
            format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{inner}{inner}--a--\r\n");
        assert_eq!(texts(&beside), ["one", "one"]);
    }

    #[test]
    fn a_boundary_that_is_none_by_the_book_is_followed() {
        for boundary in ["\"b \"", "\"\u{fc}\""] {
            let delimiter = boundary.trim_matches(['"', ' ']);
            let message = format!(
                "Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n\
                 --{delimiter}\r\n\r\none\r\n--{delimiter}--\r\n"
            );

            assert_eq!(texts(&message), ["one"], "{boundary}");
        }
    }

    #[test]
    fn text_is_read_in_its_charset() {
        let text = |fields: &str, body: &[u8]| {
            let message = [fields.as_bytes(), b"\r\n\r\n", body].concat();
            let parts = Parts::read(&message);
            parts.text(parts.root())
        };

        for (fields, body, expected) in [
            (
                "Content-Type: text/plain; charset=utf-8",
                "Zürich".as_bytes(),
                "Zürich",
            ),
            (
                "Content-Type: text/plain; charset=ISO-8859-1",
                b"Z\xfcrich",
                "Zürich",
            ),
            (
                "Content-Type: text/plain; charset=\"windows-1252\"",
                b"5 \x80",
                "5 €",
            ),
            (
                "Content-Type: text/plain; charset=shift_jis",
                b"\x93\xfa\x96\x7b",
                "日本",
            ),
            (
                "Content-Type: text/plain; charset=iso-2022-jp",
                b"\x1b$BF|K\\\x1b(B",
                "日本",
            ),
            (
                "Content-Type: text/plain; charset=iso-8859-15",
                b"\xa4",
                "€",
            ),
            (
                "Content-Type: text/plain; charset=us-ascii",
                "é".as_bytes(),
                "é",
            ),
            ("Content-Type: text/plain; charset=us-ascii", b"\x80", "€"),
            (
                "Content-Type: text/plain; charset=x-unknown",
                b"Z\xfcrich",
                "Zürich",
            ),
            (
                "Content-Type: text/plain; charset='ibm437' (DOS)",
                b"Z\x81rich",
                "Zürich",
            ),
            ("Content-Type: text/plain", "Zürich".as_bytes(), "Zürich"),
            ("Subject: no type", b"Z\xfcrich", "Zürich"),
            ("Subject: nul", b"a\0b", "ab"),
        ] {
            assert_eq!(text(fields, body).as_deref(), Some(expected), "{fields}");
        }
    }

    #[test]
    fn content_is_decoded_or_said_to_be_unreadable() {
        let content = |encoding: &str, body: &str| {
            let message = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}");
            let parts = Parts::read(&message);
            let content = parts.content(parts.root())?;
            Some(String::from_utf8(content.into_owned()).unwrap())
        };

        for (encoding, body, expected) in [
            ("base64", "SGVs\r\nbG8=\r\n", Some("Hello")),
            ("BASE64 ", "SGVsbG8", Some("Hello")),
            ("base64;", "SGVs*bG8=", Some("Hello")),
            ("base64", "SGVsb", None),
            ("quoted-printable", "a=3D=\r\nb \r\n", Some("a=b\r\n")),
            ("Quoted-Printable", "a=?", Some("a=?")),
            ("7bit", "a=3D", Some("a=3D")),
            ("x-uuencode", "begin 644 a", None),
            ("x-unheard-of", "a", None),
        ] {
            let found = content(encoding, body);
            assert_eq!(found.as_deref(), expected, "{encoding} {body}");
        }
    }

    #[test]
    fn a_message_within_is_not_taken_apart_and_depth_is_bounded() {
        let within = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
        let deep: String = (0..100)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
            .collect();

        let parts = Parts::read(&deep);
        let last = parts.structure.parts.last().unwrap();

        assert_eq!(parts.structure.around(last).count(), 50);
        assert!(last.too_deep);
        assert_eq!(Parts::read(&within).structure.parts.len(), 1);
    }

    #[test]
    fn only_the_first_of_too_many_parameters_are_read() {
        let many: String = (0..300_000).map(|n| format!("; a{n}*1=b")).collect();
        let message = format!("Content-Type: text/html; charset=big5{many}; name=x\r\n\r\n");

        let parts = Parts::read(&message);

        let part_headers = &parts.root().part_headers;
        assert_eq!(part_headers.content_type, "text/html");
        assert_eq!(part_headers.charset.as_deref(), Some("big5"));
        assert_eq!(part_headers.name, None);
    }

    #[test]
    fn a_message_of_more_parts_than_any_is_meant_to_have_is_not_taken_apart() {
        let of = |outer: usize, inner: usize| {
            let inner = format!(
                "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
                "--b\r\n".repeat(inner)
            );
            let outer = "--a\r\n".repeat(outer - 1);
            format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{outer}{inner}")
        };

        for (outer, inner, is_read) in [
            (1, 998, true),
            (500, 499, true),
            (500, 500, false),
            (1, 999, false),
            (1, 100_000, false),
            (100_000, 1, false),
        ] {
            let message = of(outer, inner);

            let header = Header::split(message.as_bytes(), true).unwrap();
            let parts = Parts::of(&header, message.as_bytes());

            assert_eq!(parts.is_some(), is_read, "{outer} and {inner}");
        }
        let long = format!("--a\r\nX: {}\r\n\r\n", "x".repeat(16_000)).repeat(100);
        let message = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{long}");
        let header = Header::split(message.as_bytes(), true).unwrap();
        assert!(Parts::of(&header, message.as_bytes()).is_none());
    }
}
