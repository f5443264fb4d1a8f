//! Load balancers that pass connections on with a PROXY protocol header: which headers are
//! read and believed (`header.rs`), and that everything then has the client's address and
//! not the load balancer's (`client.rs`). Load balancers and clients written by others are in
//! `clients.rs`.

mod client;
mod clients;
mod header;

use std::io::Write;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpStream;

use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::PATIENCE;
use crate::common::Smtp;

/// In a `[[listener]]`: the test is the load balancer, and its clients are on other machines.
const BEHIND: &str = "proxy_protocol_from = [\"127.0.0.1\"]\n\
                      networks = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n";

/// A relay behind a load balancer.
fn behind(graph: &Sandbox) -> Home {
    Home::with(graph).listener(BEHIND).build()
}

/// A header of version 1.
fn version_1(client: &str) -> Vec<u8> {
    let client: IpAddr = client.parse().unwrap();
    let (family, here) = match client {
        IpAddr::V4(_) => ("TCP4", "192.0.2.1"),
        IpAddr::V6(_) => ("TCP6", "2001:db8::1"),
    };
    format!("PROXY {family} {client} {here} 40000 25\r\n").into_bytes()
}

/// A header of version 2, with this block after the length.
fn block(kind: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[kind, family][..], &length, rest].concat()
}

/// A header of version 2.
fn version_2(client: &str, fields: &[u8]) -> Vec<u8> {
    let ports = [0x9c, 0x40, 0, 25];
    match client.parse().unwrap() {
        IpAddr::V4(ip) => block(
            0x21,
            0x11,
            &[&ip.octets()[..], &[192, 0, 2, 1], &ports, fields].concat(),
        ),
        IpAddr::V6(ip) => block(
            0x21,
            0x21,
            &[&ip.octets()[..], &[0; 16], &ports, fields].concat(),
        ),
    }
}

/// A health check, as HAProxy sends it.
fn local() -> Vec<u8> {
    block(0x20, 0x00, &[])
}

/// A connection that begins with these bytes; nothing was read yet.
fn begun_with(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// A session of this client, after the greeting.
fn session(address: SocketAddr, client: &str) -> Smtp {
    let mut smtp = Smtp::over(begun_with(address, &version_1(client)));
    let greeting = smtp.reply();
    assert!(greeting.starts_with("220 "), "{greeting}");
    smtp
}
