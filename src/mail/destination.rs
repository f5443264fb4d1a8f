//! The destination of a message: the account and mailbox that send it.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::mail::Address;

/// An account and the mailbox that it sends from. Each destination has its own rate limits,
/// because Graph counts requests for each app and mailbox, and problems of one mailbox
/// must not delay another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// The account's name.
    pub account: String,
    /// The mailbox whose sendMail is called.
    pub mailbox: Address,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.mailbox, self.account)
    }
}
