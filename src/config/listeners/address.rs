//! The key `address` of `[[listener]]`: an IP address with a port, or the name of a socket
//! that systemd opens and passes to the relay.
//!
//! Which addresses such a socket has is in its unit, so nothing here relies on it: the
//! listener's networks alone decide who may send.

use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::str::FromStr;

/// Where a listener accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// The relay opens it. Port 0 takes a free one.
    Socket(SocketAddr),
    /// systemd opens it: all sockets with this `FileDescriptorName`.
    Systemd(String),
}

/// What stands before the name.
const SYSTEMD: &str = "systemd:";

impl ListenAddress {
    /// Returns the address, where the relay opens the socket.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(address) => Some(*address),
            Self::Systemd(_) => None,
        }
    }

    /// Whether it is certain that other machines cannot reach it.
    pub fn is_loopback(&self) -> bool {
        self.socket().is_some_and(|it| it.ip().is_loopback())
    }

    /// Whether the relay cannot listen on both: a socket for any address also receives what
    /// is for a single one, and one for any IPv6 address receives IPv4 too.
    pub(in crate::config) fn excludes(&self, other: &Self) -> bool {
        let (one, other) = match (self, other) {
            (Self::Socket(one), Self::Socket(other)) => (one, other),
            (Self::Systemd(one), Self::Systemd(other)) => return one == other,
            (Self::Socket(_), Self::Systemd(_)) | (Self::Systemd(_), Self::Socket(_)) => {
                return false;
            }
        };
        let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
        let covers =
            |one: IpAddr, other: IpAddr| one.is_unspecified() && (one.is_ipv6() || other.is_ipv4());
        // Link-local addresses of two interfaces may be alike.
        let is_same = one == other || (ip.is_ipv4() && ip == other_ip);
        one.port() == other.port()
            && one.port() != 0
            && (is_same || covers(ip, other_ip) || covers(other_ip, ip))
    }

    /// Returns the port that the socket unit of this name has as it is installed.
    pub fn usual_port(&self) -> Option<u16> {
        match self {
            Self::Socket(address) => Some(address.port()),
            Self::Systemd(name) => match name.as_str() {
                "smtp" => Some(25),
                "submissions" => Some(465),
                "submission" => Some(587),
                _ => None,
            },
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix(SYSTEMD) {
            // systemd.socket(5), FileDescriptorName.
            let is_name = |c: char| c.is_ascii_graphic() && c != ':';
            return match (1..=255).contains(&name.len()) && name.chars().all(is_name) {
                true => Ok(Self::Systemd(name.to_owned())),
                false => Err(format!(
                    "{text:?} does not name a socket: write it like \"systemd:smtp\", with the \
                     FileDescriptorName of the socket unit"
                )),
            };
        }
        text.parse().map(Self::Socket).map_err(|_| {
            format!(
                "{text:?} is not an IP address with a port: write it like \"127.0.0.1:2525\" or \
                 \"[::1]:2525\"; or like \"systemd:smtp\" for a socket that systemd opens"
            )
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Systemd(name) => write!(f, "{SYSTEMD}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_exclude_each_other_as_in_the_kernel() {
        let address = |text: &str| ListenAddress::from_str(text).unwrap();
        for (one, other, expected) in [
            ("127.0.0.1:25", "127.0.0.1:25", true),
            ("127.0.0.1:25", "127.0.0.2:25", false),
            ("127.0.0.1:25", "127.0.0.1:587", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("0.0.0.0:25", "127.0.0.1:25", true),
            ("0.0.0.0:25", "[::1]:25", false),
            ("[::]:25", "[::1]:25", true),
            ("[::]:25", "127.0.0.1:25", true),
            ("[::]:25", "0.0.0.0:25", true),
            ("[::ffff:127.0.0.1]:25", "127.0.0.1:25", true),
            ("[fe80::1%2]:25", "[fe80::1%3]:25", false),
            ("systemd:smtp", "systemd:smtp", true),
            ("systemd:smtp", "systemd:submission", false),
            ("systemd:smtp", "0.0.0.0:25", false),
        ] {
            let (one, other) = (address(one), address(other));

            assert_eq!(one.excludes(&other), expected, "{one} {other}");
            assert_eq!(other.excludes(&one), expected, "{other} {one}");
        }
    }
}
