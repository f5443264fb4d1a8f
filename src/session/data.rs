//! The framing of DATA (RFC 5321 4.1.1.4, 4.5.2): where the message ends, and
//! what its content is.
//!
//! Promises: only CRLF `.` CRLF ends the message, wherever segments are cut;
//! the content that comes out has CRLF line ends only, and no NUL. What else
//! clients write for a line end becomes one in the content, but never ends the
//! message, so that no other server can see the end somewhere else (SMTP smuggling,
//! CVE-2023-51764 and its kin):
//!
//! | it comes | in the content | the dot behind it |
//! |---|---|---|
//! | CR CR LF, or more CRs | a line end | as behind CRLF, which it ends with |
//! | LF | a line end | goes if it is doubled |
//! | CR at the beginning of a line | nothing | stays |
//! | CR within a line of the header section | a blank, so that it makes no field | stays |
//! | CR elsewhere, or as the first line end of all | a line end | stays |
//! | NUL | nothing | stays |
//!
//! There is one exception: where a client has ended even the line DATA with CR CR
//! LF, and every line of the message, then so does its last line, and CR CR LF `.`
//! CR CR LF ends the message. Such a client has spoken to no server that reads CRLF
//! alone: that one would have refused DATA.
//!
//! Everything odd is noted; whether the listener accepts it is not decided here.
//! Reading goes on to the true end, so that nothing of a message is ever taken for
//! a command.

/// Reads DATA piece by piece.
#[derive(Clone, Debug)]
pub struct DataReader {
    state: State,
    /// Carriage returns that were read, and not what is behind them.
    returns: usize,
    /// Nothing of the line is in the content yet.
    is_empty_line: bool,
    /// No empty line has come.
    is_header: bool,
    /// What ended the first line.
    first: Option<LineEnd>,
    /// Every line so far, and the line DATA, has ended with CR CR LF.
    is_cr_cr_lf: bool,
    odd_end: Option<LineEnd>,
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
    /// A line feed with several carriage returns.
    pub cr_cr_lf: bool,
}

impl Faults {
    /// What a client is told whose message is refused for these.
    pub(super) fn words(self) -> &'static str {
        if self.nul {
            "Message contains a NUL byte (nul of the [[listener]])"
        } else if self.bare_cr {
            "Message contains a carriage return without a line feed (bare_cr of the [[listener]])"
        } else {
            "Message contains a line feed without a carriage return (bare_lf of the [[listener]])"
        }
    }
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// As RFC 5321 2.3.8 wants it.
    CrLf,
    /// CR CR LF, or more CRs.
    CrCrLf,
    /// LF alone.
    Lf,
    /// CR alone.
    Cr,
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// All input was consumed and the message goes on.
    More,
    /// The message ended; this many bytes of the input belonged to it.
    End(usize),
}

/// What the bytes so far end with, besides carriage returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The beginning, or CRLF.
    LineStart,
    /// Anything else.
    Within,
    /// A dot at the start of a line.
    Dot,
    /// LF without CR.
    BareLf,
    /// LF without CR, and a dot.
    BareLfDot,
    /// CR without LF, and a dot.
    BareCrDot,
}

impl Default for DataReader {
    fn default() -> Self {
        Self {
            state: State::LineStart,
            returns: 0,
            is_empty_line: true,
            is_header: true,
            first: None,
            is_cr_cr_lf: false,
            odd_end: None,
            faults: Faults::default(),
        }
    }
}

impl DataReader {
    /// A reader for a client that has ended the line DATA with CR CR LF.
    pub fn behind_cr_cr_lf() -> Self {
        Self {
            is_cr_cr_lf: true,
            ..Self::default()
        }
    }

    /// What was wrong with the message so far.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// What ends a dot alone on its line, where that is not the end of the message
    /// and the client may have meant it to be.
    pub fn odd_end(&self) -> Option<LineEnd> {
        let dots = [State::Dot, State::BareLfDot, State::BareCrDot];
        let ends_so = dots.contains(&self.state) && self.returns > 0;
        if ends_so {
            Some(LineEnd::Cr)
        } else {
            self.odd_end
        }
    }

    /// Reads a piece of the input and appends its content to `content`.
    pub fn feed(&mut self, input: &[u8], content: &mut Vec<u8>) -> Fed {
        let mut at = 0;
        while let Some(rest) = input.get(at..)
            && let Some(&byte) = rest.first()
        {
            if self.state == State::Within && self.returns == 0 {
                at += self.copy_run(rest, content);
                continue;
            }
            at += 1;
            match byte {
                b'\r' => self.returns += 1,
                b'\n' => {
                    if self.line_feed(content) {
                        return Fed::End(at);
                    }
                }
                _ => self.other(byte, content),
            }
        }
        Fed::More
    }

    /// Copies up to the next byte that matters, and takes that one in.
    fn copy_run(&mut self, rest: &[u8], content: &mut Vec<u8>) -> usize {
        let plain = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
        content.extend_from_slice(rest.get(..plain).unwrap_or_default());
        self.is_empty_line &= plain == 0;
        match rest.get(plain) {
            None => return plain,
            Some(b'\r') => self.returns = 1,
            Some(b'\n') => {
                self.line_feed(content);
            }
            Some(_) => self.faults.nul = true,
        }
        plain + 1
    }

    /// A line feed, behind carriage returns or not; whether the message ends here.
    fn line_feed(&mut self, content: &mut Vec<u8>) -> bool {
        let end = match self.returns {
            0 => LineEnd::Lf,
            1 => LineEnd::CrLf,
            _ => LineEnd::CrCrLf,
        };
        self.returns = 0;
        let ends = end == LineEnd::CrLf || (end == LineEnd::CrCrLf && self.is_cr_cr_lf);
        self.is_cr_cr_lf &= end == LineEnd::CrCrLf;
        self.faults.bare_lf |= end == LineEnd::Lf;
        self.faults.cr_cr_lf |= end == LineEnd::CrCrLf;
        match self.state {
            State::Dot if ends => return true,
            // RFC 5321 4.5.2: the dot that a client put before a line goes. A line
            // that is a dot and does not end as it should keeps it: a client that
            // does not know line ends has not put it there.
            State::Dot | State::BareLfDot => {
                let is_behind_lf = self.state == State::BareLfDot;
                let by = if is_behind_lf && end == LineEnd::CrLf {
                    LineEnd::Lf
                } else {
                    end
                };
                self.odd_end = Some(by);
                self.push(b'.', content);
            }
            State::BareCrDot => self.odd_end = Some(LineEnd::Cr),
            State::LineStart | State::Within | State::BareLf => {}
        }
        self.end_line(end, content);
        self.state = match end {
            LineEnd::Lf => State::BareLf,
            LineEnd::CrLf | LineEnd::CrCrLf | LineEnd::Cr => State::LineStart,
        };
        false
    }

    /// Any other byte, behind carriage returns or not.
    fn other(&mut self, byte: u8, content: &mut Vec<u8>) {
        let state = std::mem::replace(&mut self.state, State::Within);
        if self.returns > 0 {
            self.odd_end = match state {
                State::Dot | State::BareLfDot | State::BareCrDot => Some(LineEnd::Cr),
                State::LineStart | State::Within | State::BareLf => self.odd_end,
            };
            if state == State::BareLfDot {
                self.push(b'.', content);
            }
            self.bare_returns(content);
            if byte == b'.' && self.is_empty_line {
                self.state = State::BareCrDot;
            }
        } else {
            match (state, byte) {
                (State::LineStart, b'.') => {
                    self.state = State::Dot;
                    return;
                }
                (State::BareLf, b'.') => {
                    self.state = State::BareLfDot;
                    return;
                }
                // After a bare LF only a doubled dot is taken for a stuffed one.
                (State::BareLfDot, b'.') => {}
                (State::BareLfDot, _) => self.push(b'.', content),
                _ => {}
            }
        }
        match byte {
            0 => self.faults.nul = true,
            _ => self.push(byte, content),
        }
    }

    /// Carriage returns with no line feed behind them.
    fn bare_returns(&mut self, content: &mut Vec<u8>) {
        let returns = std::mem::take(&mut self.returns);
        self.faults.bare_cr = true;
        self.is_cr_cr_lf = false;
        if self.is_empty_line {
            return;
        }
        let ends_fields = matches!(self.first, None | Some(LineEnd::Cr));
        if self.is_header && !ends_fields {
            return self.push(b' ', content);
        }
        for _ in 0..returns {
            self.end_line(LineEnd::Cr, content);
        }
    }

    fn push(&mut self, byte: u8, content: &mut Vec<u8>) {
        content.push(byte);
        self.is_empty_line = false;
    }

    fn end_line(&mut self, end: LineEnd, content: &mut Vec<u8>) {
        content.extend_from_slice(b"\r\n");
        self.is_header &= !self.is_empty_line;
        self.is_empty_line = true;
        self.first.get_or_insert(end);
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
    fn no_other_sequence_ends_a_message() {
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
    fn extra_carriage_returns_are_one_line_end() {
        let (content, faults, _) = read(b"a\r\r\nb\r\r\r\n.c\r\r\n\r\r\n.\r\n").unwrap();

        assert_eq!(content, b"a\r\nb\r\nc\r\n\r\n");
        assert!(faults.cr_cr_lf && !faults.bare_cr);
    }

    #[test]
    fn bare_carriage_returns_and_nuls_leave_only_text() {
        for (input, content) in [
            // Progress of a download, in a text.
            (
                &b"A: b\r\n\r\n 1%\r 2%\r\n"[..],
                &b"A: b\r\n\r\n 1%\r\n 2%\r\n"[..],
            ),
            (
                b"A: b\r\n\r\n\r 1%\r\r 2%\r\n",
                b"A: b\r\n\r\n 1%\r\n\r\n 2%\r\n",
            ),
            // A field must not become two.
            (b"A: b\rC: d\r\n\r\nx\r\n", b"A: b\r\nC: d\r\n\r\nx\r\n"),
            (
                b"X: y\r\nA: b\rC: d\r\n\r\nx\r\n",
                b"X: y\r\nA: b C: d\r\n\r\nx\r\n",
            ),
            (
                b"X: y\nA: b\r\rC: d\n\nx\r\n",
                b"X: y\r\nA: b C: d\r\n\r\nx\r\n",
            ),
            // Nothing but carriage returns, and line feeds in front of them.
            (b"A: b\rC: d\r\rx\ry\r\n", b"A: b\r\nC: d\r\n\r\nx\r\ny\r\n"),
            (b"A: b\n\rC: d\n\r\n\rx\r\n", b"A: b\r\nC: d\r\n\r\nx\r\n"),
            (
                b"A: b\0\r\n\r\n\0On\0 battery\0\r\n",
                b"A: b\r\n\r\nOn battery\r\n",
            ),
            (b"\r\n\0.\r\n.\0\r\n", b"\r\n.\r\n\r\n"),
        ] {
            let (read, faults, _) = read(&[input, b".\r\n"].concat()).unwrap();
            assert_eq!(
                read.escape_ascii().to_string(),
                content.escape_ascii().to_string(),
                "{:?}",
                input.escape_ascii().to_string()
            );
            assert!(faults.bare_cr != faults.nul, "{faults:?}");
        }
    }

    #[test]
    fn cr_cr_lf_ends_a_message_only_if_all_its_lines_end_so() {
        let end = |input: &[u8]| {
            let mut reader = DataReader::behind_cr_cr_lf();
            match reader.feed(input, &mut Vec::new()) {
                Fed::More => None,
                Fed::End(at) => Some(at),
            }
        };
        assert_eq!(end(b"a\r\r\n.\r\r\nNOOP\r\r\n"), Some(8));
        assert_eq!(end(b".\r\r\n"), Some(4));
        assert_eq!(end(b"a\r\r\n.\r\nNOOP"), Some(7));
        for input in [
            &b"a\r\n.\r\r\n"[..],
            b"a\r\r\nb\r\nc\r\r\n.\r\r\n",
            b"a\nb\r\r\n.\r\r\n",
            b"a\rb\r\r\n.\r\r\n",
            b"a\r\r\n..\r\r\n",
            b"a\r\r\n.\n",
        ] {
            assert_eq!(end(input), None, "{:?}", input.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_dot_that_was_meant_for_the_end_is_noted() {
        for (input, expected) in [
            (&b"a\r\n.."[..], None),
            (b"a\r\n.", None),
            (b"a\r\n.b\n", None),
            (b"a\n.\n", Some(LineEnd::Lf)),
            (b"a\n.\nQUIT\n", Some(LineEnd::Lf)),
            (b"a\n.\r\n", Some(LineEnd::Lf)),
            (b"a\r\n.\n", Some(LineEnd::Lf)),
            (b"a\r\n.\r\r\n", Some(LineEnd::CrCrLf)),
            (b"a\r.\r", Some(LineEnd::Cr)),
            (b"a\r.\rQUIT\r", Some(LineEnd::Cr)),
            (b"a\r\n.\r", Some(LineEnd::Cr)),
        ] {
            let mut reader = DataReader::default();
            assert_eq!(reader.feed(input, &mut Vec::new()), Fed::More);
            let input = input.escape_ascii().to_string();
            assert_eq!(reader.odd_end(), expected, "{input}");
        }
    }
}
