//! A stand-in for Entra ID and Microsoft Graph, to try and to test the relay without a tenant.
//!
//! It is an HTTP server on a socket of its own: the relay reaches it by URL, as it would the
//! services themselves, and knows nothing of it. It was written from the services' documentation
//! alone and uses nothing of the relay's, so that client and stand-in cannot share one mistake.
//!
//! - **Strict.** What the services refuse is refused, with their statuses, codes and headers:
//!   token, role, mailbox, concurrency, size, media type, content, recipients, author.
//! - **Faulty on demand**: by recipient address ([`fault_addresses`]), by API
//!   (`POST /sandbox/faults`, [`Sandbox::inject`]), both played in `fault`.
//! - **Nothing leaves.** It opens no connection. What arrives is kept in memory, bounded, and
//!   shown on `/`.
//!
//! | file | is |
//! |---|---|
//! | `server`, `line` | sockets; cutting a connection |
//! | `exchange`, `store` | ids and record of each request; what is kept |
//! | `entra`, `tokens` | the token endpoint; tokens and their judgement |
//! | `send_mail`, `mime`, `json`, `submission` | sendMail, its two forms, the rules for both |
//! | `directory`, `rate`, `errors` | mailboxes and their limits; Graph's error envelope |
//! | `fault`, `addresses` | faults; those by recipient address |
//! | `api`, `page` | `/sandbox/...`; `/` |
//!
//! A further endpoint is a file with its handler and a route in [`Sandbox::start`].

mod addresses;
mod api;
mod directory;
mod entra;
mod errors;
mod exchange;
mod fault;
mod json;
mod line;
mod mime;
mod page;
mod rate;
mod send_mail;
mod server;
mod settings;
mod store;
mod submission;
mod tokens;
mod wall;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

pub use crate::sandbox::addresses::fault_addresses;
pub use crate::sandbox::fault::Cut;
pub use crate::sandbox::fault::Fault;
pub use crate::sandbox::fault::Station;
pub use crate::sandbox::rate::Rate;
pub use crate::sandbox::settings::Settings;
pub use crate::sandbox::store::Arrival;
pub use crate::sandbox::store::Form;
pub use crate::sandbox::store::Framing;
pub use crate::sandbox::store::RequestKind;
pub use crate::sandbox::store::RequestRecord;
pub use crate::sandbox::store::Totals;

use crate::sandbox::addresses::Played;
use crate::sandbox::directory::Directory;
use crate::sandbox::fault::Faults;
use crate::sandbox::store::Keep;
use crate::sandbox::store::Store;
use crate::sandbox::tokens::Tokens;

/// A running stand-in; it stops when dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    connections: TaskTracker,
    stop: DropGuard,
}

/// What the endpoints share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    tokens: Tokens,
    directory: Directory,
    store: Store,
    faults: Faults,
    played: Played,
}

impl Sandbox {
    /// Listens on the address (port 0: any free one) and serves from then on.
    pub async fn start(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(settings));
        let clouds = Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(entra::token))
            .route("/v1.0/users/{user}/sendMail", post(send_mail::send_mail))
            .route("/v1.0/me/sendMail", post(send_mail::send_mail_as_me))
            .fallback(send_mail::not_found)
            .layer(from_fn_with_state(Arc::clone(&shared), exchange::record));
        let router = Router::new()
            .merge(clouds)
            .merge(api::router())
            .merge(page::router())
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        connections.spawn(server::accept(
            listener,
            router,
            stop.clone(),
            connections.clone(),
        ));
        Ok(Self {
            shared,
            address,
            connections,
            stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of both services, `http://127.0.0.1:1234`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The messages kept, oldest first.
    pub fn arrivals(&self) -> Vec<Arc<Arrival>> {
        self.shared.store.arrivals()
    }

    /// The records kept of requests to Entra and Graph, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.store.requests()
    }

    /// Counts since the start or the last [`Sandbox::clear`].
    pub fn totals(&self) -> Totals {
        self.shared.store.totals()
    }

    /// Waits until so many messages have arrived since the start or the last [`Sandbox::clear`].
    pub async fn arrived(&self, count: usize) {
        self.shared.store.arrived(count as u64).await;
    }

    /// The most sendMail requests that one mailbox was asked at once, throttled ones included.
    pub fn peak_concurrency(&self, mailbox: &str) -> usize {
        self.shared.directory.peak(mailbox)
    }

    /// Has a fault strike. Faults strike in the order they were given, before those by address.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Takes back the faults that have not struck.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Makes every token given so far worthless.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.revoke();
    }

    /// Forgets messages, records, counts, peaks, what was spent of rates, and how often faults by
    /// address were played. Tokens and injected faults stay.
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

impl Shared {
    fn new(settings: Settings) -> Self {
        let keep = Keep {
            messages: settings.keep_messages,
            bytes: settings.keep_bytes,
            requests: settings.keep_requests,
        };
        Self {
            tokens: Tokens::default(),
            directory: Directory::new(&settings),
            store: Store::new(keep),
            faults: Faults::default(),
            played: Played::default(),
            settings,
        }
    }

    fn clear(&self) {
        self.store.clear();
        self.played.clear();
        self.directory.clear();
    }
}
