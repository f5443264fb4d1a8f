//! Tokens from Entra: the grants, the answers of its endpoint, and the token cache.

pub(super) mod answer;
pub(super) mod cache;
pub(super) mod delegated;
pub(super) mod entra;
