//! The listeners: the services of `master.cf` that accept SMTP, with TLS, authentication and the
//! networks that may send.
//!
//! A listener for this machine only listens on this machine's own addresses, and without TLS:
//! the relay then needs no certificate.

mod line_feeds;
mod tls;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use ipnet::IpNet;

use self::tls::CERTIFICATES;
use self::tls::Files;
use self::tls::NO_TLS;
use self::tls::OF_TLS;
use self::tls::certificate;
use self::tls::is_about_tls;
use self::tls::needs_tls;
use self::tls::offered;
use self::tls::tls_of;
use super::Reading;
use super::networks;
use super::networks::Networks;
use super::networks::speaks;
use super::networks::spoken;
use super::parameters;
use super::restrictions;
use super::restrictions::RESTRICTIONS;
use super::restrictions::Whom;
use super::restrictions::restrictions_of;
use super::services;
use super::services::Service;
use super::settings::Settings;
use crate::import::Found;
use crate::import::PORT_IS_SHARED;
use crate::import::draft::Section;
use crate::import::is_shared;
use crate::import::networks::everywhere;
use crate::import::networks::is_here;
use crate::import::networks::loopback;

/// What a service becomes.
struct Listener {
    addresses: Vec<String>,
    port: u16,
    tls: &'static str,
    authentication: bool,
    anonymous: Vec<IpNet>,
    networks: Vec<IpNet>,
    /// Whether only clients with IPv6 reach it at `[::]`, as in Postfix. At the relay's `[::]` those
    /// with IPv4 do too.
    is_ipv6: bool,
    refuses_line_feeds: bool,
}

const ANY_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The parameters that are carried out here, with the key that they become.
const READ: [(&str, &str); 8] = [
    ("inet_interfaces", "address of [[listener]]"),
    ("inet_protocols", "address of [[listener]]"),
    ("smtpd_tls_security_level", "tls of [[listener]]"),
    ("smtpd_use_tls", "tls of [[listener]]"),
    ("smtpd_enforce_tls", "tls of [[listener]]"),
    ("smtpd_tls_wrappermode", "tls of [[listener]]"),
    ("smtpd_sasl_auth_enable", "authentication of [[listener]]"),
    (
        "smtpd_tls_auth_only",
        "the relay never accepts a password without TLS from another machine if the listener has TLS",
    ),
];
/// Of options about the ports.
const ONLY_IN_MAIN: &str = "Postfix opens the ports by what main.cf says, not by an option";
/// Of a listener that only clients with IPv6 reach, where all networks are of IPv4.
const NO_IPV6: &str = "only clients with IPv6 reach it, and mynetworks has none of them: only this machine can \
                       send. Remove the [[listener]] if it must not";
/// Of classes of restrictions.
const PART_OF_LISTS: &str = "it is read as part of the restrictions that name it";

pub(super) fn add(reading: &mut Reading) {
    let services: Vec<Service> = reading.services.clone();
    let mut needs_certificate = false;
    let mut unclear: BTreeSet<String> = BTreeSet::new();
    let mut open: BTreeSet<String> = BTreeSet::new();
    let of_clients = services::of_clients(&services, &reading.settings);
    let first = || of_clients.iter().find_map(certificate);
    let files = certificate(&reading.settings).or_else(first);
    let mut carried_out: BTreeSet<&Service> = BTreeSet::new();
    let mut has_low_port = false;
    let accepting = services.iter().filter(|it| it.accepts_mail());
    for service in accepting.clone() {
        let rules = services::with_rules(&services, service, &reading.settings);
        let settings = services::settings_of(service, rules, &reading.settings);
        let networks = Networks::of(&settings, &reading.folder);
        unclear.extend(networks.unclear);
        open.extend(networks.open);
        let found = services::addresses(reading, service, &settings).map(|addresses| {
            let tls = offered(reading, service, &settings, files.as_ref());
            let networks = (networks.known, networks.is_taken);
            listener(reading, &settings, networks, addresses, tls)
        });
        if let Some(listener) = &found {
            needs_certificate |= listener.tls != "off";
            write(reading, service, listener);
            if is_shared(listener.port) && !has_low_port {
                has_low_port = true;
                reading.found.ask(service.shown(), PORT_IS_SHARED);
            }
            if carried_out.insert(rules) {
                options(reading, rules, &settings, Some(listener), files.as_ref());
            }
        }
        if rules != service {
            of_postscreen(reading, service, rules);
        }
    }
    for service in accepting {
        let rules = services::with_rules(&services, service, &reading.settings);
        if carried_out.insert(rules) {
            let settings = services::settings_of(service, rules, &reading.settings);
            options(reading, rules, &settings, None, files.as_ref());
        }
    }
    for words in unclear {
        reading.found.ask("mynetworks", words);
    }
    for words in open {
        reading.found.warn("mynetworks", words);
    }
    if needs_certificate && let Some((certificate, key)) = &files {
        reading.found.draft.within("[tls]", |tls| {
            tls.set("certificate_file", certificate)
                .set("private_key_file", key);
        });
    }
    report(reading, needs_certificate, &of_clients);
    let others = services.iter().filter(|it| !it.accepts_mail());
    others.for_each(|it| other(reading, it, carried_out.contains(&it)));
}

/// The rows of a service that becomes no listener.
fn other(reading: &mut Reading, service: &Service, is_carried_out: bool) {
    if !service.is_stock() {
        let why = service.why_not_started();
        let words = why.unwrap_or("the relay starts no other programs");
        reading.found.lack(service.shown(), words);
    }
    let settings = reading.settings.with(&service.overrides);
    let overrides = service.unusual_overrides();
    for (name, value) in overrides.filter(|_| !is_carried_out) {
        let setting = service.option(name, value, &reading.secrets);
        let is_used = settings.is_used(name);
        parameters::left(&mut reading.found, &settings, name, setting, is_used);
    }
}

fn listener(
    reading: &mut Reading,
    settings: &Settings,
    (networks, are_named): (Vec<IpNet>, bool),
    (mut ips, is_all, port): (Vec<IpAddr>, bool, u16),
    tls: &'static str,
) -> Listener {
    let authentication = settings.is_on("smtpd_sasl_auth_enable");
    let may_send = are_named && restrictions::let_send(settings, Whom::Networks);
    let anonymous = match authentication && may_send {
        true => networks.clone(),
        false => Vec::new(),
    };
    let is_all = is_all || [ANY_IPV4, ANY_IPV6].iter().all(|it| ips.contains(it));
    let networks = match authentication {
        true => of_users(reading, settings, networks, port, tls),
        false => without_password(reading, settings, networks, port),
    };
    if is_all {
        ips = of_all_interfaces(settings, &networks);
    }
    let is_local = is_here(&networks) || ips.iter().all(IpAddr::is_loopback);
    Listener {
        addresses: ips
            .iter()
            .map(|ip| std::net::SocketAddr::new(*ip, port).to_string())
            .collect(),
        port,
        tls: if is_local && !authentication {
            "off"
        } else {
            tls
        },
        authentication,
        anonymous,
        networks,
        is_ipv6: !is_all,
        refuses_line_feeds: line_feeds::are_refused(settings),
    }
}

/// The addresses of a listener on all interfaces, as far as machines of its networks can reach them.
fn of_all_interfaces(settings: &Settings, networks: &[IpNet]) -> Vec<IpAddr> {
    let here = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let is_reached = |ip: &IpAddr| networks.iter().any(|it| it.contains(ip));
    if is_here(networks) {
        let spoken = here.into_iter().filter(|ip| speaks(settings, *ip));
        let reached: Vec<IpAddr> = spoken.clone().filter(is_reached).collect();
        return match reached.is_empty() {
            true => spoken.take(1).collect(),
            false => reached,
        };
    }
    let is_other = |it: &IpNet| matches!(it, IpNet::V6(v6) if !v6.network().is_loopback());
    if networks.iter().any(is_other) {
        return vec![ANY_IPV6];
    }
    // The IPv4 address of all interfaces leaves out this machine's IPv6 address.
    let [_, v6] = here;
    let v6 = Some(v6).filter(is_reached);
    std::iter::once(ANY_IPV4).chain(v6).collect()
}

/// From where users with a password can send.
fn of_users(
    reading: &mut Reading,
    settings: &Settings,
    networks: Vec<IpNet>,
    port: u16,
    tls: &str,
) -> Vec<IpNet> {
    let setting = format!("smtpd_sasl_auth_enable on port {port}");
    let words = if !restrictions::let_send(settings, Whom::UsersOfNetworks) {
        reading.found.warn(
            setting,
            "Postfix lets nobody send from here to other domains, with a password or \
             without: only this machine can connect, until you name others in networks",
        );
        return spoken(settings, &loopback());
    } else if !restrictions::let_send(settings, Whom::Users) {
        "the restrictions of Postfix refuse users from machines that are not in mynetworks: only machines \
         of networks can connect"
    } else if needs_tls(settings) && tls_of(settings) == "off" {
        "Postfix offers no authentication here, because it has no TLS and smtpd_tls_auth_only asks for it: \
         only machines of networks can connect, until you name others"
    } else if tls != "off" {
        return spoken(settings, &everywhere());
    } else if is_here(&networks) {
        return networks;
    } else {
        "Postfix lets every machine send here that has a password. The relay does that only with TLS: \
         until [tls] is set, only machines of networks can connect"
    };
    reading.found.ask(setting, words);
    networks
}

/// Which machines can send without a password, where nobody has one.
fn without_password(
    reading: &mut Reading,
    settings: &Settings,
    networks: Vec<IpNet>,
    port: u16,
) -> Vec<IpNet> {
    if restrictions::let_send(settings, Whom::Networks) {
        return networks;
    }
    reading.found.warn(
        format!("mynetworks on port {port}"),
        "Postfix lets nobody send from here to other domains without a password: only \
         this machine can, until you name others in networks",
    );
    spoken(settings, &loopback())
}

fn write(reading: &mut Reading, service: &Service, listener: &Listener) {
    for address in &listener.addresses {
        let is_ipv6 = listener.is_ipv6 && address.starts_with("[::]:");
        let shown = |networks: &[IpNet]| {
            let networks = networks.iter();
            let reached = networks.filter(|it| !is_ipv6 || matches!(it, IpNet::V6(_)));
            reached.map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut section = Section::new("[[listener]]");
        section.set("address", address);
        if listener.tls != "off" {
            section.set("tls", listener.tls);
        }
        if listener.authentication {
            section.set("authentication", "required");
        }
        let anonymous = shown(&listener.anonymous);
        if !anonymous.is_empty() {
            section.list("anonymous_networks", &anonymous);
        }
        let networks = shown(&listener.networks);
        if networks.is_empty() {
            section.list("networks", &["::1/128"]);
            reading.found.warn(service.shown(), NO_IPV6);
        } else {
            section.list("networks", &networks);
        }
        if listener.refuses_line_feeds {
            section.set("bare_lf", "refuse");
        }
        reading.found.draft.add(section);
    }
    let addresses = listener.addresses.join(", ");
    reading.found.take(
        service.shown(),
        format!("[[listener]] on {addresses}, tls = \"{}\"", listener.tls),
    );
    if service.program == "postscreen" {
        reading.found.lack(
            service.shown(),
            "its tests of unknown clients: only machines of networks can connect to the relay",
        );
    }
}

/// The rows of the options of a service, and of the listener that it became with these settings.
fn options(
    reading: &mut Reading,
    service: &Service,
    settings: &Settings,
    listener: Option<&Listener>,
    files: Option<&Files>,
) {
    let classes = restrictions::classes_of(settings);
    for (name, value) in &service.overrides {
        let setting = service.option(name, value, &reading.secrets);
        let found = &mut reading.found;
        let is_of_class = name == restrictions::CLASSES || classes.contains(name);
        if is_of_class && !classes.is_empty() {
            found.take(setting, PART_OF_LISTS);
        } else if services::OF_MASTER.contains(&name.as_str()) {
            found.lack(setting, ONLY_IN_MAIN);
        } else if !is_read(name) && !CERTIFICATES.contains(&name.as_str()) {
            parameters::left(found, settings, name, setting, settings.is_used(name));
        } else if listener.is_some() && networks::PARAMETERS.contains(&name.as_str()) {
            let settings = (settings, std::slice::from_ref(settings));
            networks::report(found, setting, name, settings, &reading.folder);
        } else if listener.is_some() && name == line_feeds::NAME {
            line_feeds::report(found, setting, settings);
        } else if let Some(listener) = listener {
            option(found, setting, name, settings, listener, files);
        } else {
            found.ask(
                setting,
                "a [[listener]] that you add for this service has to do the same",
            );
        }
    }
}

/// Whether a listener carries a parameter out, or its restrictions.
fn is_read(name: &str) -> bool {
    let mut read = READ.iter().map(|(read, _)| *read);
    read.any(|it| it == name)
        || name == line_feeds::NAME
        || networks::PARAMETERS.contains(&name)
        || RESTRICTIONS.contains(&name)
}

/// The row of an option that a listener carries out.
fn option(
    found: &mut Found,
    setting: String,
    name: &str,
    settings: &Settings,
    listener: &Listener,
    files: Option<&Files>,
) {
    let is_off = listener.tls == "off";
    let words = READ.iter().find(|(read, _)| *read == name);
    if RESTRICTIONS.contains(&name) {
        let items = restrictions_of(settings, name);
        restrictions::report(found, setting, &items);
    } else if CERTIFICATES.contains(&name) && is_off {
        found.change(setting, NO_TLS);
    } else if CERTIFICATES.contains(&name) && certificate(settings).as_ref() == files {
        found.take(setting, OF_TLS);
    } else if is_about_tls(name) && is_off && tls_of(settings) != "off" {
        found.change(setting, NO_TLS);
    } else if let Some((_, words)) = words {
        found.take(setting, *words);
    } else {
        found.ask(
            setting,
            "[tls] has one certificate for all listeners, and took another one: use one that has the \
             names of both",
        );
    }
}

/// The options of a postscreen. Those of the SMTP server hold only for the service to which it
/// passes its clients.
fn of_postscreen(reading: &mut Reading, service: &Service, rules: &Service) {
    let settings = reading.settings.with(&service.overrides);
    for (name, value) in &service.overrides {
        let setting = service.option(name, value, &reading.secrets);
        if services::OF_MASTER.contains(&name.as_str()) {
            reading.found.lack(setting, ONLY_IN_MAIN);
        } else if is_read(name) {
            let words = format!(
                "postscreen does not use it: the options of {} hold for its clients",
                rules.shown()
            );
            reading.found.lack(setting, words);
        } else {
            let is_used = settings.is_used(name);
            parameters::left(&mut reading.found, &settings, name, setting, is_used);
        }
    }
}

/// The rows of main.cf's parameters that were carried out.
fn report(reading: &mut Reading, needs_certificate: bool, of_clients: &[Settings]) {
    for (name, words) in READ {
        match is_about_tls(name) && !needs_certificate {
            true => reading.change(name, NO_TLS),
            false => reading.take(name, words),
        }
    }
    for name in networks::PARAMETERS {
        if let Some(setting) = reading.first(name) {
            let settings = (&reading.settings, of_clients);
            networks::report(&mut reading.found, setting, name, settings, &reading.folder);
        }
    }
    networks::report_default(&mut reading.found, &reading.settings, of_clients);
    reading.take(
        "master_service_disable",
        "these services become no [[listener]]",
    );
    if let Some(setting) = reading.first(line_feeds::NAME) {
        line_feeds::report(&mut reading.found, setting, &reading.settings);
    }
    for name in CERTIFICATES {
        match needs_certificate {
            true => reading.take(name, OF_TLS),
            false => reading.change(name, NO_TLS),
        }
    }
    for name in RESTRICTIONS {
        let items = restrictions_of(&reading.settings, name);
        if let Some(setting) = reading.first(name) {
            restrictions::report(&mut reading.found, setting, &items);
        }
    }
    classes(reading, of_clients);
    let mut of_clients = of_clients.iter();
    if of_clients.any(|it| it.is_on("smtpd_sasl_auth_enable")) {
        reading.found.ask(
            "smtpd_sasl_auth_enable",
            "add a [[user]] for each name that clients authenticate with: Postfix has no list of \
             them. graph-relay hash-password makes the hash of a password",
        );
    }
}

/// The rows of the classes that lists of restrictions contain. Those that only tables name are
/// reported as parameters without a counterpart.
fn classes(reading: &mut Reading, of_clients: &[Settings]) {
    let mut names = restrictions::classes_of(&reading.settings);
    names.extend(of_clients.iter().flat_map(restrictions::classes_of));
    if !names.is_empty() {
        names.insert(restrictions::CLASSES.to_owned());
    }
    for name in names {
        reading.take(&name, PART_OF_LISTS);
    }
}
