//! The admin socket: what commands ask the running relay.
//!
//! HTTP with JSON over `data_dir/admin.sock`, mode 0600, and only for the
//! relay's own user and root (peer credentials). So no command opens the spool
//! itself, which would leave root-owned files in it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /queue?after=ID&filter=EXPR` | the next page of what is not delivered, or of what the [`Filter`] lets through, as [`Summary`] |
//! | `GET /queue/count?action=ACTION&filter=EXPR` | how many an action would concern now, as [`Count`] |
//! | `POST /queue/actions` | carries out an [`Order`], in pages; the answer comes after it is on stable storage, as [`Decided`] |
//! | `GET /queue/ID` | everything about one message, as [`EntryView`]; 404 if unknown |
//! | `GET /sessions` | the sessions that went wrong, as [`Transcript`] |
//! | `GET /sessions/NUMBER` | one of them; 404 if it is not kept |

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::routing::get;
use axum::routing::post;
use axum::serve::IncomingStream;
use serde::Deserialize;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::Count;
use crate::spool::Decided;
use crate::spool::EntryView;
use crate::spool::Filter;
use crate::spool::Order;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Summary;
use crate::telemetry::maillog;
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
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(socket)
}

/// Answers until `stop`.
pub async fn run(
    socket: UnixListener,
    spool: Spool,
    transcripts: Transcripts,
    stop: CancellationToken,
) {
    let orders = TaskTracker::new();
    let queue = Router::new()
        .route("/queue", get(list))
        .route("/queue/count", get(count))
        .route("/queue/actions", post(act))
        .route("/queue/{id}", get(show))
        .with_state(Arc::new(Queue {
            spool,
            orders: orders.clone(),
        }));
    let sessions = Router::new()
        .route("/sessions", get(sessions))
        .route("/sessions/{number}", get(session))
        .with_state(transcripts);
    let routes = queue.merge(sessions);
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

struct Queue {
    spool: Spool,
    /// What was begun is finished, although who asked for it is gone.
    orders: TaskTracker,
}

/// Which page of the queue.
#[derive(Debug, Deserialize)]
struct Page {
    after: Option<SpoolId>,
    filter: Option<Filter>,
}

async fn list(
    State(queue): State<Arc<Queue>>,
    extract::Query(page): extract::Query<Page>,
) -> Result<Json<Vec<Summary>>, Failure> {
    let found = queue.spool.search(page.filter, page.after, PAGE).await?;
    Ok(Json(found))
}

/// What would be concerned.
#[derive(Debug, Deserialize)]
struct Concerned {
    action: Action,
    filter: Option<Filter>,
}

async fn count(
    State(queue): State<Arc<Queue>>,
    extract::Query(of): extract::Query<Concerned>,
) -> Result<Json<Count>, Failure> {
    Ok(Json(queue.spool.count(of.action, of.filter).await?))
}

async fn act(
    State(queue): State<Arc<Queue>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(order): Json<Order>,
) -> Result<Json<Decided>, Failure> {
    let spool = queue.spool.clone();
    let task = queue.orders.spawn(async move {
        let action = order.action;
        let decided = spool.operate(order, peer.uid).await?;
        maillog::decided(action, peer.uid, &decided.decisions);
        Ok(decided)
    });
    let decided: Result<Decided, SpoolError> = task.await.map_err(|_| SpoolError::Closed)?;
    Ok(Json(decided?))
}

async fn show(
    State(queue): State<Arc<Queue>>,
    extract::Path(id): extract::Path<SpoolId>,
) -> Result<Json<EntryView>, Failure> {
    let entry = queue.spool.show(id).await?;
    entry.map(Json).ok_or(Failure::Unknown)
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

/// Why there is no answer.
enum Failure {
    Unknown,
    Spool(SpoolError),
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND.into_response(),
            Self::Spool(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
            }
        }
    }
}

/// Takes connections of the relay's own user and of root only.
struct Guarded(UnixListener);

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
    type Io = UnixStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, _) = axum::serve::Listener::accept(&mut self.0).await;
            let own = rustix::process::geteuid().as_raw();
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == own || peer.uid() == 0 => {
                    return (stream, Peer { uid: peer.uid() });
                }
                Ok(peer) => warn!(event = "admin", uid = peer.uid(), "turned away"),
                Err(error) => warn!(event = "admin", %error, "turned away"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer {
            uid: rustix::process::geteuid().as_raw(),
        })
    }
}
