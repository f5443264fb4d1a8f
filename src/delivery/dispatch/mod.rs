//! Which message goes next: the destinations of each account, their limits and their
//! backoff.
//!
//! Without I/O; `delivery/mod.rs` passes the time and starts the attempts.

mod account_destinations;
pub(super) mod backoff;
pub(super) mod destinations;
#[cfg(test)]
mod destinations_tests;
mod failures;
pub(in crate::delivery) mod figures;
pub(super) mod pace;
#[cfg(test)]
mod pace_tests;
mod window;
mod workers;
