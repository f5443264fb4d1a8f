//! Finds the parts of a message at byte offsets (RFC 2046 5.1) while its body is read, so
//! that for a message of any size only this description is in memory.
//!
//! A line delimits parts if it is exactly a delimiter of a multipart that is open:
//! the innermost first, then those around it, whose delimiters close what was not
//! closed. Where a line is nearly one, where fields are there twice, where a boundary
//! is none of RFC 2046 or a header section does not end, other programs may see
//! something else: such a part is `doubtful`. `split.rs` takes nothing out of a doubtful
//! multipart; the JSON form shows what was found. What is odd beyond measure (see the
//! constants) is doubtful as a whole, and has no JSON form.
//!
//! A message within a message is one part: its own parts are not looked at.

use std::io;

use memchr::memchr;
use memchr::memmem;

use super::decode::Decoder;
use super::decode::Verdict;
use super::references::Seeker;
use super::repaired::ends;
use super::repaired::is_sound;
use super::repaired::repaired;
use crate::mime::Encoding;
use crate::mime::Header;
use crate::mime::Part;
use crate::mime::PartHeaders;
use crate::mime::Reader;
use crate::mime::References;
use crate::mime::Structure;
use crate::mime::header::boundary::LONGEST_BOUNDARY;

/// Multiparts within one another. Writers nest a handful.
const DEEPEST: usize = 50;

/// The most parts, the message itself among them: each takes far more memory than the
/// line that begins it. Exchange Online accepts 250 (Exchange Online limits).
const MOST_PARTS: usize = 1000;

/// The longest header section of a part, in bytes.
const LARGEST_HEADER: usize = 16 * 1024;

/// The most bytes of the header sections of all parts, because each byte costs time.
const LARGEST_HEADERS: usize = 1024 * 1024;

/// The longest delimiter with the blanks that may follow it (RFC 2046 5.1.1).
const LONGEST_LINE: usize = 2 * LONGEST_BOUNDARY;

/// Reads the structure of a message: `header` is its header section, `body` reads
/// its body.
///
/// # Errors
///
/// Those of [`Reader::next`].
pub async fn structure(header: &Header<'_>, mut body: Reader) -> io::Result<Structure> {
    let mut scan = Scan::new(header);
    while let Some(bytes) = body.next().await? {
        scan.feed(&bytes);
    }
    Ok(scan.finish())
}

/// The structure of a message whose body is in memory, where nobody asks for the sizes
/// and the references: they are left out.
pub(in crate::mime) fn parts_of(header: &Header<'_>, body: &[u8]) -> Structure {
    let mut scan = Scan::begun(header, false);
    scan.feed(body);
    scan.finish()
}

/// Finds the parts in a body that comes in pieces.
#[derive(Debug)]
pub(in crate::mime) struct Scan {
    parts: Vec<Part>,
    references: References,
    /// The open multiparts, each within the one before it.
    open: Vec<Open>,
    place: Place,
    /// Bytes that were read, without those held back.
    at: u64,
    at_line_start: bool,
    /// The beginning of a line that may be a delimiter.
    held: Vec<u8>,
    /// The preceding line end, which belongs to a delimiter if one follows.
    line_end: Vec<u8>,
    /// Bytes of header sections so far.
    headers: usize,
    /// The charset of the first text.
    charset: Option<String>,
    /// Bodies are decoded, to know their sizes and what they refer to.
    measures: bool,
    /// Nothing more is looked for.
    gave_up: bool,
}

#[derive(Debug)]
struct Open {
    at: usize,
    /// The part whose end is its next delimiter.
    last: Option<usize>,
}

#[derive(Debug)]
enum Place {
    /// In the header section of the last part, with the bytes read so far.
    Header(Vec<u8>),
    /// In the body of the last part.
    Body {
        decoder: Decoder,
        /// The bytes that were decoded last.
        scratch: Vec<u8>,
        /// Looks for references in it, if it is displayed HTML.
        seeker: Option<Seeker>,
    },
    /// Before or behind the parts of a multipart, or in a body that nobody measures.
    Between,
}

impl Scan {
    pub(in crate::mime) fn new(header: &Header<'_>) -> Self {
        Self::begun(header, true)
    }

    fn begun(header: &Header<'_>, measures: bool) -> Self {
        let mut scan = Self {
            parts: vec![Part::at(0, None, 0)],
            references: References::default(),
            open: Vec::new(),
            place: Place::Between,
            at: 0,
            at_line_start: true,
            held: Vec::new(),
            line_end: Vec::new(),
            headers: 0,
            charset: None,
            measures,
            gave_up: false,
        };
        let mut part_headers = PartHeaders::of(header, "text/plain", None);
        // The first of its fields count (`header/quirks.rs`).
        part_headers.ambiguous = false;
        scan.begin(part_headers);
        scan
    }

    /// Continues with the next piece of the body.
    pub(in crate::mime) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let holds = !self.held.is_empty() || self.may_delimit(bytes);
            let (piece, rest) = bytes.split_at(if holds {
                memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
            } else {
                self.until_a_delimiter(bytes)
            });
            bytes = rest;
            if !holds {
                self.pass(piece);
                continue;
            }
            self.held.extend_from_slice(piece);
            if self.held.ends_with(b"\n")
                || self.held.len() > LONGEST_LINE
                || !may_delimit(&self.held)
            {
                self.line();
            }
        }
    }

    /// Ends all open parts.
    pub(in crate::mime) fn finish(mut self) -> Structure {
        self.end_line();
        self.end_header();
        self.flush();
        self.end_parts(0, self.at, self.at);
        self.end(0, self.at, self.at);
        Structure::of(self.parts, self.references, self.at, self.gave_up)
    }

    /// Whether a delimiter may begin here.
    fn may_delimit(&self, bytes: &[u8]) -> bool {
        self.at_line_start && !self.open.is_empty() && may_delimit(bytes)
    }

    /// How many of these bytes cannot belong to a delimiter.
    fn until_a_delimiter(&self, bytes: &[u8]) -> usize {
        if self.open.is_empty() {
            return bytes.len();
        }
        if matches!(self.place, Place::Header(_)) {
            return memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        }
        match memmem::find(bytes, b"\n--") {
            Some(at) => at + 1,
            None if bytes.ends_with(b"\n-") => bytes.len() - 1,
            None => bytes.len(),
        }
    }

    /// Decides about the line that is held back.
    fn line(&mut self) {
        let line = std::mem::take(&mut self.held);
        match self.delimiter(&line) {
            Some((depth, ends)) => {
                self.end_header();
                let start = self.at;
                self.at += line.len() as u64;
                self.at_line_start = true;
                self.delimit(depth, ends, start);
            }
            None => self.pass(&line),
        }
    }

    /// Which of the open multiparts a line delimits, and whether it closes it.
    fn delimiter(&mut self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?;
        let mut nearly = Vec::new();
        for (depth, open) in self.open.iter().enumerate().rev() {
            let boundary = self.parts.get(open.at)?.part_headers.delimits()?;
            let Some(behind) = text.strip_prefix(boundary.as_bytes()) else {
                continue;
            };
            let is_blank = |text: &[u8]| text.iter().all(|byte| b" \t\r\n".contains(byte));
            if line.len() <= LONGEST_LINE && is_blank(behind) {
                return Some((depth, false));
            }
            let closes = behind.strip_prefix(b"--").is_some_and(is_blank);
            if line.len() <= LONGEST_LINE && closes {
                return Some((depth, true));
            }
            nearly.push(open.at);
        }
        // RFC 2046 5.1.1 allows a program to see a delimiter in any such line.
        for at in nearly {
            if let Some(part) = self.parts.get_mut(at) {
                part.doubtful = true;
            }
        }
        None
    }

    /// Handles a delimiter of an open multipart, which ends at `at`.
    fn delimit(&mut self, depth: usize, closes: bool, start: u64) {
        let end = start - self.line_end.len() as u64;
        self.line_end.clear();
        self.end_parts(depth, end, start);
        self.open.truncate(depth + 1);
        let last = self.parts.len();
        let Some(parent) = self.open.last_mut() else {
            return;
        };
        if closes {
            if let Some(part) = self.parts.get_mut(parent.at) {
                part.closed = true;
            }
            self.open.pop();
        } else if last < MOST_PARTS && self.headers < LARGEST_HEADERS {
            parent.last = Some(last);
            let mut part = Part::at(last, Some(parent.at), start);
            part.header = self.at..self.at;
            self.parts.push(part);
            self.place = Place::Header(Vec::new());
        } else {
            self.give_up();
        }
    }

    /// Handles bytes that are not a delimiter.
    fn pass(&mut self, bytes: &[u8]) {
        self.at += bytes.len() as u64;
        self.at_line_start = bytes.ends_with(b"\n");
        if let Place::Header(header) = &mut self.place {
            header.extend_from_slice(bytes);
            if header.len() > LARGEST_HEADER || ends(header) {
                let header = std::mem::take(header);
                self.header_ended(&header, false);
            }
            return;
        }
        let ends_line = bytes.len() - line_end_of(bytes);
        let (text, line_end) = bytes.split_at(ends_line);
        if text.is_empty() && self.line_end == b"\r" && line_end == b"\n" {
            self.line_end.push(b'\n');
            return;
        }
        self.flush();
        self.decode(text);
        self.line_end.extend_from_slice(line_end);
    }

    /// The line end that was held back does not belong to a delimiter.
    fn flush(&mut self) {
        let line_end = std::mem::take(&mut self.line_end);
        self.decode(&line_end);
    }

    fn decode(&mut self, bytes: &[u8]) {
        if let Place::Body {
            decoder,
            scratch,
            seeker,
        } = &mut self.place
        {
            decoder.feed(bytes, scratch);
            if let Some(part) = self.parts.last_mut() {
                part.decoded += scratch.len() as u64;
            }
            if let Some(seeker) = seeker {
                seeker.feed(scratch, &mut self.references);
            }
            scratch.clear();
        }
    }

    /// A line ends because all has gone by.
    fn end_line(&mut self) {
        if !self.held.is_empty() {
            self.line();
        }
    }

    /// A delimiter or the end of all ends a header section, and what it holds of a body.
    fn end_header(&mut self) {
        while let Place::Header(header) = &mut self.place {
            let header = std::mem::take(header);
            self.header_ended(&header, true);
            self.end_line();
        }
    }

    /// All that is looked at of a header section, or more; `is_all`: nothing follows.
    fn header_ended(&mut self, bytes: &[u8], is_all: bool) {
        let (head, beyond) = bytes.split_at(bytes.len().min(LARGEST_HEADER));
        self.headers += head.len();
        let parent = self.parts.last().and_then(|part| part.parent);
        let parent = parent.and_then(|at| self.parts.get(at));
        let default = parent.map_or("text/plain", |parent| parent.part_headers.default_within());
        let charset = self.charset.as_deref();
        let (part_headers, body) = match Header::split(head, true) {
            Some(header) if is_sound(&header, head) => {
                (PartHeaders::of(&header, default, charset), head.len())
            }
            Some(_) | None => {
                let repaired = repaired(head, is_all && beyond.is_empty());
                let read =
                    repaired.and_then(|it| Some((it.part_headers(default, charset)?, it.body)));
                read.unwrap_or_else(|| (PartHeaders::unknown(), head.len()))
            }
        };
        let (own, rest) = bytes.split_at(body);
        self.at -= rest.len() as u64;
        self.at_line_start = own.is_empty() || own.ends_with(b"\n");
        self.begin(part_headers);
        self.feed(rest);
    }

    /// Begins the body of the last part.
    fn begin(&mut self, mut part_headers: PartHeaders) {
        let too_deep = part_headers.is_multipart() && self.open.len() >= DEEPEST;
        let mut opens =
            part_headers.is_multipart() && part_headers.delimits().is_some() && !too_deep;
        // It is unclear to which multipart these delimiters belong.
        for open in &self.open {
            if let Some(around) = self.parts.get_mut(open.at)
                && opens
                && around.part_headers.delimits() == part_headers.delimits()
            {
                around.doubtful = true;
                opens = false;
            }
        }
        if part_headers.is_multipart() && part_headers.boundary.is_some() && !opens && !too_deep {
            // It cannot be read for certain, and neither can it as a text.
            part_headers.encoding = Encoding::Unknown;
        }
        let at = self.parts.len().saturating_sub(1);
        let Some(part) = self.parts.last_mut() else {
            return;
        };
        if part_headers.is_text() && self.charset.is_none() {
            self.charset.clone_from(&part_headers.charset);
        }
        part.header.end = self.at;
        part.body = self.at..self.at;
        let is_certain =
            !part_headers.is_multipart() || (opens && part_headers.has_sound_boundary());
        part.doubtful = part_headers.ambiguous || !is_certain;
        part.open = opens;
        part.too_deep = too_deep;
        self.place = if opens {
            self.open.push(Open { at, last: None });
            Place::Between
        } else if self.measures {
            let is_html = part_headers.content_type == "text/html";
            let is_shown = is_html && !part_headers.says_attachment();
            Place::Body {
                decoder: Decoder::new(part_headers.encoding),
                scratch: Vec::new(),
                seeker: is_shown.then(Seeker::default),
            }
        } else {
            Place::Between
        };
        part.part_headers = part_headers;
    }

    /// Ends the current part, and all that end with a delimiter of the multipart at that
    /// depth: their bodies at `end`, the parts at `whole_end`.
    fn end_parts(&mut self, depth: usize, end: u64, whole_end: u64) {
        let place = std::mem::replace(&mut self.place, Place::Between);
        if let Some(part) = self.parts.last_mut()
            && let Place::Body {
                mut decoder,
                mut scratch,
                seeker,
            } = place
        {
            decoder.finish(&mut scratch);
            part.decoded += scratch.len() as u64;
            if let Some(mut seeker) = seeker {
                seeker.feed(&scratch, &mut self.references);
                seeker.finish(&mut self.references);
            }
            match decoder.verdict() {
                Verdict::Certain => {}
                Verdict::UrlSafe(size) => {
                    part.part_headers.encoding = Encoding::Base64Url;
                    part.decoded = size;
                }
                Verdict::Doubtful => {
                    part.part_headers.encoding = Encoding::Unknown;
                    part.decoded = end.saturating_sub(part.body.start);
                }
            }
        }
        let open = self.open.get(depth..).unwrap_or_default();
        let ended: Vec<usize> = open.iter().filter_map(|open| open.last).collect();
        for at in ended {
            self.end(at, end, whole_end);
        }
    }

    fn end(&mut self, at: usize, end: u64, whole_end: u64) {
        if let Some(part) = self.parts.get_mut(at) {
            part.body.end = end.max(part.body.start);
            part.whole.end = whole_end;
        }
    }

    /// Nothing more is looked for.
    fn give_up(&mut self) {
        if let Some(root) = self.parts.first_mut() {
            root.doubtful = true;
        }
        self.gave_up = true;
        // The innermost has just been ended.
        self.open.pop();
        self.end_parts(0, self.at, self.at);
        self.open.clear();
    }
}

/// Whether a line may be a delimiter, as far as it has been read.
fn may_delimit(line: &[u8]) -> bool {
    line.starts_with(b"--") || line == b"-"
}

/// The length of the line end that is at the end, or may continue there.
fn line_end_of(bytes: &[u8]) -> usize {
    match bytes {
        [.., b'\r', b'\n'] => 2,
        [.., b'\r' | b'\n'] => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_held_back_where_no_multipart_is_open() {
        for (content_type, held) in [("text/plain", ""), ("multipart/mixed; boundary=b", "--")] {
            let head = format!("Content-Type: {content_type}\r\n\r\n");
            let header = Header::split(head.as_bytes(), true).unwrap();
            let mut scan = Scan::new(&header);

            scan.feed(b"--");

            assert_eq!(scan.held, held.as_bytes(), "{content_type}");
        }
    }
}
