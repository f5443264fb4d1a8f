//! Which client a request comes from: the one of its connection, or the one that a proxy of
//! `[admin] proxies` names. Nobody else's field counts, so that no client can pass for
//! another one.

pub(super) mod proxy;

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use axum::http::HeaderMap;
use axum::http::HeaderName;
use ipnet::IpNet;

/// The addresses from which a request came, of which each proxy adds the one that it saw.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether an address belongs to a proxy.
pub(in crate::page) fn is_proxy(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// The client of a request on a connection from `peer`.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let fields = headers.get_all(FORWARDED).iter();
    let fields = fields.map(|field| field.to_str().unwrap_or_default());
    let named: Vec<&str> = fields.flat_map(|field| field.split(',')).collect();
    let mut client = peer.to_canonical();
    // What stands before the address of a client was sent by that client.
    for named in named.into_iter().rev() {
        if !is_proxy(client, proxies) {
            break;
        }
        let Some(before) = address(named.trim()) else {
            break;
        };
        client = before.to_canonical();
    }
    client
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
    bare.parse().ok().or_else(with_port)
}

/// Addresses that count as one client: one customer gets a /64 of IPv6 addresses.
pub(in crate::page) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, fields: &[&str]) -> String {
        let proxies = [
            "127.0.0.1/32".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FORWARDED, field.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_proxy() {
        for (fields, expected) in [
            (&[][..], "127.0.0.1"),
            (&["192.0.2.7"], "192.0.2.7"),
            (&["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            (&["198.51.100.1, 192.0.2.7, 10.1.1.1"], "192.0.2.7"),
            (&["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7:4711"], "192.0.2.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["10.1.1.1"], "10.1.1.1"),
            (&["198.51.100.1, unknown"], "127.0.0.1"),
            (&["198.51.100.1, "], "127.0.0.1"),
        ] {
            assert_eq!(seen("127.0.0.1", fields), expected, "{fields:?}");
            assert_eq!(seen("::ffff:127.0.0.1", fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn nobody_but_a_proxy_can_name_a_client() {
        assert_eq!(seen("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(seen("127.0.0.2", &["198.51.100.1"]), "127.0.0.2");
    }
}
