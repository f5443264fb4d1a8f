//! Hostile bytes against the real relay, over the network: what it answers, and that
//! nothing hostile is delivered.
//!
//! Covered elsewhere: every cut of DATA into segments (`src/session/data.rs`, with
//! property tests); single parameters of MAIL and odd addresses
//! (`src/session/syntax/mod.rs`, `src/mail/address.rs`); pipelining, endless lines and
//! clients of other networks (`tests/it/smtp.rs`); injection after STARTTLS, TLS and AUTH
//! at the wrong time, cancelled AUTH, control characters and source routes
//! (`tests/dialogs`); listeners that would be open relays (`tests/it/configuration.rs`);
//! the recipients that Graph gets (`tests/it/promises.rs`, promise 3); exhausted
//! resources (`tests/it/resource_limits`).

mod authentication;
mod commands;
mod end_of_data;
mod envelope;
mod guessing;
mod policy;
