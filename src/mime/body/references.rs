//! Finds what the HTML texts of a message refer to by `cid:` URLs (RFC 2392) while they
//! are read: whether a part is shown within the text depends on its use, not on its
//! position among the parts.

use std::collections::HashSet;

/// The Content-IDs that texts refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References(HashSet<String>);

/// Finds references in a text that comes in pieces, in any charset that includes ASCII.
#[derive(Debug, Default)]
pub(in crate::mime) struct Seeker {
    /// The last byte.
    last: u8,
    /// How much of `cid:` it completes.
    matched: usize,
    /// The text after `cid:` so far.
    name: Option<Vec<u8>>,
    /// The quote before `cid:`, or 0.
    quote: u8,
}

const SCHEME: &[u8; 4] = b"cid:";

/// The most names that are kept; a message has no more parts.
const MOST: usize = 1000;

/// The longest Content-ID, with every character escaped.
const LONGEST: usize = 3 * 255;

impl References {
    /// Those of one text.
    pub(in crate::mime) fn of(html: &str) -> Self {
        let mut references = Self::default();
        let mut seeker = Seeker::default();
        seeker.feed(html.as_bytes(), &mut references);
        seeker.finish(&mut references);
        references
    }

    /// Whether a text refers to the part with this Content-ID (without its angle
    /// brackets).
    pub fn has(&self, content_id: &str) -> bool {
        self.0.contains(&key(content_id.as_bytes()))
    }

    fn add(&mut self, name: &[u8]) {
        let name = name.trim_ascii();
        if !name.is_empty() && self.0.len() < MOST {
            self.0.insert(key(&plain(name)));
        }
    }
}

impl Seeker {
    /// Continues with the next piece of the text.
    pub(in crate::mime) fn feed(&mut self, text: &[u8], found: &mut References) {
        let mut rest = text;
        loop {
            if self.name.is_none() && self.matched == 0 {
                let next = memchr::memchr2(b'c', b'C', rest);
                let (passed, next) = rest.split_at(next.unwrap_or(rest.len()));
                let last = passed.iter().rfind(|byte| **byte != 0);
                self.last = last.copied().unwrap_or(self.last);
                rest = next;
            }
            let Some((byte, behind)) = rest.split_first() else {
                return;
            };
            rest = behind;
            // UTF-16 is ASCII with NULs in between.
            if *byte != 0 {
                self.take(*byte, found);
            }
        }
    }

    fn take(&mut self, byte: u8, found: &mut References) {
        if let Some(name) = &mut self.name {
            let ends = match self.quote {
                0 => byte.is_ascii_whitespace() || b"\"'<>()".contains(&byte),
                quote => byte == quote || b"<>\r\n".contains(&byte),
            };
            if !ends && name.len() < LONGEST {
                name.push(byte);
                return;
            }
            found.add(name);
            self.name = None;
        }
        let before = std::mem::replace(&mut self.last, byte);
        let goes_on = SCHEME.get(self.matched) == Some(&byte.to_ascii_lowercase());
        match self.matched {
            0 if goes_on && !before.is_ascii_alphanumeric() => {
                self.quote = if b"\"'".contains(&before) { before } else { 0 };
                self.matched = 1;
            }
            1.. if goes_on => self.matched += 1,
            _ => self.matched = 0,
        }
        if self.matched == SCHEME.len() {
            *self = Self {
                name: Some(Vec::new()),
                quote: self.quote,
                ..Self::default()
            };
        }
    }

    /// The text has ended.
    pub(in crate::mime) fn finish(&mut self, found: &mut References) {
        if let Some(name) = self.name.take() {
            found.add(&name);
        }
    }
}

/// A name without the entities that an attribute may contain (HTML 13.2.5.72), cut where
/// one of them is a quote.
fn plain(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, behind)) = rest.split_first() {
        let entity = ENTITIES.iter().find(|(text, _)| rest.starts_with(text));
        match entity {
            Some((_, b'"' | b'\'' | b'<' | b'>')) => break,
            Some((text, meant)) => {
                plain.push(*meant);
                rest = rest.get(text.len()..).unwrap_or_default();
            }
            None => {
                plain.push(*byte);
                rest = behind;
            }
        }
    }
    plain
}

const ENTITIES: [(&[u8], u8); 11] = [
    (b"&amp;", b'&'),
    (b"&#38;", b'&'),
    (b"&#64;", b'@'),
    (b"&#x40;", b'@'),
    (b"&commat;", b'@'),
    (b"&quot;", b'"'),
    (b"&#34;", b'"'),
    (b"&apos;", b'\''),
    (b"&#39;", b'\''),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
];

/// A key that is equal for all spellings of a Content-ID: programs write escapes (RFC
/// 3986 2.1) in the text, in the field, in both or in neither.
fn key(id: &[u8]) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(id.len());
    let mut at = 0;
    while let Some(byte) = id.get(at) {
        let escaped = hex(id.get(at + 1)).zip(hex(id.get(at + 2)));
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match escaped.filter(|_| *byte == b'%') {
            Some(escaped) => {
                bytes.push(escaped);
                at += 3;
            }
            None => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_referred_to_in_every_spelling_in_use() {
        for (html, id) in [
            ("<img src=\"cid:a@b\">", "a@b"),
            ("<IMG SRC='CID:a@b'>", "A@b"),
            ("<img src=cid:a@b>", "a@b"),
            ("<img src=cid:a@b width=3>", "a@b"),
            ("<p style='background:url(cid:a@b)'>", "a@b"),
            ("<p style=\"background:url('cid:a@b')\">", "a@b"),
            ("<p style=\"background:url(&quot;cid:a@b&quot;)\">", "a@b"),
            ("<img src=\"cid:a%40b\">", "a@b"),
            ("<img src=\"cid:a@b\">", "a%40b"),
            ("<img src=\"cid:a%20b@c\">", "a b@c"),
            ("<img src=\"cid:a b@c\">", "a b@c"),
            ("<img src=\"cid:a%2\">", "a%2"),
            ("<img src=\"cid:gr%C3%BCn@b\">", "gr\u{fc}n@b"),
            ("<img src=\"cid:a&amp;b&#64;c\">", "a&b@c"),
            ("<img src=\" cid:a@b \">", "a@b"),
            ("cid:a@b", "a@b"),
            ("<p>acid: xcid:z ci cic cid:a@b", "a@b"),
        ] {
            assert!(References::of(html).has(id), "{html} {id}");
            let wide: String = html.chars().flat_map(|c| [c, '\0']).collect();
            assert!(References::of(&wide).has(id), "{html} {id}");
        }
    }

    #[test]
    fn text_that_resembles_a_reference_is_not_one() {
        for html in [
            "<img src=\"cid:\">",
            "<img src=\"cid:a@bc\">",
            "<img src=\"cid:xa@b\">",
            "<img src=\"http://x/acid:a@b\">",
            "<img src=\"a@b\">",
            "<a href=\"mailto:a@b\">",
        ] {
            assert!(!References::of(html).has("a@b"), "{html}");
        }
    }

    #[test]
    fn references_are_found_however_a_text_is_cut() {
        let html = b"<img src=\"cid:a%40b\"><img src=cid:c@d><p style='x:url(cid:e@f)'>cid:g@h";
        for size in 1..html.len() {
            let (mut references, mut seeker) = (References::default(), Seeker::default());
            for piece in html.chunks(size) {
                seeker.feed(piece, &mut references);
            }
            seeker.finish(&mut references);

            for id in ["a@b", "c@d", "e@f", "g@h"] {
                assert!(references.has(id), "{id} {size}");
            }
        }
    }

    #[test]
    fn a_text_of_references_alone_takes_little_memory() {
        let many: String = (0..100_000).map(|n| format!("cid:{n} ")).collect();
        let long = format!("cid:{}", "x".repeat(100_000));

        assert_eq!(References::of(&many).0.len(), MOST);
        let longest = References::of(&long).0.into_iter().map(|id| id.len());
        assert_eq!(longest.max(), Some(LONGEST));
    }
}
