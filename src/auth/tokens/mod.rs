//! Tokens from Entra: the grants, what its endpoint answers, and a token's life.

pub(super) mod answer;
pub(super) mod delegated;
pub(super) mod entra;
pub(super) mod flight;
