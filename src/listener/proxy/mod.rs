//! Load balancers and other proxies that pass connections on with a PROXY protocol header,
//! and the difference between the other end of a connection and the client.
//!
//! Promises: a header is believed only from the networks in `proxy_protocol_from` of the
//! listener, and there no connection begins without one. The address of a [`Peer`] serves
//! for this decision and for nothing else: limits, rights, the log and the message have the
//! address of a [`Visitor`], which only this file makes. No byte after the header is read.
//!
//! `header.rs` reads the header, `unexpected.rs` recognises one that nobody asked for.

mod header;
#[cfg(any(test, fuzzing))]
pub mod oracle;
pub(super) mod unexpected;

use std::net::IpAddr;
use std::net::Ipv4Addr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use self::header::Header;
pub(super) use self::header::Malformed;
use self::header::Progress;
use crate::config::Listener;
use crate::mail::Client;

/// The other end of a connection, which may be a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(IpAddr);

/// A proxy whose header is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proxy(IpAddr);

/// Whom a session is with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    client: IpAddr,
    through: Through,
}

/// The way of a connection.
#[derive(Clone, Copy, Debug)]
enum Through {
    /// The client has connected itself.
    Nothing,
    /// A proxy has passed it on.
    Proxy(Proxy),
    /// A proxy has opened it for itself, usually for a health check.
    Own(Proxy),
}

/// What is expected first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// The dialog of this client.
    Dialog(Visitor),
    /// The header of this proxy.
    Header(Proxy),
}

/// Why a connection from a proxy has no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoClient {
    /// It was closed before its first byte, as by a check whether the port is open.
    #[error("the connection was closed without a byte")]
    Silent,
    #[error("the connection was closed within its PROXY protocol header")]
    CutOff,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Peer {
    /// IPv4 addresses that came through an IPv6 socket count as IPv4.
    pub(super) fn at(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// What a listener expects of a connection from here.
    pub(super) fn expected_by(self, listener: &Listener) -> Expected {
        if listener.expects_header_from(self.0) {
            Expected::Header(Proxy(self.0))
        } else {
            Expected::Dialog(Visitor {
                client: self.0,
                through: Through::Nothing,
            })
        }
    }
}

impl Proxy {
    /// Its own address: not the address of a client.
    pub(super) fn address(self) -> IpAddr {
        self.0
    }

    /// How its connections are counted before the header has come.
    pub(super) fn counted(self) -> Client {
        Client::at(self.0)
    }

    /// Reads its header, and nothing after it. The caller ends the wait.
    pub(super) async fn visitor(self, stream: &mut TcpStream) -> Result<Visitor, NoClient> {
        let mut bytes = Vec::new();
        loop {
            let more = match header::read(&bytes)? {
                Progress::Whole(header) => return Ok(self.introduces(header)),
                Progress::More(more) => more,
            };
            let came = bytes.len();
            bytes.resize(came + more, 0);
            let free = bytes.get_mut(came..).unwrap_or_default();
            let length = stream.read(free).await.unwrap_or(0);
            if length == 0 {
                return Err(match came {
                    0 => NoClient::Silent,
                    _ => NoClient::CutOff,
                });
            }
            bytes.truncate(came + length);
        }
    }

    fn introduces(self, header: Header) -> Visitor {
        match header {
            // On the proxy's machine, so to the relay it has the proxy's address. The rights of
            // this machine belong to clients behind it only if the proxy is here, too.
            Header::Client(client) if client.is_loopback() && !self.0.is_loopback() => {
                self.itself()
            }
            // A health check that is sent like the connection of a client.
            Header::Client(client) if client == self.0 => self.itself(),
            Header::Client(client) => Visitor {
                client,
                through: Through::Proxy(self),
            },
            Header::Own => self.itself(),
        }
    }

    fn itself(self) -> Visitor {
        Visitor {
            client: self.0,
            through: Through::Own(self),
        }
    }
}

impl Visitor {
    /// This machine itself.
    pub(super) fn here() -> Self {
        Self {
            client: Ipv4Addr::LOCALHOST.into(),
            through: Through::Nothing,
        }
    }

    /// Whom limits, rights, the log and the message mean.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    /// The proxy that has passed the connection on.
    pub(super) fn proxy(&self) -> Option<IpAddr> {
        match self.through {
            Through::Nothing => None,
            Through::Proxy(proxy) | Through::Own(proxy) => Some(proxy.0),
        }
    }

    /// Whether a listener lets the connection begin, or go on. A proxy may always look
    /// whether the relay answers.
    pub(super) fn is_admitted_by(&self, listener: &Listener) -> bool {
        match self.through {
            Through::Nothing => {
                listener.admits(self.client) && !listener.expects_header_from(self.client)
            }
            Through::Proxy(proxy) => {
                listener.admits(self.client) && listener.expects_header_from(proxy.0)
            }
            Through::Own(proxy) => listener.expects_header_from(proxy.0),
        }
    }

    /// Whether the listener accepts mail from it.
    pub(super) fn may_send_to(&self, listener: &Listener) -> bool {
        listener.admits(self.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(proxy: &str, header: Header) -> Visitor {
        Proxy(proxy.parse().unwrap()).introduces(header)
    }

    fn client(address: &str) -> Header {
        Header::Client(address.parse().unwrap())
    }

    #[test]
    fn a_client_on_the_machine_of_a_proxy_is_not_on_this_one() {
        for (proxy, header, expected) in [
            ("192.0.2.5", client("192.0.2.7"), "192.0.2.7"),
            ("192.0.2.5", client("127.0.0.1"), "192.0.2.5"),
            ("192.0.2.5", client("::1"), "192.0.2.5"),
            ("192.0.2.5", Header::Own, "192.0.2.5"),
            ("127.0.0.1", client("192.0.2.7"), "192.0.2.7"),
            ("127.0.0.1", client("127.0.0.2"), "127.0.0.2"),
            ("127.0.0.1", Header::Own, "127.0.0.1"),
        ] {
            let visitor = visitor(proxy, header);
            assert_eq!(visitor.client().to_string(), expected, "{proxy} {header:?}");
            assert_eq!(visitor.proxy().unwrap().to_string(), proxy);
        }
    }
}
