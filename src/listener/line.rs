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
    /// What a load balancer says for its client, where it is not read.
    Proxy,
    Unfinished,
}

/// How version 2 of the PROXY protocol begins: lines, to SMTP, the last of them QUIT.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// After so many bytes of it there is no doubt.
const TELLING: usize = 7;

/// How many bytes of the signature have come as lines, if nothing else has.
fn after(came: Option<usize>, line: &[u8]) -> Option<usize> {
    let came = came?;
    let rest = SIGNATURE.get(came..)?;
    rest.starts_with(line).then_some(came + line.len())
}

/// Whether bytes begin with a preamble of the PROXY protocol, of either version.
pub(super) fn is_preamble(bytes: &[u8]) -> bool {
    let kinds: [&[u8]; 3] = [b"PROXY TCP", b"PROXY UNKNOWN", SIGNATURE];
    kinds.iter().any(|kind| bytes.starts_with(kind))
}

impl Connection<'_> {
    /// Whether the connection begins with a preamble.
    fn is_proxy(&self) -> bool {
        self.preamble == Some(0) && is_preamble(&self.input)
    }

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
        if self.is_proxy() {
            return Line::Proxy;
        }
        let mut line = self.input.split_to(end + 1);
        self.preamble = after(self.preamble, &line);
        if self.preamble == Some(TELLING) {
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
        match self.line_end {
            LineEnd::Lf => self.session.note(Quirk::BareLfCommand),
            LineEnd::CrCrLf => self.session.note(Quirk::CrCrLfCommand),
            LineEnd::CrLf | LineEnd::Cr => {}
        }
        Line::Whole(line)
    }
}
