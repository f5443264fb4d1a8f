//! The oracle of the DATA reader.

use crate::session::DataReader;
use crate::session::Faults;
use crate::session::Fed;

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    content: Vec<u8>,
    faults: Faults,
    /// How many bytes belonged to the message, if it ended.
    end: Option<usize>,
}

/// Tries a stream. The input's first line says how it is cut: each of its bytes
/// is the length of a piece, again and again; the rest is the stream.
pub fn data(input: &[u8]) {
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    let lengths = halves.next().unwrap_or_default();
    let stream = halves.next().unwrap_or_default();

    let read = in_pieces(stream, &[]);
    assert_eq!(read, in_pieces(stream, &[1]), "one byte at a time");
    assert_eq!(read, in_pieces(stream, lengths), "in pieces");

    let end = end(stream);
    assert_eq!(read.end, end.map(|(_, behind)| behind), "the end");
    let Some((inside, _)) = end.and_then(|(at, behind)| Some((stream.get(..at)?, behind))) else {
        return;
    };
    assert_eq!(read.faults, faults(inside), "the faults");
    let bare = faults(&read.content);
    assert_eq!(bare, Faults::default(), "line ends of the content");
    if read.faults.nul || read.faults.bare_cr {
        return; // Refused, whatever its content is taken for.
    }
    assert_eq!(
        read.content.escape_ascii().to_string(),
        content(inside).escape_ascii().to_string(),
        "the content"
    );

    let again = stuffed(&read.content);
    let expected = Read {
        end: Some(again.len()),
        faults: Faults::default(),
        content: read.content,
    };
    assert_eq!(in_pieces(&again, &[]), expected, "sent again");
}

/// Reads a stream in pieces of these lengths; in one if there are none.
fn in_pieces(stream: &[u8], lengths: &[u8]) -> Read {
    let mut reader = DataReader::default();
    let mut content = Vec::new();
    let mut rest = stream;
    let mut lengths = lengths.iter().cycle();
    let mut end = None;
    while !rest.is_empty() && end.is_none() {
        let length = lengths
            .next()
            .map_or(rest.len(), |length| usize::from(*length).max(1));
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        if let Fed::End(used) = reader.feed(piece, &mut content) {
            assert!(used <= piece.len(), "more was used than there was");
            end = Some(stream.len() - rest.len() + used);
        }
        rest = behind;
    }
    Read {
        content,
        faults: reader.faults(),
        end,
    }
}

/// Where the final dot stands, and what is behind its line: the first line that
/// is a dot alone, lines being what CRLF ends.
fn end(stream: &[u8]) -> Option<(usize, usize)> {
    let is_end = |at: &usize| {
        let (before, behind) = stream.split_at(*at);
        behind.starts_with(b".\r\n") && (before.is_empty() || before.ends_with(b"\r\n"))
    };
    let at = (0..stream.len()).find(is_end)?;
    Some((at, at + 3))
}

/// What is wrong with the bytes in front of the final dot.
fn faults(inside: &[u8]) -> Faults {
    let at = |at: Option<usize>| at.and_then(|at| inside.get(at)).copied();
    let mut faults = Faults::default();
    for (n, byte) in inside.iter().enumerate() {
        match byte {
            b'\r' => faults.bare_cr |= at(n.checked_add(1)) != Some(b'\n'),
            b'\n' => faults.bare_lf |= at(n.checked_sub(1)) != Some(b'\r'),
            0 => faults.nul = true,
            _ => {}
        }
    }
    faults
}

/// The content of a message without NUL and bare CR: RFC 5321 4.5.2 for lines
/// behind a CRLF; a line behind a bare LF loses a dot only if it has two, and one
/// that is a dot and a bare LF loses none.
fn content(inside: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut behind_crlf = true;
    for line in inside.split_inclusive(|byte| *byte == b'\n') {
        let crlf = line.ends_with(b"\r\n");
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = if crlf {
            text.strip_suffix(b"\r").unwrap_or(text)
        } else {
            text
        };
        let kept = match text.strip_prefix(b".") {
            Some(b"") if !crlf => text,
            Some(rest) if behind_crlf || rest.starts_with(b".") => rest,
            Some(_) | None => text,
        };
        content.extend_from_slice(kept);
        content.extend_from_slice(b"\r\n");
        behind_crlf = crlf;
    }
    content
}

/// As a client sends it that does what RFC 5321 4.5.2 says.
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::new();
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}
