//! Connections to the last byte: from an address of the test's choice (all of
//! 127.0.0.0/8 is this machine), and cut into segments where a test wants it.

use std::fs;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Instant;

use tokio::net::TcpSocket;
use tokio::runtime::Handle;

use super::MAILBOX;
use super::PATIENCE;
use super::Relay;
use super::Smtp;

/// Connects from that address; reading waits for [`PATIENCE`] at most. Not to
/// be called within a task.
pub fn connect_from(runtime: &Handle, from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
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

/// A connection within a transaction for that recipient.
pub fn in_transaction(relay: &Relay, to: &str) -> Smtp {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect(&format!("RCPT TO:<{to}>"), "250");
    smtp
}

/// A connection within DATA of a message to that recipient.
pub fn in_data(relay: &Relay, to: &str) -> Smtp {
    let mut smtp = in_transaction(relay, to);
    smtp.expect("DATA", "354");
    smtp
}

/// Waits until the other end, a process of this machine, has read everything:
/// what is written next cannot come together with it.
pub fn wait_until_read(stream: &TcpStream) {
    let (ours, theirs) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let deadline = Instant::now() + PATIENCE;
    while queues(ours, theirs).0 > 0 || queues(theirs, ours).1 > 0 {
        assert!(Instant::now() < deadline, "it is not read");
        std::thread::yield_now();
    }
}

/// Bytes in a socket's queues: sent and not acknowledged, received and not
/// read.
fn queues(local: SocketAddr, remote: SocketAddr) -> (u64, u64) {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let (local, remote) = (hexadecimal(local), hexadecimal(remote));
    for line in table.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if columns[1] == local && columns[2] == remote {
            let (sent, received) = columns[4].split_once(':').unwrap();
            let bytes = |text| u64::from_str_radix(text, 16).unwrap();
            return (bytes(sent), bytes(received));
        }
    }
    (0, 0)
}

/// An address as /proc/net/tcp writes it.
fn hexadecimal(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else {
        panic!("{address} is not IPv4")
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}
