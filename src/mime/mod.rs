//! A message as bytes: its header section, seen and edited at byte offsets, and
//! its parts, of which large attachments can be taken out.
//!
//! Promise 5 lives here: a field that no rule names goes out as the bytes that
//! came in. The header section is taken apart in one way only, and what other
//! programs could take apart differently is made unambiguous first (see
//! [`Header::of_message`] for what clients send, [`Header::split`] for what the relay
//! has written and for parts). What is odd about it is judged once, by [`Findings`]; what
//! becomes of a field is decided in `delivery/`.
//!
//! The body is looked at only where it does not fit into one request, or where an
//! account asks for texts in base64 or for the JSON form: [`structure()`] finds its
//! parts as it goes by, [`Split`] says which of them go and what stays,
//! [`Detached::read`] reads them decoded, and [`quoted_printable_as_base64`] writes
//! texts again. Parts that could be read in more than one way are left untouched. A [`Rendition`] says a whole
//! message in other words, and lists what it cannot say.

mod acting;
mod addresses;
#[cfg(test)]
mod addresses_tests;
mod ascii;
mod attachment;
mod author;
#[cfg(test)]
mod both_forms;
mod caption;
mod charset;
mod codepage;
mod contents;
mod date;
mod decode;
mod flowed;
mod grammar;
mod head;
#[cfg(test)]
mod head_tests;
mod header;
mod html;
mod known;
mod labels;
mod media;
#[cfg(any(test, fuzzing))]
pub mod oracle;
mod outgoing;
mod parameters;
mod part;
mod phrase;
mod properties;
mod quirks;
mod reencode;
mod references;
mod refold;
mod rendition;
mod repaired;
mod reserved;
mod split;
mod structure;
#[cfg(test)]
mod tests;
mod text;
mod tokens;
mod tolerant;
mod words;

pub use self::acting::Actor;
pub use self::acting::actors;
pub use self::addresses::Item;
pub use self::addresses::List;
pub use self::addresses::field_of;
pub use self::ascii::sendable;
pub use self::attachment::Attachment;
pub use self::author::Author;
pub use self::author::author;
pub use self::author::author_item;
pub use self::author::known_item;
pub use self::caption::outgoing_message_id;
pub use self::caption::subject;
pub use self::contents::Text;
pub use self::decode::Decoded;
pub use self::decode::Encoding;
pub use self::header::Field;
pub use self::header::Header;
pub use self::media::Disposition;
pub use self::media::Media;
pub use self::outgoing::Outgoing;
pub use self::outgoing::Piece;
pub use self::outgoing::Reader;
pub use self::properties::Importance;
pub use self::properties::Sensitivity;
pub use self::quirks::Findings;
pub use self::quirks::Quirk;
pub use self::quirks::is_message_id;
pub use self::reencode::quoted_printable_as_base64;
pub use self::references::References;
pub use self::rendition::Lost;
pub use self::rendition::Mailbox;
pub use self::rendition::Rendition;
pub use self::rendition::RenditionError;
pub use self::split::Detached;
pub use self::split::Kept;
pub use self::split::LARGEST_ATTACHMENT;
pub use self::split::Root;
pub use self::split::Split;
pub use self::split::Unsplittable;
pub use self::structure::Part;
pub use self::structure::Structure;
pub use self::structure::structure;
pub use self::text::folded;
pub use self::text::seven_bit;
pub use self::text::unstructured;
