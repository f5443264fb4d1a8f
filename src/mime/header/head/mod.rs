//! Finds where the header section of a message begins and ends, in messages as people and
//! devices really send them.
//!
//! RFC 5322 2.1 has fields up to the first empty line. Scripts put other things there,
//! and a program that stops at the first odd line shows header lines and base64 instead
//! of the message, or nothing at all. Therefore:
//!
//! - a byte order mark, empty lines and mbox lines (`From `, `>From `) at the top are
//!   dropped if a header section follows them. Otherwise they are text: somebody wrote
//!   `From boiler 3 alarm`;
//! - a line that is not a field is renamed to `X-Original-Line` if a known field follows
//!   before the first empty line. Otherwise it begins the text, and so does the delimiter
//!   of the parts that Content-Type announces;
//! - lines that only look like fields (`Alarm: zone 3`) are text, unless a known field or
//!   the empty line at the end shows that they are a header section.
//!
//! `known.rs` says which fields are known. Two promises hold: nothing that a person wrote
//! disappears, and a list of blind recipients never becomes visible, because what belongs
//! to a Bcc is neither renamed nor text.
//!
//! To read a header section that the relay has written, or that of a part, use
//! [`Header::split`].

mod known;
mod refold;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use self::known::is_blind;
use self::known::is_evidence;
use self::known::is_of_a_program;
use self::known::is_recognised;
use self::refold::field_of_lines;
use self::refold::goes_on_with;
use self::refold::with_rest_of_word;
use super::boundary::delimiter;
use super::boundary::is_line;
use super::date::is_mbox_date;
use super::field;
use super::field_end;
use super::line_length;
use crate::mime::Field;
use crate::mime::Header;

impl<'a> Header<'a> {
    /// Finds the header section of a received message, with CRLF line ends; `None` if it
    /// does not end within `head` and `head` is not the whole message.
    pub fn of_message(head: &'a [u8], whole: bool) -> Option<Self> {
        let mut header = Self::found(head, whole)?;
        header.guess_charset(head);
        Some(header)
    }

    fn found(head: &'a [u8], whole: bool) -> Option<Self> {
        let top = Top::of(head);
        if let Some(top) = &top {
            let section = Section::read(head, top.end, whole);
            if top.leads_to(&section) {
                let mut header = section.header(head, whole)?;
                header.mbox_line = top.mbox_line;
                header.unclean_top = top.byte_order_mark || top.empty_line;
                return Some(header);
            }
        }
        Section::read(head, 0, whole).header(head, whole)
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The new field name for lines that are not fields.
const LINE: &str = "X-Original-Line";
/// The new field name for the lines of a rewritten Subject.
const SUBJECT: &str = "X-Original-Subject";

/// What comes before the first field.
#[derive(Debug, Default)]
struct Top {
    /// The offset of the next line.
    end: usize,
    byte_order_mark: bool,
    empty_line: bool,
    mbox_line: bool,
    /// Whether an mbox line has no date, so that only the following fields show what it
    /// is.
    undated: bool,
}

impl Top {
    fn of(head: &[u8]) -> Option<Self> {
        let mut top = Self::default();
        loop {
            let rest = head.get(top.end..).unwrap_or_default();
            if rest.starts_with(BYTE_ORDER_MARK) && !top.byte_order_mark {
                top.byte_order_mark = true;
                top.end += BYTE_ORDER_MARK.len();
                continue;
            }
            let Some(length) = line_length(rest) else {
                break;
            };
            let line = rest.get(..length).unwrap_or_default();
            if line.trim_ascii().is_empty() {
                // `From boiler 3 alarm` and an empty line are a text.
                if top.undated {
                    return None;
                }
                top.empty_line = true;
            } else if is_mbox_line(line) {
                top.mbox_line = true;
                top.undated |= !is_mbox_date(&String::from_utf8_lossy(line));
            } else {
                break;
            }
            top.end += length;
        }
        (top.end > 0).then_some(top)
    }

    /// Whether a header section begins here, with this before it.
    fn leads_to(&self, section: &Section<'_>) -> bool {
        let fields = || section.units.iter().map_while(Unit::field);
        let is_dated = self.mbox_line && !self.undated;
        fields().any(is_evidence) || (is_dated && fields().any(is_recognised))
    }
}

/// As mail programs write it at the top of each message in a file of many, and in its
/// quoted form.
fn is_mbox_line(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    line.get(quotes..).is_some_and(is_from_line)
}

/// Whether it is a `From ` of mbox and not a field: RFC 5322 4.5 allows blanks before the
/// colon.
pub(in crate::mime) fn is_from_line(line: &[u8]) -> bool {
    let behind = line.strip_prefix(b"From ").map(<[u8]>::trim_ascii_start);
    behind.is_some_and(|text| !text.starts_with(b":"))
}

/// The lines up to the first empty one.
#[derive(Debug)]
struct Section<'a> {
    units: Vec<Unit<'a>>,
    end: End,
}

/// A line with its continuation lines, and its position.
#[derive(Debug)]
enum Unit<'a> {
    Field {
        at: usize,
        field: Field<'a>,
        /// The lines that came in, if the field is rewritten.
        original: Vec<u8>,
    },
    /// It is not a field.
    Stray { at: usize, raw: &'a [u8] },
}

/// How a section ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With an empty line; the offset is that of the line after it.
    EmptyLine(usize),
    /// With the end of the content.
    Content,
    /// It continues beyond the bytes that are there.
    Beyond,
}

impl<'a> Unit<'a> {
    fn field(&self) -> Option<&Field<'a>> {
        match self {
            Self::Field { field, .. } => Some(field),
            Self::Stray { .. } => None,
        }
    }

    fn raw(&self) -> &[u8] {
        match self {
            Self::Field { field, .. } => &field.raw,
            Self::Stray { raw, .. } => raw,
        }
    }

    fn at(&self) -> usize {
        match self {
            Self::Field { at, .. } | Self::Stray { at, .. } => *at,
        }
    }
}

impl<'a> Section<'a> {
    fn read(head: &'a [u8], start: usize, whole: bool) -> Self {
        let mut section = Self {
            units: Vec::new(),
            end: if whole { End::Content } else { End::Beyond },
        };
        let mut at = start;
        loop {
            let rest = head.get(at..).unwrap_or_default();
            let Some(length) = line_length(rest) else {
                // Without a line end it is not a field.
                if whole && !rest.is_empty() {
                    section.units.push(Unit::Stray { at, raw: rest });
                }
                return section;
            };
            if rest.starts_with(b"\r\n") {
                section.end = End::EmptyLine(at + length);
                return section;
            }
            let end = field_end(rest, length);
            // It may continue beyond these bytes.
            if !whole && at + end == head.len() {
                return section;
            }
            section.push(at, rest.get(..end).unwrap_or_default());
            at += end;
        }
    }

    fn push(&mut self, at: usize, raw: &'a [u8]) {
        // `>Bcc:` is a valid field, and everybody would see it.
        let field = field(raw).filter(|field| is_blind(field) || !is_field_of_blind(raw));
        // `https://...` is text.
        let field = field.filter(|field| !field.value.starts_with(b"//"));
        if let Some(field) = field {
            let original = Vec::new();
            self.units.push(Unit::Field {
                at,
                field,
                original,
            });
            return;
        }
        if let Some(Unit::Field {
            field, original, ..
        }) = self.units.last_mut()
        {
            if goes_on_with(field, raw) {
                return;
            }
            if let Some(repaired) = with_rest_of_word(field, raw) {
                if original.is_empty() {
                    original.extend_from_slice(&field.value);
                }
                original.extend_from_slice(raw);
                *field = repaired;
                return;
            }
        }
        self.units.push(Unit::Stray { at, raw });
    }

    /// Decides which of the lines belong to the header section.
    fn header(mut self, head: &'a [u8], whole: bool) -> Option<Header<'a>> {
        let text = self.text();
        if text.is_none() && self.end == End::Beyond {
            return None;
        }
        let behind = match self.end {
            End::EmptyLine(behind) => behind,
            End::Content | End::Beyond => head.len(),
        };
        let rest = head.get(behind..).unwrap_or_default();
        let has_body = !whole || !rest.trim_ascii().is_empty();
        let is_ended = text.is_none() && self.end != End::Content;
        let mut header = Header {
            body: behind,
            ..Header::default()
        };
        if let Some(at) = text {
            header.body = self.units.get(at).map_or(behind, Unit::at);
            self.units.truncate(at);
            header.cut_short = true;
        }
        if self.is_text(text.is_some() || (is_ended && has_body)) {
            return Some(Header {
                cut_short: true,
                ..Header::default()
            });
        }
        // `Subject: x`, `Alarm: zone 3`, and nothing that ends the header section.
        while !is_ended
            && let Some(Unit::Field { at, .. }) = self
                .units
                .pop_if(|unit| unit.field().is_some_and(|field| !is_recognised(field)))
        {
            header.body = at;
            header.cut_short = true;
        }
        header.stray_lines = self.units.iter().any(|unit| unit.field().is_none());
        header.fields = set_aside(self.units);
        Some(header)
    }

    /// The position of the line that begins the text, if that is before the first empty
    /// line.
    fn text(&self) -> Option<usize> {
        if let Some(at) = self.delimiter() {
            return Some(at);
        }
        let is_stray = |unit: &Unit<'_>| unit.field().is_none();
        if !self.units.iter().any(is_stray) {
            return None;
        }
        let mut names = HashSet::new();
        let mut known = None;
        for (at, unit) in self.units.iter().enumerate() {
            let is_known = match unit {
                // After a second one the first proves nothing: it may be a quoted header.
                Unit::Field { field, .. } => {
                    is_evidence(field)
                        && (names.insert(field.name.to_ascii_lowercase()) || is_blind(field))
                }
                Unit::Stray { raw, .. } => is_field_of_blind(raw),
            };
            if is_known {
                known = Some(at);
            }
        }
        // The error message of a script is one line. More lines are the beginning of a
        // text, which may continue with the header of a quoted message.
        let leading = self.units.iter().take_while(|unit| is_stray(unit)).count();
        let mut fields = self.units.iter().filter_map(Unit::field);
        if leading > 1 && !fields.any(is_of_a_program) {
            known = None;
        }
        let from = known.map_or(0, |at| at + 1);
        let behind = self.units.get(from..).unwrap_or_default();
        Some(from + behind.iter().position(is_stray)?)
    }

    /// The position of the line after which the first part begins, which has fields of
    /// its own.
    fn delimiter(&self) -> Option<usize> {
        let mut units = self.units.iter().enumerate();
        let delimiter = units.find_map(|(_, unit)| delimiter(unit.field()?))?;
        let mut behind = units.skip_while(|(_, unit)| !is_line(unit.raw(), &delimiter));
        let (at, _) = behind.next()?;
        // Blind recipients are never text, whatever precedes them.
        let mut behind = behind.filter_map(|(_, unit)| unit.field());
        (!behind.any(is_blind)).then_some(at)
    }

    /// Whether all of it is text. A body is one more reason to take the lines for a
    /// header section, because otherwise nothing would be left to read.
    fn is_text(&self, has_body: bool) -> bool {
        let mut fields = self.units.iter().filter_map(Unit::field);
        let is_header = |field: &Field<'_>| match has_body {
            true => is_recognised(field),
            false => is_evidence(field),
        };
        !self.units.is_empty() && !fields.any(is_header)
    }
}

/// The fields, and which lines were not fields.
fn set_aside(units: Vec<Unit<'_>>) -> Vec<Field<'_>> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let mut lines: Vec<u8> = Vec::new();
    let mut hides = false;
    for unit in units {
        match unit {
            Unit::Field {
                field, original, ..
            } => {
                fields.extend(field_of_lines(LINE, &std::mem::take(&mut lines)));
                hides = is_blind(&field);
                fields.push(field);
                fields.extend(field_of_lines(SUBJECT, &original));
            }
            // Addresses after a Bcc belong to it.
            Unit::Stray { raw, .. } if is_of_blind(raw) || (hides && raw.contains(&b'@')) => {}
            Unit::Stray { raw, .. } => lines.extend_from_slice(raw),
        }
    }
    fields.extend(field_of_lines(LINE, &lines));
    fields
}

/// Whether it would be a field of blind recipients without its stray characters: `>Bcc:
/// a@b`.
fn is_field_of_blind(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return false;
    };
    let name = line.get(..colon).unwrap_or_default().iter();
    let letters = name.filter(|byte| byte.is_ascii_alphabetic());
    let name: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    name == b"bcc" || name == b"resentbcc"
}

/// Whether it names blind recipients, as `Bcc a@b` also does.
fn is_of_blind(line: &[u8]) -> bool {
    let begin = line.get(..3).unwrap_or_default();
    let goes_on = line.get(3).is_some_and(u8::is_ascii_alphanumeric);
    is_field_of_blind(line)
        || (begin.eq_ignore_ascii_case(b"bcc") && !goes_on && line.contains(&b'@'))
}
