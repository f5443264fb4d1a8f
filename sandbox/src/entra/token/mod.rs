//! Tokens: the grants that they are given for, and what each allows.

pub(crate) mod access_tokens;
pub(crate) mod delegated;
pub(crate) mod endpoint;
pub(crate) mod id_tokens;
pub(crate) mod request;
pub(crate) mod scopes;
