//! The keys of `[[listener]]`, and promise 6: no listener that passes these checks is an open
//! relay.
//!
//! | who can reach it | what it needs |
//! |---|---|
//! | this machine only | nothing |
//! | the machines of a list | `networks`; also with `authentication = "any"` |
//! | everybody | TLS, and `authentication = "required"` |

pub(super) mod address;
pub(super) mod pickup;
pub(super) mod received;
pub(super) mod tls;
pub(super) mod users;

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Authentication;
use super::ListenAddress;
use super::Listener;
use super::Presence;
use super::Tls;
use super::Tolerance;
use super::User;
use super::aliases;
use super::reader::Marked;
use super::reader::Section;
use crate::credentials::CertificateFiles;
use crate::mail::Surroundings;

/// The lines of a drop-in that let the service use ports below 1024; with fewer of them the
/// kernel still refuses.
pub const PRIVILEGED_PORTS: [&str; 4] = [
    "[Service]",
    "AmbientCapabilities=CAP_NET_BIND_SERVICE",
    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
    "PrivateUsers=no",
];

impl Listener {
    /// Whether it is certain that only clients on this machine reach it.
    pub fn is_local(&self) -> bool {
        self.address.is_loopback() && self.proxy_protocol_from.is_empty()
    }

    /// Whether a client at this address may send mail without TLS, a password or a proxy.
    pub fn is_open_to(&self, client: IpAddr) -> bool {
        matches!(self.tls, Tls::Off | Tls::Starttls | Tls::Auto)
            && self.admits(client)
            && self.admits_anonymous(client)
            && !self.expects_header_from(client)
    }

    /// The listeners of a configuration without any.
    pub fn defaults() -> Vec<Self> {
        let on = |ip: IpAddr, presence| Self {
            address: ListenAddress::Socket(SocketAddr::new(ip, 2525)),
            tls: Tls::Off,
            authentication: Authentication::Off,
            anonymous_networks: Vec::new(),
            networks: loopback(),
            proxy_protocol_from: Vec::new(),
            bare_lf: Tolerance::Normalise,
            bare_cr: Tolerance::Normalise,
            nul: Tolerance::Normalise,
            recipients: Arc::default(),
            presence,
            place: None,
        };
        vec![
            on(Ipv4Addr::LOCALHOST.into(), Presence::Required),
            on(Ipv6Addr::LOCALHOST.into(), Presence::WhereAvailable),
        ]
    }

    /// The same for a configuration with these users, who may log in.
    fn for_users(self, users: &[User]) -> Self {
        let authentication = match users.is_empty() {
            true => Authentication::Off,
            false => Authentication::Optional,
        };
        Self {
            authentication,
            ..self
        }
    }
}

pub(super) fn read(
    top: &mut Section<'_>,
    files: Option<&CertificateFiles>,
    users: &[User],
    surroundings: &Surroundings,
) -> Vec<Listener> {
    let sections = top.tables("listener");
    let listeners: Vec<Listener> = if sections.is_empty() {
        let defaults = Listener::defaults().into_iter();
        defaults.map(|it| it.for_users(users)).collect()
    } else {
        let read = sections.into_iter().filter_map(|section| {
            let mut section = section;
            let listener = listener(&mut section, files, users, surroundings);
            section.finish();
            listener
        });
        read.collect()
    };
    for (at, one) in listeners.iter().enumerate() {
        let mut before = listeners.iter().take(at);
        if let Some(other) = before.find(|other| one.address.excludes(&other.address)) {
            let (one, other, place) = (&one.address, &other.address, one.place.clone());
            let message = match one {
                ListenAddress::Systemd(_) => {
                    format!("address: two [[listener]] name {one}: keep only one of them")
                }
                ListenAddress::Socket(_) => format!(
                    "address: {other} and {one} cannot be used at the same time: keep only one of \
                     them (0.0.0.0 includes every IPv4 address, [::] every address)"
                ),
            };
            top.problem_at_place(place, message);
        }
    }
    let nobody_authenticates = |listener: &Listener| {
        matches!(
            listener.authentication,
            Authentication::Off | Authentication::Any
        )
    };
    if !users.is_empty() && listeners.iter().all(nobody_authenticates) {
        top.problem_of(
            "user",
            "no [[listener]] lets a [[user]] authenticate: set authentication = \"required\" or \
             \"optional\" in one",
        );
    }
    listeners
}

fn listener(
    section: &mut Section<'_>,
    files: Option<&CertificateFiles>,
    users: &[User],
    surroundings: &Surroundings,
) -> Option<Listener> {
    let address = address(section);
    let tls = section.marked::<Tls>("tls");
    if let Some(tls) = &tls
        && tls.value != Tls::Off
        && files.is_none()
    {
        let message = "tls: this needs a certificate: set certificate_file and private_key_file in \
                       [tls]";
        section.problem_at(&tls.span, message);
    }
    let authentication = authentication(section, users);
    let anonymous = networks_of(section, "anonymous_networks");
    let networks = networks_of(section, "networks");
    let proxies = networks_of(section, "proxy_protocol_from");
    let bare_lf = section.or("bare_lf", Tolerance::Normalise);
    // The administrator controls the applications on this machine. From anywhere else, such
    // bytes are more likely an attack on the readers of the message. The addresses of a socket
    // that systemd opens are not known here.
    let is_local = |marked: &Marked<ListenAddress>| match &marked.value {
        // A proxy passes on what comes from anywhere.
        _ if proxies.is_some() => false,
        ListenAddress::Socket(address) => address.ip().is_loopback(),
        ListenAddress::Systemd(_) => networks.as_ref().is_none_or(|it| is_loopback(&it.value)),
    };
    let strictness = match address.as_ref().is_none_or(is_local) {
        true => Tolerance::Normalise,
        false => Tolerance::Refuse,
    };
    let bare_cr = section.or("bare_cr", strictness);
    let nul = section.or("nul", strictness);
    let recipients = aliases::policy(section, |it| surroundings.reaches(it).is_ok());
    let listener = Listener {
        place: address.as_ref().map(|marked| section.place(&marked.span)),
        address: address
            .as_ref()
            .map_or_else(unspecified, |marked| marked.value.clone()),
        tls: tls.map_or(Tls::Off, |marked| marked.value),
        authentication: authentication.map_or(Authentication::Off, |marked| marked.value),
        anonymous_networks: anonymous
            .as_ref()
            .map_or_else(Vec::new, |marked| marked.value.clone()),
        networks: networks
            .as_ref()
            .map_or_else(loopback, |marked| marked.value.clone()),
        proxy_protocol_from: proxies
            .as_ref()
            .map_or_else(Vec::new, |marked| marked.value.clone()),
        bare_lf,
        bare_cr,
        nul,
        recipients: Arc::new(recipients),
        presence: Presence::Required,
    };
    refuse_open_relay(
        section,
        &listener,
        address.as_ref(),
        networks.as_ref(),
        anonymous.as_ref(),
    );
    if let Some(proxies) = &proxies {
        refuse_forged_clients(section, &listener, proxies);
    }
    address.map(|_| listener)
}

/// Reads whether clients authenticate, and adds problems.
fn authentication(section: &mut Section<'_>, users: &[User]) -> Option<Marked<Authentication>> {
    let authentication = section.marked::<Authentication>("authentication")?;
    match authentication.value {
        Authentication::Optional | Authentication::Required if users.is_empty() => {
            let message = "authentication: nobody could authenticate, because there is no [[user]]: \
                           add one with name, password_hash and senders";
            section.problem_at(&authentication.span, message);
        }
        Authentication::Any if !section.has("networks") => {
            let message = "authentication: \"any\" accepts every name and password, so networks alone \
                           decides who may send: name the machines, like networks = \
                           [\"192.0.2.17\"]";
            section.problem_at(&authentication.span, message);
        }
        Authentication::Off
        | Authentication::Any
        | Authentication::Optional
        | Authentication::Required => {}
    }
    Some(authentication)
}

/// A list of networks; a bare address is a network of one machine.
pub(super) fn networks_of(
    section: &mut Section<'_>,
    key: &'static str,
) -> Option<Marked<Vec<IpNet>>> {
    let written = section.marked::<Vec<String>>(key)?;
    let (texts, span) = (written.value, written.span);
    let mut networks = Vec::new();
    for text in &texts {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        match text.parse::<IpNet>().or_else(|_| address()) {
            Ok(network) => networks.push(network),
            Err(_) => {
                let message = format!(
                    "{key}: {text:?} is not a network: write it like \"192.0.2.0/24\", or one \
                     machine like \"192.0.2.17\""
                );
                section.problem_at(&span, message);
            }
        }
    }
    let is_whole = networks.len() == texts.len();
    is_whole.then_some(Marked {
        value: networks,
        span,
    })
}

fn address(section: &mut Section<'_>) -> Option<Marked<ListenAddress>> {
    let written = section.required::<String>("address")?;
    match written.value.parse::<ListenAddress>() {
        Ok(address) => Some(written.map(|_| address)),
        Err(why) => {
            section.problem_at(&written.span, format!("address: {why}"));
            None
        }
    }
}

/// Checks a listener against the table in the module's doc.
fn refuse_open_relay(
    section: &Section<'_>,
    listener: &Listener,
    address: Option<&Marked<ListenAddress>>,
    networks: Option<&Marked<Vec<IpNet>>>,
    anonymous: Option<&Marked<Vec<IpNet>>>,
) {
    // Through a socket of systemd's only this machine may send, unless networks says more.
    if let Some(address) = address
        && address
            .value
            .socket()
            .is_some_and(|it| !it.ip().is_loopback())
        && !section.has("networks")
    {
        let message = format!(
            "other machines can reach the listener {}: name those that may send, like networks = \
             [\"192.0.2.0/24\"], or listen on 127.0.0.1",
            address.value
        );
        section.problem_at(&address.span, message);
    }
    let both = [networks, anonymous];
    if both.iter().flatten().any(|list| is_mapped(&list.value)) {
        section.problem("networks: write IPv4 networks in IPv4 form, like \"192.0.2.0/24\"");
    }
    let guarded = listener.tls != Tls::Off && listener.authentication == Authentication::Required;
    if let Some(networks) = networks
        && is_everybody(&networks.value)
        && !guarded
    {
        let message = "networks: everybody could send through this listener: name only the networks \
                       that may send, or set tls = \"starttls-required\" and authentication = \
                       \"required\"";
        section.problem_at(&networks.span, message);
    }
    if let Some(anonymous) = anonymous {
        if is_everybody(&anonymous.value) {
            let message = "anonymous_networks: everybody could send through this listener: name \
                           the machines that may send without authentication";
            section.problem_at(&anonymous.span, message);
        }
        if listener.authentication != Authentication::Required {
            let message = "anonymous_networks works only together with authentication = \"required\"; \
                           without that, networks decides who may send";
            section.problem_at(&anonymous.span, message);
        }
    }
}

/// Checks who may say by a header who the client is.
fn refuse_forged_clients(section: &Section<'_>, listener: &Listener, proxies: &Marked<Vec<IpNet>>) {
    if !section.has("networks") {
        let message = "proxy_protocol_from: clients on other machines connect through the load \
                       balancer: name those that may send, like networks = [\"192.0.2.0/24\"]";
        section.problem_at(&proxies.span, message);
    }
    if is_mapped(&proxies.value) {
        let message =
            "proxy_protocol_from: write IPv4 networks in IPv4 form, like \"192.0.2.0/24\"";
        section.problem_at(&proxies.span, message);
    }
    if !is_everybody(&proxies.value) {
        return;
    }
    let is_guarded = listener.tls != Tls::Off
        && listener.authentication == Authentication::Required
        && listener.anonymous_networks.is_empty();
    if is_guarded {
        let message = "proxy_protocol_from: everybody who reaches this listener can claim to be any \
                       client, so networks, limits and the log cannot be relied on: name only the \
                       load balancers, like proxy_protocol_from = [\"192.0.2.5\"]";
        section.warning_at(&proxies.span, message);
    } else {
        let message = "proxy_protocol_from: everybody could claim to be a client that may send: name \
                       only the load balancers, like proxy_protocol_from = [\"192.0.2.5\"]";
        section.problem_at(&proxies.span, message);
    }
}

/// Whether a list contains much of the internet, in however many pieces.
pub(super) fn is_everybody(networks: &[IpNet]) -> bool {
    let networks: Vec<IpNet> = networks.to_vec();
    IpNet::aggregate(&networks).iter().any(|network| {
        let most = match network {
            // The largest private network is 10.0.0.0/8 (RFC 1918).
            IpNet::V4(_) => 8,
            // fc00::/7 and fe80::/10 never come from the internet (RFC 4193, RFC 4291).
            IpNet::V6(v6) if v6.network().is_unique_local() => 7,
            IpNet::V6(v6) if v6.network().is_unicast_link_local() => 10,
            // A site gets a /48, a provider a /32 or a little more.
            IpNet::V6(_) => 24,
        };
        network.prefix_len() < most
    })
}

/// Whether a list has IPv4 networks in IPv6 form, which match nobody: the relay compares
/// clients in IPv4 form.
fn is_mapped(networks: &[IpNet]) -> bool {
    networks.iter().any(|network| match network {
        IpNet::V4(_) => false,
        IpNet::V6(v6) => v6.network().to_ipv4_mapped().is_some(),
    })
}

/// Replaces an address that was refused.
fn unspecified() -> ListenAddress {
    ListenAddress::Socket(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))
}

/// Whether all of a list is this machine.
fn is_loopback(networks: &[IpNet]) -> bool {
    let is_here = |net: &IpNet| net.network().is_loopback() && net.broadcast().is_loopback();
    networks.iter().all(is_here)
}

/// `127.0.0.0/8` and `::1`.
fn loopback() -> Vec<IpNet> {
    let net = |ip: IpAddr, length| IpNet::new_assert(ip, length);
    vec![
        net(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
        net(Ipv6Addr::LOCALHOST.into(), 128),
    ]
}
