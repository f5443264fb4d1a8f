//! The body of a message: its parts at byte offsets, their encodings, and what can be
//! taken out of it.

pub(super) mod decode;
pub(super) mod part_headers;
pub(super) mod reencode;
pub(super) mod references;
mod repaired;
pub(super) mod scan;
pub(super) mod split;
pub(super) mod structure;
