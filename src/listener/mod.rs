//! Sockets: accepting connections, and bytes to and from the session.
//!
//! Promises: connections are accepted even when all slots are taken, so that
//! `slots/mod.rs` can decide who gets one; no client and no listener can take all of
//! them; every wait ends; a panic in one connection ends only that connection. On stop no
//! new connection is accepted, clients between messages get `421`, and a message within
//! DATA may be finished for [`DRAIN`]. `session/` handles commands, `admission/` decides
//! whether a message is accepted, and `spool/` stores it.

mod access;
mod allowance;
mod clients;
mod connection;
mod dialog;
mod ending;
mod newcomer;
mod own;
mod passwords;
mod pickup;
mod proxy;
mod receive;
mod slots;
mod tls;

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

pub use self::access::Order;
use self::clients::Clients;
use self::newcomer::Door;
use self::newcomer::Newcomer;
pub use self::own::NotTaken;
pub use self::own::OwnMessage;
pub use self::own::Part;
use self::passwords::Verifier;
pub use self::pickup::Trouble as PickupTrouble;
use self::pickup::Troubles as PickupTroubles;
pub use self::pickup::run as pick_up;
use self::proxy::Peer;
#[cfg(any(test, fuzzing))]
pub use self::proxy::oracle;
use self::slots::Slots;
pub use self::slots::holders::Connections;
pub use self::slots::holders::Holder;
pub use self::tls::server as tls_server;
use crate::clock::Beat;
use crate::clock::Clock;
use crate::config::Account;
use crate::config::Limits;
use crate::config::Listener;
use crate::config::Senders;
use crate::config::User;
use crate::metrics::Metrics;
use crate::session;
use crate::spool::Spool;
use crate::telemetry::complaints;
use crate::telemetry::devices::Devices;
use crate::telemetry::transcripts::Transcripts;

/// On stop, how long a message within DATA may take to be finished.
pub const DRAIN: Duration = Duration::from_secs(10);

/// The rules that sessions follow.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The settings of a session.
    pub session: session::Settings,
    /// Limits and times.
    pub limits: Limits,
    /// For refusing at once a message that no account sends.
    pub accounts: Vec<Account>,
    /// How From addresses are replaced.
    pub senders: Senders,
    /// The users who may authenticate.
    pub users: Vec<User>,
    /// One for each socket, in the same order.
    pub listeners: Vec<Arc<Listener>>,
    /// The folders with messages as files.
    pub pickups: Vec<PathBuf>,
    /// How long the spool knows a message that has ended.
    pub history_keep: Duration,
    /// The certificate, if any listener has TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The state that all connections share.
#[derive(Debug)]
pub struct Shared {
    /// Where accepted messages go.
    spool: Spool,
    /// Cancelled when the relay stops.
    stop: CancellationToken,
    clock: Clock,
    rules: Mutex<Arc<Rules>>,
    /// How often the rules have changed.
    generation: AtomicU64,
    transcripts: Transcripts,
    devices: Devices,
    metrics: Metrics,
    slots: Slots,
    /// Connections without a slot whose clients may still read the last reply.
    lingering: Arc<Semaphore>,
    clients: Clients,
    verifier: Verifier,
    pickup_troubles: PickupTroubles,
}

impl Shared {
    /// The state that all connections of a relay share.
    pub fn new(
        spool: Spool,
        rules: Rules,
        transcripts: Transcripts,
        devices: Devices,
        metrics: Metrics,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        Self {
            spool,
            stop,
            clock,
            slots: Slots::default(),
            lingering: Arc::new(Semaphore::new(LINGERING)),
            rules: Mutex::new(Arc::new(rules)),
            generation: AtomicU64::new(0),
            transcripts,
            devices,
            metrics,
            clients: Clients::default(),
            verifier: Verifier::new(),
            pickup_troubles: PickupTroubles::default(),
        }
    }

    /// Who sends mail.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The pickup folders that somebody has to look after.
    pub fn pickup_troubles(&self) -> Vec<PickupTrouble> {
        self.pickup_troubles.now()
    }

    /// The rules for a session that begins now.
    pub fn rules(&self) -> Arc<Rules> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rules)
    }

    /// Sets the rules that sessions follow from now on, for the same listeners. Existing
    /// sessions apply them at their next command, or end.
    pub fn set_rules(&self, rules: Rules) {
        self.verifier.reload(&rules.users);
        let plan = newcomer::plan(&rules);
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        self.generation.fetch_add(1, Ordering::Release);
        self.slots.shrink(&plan);
    }

    /// Reading this first and the rules afterwards gives these rules or newer ones.
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// Binds an address to listen on.
///
/// # Errors
///
/// Those of binding and listening.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a restart need not wait for old connections (TIME_WAIT).
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connections that wait in the kernel until they are accepted.
const BACKLOG: u32 = 1024;
/// How many connections may be without a slot and not closed yet.
const LINGERING: usize = 128;

/// Accepts connections until the relay stops; each becomes a task of `connections`.
/// `number` is the socket's position in [`Rules::listeners`]; `beat` shows that it runs.
pub async fn run(
    socket: TcpListener,
    number: usize,
    shared: Arc<Shared>,
    connections: TaskTracker,
    mut beat: Beat,
) {
    let door = Arc::new(Door::default());
    let mut failures = 0;
    loop {
        let arriving = tokio::select! {
            arriving = Arc::clone(&door.arriving).acquire_owned() => arriving,
            () = beat.answer() => continue,
            () = shared.stop.cancelled() => return,
        };
        let Ok(arriving) = arriving else { return };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = beat.answer() => continue,
            () = shared.stop.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(event = "accept_failed", %error, "a connection could not be accepted");
                tokio::time::sleep(back_off(failures)).await;
                failures += 1;
                continue;
            }
        };
        failures = 0;
        // Here and not in a separate task, so that the latest arrival is the last that
        // makes room.
        let Some(newcomer) = Newcomer::new(Peer::at(peer.ip()), number, &shared) else {
            return;
        };
        let (shared, door) = (Arc::clone(&shared), Arc::clone(&door));
        connections.spawn(async move {
            let address = newcomer.address();
            let serving = newcomer.serve(stream, &shared, &door, arriving);
            contained(address, serving).await;
        });
    }
}

/// Usually out of file descriptors: a pause lets some connections end.
fn back_off(failures: u32) -> Duration {
    Duration::from_millis(50) * (1 << failures.min(6))
}

/// A panic ends only the session in which it happens, and is logged.
async fn contained(client: IpAddr, session: impl Future<Output = ()>) {
    // State shared with other sessions is behind locks whose poison is ignored, because
    // every change under them is one step.
    if AssertUnwindSafe(session).catch_unwind().await.is_err() {
        complaints::session_panicked(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_session_is_contained() {
        contained(std::net::Ipv4Addr::LOCALHOST.into(), async {
            panic!("in a session");
        })
        .await;
    }
}
