//! The envelope (RFC 5321 2.3.1) and what is known of how a message came in.
//!
//! The envelope alone says who is to receive the message (promise 3).

use std::collections::HashSet;
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
    /// Those who receive the message, in the order of RCPT, each mailbox once.
    pub recipients: Vec<Address>,
    /// What the client asked for where the configuration has put recipients in its
    /// place.
    pub asked: Vec<Asked>,
    /// SMTPUTF8 was asked for (RFC 6531 3.4).
    pub utf8: bool,
    /// What was asked about reports (RFC 3461).
    pub reports: ReportRequest,
}

/// A recipient that stands in the place of the one that the client named, by
/// `[aliases]`, `default_recipient_domain` or `redirect_all_to`; where
/// `recipients_allowed` is in force, also one that the client named itself. A
/// message with any of them goes to its envelope alone, whatever its header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The argument of RCPT: an address, or a name without a domain.
    pub original: String,
    /// One of [`Envelope::recipients`].
    pub recipient: Address,
}

impl Envelope {
    /// What the client named in place of this recipient.
    pub fn originals(&self, recipient: &Address) -> impl Iterator<Item = &str> {
        let key = recipient.key();
        let asked = self.replaced();
        let asked = asked.filter(move |asked| asked.recipient.key() == key);
        asked.map(|asked| asked.original.as_str())
    }

    /// Whether every recipient has its place in [`Self::asked`].
    pub fn is_all_asked(&self) -> bool {
        let asked: HashSet<String> = self.asked.iter().map(|it| it.recipient.key()).collect();
        let mut recipients = self.recipients.iter();
        !asked.is_empty() && recipients.all(|recipient| asked.contains(&recipient.key()))
    }

    /// Those whom the client named otherwise.
    pub fn replaced(&self) -> impl Iterator<Item = &Asked> {
        let asked = self.asked.iter();
        asked.filter(|it| it.original != it.recipient.as_str())
    }

    /// Moves the recipients from the place `at` on into an envelope of their own.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let recipients = self.recipients.split_off(at);
        let keys: HashSet<String> = recipients.iter().map(Address::key).collect();
        let asked = std::mem::take(&mut self.asked);
        let (theirs, ours) = asked
            .into_iter()
            .partition(|asked| keys.contains(&asked.recipient.key()));
        self.asked = ours;
        let reports = self.reports.only_for(&recipients);
        self.reports = self.reports.only_for(&self.recipients);
        Self {
            reverse_path: self.reverse_path.clone(),
            recipients,
            asked: theirs,
            utf8: self.utf8,
            reports,
        }
    }
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
