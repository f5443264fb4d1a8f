//! A message taken apart into its parts (RFC 2045, 2046), as far as must be known
//! to tell what is read from what is attached.
//!
//! The tree is made here, and what is in a part is decoded by `mail-parser`. That
//! crate's own tree descends into attached messages however deep and however
//! encoded they are, so that a small message could end the process; this one
//! never looks into an attached message, and what is nested deeper than
//! [`DEEPEST`] stays in one piece. Nothing fails: what cannot be decoded is what
//! it is.

use std::borrow::Cow;

use mail_parser::ContentType;
use mail_parser::HeaderValue;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;
use memchr::memmem;

use super::Field;
use super::Header;

/// An entity of RFC 2045 2.4: a message or a part of a multipart.
#[derive(Debug)]
pub(super) struct Part<'m> {
    header: Header<'m>,
    /// Header section and body, as they came in.
    pub(super) raw: &'m [u8],
    /// The body, still encoded.
    body: &'m [u8],
    content_type: Option<ContentType<'static>>,
    disposition: Option<ContentType<'static>>,
    /// What a multipart is made of; a leaf has none.
    pub(super) children: Vec<Self>,
    /// A multipart too deep to be taken apart.
    pub(super) too_deep: bool,
}

/// Writers nest a handful; Exchange Online takes 30 (Exchange Online limits).
const DEEPEST: usize = 30;
/// Each takes far more memory than the line that begins it. Exchange Online takes
/// 250 (Exchange Online limits).
const MOST_PARTS: usize = 1000;
/// In bytes. File names need a few hundred; the time that reading takes grows with
/// the square of it.
const LONGEST_PARAMETERS: usize = 16 * 1024;
/// What mail without a charset, and not in UTF-8, is written in.
const OLD_CHARSET: &[u8] = b"windows-1252";

impl<'m> Part<'m> {
    /// Takes a message with CRLF line ends apart; `None` if it has more parts than
    /// any message that was meant to be read.
    pub(super) fn of(message: &'m [u8]) -> Option<Self> {
        let mut room = MOST_PARTS;
        Self::read(message, 0, &mut room)
    }

    /// With no more parts within it than there is `room` for.
    fn read(raw: &'m [u8], depth: usize, room: &mut usize) -> Option<Self> {
        let header = Header::split(raw, true).unwrap_or_default();
        let body = raw.get(header.body..).unwrap_or_default();
        let mut part = Self {
            content_type: parameters(&header, "Content-Type"),
            disposition: parameters(&header, "Content-Disposition"),
            header,
            raw,
            body,
            children: Vec::new(),
            too_deep: depth == DEEPEST,
        };
        part.too_deep &= part.is("multipart/*");
        if part.is("multipart/*")
            && !part.too_deep
            && let Some(boundary) = part.parameter("boundary")
            && !boundary.trim().is_empty()
        {
            let pieces = pieces(body, boundary, *room)?;
            *room = room.checked_sub(pieces.len())?;
            let children = pieces.into_iter();
            let children = children.map(|raw| Self::read(raw, depth + 1, room));
            part.children = children.collect::<Option<_>>()?;
        }
        Some(part)
    }

    /// Its first field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&Field<'m>> {
        self.header.fields.iter().find(|field| field.is(name))
    }

    /// Type and subtype in lower case (RFC 2045 5.2: text, where it says nothing).
    pub(super) fn media_type(&self) -> String {
        let Some(content_type) = &self.content_type else {
            return "text/plain".to_owned();
        };
        match content_type.subtype() {
            Some(subtype) => format!("{}/{subtype}", content_type.ctype()).to_ascii_lowercase(),
            None => "application/octet-stream".to_owned(),
        }
    }

    /// Whether it is of this type; `multipart/*` is any multipart.
    pub(super) fn is(&self, media_type: &str) -> bool {
        let own = self.media_type();
        match media_type.strip_suffix('*') {
            Some(prefix) => own.starts_with(prefix),
            None => own == media_type,
        }
    }

    /// A parameter of its Content-Type, decoded (RFC 2231).
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.content_type.as_ref()?.attribute(name)
    }

    /// The name of its file, as whoever wrote it called it.
    pub(super) fn file_name(&self) -> Option<&str> {
        let disposition = self.disposition.as_ref();
        disposition
            .and_then(|it| it.attribute("filename"))
            .or_else(|| self.parameter("name"))
    }

    /// Whether it says of itself that it is not to be shown (RFC 2183 2.2).
    pub(super) fn is_attachment(&self) -> bool {
        let disposition = self.disposition.as_ref();
        disposition.is_some_and(ContentType::is_attachment)
    }

    /// The body without its transfer encoding (RFC 2045 6).
    pub(super) fn content(&self) -> Cow<'m, [u8]> {
        let encoding = self.field("Content-Transfer-Encoding").map(Field::text);
        let decoded = match encoding.unwrap_or_default().to_ascii_lowercase().as_str() {
            "base64" => base64_decode(self.body),
            "quoted-printable" => quoted_printable_decode(self.body),
            _ => None,
        };
        decoded.map_or(Cow::Borrowed(self.body), Cow::Owned)
    }

    /// The content as text, without the NULs that no text has.
    pub(super) fn text(&self) -> String {
        let content = self.content();
        // ASCII is what programs say that know of nothing else.
        let charset = self.parameter("charset");
        let charset = charset.filter(|name| !name.to_ascii_lowercase().ends_with("ascii"));
        let text = match charset.and_then(|name| charset_decoder(name.as_bytes())) {
            Some(decode) => decode(&content),
            None => match (std::str::from_utf8(&content), charset_decoder(OLD_CHARSET)) {
                (Ok(text), _) => text.to_owned(),
                (Err(_), Some(decode)) => decode(&content),
                (Err(_), None) => String::from_utf8_lossy(&content).into_owned(),
            },
        };
        text.replace('\0', "")
    }
}

/// What a field says to a person: encoded words (RFC 2047) decoded, on one line.
pub(super) fn words(field: &Field<'_>) -> String {
    let line = format!("{}\n", field.text());
    let read = MessageStream::new(line.as_bytes()).parse_unstructured();
    read.as_text().map(one_line).unwrap_or_default()
}

/// Without control characters, which a field could be forged with.
pub(super) fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars()
        .map(clean)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// A field with parameters (RFC 2045 5.1, RFC 2183).
fn parameters(header: &Header<'_>, name: &str) -> Option<ContentType<'static>> {
    let text = header.all(name).next()?.text();
    let line = Some(format!("{text}\n")).filter(|line| line.len() <= LONGEST_PARAMETERS)?;
    let read = MessageStream::new(line.as_bytes()).parse_content_type();
    let HeaderValue::ContentType(value) = read.into_owned() else {
        return None;
    };
    Some(value)
}

/// What stands between the delimiter lines (RFC 2046 5.1.1); without one at the
/// end, all to the end is the last piece. `None` if there are more than `most`.
fn pieces<'m>(body: &'m [u8], boundary: &str, most: usize) -> Option<Vec<&'m [u8]>> {
    let delimiter = format!("--{}", boundary.trim_end());
    let mut cuts: Vec<Cut> = Vec::new();
    for at in memmem::find_iter(body, &delimiter) {
        let Some(cut) = Cut::at(body, at, delimiter.len()) else {
            continue;
        };
        let last = cut.last;
        if !last && cuts.len() == most {
            return None;
        }
        cuts.push(cut);
        if last {
            break;
        }
    }
    let ends: Vec<usize> = cuts.iter().skip(1).map(|cut| cut.before).collect();
    let starts = cuts.into_iter().filter(|cut| !cut.last);
    let ends = ends.into_iter().chain([body.len()]);
    let pieces = starts.zip(ends);
    let pieces = pieces.filter_map(|(cut, end)| body.get(cut.behind..end.max(cut.behind)));
    Some(pieces.collect())
}

/// A delimiter line.
struct Cut {
    /// Where the piece before it ends: the line end belongs to the delimiter.
    before: usize,
    /// Where the piece behind it begins.
    behind: usize,
    /// It closes the multipart.
    last: bool,
}

impl Cut {
    /// Whether the line at `at` is nothing but the delimiter.
    fn at(body: &[u8], at: usize, length: usize) -> Option<Self> {
        let (before, rest) = body.split_at_checked(at)?;
        let rest = rest.get(length..)?;
        if !before.is_empty() && !before.ends_with(b"\n") {
            return None;
        }
        let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let tail = rest.get(..line)?.trim_ascii();
        if !tail.is_empty() && tail != b"--" {
            return None;
        }
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        let before = before.strip_suffix(b"\r").unwrap_or(before);
        Some(Self {
            before: before.len(),
            behind: at + length + line,
            last: !tail.is_empty(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(message: &str) -> Vec<String> {
        let part = Part::of(message.as_bytes()).unwrap();
        part.children.iter().map(Part::text).collect()
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

        let part = Part::of(message.as_bytes()).unwrap();

        assert_eq!(part.children[0].children[0].text(), "one");
        assert_eq!(part.children[1].text(), "two");
    }

    #[test]
    fn text_is_read_in_its_charset() {
        let text = |fields: &str, body: &[u8]| {
            let message = [fields.as_bytes(), b"\r\n\r\n", body].concat();
            Part::of(&message).unwrap().text()
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
            ("Content-Type: text/plain", "Zürich".as_bytes(), "Zürich"),
            ("Subject: no type", b"Z\xfcrich", "Zürich"),
            ("Subject: nul", b"a\0b", "ab"),
        ] {
            assert_eq!(text(fields, body), expected, "{fields}");
        }
    }

    #[test]
    fn content_is_decoded_and_stays_as_it_is_where_it_cannot_be() {
        let content = |encoding: &str, body: &str| {
            let message = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}");
            let part = Part::of(message.as_bytes()).unwrap();
            String::from_utf8(part.content().into_owned()).unwrap()
        };

        for (encoding, body, expected) in [
            ("base64", "SGVs\r\nbG8=\r\n", "Hello"),
            ("BASE64 ", "SGVsbG8", "Hello"),
            ("base64", "?!", "?!"),
            ("quoted-printable", "a=3D=\r\nb \r\n", "a=b\r\n"),
            ("Quoted-Printable", "a=?", "a=?"),
            ("7bit", "a=3D", "a=3D"),
            ("x-uuencode", "begin 644 a", "begin 644 a"),
        ] {
            assert_eq!(content(encoding, body), expected, "{encoding} {body}");
        }
    }

    #[test]
    fn a_message_within_is_not_taken_apart_and_depth_is_bounded() {
        let within = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
        let deep: String = (0..100)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
            .collect();

        let mut part = &Part::of(deep.as_bytes()).unwrap();
        let mut depth = 0;
        while let Some(child) = part.children.first() {
            part = child;
            depth += 1;
        }

        assert_eq!(depth, DEEPEST);
        assert!(part.too_deep);
        assert!(Part::of(within.as_bytes()).unwrap().children.is_empty());
    }

    #[test]
    fn a_field_with_too_many_parameters_says_nothing() {
        let many: String = (0..300_000).map(|n| format!("; a{n}*1=b")).collect();
        let few = &many[..1000];
        let html = |parameters: &str| {
            let message = format!("Content-Type: text/html{parameters}\r\n\r\n");
            Part::of(message.as_bytes()).unwrap().is("text/html")
        };

        assert!(html(few));
        assert!(!html(&many));
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
            (1, 999, true),
            (500, 500, true),
            (500, 501, false),
            (1, 1000, false),
            (1, 100_000, false),
            (100_000, 1, false),
        ] {
            let message = of(outer, inner);

            let part = Part::of(message.as_bytes());

            assert_eq!(part.is_some(), is_read, "{outer} and {inner}");
        }
    }
}
