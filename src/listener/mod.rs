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
mod passwords;
mod receive;
mod slots;
mod tls;

use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::access::Policy;
use self::clients::Clients;
use self::dialog::Dialog;
use self::passwords::Verifier;
use self::slots::Arrival;
use self::slots::Plan;
use self::slots::Refusal;
use self::slots::Room;
use self::slots::Slot;
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
use crate::config::Tls;
use crate::config::User;
use crate::metrics::Metrics;
use crate::session;
use crate::spool::RefusedMail;
use crate::spool::Spool;
use crate::telemetry::complaints;
use crate::telemetry::transcripts::Recording;
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
    metrics: Metrics,
    slots: Slots,
    /// Connections without a slot whose clients may still read the last reply.
    lingering: Arc<Semaphore>,
    clients: Clients,
    verifier: Verifier,
}

impl Shared {
    /// The state that all connections of a relay share.
    pub fn new(
        spool: Spool,
        rules: Rules,
        transcripts: Transcripts,
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
            metrics,
            clients: Clients::default(),
            verifier: Verifier::new(),
        }
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
        let plan = plan(&rules);
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
/// Connections of one listener that were not decided about yet.
const ARRIVING: usize = 256;
/// How many of these may wait for a slot.
const WAITING: usize = 64;
/// How long they may wait.
const A_MOMENT: Duration = Duration::from_millis(250);
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
        let client = peer.ip().to_canonical();
        // Here and not in a separate task, so that the latest arrival is the last that
        // makes room.
        let Some(newcomer) = shared.newcomer(client, number) else {
            return;
        };
        let (shared, door) = (Arc::clone(&shared), Arc::clone(&door));
        connections.spawn(async move {
            let serving = serve(stream, newcomer, &shared, &door, arriving);
            contained(client, serving).await;
        });
    }
}

/// Limits the connections of one listener that have no slot yet.
#[derive(Debug)]
struct Door {
    arriving: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            arriving: Arc::new(Semaphore::new(ARRIVING)),
            waiting: Semaphore::new(WAITING),
        }
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

async fn serve(
    stream: TcpStream,
    newcomer: (Policy, Option<Result<Slot, Refusal>>),
    shared: &Shared,
    door: &Door,
    arriving: OwnedSemaphorePermit,
) {
    let (policy, slot) = newcomer;
    let turn_away = |stream, reply| turn_away(stream, &policy, reply, shared);
    let Some(slot) = slot else {
        return turn_away(stream, session::Reply::network_not_allowed()).await;
    };
    let slot = match slot {
        Ok(slot) => Ok(slot),
        Err(refusal) => shared.wait(&policy, door, refusal).await,
    };
    let slot = match slot {
        Ok(slot) => slot,
        Err(refusal) => {
            shared.slots.note_refusal(refusal);
            let reply = match refusal {
                Refusal::Client => session::Reply::too_many_connections(),
                Refusal::Full | Refusal::Leaving => session::Reply::all_taken(),
            };
            return turn_away(stream, reply).await;
        }
    };
    drop(arriving);
    Dialog::new(stream, policy, slot, shared).run().await;
}

impl Shared {
    /// What holds for a newcomer, and its slot; no slot where the listener is not for
    /// this client, and `None` where there is no such listener.
    fn newcomer(
        &self,
        client: IpAddr,
        number: usize,
    ) -> Option<(Policy, Option<Result<Slot, Refusal>>)> {
        let policy = Policy::now(client, number, self)?;
        let slot = policy
            .admits()
            .then(|| self.slot(policy.arrival(), policy.rules()));
        Some((policy, slot))
    }

    /// A slot for an arrival: a free one, or one that another session must give up,
    /// unless one is about to become free.
    fn slot(&self, arrival: Arrival, rules: &Rules) -> Result<Slot, Refusal> {
        let plan = plan(rules);
        let enter = |room| self.slots.enter(arrival, &plan, room, &self.stop);
        let refusal = match enter(Room::Free) {
            Ok(slot) => return Ok(slot),
            Err(refusal) => refusal,
        };
        if self.slots.is_churning(arrival, refusal) {
            return Err(refusal);
        }
        if refusal != Refusal::Client {
            self.all_taken(&plan, rules);
        }
        enter(Room::Made)
    }

    /// Waits a moment for a slot if some have just become free.
    async fn wait(&self, policy: &Policy, door: &Door, refusal: Refusal) -> Result<Slot, Refusal> {
        let (arrival, rules) = (policy.arrival(), policy.rules());
        let plan = plan(rules);
        let enter = |room| self.slots.enter(arrival, &plan, room, &self.stop);
        if !self.slots.is_churning(arrival, refusal) {
            return Err(refusal);
        }
        if let Ok(_waits) = door.waiting.try_acquire() {
            let moment = tokio::time::sleep(A_MOMENT);
            tokio::pin!(moment);
            loop {
                let freed = self.slots.freed();
                tokio::pin!(freed);
                freed.as_mut().enable();
                let room = match refusal {
                    Refusal::Leaving => Room::Made,
                    Refusal::Client | Refusal::Full => Room::Free,
                };
                if let Ok(slot) = enter(room) {
                    return Ok(slot);
                }
                tokio::select! {
                    () = freed => {}
                    () = &mut moment => break,
                    () = self.stop.cancelled() => break,
                }
            }
        }
        if refusal != Refusal::Client {
            self.all_taken(&plan, rules);
        }
        enter(Room::Made)
    }
}

/// How these rules divide the connections.
fn plan(rules: &Rules) -> Plan {
    let limits = &rules.limits;
    Plan {
        connections: limits.connections,
        per_client: limits.connections_per_client,
        per_local_client: limits.connections_per_local_client,
        reserved: limits.reserved_connections,
        listeners: rules.listeners.len(),
        is_local: rules.listeners.iter().any(|listener| {
            let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            here.iter().any(|address| listener.admits(*address))
        }),
    }
}

/// Says why a connection is refused, if that costs nothing: a refused client must not
/// hold a place for long, nor fill the log.
async fn turn_away(mut stream: TcpStream, policy: &Policy, reply: session::Reply, shared: &Shared) {
    let (client, listener) = (policy.client(), policy.listener());
    if listener.tls != Tls::Implicit {
        let mut bytes = Vec::new();
        reply.write_to(&mut bytes);
        // A new connection has room for this much.
        let said = tokio::time::timeout(SAY_NO, stream.write_all(&bytes)).await;
        drop(said);
    }
    drop(stream);
    shared.spool.note_refusal(RefusedMail {
        client: Some(client),
        reply: reply.to_string(),
        remedy: reply.remedy.to_owned(),
        ..RefusedMail::default()
    });
    let mut recording = Recording::begin(&shared.clock);
    recording.said(reply.to_string().as_bytes());
    recording.trouble(&reply.to_string(), reply.remedy);
    let address = listener.address.to_string();
    shared
        .transcripts
        .keep(recording, client, address, None, None);
}

const SAY_NO: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_session_is_contained() {
        contained(Ipv4Addr::LOCALHOST.into(), async {
            panic!("in a session");
        })
        .await;
    }
}
