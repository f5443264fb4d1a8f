//! What the relay shows to Entra instead of a password, and until when it is good.

pub(super) mod assertion;
pub(super) mod expiry;
pub(super) mod managed_identity;
