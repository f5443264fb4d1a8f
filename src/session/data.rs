//! The framing of DATA (RFC 5321 4.1.1.4, 4.5.2): finds the end of the message and
//! restores its content.
//!
//! Promises: only CRLF `.` CRLF ends the message, wherever segments are cut, and the
//! content has only CRLF line ends and no NUL. Other line ends that clients write become
//! line ends of the content and never end the message, so that no other server can see
//! the end in another place (SMTP smuggling, CVE-2023-51764 and similar):
//!
//! | input | in the content | a dot after it |
//! |---|---|---|
//! | CR CR LF, or more CRs | a line end | as after CRLF, which it ends with |
//! | LF | a line end | removed if it is doubled |
//! | CR at the beginning of a line | nothing | stays |
//! | CR within a line of the header section | a blank, so that it makes no field | stays |
//! | CR elsewhere, or as the very first line end | a line end | stays |
//! | NUL | nothing | stays |
//!
//! There is one exception: if a client has ended the line DATA and every line of the
//! message with CR CR LF, then CR CR LF `.` CR CR LF ends the message too. Such a client
//! cannot have talked to a server that accepts only CRLF, because that server would have
//! refused DATA.
//!
//! Everything odd is noted; the listener decides whether to accept it. Reading continues
//! to the true end, so that no part of a message is ever taken for a command.

/// Reads DATA piece by piece.
#[derive(Clone, Debug)]
pub struct DataReader {
    state: State,
    /// Carriage returns that were read, before the next byte is known.
    returns: usize,
    /// Nothing of the present line is in the content yet.
    is_empty_line: bool,
    /// No empty line has come yet.
    is_header: bool,
    /// What ended the first line.
    first: Option<LineEnd>,
    /// Whether every line so far, including the line DATA, has ended with CR CR LF.
    is_cr_cr_lf: bool,
    odd_end: Option<LineEnd>,
    faults: Faults,
}

/// Faults that were seen.
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
    /// The text of the refusal of a message with these faults.
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

/// A line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// The one that RFC 5321 2.3.8 requires.
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

/// What the bytes so far end with, apart from carriage returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The beginning of the message, or CRLF.
    LineStart,
    /// Anything else.
    Within,
    /// A dot at the start of a line.
    Dot,
    /// LF without CR.
    BareLf,
    /// LF without CR, and a dot.
    BareLfDot,
    /// A reader for a client that has ended the line DATA with CR CR LF.
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

    /// The faults of the message so far.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// The line end after a dot alone on its line, if that does not end the message
    /// although the client may have meant it to.
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

    /// Copies up to the next byte that matters, and handles that byte.
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

    /// Handles a line feed, with or without carriage returns before it. Returns whether
    /// the message ends here.
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
            // RFC 5321 4.5.2: removes the dot that a client put before a line. A line
            // with only a dot and a wrong line end keeps it, because a client that writes
            // wrong line ends did not add it.
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

    /// Handles any other byte, with or without carriage returns before it.
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
                // After a bare LF only a doubled dot counts as stuffed.
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

    /// Handles carriage returns without a line feed after them.
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

    /// Everything in one piece: content, faults, and what follows the end.
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
        // The end-of-data variants of the smuggling advisories.
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
            // Progress of a download, within a text.
            (
                &b"A: b\r\n\r\n 1%\r 2%\r\n"[..],
                &b"A: b\r\n\r\n 1%\r\n 2%\r\n"[..],
            ),
            (
                b"A: b\r\n\r\n\r 1%\r\r 2%\r\n",
                b"A: b\r\n\r\n 1%\r\n\r\n 2%\r\n",
            ),
            // One field must not become two.
            (b"A: b\rC: d\r\n\r\nx\r\n", b"A: b\r\nC: d\r\n\r\nx\r\n"),
            (
                b"X: y\r\nA: b\rC: d\r\n\r\nx\r\n",
                b"X: y\r\nA: b C: d\r\n\r\nx\r\n",
            ),
            (
                b"X: y\nA: b\r\rC: d\n\nx\r\n",
                b"X: y\r\nA: b C: d\r\n\r\nx\r\n",
            ),
            // Only carriage returns, with line feeds before them.
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
