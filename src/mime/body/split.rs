//! Decides which parts are taken out of a message, so that the rest fits into one
//! request, and describes them as attachments.
//!
//! Promise 5: the rest goes out as the bytes that came in; whole parts are left
//! out, and nothing is written but a delimiter that would be missing and an empty
//! text where a multipart would be without parts. Never taken is what is signed,
//! encrypted or a report, nor the forms of one text (multipart/alternative), nor a
//! text that is shown; nor anything out of a multipart that other programs may see
//! otherwise (`scan.rs`).
//!
//! A part that is doubtful itself is taken after all others, and decoded if the relay is
//! certain of its encoding. Otherwise it becomes an attached message, unchanged, so that
//! the recipient's mail program reads it as it would have in its place.
//!
//! A picture is inline if an HTML text refers to it, at any position. A picture that is
//! referred to by its Content-Location would lose that, and is taken late.

use std::ops::Range;

use bytes::Bytes;

use crate::mime::Decoded;
use crate::mime::Encoding;
use crate::mime::Header;
use crate::mime::Outgoing;
use crate::mime::Part;
use crate::mime::PartHeaders;
use crate::mime::Piece;
use crate::mime::Reader;
use crate::mime::Structure;

/// The largest attachment in bytes. Graph page "attachment: createUploadSession" says 150
/// MB; whether Graph counts a file of this size as too large is left to Graph.
pub const LARGEST_ATTACHMENT: u64 = 150 * 1024 * 1024;

/// A message without its large attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What happens to the message's own body.
    pub root: Root,
    /// The remaining body, in order.
    pub kept: Vec<Kept>,
    /// The parts that were taken, in the order of the message.
    pub attachments: Vec<Detached>,
}

/// What happens to the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// It is unchanged.
    Kept,
    /// It is the attachment itself; an empty text replaces it.
    Replaced,
}

/// A piece of the remaining body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Original bytes.
    Range(Range<u64>),
    /// Bytes that the relay adds.
    Inserted(Vec<u8>),
}

/// A part that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// Its name, or one that suits its type.
    pub name: String,
    /// Type and subtype.
    pub content_type: String,
    /// Content-ID without its angle brackets.
    pub content_id: Option<String>,
    /// Whether it is shown within the text, and not among the attachments.
    pub inline: bool,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Its position in the body.
    pub range: Range<u64>,
    /// Its decoded size in bytes.
    pub size: u64,
}

/// Why a message cannot be made small enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsplittable {
    /// The parts that may not be taken out are too large.
    #[error("without its attachments it still has {rest} bytes, and one request may have {limit}")]
    TooLarge {
        /// The remaining bytes.
        rest: u64,
        /// The bytes that fit.
        limit: u64,
    },
    /// An attachment exceeds the limit.
    #[error("an attachment has {size} bytes, and Graph accepts at most {LARGEST_ATTACHMENT}")]
    AttachmentTooLarge {
        /// Its size in bytes.
        size: u64,
    },
}

impl Split {
    /// Takes attachments out, the largest first, until the rest has no more than `limit`
    /// bytes together with a header section of `header` bytes.
    ///
    /// # Errors
    ///
    /// Not enough can be taken.
    pub fn of(structure: &Structure, header: u64, limit: u64) -> Result<Self, Unsplittable> {
        let mut taking = Taking {
            structure,
            taken: vec![false; structure.parts.len()],
            rest: header + structure.size,
        };
        for part in taking.candidates() {
            if taking.rest <= limit {
                break;
            }
            let size = size(part);
            if size > LARGEST_ATTACHMENT {
                return Err(Unsplittable::AttachmentTooLarge { size });
            }
            taking.take(part);
        }
        match taking.rest {
            rest if rest > limit => Err(Unsplittable::TooLarge { rest, limit }),
            _ => Ok(taking.split()),
        }
    }

    /// The message without the parts that were taken.
    pub fn outgoing(&self, message: &Outgoing) -> Outgoing {
        let body = self.kept.iter().flat_map(|kept| match kept {
            Kept::Range(range) => message.body_range(range.clone()),
            Kept::Inserted(bytes) => vec![Piece::Bytes(Bytes::copy_from_slice(bytes))],
        });
        let header = match self.root {
            Root::Kept => message.header.clone(),
            Root::Replaced => as_empty_text(&message.header).into(),
        };
        Outgoing {
            header,
            body: body.collect(),
        }
    }
}

impl Detached {
    /// Reads its decoded bytes from the original message, without the first `skip` bytes.
    pub fn read(&self, message: &Outgoing, skip: u64) -> Decoded {
        let encoded = Reader::new(message.body_range(self.range.clone()));
        Decoded::new(encoded, self.encoding, skip)
    }
}

/// A header section that describes an empty text; its original fields about the body stay
/// visible.
fn as_empty_text(header: &[u8]) -> Vec<u8> {
    let mut edited = Vec::with_capacity(header.len() + EMPTY_TEXT.len());
    let fields = Header::split(header, true).map_or_else(Vec::new, |header| header.fields);
    for field in fields {
        let name = field.name.to_ascii_lowercase();
        if name.starts_with("content-") {
            edited.extend(field.renamed());
        } else {
            edited.extend_from_slice(&field.raw);
        }
    }
    edited.extend_from_slice(EMPTY_TEXT);
    edited
}

/// The header section of an empty text.
const EMPTY_TEXT: &[u8] = b"Content-Type: text/plain; charset=us-ascii\r\n\r\n";

const RELATED: &str = "multipart/related";

/// The parts being taken.
struct Taking<'s> {
    structure: &'s Structure,
    /// Whether each part is taken.
    taken: Vec<bool>,
    /// The remaining bytes.
    rest: u64,
}

impl<'s> Taking<'s> {
    /// The parts that may be taken: the largest first, and those that lose something
    /// last.
    fn candidates(&self) -> Vec<&'s Part> {
        let parts = self.structure.parts.iter();
        let mut candidates: Vec<_> = parts.filter(|part| self.may_go(part)).collect();
        candidates.sort_by_key(|part| {
            let is_doubtful = part.doubtful || is_undecodable(part);
            let is_located = part.part_headers.located && self.is_related(part);
            let smaller = std::cmp::Reverse(length(&part.whole));
            (is_doubtful, is_located, smaller)
        });
        candidates
    }

    fn may_go(&self, part: &Part) -> bool {
        let parent = self.structure.around(part).next();
        let is_form =
            parent.is_some_and(|it| it.part_headers.content_type == "multipart/alternative");
        let main = parent.filter(|it| it.part_headers.content_type == RELATED);
        let main = main.and_then(|it| self.structure.main_of(it));
        let is_main = main.is_some_and(|main| main.at == part.at);
        let may_be_message =
            !part.doubtful && !is_undecodable(part) && !is_whole(&part.part_headers);
        !part.open
            && !part.part_headers.is_multipart()
            && !is_form
            && is_attachment(&part.part_headers, is_main, self.is_related(part))
            && (parent.is_some() || may_be_message)
            && may_be_changed(self.structure, part)
    }

    /// Whether a part is in a multipart/related at any depth.
    fn is_related(&self, part: &Part) -> bool {
        let mut around = self.structure.around(part);
        around.any(|it| it.part_headers.content_type == RELATED)
    }

    fn is_taken(&self, part: &Part) -> bool {
        self.taken.get(part.at) == Some(&true)
    }

    fn take(&mut self, part: &Part) {
        let before = self.written(part);
        if let Some(taken) = self.taken.get_mut(part.at) {
            *taken = true;
        }
        self.rest -= length(&part.whole);
        self.rest += self.written(part);
        self.rest -= before;
        if part.parent.is_none() {
            // Its header section is rewritten.
            self.rest += AROUND_EMPTY_TEXT;
        }
    }

    /// Bytes that stand in for what was taken out of the multipart that a part is in.
    fn written(&self, part: &Part) -> u64 {
        let written = self.instead(part);
        written.map_or(0, |(_, bytes)| bytes.len() as u64)
    }

    /// What has to be written in the multipart that a part is in, and in place of
    /// which part: where it would be without parts, or without the end of its last one.
    fn instead(&self, part: &Part) -> Option<(usize, Vec<u8>)> {
        let multipart = self.structure.around(part).next()?;
        let boundary = multipart.part_headers.boundary.as_deref()?;
        let last = self.structure.children(multipart).last()?;
        if !self.is_taken(last) {
            return None;
        }
        let mut written = Vec::new();
        let mut children = self.structure.children(multipart);
        if children.all(|child| self.is_taken(child)) {
            written.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            written.extend_from_slice(EMPTY_TEXT);
            written.extend_from_slice(b"\r\n");
        }
        if !multipart.closed {
            written.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        }
        (!written.is_empty()).then_some((last.at, written))
    }

    fn split(&self) -> Split {
        let mut kept = Kepts::default();
        let mut attachments = Vec::new();
        let mut from = 0;
        for part in self
            .structure
            .parts
            .iter()
            .filter(|part| self.is_taken(part))
        {
            attachments.push(self.attachment(part));
            kept.range(from..part.whole.start);
            from = part.whole.end;
            if let Some((last, written)) = self.instead(part)
                && last == part.at
            {
                kept.0.push(Kept::Inserted(written));
            }
        }
        kept.range(from..self.structure.size);
        Split {
            root: match self.taken.first() {
                Some(true) => Root::Replaced,
                Some(false) | None => Root::Kept,
            },
            kept: kept.0,
            attachments,
        }
    }

    fn attachment(&self, part: &Part) -> Detached {
        let part_headers = &part.part_headers;
        if is_undecodable(part) {
            return Detached {
                name: "attachment.eml".to_owned(),
                content_type: "message/rfc822".to_owned(),
                content_id: None,
                inline: false,
                encoding: Encoding::Identity,
                range: part.as_message(),
                size: size(part),
            };
        }
        let references = &self.structure.references;
        let id = part_headers.content_id.as_deref();
        Detached {
            name: part.file_name(),
            content_type: part_headers.content_type.clone(),
            content_id: part_headers.content_id.clone(),
            inline: id.is_some_and(|id| references.has(id)),
            encoding: part_headers.encoding,
            range: part.body.clone(),
            size: size(part),
        }
    }
}

/// Whether the encoding of the part is unknown.
fn is_undecodable(part: &Part) -> bool {
    part.part_headers.encoding == Encoding::Unknown
}

/// The size of a part as an attachment.
fn size(part: &Part) -> u64 {
    match is_undecodable(part) {
        true => length(&part.as_message()),
        false => part.decoded,
    }
}

/// The most bytes that `X-Original-` and the fields of an empty text need.
const AROUND_EMPTY_TEXT: u64 = 512;

/// The pieces that stay.
#[derive(Default)]
struct Kepts(Vec<Kept>);

impl Kepts {
    fn range(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.0.push(Kept::Range(range));
        }
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// Whether a part is something to be saved, not a text to be read.
fn is_attachment(part_headers: &PartHeaders, is_main: bool, is_related: bool) -> bool {
    if part_headers.content_type.starts_with("message/") && !part_headers.is_message() {
        // message/partial, message/delivery-status: these cannot be saved.
        return false;
    }
    let is_referred_to = is_related && part_headers.content_id.is_some() && !is_main;
    !part_headers.is_text()
        || part_headers.says_attachment()
        || (part_headers.name.is_some() && !is_main)
        || is_referred_to
}

/// Whether all programs see a part in this place, and nothing around it means
/// something as a whole only.
pub(super) fn may_be_changed(structure: &Structure, part: &Part) -> bool {
    let mut around = structure.around(part);
    around.all(|it| !it.doubtful && !is_sealed(&it.part_headers))
}

/// A multipart that only has a meaning as a whole: a signature, an encrypted text, a
/// report (RFC 1847, RFC 6522).
fn is_sealed(part_headers: &PartHeaders) -> bool {
    matches!(
        part_headers.content_type.as_str(),
        "multipart/signed" | "multipart/encrypted" | "multipart/report"
    )
}

impl Structure {
    /// Whether the message, or a part of it that only has a meaning as a whole, is signed
    /// or encrypted.
    pub fn is_signed_or_encrypted(&self) -> bool {
        let is_one = |part: &Part| {
            let kind = part.part_headers.content_type.as_str();
            matches!(kind, "multipart/signed" | "multipart/encrypted")
        };
        let root = self.parts.first();
        root.is_some_and(|root| is_whole(&root.part_headers)) || self.parts.iter().any(is_one)
    }
}

/// A type that describes the whole message, if it is the message's own.
fn is_whole(part_headers: &PartHeaders) -> bool {
    matches!(
        part_headers.content_type.as_str(),
        "application/pkcs7-mime"
            | "application/x-pkcs7-mime"
            | "application/pgp-encrypted"
            | "application/pgp"
    )
}
