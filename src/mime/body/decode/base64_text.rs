//! Decodes base64 piece by piece (RFC 2045 6.8), as it really arrives: with stray
//! characters between its letters, a footer that an appliance added, missing padding or
//! padding in the middle, or in the URL-safe alphabet (RFC 4648 5).
//!
//! The result is either what was encoded or [`Verdict::Doubtful`]: a file is never wrong
//! silently. A reading that is only likely is doubtful, and then the message is sent with
//! its original bytes.

use base64::Engine;

use super::Verdict;
use super::footer;
use crate::mime::text::BASE64;

/// A decoder for base64.
#[derive(Debug)]
pub(super) struct Base64 {
    alphabet: Alphabet,
    /// The beginning of an unfinished line.
    line: Vec<u8>,
    /// Whether the rest of a line is too long to be held.
    long: bool,
    /// Letters of an unfinished group.
    held: Vec<u8>,
    /// Whether something other than data came after the last data.
    gap: bool,
    /// Whether text after the data is being skipped.
    footer: bool,
    doubtful: bool,
    /// Letters so far.
    letters: u64,
    /// Letters since the last padding that was followed by more letters.
    unit: u64,
    /// Characters of padding after them.
    pads: u64,
    /// Characters of padding after a complete group, which needs none.
    idle_pads: u64,
    /// Whether there was padding in the middle.
    joined: bool,
    /// Whether padding came before letters of either alphabet. In the URL-safe one no
    /// encoder writes that.
    padded_before: bool,
    /// Whether data that could have ended continued after something else.
    resumed: bool,
    /// Whether there are letters whose bits belong to no byte.
    cut_off: bool,
    /// Characters of the other alphabet, `-` and `_`, between letters.
    dashes: u64,
    /// Such characters in separate lines after the last letter.
    rule: u64,
    /// The position of the last letter of either alphabet.
    last: u8,
    /// Whether there is a `+` or a `/`.
    slashes: bool,
    /// Other characters that are neither letters nor blanks.
    strays: u64,
}

/// Which letters mean 62 and 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// `+` and `/`.
    Standard,
    /// `-` and `_`.
    UrlSafe,
}

/// A longer line is data: some encoders write everything on one line.
const LONGEST_LINE: usize = 1000;

impl Base64 {
    pub(super) fn new(alphabet: Alphabet) -> Self {
        Self {
            alphabet,
            line: Vec::new(),
            long: false,
            held: Vec::new(),
            gap: false,
            footer: false,
            doubtful: false,
            letters: 0,
            unit: 0,
            pads: 0,
            idle_pads: 0,
            joined: false,
            padded_before: false,
            resumed: false,
            cut_off: false,
            dashes: 0,
            rule: 0,
            last: b'A',
            slashes: false,
            strays: 0,
        }
    }

    /// Decodes the next piece; appends what is certain to `decoded`.
    pub(super) fn feed(&mut self, mut encoded: &[u8], decoded: &mut Vec<u8>) {
        while !encoded.is_empty() {
            let end = memchr::memchr(b'\n', encoded);
            let (piece, rest) = encoded.split_at(end.map_or(encoded.len(), |at| at + 1));
            encoded = rest;
            if self.long {
                self.data(piece, decoded);
                self.long = end.is_none();
            } else if self.line.len() + piece.len() > LONGEST_LINE {
                let line = std::mem::take(&mut self.line);
                self.data(&line, decoded);
                self.data(piece, decoded);
                self.long = end.is_none();
            } else if self.line.is_empty() && end.is_some() {
                self.line(piece, decoded);
            } else {
                self.line.extend_from_slice(piece);
                if end.is_some() {
                    self.held_line(decoded);
                }
            }
        }
    }

    /// Decodes at the end what was held back.
    pub(super) fn finish(&mut self, decoded: &mut Vec<u8>) {
        self.held_line(decoded);
        self.ends_short();
        if self.rule > 0 {
            self.dashes += std::mem::take(&mut self.rule);
            self.last = b'-';
        }
        self.flush(decoded);
    }

    /// How certain it is that this was encoded.
    pub(super) fn verdict(&self) -> Verdict {
        let is_whole = |letters: u64| match self.pads + self.idle_pads {
            0 => letters % 4 != 1,
            pads => (letters + pads).is_multiple_of(4),
        };
        let is_clean = self.strays == 0 && !self.footer;
        let url_safe = self.unit + self.dashes;
        let ends_whole = ends_whole(url_safe, self.last);
        let may_be_url_safe = self.dashes > 0 && !self.padded_before && !self.slashes;
        match (
            !self.cut_off && (self.dashes == 0 || is_whole(self.unit)),
            may_be_url_safe && is_whole(url_safe) && ends_whole,
        ) {
            _ if self.doubtful => Verdict::Doubtful,
            _ if self.letters == 0 && self.strays + self.dashes > 0 => Verdict::Doubtful,
            (true, false) => Verdict::Certain,
            (false, true) if is_clean => Verdict::UrlSafe(url_safe * 3 / 4),
            (_, true) | (false, false) => Verdict::Doubtful,
        }
    }

    fn held_line(&mut self, decoded: &mut Vec<u8>) {
        let mut line = std::mem::take(&mut self.line);
        self.line(&line, decoded);
        // The next line uses its memory.
        line.clear();
        self.line = line;
    }

    /// A line that may be data, a footer, or nothing.
    fn line(&mut self, line: &[u8], decoded: &mut Vec<u8>) {
        let text = line.trim_ascii();
        if self.ordinary(text, decoded) {
            return;
        }
        let is_pure = text.iter().all(|byte| is_letter(*byte) || *byte == b'=');
        if self.alphabet == Alphabet::UrlSafe {
            // It was found to be nothing else.
            self.data(text, decoded);
        } else if self.footer {
            self.doubtful |= footer::may_be_data(text);
        } else if text.is_empty() {
            self.gap |= !line.is_empty();
        } else if is_pure {
            let is_behind = self.letters > 0 && (self.gap || self.pads > 0);
            self.doubtful |= self.is_complete() && footer::is_word(text, is_behind);
            self.resumed |= is_behind && self.is_complete();
            self.data(text, decoded);
        } else if text.iter().all(|byte| matches!(byte, b'-' | b'_')) {
            // A rule above a footer; data in the other alphabet.
            self.gap = true;
            self.rule += text.len() as u64;
            self.padded_before |= self.pads + self.idle_pads > 0;
        } else if !text.iter().any(|byte| is_letter(*byte)) {
            self.gap = true;
            self.strays += 1;
        } else {
            let likely = footer::likeness(text, self.is_complete(), self.gap || self.pads > 0);
            match likely {
                footer::Likeness::Data => self.data(text, decoded),
                footer::Likeness::Either => {
                    self.doubtful = true;
                    self.data(text, decoded);
                }
                footer::Likeness::Words => {
                    let is_url_safe =
                        |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
                    self.doubtful |= self.letters == 0 || text.iter().all(is_url_safe);
                    self.footer = true;
                    self.rule = 0;
                }
            }
        }
    }

    /// Decodes an ordinary line: complete groups of letters after ordinary lines.
    fn ordinary(&mut self, text: &[u8], decoded: &mut Vec<u8>) -> bool {
        let is_expected = !self.footer && !self.gap && self.held.is_empty();
        let is_expected = is_expected && self.pads == 0 && self.idle_pads == 0;
        let may_be = text.len().is_multiple_of(4) && !text.is_empty() && !text.ends_with(b"=");
        let may_be = may_be && !(self.letters > 0 && footer::is_word(text, false));
        if !is_expected || !may_be || self.alphabet != Alphabet::Standard {
            return false;
        }
        let mut bytes = [0; LONGEST_LINE / 4 * 3];
        let Ok(length) = BASE64.decode_slice(text, &mut bytes) else {
            return false;
        };
        decoded.extend_from_slice(bytes.get(..length).unwrap_or_default());
        self.unit += text.len() as u64;
        self.letters += text.len() as u64;
        self.slashes |= memchr::memchr2(b'+', b'/', text).is_some();
        self.last = text.last().copied().unwrap_or(self.last);
        true
    }

    /// Whether there is data, and nothing more is required.
    fn is_complete(&self) -> bool {
        self.letters > 0 && (self.pads > 0 || self.unit.is_multiple_of(4))
    }

    fn data(&mut self, text: &[u8], decoded: &mut Vec<u8>) {
        self.gap = false;
        self.dashes += std::mem::take(&mut self.rule);
        for run in text.split_inclusive(|byte| *byte == b'=') {
            let before = (self.held.len(), self.dashes);
            self.take(run);
            let taken = self.held.len() - before.0;
            if (taken > 0 || self.dashes > before.1) && self.pads + self.idle_pads > 0 {
                self.padded_before = true;
            }
            if taken > 0 {
                self.goes_on();
                self.unit += taken as u64;
                self.letters += taken as u64;
            }
            let whole = self.held.len() / 4 * 4;
            self.decode(whole, decoded);
            if run.ends_with(b"=") {
                self.pad(decoded);
            }
        }
    }

    /// Holds the letters of some text.
    fn take(&mut self, text: &[u8]) {
        for byte in text {
            if is_letter(*byte) || matches!(byte, b'-' | b'_') {
                self.last = *byte;
            }
            match (byte, self.alphabet) {
                (b'+' | b'/', Alphabet::Standard) => {
                    self.slashes = true;
                    self.held.push(*byte);
                }
                (b'-', Alphabet::UrlSafe) => self.held.push(b'+'),
                (b'_', Alphabet::UrlSafe) => self.held.push(b'/'),
                (b'-' | b'_', Alphabet::Standard) => self.dashes += 1,
                (b'=' | b' ' | b'\t' | b'\r' | b'\n', _) => {}
                _ if byte.is_ascii_alphanumeric() => self.held.push(*byte),
                _ => self.strays += 1,
            }
        }
    }

    /// Letters follow. What was padded before is a separate unit, as programs write it
    /// that encode a file piece by piece.
    fn goes_on(&mut self) {
        if self.pads > 0 {
            self.doubtful |= !(self.unit + self.pads).is_multiple_of(4);
            self.joined = true;
            self.unit = 0;
            self.pads = 0;
        }
        self.idle_pads = 0;
    }

    fn pad(&mut self, decoded: &mut Vec<u8>) {
        // After a complete group it pads nothing.
        if self.pads > 0 || !self.unit.is_multiple_of(4) {
            self.cut_off |= self.pads == 0 && self.unit % 4 == 1;
            self.pads += 1;
            self.flush(decoded);
        } else {
            self.idle_pads += 1;
        }
    }

    /// Letters at the end without padding.
    fn ends_short(&mut self) {
        if self.pads > 0 || self.unit.is_multiple_of(4) {
            return;
        }
        self.cut_off |= !ends_whole(self.unit, self.last);
        self.doubtful |= self.joined || self.resumed;
    }

    /// Decodes all letters that are held. In an incomplete group two letters make one
    /// byte, three make two, and a single one makes none.
    fn flush(&mut self, decoded: &mut Vec<u8>) {
        if self.held.len() % 4 == 1 {
            self.held.pop();
        }
        self.decode(self.held.len(), decoded);
    }

    fn decode(&mut self, count: usize, decoded: &mut Vec<u8>) {
        let letters = self.held.get(..count).unwrap_or_default();
        let done = BASE64.decode_vec(letters, decoded);
        debug_assert!(done.is_ok(), "only letters, and no single one");
        self.held.drain(..count);
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Whether this number of letters, without padding, ends exactly with a byte.
fn ends_whole(letters: u64, last: u8) -> bool {
    match (letters % 4, value_of(last)) {
        (0, _) => true,
        (2, Some(value)) => value & 0x0f == 0,
        (3, Some(value)) => value & 0x03 == 0,
        _ => false,
    }
}

fn value_of(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}
