//! The admin socket: what commands ask the running relay.
//!
//! HTTP with JSON over `data_dir/admin.sock`, mode 0600, and only for the
//! relay's own user and root (peer credentials). So no command opens the spool
//! itself, which would leave root-owned files in it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /queue?after=ID&filter=EXPR&limit=N` | the next page of what is not delivered, or of what the [`Filter`](crate::spool::Filter) lets through, as [`Listed`] |
//! | `GET /queue/totals?filter=EXPR` | how many these are together, and how large, as [`Sum`](crate::spool::Sum) |
//! | `GET /queue/count?action=ACTION&filter=EXPR` | how many an action would concern now, as [`Count`](crate::spool::Count) |
//! | `POST /queue/actions` | carries out an [`Order`](crate::spool::Order), in pages; the answer comes after it is on stable storage, as [`Decided`](crate::spool::Decided) |
//! | `GET /queue/ID` | everything about one message, as [`Shown`]; 404 if unknown |
//! | `GET /history?text=TEXT&filter=EXPR&after=PLACE&limit=N` | what became of messages, newest first, as [`HistoryPage`]; `text` is anything that is known of one |
//! | `GET /pauses` | what is paused, as [`Pause`](crate::spool::Pause) |
//! | `POST /pauses` | pauses delivery, from [`ToPause`]; as [`Paused`] |
//! | `POST /pauses/end` | resumes it, from [`ToResume`]; as [`Resumed`] |
//! | `POST /queue/resends` | sends a copy of a message, from [`ToResend`]; as [`ResendAnswer`] |
//! | `POST /spool/check` | reads the whole spool and compares it with its checksums, as [`Checked`](crate::spool::Checked); with `?steps=true` in lines, each a [`Followed`] |
//! | `GET /accounts` | accounts, tokens, sign-ins and what ends when, as [`AccountView`] |
//! | `POST /sign-ins` | begins a sign-in, from [`Wanted`]; as [`Begun`](crate::auth::Begun) |
//! | `POST /sign-ins/ID` | goes on with it, from [`Ended`]; as [`Finished`]. Waits where the person has a device code |
//! | `POST /sign-outs` | forgets a sign-in, from [`Wanted`]; as [`Forgotten`] |
//! | `POST /test-messages` | sends one at once, past the queue, from [`TestMessage`]; as [`Sent`] |
//! | `GET /status` | how it stands with everything, as [`Status`] |
//! | `POST /page-links` | makes a link that logs in to the admin page once, from [`ToLink`]; as [`PageLink`] |
//! | `POST /alerts/test` | sends a test alert to each `[[alert]]`, as [`AlertTested`](attention::AlertTested) |
//! | `GET /changes/ID` | a change of relay.toml that waits, as [`Prepared`]; 404 if it does not |
//! | `POST /changes/ID` | somebody has written it into relay.toml: puts it into force; as [`InForce`] |
//! | `POST /configuration/reload` | puts relay.toml into force; as [`InForce`] |
//! | `POST /configuration/restart` | restarts the relay within its process, in half a second; as [`InForce`] |
//! | `GET /metrics` | the same in numbers, and what the relay counts, as Prometheus reads them |
//! | `GET /livez`, `GET /readyz` | whether it answers, and whether clients can send mail: [`monitoring`] |
//! | `GET /devices` | who sends mail, or tries to, as [`DeviceView`] |
//! | `GET /sessions` | the sessions that went wrong, as [`Transcript`] |
//! | `GET /sessions/NUMBER` | one of them; 404 if it is not kept |
//!
//! What cannot be answered has an [`ApiError`] as its answer. An order says in a header until when
//! its command waits ([`DEADLINE`]); after that it is refused.

pub mod attention;
mod audit;
mod configuration;
mod deadline;
mod devices;
mod error;
mod history;
mod identity;
pub mod monitoring;
mod page_links;
mod pauses;
mod queue;
mod status;
mod token;
mod verdict;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract;
use axum::extract::State;
use axum::extract::connect_info::Connected;
use axum::routing::get;
use axum::routing::post;
use axum::serve::IncomingStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::attention::AlertDesks;
use self::attention::LastCheckup;
pub use self::audit::Audit;
pub use self::audit::AuditAct;
pub use self::audit::AuditAction;
pub use self::audit::AuditEntry;
pub use self::audit::AuditResult;
pub use self::configuration::Applied;
pub use self::configuration::Changes;
pub use self::configuration::Configuration;
pub use self::configuration::ConfigurationView;
pub use self::configuration::Findings;
pub use self::configuration::InForce;
pub use self::configuration::Prepared;
pub use self::configuration::Reload;
pub use self::configuration::Restart;
pub use self::configuration::scope_commands;
pub use self::deadline::DEADLINE;
pub use self::deadline::deadline;
pub use self::devices::AddedDevice;
pub use self::devices::DeviceState;
pub use self::devices::DeviceView;
pub use self::devices::NewDevice;
pub use self::devices::NotChanged;
pub use self::devices::Permission;
pub use self::devices::PermissionKind;
pub use self::devices::Server;
pub use self::error::ApiError;
pub use self::error::ErrorCode;
use self::error::Failure;
pub use self::history::HistoryPage;
pub use self::history::HistoryRow;
pub use self::identity::AccountView;
pub use self::identity::BrowserSignIn;
pub use self::identity::DelegatedAccount;
pub use self::identity::Ended;
pub use self::identity::EndingView;
pub use self::identity::Finished;
pub use self::identity::Forgotten;
pub use self::identity::LogInAttempt;
pub use self::identity::LoggedIn;
pub use self::identity::MailboxView;
pub use self::identity::NotLoggedIn;
pub use self::identity::NotSignedIn;
pub use self::identity::NotTested;
pub use self::identity::Obstacle;
pub use self::identity::Sent;
pub use self::identity::SignedIn;
pub use self::identity::TestMessage;
pub use self::identity::Tested;
pub use self::identity::Wanted;
pub use self::identity::Why;
pub use self::page_links::PageLink;
pub use self::page_links::PageLinks;
pub use self::page_links::PageRole;
pub use self::page_links::Secret;
pub use self::page_links::ToLink;
pub use self::page_links::secret;
pub use self::pauses::Paused;
pub use self::pauses::Resumed;
pub use self::pauses::ToPause;
pub use self::pauses::ToResume;
pub use self::queue::Followed;
pub use self::queue::Listed;
pub use self::queue::MessageContent;
pub use self::queue::NoContent;
pub use self::queue::Pieces;
pub use self::queue::ResendAnswer;
pub use self::queue::Resent;
pub use self::queue::Shown;
pub use self::queue::ToResend;
pub use self::queue::View;
pub use self::status::LogView;
pub use self::status::Status;
pub use self::token::TokenState;
pub use self::token::TokenView;
pub use self::verdict::Verdict;
pub(crate) use self::verdict::capital;
use crate::auth::Means;
use crate::auth::SignIns;
use crate::clock::Pulse;
use crate::credentials::CertificateFiles;
pub use crate::delivery::BackingOff;
pub use crate::delivery::BackoffCause;
pub use crate::delivery::Delivery;
pub use crate::delivery::Limited;
pub use crate::delivery::Rates;
pub use crate::delivery::STALLED;
use crate::delivery::Standing;
pub use crate::delivery::Waits;
use crate::listener;
pub use crate::listener::Connections;
pub use crate::listener::NotTaken;
pub use crate::listener::Order;
pub use crate::listener::Part;
use crate::metrics::Metrics;
use crate::platform::sockets;
use crate::platform::sockets::LocalListener;
use crate::platform::sockets::LocalStream;
use crate::platform::users;
use crate::spool::Spool;
use crate::telemetry::transcripts::Transcript;
use crate::telemetry::transcripts::Transcripts;

/// Entries in one answer.
pub const PAGE: u32 = 500;

/// Takes the socket's path. A socket of that name is a stopped relay's: the
/// running one holds the spool's lock.
///
/// # Errors
///
/// Those of binding it.
pub fn bind(path: &Path) -> io::Result<LocalListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sockets::bind(path)
}

/// What is asked about.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// The queue.
    pub spool: Spool,
    /// Sessions that went wrong.
    pub transcripts: Transcripts,
    /// Accounts and their sign-ins.
    pub sign_ins: SignIns,
    /// How it stands with delivery.
    pub standing: Standing,
    /// What tokens and Graph are asked with.
    pub means: Means,
    /// Whoever is connected to the listeners.
    pub clients: Arc<listener::Shared>,
    /// Where mail comes in.
    pub listeners: Vec<SocketAddr>,
    /// The listeners' certificate.
    pub certificate: Option<CertificateFiles>,
    /// What is in force.
    pub configuration: Configuration,
    /// What the relay counts.
    pub metrics: Metrics,
    /// Links to the admin page.
    pub page_links: PageLinks,
    /// Whether the relay's loops run.
    pub pulse: Pulse,
    /// The `[[alert]]`s.
    pub alerts: AlertDesks,
    /// What the relay found when it last examined itself.
    pub checkup: LastCheckup,
    /// Who did what.
    pub audit: Audit,
    /// Cancelled when the relay stops accepting connections.
    pub stopping: CancellationToken,
}

/// Answers until `stop`.
pub async fn run(socket: LocalListener, admin_state: AdminState, stop: CancellationToken) {
    let orders = TaskTracker::new();
    let sessions = Router::new()
        .route("/sessions", get(sessions))
        .route("/sessions/{number}", get(session))
        .with_state(admin_state.transcripts.clone());
    let alerts = Router::new()
        .route("/alerts/test", post(attention::test))
        .with_state(admin_state.alerts.clone());
    let desk = audit::socket::Desk {
        audit: admin_state.audit.clone(),
        orders: orders.clone(),
    };
    let routes = queue::router(&admin_state, orders.clone())
        .merge(history::router(admin_state.clone()))
        .merge(sessions)
        .merge(page_links::router(admin_state.page_links.clone()))
        .merge(alerts)
        .merge(devices::router(admin_state.clone()))
        .merge(configuration::router(admin_state.configuration.clone()))
        .merge(pauses::router(admin_state.clone()))
        .merge(identity::router(admin_state.clone(), stop.clone()))
        .merge(monitoring::router(admin_state.clone()))
        .merge(status::router(admin_state));
    let record = axum::middleware::from_fn_with_state(desk, audit::socket::audited);
    let in_time = axum::middleware::from_fn(deadline::kept);
    let routes = routes.layer(in_time).layer(record);
    let routes = routes.into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(Guarded(socket), routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        warn!(event = "admin", %error, "the admin socket has ended");
    }
    orders.close();
    orders.wait().await;
}

async fn sessions(State(transcripts): State<Transcripts>) -> Json<Vec<Transcript>> {
    Json(transcripts.list())
}

async fn session(
    State(transcripts): State<Transcripts>,
    extract::Path(number): extract::Path<u64>,
) -> Result<Json<Transcript>, Failure> {
    let kept = transcripts.show(number);
    kept.map(Json).ok_or(Failure::Unknown)
}

/// Takes connections of the relay's own user and of root only.
struct Guarded(LocalListener);

/// Who has connected.
#[derive(Clone, Copy, Debug)]
struct Peer {
    uid: u32,
}

impl Connected<IncomingStream<'_, Guarded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        *stream.remote_addr()
    }
}

impl axum::serve::Listener for Guarded {
    type Io = LocalStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, _) = axum::serve::Listener::accept(&mut self.0).await;
            let own = users::own_uid();
            match sockets::uid_of_peer(&stream) {
                Ok(uid) if uid == own || uid == 0 => {
                    return (stream, Peer { uid });
                }
                Ok(uid) => warn!(
                    event = "admin",
                    uid,
                    "refused a user at the admin socket: only root and the relay's own user may use it"
                ),
                Err(error) => warn!(
                    event = "admin", %error,
                    "refused a user at the admin socket: cannot find out which user it is"
                ),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer {
            uid: users::own_uid(),
        })
    }
}
