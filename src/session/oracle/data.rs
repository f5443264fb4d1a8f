//! The oracle of the DATA reader.

use crate::session::DataReader;
use crate::session::Faults;
use crate::session::Fed;

/// The result of reading a stream.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    content: Vec<u8>,
    faults: Faults,
    /// How many bytes belonged to the message, if it ended.
    end: Option<usize>,
}

/// Tries a stream. The first line of the input says how it is cut: each of its bytes is
/// the length of a piece, repeated; the rest is the stream.
pub fn data(input: &[u8]) {
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    let lengths = halves.next().unwrap_or_default();
    let stream = halves.next().unwrap_or_default();

    let odd = in_pieces(DataReader::behind_cr_cr_lf, stream, &[]);
    let cut = in_pieces(DataReader::behind_cr_cr_lf, stream, lengths);
    assert_eq!(odd, cut, "in pieces, behind CR CR LF");
    assert_eq!(odd.end, odd_end(stream), "the end behind CR CR LF");
    let read = in_pieces(DataReader::default, stream, &[]);
    let cut = in_pieces(DataReader::default, stream, &[1]);
    assert_eq!(read, cut, "one byte at a time");
    let cut = in_pieces(DataReader::default, stream, lengths);
    assert_eq!(read, cut, "in pieces");

    let end = end(stream);
    assert_eq!(read.end, end.map(|(_, behind)| behind), "the end");
    let Some((inside, _)) = end.and_then(|(at, behind)| Some((stream.get(..at)?, behind))) else {
        return;
    };
    assert_eq!(read.faults, faults(inside), "the faults");
    let bare = faults(&read.content);
    assert_eq!(bare, Faults::default(), "line ends of the content");
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
    assert_eq!(
        in_pieces(DataReader::default, &again, &[]),
        expected,
        "sent again"
    );
}

/// Reads a stream in pieces of these lengths; in one piece if there are none.
fn in_pieces(reader: fn() -> DataReader, stream: &[u8], lengths: &[u8]) -> Read {
    let mut reader = reader();
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

/// The position of the final dot, and what follows its line: the first line with only a
/// dot, where CRLF ends lines.
fn end(stream: &[u8]) -> Option<(usize, usize)> {
    let is_end = |at: &usize| {
        let (before, behind) = stream.split_at(*at);
        behind.starts_with(b".\r\n") && (before.is_empty() || before.ends_with(b"\r\n"))
    };
    let at = (0..stream.len()).find(is_end)?;
    Some((at, at + 3))
}

/// The end of a message whose client has ended DATA with CR CR LF: its final dot, or one
/// with the same line end as all lines before it.
fn odd_end(stream: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut behind = 2;
    let mut all = true;
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let text = line.strip_suffix(b"\n")?;
        let returns = text.iter().rev().take_while(|byte| **byte == b'\r').count();
        let bare = text.get(..text.len() - returns)?;
        if bare == b"." && behind > 0 && (returns == 1 || (returns > 1 && all)) {
            return Some(at);
        }
        all &= returns > 1 && !bare.contains(&b'\r');
        behind = returns;
    }
    None
}

/// A byte of text, or a line end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// This many carriage returns without a line feed.
    Returns(usize),
    /// A line feed after this many carriage returns.
    Feed(usize),
}

fn tokens(mut bytes: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    while let Some((byte, rest)) = bytes.split_first() {
        let returns = bytes.iter().take_while(|byte| **byte == b'\r').count();
        let feeds = bytes.get(returns) == Some(&b'\n');
        bytes = match (returns, feeds) {
            (_, true) => {
                tokens.push(Token::Feed(returns));
                bytes.get(returns + 1..).unwrap_or_default()
            }
            (0, false) => {
                tokens.push(Token::Byte(*byte));
                rest
            }
            (_, false) => {
                tokens.push(Token::Returns(returns));
                bytes.get(returns..).unwrap_or_default()
            }
        };
    }
    tokens
}

/// The faults in the bytes before the final dot.
fn faults(inside: &[u8]) -> Faults {
    let tokens = tokens(inside);
    let has = |is: fn(&Token) -> bool| tokens.iter().any(is);
    Faults {
        bare_lf: has(|token| *token == Token::Feed(0)),
        bare_cr: has(|token| matches!(token, Token::Returns(_))),
        nul: has(|token| *token == Token::Byte(0)),
        cr_cr_lf: has(|token| matches!(token, Token::Feed(2..))),
    }
}

/// The content of a message: RFC 5321 4.5.2 for lines after a CRLF. A line after a bare
/// LF loses a dot only if it has two, and a line with only a dot that does not end with
/// CRLF keeps it. Then NULs are removed, and carriage returns become line ends, or blanks
/// within the header section.
fn content(inside: &[u8]) -> Vec<u8> {
    let tokens = tokens(inside);
    let mut content = Vec::new();
    let mut behind = 1;
    // The first line end is a CR, and the header section has not ended.
    let (mut by_returns, mut in_header) = (None, true);
    for line in tokens.split_inclusive(|token| matches!(token, Token::Feed(_))) {
        let dot = Token::Byte(b'.');
        let loses = match line {
            [first, Token::Feed(1)] => *first == dot && behind > 0,
            [_, Token::Feed(_)] => false,
            [first, second, ..] => *first == dot && (behind > 0 || *second == dot),
            _ => false,
        };
        for token in line.iter().skip(usize::from(loses)) {
            let is_empty = content.is_empty() || content.ends_with(b"\r\n");
            let ends = match token {
                Token::Byte(0) => 0,
                Token::Byte(byte) => {
                    content.push(*byte);
                    0
                }
                Token::Returns(_) if is_empty => 0,
                Token::Returns(_) if in_header && by_returns == Some(false) => {
                    content.push(b' ');
                    0
                }
                Token::Returns(returns) => *returns,
                Token::Feed(_) => 1,
            };
            if ends > 0 {
                by_returns.get_or_insert(matches!(token, Token::Returns(_)));
                in_header &= !is_empty && ends == 1;
            }
            (0..ends).for_each(|_| content.extend_from_slice(b"\r\n"));
            if let Token::Feed(returns) = token {
                behind = *returns;
            }
        }
    }
    content
}

/// The stream of a client that follows RFC 5321 4.5.2.
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
