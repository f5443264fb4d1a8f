//! Sockets: accepting connections, and bytes to and from the session.
//!
//! Promises: a connection is taken only when there is room for it; one client
//! cannot take all the room; every wait has an end; a panic in one connection
//! ends that one alone. On stop no new connection is taken, clients between
//! messages are told `421`, and a message within DATA may be finished for
//! [`DRAIN`]. What a command means is left to `session/`, what a message is
//! worth to `spool/`.

mod clients;
mod connection;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::clients::Clients;
use self::connection::Connection;
use crate::config::Account;
use crate::config::Limits;
use crate::config::Listener;
use crate::session;
use crate::spool::Spool;

/// On stop, how long a message that is within DATA may take to be finished.
pub const DRAIN: Duration = Duration::from_secs(10);

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    /// Where accepted messages go.
    pub spool: Spool,
    /// What a session is told of the configuration.
    pub session: session::Settings,
    /// Limits and times.
    pub limits: Limits,
    /// For telling a client at once that nobody sends its message.
    pub accounts: Vec<Account>,
    /// Cancelled when the relay is to stop.
    pub stop: CancellationToken,
    permits: Arc<Semaphore>,
    clients: Clients,
}

impl Shared {
    /// What all connections of a relay share, which has so many listeners, one
    /// at least.
    pub fn new(
        spool: Spool,
        session: session::Settings,
        limits: Limits,
        accounts: Vec<Account>,
        listeners: usize,
        stop: CancellationToken,
    ) -> Self {
        Self {
            spool,
            session,
            // A listener that waits holds a permit; the others have theirs all the same.
            permits: Arc::new(Semaphore::new(limits.connections + listeners - 1)),
            clients: Clients::new(limits.connections_per_client),
            limits,
            accounts,
            stop,
        }
    }
}

/// Takes an address to listen on.
///
/// # Errors
///
/// Those of binding and listening.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a restart need not wait for old connections (TIME_WAIT) to end.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connections that wait in the kernel while there is no room.
const BACKLOG: u32 = 1024;

/// Accepts connections until the relay stops; each becomes a task of
/// `connections`.
pub async fn run(
    socket: TcpListener,
    settings: Listener,
    shared: Arc<Shared>,
    connections: TaskTracker,
) {
    let settings = Arc::new(settings);
    let mut failures = 0;
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&shared.permits).acquire_owned() => permit,
            () = shared.stop.cancelled() => return,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(event = "accept", %error, "a connection could not be accepted");
                tokio::time::sleep(back_off(failures)).await;
                failures += 1;
                continue;
            }
        };
        failures = 0;
        let (settings, shared) = (Arc::clone(&settings), Arc::clone(&shared));
        connections.spawn(async move {
            serve(stream, peer, &settings, &shared).await;
            drop(permit);
        });
    }
}

/// Out of file descriptors, usually: taking none for a while lets some end.
fn back_off(failures: u32) -> Duration {
    Duration::from_millis(50) * (1 << failures.min(6))
}

async fn serve(stream: TcpStream, peer: SocketAddr, settings: &Listener, shared: &Shared) {
    let client = peer.ip().to_canonical();
    let mut connection = Connection::new(stream, client, settings, shared);
    if !settings.admits(client) {
        connection
            .turn_away(&session::Reply::network_not_allowed())
            .await;
        return;
    }
    let Some(_counted) = shared.clients.enter(client) else {
        connection
            .turn_away(&session::Reply::too_many_connections())
            .await;
        return;
    };
    connection.run().await;
}
