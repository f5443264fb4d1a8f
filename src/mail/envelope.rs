//! The envelope (RFC 5321 2.3.1), and how a message was received.
//!
//! Only the envelope decides who receives the message (promise 3).

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
    /// `<>`: the message is a report, and is never reported on.
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

/// Sender and recipients, as given by MAIL and RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The argument of MAIL.
    pub reverse_path: ReversePath,
    /// Those who receive the message, in the order of RCPT, each mailbox once.
    pub recipients: Vec<Address>,
    /// What the client named where the configuration replaced it.
    pub asked: Vec<Asked>,
    /// Whether SMTPUTF8 was requested (RFC 6531 3.4).
    pub utf8: bool,
    /// Requests for reports (RFC 3461).
    pub reports: ReportRequest,
}

/// A recipient that replaces the one that the client named, by `[aliases]`,
/// `default_recipient_domain` or `redirect_all_to`; if `recipients_allowed` is set, also
/// one that the client named itself. A message with any of them goes only to its
/// envelope, whatever its header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The argument of RCPT: an address, or a name without a domain.
    pub original: String,
    /// One of [`Envelope::recipients`].
    pub recipient: Address,
}

impl Envelope {
    /// What the client named instead of this recipient.
    pub fn originals(&self, recipient: &Address) -> impl Iterator<Item = &str> {
        let key = recipient.key();
        let asked = self.replaced();
        let asked = asked.filter(move |asked| asked.recipient.key() == key);
        asked.map(|asked| asked.original.as_str())
    }

    /// Whether every recipient is in [`Self::asked`].
    pub fn is_all_asked(&self) -> bool {
        let asked: HashSet<String> = self.asked.iter().map(|it| it.recipient.key()).collect();
        let mut recipients = self.recipients.iter();
        !asked.is_empty() && recipients.all(|recipient| asked.contains(&recipient.key()))
    }

    /// The recipients that the client named differently.
    pub fn replaced(&self) -> impl Iterator<Item = &Asked> {
        let asked = self.asked.iter();
        asked.filter(|it| it.original != it.recipient.as_str())
    }

    /// Moves the recipients from position `at` on into a new envelope.
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

/// Who a message is from, which decides its account and mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address in its From header, if a mailbox can have it.
    pub author: Option<Address>,
    /// The argument of MAIL.
    pub reverse_path: ReversePath,
    /// The only account that may send it, because of its user, or because it is a report
    /// on a message of that account.
    pub bound: Option<String>,
    /// Whether it is a report by the relay on another message.
    pub is_report: bool,
}

/// How a message was received, for the Received field and the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The client's address.
    pub client: IpAddr,
    /// Its name in HELO or EHLO: no control characters, at most 255 characters.
    pub hello: String,
    /// `SMTP`, `ESMTP`, `UTF8SMTP`: the IANA "mail transmission types".
    pub protocol: String,
    /// The user who authenticated.
    pub user: Option<String>,
}

impl Trace {
    /// A message that somebody at this address has ordered on the admin page.
    pub fn of_page(client: IpAddr) -> Self {
        Self {
            client,
            hello: "admin-page".to_owned(),
            protocol: PAGE.to_owned(),
            user: None,
        }
    }

    /// Whether it is one.
    pub fn is_of_page(&self) -> bool {
        self.protocol == PAGE
    }
}

/// The protocol of messages that are ordered on the admin page.
const PAGE: &str = "HTTP";
