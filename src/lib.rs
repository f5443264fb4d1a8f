//! graph-relay (map to come).
// One message must not be able to stop the relay.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::print_stdout,
        clippy::print_stderr,
        clippy::todo
    )
)]

pub mod auth;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod graph;
pub mod http;
pub mod mail;
pub mod mime;
pub mod routing;
pub mod sandbox;
pub mod session;
pub mod spool;
pub mod telemetry;
