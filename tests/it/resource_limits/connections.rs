//! More connections than the relay allows.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;

use rustix::process::Resource;
use rustix::process::Rlimit;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::load::assert_bounded;
use crate::common::load::bystander;
use crate::common::message;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::wire::connect_from;
use crate::common::wire::wait_until_all_read;

/// `limits.connections_per_client`.
const PER_CLIENT: usize = 64;
/// `limits.connections`.
const ALL: usize = 512;

fn client(n: usize) -> IpAddr {
    let [high, low] = u16::try_from(n).unwrap().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 2, high, low))
}

/// Opens as many connections as the relay allows, from as many clients as needed, and
/// reads each greeting.
fn fill(relay: &Relay) -> Vec<TcpStream> {
    let runtime = Handle::current();
    let connect = |n: usize| {
        let client = client(n / PER_CLIENT);
        greeted(connect_from(&runtime, client, relay.address).unwrap())
    };
    std::thread::scope(|scope| {
        let filling = scope.spawn(|| (0..ALL).map(connect).collect());
        filling.join().unwrap()
    })
}

/// An accepted connection.
fn greeted(mut stream: TcpStream) -> TcpStream {
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ");
    stream
}

/// Raises the number of files that this process may open.
pub(crate) fn may_open(files: u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.current.max(Some(files)),
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(Resource::Nofile, raised).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_of_one_client_leave_room_for_others() {
    connections_of_one_client_leave_room_for_others(1000, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: ten thousand connections"]
async fn ten_thousand_connections_of_one_client_leave_room_for_others() {
    connections_of_one_client_leave_room_for_others(10_000, 1000).await;
}

/// Another client sends mail after each batch of connections.
async fn connections_of_one_client_leave_room_for_others(count: usize, each: usize) {
    let graph = stand_in().await;
    // If it is configured explicitly, the limit holds for this machine too.
    let limits = format!("connections_per_client = {PER_CLIENT}");
    let relay = Home::with(&graph).limits(&limits).start();
    let runtime = Handle::current();

    std::thread::scope(|scope| {
        scope.spawn(|| {
            let connect = || connect_from(&runtime, client(1), relay.address).unwrap();
            let _idle: Vec<_> = (0..PER_CLIENT).map(|_| greeted(connect())).collect();
            let mut refused = 0;
            for n in PER_CLIENT..count {
                let mut said = String::new();
                connect().read_to_string(&mut said).unwrap();
                refused += usize::from(said.starts_with("421 4.7.0 "));
                if n % each == 0 {
                    bystander(&relay);
                }
            }
            assert_eq!(refused, count - PER_CLIENT);
        });
    });

    arrived(&graph, count / each - 1).await;
    assert_bounded(&relay, &format!("{count} connections of one client"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_idle_connections_of_many_clients_pass_and_others_are_served() {
    idle_connections_of_many_clients_pass_and_others_are_served(2000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: ten thousand connections"]
async fn ten_thousand_idle_connections_of_many_clients_pass_and_others_are_served() {
    idle_connections_of_many_clients_pass_and_others_are_served(10_000).await;
}

async fn idle_connections_of_many_clients_pass_and_others_are_served(count: usize) {
    /// More than the relay allows.
    const AT_ONCE: usize = 1200;
    let graph = stand_in().await;
    let limits = "command_timeout = \"200ms\"";
    let relay = Arc::new(Home::with(&graph).limits(limits).start());
    may_open(4096);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = JoinSet::new();
    for n in 0..count {
        let (room, address) = (Arc::clone(&room), relay.address);
        clients.spawn(async move {
            let _permit = room.acquire_owned().await.unwrap();
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(client(n % 500), 0)).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            said
        });
    }

    let beside = Arc::clone(&relay);
    let served = tokio::task::spawn_blocking(move || bystander(&beside));
    served.await.unwrap();
    for said in clients.join_all().await {
        let last = ["\r\n421 4.4.2 ", "\r\n421 4.3.2 "];
        let told = said.starts_with("220 ") && last.iter().any(|last| said.contains(last));
        assert!(told || said.starts_with("421 4."), "{said}");
    }

    arrived(&graph, 1).await;
    assert_bounded(&relay, &format!("{count} idle connections of many clients"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_finds_room_where_512_connections_are_idle() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut idle = fill(&relay);

    // One more, from a client without a connection.
    bystander(&relay);

    let mut said = String::new();
    idle[0].read_to_string(&mut said).unwrap();
    assert!(said.contains("421 4.3.2 "), "{said}");
    for other in &mut idle[1..] {
        other.set_nonblocking(true).unwrap();
        let mut said = Vec::new();
        let error = other.read_to_end(&mut said).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "only the oldest goes");
    }
    arrived(&graph, 1).await;
    assert_bounded(&relay, "512 idle connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_clients_occupy_no_connection() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .listener("")
        .listener("tls = \"implicit\"\nnetworks = [\"192.0.2.0/24\"]")
        .limits("connections = 4")
        .tls(&Identity::new())
        .start();
    let addresses = relay.addresses();

    // Each stays silent, as before a handshake.
    let unwanted = (0..200).map(|_| TcpStream::connect(addresses[1]).unwrap());
    let unwanted: Vec<TcpStream> = unwanted.collect();

    bystander(&relay);
    for mut stream in unwanted {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    relay.event("session", |_| true);
    assert_eq!(relay.events("session").len(), 1, "told once a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_messages_use_bounded_room() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let head = message("half", "a@example.org");
    // Just small enough to be kept in memory.
    let filler = format!("{:0998}\r\n", 0).repeat(127 * 1024 / 1000);
    let group = format!(
        "EHLO c\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n{head}{filler}"
    );
    let mut streams = fill(&relay);
    for stream in &mut streams {
        stream.write_all(group.as_bytes()).unwrap();
    }
    wait_until_all_read(&streams);

    let finished = streams.first_mut().unwrap();
    finished.write_all(b"\r\n.\r\nQUIT\r\n").unwrap();
    let mut said = String::new();
    finished.read_to_string(&mut said).unwrap();

    assert!(said.contains("250 2.0.0 Ok: queued as "), "{said}");
    bystander(&relay);
    arrived(&graph, 2).await;
    assert_bounded(&relay, "512 half messages");
}
