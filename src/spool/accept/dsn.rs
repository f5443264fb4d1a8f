//! A report about an entry, as the spool takes it in. What it says, and to whom it
//! goes, is decided in `delivery/report/`.

use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::SpoolId;

/// A report about an entry (RFC 3464): a small message made by the relay.
#[derive(Clone, Debug)]
pub struct Dsn {
    /// Its id.
    pub id: SpoolId,
    /// What it reports.
    pub kind: DsnKind,
    /// The bytes of the message.
    pub content: Vec<u8>,
    /// Its Message-ID.
    pub message_id: String,
    /// Its Subject.
    pub subject: String,
    /// The address in its From.
    pub author: Address,
    /// Its recipients.
    pub recipient: Address,
    /// The destination it is sent through.
    pub destination: Destination,
}

/// What a report says about the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnKind {
    /// It has failed.
    Failure,
    /// It is late.
    Delay,
    /// It was submitted to Graph, and its sender asked to be told (RFC 3461 5.2.2).
    Relayed,
}
