//! A message taken apart into its parts (RFC 2045, 2046), as far as must be known
//! to tell what is read from what is attached.
//!
//! The tree is made here; what a part says of itself is read by [`Media`], and what
//! is in it is decoded by `decode/`, as for every other form. `mail-parser`'s own
//! tree descends into attached messages however deep and however encoded they are,
//! so that a small message could end the process; this one never looks into an
//! attached message, and what is nested deeper than [`DEEPEST`] stays in one piece.
//! What cannot be decoded for certain is said to be so, and never guessed.

use std::borrow::Cow;

use memchr::memmem;

use super::flowed::Flowed;
use crate::mime::Disposition;
use crate::mime::Encoding;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::Media;
use crate::mime::body::decode::decoded;
use crate::mime::body::media::Parameters;
use crate::mime::body::repaired::repaired as repaired_fields;
use crate::mime::text::labels;
use crate::mime::text::words;

/// An entity of RFC 2045 2.4: a message or a part of a multipart.
#[derive(Debug)]
pub(in crate::mime) struct Part<'m> {
    /// What it says of itself.
    pub(in crate::mime) media: Media,
    content_type: Parameters,
    /// Header section and body, as they came in.
    pub(in crate::mime) raw: &'m [u8],
    /// The body, still encoded.
    body: &'m [u8],
    /// What a multipart is made of; a leaf has none.
    pub(in crate::mime) children: Vec<Self>,
    /// A multipart too deep to be taken apart.
    pub(in crate::mime) too_deep: bool,
}

/// Writers nest a handful; Exchange Online takes 30 (Exchange Online limits).
const DEEPEST: usize = 30;
/// Each takes far more memory than the line that begins it. Exchange Online takes
/// 250 (Exchange Online limits).
const MOST_PARTS: usize = 1000;

/// What has been seen of a message so far.
struct Reading {
    /// How many parts more it may have.
    room: usize,
    /// The charset of its first text.
    charset: Option<String>,
    /// The boundaries of the multiparts that we are in.
    open: Vec<String>,
}

impl<'m> Part<'m> {
    /// Takes a message with CRLF line ends apart; `None` if it has more parts than
    /// any message that was meant to be read.
    pub(in crate::mime) fn of(message: &'m [u8]) -> Option<Self> {
        let mut reading = Reading {
            room: MOST_PARTS,
            charset: None,
            open: Vec::new(),
        };
        Self::read(message, "text/plain", 0, &mut reading)
    }

    /// A part that is `default` if it does not say what it is.
    fn read(raw: &'m [u8], default: &str, depth: usize, reading: &mut Reading) -> Option<Self> {
        let header = Header::split(raw, true).unwrap_or_default();
        // As `body/structure.rs` reads it.
        let repaired = Some(raw).filter(|_| depth > 0 && header.cut_short);
        let repaired = repaired.and_then(repaired_fields);
        let (header, body) = match &repaired {
            Some(repaired) => {
                let header = Header::split(&repaired.fields, true).unwrap_or_default();
                (header, repaired.body)
            }
            None => (header.clone(), header.body),
        };
        let media = Media::of(&header, default, reading.charset.as_deref());
        if media.is_text() && reading.charset.is_none() {
            reading.charset.clone_from(&media.charset);
        }
        let content_type = header
            .all("Content-Type")
            .find(|field| !field.text().is_empty());
        let mut part = Self {
            too_deep: depth == DEEPEST && media.is_multipart(),
            media,
            content_type: content_type.map(Parameters::of).unwrap_or_default(),
            raw,
            body: raw.get(body..).unwrap_or_default(),
            children: Vec::new(),
        };
        if part.media.is_multipart()
            && !part.too_deep
            && let Some(boundary) = part.content_type.text("boundary")
            && !boundary.trim().is_empty()
        {
            if reading.open.contains(&boundary) {
                // Nobody knows whose delimiters these are.
                part.media.encoding = Encoding::Unknown;
                return Some(part);
            }
            let pieces = pieces(part.body, &boundary, reading.room)?;
            reading.room = reading.room.checked_sub(pieces.len())?;
            let default = part.media.default_within();
            reading.open.push(boundary);
            let children = pieces.into_iter();
            let children = children.map(|raw| Self::read(raw, default, depth + 1, reading));
            part.children = children.collect::<Option<_>>()?;
            reading.open.pop();
        }
        Some(part)
    }

    /// The charset of the first text in it.
    pub(in crate::mime) fn charset(&self) -> Option<&str> {
        if self.media.is_text() {
            return self.media.charset.as_deref();
        }
        self.children.iter().find_map(Self::charset)
    }

    /// Whether it is of this type; `multipart/*` is any multipart.
    pub(in crate::mime) fn is(&self, media_type: &str) -> bool {
        let own = &self.media.content_type;
        match media_type.strip_suffix('*') {
            Some(prefix) => own.starts_with(prefix),
            None => own == media_type,
        }
    }

    /// A parameter of its Content-Type that is one word.
    pub(in crate::mime) fn parameter(&self, name: &str) -> Option<String> {
        self.content_type.word(name)
    }

    /// Whether it says of itself that it is not to be shown (RFC 2183 2.2).
    pub(in crate::mime) fn is_attachment(&self) -> bool {
        self.media.disposition == Disposition::Attachment
    }

    /// The body without its transfer encoding (RFC 2045 6); `None` if it cannot be
    /// told for certain.
    pub(in crate::mime) fn content(&self) -> Option<Cow<'m, [u8]>> {
        if self.media.encoding == Encoding::Identity {
            return Some(Cow::Borrowed(self.body));
        }
        decoded(self.media.encoding, self.body).map(Cow::Owned)
    }

    /// The content as text, without the NULs that no text has and without the line
    /// breaks that are there for old terminals only (RFC 3676). `None` if it cannot
    /// be told for certain.
    pub(in crate::mime) fn text(&self) -> Option<String> {
        let content = self.content()?;
        let text = labels::text(&content, self.media.charset.as_deref())?;
        let text = text.replace('\0', "");
        match Flowed::of(&self.content_type).filter(|_| self.is("text/plain")) {
            Some(flowed) => Some(flowed.unfolded(&text)),
            None => Some(text),
        }
    }
}

/// What a field says to a person: encoded words (RFC 2047) decoded, on one line.
/// `charset` is the one of the message's text.
pub(in crate::mime) fn words(field: &Field<'_>, charset: Option<&str>) -> String {
    let bytes = field.value.iter().copied();
    let unfolded: Vec<u8> = bytes.filter(|byte| !b"\r\n".contains(byte)).collect();
    one_line(&words::read(&unfolded, charset))
}

/// Without control characters, which a field could be forged with.
pub(in crate::mime) fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars()
        .map(clean)
        .collect::<String>()
        .trim()
        .to_owned()
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
        part.children.iter().map(|it| it.text().unwrap()).collect()
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

        assert_eq!(part.children[0].children[0].text().unwrap(), "one");
        assert_eq!(part.children[1].text().unwrap(), "two");
    }

    #[test]
    fn a_multipart_with_the_boundary_of_one_around_it_cannot_be_read_for_certain() {
        let inner = "Content-Type: multipart/alternative; boundary=a\r\n\r\n\
            --a\r\n\r\none\r\n--a--\r\n--a\r\n\r\ntwo\r\n--a--\r\n";
        let message = format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n{inner}");

        let part = Part::of(message.as_bytes()).unwrap();

        assert_eq!(part.children[0].content(), None);
        // One beside another harms nobody.
        let inner =
            "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n";
        let beside =
            format!("Content-Type: multipart/mixed; boundary=a\r\n\r\n{inner}{inner}--a--\r\n");
        let part = Part::of(beside.as_bytes()).unwrap();
        assert_eq!(part.children[1].children[0].text().unwrap(), "one");
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
            let part = Part::of(message.as_bytes()).unwrap();
            let content = part.content()?;
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
    fn of_a_field_with_too_many_parameters_the_first_are_read() {
        let many: String = (0..300_000).map(|n| format!("; a{n}*1=b")).collect();
        let message = format!("Content-Type: text/html; charset=big5{many}; name=x\r\n\r\n");

        let part = Part::of(message.as_bytes()).unwrap();

        assert!(part.is("text/html"));
        assert_eq!(part.media.charset.as_deref(), Some("big5"));
        assert_eq!(part.media.name, None);
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
