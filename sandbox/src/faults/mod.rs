//! What goes wrong on purpose: `fault` says what, `waiting` and `addresses` when, `play` does it.

pub(crate) mod addresses;
pub(crate) mod fault;
pub(crate) mod play;
pub(crate) mod waiting;
