//! The client that a connection is counted for.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;

/// A client of the relay, as limits and log messages count it: an IPv4 address, or the
/// /64 of an IPv6 address, because one machine can use every address of its /64 (RFC 4291
/// 2.5.4, RFC 8981).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// The client at an address. IPv4 addresses that came through an IPv6 socket
    /// count as IPv4.
    pub fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_loopback() => {
                let network = v6.to_bits() & PREFIX;
                Self(Ipv6Addr::from_bits(network).into())
            }
            other @ (IpAddr::V4(_) | IpAddr::V6(_)) => Self(other),
        }
    }

    /// Whether it is this machine.
    pub fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

/// The first 64 bits of an IPv6 address.
const PREFIX: u128 = !(u64::MAX as u128);

/// An address, or a network like `2001:db8::/64`.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(v6) if !v6.is_loopback() => write!(f, "{v6}/64"),
            IpAddr::V4(_) | IpAddr::V6(_) => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: &str) -> String {
        Client::at(address.parse().unwrap()).to_string()
    }

    #[test]
    fn an_ipv6_64_and_an_ipv4_address_are_one_client_each() {
        assert_eq!(shown("2001:db8::1"), "2001:db8::/64");
        assert_eq!(shown("2001:db8::ffff:ffff:ffff:ffff"), "2001:db8::/64");
        assert_eq!(shown("2001:db8:0:1::1"), "2001:db8:0:1::/64");
        assert_eq!(shown("192.0.2.7"), "192.0.2.7");
        assert_eq!(shown("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(shown("::1"), "::1");
    }

    #[test]
    fn this_machine_is_loopback_by_either_protocol() {
        for (address, is_loopback) in [
            ("127.0.0.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("::2", false),
            ("192.0.2.7", false),
        ] {
            let client = Client::at(address.parse().unwrap());
            assert_eq!(client.is_loopback(), is_loopback, "{address}");
        }
    }
}
