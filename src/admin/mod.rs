//! The admin socket: what commands ask the running relay.
//!
//! HTTP with JSON over `data_dir/admin.sock`, mode 0600, and only for the
//! relay's own user and root (peer credentials). So no command opens the spool
//! itself, which would leave root-owned files in it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /queue?after=ID` | the next page of what is not delivered, as [`Summary`] |
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
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::mail::SpoolId;
use crate::spool::EntryView;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Summary;
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
    let queue = Router::new()
        .route("/queue", get(list))
        .route("/queue/{id}", get(show))
        .with_state(Arc::new(spool));
    let sessions = Router::new()
        .route("/sessions", get(sessions))
        .route("/sessions/{number}", get(session))
        .with_state(transcripts);
    let routes = queue.merge(sessions);
    let served = axum::serve(Guarded(socket), routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        warn!(event = "admin", %error, "the admin socket has ended");
    }
}

/// Which page of the queue.
#[derive(Debug, Deserialize)]
struct After {
    after: Option<SpoolId>,
}

async fn list(
    State(spool): State<Arc<Spool>>,
    extract::Query(query): extract::Query<After>,
) -> Result<Json<Vec<Summary>>, Failure> {
    Ok(Json(spool.list(query.after, PAGE).await?))
}

async fn show(
    State(spool): State<Arc<Spool>>,
    extract::Path(id): extract::Path<SpoolId>,
) -> Result<Json<EntryView>, Failure> {
    let entry = spool.show(id).await?;
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

impl axum::serve::Listener for Guarded {
    type Io = UnixStream;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.0).await;
            let own = rustix::process::geteuid().as_raw();
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == own || peer.uid() == 0 => return (stream, address),
                Ok(peer) => warn!(event = "admin", uid = peer.uid(), "turned away"),
                Err(error) => warn!(event = "admin", %error, "turned away"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
