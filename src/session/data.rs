//! The framing of DATA (RFC 5321 4.1.1.4, 4.5.2): where the message ends, and
//! what its content is.
//!
//! Promises: only CRLF `.` CRLF ends the message, wherever segments are cut;
//! the content that comes out has CRLF line ends only. A bare LF becomes CRLF
//! but is no line end for the search for the final dot (SMTP smuggling,
//! CVE-2023-51764 and its kin). A bare CR or a NUL makes the whole message
//! unacceptable: Graph would pass them on to Exchange, and what a receiver
//! makes of them is unknown. A fault is only noted; reading goes on to the true
//! end, so that nothing of a message is ever taken for a command.

/// Reads DATA piece by piece.
#[derive(Clone, Debug)]
pub struct DataReader {
    state: State,
    faults: Faults,
}

/// What was seen on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A line feed without a carriage return.
    pub bare_lf: bool,
    /// A carriage return without a line feed.
    pub bare_cr: bool,
    /// A NUL.
    pub nul: bool,
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// All input was consumed and the message goes on.
    More,
    /// The message ended; this many bytes of the input belonged to it.
    End(usize),
}

/// What the bytes so far end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The beginning, or CRLF.
    LineStart,
    /// Anything else.
    Within,
    /// CR.
    Cr,
    /// A dot at the start of a line.
    Dot,
    /// A dot at the start of a line, and CR.
    DotCr,
    /// LF without CR.
    BareLf,
    /// LF without CR, and a dot.
    BareLfDot,
}

impl Default for DataReader {
    fn default() -> Self {
        Self {
            state: State::LineStart,
            faults: Faults::default(),
        }
    }
}

impl DataReader {
    /// What was wrong with the message so far.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Reads a piece of the input and appends its content to `content`.
    pub fn feed(&mut self, input: &[u8], content: &mut Vec<u8>) -> Fed {
        let mut at = 0;
        while let Some(rest) = input.get(at..)
            && let Some(&byte) = rest.first()
        {
            if self.state == State::Within {
                at += self.copy_run(rest, content);
                continue;
            }
            match (self.state, byte) {
                (State::DotCr, b'\n') => return Fed::End(at + 1),
                (State::Cr, b'\n') => {
                    content.extend_from_slice(b"\r\n");
                    self.state = State::LineStart;
                }
                (State::LineStart, b'.') => self.state = State::Dot,
                (State::Dot, b'\r') => self.state = State::DotCr,
                (State::BareLf, b'.') => self.state = State::BareLfDot,
                (State::Dot | State::BareLfDot, b'.') => {
                    content.push(b'.');
                    self.state = State::Within;
                }
                _ => {
                    self.leave(byte, content);
                    continue; // the same byte again, in its new state
                }
            }
            at += 1;
        }
        Fed::More
    }

    /// Copies up to the next byte that matters, and takes that one in.
    fn copy_run(&mut self, rest: &[u8], content: &mut Vec<u8>) -> usize {
        let plain = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
        content.extend_from_slice(rest.get(..plain).unwrap_or_default());
        match rest.get(plain) {
            None => return plain,
            Some(b'\r') => self.state = State::Cr,
            Some(b'\n') => {
                self.faults.bare_lf = true;
                content.extend_from_slice(b"\r\n");
                self.state = State::BareLf;
            }
            Some(_) => self.faults.nul = true,
        }
        plain + 1
    }

    /// The state did not become what it might have been.
    fn leave(&mut self, byte: u8, content: &mut Vec<u8>) {
        match self.state {
            State::Cr | State::DotCr => self.faults.bare_cr = true,
            // RFC 5321 4.5.2: the dot that a client put before a line goes. A
            // line that is a dot and a bare LF keeps it: a client that does not
            // know line ends has not put it there.
            State::Dot if byte == b'\n' => content.push(b'.'),
            // After a bare LF only a doubled dot is taken for a stuffed one.
            State::BareLfDot => content.push(b'.'),
            State::Dot | State::LineStart | State::Within | State::BareLf => {}
        }
        self.state = State::Within;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything in one piece: content, faults, and what followed the end.
    fn read(input: &[u8]) -> Option<(Vec<u8>, Faults, Vec<u8>)> {
        let mut reader = DataReader::default();
        let mut content = Vec::new();
        match reader.feed(input, &mut content) {
            Fed::More => None,
            Fed::End(at) => Some((content, reader.faults(), input[at..].to_vec())),
        }
    }

    #[test]
    fn a_message_ends_at_crlf_dot_crlf() {
        for (input, content) in [
            (&b".\r\n"[..], &b""[..]),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"\r\n.\r\n", b"\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b".x\r\n.\r\n", b"x\r\n"),
            (b"a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n"),
            (b"a.\r\n.\r\n", b"a.\r\n"),
        ] {
            let (read, faults, _) = read(input).unwrap();
            assert_eq!(read, content, "{input:?}");
            assert_eq!(faults, Faults::default());
        }
    }

    #[test]
    fn nothing_else_ends_a_message() {
        // smtp-attacks 2.1: the end-of-data variants of the smuggling advisories.
        for variant in [
            &b"\n.\n"[..],
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\n",
            b"\n.\r",
            b"\r.\r\n",
            b"\r\n.\r",
            b"\r\n.\r\r\n",
            b"\r\n.\0\r\n",
            b"\r\n\0.\r\n",
            b"\r\n..\r\n",
            b"\r\n. \r\n",
            b"\n\r.\n\r",
            b"\r\n.\x0b\r\n",
            b"\r\n.\x85\r\n",
            b"\xc2\x85.\xc2\x85",
            b"\xe2\x80\xa8.\xe2\x80\xa8",
            b"\n.\n\r\n",
            b"\r\n\n.\r\n",
        ] {
            let input = [b"a", variant, b"MAIL FROM:<x@y>\r\n.\r\nQUIT\r\n"].concat();
            let (_, _, behind) = read(&input).unwrap();
            assert_eq!(behind, b"QUIT\r\n", "{variant:?}");
        }
    }

    #[test]
    fn bare_line_feeds_become_line_ends_of_the_content() {
        let (content, faults, _) = read(b"a\nb\n\n.c\n..d\n.\ne\r\n.\r\n").unwrap();

        assert_eq!(content, b"a\r\nb\r\n\r\n.c\r\n.d\r\n.\r\ne\r\n");
        assert!(faults.bare_lf && !faults.bare_cr);
    }

    #[test]
    fn bare_carriage_returns_and_nuls_are_noted() {
        assert!(read(b"a\rb\r\n.\r\n").unwrap().1.bare_cr);
        assert!(read(b"a\r\r\n.\r\n").unwrap().1.bare_cr);
        assert!(read(b"\r\n.\rx\r\n.\r\n").unwrap().1.bare_cr);
        assert!(read(b"a\0b\r\n.\r\n").unwrap().1.nul);
    }
}
