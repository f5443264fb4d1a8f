//! Networks as other products write them, in the form of the relay.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use ipnet::Ipv4Net;

/// The largest network that the relay lets send without a password.
const SHORTEST_V4: u8 = 8;
/// A network or an address, with brackets or without.
pub(super) fn network(item: &str) -> Option<IpNet> {
    let plain: String = item.chars().filter(|c| !['[', ']'].contains(c)).collect();
    let address = || plain.parse::<IpAddr>().map(IpNet::from);
    plain.parse().or_else(|_| address()).map(canonical).ok()
}

/// This machine.
pub(super) fn loopback() -> Vec<IpNet> {
    ["127.0.0.0/8", "::1/128"]
        .iter()
        .filter_map(|it| it.parse().ok())
        .collect()
}

/// Every machine, for listeners where a password is required.
pub(super) fn everywhere() -> Vec<IpNet> {
    ["0.0.0.0/0", "::/0"]
        .iter()
        .filter_map(|it| it.parse().ok())
        .collect()
}

/// Whether all of a list is this machine.
pub(super) fn is_here(networks: &[IpNet]) -> bool {
    networks
        .iter()
        .all(|it| it.network().is_loopback() && it.broadcast().is_loopback())
}

/// IPv4 networks in their IPv6 form match nobody in the relay.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network.trunc() else {
        return network.trunc();
    };
    let mapped = v6.network().to_ipv4_mapped();
    let mapped = mapped.zip(v6.prefix_len().checked_sub(96));
    let v4 = mapped.and_then(|(ip, length): (Ipv4Addr, u8)| Ipv4Net::new(ip, length).ok());
    v4.map_or(IpNet::V6(v6), IpNet::V4)
}

/// Whether a network is so large that the relay lets nobody in it send without a password.
pub(super) fn is_everybody(network: &IpNet) -> bool {
    match network {
        IpNet::V4(v4) => v4.prefix_len() < SHORTEST_V4,
        IpNet::V6(v6) => v6.prefix_len() == 0,
    }
}
