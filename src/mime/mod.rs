//! A message as bytes: its header section, read and edited at byte offsets, and its parts, from
//! which large attachments can be removed.
//!
//! Promise 5 is kept here: a field that no rule names is sent as the bytes that were received.
//! There is only one way to parse the header section, and text that other programs could parse
//! differently is made unambiguous first (see [`Header::of_message`] for messages from clients,
//! [`Header::split`] for those that the relay has written and for parts). [`Findings`] judges
//! once what is odd about it; `delivery/` decides what happens to a field.
//!
//! The body is read only if it does not fit into one request, or if an account asks for texts in
//! base64 or for the JSON form. [`structure()`] finds its parts while it is read, [`Split`] says
//! which of them are removed, [`Detached::read`] decodes these, and
//! [`quoted_printable_as_base64`] rewrites texts. Parts that could be read in more than one way
//! are left untouched. A [`JsonMessage`] is a whole message in Graph's JSON, with a list of what
//! JSON cannot express.
//!
//! A [`View`] is a message as an administrator reads it, with bounded memory.
//!
//! Each of the folders uses only those before it: `text/`, `addresses/`, `header/`, `body/`,
//! `json/`.

mod addresses;
mod body;
#[cfg(test)]
mod both_forms;
mod header;
mod json;
#[cfg(any(test, fuzzing))]
pub mod oracle;
mod outgoing;
#[cfg(test)]
mod tests;
mod text;
mod view;

pub use self::addresses::Item;
pub use self::addresses::List;
pub use self::addresses::field_of;
pub use self::body::decode::Decoded;
pub use self::body::decode::Encoding;
pub use self::body::part_headers::Disposition;
pub use self::body::part_headers::PartHeaders;
pub use self::body::reencode::quoted_printable_as_base64;
pub use self::body::references::References;
pub use self::body::scan::structure;
pub use self::body::split::Detached;
pub use self::body::split::Kept;
pub use self::body::split::LARGEST_ATTACHMENT;
pub use self::body::split::Root;
pub use self::body::split::Split;
pub use self::body::split::Unsplittable;
pub use self::body::structure::Part;
pub use self::body::structure::Structure;
pub use self::header::Field;
pub use self::header::Header;
pub use self::header::acting::Actor;
pub use self::header::acting::actors;
pub use self::header::ascii::sendable;
pub use self::header::author::Author;
pub use self::header::author::known_item;
pub use self::header::caption::outgoing_message_id;
pub use self::header::caption::subject;
pub use self::header::quirks::Findings;
pub use self::header::quirks::Quirk;
pub use self::header::quirks::is_message_id;
pub use self::json::JsonMessage;
pub use self::json::JsonMessageError;
pub use self::json::Lost;
pub use self::json::Mailbox;
pub use self::json::attachment::Attachment;
pub use self::json::contents::Text;
pub use self::json::properties::Importance;
pub use self::json::properties::Sensitivity;
pub use self::outgoing::Outgoing;
pub use self::outgoing::Piece;
pub use self::outgoing::Reader;
pub use self::text::folded;
pub use self::text::seven_bit;
pub use self::text::unstructured;
pub use self::view::Excerpt;
pub use self::view::FileView;
pub use self::view::LARGEST_TEXT;
pub use self::view::View;
