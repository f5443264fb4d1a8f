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
mod receive;
mod stream;
mod tls;
mod users;

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::clients::Clients;
use self::connection::Connection;
pub use self::tls::server as tls_server;
use self::users::Verifier;
use crate::clock::Clock;
use crate::config::Account;
use crate::config::Limits;
use crate::config::Listener;
use crate::config::Tls;
use crate::config::User;
use crate::session;
use crate::spool::Spool;
use crate::telemetry::maillog;
use crate::telemetry::transcripts::Recording;
use crate::telemetry::transcripts::Transcripts;

/// On stop, how long a message that is within DATA may take to be finished.
pub const DRAIN: Duration = Duration::from_secs(10);

/// What sessions go by; each keeps to those that were in force when it began.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What a session is told of the configuration.
    pub session: session::Settings,
    /// Limits and times.
    pub limits: Limits,
    /// For telling a client at once that nobody sends its message.
    pub accounts: Vec<Account>,
    /// Who may authenticate.
    pub users: Vec<User>,
    /// One for each socket, in the order of the sockets.
    pub listeners: Vec<Arc<Listener>>,
    /// Where any of them has TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    /// Where accepted messages go.
    spool: Spool,
    /// Cancelled when the relay is to stop.
    stop: CancellationToken,
    clock: Clock,
    rules: Mutex<Arc<Rules>>,
    transcripts: Transcripts,
    permits: Arc<Semaphore>,
    clients: Clients,
    verifier: Verifier,
}

impl Shared {
    /// What all connections of a relay share.
    pub fn new(
        spool: Spool,
        rules: Rules,
        transcripts: Transcripts,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        // A listener that waits holds a permit; the others have theirs all the same.
        let permits = rules.limits.connections + rules.listeners.len().saturating_sub(1);
        Self {
            spool,
            stop,
            clock,
            permits: Arc::new(Semaphore::new(permits)),
            rules: Mutex::new(Arc::new(rules)),
            transcripts,
            clients: Clients::default(),
            verifier: Verifier::new(),
        }
    }

    /// What a session that begins now goes by.
    pub fn rules(&self) -> Arc<Rules> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rules)
    }

    /// What sessions go by from now on; as many listeners as before.
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
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
/// `connections`. `number` is the socket's place in [`Rules::listeners`].
pub async fn run(
    socket: TcpListener,
    number: usize,
    shared: Arc<Shared>,
    connections: TaskTracker,
) {
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
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let client = peer.ip().to_canonical();
            contained(client, serve(stream, client, number, &shared)).await;
            drop(permit);
        });
    }
}

/// Out of file descriptors, usually: taking none for a while lets some end.
fn back_off(failures: u32) -> Duration {
    Duration::from_millis(50) * (1 << failures.min(6))
}

/// A panic ends the session that it happens in, and is told of.
async fn contained(client: IpAddr, session: impl Future<Output = ()>) {
    // What a session shares with others is behind locks whose poison is ignored,
    // because every change under them is one step.
    if AssertUnwindSafe(session).catch_unwind().await.is_err() {
        maillog::session_panicked(client);
    }
}

async fn serve(stream: TcpStream, client: IpAddr, number: usize, shared: &Shared) {
    let rules = shared.rules();
    let Some(listener) = rules.listeners.get(number).cloned() else {
        return;
    };
    if !listener.admits(client) {
        let reply = session::Reply::network_not_allowed();
        return turn_away(stream, client, &listener, &reply, shared).await;
    }
    let limit = rules.limits.connections_per_client;
    let Some(_counted) = shared.clients.enter(client, limit) else {
        let reply = session::Reply::too_many_connections();
        return turn_away(stream, client, &listener, &reply, shared).await;
    };
    let connection = Connection::new(stream, client, listener, rules, shared);
    connection.run().await;
}

/// Says why a connection is not wanted, where that costs nothing: whoever is not
/// wanted must not hold a place for long, nor fill the log.
async fn turn_away(
    mut stream: TcpStream,
    client: IpAddr,
    listener: &Listener,
    reply: &session::Reply,
    shared: &Shared,
) {
    if listener.tls != Tls::Implicit {
        let mut bytes = Vec::new();
        reply.write_to(&mut bytes);
        // A new connection has room for so much.
        let said = tokio::time::timeout(SAY_NO, stream.write_all(&bytes)).await;
        drop(said);
    }
    drop(stream);
    if shared
        .clients
        .is_news(client, reply.remedy, Some(EVERY_MINUTE))
    {
        let mut recording = Recording::begin(&shared.clock);
        recording.said(&reply.to_string());
        recording.trouble(&reply.to_string(), reply.remedy);
        let address = listener.address;
        shared
            .transcripts
            .keep(recording, client, address, None, None);
    }
}

const SAY_NO: Duration = Duration::from_millis(100);
/// How often it is told of a client that it was turned away.
const EVERY_MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_session_is_contained() {
        contained(Ipv4Addr::LOCALHOST.into(), async {
            panic!("in a session");
        })
        .await;
    }
}
