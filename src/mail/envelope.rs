//! The envelope (RFC 5321 2.3.1) and what is known of how a message came in.
//!
//! The envelope alone says who is to receive the message (promise 3).

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::Serialize;

use crate::mail::Address;
use crate::mail::ReportRequest;

/// The argument of MAIL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReversePath {
    /// `<>`: a report; nothing is ever reported about it.
    Null,
    /// Where reports about the message go.
    Address(Address),
}

impl ReversePath {
    /// The address, unless it is the null path.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

/// From whom and to whom, as the client said by MAIL and RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The argument of MAIL.
    pub reverse_path: ReversePath,
    /// The arguments of RCPT, in order, each mailbox once.
    pub recipients: Vec<Address>,
    /// SMTPUTF8 was asked for (RFC 6531 3.4).
    pub utf8: bool,
    /// What was asked about reports (RFC 3461).
    pub reports: ReportRequest,
}

/// Whom a message comes from: what its way out is chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address in its From header, if a mailbox can have it.
    pub author: Option<Address>,
    /// The argument of MAIL.
    pub reverse_path: ReversePath,
    /// The only account that may send it, by the user who handed it in, or by the
    /// message that it is a report about.
    pub bound: Option<String>,
    /// It is a report of the relay's own about another message.
    pub is_report: bool,
}

/// How a message came in: what the Received field and the history say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The client's address.
    pub client: IpAddr,
    /// What it called itself in HELO or EHLO: no control characters, at most 255
    /// characters.
    pub hello: String,
    /// `SMTP`, `ESMTP`, `UTF8SMTP`: the IANA "mail transmission types".
    pub protocol: String,
    /// The user who authenticated.
    pub user: Option<String>,
}
