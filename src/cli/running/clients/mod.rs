//! What the running relay knows of the clients that send mail through it.

pub(in crate::cli) mod devices;
pub(in crate::cli) mod sessions;
