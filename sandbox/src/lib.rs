//! A stand-in for Entra ID and Microsoft Graph, to try and to test the relay without a tenant.
//!
//! It is an HTTP server on a socket of its own: the relay reaches it by URL, as it would the
//! services themselves, and knows nothing of it. It was written from the services' documentation
//! alone, and as a package of its own it can use nothing of the relay's, so that client and
//! stand-in cannot share one mistake.
//!
//! - **Strict.** What the services refuse is refused, with their statuses, codes and headers:
//!   token, role, mailbox, concurrency, size, media type, content, recipients, author.
//! - **Faulty on demand**: by recipient address ([`fault_addresses`]), by API
//!   (`POST /sandbox/faults`, [`Sandbox::inject`]), both played by `faults`.
//! - **Nothing leaves.** It opens no connection. What arrives is kept in memory, bounded, and
//!   shown on `/`.
//!
//! | folder | is |
//! |---|---|
//! | `server` | sockets and connections; the ids and the record of each request; `/` and `/sandbox/...` |
//! | `entra` | the token endpoint, how a user signs in, managed identities, what Entra tells of itself |
//! | `graph` | sendMail, drafts, uploads; mailboxes and their limits; messages and their two forms |
//! | `faults` | what goes wrong on purpose, and how it is played |
//!
//! `store` keeps what arrived, `settings` says who is known and how strict it is. The files make no
//! circle: none uses a file that uses it, directly or through others (`sandbox/tests/http/layering.rs`).
//!
//! A further endpoint is a file with its handler and a route in the `mod.rs` of its folder.

// A stand-in that breaks down would look like a service that does.
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

mod bounded_map;
mod entra;
mod faults;
mod graph;
mod lock;
mod server;
mod settings;
mod store;
mod time;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

pub use crate::faults::addresses::fault_addresses;
pub use crate::faults::fault::Cut;
pub use crate::faults::fault::Fault;
pub use crate::faults::fault::Station;
pub use crate::settings::Federated;
pub use crate::settings::IdTokenFlaw;
pub use crate::settings::NextRange;
pub use crate::settings::Rate;
pub use crate::settings::Rotation;
pub use crate::settings::Settings;
pub use crate::store::Arrival;
pub use crate::store::Attachment;
pub use crate::store::BccBy;
pub use crate::store::Draft;
pub use crate::store::Form;
pub use crate::store::Framing;
pub use crate::store::RequestKind;
pub use crate::store::RequestRecord;
pub use crate::store::Route;
pub use crate::store::Totals;

use crate::server::api;
use crate::server::local_only::local_only;
use crate::server::page;
use crate::server::record;
use crate::server::shared::Shared;
use crate::server::sockets;

/// A running stand-in; it stops when dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    upload_address: SocketAddr,
    connections: TaskTracker,
    stop: DropGuard,
}

impl Sandbox {
    /// Listens on the address (port 0: any free one), and for uploads on another free port,
    /// and serves from then on.
    pub async fn start(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let upload_listener = TcpListener::bind((address.ip(), 0)).await?;
        let upload_address = upload_listener.local_addr()?;
        let shared = Arc::new(Shared::new(settings, upload_address)?);
        let dated = || from_fn_with_state(Arc::clone(&shared), record::date);
        let recorded = || from_fn_with_state(Arc::clone(&shared), record::record);
        let router = Router::new()
            .merge(entra::router().merge(graph::router()).layer(recorded()))
            .merge(api::router())
            .merge(page::router())
            .layer(dated())
            .layer(from_fn(local_only))
            .with_state(Arc::clone(&shared));
        let upload_router = graph::upload_router()
            .layer(recorded())
            .layer(dated())
            .layer(from_fn(local_only))
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        for (listener, router) in [(listener, router), (upload_listener, upload_router)] {
            let accepting = sockets::accept(listener, router, stop.clone(), connections.clone());
            connections.spawn(accepting);
        }
        Ok(Self {
            shared,
            address,
            upload_address,
            connections,
            stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its upload host listens: on the same IP address, another port.
    pub fn upload_address(&self) -> SocketAddr {
        self.upload_address
    }

    /// The URL of both services, `http://127.0.0.1:1234`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Names the admin page of the relay that sends here: the page of this server links to it.
    /// The first name counts.
    pub fn name_admin_page(&self, url: &str) {
        let _named = self.shared.admin_page.set(url.to_owned());
    }

    /// The messages kept, oldest first.
    pub fn arrivals(&self) -> Vec<Arc<Arrival>> {
        self.shared.store.arrivals()
    }

    /// The drafts that were neither sent nor deleted, oldest first.
    pub fn drafts(&self) -> Vec<Draft> {
        self.shared.drafts()
    }

    /// The records kept of requests to Entra and Graph, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.store.requests()
    }

    /// Every secret that went to and fro since the start: tokens, codes, assertions, upload tokens.
    pub fn secrets(&self) -> Vec<String> {
        self.shared.secrets.all()
    }

    /// Counts since the start or the last [`Sandbox::clear`].
    pub fn totals(&self) -> Totals {
        self.shared.store.totals()
    }

    /// Waits until this number of messages has arrived since the start or the last [`Sandbox::clear`].
    pub async fn arrived(&self, count: usize) {
        self.shared.store.arrived(count as u64).await;
    }

    /// The most requests of any kind that one mailbox was asked at once, throttled ones and those
    /// to the upload host included.
    pub fn peak_concurrency(&self, mailbox: &str) -> usize {
        self.shared.mailboxes.peak(mailbox)
    }

    /// Has a fault strike. Faults strike in the order they were given, before those by address.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Takes back the faults that have not struck.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Makes every access token given so far worthless.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.revoke();
    }

    /// Has every refresh token that the user's sign-ins brought so far refused, as `invalid_grant`
    /// with this number.
    pub fn sign_out(&self, upn: &str, code: u32) {
        self.shared.sign_ins.sign_out(upn, code);
    }

    /// Forgets messages (drafts too), uploads, records, counts, peaks, what was spent of rates, and how often faults by
    /// address were played. Tokens, sign-ins and injected faults stay.
    pub fn clear(&self) {
        self.shared.clear();
    }

    /// Stops: no connection is taken, answers begun are finished unless they are slow. Returns
    /// when every connection is closed and the address is free.
    pub async fn stop(self) {
        drop(self.stop);
        self.connections.close();
        self.connections.wait().await;
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sandbox")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
