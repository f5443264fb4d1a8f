//! Decodes quoted-printable piece by piece (RFC 2045 6.7).
//!
//! As tolerant as receivers are: hexadecimal digits of either case, blanks that were
//! added at the ends of lines, and an `=` that begins no escape, which stays as it is.
//! Hand-written HTML contains many of those: `href="?id=x"`.

/// A decoder for quoted-printable.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintable {
    /// An escape that may continue, or blanks that may end a line.
    held: Vec<u8>,
}

/// More blanks than this do not end a line.
const LONGEST_HELD: usize = 1000;

impl QuotedPrintable {
    /// Decodes the next piece; appends what is certain to `decoded`.
    pub(super) fn feed(&mut self, mut encoded: &[u8], decoded: &mut Vec<u8>) {
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

    /// Continues with what is held, which begins with `=`; returns whether the byte
    /// belongs to it. Bytes that are not an escape stay.
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
            // RFC 2045 6.7 (3): blanks after a soft break were added in transport.
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

    /// Decodes at the end what was held back.
    pub(super) fn finish(&mut self, decoded: &mut Vec<u8>) {
        // Neither blanks at the end of a line nor a soft break count.
        if !self.held.iter().all(|byte| b" \t\r=".contains(byte)) {
            decoded.append(&mut self.held);
        }
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_blanks_are_not_held() {
        let blanks = [b' '; 100_000];
        for start in [&b""[..], b"="] {
            let mut decoder = QuotedPrintable::default();
            decoder.feed(start, &mut Vec::new());

            decoder.feed(&blanks, &mut Vec::new());

            assert!(decoder.held.len() <= LONGEST_HELD + 1);
        }
    }
}
