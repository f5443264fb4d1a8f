//! Content-Transfer-Encoding undone piece by piece (RFC 2045 6).
//!
//! As tolerant as receivers are: base64 may have anything between its letters,
//! and goes on behind its padding; quoted-printable keeps an escape that is none.
//! What a part's size is (`structure.rs`) and what is read from it are counted by
//! this one decoder.

use std::io;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use bytes::Buf;
use bytes::Bytes;

use super::Reader;

/// How the bytes of a part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are: 7bit, 8bit, binary, or nothing said.
    Identity,
    /// RFC 2045 6.7.
    QuotedPrintable,
    /// RFC 2045 6.8.
    Base64,
    /// In a way that the relay does not know.
    Unknown,
}

/// Undoes an encoding.
#[derive(Debug)]
pub(super) struct Decoder {
    encoding: Encoding,
    /// Base64: letters of an unfinished group. Quoted-printable: an escape that may
    /// go on, or blanks that may end a line.
    held: Vec<u8>,
}

/// More blanks than any line has are no end of a line.
const LONGEST_HELD: usize = 1000;

/// Neither padding nor the bits behind the last byte are looked at.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Decoder {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            held: Vec::new(),
        }
    }

    /// Decodes what comes next; appends to `decoded` what is sure.
    pub(super) fn feed(&mut self, encoded: &[u8], decoded: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity | Encoding::Unknown => decoded.extend_from_slice(encoded),
            Encoding::Base64 => {
                for run in encoded.split_inclusive(|byte| *byte == b'=') {
                    let letters = run.iter().filter(|byte| is_letter(**byte));
                    self.held.extend(letters);
                    let whole = if run.ends_with(b"=") {
                        self.held.len()
                    } else {
                        self.held.len() / 4 * 4
                    };
                    self.letters(whole, decoded);
                }
            }
            Encoding::QuotedPrintable => self.quoted_printable(encoded, decoded),
        }
    }

    /// Decodes what was held back, at the end.
    pub(super) fn finish(&mut self, decoded: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity | Encoding::Unknown => {}
            Encoding::Base64 => self.letters(self.held.len(), decoded),
            Encoding::QuotedPrintable => {
                // Neither blanks at the end of a line nor a soft break count.
                if !self.held.iter().all(|byte| b" \t\r=".contains(byte)) {
                    decoded.append(&mut self.held);
                }
                self.held.clear();
            }
        }
    }

    /// Decodes the first letters that are held. Of a group that is cut off, two
    /// make a byte, three make two bytes, and a single one makes none.
    fn letters(&mut self, count: usize, decoded: &mut Vec<u8>) {
        let rest = self.held.split_off(count);
        let mut letters = std::mem::replace(&mut self.held, rest);
        if letters.len() % 4 == 1 {
            letters.pop();
        }
        let sure = BASE64.decode_vec(&letters, decoded);
        debug_assert!(sure.is_ok(), "only letters, and no single one");
    }

    fn quoted_printable(&mut self, mut encoded: &[u8], decoded: &mut Vec<u8>) {
        while let Some((byte, rest)) = encoded.split_first() {
            let plain = encoded.iter().position(|byte| b"=\r\n \t".contains(byte));
            let (plain, behind) = encoded.split_at(plain.unwrap_or(encoded.len()));
            if self.held.is_empty() && !plain.is_empty() {
                decoded.extend_from_slice(plain);
                encoded = behind;
                continue;
            }
            if self.held.first() == Some(&b'=') {
                if self.escape(*byte, decoded) {
                    encoded = rest;
                }
                continue;
            }
            match byte {
                b'\n' => {
                    let end: &[u8] = if self.held.ends_with(b"\r") {
                        b"\r\n"
                    } else {
                        b"\n"
                    };
                    decoded.extend_from_slice(end);
                    self.held.clear();
                }
                b' ' | b'\t' | b'\r' if self.held.len() < LONGEST_HELD => self.held.push(*byte),
                b'=' => {
                    decoded.append(&mut self.held);
                    self.held.push(b'=');
                }
                _ => {
                    decoded.append(&mut self.held);
                    decoded.push(*byte);
                }
            }
            encoded = rest;
        }
    }

    /// Goes on with what is held, which begins with `=`; whether the byte belongs
    /// to it. What is no escape is kept as it is.
    fn escape(&mut self, byte: u8, decoded: &mut Vec<u8>) -> bool {
        match (self.held.as_slice(), byte) {
            ([b'='], _) if byte.is_ascii_hexdigit() => self.held.push(byte),
            ([b'=', high], low) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let value = char::from(*high)
                    .to_digit(16)
                    .zip(char::from(low).to_digit(16));
                let value = value.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                decoded.extend(value);
                self.held.clear();
            }
            // RFC 2045 6.7 (3): blanks behind a soft break came on the way.
            ([b'=', blanks @ ..], _)
                if !blanks.first().is_some_and(u8::is_ascii_hexdigit)
                    && blanks.len() < LONGEST_HELD
                    && b" \t\r\n".contains(&byte) =>
            {
                self.held.push(byte);
                if byte == b'\n' {
                    self.held.clear();
                }
            }
            _ => {
                decoded.append(&mut self.held);
                return false;
            }
        }
        true
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Reads what a part says, decoded.
#[derive(Debug)]
pub struct Decoded {
    reader: Reader,
    decoder: Decoder,
    /// Decoded bytes that are not asked for.
    skip: u64,
    ended: bool,
}

impl Decoded {
    /// Decodes what `encoded` reads, without the first `skip` bytes of it.
    pub fn new(encoded: Reader, encoding: Encoding, skip: u64) -> Self {
        Self {
            reader: encoded,
            decoder: Decoder::new(encoding),
            skip,
            ended: false,
        }
    }

    /// What comes next, never empty; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::next`].
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.ended {
            let mut decoded = Vec::new();
            match self.reader.next().await? {
                Some(encoded) => self.decoder.feed(&encoded, &mut decoded),
                None => {
                    self.decoder.finish(&mut decoded);
                    self.ended = true;
                }
            }
            let mut decoded = Bytes::from(decoded);
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX);
            let skipped = skipped.min(decoded.len());
            decoded.advance(skipped);
            self.skip -= skipped as u64;
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mime::Piece;

    fn decoded<'a>(encoding: Encoding, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut decoder = Decoder::new(encoding);
        let mut decoded = Vec::new();
        for piece in pieces {
            decoder.feed(piece, &mut decoded);
        }
        decoder.finish(&mut decoded);
        decoded
    }

    #[test]
    fn base64_is_read_as_receivers_read_it() {
        for (encoded, expected) in [
            (&b""[..], &b""[..]),
            (b"aGVsbG8=", b"hello"),
            (b"aGVs\r\n bG8=\r\n", b"hello"),
            (b"aGVsbG8", b"hello"),
            (b"aGVs-bG8\x00=!", b"hello"),
            (b"aGVsbG8=aGVsbG8=", b"hellohello"),
            (b"aGVsbG9=", b"hello"),
            (b"aGVsb", b"hel"),
            (b"a===", b""),
            (b"====", b""),
            (b"+/+/", b"\xfb\xff\xbf"),
        ] {
            let shown = encoded.escape_ascii();
            assert_eq!(decoded(Encoding::Base64, [encoded]), expected, "{shown}");
        }
    }

    #[test]
    fn quoted_printable_is_read_as_receivers_read_it() {
        for (encoded, expected) in [
            (&b"a=3Db"[..], &b"a=b"[..]),
            (b"a=3db=C3=BC", b"a=b\xc3\xbc"),
            (b"a \t\r\nb", b"a\r\nb"),
            (b"a =\r\nb", b"a b"),
            (b"a= \t\r\nb", b"ab"),
            (b"a=20\r\nb", b"a \r\nb"),
            (b"a\nb", b"a\nb"),
            (b"a=", b"a"),
            (b"a  ", b"a"),
            (b"a=4", b"a=4"),
            (b"a=ZZ=3", b"a=ZZ=3"),
            (b"a==3D", b"a=="),
            (b"a=4=3D", b"a=4="),
            (b"a= b", b"a= b"),
            (b"a b  c", b"a b  c"),
        ] {
            let shown = encoded.escape_ascii();
            let read = decoded(Encoding::QuotedPrintable, [encoded]);
            assert_eq!(
                read.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{shown}"
            );
        }
    }

    #[test]
    fn endless_blanks_are_not_held() {
        let blanks = [b' '; 100_000];
        for start in [&b""[..], b"="] {
            let mut decoder = Decoder::new(Encoding::QuotedPrintable);
            decoder.feed(start, &mut Vec::new());

            decoder.feed(&blanks, &mut Vec::new());

            assert!(decoder.held.len() <= LONGEST_HELD + 1);
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_it_is_cut(
            encoded in "([a-zA-Z0-9+/]{1,6}|=|==|=3D|=[ -~]{2}| |\t|\r\n|\n|\r|-|=\r\n){0,30}",
            cuts in proptest::collection::vec(0..60_usize, 0..8),
        ) {
            let encoded = encoded.into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(encoded.len())).collect();
            cuts.extend([0, encoded.len()]);
            cuts.sort_unstable();
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Identity] {
                let pieces = cuts.windows(2).map(|cut| &encoded[cut[0]..cut[1]]);
                prop_assert_eq!(decoded(encoding, pieces), decoded(encoding, [&encoded[..]]));
            }
        }

        #[test]
        fn what_mail_parser_reads_is_read_alike(
            text in "([g-z.]{1,9}|=3D|=C3=BC|=\r\n| |\t|\r\n){0,30}",
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let theirs = mail_parser::decoders::quoted_printable::quoted_printable_decode(text.as_bytes());
            if let Some(theirs) = theirs.filter(|_| !text.ends_with([' ', '\t', '='])) {
                let ours = decoded(Encoding::QuotedPrintable, [text.as_bytes()]);
                let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
                prop_assert_eq!(lines(&ours), lines(&theirs));
            }
            let encoded = base64::prelude::BASE64_STANDARD.encode(&bytes);
            prop_assert_eq!(decoded(Encoding::Base64, [encoded.as_bytes()]), bytes);
        }

        #[test]
        fn reading_resumes_at_any_byte(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            skip in 0..310_u64,
        ) {
            let encoded = base64::prelude::BASE64_STANDARD.encode(&bytes).into_bytes();
            let pieces = encoded.chunks(7).map(|piece| Piece::Bytes(piece.to_vec().into()));
            let mut reading = Decoded::new(Reader::new(pieces), Encoding::Base64, skip);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

            let mut read = Vec::new();
            while let Some(piece) = runtime.block_on(reading.next()).unwrap() {
                read.extend_from_slice(&piece);
            }

            let from = bytes.len().min(usize::try_from(skip).unwrap());
            prop_assert_eq!(&read[..], &bytes[from..]);
        }
    }
}
