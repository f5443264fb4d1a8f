//! Command lines, as they stand in what was read.

use bytes::BytesMut;

use super::connection::Connection;
use crate::session::LONGEST_LINE;
use crate::session::LineEnd;
use crate::session::Quirk;

/// Of a line that is too long, so much is read and thrown away.
const LONGEST_SKIP: usize = 1024 * 1024;

/// What stands at the beginning of the input.
pub(super) enum Line {
    Whole(BytesMut),
    TooLong,
    Endless,
    /// A TLS handshake, where none is due.
    ClientHello,
    Unfinished,
}

impl Connection<'_> {
    /// Takes a line off the input. LF alone ends a command line, and so does CR CR LF:
    /// the tolerance is for what people type, and a command is not a message.
    pub(super) fn next_line(&mut self) -> Line {
        // RFC 8446 5.1: a handshake record of TLS, whose lengths could be line ends.
        if self.input.starts_with(&[0x16, 0x03]) && self.skipped == 0 {
            return Line::ClientHello;
        }
        let Some(end) = memchr::memchr(b'\n', &self.input) else {
            if self.input.len() > LONGEST_LINE {
                self.skipped += self.input.len();
                self.input.clear();
            }
            if self.skipped > LONGEST_SKIP {
                return Line::Endless;
            }
            return Line::Unfinished;
        };
        let mut line = self.input.split_to(end + 1);
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
        match self.line_end {
            LineEnd::Lf => self.session.note(Quirk::BareLfCommand),
            LineEnd::CrCrLf => self.session.note(Quirk::CrCrLfCommand),
            LineEnd::CrLf | LineEnd::Cr => {}
        }
        Line::Whole(line)
    }
}
