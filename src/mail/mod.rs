//! The words of mail that all modules share: addresses, the envelope, the enhanced
//! status, the spool id.
//!
//! Plain values without I/O. Every [`Address`] is safe in a header field, a URL segment
//! (percent-encoded) or a log line: it has no control character and no second address
//! inside. `session/` parses commands, `mime/` header fields.

mod address;
mod aliases;
mod client;
mod destination;
mod dsn;
mod envelope;
mod forward_path;
mod id;
mod pattern;
mod policy;
mod status;

pub use address::Address;
pub use address::AddressError;
pub use aliases::AliasError;
pub use aliases::AliasKey;
pub use aliases::Aliases;
pub use aliases::MOST_STEPS;
pub use aliases::Surroundings;
pub use aliases::Unreachable;
pub use client::Client;
pub use destination::Destination;
pub use dsn::EnvelopeId;
pub use dsn::LONGEST_ENVELOPE_ID;
pub use dsn::LONGEST_ORIGINAL;
pub use dsn::NotifyOn;
pub use dsn::OriginalRecipient;
pub use dsn::RecipientRequest;
pub use dsn::ReportRequest;
pub use dsn::Returned;
pub use dsn::utf8_address_in_ascii;
pub use envelope::Asked;
pub use envelope::Envelope;
pub use envelope::Origin;
pub use envelope::ReversePath;
pub use envelope::Trace;
pub use forward_path::ForwardPath;
pub use id::NotAnId;
pub use id::SpoolId;
pub use pattern::Pattern;
pub use pattern::fits;
pub use policy::RecipientPolicy;
pub use status::EnhancedStatus;
