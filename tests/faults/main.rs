//! Faults below the relay: the process is killed at any change of its files,
//! the power is cut at any moment, the disk fails or is full. Whatever happens,
//! a message that got its `250` is delivered to exactly its recipients, and as
//! a draft never twice.
//!
//! The real binary runs behind `shim.c`, a library between it and its files;
//! no test here needs root. Each test prints its figures.

#[path = "../common/mod.rs"]
mod common;

mod ledger;
mod load;
mod power;
mod record;
mod shim;
mod stop;
