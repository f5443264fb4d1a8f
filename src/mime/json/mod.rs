//! A message in Graph's JSON form: the few properties that it has, and a list of what
//! they cannot express.
//!
//! The form cannot carry a message unchanged, so it is used only if it alone can do what
//! was asked; the operator sees a list of what is lost. A signature would not survive,
//! and encrypted content would not be readable, so such messages have no JSON form.
//!
//! The recipients are read by the reader that decided about them
//! (`delivery/attempt/recipients.rs`): To, Cc and Bcc of the outgoing header section;
//! items that are not certain name nobody. The caller compares [`JsonMessage::recipients`]
//! with the envelope (promise 3).

pub(super) mod attachment;
pub(super) mod contents;
mod html;
mod parts;
pub(super) mod properties;
#[cfg(test)]
mod tests;

use std::fmt;

use self::attachment::Attachment;
use self::contents::Contents;
use self::contents::Text;
use self::parts::Parts;
use self::parts::words;
use self::properties::Importance;
use self::properties::Sensitivity;
use super::Header;
use super::Item;
use super::Part;
use crate::mail::Address;

/// The part of a message that the JSON form can express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonMessage {
    /// Decoded, on one line, at most 255 UTF-16 units.
    pub subject: String,
    /// The displayed text.
    pub text: Text,
    /// The files, in the order of the message.
    pub attachments: Vec<Attachment>,
    /// The author; without one Graph uses the mailbox.
    pub from: Option<Mailbox>,
    /// Where replies go, if not to the author.
    pub reply_to: Vec<Mailbox>,
    /// The recipients in To.
    pub to: Vec<Mailbox>,
    /// The recipients in Cc.
    pub cc: Vec<Mailbox>,
    /// The recipients in Bcc.
    pub bcc: Vec<Mailbox>,
    /// How urgent it is.
    pub importance: Importance,
    /// How private it is, if that is given.
    pub sensitivity: Option<Sensitivity>,
    /// Whether the author asks for a read receipt.
    pub read_receipt: bool,
    /// Whether the author asks for a delivery receipt.
    pub delivery_receipt: bool,
    /// The Message-ID, with its angle brackets.
    pub message_id: Option<String>,
    /// The Message-ID that it replies to.
    pub in_reply_to: Option<String>,
    /// The Message-IDs of the conversation.
    pub references: Option<String>,
    /// Fields whose names begin with `X-`, at most [`MOST_HEADERS`](Self::MOST_HEADERS).
    pub headers: Vec<(String, String)>,
    /// What JSON cannot express, each once.
    pub lost: Vec<Lost>,
}

/// A person with the displayed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The address.
    pub address: Address,
    /// Decoded, one line.
    pub name: Option<String>,
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self {
            address,
            name: None,
        }
    }
}

/// Content that the JSON form cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A header field, or the part of it that a property cannot hold.
    Field(String),
    /// The end of a long subject.
    SubjectEnd,
    /// An alternative to the text, such as plain text next to HTML.
    Alternative,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Field(name) => name,
            Self::SubjectEnd => "the end of the subject",
            Self::Alternative => "the alternative text",
        })
    }
}

/// Why a message has no JSON form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonMessageError {
    /// S/MIME (RFC 8551) or PGP/MIME (RFC 3156).
    #[error("it is signed, and the JSON form would break the signature")]
    Signed,
    /// It is signed or encrypted.
    #[error("it is encrypted, and the JSON form would make it unreadable")]
    Encrypted,
    /// It has so many parts that splitting it would need too much memory.
    #[error("it has too many parts to be taken apart")]
    TooManyParts,
    /// It has a part with a calendar method (RFC 6047), which programs need in MIME form.
    #[error(
        "it is an invitation or an answer to one, and the JSON form would make it a plain file"
    )]
    Invitation,
    /// RFC 6522: it is a delivery report or a read receipt. Programs need its MIME form
    /// and its Auto-Submitted field, which JSON cannot express either.
    #[error("it is a report, which programs no longer recognise in the JSON form")]
    Report,
    /// It has a part in an unknown encoding or charset, or a damaged part.
    #[error("its part {name:?} is encoded in a way that the relay cannot read for certain")]
    Undecodable {
        /// Its file name, or one that suits its type.
        name: String,
    },
    /// The only text cannot be shown.
    #[error("its text is neither plain nor HTML, and the JSON form has only those")]
    Unshown,
}

/// The longest subject that Exchange keeps, in UTF-16 units.
const LONGEST_SUBJECT: usize = 255;

impl JsonMessage {
    /// The most `X-` fields that Graph accepts.
    pub const MOST_HEADERS: usize = 5;

    /// Converts a whole message with CRLF line ends, with its outgoing header section.
    /// The time grows with the message, and so does the memory, by twice its size.
    ///
    /// # Errors
    ///
    /// It is signed, encrypted, an invitation or a report, has too many parts, or has a
    /// part that cannot be decoded.
    pub fn of(message: &[u8]) -> Result<Self, JsonMessageError> {
        let header = Header::split(message, true).unwrap_or_default();
        let parts = Parts::of(&header, message).ok_or(JsonMessageError::TooManyParts)?;
        check(&parts)?;
        let contents = Contents::of(&parts)?;
        let mut lost = Vec::new();
        if contents.chose {
            lost.push(Lost::Alternative);
        }
        let subject = header.all("Subject").next();
        let whole = subject.map(|field| words(field, parts.charset()));
        let whole = whole.unwrap_or_default();
        let subject = shortened(&whole);
        if subject.len() < whole.len() {
            lost.push(Lost::SubjectEnd);
        }
        let found = properties::of(&header);
        lost.extend(found.lost.into_iter().map(Lost::Field));
        let (text, attachments) = contents.finish()?;
        Ok(Self {
            subject,
            text,
            attachments,
            from: mailboxes(&header, "From").into_iter().next(),
            reply_to: mailboxes(&header, "Reply-To"),
            to: mailboxes(&header, "To"),
            cc: mailboxes(&header, "Cc"),
            bcc: mailboxes(&header, "Bcc"),
            importance: found.importance,
            sensitivity: found.sensitivity,
            read_receipt: found.read_receipt,
            delivery_receipt: found.delivery_receipt,
            message_id: found.message_id,
            in_reply_to: found.in_reply_to,
            references: found.references,
            headers: found.headers,
            lost,
        })
    }

    /// All recipients, in the order To, Cc, Bcc.
    pub fn recipients(&self) -> impl Iterator<Item = &Address> {
        let visible = self.to.iter().chain(&self.cc);
        visible.chain(&self.bcc).map(|mailbox| &mailbox.address)
    }
}

/// Refuses messages that would not survive. A signed or encrypted message that is only
/// attached is a file like any other.
fn check(parts: &Parts<'_>) -> Result<(), JsonMessageError> {
    for part in &parts.structure.parts {
        let is_signed_data = |kind: &str| kind.eq_ignore_ascii_case("signed-data");
        match part.part_headers.content_type.as_str() {
            "multipart/signed" => return Err(JsonMessageError::Signed),
            "multipart/encrypted" => return Err(JsonMessageError::Encrypted),
            "multipart/report" => return Err(JsonMessageError::Report),
            "application/pkcs7-mime" | "application/x-pkcs7-mime" if part.parent.is_none() => {
                return Err(match &part.part_headers.smime_type {
                    Some(kind) if is_signed_data(kind) => JsonMessageError::Signed,
                    Some(_) | None => JsonMessageError::Encrypted,
                });
            }
            "text/calendar" if is_invitation(parts, part) => {
                return Err(JsonMessageError::Invitation);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a part is meant for the recipient's calendar and not for saving: it names a
/// method (RFC 6047 2.4), or contains one and is not marked as an attachment.
fn is_invitation(parts: &Parts<'_>, calendar: &Part) -> bool {
    let within = || {
        let content = parts.content(calendar).unwrap_or_default();
        let mut lines = content.split(|byte| *byte == b'\n');
        lines.any(|line| begins(line, b"method:"))
    };
    calendar.part_headers.method || (!calendar.part_headers.says_attachment() && within())
}

fn begins(line: &[u8], with: &[u8]) -> bool {
    let begins = line.get(..with.len());
    begins.is_some_and(|begins| begins.eq_ignore_ascii_case(with))
}

/// The addresses of a field that are certain, in order.
fn mailboxes(header: &Header<'_>, name: &str) -> Vec<Mailbox> {
    let items = header.all(name).flat_map(|field| &field.list().items);
    items.filter_map(mailbox).collect()
}

fn mailbox(item: &Item) -> Option<Mailbox> {
    let name = item.readable_name();
    let address = item.address.clone()?;
    Some(Mailbox { address, name })
}

fn shortened(subject: &str) -> String {
    let mut room = LONGEST_SUBJECT;
    let fits = |c: &char| match room.checked_sub(c.len_utf16()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    subject.chars().take_while(fits).collect()
}
