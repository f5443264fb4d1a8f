//! Faults below the relay: the process is killed at any change of its files or at any
//! moment, the power is cut, the disk fails or is full, the clock is wrong. In every case
//! a message that got its `250` is delivered to exactly its recipients, and never twice
//! as a draft.
//!
//! The real binary runs behind `shim.c`, a library between it and its files, and
//! libfaketime stands between it and the wall clock. No test here needs root.
//! Those with figures print them.

mod boot;
mod clock;
mod database;
mod kill;
mod ledger;
mod load;
mod power;
mod record;
mod shim;
mod stop;
