//! Connections at the level of bytes: from any address of 127.0.0.0/8, and split into
//! segments where a test needs it.

use std::collections::HashSet;
use std::fs;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use tokio::net::TcpSocket;
use tokio::runtime::Handle;

use super::MAILBOX;
use super::PATIENCE;
use super::Relay;
use super::Smtp;

/// Connects from this address; reads wait for at most [`PATIENCE`]. Must not be called
/// within a task.
pub(crate) fn connect_from(
    runtime: &Handle,
    from: IpAddr,
    to: SocketAddr,
) -> std::io::Result<TcpStream> {
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(to).await
    })?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection with an open transaction to this recipient.
pub(crate) fn in_transaction(relay: &Relay, to: &str) -> Smtp {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect(&format!("RCPT TO:<{to}>"), "250");
    smtp
}

/// A connection in the DATA of a message to this recipient.
pub(crate) fn in_data(relay: &Relay, to: &str) -> Smtp {
    let mut smtp = in_transaction(relay, to);
    smtp.expect("DATA", "354");
    smtp
}

/// Waits until the other end, a process of this machine, has read everything, so that the
/// next write arrives separately.
pub(crate) fn wait_until_read(stream: &TcpStream) {
    wait_until_all_read(std::slice::from_ref(stream));
}

/// The same for many connections.
pub(crate) fn wait_until_all_read(streams: &[TcpStream]) {
    // A connection that the other end has reset is not listed, and has nothing to read.
    let ends = |stream: &TcpStream| {
        let (ours, theirs) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
        Some((hexadecimal(ours), hexadecimal(theirs)))
    };
    let ours: HashSet<(String, String)> = streams.iter().filter_map(ends).collect();
    let deadline = Instant::now() + PATIENCE;
    while any_unread(&ours) {
        assert!(Instant::now() < deadline, "it is not read");
        // The table is shared by all tests: reading it without a pause keeps a core busy.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Whether data is queued between these ends: sent by us and not acknowledged, or
/// received by the other end and not read.
fn any_unread(ours: &HashSet<(String, String)>) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (sent, received) = columns[4].split_once(':').unwrap();
        let of = |here: usize, there: usize| {
            ours.contains(&(columns[here].to_owned(), columns[there].to_owned()))
        };
        let empty = |queue: &str| queue.bytes().all(|digit| digit == b'0');
        (!empty(sent) && of(1, 2)) || (!empty(received) && of(2, 1))
    })
}

/// An address in the notation of /proc/net/tcp.
fn hexadecimal(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else {
        panic!("{address} is not IPv4")
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}
