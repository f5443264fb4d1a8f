//! The credentials that the relay shows Entra, and when they expire.

pub(super) mod assertion;
pub(super) mod expiry;
pub(super) mod managed_identity;
