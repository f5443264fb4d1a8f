//! A connection from the moment it is accepted until its dialog begins: who it is from, a
//! slot for it, or the reason why it gets none.
//!
//! A proxy's connection has its slot before its header comes, so that `limits.connections`
//! holds for it, too; then the slot counts for the client that the header names.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tracing::debug;

use super::Rules;
use super::Shared;
use super::access::Policy;
use super::connection::HANDSHAKE;
use super::dialog::Dialog;
use super::ending::farewell;
use super::proxy::Expected;
use super::proxy::Malformed;
use super::proxy::NoClient;
use super::proxy::Peer;
use super::proxy::Proxy;
use super::slots::Refusal;
use super::slots::Room;
use super::slots::Slot;
use super::slots::party::Arrival;
use super::slots::party::Party;
use super::slots::plan::Plan;
use crate::config::Listener;
use crate::config::Tls;
use crate::session::Reply;
use crate::spool::RefusedMail;
use crate::telemetry::devices::Sighting;
use crate::telemetry::transcripts::Recording;

/// Connections of one listener that were not decided about yet.
const ARRIVING: usize = 256;
/// How many of these may wait for a slot.
const WAITING: usize = 64;
/// How long they may wait.
const A_MOMENT: Duration = Duration::from_millis(250);
/// How long a refused client may take to accept the reply.
const SAY_NO: Duration = Duration::from_millis(100);
/// How long a proxy may take for its header. It has it ready when it connects, and this
/// covers a segment that is lost twice.
const HEADER: Duration = Duration::from_secs(5);

/// Limits the connections of one listener that have no slot yet.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) arriving: Arc<Semaphore>,
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

/// A connection that was just accepted.
#[derive(Debug)]
pub(super) struct Newcomer {
    who: Who,
    /// None where the listener is not for this client.
    slot: Option<Result<Slot, Refusal>>,
}

#[derive(Debug)]
enum Who {
    Client(Policy),
    /// A proxy, which has yet to say for whom it has connected.
    Proxy(Proxy, Place),
}

/// A listener, and the rules at the time of the connection.
#[derive(Debug)]
struct Place {
    number: usize,
    listener: Arc<Listener>,
    rules: Arc<Rules>,
}

/// A connection that gets no dialog.
struct TurnedAway {
    address: IpAddr,
    /// What the client is told; nothing if it has closed the connection.
    reply: Option<Reply>,
    closing: Closing,
}

/// How a connection is closed after its last reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    AtOnce,
    /// So that the reply is not lost although the client has sent something.
    Gently,
}

impl Newcomer {
    /// Takes a slot for a connection, if it may have one; `None` if there is no such listener.
    pub(super) fn new(peer: Peer, number: usize, shared: &Shared) -> Option<Self> {
        let rules = shared.rules();
        let listener = Arc::clone(rules.listeners.get(number)?);
        let who = match peer.expected_by(&listener) {
            Expected::Dialog(visitor) => Who::Client(Policy::now(visitor, number, shared)?),
            Expected::Header(proxy) => {
                let place = Place {
                    number,
                    listener,
                    rules,
                };
                Who::Proxy(proxy, place)
            }
        };
        let slot = who
            .is_admitted()
            .then(|| shared.slot(who.arrival(), who.rules()));
        Some(Self { who, slot })
    }

    /// The address for the log.
    pub(super) fn address(&self) -> IpAddr {
        match &self.who {
            Who::Client(policy) => policy.client(),
            Who::Proxy(proxy, _) => proxy.address(),
        }
    }

    /// All of the connection, to its end.
    pub(super) async fn serve(
        self,
        mut stream: TcpStream,
        shared: &Shared,
        door: &Door,
        arriving: OwnedSemaphorePermit,
    ) {
        let address = self.address();
        let Self { who, slot } = self;
        let listener = Arc::clone(who.listener());
        let begun = match who.slot(slot, shared, door).await {
            Ok(slot) => {
                drop(arriving);
                who.policy(&mut stream, slot, shared, door).await
            }
            Err(reply) => {
                let reply = Some(reply);
                let closing = Closing::AtOnce;
                Err(TurnedAway {
                    address,
                    reply,
                    closing,
                })
            }
        };
        match begun {
            Ok((policy, slot)) => Dialog::new(stream, policy, slot, shared).run().await,
            Err(turned) => turned.say(stream, &listener, shared).await,
        }
    }
}

impl Who {
    fn arrival(&self) -> Arrival {
        match self {
            Self::Client(policy) => policy.arrival(),
            Self::Proxy(proxy, place) => Arrival {
                listener: place.number,
                party: Party::Proxy(proxy.counted()),
            },
        }
    }

    fn rules(&self) -> &Rules {
        match self {
            Self::Client(policy) => policy.rules(),
            Self::Proxy(_, place) => &place.rules,
        }
    }

    fn listener(&self) -> &Arc<Listener> {
        match self {
            Self::Client(policy) => policy.listener(),
            Self::Proxy(_, place) => &place.listener,
        }
    }

    /// Whether the listener is for it. A proxy's clients are asked about later.
    fn is_admitted(&self) -> bool {
        match self {
            Self::Client(policy) => policy.admits(),
            Self::Proxy(..) => true,
        }
    }

    /// Its slot, after a moment if that helps; or what it is told.
    async fn slot(
        &self,
        slot: Option<Result<Slot, Refusal>>,
        shared: &Shared,
        door: &Door,
    ) -> Result<Slot, Reply> {
        let refusal = match slot {
            None => return Err(Reply::network_not_allowed()),
            Some(Ok(slot)) => return Ok(slot),
            Some(Err(refusal)) => refusal,
        };
        let (arrival, rules) = (self.arrival(), self.rules());
        let plan = plan(rules);
        let enter = |room| shared.slots.enter(arrival, &plan, room, &shared.stop);
        let slot = shared.wait(arrival, rules, door, refusal, enter).await;
        slot.map_err(|refusal| shared.refused(refusal))
    }

    /// Who its dialog is with, and by which rules.
    async fn policy(
        self,
        stream: &mut TcpStream,
        slot: Slot,
        shared: &Shared,
        door: &Door,
    ) -> Result<(Policy, Slot), TurnedAway> {
        match self {
            Self::Client(policy) => Ok((policy, slot)),
            Self::Proxy(proxy, place) => {
                let policy = introduced(proxy, &place, stream, &slot, shared).await?;
                let turned = |reply| TurnedAway {
                    address: policy.client(),
                    reply: Some(reply),
                    closing: Closing::Gently,
                };
                if !policy.admits() {
                    return Err(turned(Reply::network_not_allowed()));
                }
                let handed = shared.hand_over(&slot, &policy, door).await;
                handed.map_err(|refusal| turned(shared.refused(refusal)))?;
                Ok((policy, slot))
            }
        }
    }
}

/// Reads a proxy's header, and says by which rules its client is treated.
async fn introduced(
    proxy: Proxy,
    place: &Place,
    stream: &mut TcpStream,
    slot: &Slot,
    shared: &Shared,
) -> Result<Policy, TurnedAway> {
    let address = proxy.address();
    let turned = |reply| TurnedAway {
        address,
        reply,
        closing: Closing::Gently,
    };
    let time = HEADER.min(place.rules.limits.pre_mail_timeout);
    let visitor = tokio::select! {
        visitor = tokio::time::timeout(time, proxy.visitor(stream)) => visitor,
        () = slot.leave().cancelled() => return Err(turned(Some(farewell(&shared.stop)))),
    };
    let visitor = match visitor {
        Ok(Ok(visitor)) => visitor,
        Ok(Err(NoClient::Silent)) => {
            debug!(event = "connected", proxy = %address, "a connection was closed without a byte");
            return Err(turned(None));
        }
        Ok(Err(NoClient::Malformed(Malformed::Broken(why)))) => {
            return Err(turned(Some(Reply::proxy_header_malformed(why))));
        }
        Ok(Err(NoClient::CutOff)) => {
            let why = "the connection was closed before its end";
            return Err(turned(Some(Reply::proxy_header_malformed(why))));
        }
        Ok(Err(NoClient::Malformed(Malformed::Missing))) | Err(_) => {
            return Err(turned(Some(Reply::proxy_header_missing())));
        }
    };
    Policy::now(visitor, place.number, shared).ok_or_else(|| turned(None))
}

impl Shared {
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

    /// Waits a moment for what `enter` takes if slots have just become free.
    async fn wait<T>(
        &self,
        arrival: Arrival,
        rules: &Rules,
        door: &Door,
        refusal: Refusal,
        enter: impl Fn(Room) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
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
                if let Ok(entered) = enter(room) {
                    return Ok(entered);
                }
                tokio::select! {
                    () = freed => {}
                    () = &mut moment => break,
                    () = self.stop.cancelled() => break,
                }
            }
        }
        if refusal != Refusal::Client {
            self.all_taken(&plan(rules), rules);
        }
        enter(Room::Made)
    }

    /// The slot of a proxy's connection counts for its client from now on, if the client may
    /// have one more.
    async fn hand_over(&self, slot: &Slot, policy: &Policy, door: &Door) -> Result<(), Refusal> {
        let (arrival, rules) = (policy.arrival(), policy.rules());
        let plan = plan(rules);
        let enter = |_| slot.hand_over(arrival.party, &plan);
        match enter(Room::Free) {
            Ok(()) => Ok(()),
            Err(refusal) => self.wait(arrival, rules, door, refusal, enter).await,
        }
    }

    /// Counts a refusal; returns what the client is told.
    fn refused(&self, refusal: Refusal) -> Reply {
        self.slots.note_refusal(refusal);
        match refusal {
            Refusal::Client => Reply::too_many_connections(),
            Refusal::Full | Refusal::Leaving => Reply::all_taken(),
        }
    }
}

/// How these rules divide the connections.
pub(super) fn plan(rules: &Rules) -> Plan {
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

impl TurnedAway {
    /// Says why a connection is refused, if that costs nothing: a refused client must not
    /// hold a place for long, nor fill the log.
    async fn say(self, mut stream: TcpStream, listener: &Listener, shared: &Shared) {
        let Self {
            address,
            reply,
            closing,
        } = self;
        let Some(reply) = reply else { return };
        if speaks_in_clear(&stream, listener.tls).await {
            let mut bytes = Vec::new();
            reply.write_to(&mut bytes);
            // A new connection has room for this much.
            let said = tokio::time::timeout(SAY_NO, stream.write_all(&bytes)).await;
            drop(said);
        }
        if closing == Closing::Gently
            && let Ok(_lingers) = shared.lingering.try_acquire()
        {
            close_gently(&mut stream).await;
        }
        drop(stream);
        let refusal = RefusedMail {
            client: Some(address),
            reply: reply.to_string(),
            remedy: reply.remedy.to_owned(),
            ..RefusedMail::default()
        };
        let place = listener.address.to_string();
        let sighting = Sighting::at(address, place.clone());
        shared
            .devices
            .refused(&sighting, &refusal, shared.clock.now());
        shared.spool.note_refusal(refusal);
        let mut recording = Recording::begin(&shared.clock);
        recording.said(reply.to_string().as_bytes());
        recording.trouble(&reply.to_string(), reply.remedy);
        shared
            .transcripts
            .keep(recording, address, place, None, None);
    }
}

/// With input unread, closing at once would reset the connection.
async fn close_gently(stream: &mut TcpStream) {
    let closing = async {
        let mut rest = [0; 1024];
        if stream.shutdown().await.is_ok() {
            while let Ok(1..) = stream.read(&mut rest).await {}
        }
    };
    let _gone = tokio::time::timeout(SAY_NO, closing).await;
}

/// Whether a reply without TLS makes sense to the client.
async fn speaks_in_clear(stream: &TcpStream, tls: Tls) -> bool {
    match tls {
        Tls::Off | Tls::Starttls | Tls::StarttlsRequired => true,
        Tls::Implicit => false,
        Tls::Auto => {
            let mut first = [0];
            let peeked = tokio::time::timeout(SAY_NO, stream.peek(&mut first)).await;
            !(matches!(peeked, Ok(Ok(1))) && first == [HANDSHAKE])
        }
    }
}
