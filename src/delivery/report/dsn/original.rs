//! The last part of a report: the header section of the original, or all of it.

use std::borrow::Cow;

use super::Facts;
use crate::mime::Header;
use crate::mime::seven_bit;

/// How much of the original is returned.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) enum Return<'a> {
    Header,
    /// The whole message was requested, and is too large for a report.
    HeaderOnly,
    Whole(&'a [u8]),
}

/// Bytes of the original's header section: enough for any written by people.
const MOST_HEADER: usize = 64 * 1024;

/// The last part: its type, its encoding and its contents.
pub(super) fn returned<'a>(
    facts: &Facts<'a>,
    header: Option<(Vec<u8>, Cut)>,
) -> Option<(&'static str, &'static str, Cow<'a, [u8]>)> {
    if let Return::Whole(content) = facts.returned {
        let encoding = whole_encoding(content);
        return Some(("message/rfc822", encoding, Cow::Borrowed(content)));
    }
    let (header, _) = header?;
    let (encoding, header) = seven_bit(&header);
    let header = Cow::Owned(header.into_bytes());
    Some(("text/rfc822-headers", encoding, header))
}

/// The boundary, which no part contains.
pub(super) fn boundary(facts: &Facts<'_>) -> String {
    // With 80 random bits.
    let mut boundary = format!("=_{}", facts.id);
    if let Return::Whole(content) = facts.returned {
        while memchr::memmem::find(content, boundary.as_bytes()).is_some() {
            boundary.push('_');
        }
    }
    boundary
}

/// An attached message may not be encoded (RFC 2046 5.2.1).
pub(super) fn whole_encoding(content: &[u8]) -> &'static str {
    match content.is_ascii() {
        true => "7bit",
        false => "8bit",
    }
}

/// Whether there was room for the whole header section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Whole,
    Short,
}

/// The header section as it came in, cut after a whole field.
pub(super) fn original(header: &Header<'_>) -> (Vec<u8>, Cut) {
    let mut fields = Vec::new();
    for field in &header.fields {
        if fields.len() + field.raw.len() > MOST_HEADER {
            return (fields, Cut::Short);
        }
        fields.extend_from_slice(&field.raw);
    }
    (fields, Cut::Whole)
}
