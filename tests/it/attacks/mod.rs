//! Hostile bytes against the real relay, over the wire: what it answers, and
//! that nothing hostile arrives.
//!
//! Covered elsewhere: every cut of DATA into segments (`src/session/data.rs`,
//! by properties); the parameters of MAIL and odd addresses, one by one
//! (`src/session/syntax/mod.rs`, `src/mail/address.rs`); pipelining, endless lines
//! and clients of other networks (`tests/it/smtp.rs`); injection behind STARTTLS,
//! TLS and AUTH out of place, cancelled AUTH, control characters and source
//! routes (`tests/dialogs`); listeners that would be open relays
//! (`tests/it/configuration.rs`); whom Graph is told to send to
//! (`tests/it/promises.rs`, promise 3); resources (`tests/it/bombs`).

mod authentication;
mod commands;
mod end_of_data;
mod envelope;
mod guessing;
mod policy;
