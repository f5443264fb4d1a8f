//! Which message goes next: the destinations of each account, their limits and their
//! backoff.
//!
//! Without I/O; `delivery/mod.rs` passes the time and starts the attempts.

mod account_lanes;
pub(super) mod brake;
pub(super) mod lanes;
#[cfg(test)]
mod lanes_tests;
pub(super) mod pace;
#[cfg(test)]
mod pace_tests;
mod window;
mod workers;
