//! Where the relay is.
//!
//! Whoever sends mail on this machine may not be allowed to read relay.toml. So the places
//! are, in this order: the option `--relay` or its environment variable; the listeners of
//! relay.toml, where this user may read it; the relay's default address.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::lookup_host;

use crate::config::Config;
use crate::config::ListenAddress;
use crate::config::Listener;

/// Of [`Listener::defaults`].
const DEFAULT_PORT: u16 = 2525;

/// The addresses to try, one after the other.
pub(in crate::cli) async fn places(
    relay: Option<&str>,
    config: &Path,
) -> std::io::Result<Vec<SocketAddr>> {
    if let Some(relay) = relay.filter(|it| !it.is_empty()) {
        return named(relay).await;
    }
    let open = open(&Config::listeners_of(config).unwrap_or_default());
    Ok(match open.is_empty() {
        true => open_by_default(),
        false => open,
    })
}

/// A name or an address, with a port or without.
async fn named(relay: &str) -> std::io::Result<Vec<SocketAddr>> {
    let ip = relay.trim_matches(['[', ']']).parse::<IpAddr>();
    let with_port = relay
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(match ip {
        Ok(ip) => vec![SocketAddr::new(ip, DEFAULT_PORT)],
        Err(_) if with_port => lookup_host(relay).await?.collect(),
        Err(_) => lookup_host((relay, DEFAULT_PORT)).await?.collect(),
    })
}

fn open_by_default() -> Vec<SocketAddr> {
    open(&Listener::defaults())
}

/// Those that take mail from this machine without TLS and without a password.
fn open(listeners: &[Listener]) -> Vec<SocketAddr> {
    let reached = listeners.iter().flat_map(|listener| {
        let is_open = |ip: &IpAddr| listener.is_open_to(*ip);
        let port = listener.address.usual_port().unwrap_or(0);
        let open = ips(&listener.address).into_iter().filter(is_open);
        let open: Vec<_> = open.map(|ip| SocketAddr::new(ip, port)).collect();
        open
    });
    reached.filter(|address| address.port() != 0).collect()
}

/// Where this machine reaches a listener. The kernel gives a connection to an address of
/// this machine that very address.
fn ips(address: &ListenAddress) -> Vec<IpAddr> {
    let here = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
    match address {
        ListenAddress::Socket(address) => vec![match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => here.0,
            IpAddr::V6(ip) if ip.is_unspecified() => here.1,
            IpAddr::V4(_) | IpAddr::V6(_) => address.ip(),
        }],
        ListenAddress::Systemd(_) => vec![here.0, here.1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a configuration whose secret this user may not read.
    async fn of(listeners: &str) -> Vec<String> {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("relay.toml");
        let account = "[[account]]\nclient_secret_file = \"/no/such/secret\"\n";
        std::fs::write(&path, format!("{listeners}{account}")).unwrap();
        let places = places(None, &path).await.unwrap();
        places.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn the_default_is_a_relay_on_this_machine() {
        let places: Vec<_> = open_by_default()
            .iter()
            .map(SocketAddr::to_string)
            .collect();
        assert_eq!(places, ["127.0.0.1:2525", "[::1]:2525"]);
    }

    #[tokio::test]
    async fn the_port_of_a_relay_that_is_named_may_be_left_out() {
        for (relay, expected) in [
            ("192.0.2.1:25", "192.0.2.1:25"),
            ("192.0.2.1", "192.0.2.1:2525"),
            ("[::1]:25", "[::1]:25"),
            ("[::1]", "[::1]:2525"),
            ("::1", "[::1]:2525"),
        ] {
            let places = places(Some(relay), Path::new("/no/such/relay.toml")).await;
            assert_eq!(places.unwrap(), [expected.parse().unwrap()], "{relay}");
        }
    }

    #[tokio::test]
    async fn a_configuration_that_cannot_be_read_leaves_the_default() {
        let places = places(None, Path::new("/no/such/relay.toml"))
            .await
            .unwrap();
        assert_eq!(places, open_by_default());
    }

    #[tokio::test]
    async fn only_listeners_that_take_mail_from_this_machine_count() {
        let sections = "[[listener]]\naddress = \"192.0.2.1:25\"\nnetworks = [\"192.0.2.7\"]\n\
            [[listener]]\naddress = \"0.0.0.0:25\"\nnetworks = [\"127.0.0.0/8\", \"192.0.2.0/24\"]\n\
            [[listener]]\naddress = \"127.0.0.1:465\"\ntls = \"implicit\"\n\
            [[listener]]\naddress = \"127.0.0.1:587\"\nauthentication = \"required\"\n\
            [[listener]]\naddress = \"192.0.2.2:25\"\nnetworks = [\"192.0.2.0/24\"]\n";
        assert_eq!(of(sections).await, ["127.0.0.1:25", "192.0.2.2:25"]);
    }

    #[tokio::test]
    async fn sockets_of_systemd_are_at_the_port_of_their_unit() {
        let sections = "[[listener]]\naddress = \"systemd:smtp\"\n\
            [[listener]]\naddress = \"systemd:submissions\"\ntls = \"implicit\"\n\
            [[listener]]\naddress = \"systemd:own\"\n";
        assert_eq!(of(sections).await, ["127.0.0.1:25", "[::1]:25"]);
    }
}
