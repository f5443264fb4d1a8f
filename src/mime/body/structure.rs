//! The parts of a message at byte offsets (RFC 2046 5.1), as `scan.rs` has found them:
//! the one tree from which a large message is split (`split.rs`) and the JSON message
//! is made (`json/`).

use std::collections::HashMap;
use std::ops::Range;

use super::part_headers::default_name;
use super::part_headers::name_or_default;
use crate::mime::PartHeaders;
use crate::mime::References;

/// The parts of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The message itself, then each part after the one that contains it.
    pub parts: Vec<Part>,
    /// The Content-IDs that the HTML texts refer to.
    pub references: References,
    /// Bytes of the body.
    pub size: u64,
    /// It has more parts, or longer header sections, than are looked at.
    pub cut_short: bool,
}

/// One part; all offsets are in the body of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its place among the parts.
    pub at: usize,
    /// The multipart that contains it; `None` for the message itself.
    pub parent: Option<usize>,
    /// From its delimiter to the next one: the bytes to leave out to remove it.
    pub whole: Range<u64>,
    /// Its header section with the empty line; that of the message is not in the body.
    pub header: Range<u64>,
    /// Its encoded content, without the line end of the next delimiter.
    pub body: Range<u64>,
    /// Its description.
    pub part_headers: PartHeaders,
    /// The decoded size of the body; 0 for a multipart that was split.
    pub decoded: u64,
    /// Whether it is a multipart that was split.
    pub open: bool,
    /// It is a multipart within so many others that it was not taken apart.
    pub too_deep: bool,
    /// Whether its closing delimiter is there.
    pub closed: bool,
    /// Whether other programs may see something else here.
    pub doubtful: bool,
    /// Of the files without a name that would be called alike, which one it is.
    number: usize,
}

impl Structure {
    /// Numbers the files without a name.
    pub(super) fn of(
        mut parts: Vec<Part>,
        references: References,
        size: u64,
        cut_short: bool,
    ) -> Self {
        let mut seen = HashMap::<_, usize>::new();
        for part in &mut parts {
            let before = seen
                .entry(default_name(&part.part_headers.content_type))
                .or_default();
            part.number = *before + 1;
            *before += usize::from(part.part_headers.is_counted());
        }
        Self {
            parts,
            references,
            size,
            cut_short,
        }
    }

    /// The multiparts that a part is in, the innermost first.
    pub(in crate::mime) fn around(&self, part: &Part) -> impl Iterator<Item = &Part> {
        let parent = |part: &&Part| self.parts.get(part.parent?);
        std::iter::successors(parent(&part), parent)
    }

    /// All that is in a part, in order.
    pub(in crate::mime) fn within(&self, part: &Part) -> impl Iterator<Item = &Part> {
        let at = part.at;
        let behind = self.parts.iter().skip(at + 1);
        behind.take_while(move |it| it.parent >= Some(at))
    }

    /// The parts of a multipart, without theirs.
    pub(in crate::mime) fn children(&self, part: &Part) -> impl Iterator<Item = &Part> {
        let at = part.at;
        self.within(part).filter(move |it| it.parent == Some(at))
    }

    /// The parts in it that have no parts; itself, if no part is in it.
    pub(in crate::mime) fn leaves<'s>(&'s self, part: &'s Part) -> impl Iterator<Item = &'s Part> {
        let all = std::iter::once(part).chain(self.within(part));
        all.filter(|it| self.is_leaf(it))
    }

    /// Whether no part is in it.
    pub(in crate::mime) fn is_leaf(&self, part: &Part) -> bool {
        self.within(part).next().is_none()
    }

    /// The part of a multipart/related that the others belong to (RFC 2387 3.2): the
    /// first, if no other is named.
    pub(in crate::mime) fn main_of(&self, related: &Part) -> Option<&Part> {
        let start = related.part_headers.start.as_ref();
        let is_named = |it: &&Part| start.is_some() && it.part_headers.content_id.as_ref() == start;
        let named = self.children(related).find(is_named);
        named.or_else(|| self.children(related).next())
    }
}

impl Part {
    /// In the multipart of that place, from that offset on.
    pub(super) fn at(at: usize, parent: Option<usize>, offset: u64) -> Self {
        Self {
            at,
            parent,
            whole: offset..offset,
            header: offset..offset,
            body: offset..offset,
            part_headers: PartHeaders::unknown(),
            decoded: 0,
            open: false,
            too_deep: false,
            closed: false,
            doubtful: true,
            number: 1,
        }
    }

    /// Its name as a file, or one that suits its type.
    pub(in crate::mime) fn file_name(&self) -> String {
        name_or_default(&self.part_headers, self.number)
    }

    /// Its header section and its body: what it is as a message.
    pub(in crate::mime) fn as_message(&self) -> Range<u64> {
        self.header.start..self.body.end
    }
}
