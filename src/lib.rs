//! graph-relay takes mail by plain SMTP from applications on this machine,
//! keeps it safe on disk, and sends it through Microsoft Graph with an app's
//! own credentials. This is the architecture of the code; read it first.
//!
//! # The path of a message
//!
//! ```text
//! application ─SMTP─► listener ─► session ─► admission ─► spool ─► delivery ─► mime ─► graph ─HTTPS─► Graph
//!                                                           ▲          │                 ▲
//!                                            command line ──┘          └─────► auth ─────┘
//! ```
//!
//! The tree, in the order of that path:
//!
//! ```text
//! listener/       sockets, TLS, who may connect: bytes to and from a session
//!   slots/          who holds the connections, and who makes room
//!   newcomer.rs     from accepting a connection to its dialog
//!   proxy/          load balancers that say who the client is
//!   connection/     bytes from a client and to it, with TLS or without
//!   access.rs       what it may do       dialog.rs  its lines to the session, and replies back
//!   passwords/      whether a name and a password belong together
//!   receive/        a message on its way in
//!   pickup/         folders with messages as files
//! session/        the SMTP dialog, without I/O
//!   syntax/         command lines        replies/   every reply
//!   dialog.rs       what a command means     data.rs    the framing of DATA
//! admission/      whether a message is taken, and for which account
//! spool/          the durable store: what 250 means
//!   accept/         taking a message in      attempts/  claiming and settling
//!   room/           what may be stored       damage/    what a crash or a bad disk left
//!   operator/       what an operator decides view/      reading it
//!   schema/         formats and upgrades     writer.rs  the one thread that writes
//!   refusals/       what was not accepted, and why
//!   backup/         a copy of it while it is in use, and back
//!   kept/           content of ended messages, for sending them again
//! delivery/       sends due mail in fair turns until it is delivered or has failed
//!   dispatch/       which message goes next: fairness, limits, backoff
//!   attempt/        one attempt from top to bottom; who receives it (`recipients.rs`)
//!   outcome/        what every failure means
//!   report/         who gets a report of a failure or a delay
//! mime/           a message as bytes
//!   header/         the header section       addresses/ names and addresses in its fields
//!   text/           charsets, encoded words  body/      parts, encodings, splitting
//!   json/           Graph's JSON form
//! graph/          the calls to Graph
//! auth/           tokens
//!   tokens/         grants and a token's life
//!   credentials/    what is shown to Entra   sign_in/   mailboxes that sign in themselves
//!
//! admin/ cli/ doctor/ service/ telemetry/    running it, asking it, looking after it
//!   admin/attention/  what needs attention
//! alerts/                                    telling people of it, by webhook or by mail
//! page/                                     the admin page: the same in a browser
//! metrics/                                  what is counted on the way
//! import/                                    configurations of other products, as a relay.toml
//! catalogue/                                 what each code of Microsoft's means, and what to do
//! config/ credentials/ routing.rs            relay.toml; secrets and keys; which account sends what
//! mail/ http.rs clock.rs disk.rs             what all of them stand on
//! platform/                                  all that only Unix has
//! ```
//!
//! Read `session/dialog.rs` for the dialog, `listener/receive/` for a message
//! on its way in, `admission/mod.rs` for whether it is taken, `spool/mod.rs` for what
//! "safe" means, and `delivery/attempt/mod.rs` for one attempt from top to bottom. The
//! tables are `session/replies/mod.rs` (every reply), `delivery/outcome/` (what every
//! failure means), `catalogue/` (what to do about it) and
//! `delivery/attempt/recipients.rs` (who receives a message). The oracles of the fuzzer and
//! of property tests are in the modules that they check (`session/oracle/`, `mime/oracle.rs`,
//! `delivery/oracle.rs`); the relay is built without them.
//!
//! # What the relay promises
//!
//! Each promise names the place that keeps it. The tests of a promise have its number in
//! their names, as in `promise_4_a_draft_arrives_exactly_once_after_any_failed_request`.
//!
//! 1. `250` after DATA means that the message is safe: [`spool`].
//! 2. No message is lost: an accepted message is submitted, or it fails, is reported and
//!    kept (its content until new mail needs the room: `spool/room/mod.rs`): [`delivery`].
//!    `delivery/report/mod.rs` decides what is reported to whom.
//! 3. A message reaches the recipients of its envelope and nobody else:
//!    `delivery/attempt/recipients.rs`.
//! 4. No message is sent twice, as far as Graph allows: an attempt is on record before it
//!    begins, a draft before it is sent, and a doubtful outcome is reported as doubtful:
//!    [`spool`], `delivery/attempt/draft.rs`.
//! 5. Content is not rewritten, except for the fields that a rule names, and a field that a
//!    rule replaces stays visible as `X-Original-...`: `delivery/attempt/compose.rs` has the
//!    rules, [`mime`] the code that they use.
//! 6. No open relay: `config/listeners/mod.rs`.
//! 7. Secrets don't leak: [`config`], [`auth`], [`http`], `alerts/webhook.rs`,
//!    `telemetry/transcripts/`.
//!
//! # Who may import whom
//!
//! Each row names only rows below it. `tests/it/layering/` reads this table.
//!
//! | module | may use |
//! |---|---|
//! | `cli` | `import`, `doctor`, `service`, `admin`, `telemetry`, `routing`, `graph`, `auth`, `http`, `spool`, `config`, `credentials`, `mail`, `clock`, `catalogue`, `disk`, `platform` |
//! | `service` | `page`, `alerts`, `doctor`, `admin`, `listener`, `delivery`, `telemetry`, `auth`, `http`, `spool`, `session`, `config`, `credentials`, `clock`, `metrics`, `platform` |
//! | `page` | `admin`, `telemetry`, `spool`, `config`, `credentials`, `mail`, `clock`, `catalogue`, `metrics`, `platform` |
//! | `alerts` | `admin`, `telemetry`, `http`, `spool`, `mime`, `config`, `credentials`, `mail`, `clock`, `disk` |
//! | `doctor` | `admin`, `delivery`, `graph`, `auth`, `http`, `spool`, `config`, `credentials`, `mail`, `clock`, `catalogue`, `disk`, `platform` |
//! | `import` | `credentials`, `mail` |
//! | `admin` | `listener`, `delivery`, `telemetry`, `routing`, `graph`, `auth`, `spool`, `mime`, `config`, `credentials`, `mail`, `clock`, `catalogue`, `disk`, `metrics`, `platform` |
//! | `listener` | `admission`, `telemetry`, `spool`, `session`, `mime`, `config`, `credentials`, `mail`, `clock`, `disk`, `metrics`, `platform` |
//! | `admission` | `routing`, `session`, `mime`, `config`, `mail` |
//! | `delivery` | `telemetry`, `routing`, `graph`, `auth`, `http`, `spool`, `mime`, `config`, `mail`, `clock`, `catalogue`, `metrics` |
//! | `telemetry` | `spool`, `config`, `mail`, `clock`, `disk`, `platform` |
//! | `routing` | `config`, `mail` |
//! | `graph` | `auth`, `http`, `mime`, `mail`, `metrics` |
//! | `auth` | `http`, `config`, `credentials`, `mail`, `clock`, `disk`, `platform` |
//! | `http` | `config`, `clock` |
//! | `spool` | `mail`, `clock`, `disk`, `metrics`, `platform` |
//! | `session` | `mail` |
//! | `mime` | `mail` |
//! | `config` | `credentials`, `mail`, `clock`, `catalogue`, `disk`, `platform` |
//! | `credentials` | `clock`, `disk`, `platform` |
//! | `mail` | `clock` |
//! | `clock` | `platform` |
//! | `catalogue` | |
//! | `disk` | `platform` |
//! | `metrics` | |
//! | `platform` | |
//!
//! So `listener` and `delivery` share only the spool. `session` knows nothing of Graph and
//! `graph` nothing of SMTP; `delivery/outcome/` translates between them. The sandbox is a
//! separate package (`sandbox/`), and for the relay only a URL in the configuration: only the
//! command `sandbox` starts it, and a build without the feature `sandbox` does not contain it.

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
pub mod alerts;
pub mod auth;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod delivery;
pub mod disk;
pub mod doctor;
pub mod graph;
pub mod http;
pub mod import;
pub mod listener;
pub mod mail;
pub mod metrics;
pub mod mime;
pub mod page;
pub mod platform;
pub mod routing;
pub mod service;
pub mod session;
pub mod spool;
pub mod telemetry;
