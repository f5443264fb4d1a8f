//! Reads Content-Transfer-Encoding and decodes it piece by piece (RFC 2045 6), with one
//! decoder for every form in which a message is sent.
//!
//! It is as tolerant as receivers are. What a part's size is (`body/scan.rs`) and
//! what is read from it are counted by this decoder alone, and it says how certain
//! the result is: what is [`Verdict::Doubtful`] is never sent as a decoded file.

mod base64_text;
mod footer;
mod quoted_printable;
#[cfg(test)]
mod tests;
mod uuencode;

use std::borrow::Cow;
use std::io;

use bytes::Buf;
use bytes::Bytes;

use self::base64_text::Alphabet;
use self::base64_text::Base64;
use self::quoted_printable::QuotedPrintable;
use self::uuencode::Uuencode;
use crate::mime::Reader;
use crate::mime::addresses::grammar::apart;

/// How the bytes of a part are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not encoded: 7bit, 8bit, binary, or no field.
    Identity,
    /// RFC 2045 6.7.
    QuotedPrintable,
    /// RFC 2045 6.8.
    Base64,
    /// With the alphabet of RFC 4648 5, which some programs use by mistake. No field says
    /// so; only the letters show it.
    Base64Url,
    /// The format of the Unix program uuencode.
    Uuencode,
    /// In a way that the relay does not know, or in two ways.
    Unknown,
}

impl Encoding {
    /// Reads the text of a Content-Transfer-Encoding field, whatever surrounds the word:
    /// quotes, comments, a semicolon with parameters. A text with two encodings names
    /// none.
    pub(in crate::mime) fn named(text: &str) -> Self {
        let outside = apart(text).map_or(Cow::Borrowed(text), |(outside, _)| outside);
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let values = outside.split(';').filter(|value| !value.contains('='));
        let words = values.flat_map(|value| value.split(|c: char| !is_word(c)));
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Self::Identity;
        }
        // `quoted printable`, `7 bit`
        if let Some(encoding) = Self::of_word(&words.concat()) {
            return encoding;
        }
        let mut known = words.iter().filter_map(|word| Self::of_word(word));
        match known.next() {
            Some(first) if known.all(|other| other == first) => first,
            Some(_) | None => Self::Unknown,
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        let bare = word.to_ascii_lowercase().replace(['-', '_'], "");
        match bare.strip_prefix('x').unwrap_or(&bare) {
            "base64" | "b64" | "mimebase64" => Some(Self::Base64),
            "quotedprintable" | "qp" => Some(Self::QuotedPrintable),
            "uuencode" | "uuencoded" | "uue" | "uu" => Some(Self::Uuencode),
            "7bit" | "7bits" | "8bit" | "8bits" | "8bitmime" | "binary" | "7" | "8" | "none"
            | "identity" | "plain" | "text" => Some(Self::Identity),
            // Some programs write the charset there.
            _ => encoding_rs::Encoding::for_label(word.as_bytes()).map(|_| Self::Identity),
        }
    }
}

/// How certain a decoder is of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mime) enum Verdict {
    /// This was encoded.
    Certain,
    /// It is base64 in the other alphabet ([`Encoding::Base64Url`]), with this number of
    /// bytes.
    UrlSafe(u64),
    /// Something else may have been encoded, or something is missing.
    Doubtful,
}

/// A decoder for one encoding.
#[derive(Debug)]
pub(in crate::mime) struct Decoder(Kind);

#[derive(Debug)]
enum Kind {
    Copy(Verdict),
    QuotedPrintable(QuotedPrintable),
    Base64(Box<Base64>),
    Uuencode(Uuencode),
}

impl Decoder {
    pub(in crate::mime) fn new(encoding: Encoding) -> Self {
        let base64 = |alphabet| Kind::Base64(Box::new(Base64::new(alphabet)));
        Self(match encoding {
            Encoding::Identity => Kind::Copy(Verdict::Certain),
            Encoding::Unknown => Kind::Copy(Verdict::Doubtful),
            Encoding::QuotedPrintable => Kind::QuotedPrintable(QuotedPrintable::default()),
            Encoding::Base64 => base64(Alphabet::Standard),
            Encoding::Base64Url => base64(Alphabet::UrlSafe),
            Encoding::Uuencode => Kind::Uuencode(Uuencode::default()),
        })
    }

    /// Decodes the next bytes; appends to `decoded` what is complete.
    pub(in crate::mime) fn feed(&mut self, encoded: &[u8], decoded: &mut Vec<u8>) {
        match &mut self.0 {
            Kind::Copy(_) => decoded.extend_from_slice(encoded),
            Kind::QuotedPrintable(decoder) => decoder.feed(encoded, decoded),
            Kind::Base64(decoder) => decoder.feed(encoded, decoded),
            Kind::Uuencode(decoder) => decoder.feed(encoded, decoded),
        }
    }

    /// Decodes at the end what was held back.
    pub(in crate::mime) fn finish(&mut self, decoded: &mut Vec<u8>) {
        match &mut self.0 {
            Kind::Copy(_) => {}
            Kind::QuotedPrintable(decoder) => decoder.finish(decoded),
            Kind::Base64(decoder) => decoder.finish(decoded),
            Kind::Uuencode(decoder) => decoder.finish(decoded),
        }
    }

    /// How certain the result is, once it is finished.
    pub(in crate::mime) fn verdict(&self) -> Verdict {
        match &self.0 {
            Kind::Copy(verdict) => *verdict,
            // Bytes that are not an escape stay, as in every reader.
            Kind::QuotedPrintable(_) => Verdict::Certain,
            Kind::Base64(decoder) => decoder.verdict(),
            Kind::Uuencode(decoder) => decoder.verdict(),
        }
    }
}

/// Decodes bytes in memory; `None` if the result is doubtful.
pub(in crate::mime) fn decoded(encoding: Encoding, encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(encoding);
    let mut decoded_bytes = Vec::with_capacity(encoded.len());
    decoder.feed(encoded, &mut decoded_bytes);
    decoder.finish(&mut decoded_bytes);
    match decoder.verdict() {
        Verdict::Certain => Some(decoded_bytes),
        Verdict::UrlSafe(_) => decoded(Encoding::Base64Url, encoded),
        Verdict::Doubtful => None,
    }
}

/// Reads the decoded content of a part.
#[derive(Debug)]
pub struct Decoded {
    reader: Reader,
    decoder: Decoder,
    /// Decoded bytes to be skipped.
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

    /// The next bytes, never empty; `None` at the end.
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
