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
//! | `entra`, `delegated` | the token endpoint; its grants on a user's behalf |
//! | `application`, `assertion` | which tenant and app ask; the app's signed proof |
//! | `authorize`, `device` | how a user signs in |
//! | `identity`, `discovery` | managed identities; what Entra tells of itself |
//! | `scopes`, `sign_in`, `tokens` | what is granted; who signed in; tokens and their judgement |
//! | `parameters`, `complaint`, `remembered` | what Entra is asked; its errors; what it keeps |
//! | `call` | what every call of Graph goes through |
//! | `send_mail`; `mime`, `json`, `submission` | sendMail; a message's two forms, the rules for both |
//! | `drafts`, `attachments`, `upload` | the draft route; its upload host |
//! | `items`, `resource`, `files` | drafts and sent messages, as answers show them; attached files |
//! | `users` | whose an alias is |
//! | `directory`, `rate`, `errors` | mailboxes and their limits; Graph's error envelope |
//! | `fault`, `addresses` | faults; those by recipient address |
//! | `secrets` | what no test may find elsewhere |
//! | `api`, `page` | `/sandbox/...`; `/` |
//!
//! A further endpoint is a file with its handler and a route in [`Sandbox::start`].

mod addresses;
mod api;
mod application;
mod assertion;
mod attachments;
mod authorize;
mod call;
mod complaint;
mod delegated;
mod device;
mod directory;
mod discovery;
mod drafts;
mod entra;
mod errors;
mod exchange;
mod fault;
mod files;
mod identity;
mod items;
mod json;
mod line;
mod local_only;
mod mime;
mod page;
mod parameters;
mod rate;
mod remembered;
mod resource;
mod scopes;
mod secrets;
mod send_mail;
mod server;
mod settings;
mod sign_in;
mod store;
mod submission;
mod tokens;
mod upload;
mod users;
mod wall;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::routing::post;
use axum::routing::put;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

pub use crate::sandbox::addresses::fault_addresses;
pub use crate::sandbox::fault::Cut;
pub use crate::sandbox::fault::Fault;
pub use crate::sandbox::fault::Station;
pub use crate::sandbox::local_only::local_only;
pub use crate::sandbox::rate::Rate;
pub use crate::sandbox::settings::Federated;
pub use crate::sandbox::settings::NextRange;
pub use crate::sandbox::settings::Rotation;
pub use crate::sandbox::settings::Settings;
pub use crate::sandbox::store::Arrival;
pub use crate::sandbox::store::Attachment;
pub use crate::sandbox::store::BccBy;
pub use crate::sandbox::store::Draft;
pub use crate::sandbox::store::Form;
pub use crate::sandbox::store::Framing;
pub use crate::sandbox::store::RequestKind;
pub use crate::sandbox::store::RequestRecord;
pub use crate::sandbox::store::Route;
pub use crate::sandbox::store::Totals;

use crate::sandbox::addresses::Played;
use crate::sandbox::assertion::Certificates;
use crate::sandbox::directory::Directory;
use crate::sandbox::fault::Faults;
use crate::sandbox::identity::ArcKeys;
use crate::sandbox::items::IdKind;
use crate::sandbox::items::Items;
use crate::sandbox::secrets::Secrets;
use crate::sandbox::sign_in::SignIns;
use crate::sandbox::store::Keep;
use crate::sandbox::store::Store;
use crate::sandbox::tokens::Tokens;
use crate::sandbox::upload::Uploads;

/// A running stand-in; it stops when dropped.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    upload_address: SocketAddr,
    connections: TaskTracker,
    stop: DropGuard,
}

/// What the endpoints share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    tokens: Tokens,
    certificates: Certificates,
    sign_ins: SignIns,
    arc_keys: ArcKeys,
    directory: Directory,
    store: Store,
    items: Items,
    uploads: Uploads,
    /// The URL of the upload host.
    upload_host: String,
    faults: Faults,
    played: Played,
    secrets: Secrets,
}

impl Sandbox {
    /// Listens on the address (port 0: any free one), and for uploads on a free port beside it,
    /// and serves from then on.
    pub async fn start(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let upload_listener = TcpListener::bind((address.ip(), 0)).await?;
        let upload_address = upload_listener.local_addr()?;
        let shared = Arc::new(Shared::new(settings, upload_address)?);
        let dated = || from_fn_with_state(Arc::clone(&shared), exchange::date);
        let recorded = || from_fn_with_state(Arc::clone(&shared), exchange::record);
        let router = Router::new()
            .merge(clouds().layer(recorded()))
            .merge(api::router())
            .merge(page::router())
            .layer(dated())
            .layer(from_fn(local_only))
            .with_state(Arc::clone(&shared));
        let upload_router = upload_host()
            .layer(recorded())
            .layer(dated())
            .layer(from_fn(local_only))
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        for (listener, router) in [(listener, router), (upload_listener, upload_router)] {
            let accepting = server::accept(listener, router, stop.clone(), connections.clone());
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

    /// Waits until so many messages have arrived since the start or the last [`Sandbox::clear`].
    pub async fn arrived(&self, count: usize) {
        self.shared.store.arrived(count as u64).await;
    }

    /// The most requests of any kind that one mailbox was asked at once, throttled ones and those
    /// to the upload host included.
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

impl Shared {
    fn new(settings: Settings, upload_address: SocketAddr) -> io::Result<Self> {
        let keep = Keep {
            messages: settings.keep_messages,
            bytes: settings.keep_bytes,
            requests: settings.keep_requests,
        };
        Ok(Self {
            tokens: Tokens::default(),
            certificates: Certificates::new(&settings)?,
            sign_ins: SignIns::default(),
            arc_keys: ArcKeys::default(),
            directory: Directory::new(&settings),
            store: Store::new(keep),
            items: Items::new(&settings),
            uploads: Uploads::default(),
            upload_host: format!("http://{upload_address}"),
            faults: Faults::default(),
            played: Played::default(),
            secrets: Secrets::default(),
            settings,
        })
    }

    fn clear(&self) {
        self.store.clear();
        self.items.clear();
        self.uploads.clear();
        self.played.clear();
        self.directory.clear();
    }

    fn drafts(&self) -> Vec<Draft> {
        let drafts = self.items.drafts().into_iter().map(|item| Draft {
            id: item.id(IdKind::Regular).to_owned(),
            immutable_id: item.id(IdKind::Immutable).to_owned(),
            time: item.created,
            open_uploads: self.uploads.count(item.id(IdKind::Immutable)),
            recipients: item.message.recipients().cloned().collect(),
            mailbox: item.mailbox,
            form: item.message.form,
            raw: item.message.raw,
            subject: item.message.subject,
            message_id: item.message_id,
            attachments: item.message.attachments,
        });
        drafts.collect()
    }
}

/// The endpoints of Entra and Graph.
fn clouds() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(entra::token))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::authorize))
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device::begin))
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(discovery::configuration),
        )
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys))
        .route("/common/discovery/instance", get(discovery::instance))
        .route("/metadata/identity/oauth2/token", get(identity::machine))
        .route("/msi/token", get(identity::app_service))
        .route("/arc/metadata/identity/oauth2/token", get(identity::arc))
        .route("/v1.0/users", get(users::list))
        .merge(mailbox("/v1.0/users/{user}"))
        .merge(mailbox("/v1.0/me"))
        .fallback(send_mail::not_found)
}

/// The endpoints of a mailbox.
fn mailbox(owner: &str) -> Router<Arc<Shared>> {
    let messages = format!("{owner}/messages");
    let of = |rest: &str| format!("{messages}/{{id}}{rest}");
    Router::new()
        .route(&format!("{owner}/sendMail"), post(send_mail::send_mail))
        .route(&messages, get(drafts::all).post(drafts::create))
        .route(
            &format!("{owner}/mailFolders/{{folder}}/messages"),
            get(drafts::of_folder),
        )
        .route(
            &of(""),
            get(drafts::one)
                .patch(drafts::change)
                .delete(drafts::delete),
        )
        .route(&of("/send"), post(drafts::send))
        .route(
            &of("/attachments"),
            get(attachments::list).post(attachments::attach),
        )
        .route(
            &of("/attachments/createUploadSession"),
            post(attachments::create_session),
        )
}

/// The endpoints of the upload host.
fn upload_host() -> Router<Arc<Shared>> {
    Router::new()
        .route(
            "/api/gv1.0/{*session}",
            put(upload::put)
                .get(upload::progress)
                .delete(upload::cancel),
        )
        .fallback(send_mail::not_found)
}
