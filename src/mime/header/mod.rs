//! Splits a header section into fields (RFC 5322 2.2, 2.2.3). `head/` finds the header
//! section of a message that does not follow the standard.

pub(super) mod acting;
pub(super) mod ascii;
pub(super) mod author;
pub(super) mod boundary;
pub(super) mod caption;
mod charset;
mod date;
mod head;
pub(super) mod parameters;
pub(super) mod quirks;
pub(super) mod reserved;

use std::borrow::Cow;
use std::sync::OnceLock;

use self::charset::text_charset;
use self::head::is_from_line;
use self::parameters::is_known_parameter;
use super::List;
use super::addresses;
use super::text::BLANKS;
use super::text::charset::Charset;
use super::text::charset::guessed_text;

/// The fields of a message's header section, and where its body begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// In order.
    pub fields: Vec<Field<'a>>,
    /// The offset of the body in the content.
    pub body: usize,
    /// Whether an mbox `From ` line was at the top.
    pub mbox_line: bool,
    /// Whether a line that is not a field ended it, instead of an empty one.
    pub cut_short: bool,
    /// Whether a byte order mark or empty lines were at the top.
    pub unclean_top: bool,
    /// Whether lines that are not fields were among the fields.
    pub stray_lines: bool,
}

/// One field with its continuation lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written, without blanks before the colon.
    pub name: &'a str,
    /// What follows the colon, with the line end.
    pub value: Cow<'a, [u8]>,
    /// The field as it came in, or in canonical form (see [`Header::split`]).
    pub raw: Cow<'a, [u8]>,
    /// The charset of the message's text, if the field is not UTF-8.
    charset: Option<Charset>,
    /// Its address list, once it was asked for.
    list: OnceLock<Box<List>>,
}

impl<'a> Field<'a> {
    /// Makes a field from bytes that begin with its name and a colon.
    pub(super) fn of_raw(name: &'a str, raw: Vec<u8>) -> Option<Self> {
        let raw = well_folded(&raw).into_owned();
        let value = raw.get(name.len() + 1..)?.to_vec();
        Some(Self {
            name,
            value: Cow::Owned(value),
            raw: Cow::Owned(raw),
            charset: None,
            list: OnceLock::new(),
        })
    }

    /// Appends a line as a continuation line.
    pub(super) fn append(&mut self, line: &[u8]) {
        for bytes in [&mut self.raw, &mut self.value] {
            let bytes = bytes.to_mut();
            bytes.push(b' ');
            bytes.extend_from_slice(line);
        }
        self.list.take();
    }
}

impl Field<'_> {
    /// Whether the field has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value without folding and surrounding blanks, for parsing. Bytes that are not
    /// UTF-8 are read as Latin-1, so that each octet is a character and ASCII stays the
    /// same. [`guess`](Self::guess) turns pieces of it into text.
    pub fn text(&self) -> Cow<'_, str> {
        let around = ['\r', '\n', ' ', '\t'];
        let unfolded = |text: &str| text.replace(['\r', '\n'], "");
        match std::str::from_utf8(&self.value) {
            Ok(text) => match text.trim_matches(around) {
                text if text.bytes().any(|byte| b"\r\n".contains(&byte)) => unfolded(text).into(),
                text => text.into(),
            },
            Err(_) => {
                let text: String = self.value.iter().copied().map(char::from).collect();
                unfolded(text.trim_matches(around)).into()
            }
        }
    }

    /// Its address list (RFC 5322 3.4), read when it is first asked for.
    pub fn list(&self) -> &List {
        self.list.get_or_init(|| {
            let list = addresses::read(&self.text());
            Box::new(match self.is_utf8() {
                true => list,
                false => list.guessed(|piece| self.guess(piece)),
            })
        })
    }

    /// The value as a person reads it, without folding and surrounding blanks.
    pub fn said(&self) -> String {
        self.guess(&self.text())
    }

    /// A piece of [`text`](Self::text), decoded in its probable charset.
    pub fn guess(&self, text: &str) -> String {
        let octets = || text.chars().map(|c| u8::try_from(u32::from(c)));
        match octets().collect::<Result<Vec<u8>, _>>() {
            Ok(octets) if !self.is_utf8() => guessed_text(&octets, self.charset).into_owned(),
            Ok(_) | Err(_) => text.to_owned(),
        }
    }

    /// Whether it is ASCII or UTF-8 (RFC 6532).
    pub fn is_utf8(&self) -> bool {
        std::str::from_utf8(&self.value).is_ok()
    }

    /// Whether it has no octet above 127.
    pub fn is_ascii(&self) -> bool {
        self.value.is_ascii()
    }

    /// The field under a name that no program acts on, so that it stays visible: at most
    /// `LONGEST_ASIDE` bytes, in ASCII.
    pub fn renamed(&self) -> Vec<u8> {
        if self.is_ascii() {
            return [
                b"X-Original-",
                self.name.as_bytes(),
                b":",
                &*self.shortened(),
            ]
            .concat();
        }
        let shortened = Field {
            value: self.shortened(),
            ..self.clone()
        };
        ascii::free_text(&format!("X-Original-{}", self.name), &shortened.said())
    }

    /// The value, cut where it is longer than [`LONGEST_ASIDE`].
    fn shortened(&self) -> Cow<'_, [u8]> {
        let Some(begin) = self.value.get(..LONGEST_ASIDE) else {
            return Cow::Borrowed(&self.value);
        };
        let is_gap = |byte: &u8| b", \t\r\n".contains(byte);
        let gap = begin.iter().rposition(is_gap);
        // Not within a UTF-8 character.
        let character = begin.iter().rposition(|byte| byte & 0xc0 != 0x80);
        let cut = gap.filter(|at| *at > LONGEST_ASIDE / 2).or(character);
        let begin = begin.get(..cut.unwrap_or(0)).unwrap_or_default();
        let end = begin.iter().rposition(|byte| !is_gap(byte));
        let kept = begin.get(..end.map_or(0, |at| at + 1)).unwrap_or_default();
        let left = self.value.trim_ascii_end().len() - kept.len();
        let note = format!("\r\n ... ({left} more bytes)\r\n");
        Cow::Owned([kept, note.as_bytes()].concat())
    }
}

/// The most bytes of a renamed value. A list of 2,000 recipients in each part of a split
/// message would be 60 KB, which may exceed a limit of Graph or Exchange.
const LONGEST_ASIDE: usize = 8 * 1024;

impl<'a> Header<'a> {
    /// Splits a header section with CRLF line ends as programs write it; `None` if it
    /// does not end within `head` and `head` is not the whole message. For messages of
    /// clients use [`Header::of_message`].
    ///
    /// Programs read some things differently, and these are settled here, so that Graph
    /// sees what the relay decided about. A line that is neither a field nor a
    /// continuation ends the header section (an empty line is put before it). An mbox
    /// `From ` line at the top is dropped. A continuation line with only blanks, which
    /// some take for the end, is dropped, and so are blanks before the colon, because of
    /// which some programs see no field. A parameter of a Content-Type or
    /// Content-Disposition field that begins a line without a blank, where some programs
    /// end the header section, gets one.
    pub fn split(head: &'a [u8], whole: bool) -> Option<Self> {
        let mut header = Self::of_lines(head, whole)?;
        header.guess_charset(head);
        Some(header)
    }

    /// Sets the charset of the text for fields that are not UTF-8.
    pub(super) fn guess_charset(&mut self, head: &[u8]) {
        if self.fields.iter().any(|field| !field.is_utf8()) {
            let charset = text_charset(self, head.get(self.body..).unwrap_or_default());
            for field in &mut self.fields {
                field.charset = charset;
                field.list.take();
            }
        }
    }

    fn of_lines(head: &'a [u8], whole: bool) -> Option<Self> {
        let mut header = Self::default();
        loop {
            let at = header.body;
            let rest = head.get(at..).unwrap_or_default();
            let Some(length) = line_length(rest) else {
                // An unfinished line: the end of the message, or of the bytes that are
                // there.
                header.cut_short = !rest.is_empty();
                return whole.then_some(header);
            };
            let line = rest.get(..length).unwrap_or_default();
            if line == b"\r\n" {
                header.body += length;
                return Some(header);
            }
            if at == 0 && is_from_line(line) {
                header.mbox_line = true;
                header.body += length;
                continue;
            }
            let end = field_end(rest, length);
            let Some(field) = field(rest.get(..end).unwrap_or_default()) else {
                header.cut_short = true;
                return Some(header);
            };
            // The field may continue beyond these bytes.
            if !whole && at + end == head.len() {
                return None;
            }
            header.fields.push(field);
            header.body += end;
        }
    }

    /// The fields with this name, in any case.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Field<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// Whether there is a To or a Cc field.
    pub fn is_addressed(&self) -> bool {
        self.fields
            .iter()
            .any(|field| field.is("To") || field.is("Cc"))
    }
}

/// The length of the first line with its CRLF.
pub(super) fn line_length(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .map(|at| at + 2)
}

/// The length of a field whose first line has `first` bytes.
pub(super) fn field_end(rest: &[u8], first: usize) -> usize {
    let mut end = first;
    let has_parameters = has_parameters(rest);
    while let Some(next) = rest.get(end..)
        && (matches!(next.first(), Some(b' ' | b'\t')) || (has_parameters && is_parameter(next)))
    {
        match line_length(next) {
            Some(length) => end += length,
            None => return rest.len(),
        }
    }
    end
}

/// Whether a field has parameters (RFC 2045 5.1). Some programs put these at the
/// beginning of a line, without the blank that would make it a continuation.
fn has_parameters(field: &[u8]) -> bool {
    let name = field.split(|byte| *byte == b':').next().unwrap_or_default();
    let name = name.trim_ascii_end();
    ["Content-Type", "Content-Disposition"]
        .iter()
        .any(|own| own.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether a line is such a parameter.
fn is_parameter(line: &[u8]) -> bool {
    let end = line.iter().position(|byte| b"\r\n".contains(byte));
    let line = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
    line.first().is_some_and(u8::is_ascii_alphabetic) && is_known_parameter(line)
}

pub(super) fn field(raw: &[u8]) -> Option<Field<'_>> {
    let colon = raw.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(raw.get(..colon)?).ok()?;
    let name = name.trim_end_matches(BLANKS);
    // RFC 5322 2.2: printable US-ASCII except the colon, all on the first line.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    // Some programs read `To : a@b` as a field and others do not.
    let (raw, colon) = if name.len() == colon {
        (well_folded(raw), colon)
    } else {
        let value = raw.get(colon..)?;
        let closed = [name.as_bytes(), &well_folded(value)].concat();
        (Cow::Owned(closed), name.len())
    };
    let value = match &raw {
        Cow::Borrowed(raw) => Cow::Borrowed(raw.get(colon + 1..)?),
        Cow::Owned(raw) => Cow::Owned(raw.get(colon + 1..)?.to_vec()),
    };
    Some(Field {
        name,
        value,
        raw,
        charset: None,
        list: OnceLock::new(),
    })
}

/// Without continuation lines that contain only blanks, and with a blank before a line
/// that continues the field without one.
pub(super) fn well_folded(raw: &[u8]) -> Cow<'_, [u8]> {
    let is_blank = |line: &[u8]| line.trim_ascii().is_empty();
    let is_folded = |line: &[u8]| line.starts_with(b" ") || line.starts_with(b"\t");
    let mut lines = raw.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    if lines.clone().all(|line| !is_blank(line) && is_folded(line)) {
        return Cow::Borrowed(raw);
    }
    let mut folded = Vec::with_capacity(raw.len() + 8);
    folded.extend_from_slice(first);
    for line in lines.filter(|line| !is_blank(line)) {
        if !is_folded(line) {
            folded.push(b' ');
        }
        folded.extend_from_slice(line);
    }
    Cow::Owned(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(header: &Header<'a>) -> Vec<&'a str> {
        header.fields.iter().map(|field| field.name).collect()
    }

    #[test]
    fn a_very_long_renamed_field_is_cut_between_two_names() {
        let short = "x@example.org,".repeat(580);
        let list: Vec<String> = (0..2000).map(|n| format!("u{n}@example.org")).collect();
        let folded = list.join(",\r\n ");
        let one_line = list.join(",");
        let nowhere = "x".repeat(30_000);
        for value in [&folded, &one_line, &nowhere, &short] {
            let field = format!("To: {value}\r\n\r\n");
            let header = Header::split(field.as_bytes(), true).unwrap();

            let aside = String::from_utf8(header.fields[0].renamed()).unwrap();

            if value == &short {
                assert_eq!(aside, format!("X-Original-To: {value}\r\n"));
                continue;
            }
            let (kept, note) = aside.split_once("\r\n ... (").unwrap();
            let kept = kept.strip_prefix("X-Original-To: ").unwrap();
            let rest = value.strip_prefix(kept).unwrap();
            assert_eq!(note, format!("{} more bytes)\r\n", rest.len()));
            assert!(value == &nowhere || rest.starts_with(','), "{rest}");
            assert!(aside.len() < LONGEST_ASIDE + 60 && kept.len() > LONGEST_ASIDE - 60);
        }
    }

    #[test]
    fn fields_keep_their_bytes() {
        let head = b"Subject: a\r\n b\r\nBCC :x@y\r\nTo:\r\n\tz@y\r\n\r\nbody";
        let header = Header::split(head, true).unwrap();

        assert_eq!(names(&header), ["Subject", "BCC", "To"]);
        assert_eq!(&*header.fields[0].raw, b"Subject: a\r\n b\r\n");
        assert_eq!(&*header.fields[1].raw, b"BCC:x@y\r\n");
        assert_eq!(header.fields[0].text(), "a b");
        assert_eq!(&head[header.body..], b"body");
    }

    #[test]
    fn a_line_that_is_not_a_field_begins_the_body() {
        for (head, fields, body) in [
            (
                &b"Hello\r\nTo: a@b\r\n"[..],
                0,
                &b"Hello\r\nTo: a@b\r\n"[..],
            ),
            (b"\r\nbody", 0, b"body"),
            (b" folded\r\n\r\nx", 0, b" folded\r\n\r\nx"),
            (
                b"To: a@b\r\ngarbage\r\nCc: c@d\r\n",
                1,
                b"garbage\r\nCc: c@d\r\n",
            ),
            (b"To: a@b\r\n", 1, b""),
            (b"", 0, b""),
            (b"no line end", 0, b"no line end"),
            (b": x\r\n", 0, b": x\r\n"),
            (b"Bcc\r\n : a@b\r\n", 0, b"Bcc\r\n : a@b\r\n"),
            (b"Bcc\x0c: a@b\r\n", 0, b"Bcc\x0c: a@b\r\n"),
        ] {
            let header = Header::split(head, true).unwrap();
            assert_eq!(header.fields.len(), fields, "{head:?}");
            assert_eq!(&head[header.body..], body);
            let ended = body.is_empty() || head.starts_with(b"\r\n");
            assert_eq!(header.cut_short, !ended, "{head:?}");
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_read_as_latin_1() {
        let head = b"To: B\xfcro <a@b>\r\nCc: B\xc3\xbcro\r\n\r\n";
        let header = Header::split(head, true).unwrap();

        assert_eq!(header.fields[0].text(), "B\u{fc}ro <a@b>");
        assert_eq!(header.fields[1].text(), "B\u{fc}ro");
        let utf8: Vec<bool> = header.fields.iter().map(Field::is_utf8).collect();
        assert_eq!(utf8, [false, true]);
        assert_eq!(
            header.fields[0].renamed(),
            b"X-Original-To: =?utf-8?b?QsO8cm8=?= <a@b>\r\n"
        );
    }

    #[test]
    fn mbox_lines_and_blank_continuations_are_dropped() {
        let head = b"From root Mon\r\nSubject: a\r\n \t\r\n b\r\nTo: c@d\r\n\r\n";
        let header = Header::split(head, true).unwrap();

        assert!(header.mbox_line && !header.cut_short);
        assert_eq!(names(&header), ["Subject", "To"]);
        assert_eq!(&*header.fields[0].raw, b"Subject: a\r\n b\r\n");
    }

    #[test]
    fn a_truncated_header_section_is_not_taken_for_complete() {
        let head = b"Subject: a\r\nTo: b@c\r\n\r\nbody";

        for cut in 0..head.len() - 5 {
            assert_eq!(Header::split(&head[..cut], false), None, "{cut}");
        }
        assert!(Header::split(&head[..head.len() - 4], false).is_some());
    }
}
