//! Who has authenticated, and what that allows.

use crate::mail::Address;
use crate::mail::Pattern;
use crate::mail::RecipientPolicy;

/// A `[[user]]` who has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The `[[user]]`.
    pub name: String,
    /// What it may send as.
    pub senders: Vec<Pattern>,
    /// To whom it may send, in addition to the listener's rules.
    pub recipients: RecipientPolicy,
}

impl Identity {
    /// Whether this user may send as this address.
    pub fn may_send_as(&self, address: &Address) -> bool {
        self.senders.iter().any(|pattern| pattern.matches(address))
    }
}
