//! Everything that only Unix has: the one place to look at for a port. Nothing else names
//! `std::os::unix`, `std::os::fd`, Tokio's Unix modules or a crate that only Unix has;
//! `tests/it/layering/` holds that.
//!
//! It promises little of its own: what each function does is what Unix does. Rules, such as
//! who may read a secret or which files survive a power cut, belong to the callers and to
//! [`crate::disk`].
//!
//! The paths under `/proc` and `/run`, and the shell commands in remedies, are Linux's too
//! and stand where they are used.

pub mod errors;
pub mod files;
pub mod folders;
pub mod output;
pub mod signals;
pub mod sockets;
pub mod strings;
pub mod system;
pub mod systemd;
pub mod terminal;
pub mod users;
