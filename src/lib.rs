//! graph-relay takes mail by plain SMTP from applications on this machine,
//! keeps it safe on disk, and sends it through Microsoft Graph with an app's
//! own credentials.
//!
//! # The path of a message
//!
//! ```text
//! application ─SMTP─► listener ─► session ─► admission ─► spool ─► delivery ─► mime ─► graph ─HTTPS─► Graph
//!                                                           ▲          │                 ▲
//!                                            command line ──┘          └─────► auth ─────┘
//! ```
//!
//! Read `session/dialog.rs` for the dialog, `listener/receive.rs` for a message
//! on its way in, `admission/mod.rs` for whether it is taken, `spool/mod.rs` for what "safe" means, and
//! `delivery/attempt/mod.rs` for one attempt from top to bottom; the tables are
//! `session/replies/mod.rs` (every reply), `delivery/outcome/` (what every failure
//! means), `catalogue/` (what to do about it) and `delivery/attempt/recipients.rs` (who
//! receives a message).
//!
//! # What the relay promises
//!
//! Each is kept where it says, and `tests/` has a test that bears its name.
//!
//! 1. `250` after DATA means safe: [`spool`].
//! 2. Never lost: an accepted message is submitted, or failed, reported and kept
//!    (its content as long as new mail finds room without: `spool/room/mod.rs`):
//!    [`delivery`]; what is reported to whom: `delivery/report/mod.rs`.
//! 3. Never more than asked: it reaches the envelope's recipients and nobody
//!    else: `delivery/attempt/recipients.rs`.
//! 4. Never twice, as far as Graph allows: an attempt is on record before it
//!    begins, a draft before it is sent, and a doubtful outcome is called so:
//!    [`spool`], `delivery/attempt/draft.rs`.
//! 5. Content is not rewritten except for the fields that a rule names, and what a
//!    rule sets aside stays visible: `delivery/attempt/compose.rs` has the rules, [`mime`]
//!    what they rest on.
//! 6. No open relay: `config/listeners/mod.rs`.
//! 7. Secrets don't leak: [`config`], [`auth`], [`http`],
//!    `telemetry/transcripts.rs`.
//!
//! # Who may import whom
//!
//! Each row names only rows below it. `tests/it/layering.rs` reads this table.
//!
//! | module | may use |
//! |---|---|
//! | `cli` | `doctor`, `service`, `admin`, `telemetry`, `routing`, `graph`, `auth`, `http`, `spool`, `catalogue`, `config`, `machine`, `mail`, `clock` |
//! | `doctor` | `admin`, `delivery`, `graph`, `auth`, `http`, `spool`, `catalogue`, `config`, `machine`, `mail`, `clock` |
//! | `service` | `admin`, `listener`, `delivery`, `telemetry`, `auth`, `http`, `spool`, `session`, `config`, `clock` |
//! | `admin` | `listener`, `delivery`, `telemetry`, `routing`, `graph`, `auth`, `spool`, `catalogue`, `config`, `mail`, `clock` |
//! | `listener` | `admission`, `telemetry`, `spool`, `session`, `mime`, `config`, `mail`, `clock` |
//! | `admission` | `routing`, `session`, `mime`, `config`, `mail` |
//! | `delivery` | `telemetry`, `routing`, `graph`, `auth`, `http`, `spool`, `mime`, `catalogue`, `config`, `mail`, `clock` |
//! | `telemetry` | `spool`, `config`, `mail`, `clock` |
//! | `routing` | `config`, `mail` |
//! | `graph` | `auth`, `http`, `mime`, `mail` |
//! | `auth` | `http`, `config`, `mail`, `clock` |
//! | `http` | `config`, `clock` |
//! | `spool` | `mail`, `clock` |
//! | `session` | `mail` |
//! | `mime` | `mail` |
//! | `config` | `machine`, `mail`, `clock` |
//! | `mail` | `clock` |
//! | `clock` | |
//! | `catalogue` | |
//! | `machine` | |
//!
//! So the spool is the only thing that `listener` and `delivery` share;
//! `session` knows no Graph and `graph` no SMTP, their translation is
//! `delivery/outcome/`. The sandbox is a package of its own (`sandbox/`), and
//! to the relay just a URL in the configuration: only the command `sandbox`
//! starts it, and a build without the feature `sandbox` has none.

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

pub mod admin;
pub mod admission;
pub mod auth;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod doctor;
pub mod graph;
pub mod http;
pub mod listener;
pub mod machine;
pub mod mail;
pub mod mime;
pub mod routing;
pub mod service;
pub mod session;
pub mod spool;
pub mod telemetry;
