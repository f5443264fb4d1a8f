//! The listeners: the services of `master.cf` that accept SMTP, with TLS, authentication and the
//! networks that may send.
//!
//! A listener for this machine only listens on this machine's own addresses, and without TLS:
//! the relay then needs no certificate.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Reading;
use super::networks::Networks;
use super::restrictions;
use super::restrictions::RESTRICTIONS;
use super::restrictions::Whom;
use super::restrictions::restrictions_of;
use super::services;
use super::services::Service;
use super::settings::Settings;
use crate::import::PORT_IS_SHARED;
use crate::import::draft::Section;
use crate::import::networks::is_here;
use crate::import::networks::loopback;

/// What a service becomes.
struct Listener {
    addresses: Vec<String>,
    tls: &'static str,
    authentication: bool,
    anonymous: Vec<IpNet>,
    networks: Vec<IpNet>,
}

/// The parameters that are carried out here, with the key that they become.
const READ: [(&str, &str); 10] = [
    ("inet_interfaces", "address of [[listener]]"),
    ("inet_protocols", "address of [[listener]]"),
    ("mynetworks", "networks of [[listener]]"),
    ("mynetworks_style", "networks of [[listener]]"),
    ("smtpd_tls_security_level", "tls of [[listener]]"),
    ("smtpd_use_tls", "tls of [[listener]]"),
    ("smtpd_enforce_tls", "tls of [[listener]]"),
    (
        "smtpd_tls_wrappermode",
        "tls = \"implicit\" of [[listener]]",
    ),
    ("smtpd_sasl_auth_enable", "authentication of [[listener]]"),
    (
        "smtpd_tls_auth_only",
        "the relay never accepts a password without TLS from another machine if the listener has TLS",
    ),
];
/// Of a service: they only name it.
const NAMES: [&str; 2] = ["syslog_name", "smtpd_tls_wrappermode"];

/// Of classes of restrictions.
const PART_OF_LISTS: &str = "it is read as part of the restrictions that name it";

pub(super) fn add(reading: &mut Reading) {
    let services: Vec<Service> = reading.services.clone();
    let mut needs_certificate = false;
    let mut unclear: BTreeSet<String> = BTreeSet::new();
    let certificate = certificate(&reading.settings);
    let mut carried_out: Vec<&Service> = Vec::new();
    for service in services.iter().filter(|it| it.accepts_mail()) {
        let rules = services::with_rules(&services, service, &reading.settings);
        let settings = reading.settings.with(&rules.overrides);
        let networks = Networks::of(&settings, &reading.folder);
        unclear.extend(networks.unclear);
        let Some(addresses) = addresses(reading, service, &settings) else {
            continue;
        };
        let tls = tls(&settings);
        if tls != "off" && certificate.is_none() {
            reading.found.ask(
                service.shown(),
                "its TLS has no certificate: set [tls] and tls",
            );
        }
        let tls = if certificate.is_some() { tls } else { "off" };
        let listener = listener(reading, &settings, networks.known, addresses, tls);
        needs_certificate |= listener.tls != "off";
        write(reading, service, &listener);
        if !carried_out.contains(&rules) {
            carried_out.push(rules);
            overrides(reading, rules);
        }
        if rules != service {
            of_postscreen(reading, service, rules);
        }
    }
    for words in unclear {
        reading.found.ask("mynetworks", words);
    }
    if needs_certificate && let Some((certificate, key)) = &certificate {
        reading.found.draft.within("[tls]", |tls| {
            tls.set("certificate_file", certificate)
                .set("private_key_file", key);
        });
    }
    report(reading, needs_certificate);
    let others = services.iter().filter(|it| !it.accepts_mail());
    others.for_each(|it| other(reading, it, carried_out.contains(&it)));
}

/// The rows of a service that becomes no listener.
fn other(reading: &mut Reading, service: &Service, is_carried_out: bool) {
    if !service.is_stock() {
        let words = "the relay starts no other programs";
        reading.found.lack(service.shown(), words);
    }
    let overrides = service.unusual_overrides();
    for (name, value) in overrides.filter(|_| !is_carried_out) {
        let setting = format!("-o {name}={value} of {}", service.shown());
        reading.found.lack(setting, super::parameters::reason(name));
    }
}

/// Certificate and private key.
fn certificate(settings: &Settings) -> Option<(String, String)> {
    let first = |name: &str| settings.list(name).into_iter().next();
    if let Some(chain) = first("smtpd_tls_chain_files") {
        return Some((chain.clone(), chain));
    }
    let certificate = first("smtpd_tls_cert_file").filter(|it| it != "none")?;
    let key = first("smtpd_tls_key_file").unwrap_or_else(|| certificate.clone());
    Some((certificate, key))
}

fn tls(settings: &Settings) -> &'static str {
    let level = settings.value("smtpd_tls_security_level");
    if settings.is_on("smtpd_tls_wrappermode") {
        return "implicit";
    }
    match level.as_str() {
        "encrypt" => "starttls-required",
        "may" => "starttls",
        "" if settings.is_on("smtpd_enforce_tls") => "starttls-required",
        "" if settings.is_on("smtpd_use_tls") => "starttls",
        _ => "off",
    }
}

/// The addresses of a service, or nothing if its port is unknown.
fn addresses(
    reading: &mut Reading,
    service: &Service,
    settings: &Settings,
) -> Option<(Vec<IpAddr>, bool, u16)> {
    let (host, port) = match service.name.rsplit_once(':') {
        Some((host, port)) => (Some(host.trim_matches(['[', ']']).to_owned()), port),
        None => (None, service.name.as_str()),
    };
    let number = match port {
        "smtp" => Some(25),
        "smtps" | "submissions" | "urd" => Some(465),
        "submission" => Some(587),
        _ => port.parse().ok(),
    };
    let Some(number) = number else {
        reading.found.ask(
            service.shown(),
            format!("{port:?} is not a port that this program knows: add a [[listener]] for it"),
        );
        return None;
    };
    let names = host.map_or_else(|| settings.list("inet_interfaces"), |host| vec![host]);
    let mut ips = Vec::new();
    let mut is_all = false;
    for name in names {
        match (
            name.as_str(),
            name.trim_matches(['[', ']']).parse::<IpAddr>(),
        ) {
            ("all", _) => is_all = true,
            ("loopback-only" | "localhost", _) => {
                ips.extend(loopback().iter().map(|it| match it {
                    IpNet::V4(_) => IpAddr::from([127, 0, 0, 1]),
                    IpNet::V6(v6) => v6.addr().into(),
                }));
            }
            (_, Ok(ip)) => ips.push(ip),
            (_, Err(_)) => reading.found.ask(
                service.shown(),
                format!("it listens on the addresses of {name}: write these into a [[listener]]"),
            ),
        }
    }
    let protocols = settings.value("inet_protocols");
    let is_spoken = |ip: &IpAddr| {
        protocols.contains("all") || protocols.contains(if ip.is_ipv4() { "ipv4" } else { "ipv6" })
    };
    ips.retain(is_spoken);
    if !is_all && ips.is_empty() {
        let words = "it listens on no address that this program knows: add a [[listener]] for it";
        reading.found.ask(service.shown(), words);
    }
    (is_all || !ips.is_empty()).then_some((ips, is_all, number))
}

fn listener(
    reading: &mut Reading,
    settings: &Settings,
    networks: Vec<IpNet>,
    (mut ips, is_all, port): (Vec<IpAddr>, bool, u16),
    tls: &'static str,
) -> Listener {
    let authentication = settings.is_on("smtpd_sasl_auth_enable");
    let anonymous = match authentication && restrictions::let_send(settings, Whom::Networks) {
        true => networks.clone(),
        false => Vec::new(),
    };
    let networks = match authentication {
        true => of_users(reading, settings, networks, port, tls),
        false => without_password(reading, settings, networks, port),
    };
    let is_local = is_here(&networks);
    if is_all && is_local {
        ips = vec![IpAddr::from([127, 0, 0, 1])];
    } else if is_all {
        let has_v6 = networks
            .iter()
            .any(|it| matches!(it, IpNet::V6(v6) if !v6.network().is_loopback()));
        let speaks_v6 = settings.value("inet_protocols") != "ipv4";
        ips = match has_v6 && speaks_v6 {
            true => vec![IpAddr::from([0_u16; 8])],
            false => vec![IpAddr::from([0_u8; 4])],
        };
    }
    let is_local = is_local || ips.iter().all(IpAddr::is_loopback);
    Listener {
        addresses: ips
            .iter()
            .map(|ip| std::net::SocketAddr::new(*ip, port).to_string())
            .collect(),
        tls: if is_local && !authentication {
            "off"
        } else {
            tls
        },
        authentication,
        anonymous,
        networks,
    }
}

/// From where users with a password can send.
fn of_users(
    reading: &mut Reading,
    settings: &Settings,
    networks: Vec<IpNet>,
    port: u16,
    tls: &str,
) -> Vec<IpNet> {
    let words = if !restrictions::let_send(settings, Whom::Users) {
        "the restrictions of Postfix refuse users from machines that are not in mynetworks: only machines \
         of networks can connect"
    } else if tls != "off" {
        let everywhere = ["0.0.0.0/0", "::/0"].iter();
        return everywhere.filter_map(|it| it.parse().ok()).collect();
    } else if is_here(&networks) {
        return networks;
    } else {
        "Postfix lets every machine send here that has a password. The relay does that only with TLS: \
         until [tls] is set, only machines of networks can connect"
    };
    let setting = format!("smtpd_sasl_auth_enable on port {port}");
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
    if is_here(&networks) || restrictions::let_send(settings, Whom::Networks) {
        return networks;
    }
    reading.found.ask(
        format!("mynetworks on port {port}"),
        "the restrictions of Postfix let nobody send from here to other domains without a password: only \
         this machine can, until you name others in networks",
    );
    loopback()
}

fn write(reading: &mut Reading, service: &Service, listener: &Listener) {
    let shown = |networks: &[IpNet]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    for address in &listener.addresses {
        let mut section = Section::new("[[listener]]");
        section.set("address", address);
        if listener.tls != "off" {
            section.set("tls", listener.tls);
        }
        if listener.authentication {
            section.set("authentication", "required");
        }
        if !listener.anonymous.is_empty() {
            section.list("anonymous_networks", &shown(&listener.anonymous));
        }
        section.list("networks", &shown(&listener.networks));
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
    if listener
        .addresses
        .iter()
        .any(|it| it.ends_with(":25") || it.ends_with(":465") || it.ends_with(":587"))
    {
        let words = PORT_IS_SHARED;
        if !reading.found.decide.iter().any(|row| row.words == words) {
            reading.found.ask(service.shown(), words);
        }
    }
}

/// The options of a service that were not carried out.
fn overrides(reading: &mut Reading, service: &Service) {
    let settings = reading.settings.with(&service.overrides);
    let classes = restrictions::classes_of(&settings);
    for (name, value) in &service.overrides {
        let is_read = READ.iter().any(|(read, _)| read == name) || NAMES.contains(&name.as_str());
        let is_of_class = name == restrictions::CLASSES || classes.contains(name);
        let setting = format!("-o {name}={value} of {}", service.shown());
        if RESTRICTIONS.contains(&name.as_str()) {
            restrictions::report(
                &mut reading.found,
                setting,
                &restrictions_of(&settings, name),
            );
        } else if is_of_class && !classes.is_empty() {
            reading.found.take(setting, PART_OF_LISTS);
        } else if !is_read {
            reading.found.lack(setting, super::parameters::reason(name));
        }
    }
}

/// The options of a postscreen. Those of the SMTP server hold only for the service to which it
/// passes its clients.
fn of_postscreen(reading: &mut Reading, service: &Service, rules: &Service) {
    for (name, value) in service.unusual_overrides() {
        let is_read = READ.iter().any(|(read, _)| read == name);
        let words = match is_read || RESTRICTIONS.contains(&name.as_str()) {
            true => format!(
                "postscreen does not use it: the options of {} hold for its clients",
                rules.shown()
            ),
            false => super::parameters::reason(name).to_owned(),
        };
        let setting = format!("-o {name}={value} of {}", service.shown());
        reading.found.lack(setting, words);
    }
}

/// The rows of main.cf's parameters that were carried out.
fn report(reading: &mut Reading, needs_certificate: bool) {
    for (name, words) in READ {
        let is_tls = name.contains("_tls") && name != "smtpd_tls_auth_only";
        match is_tls && !needs_certificate {
            true => reading.change(
                name,
                "no listener needs TLS: only this machine connects, or there is no certificate",
            ),
            false => reading.take(name, words),
        }
    }
    for name in [
        "smtpd_tls_cert_file",
        "smtpd_tls_key_file",
        "smtpd_tls_chain_files",
    ] {
        match needs_certificate {
            true => reading.take(
                name,
                "[tls]. The relay's user must be able to read the file",
            ),
            false => reading.change(name, "no listener needs a certificate"),
        }
    }
    for name in RESTRICTIONS {
        let items = restrictions_of(&reading.settings, name);
        if let Some(setting) = reading.first(name) {
            restrictions::report(&mut reading.found, setting, &items);
        }
    }
    let of_services = of_services(reading);
    classes(reading, &of_services);
    if of_services
        .iter()
        .any(|it| it.is_on("smtpd_sasl_auth_enable"))
    {
        reading.found.ask(
            "smtpd_sasl_auth_enable",
            "add a [[user]] for each name that clients authenticate with: Postfix has no list of \
             them. graph-relay hash-password makes the hash of a password",
        );
    }
}

/// The parameters that hold for the clients of each service that accepts mail.
fn of_services(reading: &Reading) -> Vec<Settings> {
    let services = reading.services.iter().filter(|it| it.accepts_mail());
    let rules = services.map(|it| services::with_rules(&reading.services, it, &reading.settings));
    rules
        .map(|it| reading.settings.with(&it.overrides))
        .collect()
}

/// The rows of the classes that lists of restrictions contain. Those that only tables name are
/// reported as parameters without a counterpart.
fn classes(reading: &mut Reading, of_services: &[Settings]) {
    let mut names = restrictions::classes_of(&reading.settings);
    names.extend(of_services.iter().flat_map(restrictions::classes_of));
    if !names.is_empty() {
        names.insert(restrictions::CLASSES.to_owned());
    }
    for name in names {
        reading.take(&name, PART_OF_LISTS);
    }
}
