//! Uuencoded parts (POSIX uuencode), which old Unix programs declare as
//! `x-uuencode`: from the line `begin` to the line `end`, also in its base64 form.

use super::Verdict;
use super::base64_text::Alphabet;
use super::base64_text::Base64;

/// A decoder for uuencode.
#[derive(Debug, Default)]
pub(super) struct Uuencode {
    /// The beginning of an unfinished line.
    line: Vec<u8>,
    /// Whether the rest of a line is too long to be valid.
    long: bool,
    place: Place,
    doubtful: bool,
    /// A line is shorter than it says, because blanks at its end were lost, if blanks are
    /// used.
    short: bool,
    /// Whether a back quote means zero; then no blank does.
    back_quotes: bool,
}

#[derive(Debug, Default)]
enum Place {
    #[default]
    Before,
    Data,
    /// `begin-base64`.
    Base64(Box<Base64>),
    /// After the line of length zero.
    Ending,
    Behind,
}

/// The longest line has 61 characters and possibly a checksum.
const LONGEST_LINE: usize = 1000;

impl Uuencode {
    /// Decodes the next piece; appends what is certain to `decoded`.
    pub(super) fn feed(&mut self, encoded: &[u8], decoded: &mut Vec<u8>) {
        for piece in encoded.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            self.long |= self.line.len() + piece.len() > LONGEST_LINE;
            if self.long {
                self.doubtful = true;
                self.long = !ends;
                self.line.clear();
                continue;
            }
            self.line.extend_from_slice(piece);
            if ends {
                self.held_line(decoded);
            }
        }
    }

    /// Decodes at the end what was held back.
    pub(super) fn finish(&mut self, decoded: &mut Vec<u8>) {
        self.held_line(decoded);
        self.doubtful |= self.short && self.back_quotes;
        self.doubtful |= !matches!(self.place, Place::Behind);
    }

    /// How certain it is that this was encoded.
    pub(super) fn verdict(&self) -> Verdict {
        match self.doubtful {
            true => Verdict::Doubtful,
            false => Verdict::Certain,
        }
    }

    fn held_line(&mut self, decoded: &mut Vec<u8>) {
        let mut line = std::mem::take(&mut self.line);
        while line.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            line.pop();
        }
        self.line(&line, decoded);
        line.clear();
        self.line = line;
    }

    fn line(&mut self, line: &[u8], decoded: &mut Vec<u8>) {
        match &mut self.place {
            Place::Before if is_beginning(line, b"begin ") => self.place = Place::Data,
            Place::Before if is_beginning(line, b"begin-base64 ") => {
                self.place = Place::Base64(Box::new(Base64::new(Alphabet::Standard)));
            }
            Place::Base64(base64) if line.trim_ascii() == b"====" => {
                base64.finish(decoded);
                self.doubtful |= base64.verdict() != Verdict::Certain;
                self.place = Place::Behind;
            }
            Place::Base64(base64) => base64.feed(&[line, b"\n"].concat(), decoded),
            Place::Data | Place::Ending if line.trim_ascii() == b"end" => {
                self.place = Place::Behind;
            }
            Place::Data if line.is_empty() => {}
            Place::Data => self.data(line, decoded),
            Place::Ending => self.doubtful |= !line.trim_ascii().is_empty(),
            // There is no place for a second file.
            Place::Behind => self.doubtful |= is_beginning(line, b"begin "),
            Place::Before => {}
        }
    }

    /// A line of data: the number of its bytes, and four characters for three bytes.
    fn data(&mut self, line: &[u8], decoded: &mut Vec<u8>) {
        let values: Option<Vec<u8>> = line.iter().map(|byte| value_of(*byte)).collect();
        let Some((length, values)) = values.as_deref().and_then(<[u8]>::split_first) else {
            self.doubtful = true;
            return;
        };
        self.back_quotes |= line.contains(&b'`');
        let length = usize::from(*length);
        if length == 0 {
            self.place = Place::Ending;
            self.doubtful |= values.iter().any(|value| *value != 0);
            return;
        }
        let wanted = length.div_ceil(3) * 4;
        self.short |= values.len() < wanted;
        // Some programs write a checksum after it.
        self.doubtful |= values.len() > wanted + 2;
        let mut values = values.to_vec();
        values.resize(wanted, 0);
        let bytes = values.chunks(4).flat_map(|group| {
            let bits = group
                .iter()
                .fold(0_u32, |bits, value| bits << 6 | u32::from(*value));
            let [_, first, second, third] = bits.to_be_bytes();
            [first, second, third]
        });
        decoded.extend(bytes.take(length));
    }
}

/// `begin 644 name`
fn is_beginning(line: &[u8], word: &[u8]) -> bool {
    line.strip_prefix(word).is_some_and(|rest| {
        let mode = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
        (3..=4).contains(&mode.len()) && mode.iter().all(u8::is_ascii_digit)
    })
}

fn value_of(byte: u8) -> Option<u8> {
    (b' '..=b'`').contains(&byte).then(|| (byte - b' ') & 0x3f)
}
