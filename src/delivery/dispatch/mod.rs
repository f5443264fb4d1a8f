//! Who may go next: the destinations of each account, their limits and their backoff.
//!
//! Pure, with the time in hand; `delivery/mod.rs` asks and starts the attempts.

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
