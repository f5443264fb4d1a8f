//! The value of a field with parameters (RFC 2045 5.1, RFC 2183, RFC 2231), as programs
//! really write it: names with blanks and without quotes, quotes that are unclosed or
//! within a name, backslashes of Windows paths, commas or nothing instead of a semicolon,
//! continuations in any order.
//!
//! Everything is kept as bytes until it is asked for, because the charset may be in
//! another piece than the letters, and a character may be split in two.

use crate::mime::Field;
use crate::mime::text::labels;
use crate::mime::text::labels::guessed;
use crate::mime::text::labels::labelled_text;
use crate::mime::text::words;
use crate::mime::text::words::escaped;

/// A value and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::mime) struct Parameters {
    /// The text before the parameters, without comments and quotes, in lower case.
    pub(in crate::mime) value: String,
    /// In order, names in lower case.
    all: Vec<(String, Vec<u8>)>,
}

/// The longest value in bytes. File names need a few hundred; the rest is not read.
const LONGEST: usize = 16 * 1024;

/// The most parameters of one field.
const MOST: usize = 500;

/// The most pieces of a parameter. RFC 2231 3 has no limit; a name has.
const MOST_PIECES: u16 = 500;

/// Parameters that are recognised even without a semicolon before them.
const KNOWN: [&str; 22] = [
    "boundary",
    "charset",
    "creation-date",
    "delsp",
    "filename",
    "format",
    "method",
    "micalg",
    "modification-date",
    "name",
    "protocol",
    "read-date",
    "report-type",
    "reply-type",
    "size",
    "smime-type",
    "start",
    "start-info",
    "type",
    "component",
    "x-unix-mode",
    "x-mac-type",
];

impl Parameters {
    /// Reads a field.
    pub(in crate::mime) fn of(field: &Field<'_>) -> Self {
        let bytes = field.value.iter().copied();
        let unfolded = bytes.filter(|byte| !b"\r\n".contains(byte));
        let text: Vec<u8> = unfolded.take(LONGEST).collect();
        let text = text.trim_ascii();
        let mut read = Self::default();
        // `Content-Disposition: filename=x`
        let mut rest = if is_known_parameter(text) {
            text
        } else {
            let (head, rest) = text.split_at(head_end(text));
            read.value = first_word(head);
            rest
        };
        while read.all.len() < MOST {
            rest = trim_separators(rest);
            if rest.is_empty() {
                break;
            }
            let end = rest.iter().position(|byte| b"=;".contains(byte));
            let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let Some(behind) = behind.strip_prefix(b"=") else {
                rest = behind;
                continue;
            };
            let behind = behind.trim_ascii_start();
            let (value, behind) = match behind.strip_prefix(b"\"") {
                Some(inside) => quoted(inside),
                None => unquoted(behind),
            };
            read.all.push((bare(name), value));
            rest = behind;
        }
        read
    }

    /// The text of a parameter.
    pub(in crate::mime) fn text(&self, name: &str) -> Option<String> {
        match self.plain(name) {
            Some(plain) => Some(guessed(plain, None)),
            None => self.extended(name, None).map(|name| name.text),
        }
    }

    /// The text of a parameter that is one word, such as a charset or a method.
    pub(in crate::mime) fn word(&self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let text = text.split(['(', ' ', '\t']).find(|word| !word.is_empty())?;
        Some(text.trim_matches('\'').to_owned())
    }

    /// How often a parameter occurs.
    pub(in crate::mime) fn count(&self, name: &str) -> usize {
        self.all.iter().filter(|(own, _)| own == name).count()
    }

    /// The text of a parameter that is a name. The extended form is preferred, because it
    /// is meant for programs that understand it (RFC 6266 4.3), to the plain one.
    /// `charset` is that of the message's text.
    pub(in crate::mime) fn names(&self, name: &str, charset: Option<&str>) -> Vec<Name> {
        let plain = self.plain(name).map(|plain| match with_charset(plain) {
            // The asterisk was forgotten.
            Some(text) => Name::whole(encoded_words(&text, charset)),
            None => Name::whole(words::read(plain, charset)),
        });
        let mut names = Vec::new();
        names.extend(self.extended(name, charset));
        names.extend(plain);
        names
    }

    fn plain(&self, name: &str) -> Option<&[u8]> {
        let found = self.all.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// `name*`, or `name*0*`, `name*1` and so on, joined and decoded.
    fn extended(&self, name: &str, charset: Option<&str>) -> Option<Name> {
        let mut pieces: Vec<(u16, bool, &[u8])> = Vec::new();
        for (own, value) in &self.all {
            let Some(stars) = own.strip_prefix(name).and_then(|it| it.strip_prefix('*')) else {
                continue;
            };
            let (number, encoded) = match stars.strip_suffix('*') {
                Some(number) => (number, true),
                None => (stars, stars.is_empty()),
            };
            let at = match number {
                "" => Some(0),
                number => number.parse().ok().filter(|at| *at < MOST_PIECES),
            };
            // Of several pieces with one number the first counts.
            if let Some(at) = at.filter(|at| pieces.iter().all(|(other, _, _)| other != at)) {
                pieces.push((at, encoded, value));
            }
        }
        pieces.sort_by_key(|(at, _, _)| *at);
        let first = pieces.first()?.0;
        // Some programs count from one.
        let numbers = pieces.iter().map(|(at, _, _)| *at).zip(first..);
        let whole = first <= 1 && numbers.into_iter().all(|(at, wanted)| at == wanted);
        let text = match pieces.iter().any(|(_, encoded, _)| *encoded) {
            true => decoded(&pieces, charset),
            false => {
                let joined: Vec<u8> = pieces
                    .iter()
                    .flat_map(|(_, _, value)| *value)
                    .copied()
                    .collect();
                match with_charset(&joined) {
                    Some(text) => encoded_words(&text, charset),
                    None => words::read(&joined, charset),
                }
            }
        };
        Some(Name { text, whole })
    }
}

/// A name as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mime) struct Name {
    pub(in crate::mime) text: String,
    /// Whether no piece is missing.
    pub(in crate::mime) whole: bool,
}

impl Name {
    fn whole(text: String) -> Self {
        Self { text, whole: true }
    }
}

/// Pieces in order, of which some are percent-encoded; the first one names the charset.
fn decoded(pieces: &[(u16, bool, &[u8])], charset: Option<&str>) -> String {
    let mut label = None;
    let mut bytes = Vec::new();
    for (at, (_, encoded, value)) in pieces.iter().enumerate() {
        if !encoded {
            bytes.extend_from_slice(value);
            continue;
        }
        let (named, value) = match at {
            0 => apart(value),
            _ => (None, *value),
        };
        label = label.or(named);
        bytes.extend(unescaped(value));
    }
    let text = match label.filter(|label| !label.is_empty()) {
        Some(label) => in_charset(&bytes, label, charset),
        None => guessed(&bytes, charset),
    };
    // Encoded words are not allowed here, and occur all the same.
    encoded_words(&text, charset)
}

fn encoded_words(text: &str, charset: Option<&str>) -> String {
    match text.contains("=?") {
        true => words::read(text.as_bytes(), charset),
        false => text.to_owned(),
    }
}

fn in_charset(bytes: &[u8], label: &str, charset: Option<&str>) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() && !label.to_ascii_lowercase().starts_with("iso-2022") => {
            text.to_owned()
        }
        Ok(_) | Err(_) => {
            let read = labels::text(bytes, Some(label));
            read.unwrap_or_else(|| guessed(bytes, charset))
        }
    }
}

/// `charset'language'text`, as far as present.
fn apart(value: &[u8]) -> (Option<&str>, &[u8]) {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(text)) => (std::str::from_utf8(charset).ok(), text),
        (Some(charset), Some(text), None) => match std::str::from_utf8(charset) {
            // The language was forgotten, with its mark.
            Ok(charset) if labelled_text(b"", charset).is_some() => (Some(charset), text),
            Ok(_) | Err(_) => (None, value),
        },
        _ => (None, value),
    }
}

/// An extended value under the name of a plain one.
fn with_charset(value: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(value, b"''")?;
    let (label, text) = value.split_at_checked(at)?;
    let label = std::str::from_utf8(label).ok()?;
    let text = text.get(2..)?;
    labelled_text(b"", label).filter(|_| !label.is_empty())?;
    Some(in_charset(&unescaped(text), label, None))
}

fn unescaped(mut value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    while let Some((byte, behind)) = value.split_first() {
        value = behind;
        match (byte, behind) {
            (b'%', [high, low, after @ ..]) => match escaped(*high, *low) {
                Some(byte) => {
                    bytes.push(byte);
                    value = after;
                }
                None => bytes.push(b'%'),
            },
            _ => bytes.push(*byte),
        }
    }
    bytes
}

/// Where the parameters begin: after a semicolon, or what replaces it.
fn head_end(text: &[u8]) -> usize {
    let mut depth = 0_u32;
    let is_closed = text.contains(&b')');
    for (at, byte) in text.iter().enumerate() {
        let behind = text.get(at + 1..).unwrap_or_default();
        match byte {
            b'(' if is_closed => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b';' | b',' => return at,
            b' ' | b'\t' if is_known_parameter(behind) => return at,
            _ => {}
        }
    }
    text.len()
}

/// The value before the parameters: one word, with possible blanks around its slash.
fn first_word(text: &[u8]) -> String {
    let text = without_comments(text).to_ascii_lowercase();
    let mut words = text.split_whitespace();
    let mut first = words.next().unwrap_or_default().to_owned();
    for word in words {
        if !first.ends_with('/') && !word.starts_with('/') {
            break;
        }
        first.push_str(word);
    }
    first
}

/// A name without comments, quotes and blanks, in lower case.
fn bare(text: &[u8]) -> String {
    let text = without_comments(text).to_ascii_lowercase();
    text.split_whitespace().collect()
}

fn without_comments(text: &[u8]) -> String {
    let mut depth = 0_u32;
    let is_closed = text.contains(&b')');
    let mut bare = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'(' if is_closed => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => {}
            _ if depth == 0 => bare.push(*byte),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bare).into_owned()
}

fn trim_separators(text: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| b"; \t,".contains(byte);
    let start = text.iter().position(|byte| !is_separator(byte));
    let text = text.get(start.unwrap_or(text.len())..).unwrap_or_default();
    // A comment.
    match text
        .strip_prefix(b"(")
        .and_then(|inside| memchr::memchr(b')', inside))
    {
        Some(end) => trim_separators_once(text.get(end + 2..).unwrap_or_default()),
        None => text,
    }
}

fn trim_separators_once(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !b"; \t,".contains(byte));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

/// Reads from a quote to the closing one, which is the one before another parameter or
/// the end.
fn quoted(inside: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(byte) = inside.get(at) {
        let behind = inside.get(at + 1..).unwrap_or_default();
        match (byte, behind) {
            (b'"', _) if closes(behind) => return (value, behind),
            // The last backslash of a path does not escape the quote.
            (b'\\', [b'"', after @ ..]) if !closes(after) || after.contains(&b'"') => {
                value.push(b'"');
                at += 1;
            }
            (b'\\', [b'\\', ..]) => {
                value.push(b'\\');
                at += 1;
            }
            _ => value.push(*byte),
        }
        at += 1;
    }
    // It is not closed.
    let end = memchr::memchr2(b'"', b';', inside).unwrap_or(inside.len());
    let (value, behind) = inside.split_at_checked(end).unwrap_or_default();
    let next = memchr::memchr(b';', behind).unwrap_or(behind.len());
    (
        value.trim_ascii().to_vec(),
        behind.get(next..).unwrap_or_default(),
    )
}

fn closes(behind: &[u8]) -> bool {
    let next = behind.trim_ascii_start();
    match next.first() {
        None | Some(b';') => true,
        Some(b',') => begins_parameter(next.get(1..).unwrap_or_default()),
        Some(b'(') => next.len() < behind.len() && next.contains(&b')'),
        Some(_) => begins_parameter(next),
    }
}

fn unquoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let is_end = |(at, byte): (usize, &u8)| {
        let behind = text.get(at + 1..).unwrap_or_default();
        match byte {
            b';' => true,
            b',' => begins_parameter(behind),
            b' ' | b'\t' => is_known_parameter(behind),
            _ => false,
        }
    };
    let end = text.iter().enumerate().position(is_end);
    let (value, behind) = text.split_at(end.unwrap_or(text.len()));
    (value.trim_ascii_end().to_vec(), behind)
}

/// Whether a name with an equals sign is here.
fn begins_parameter(text: &[u8]) -> bool {
    parameter_name(text).is_some()
}

/// Whether a well-known parameter is here.
pub(in crate::mime) fn is_known_parameter(text: &[u8]) -> bool {
    parameter_name(text).is_some_and(|name| {
        let name = name.split(|byte| *byte == b'*').next().unwrap_or_default();
        KNOWN
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    })
}

/// The name before an equals sign.
fn parameter_name(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start();
    let head = text.get(..LONGEST_PARAMETER_NAME).unwrap_or(text);
    let is_of_names = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_*.".contains(byte);
    let length = head.iter().position(|byte| !is_of_names(byte))?;
    let (name, behind) = head.split_at_checked(length)?;
    let is_there = !name.is_empty() && behind.trim_ascii_start().starts_with(b"=");
    is_there.then_some(name)
}

/// `modification-date*10*` has 21 characters.
const LONGEST_PARAMETER_NAME: usize = 40;
