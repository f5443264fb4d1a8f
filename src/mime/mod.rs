//! The header section of a message, seen and edited at byte offsets.
//!
//! Promise 5 lives here: a field that no rule names goes out as the bytes that
//! came in, and the body is not looked at. The header section is taken apart
//! in one way only, and what other programs could take apart differently is
//! made unambiguous first (see [`Header::split`]). What is odd about it is judged
//! once, by [`Findings`]; what becomes of a field is decided in `delivery/`. Only
//! [`Rendition`] reads bodies, for those who cannot send a message as it is.

mod addresses;
mod attachment;
mod author;
mod contents;
mod date;
mod header;
mod outgoing;
mod part;
mod phrase;
mod properties;
mod quirks;
mod rendition;
mod text;

pub use self::addresses::Item;
pub use self::addresses::field_of;
pub use self::addresses::list;
pub use self::attachment::Attachment;
pub use self::author::Author;
pub use self::author::author;
pub use self::author::author_item;
pub use self::contents::Text;
pub use self::header::Field;
pub use self::header::Header;
pub use self::outgoing::Outgoing;
pub use self::outgoing::Piece;
pub use self::outgoing::Reader;
pub use self::properties::Importance;
pub use self::properties::Sensitivity;
pub use self::quirks::Findings;
pub use self::quirks::Quirk;
pub use self::quirks::message_id;
pub use self::rendition::Lost;
pub use self::rendition::Mailbox;
pub use self::rendition::Rendition;
pub use self::rendition::RenditionError;
pub use self::text::decoded;
pub use self::text::folded;
pub use self::text::seven_bit;
pub use self::text::unstructured;
