//! A message said in the words of Graph's JSON form: the few properties that it
//! has, and what of the message has no place among them.
//!
//! The form cannot carry a message as it is, so this is used only where it alone
//! can do what was asked; what is lost is listed, for the operator to see. A
//! signature would not survive, and what is encrypted would not be readable:
//! those messages have no rendition.
//!
//! Who receives it is read by the reader that decided about it
//! (`delivery/attempt/recipients.rs`): To, Cc and Bcc of the header section that goes out,
//! and what that reader is not sure of names nobody. Whoever sends a rendition
//! holds [`Rendition::recipients`] against the envelope (promise 3).

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

/// What the JSON form can say of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Decoded, on one line, at most 255 UTF-16 units.
    pub subject: String,
    /// What is read.
    pub text: Text,
    /// In the message's order.
    pub attachments: Vec<Attachment>,
    /// The author; without one Graph takes the mailbox.
    pub from: Option<Mailbox>,
    /// Where answers go, if not there.
    pub reply_to: Vec<Mailbox>,
    /// Of the To fields.
    pub to: Vec<Mailbox>,
    /// Of the Cc fields.
    pub cc: Vec<Mailbox>,
    /// Of the Bcc fields.
    pub bcc: Vec<Mailbox>,
    /// How urgent it is.
    pub importance: Importance,
    /// How private it is, if it says so.
    pub sensitivity: Option<Sensitivity>,
    /// The author asks to be told when it is read.
    pub read_receipt: bool,
    /// The author asks to be told when it has arrived.
    pub delivery_receipt: bool,
    /// With its angle brackets.
    pub message_id: Option<String>,
    /// The Message-ID that it answers.
    pub in_reply_to: Option<String>,
    /// Those of the conversation.
    pub references: Option<String>,
    /// Fields of its own whose names begin with `X-`, at most
    /// [`MOST_HEADERS`](Self::MOST_HEADERS).
    pub headers: Vec<(String, String)>,
    /// What it cannot say, each once.
    pub lost: Vec<Lost>,
}

/// Somebody with the name that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Where mail goes.
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

/// What the JSON form has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A header field, or what it says beyond what a property can.
    Field(String),
    /// The end of a long subject.
    SubjectEnd,
    /// An alternative to the text, such as the plain one beside HTML.
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

/// Why a message has no rendition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenditionError {
    /// S/MIME (RFC 8551) or PGP/MIME (RFC 3156).
    #[error("it is signed, and the JSON form would break the signature")]
    Signed,
    /// By one of the two.
    #[error("it is encrypted, and the JSON form would make it unreadable")]
    Encrypted,
    /// So many that taking them apart would take memory beyond measure.
    #[error("it has too many parts to be taken apart")]
    TooManyParts,
    /// A part with a calendar method (RFC 6047): programs act by its MIME form.
    #[error(
        "it is an invitation or an answer to one, and the JSON form would make it a plain file"
    )]
    Invitation,
    /// RFC 6522: a delivery report, a read receipt. Programs act by its MIME form, and
    /// by Auto-Submitted, which that form cannot say either.
    #[error("it is a report, which programs no longer recognise in the JSON form")]
    Report,
    /// In an encoding or a charset that the relay does not know, or damaged.
    #[error("its part {name:?} is encoded in a way that the relay cannot read for certain")]
    Undecodable {
        /// Its file name, or one that suits its type.
        name: String,
    },
    /// There is nothing else to read.
    #[error("its text is neither plain nor HTML, and the JSON form has only those")]
    Unshown,
}

/// What Exchange keeps of a subject, in UTF-16 units (microsoft-graph.md A2).
const LONGEST_SUBJECT: usize = 255;

impl Rendition {
    /// The most `X-` fields that Graph takes (microsoft-graph.md A3).
    pub const MOST_HEADERS: usize = 5;

    /// Of a whole message with CRLF line ends, its header section as it is to go
    /// out. Takes time that grows with the message, and memory for it twice.
    ///
    /// # Errors
    ///
    /// It is signed, encrypted, an invitation or a report, has too many parts, or has one that
    /// cannot be decoded.
    pub fn of(message: &[u8]) -> Result<Self, RenditionError> {
        let header = Header::split(message, true).unwrap_or_default();
        let parts = Parts::of(&header, message).ok_or(RenditionError::TooManyParts)?;
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

    /// Everybody who gets it, in the order To, Cc, Bcc.
    pub fn recipients(&self) -> impl Iterator<Item = &Address> {
        let visible = self.to.iter().chain(&self.cc);
        visible.chain(&self.bcc).map(|mailbox| &mailbox.address)
    }
}

/// Refuses what would not survive. A signed or encrypted message that is merely
/// attached is a file like any other.
fn check(parts: &Parts<'_>) -> Result<(), RenditionError> {
    for part in &parts.structure.parts {
        let is_signed_data = |kind: &str| kind.eq_ignore_ascii_case("signed-data");
        match part.media.content_type.as_str() {
            "multipart/signed" => return Err(RenditionError::Signed),
            "multipart/encrypted" => return Err(RenditionError::Encrypted),
            "multipart/report" => return Err(RenditionError::Report),
            "application/pkcs7-mime" | "application/x-pkcs7-mime" if part.parent.is_none() => {
                return Err(match &part.media.smime_type {
                    Some(kind) if is_signed_data(kind) => RenditionError::Signed,
                    Some(_) | None => RenditionError::Encrypted,
                });
            }
            "text/calendar" if is_invitation(parts, part) => {
                return Err(RenditionError::Invitation);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a part is meant for the recipient's calendar, not for his disk: it names
/// a method (RFC 6047 2.4), or has one in it and does not want to be saved.
fn is_invitation(parts: &Parts<'_>, calendar: &Part) -> bool {
    let within = || {
        let content = parts.content(calendar).unwrap_or_default();
        let mut lines = content.split(|byte| *byte == b'\n');
        lines.any(|line| begins(line, b"method:"))
    };
    calendar.media.method || (!calendar.media.says_attachment() && within())
}

fn begins(line: &[u8], with: &[u8]) -> bool {
    let begins = line.get(..with.len());
    begins.is_some_and(|begins| begins.eq_ignore_ascii_case(with))
}

/// Those of a field whose addresses are sure, in order.
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
