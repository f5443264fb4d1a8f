//! What a client has sent and what is not used yet: command lines, and the content
//! behind DATA. What a line means is left to `session/`.

use bytes::Buf;
use bytes::BytesMut;

use crate::listener::proxy::unexpected::Preamble;
use crate::session::DataReader;
use crate::session::Fed;
use crate::session::LONGEST_LINE;
use crate::session::LineEnd;
use crate::session::Quirk;

/// How much of an overlong line is read and discarded.
const LONGEST_SKIP: usize = 1024 * 1024;

/// What is at the beginning of the input.
pub(in crate::listener) enum Line {
    Whole(BytesMut),
    TooLong,
    Endless,
    /// A TLS handshake where none is expected.
    ClientHello,
    /// A load balancer's PROXY preamble where none is expected.
    Proxy,
    Unfinished,
}

/// Bytes that were read and are not used yet.
pub(in crate::listener) struct Input {
    pub(super) bytes: BytesMut,
    preamble: Preamble,
    /// Discarded bytes of an overlong line so far.
    skipped: usize,
    /// How the last line ended.
    line_end: LineEnd,
    /// Within DATA: how the client may have tried to end it.
    odd_end: Option<LineEnd>,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            bytes: BytesMut::new(),
            preamble: Preamble::default(),
            skipped: 0,
            line_end: LineEnd::CrLf,
            odd_end: None,
        }
    }
}

impl Input {
    /// Takes a line off. LF alone ends a command line, and so does CR CR LF: the
    /// tolerance is for what people type, and a command is not a message.
    pub(in crate::listener) fn next_line(&mut self) -> Line {
        // RFC 8446 5.1: a handshake record of TLS, whose lengths could look like line
        // ends.
        if self.bytes.starts_with(&[0x16, 0x03]) && self.skipped == 0 {
            return Line::ClientHello;
        }
        let Some(end) = memchr::memchr(b'\n', &self.bytes) else {
            if self.bytes.len() > LONGEST_LINE {
                self.skipped += self.bytes.len();
                self.bytes.clear();
            }
            if self.skipped > LONGEST_SKIP {
                return Line::Endless;
            }
            return Line::Unfinished;
        };
        if self.preamble.begins(&self.bytes) {
            return Line::Proxy;
        }
        let mut line = self.bytes.split_to(end + 1);
        if self.preamble.is_shown_by(&line) {
            return Line::Proxy;
        }
        if self.skipped > 0 || line.len() > LONGEST_LINE {
            self.skipped = 0;
            return Line::TooLong;
        }
        line.truncate(end);
        let returns = line.iter().rev().take_while(|byte| **byte == b'\r').count();
        line.truncate(end - returns);
        self.line_end = match returns {
            0 => LineEnd::Lf,
            1 => LineEnd::CrLf,
            _ => LineEnd::CrCrLf,
        };
        Line::Whole(line)
    }

    /// How the last line ended.
    pub(in crate::listener) fn line_end(&self) -> LineEnd {
        self.line_end
    }

    /// What is to be noted of how the last line ended.
    pub(in crate::listener) fn quirk(&self) -> Option<Quirk> {
        match self.line_end {
            LineEnd::Lf => Some(Quirk::BareLfCommand),
            LineEnd::CrCrLf => Some(Quirk::CrCrLfCommand),
            LineEnd::CrLf | LineEnd::Cr => None,
        }
    }

    /// Hands what there is to the reader of content, which appends to `piece`.
    pub(in crate::listener) fn feed(
        &mut self,
        reader: &mut DataReader,
        piece: &mut Vec<u8>,
    ) -> Fed {
        let fed = reader.feed(&self.bytes, piece);
        match fed {
            Fed::More => {
                self.bytes.clear();
                self.odd_end = reader.odd_end();
            }
            Fed::End(used) => {
                self.bytes.advance(used);
                self.odd_end = None;
            }
        }
        fed
    }

    /// The wrong line end with which the client has ended a line, or its message, so that
    /// it waits for an answer that never comes.
    pub(in crate::listener) fn misread(&self) -> Option<LineEnd> {
        let has = |byte| self.bytes.contains(&byte);
        let unended = has(b'\r') && !has(b'\n');
        self.odd_end.or_else(|| unended.then_some(LineEnd::Cr))
    }

    pub(in crate::listener) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Throws away what there is.
    pub(in crate::listener) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bytes: &[u8]) -> Input {
        Input {
            bytes: bytes.into(),
            ..Input::default()
        }
    }

    fn whole(input: &mut Input) -> Vec<u8> {
        let Line::Whole(line) = input.next_line() else {
            panic!("not a whole line");
        };
        line.to_vec()
    }

    #[test]
    fn a_line_may_end_in_three_ways_and_two_of_them_are_noted() {
        let mut input = input(b"NOOP\r\nNOOP\nNOOP\r\r\nNO");
        for quirk in [None, Some(Quirk::BareLfCommand), Some(Quirk::CrCrLfCommand)] {
            assert_eq!(whole(&mut input), b"NOOP");
            assert_eq!(input.quirk(), quirk);
        }
        assert!(matches!(input.next_line(), Line::Unfinished));
        assert!(!input.is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let mut input = input(&[b'x'; LONGEST_LINE + 1]);
        assert!(matches!(input.next_line(), Line::Unfinished));
        assert!(input.is_empty());
        input.bytes.extend_from_slice(b"x\r\nNOOP\r\n");
        assert!(matches!(input.next_line(), Line::TooLong));
        assert_eq!(whole(&mut input), b"NOOP");
    }

    #[test]
    fn a_lone_cr_is_what_the_client_took_for_an_end() {
        assert_eq!(input(b"QUIT\r").misread(), Some(LineEnd::Cr));
        assert_eq!(input(b"QUIT\r\n").misread(), None);
        let mut content = input(b"text\n.\n");
        let (mut reader, mut piece) = (DataReader::default(), Vec::new());
        assert!(matches!(content.feed(&mut reader, &mut piece), Fed::More));
        assert_eq!(content.misread(), Some(LineEnd::Lf));
    }

    #[test]
    fn a_preamble_counts_only_before_everything_else() {
        let signature = b"\r\n\r\n\0\r\nQUIT\n";
        assert!(matches!(input(signature).next_line(), Line::Proxy));
        let mut by_and_by = Input::default();
        for (line, shows) in [(&b"\r\n"[..], false), (b"\r\n", false), (b"\0\r\n", true)] {
            by_and_by.bytes.extend_from_slice(line);
            assert_eq!(matches!(by_and_by.next_line(), Line::Proxy), shows);
        }
        let mut later = input(b"NOOP\r\nPROXY TCP4 a\r\n");
        assert_eq!(whole(&mut later), b"NOOP");
        assert_eq!(whole(&mut later), b"PROXY TCP4 a");
    }
}
