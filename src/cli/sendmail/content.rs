//! The message on standard input, made ready for the wire: CRLF line ends, and a dot more
//! where a line begins with one (RFC 5321 4.5.2).
//!
//! It is read to its end before the relay is called: cron holds the pipe open as long as
//! its job runs. A large one is kept in a file without a name in the folder for temporary
//! files (`$TMPDIR`), which is gone with this process.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;

use tempfile::SpooledTempFile;

use super::header::Header;
use super::header::Line;

/// How much of a text stays in memory.
const IN_MEMORY: usize = 1024 * 1024;
/// How much of a line is read at once.
const PIECE: u64 = 64 * 1024;
/// The relay refuses less than this.
const LONGEST_HEADER: usize = 4 * 1024 * 1024;

/// A whole message.
pub(super) struct Content {
    pub(super) header: Header,
    /// As it goes over the wire.
    body: SpooledTempFile,
    /// Of the body, without transparency.
    octets: u64,
    /// A carriage return at the end of a piece, which may be half of a line end.
    held_back: bool,
}

/// Why a message was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot read the message from standard input: {0}")]
    Input(io::Error),
    #[error("cannot keep the message in {folder}: {error}", folder = std::env::temp_dir().display())]
    Kept { error: io::Error },
    #[error("the header section of the message has more than {LONGEST_HEADER} bytes")]
    Header,
}

/// What ends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The end of the input.
    Input,
    /// That, or a line with a dot alone.
    Dot,
}

impl Content {
    /// Reads a message to its end.
    pub(super) fn read(input: impl Read, end: End) -> Result<Self, ReadError> {
        Self::read_in_pieces(input, end, PIECE)
    }

    fn read_in_pieces(input: impl Read, end: End, most: u64) -> Result<Self, ReadError> {
        let mut reading = Reading {
            content: Self {
                header: Header::default(),
                body: SpooledTempFile::new(IN_MEMORY),
                octets: 0,
                held_back: false,
            },
            is_in_header: true,
        };
        let mut input = BufReader::with_capacity(64 * 1024, input);
        let mut is_start = true;
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let read = input.by_ref().take(most).read_until(b'\n', &mut piece);
            if read.map_err(ReadError::Input)? == 0 {
                break;
            }
            let is_dot = is_start && matches!(piece.as_slice(), b".\n" | b".\r\n" | b".");
            if is_dot && end == End::Dot {
                break;
            }
            reading.piece(&piece, is_start)?;
            is_start = piece.ends_with(b"\n");
        }
        if !is_start && !reading.is_in_header {
            reading.content.put(b"\r\n")?;
        }
        Ok(reading.content)
    }

    /// The size of the message, for the SIZE of RFC 1870.
    pub(super) fn size(&self, header: &[u8]) -> u64 {
        self.octets + header.len() as u64
    }

    /// The body from its beginning, as it goes over the wire.
    pub(super) fn body(&mut self) -> io::Result<&mut impl Read> {
        self.body.seek(SeekFrom::Start(0))?;
        Ok(&mut self.body)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        self.octets += bytes.len() as u64;
        self.body
            .write_all(bytes)
            .map_err(|error| ReadError::Kept { error })
    }

    /// A line or a piece of one.
    fn text(&mut self, piece: &[u8], is_start: bool) -> Result<(), ReadError> {
        if is_start && piece.starts_with(b".") {
            self.body
                .write_all(b".")
                .map_err(|error| ReadError::Kept { error })?;
        }
        if std::mem::take(&mut self.held_back) && piece != b"\n" {
            self.put(b"\r")?;
        }
        let line = piece.strip_suffix(b"\n");
        let text = line.unwrap_or(piece);
        let without = text.strip_suffix(b"\r");
        self.put(without.unwrap_or(text))?;
        match line {
            Some(_) => self.put(b"\r\n"),
            None => {
                self.held_back = without.is_some();
                Ok(())
            }
        }
    }
}

struct Reading {
    content: Content,
    is_in_header: bool,
}

impl Reading {
    fn piece(&mut self, piece: &[u8], is_start: bool) -> Result<(), ReadError> {
        if !self.is_in_header {
            return self.content.text(piece, is_start);
        }
        let header = &mut self.content.header;
        if header.len() > LONGEST_HEADER {
            return Err(ReadError::Header);
        }
        if !is_start {
            header.more(piece);
            return Ok(());
        }
        match header.line(piece) {
            Line::Header => Ok(()),
            Line::End => {
                self.is_in_header = false;
                Ok(())
            }
            Line::Body => {
                self.is_in_header = false;
                self.content.text(piece, is_start)
            }
        }
    }
}

/// The header section as it goes over the wire, with the empty line behind it.
pub(super) fn on_the_wire(header: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(header.len() + 64);
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sendmail::header::Ends;

    fn wire(message: &str, end: End) -> String {
        let mut content = Content::read(message.as_bytes(), end).unwrap();
        let mut wire = on_the_wire(&content.header.outgoing("a@b", &Ends::new()));
        content.body().unwrap().read_to_end(&mut wire).unwrap();
        String::from_utf8(wire).unwrap()
    }

    #[test]
    fn line_ends_become_crlf_whatever_they_were() {
        for (message, expected) in [
            (
                "From: x\nTo: y\n\none\ntwo\n",
                "From: x\r\nTo: y\r\n\r\none\r\ntwo\r\n",
            ),
            ("From: x\r\n\r\none\r\ntwo", "From: x\r\n\r\none\r\ntwo\r\n"),
            ("From: x\n\none\rtwo\r\r\n", "From: x\r\n\r\none\rtwo\r\r\n"),
            ("From: x", "From: x\r\n\r\n"),
            ("From: x\n", "From: x\r\n\r\n"),
            ("From: x\n\n", "From: x\r\n\r\n"),
            ("only a text\n", "From: a@b\r\n\r\nonly a text\r\n"),
            ("", "From: a@b\r\n\r\n"),
        ] {
            assert_eq!(wire(message, End::Input), expected, "{message:?}");
        }
    }

    #[test]
    fn a_dot_alone_ends_the_message_unless_it_is_told_otherwise() {
        let message = "From: x\n\none\n.\n.two\n";

        assert_eq!(wire(message, End::Dot), "From: x\r\n\r\none\r\n");
        assert_eq!(
            wire(message, End::Input),
            "From: x\r\n\r\none\r\n..\r\n..two\r\n"
        );
        assert_eq!(
            wire("From: x\n\none\n.", End::Dot),
            "From: x\r\n\r\none\r\n"
        );
        assert_eq!(wire("From: x\n.\nTo: y\n", End::Dot), "From: x\r\n\r\n");
    }

    #[test]
    fn a_line_that_is_longer_than_a_piece_stays_one_line() {
        let long = "x".repeat(200_000);
        let dots = format!("{}.", "y".repeat(64 * 1024));
        let cut = "z".repeat(64 * 1024 - 1);

        let message = format!("From: x\nX-Long: {long}\n\n{long}\n{dots}\n{cut}\r\n{cut}\r\r\n");

        let expected =
            format!("From: x\r\nX-Long: {long}\r\n\r\n{long}\r\n{dots}\r\n{cut}\r\n{cut}\r\r\n");
        assert_eq!(wire(&message, End::Dot), expected);
    }

    proptest::proptest! {
        #[test]
        fn a_text_comes_out_alike_however_it_is_cut(text in "[a.\r\n]{0,40}") {
            let message = format!("\n{text}");
            let read = |most| {
                let read = Content::read_in_pieces(message.as_bytes(), End::Input, most);
                let mut wire = String::new();
                read.unwrap().body().unwrap().read_to_string(&mut wire).unwrap();
                wire
            };
            let whole = read(PIECE);

            proptest::prop_assert_eq!(&read(4), &whole);
            // A receiver finds the lines again, and no end before the last.
            proptest::prop_assert!(!whole.starts_with(".\r\n") && !whole.contains("\n.\r\n"));
            let mut expected = text.replace("\r\n", "\n");
            if !expected.is_empty() && !expected.ends_with('\n') {
                expected = format!("{}\n", expected.strip_suffix('\r').unwrap_or(&expected));
            }
            let lines = whole.split_inclusive("\r\n");
            let lines = lines.map(|line| line.strip_prefix('.').unwrap_or(line));
            let received: String = lines.map(|line| line.replacen("\r\n", "\n", 1)).collect();
            proptest::prop_assert_eq!(received, expected);
        }
    }

    #[test]
    fn the_size_is_that_of_the_message_without_transparency() {
        let content = Content::read("From: x\n\n.one\n".as_bytes(), End::Input).unwrap();
        let header = on_the_wire(&content.header.outgoing("a@b", &Ends::new()));
        assert_eq!(
            content.size(&header),
            "From: x\r\n\r\n.one\r\n".len() as u64
        );
    }
}
