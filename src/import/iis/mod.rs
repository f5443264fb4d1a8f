//! The SMTP virtual servers of IIS 6, from `MetaBase.xml`: bindings, the list of machines that
//! may relay, sizes, the smart host, the pickup folder, local and remote domains.
//!
//! IIS writes a setting once for the service (`/LM/SmtpSvc`) and again for a server
//! (`/LM/SmtpSvc/1`) where that differs. `RelayIpList` is binary, and Microsoft documents only
//! that: the form that is read here, a list of single machines, is the one that scripts write.
//! Every other form becomes a question.

mod domains;
mod limits;
mod machines;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;

use roxmltree::Document;
use roxmltree::Node;

use self::machines::machines;
use super::FROM_ENTRA;
use super::Found;
use super::HIDDEN;
use super::ImportError;
use super::MESSAGE_SIZES;
use super::PORT_IS_SHARED;
use super::content;
use super::draft::Section;
use super::is_secret;
use super::is_shared;
use crate::mail::Address;
use crate::mail::fits;

/// The settings of one server, with those of the service that it does not have itself.
type Server = BTreeMap<String, String>;

/// What to do about clients that use TLS.
const TLS: &str = "if clients use TLS, set tls of [[listener]] and a certificate in [tls]: it is in Windows' \
                   store, export it as PEM";
/// Settings that are not shown: they are binary.
const BINARY: [&str; 3] = ["AdminACL", "IPSecurity", "RelayIpList"];
/// Settings that somebody has to decide about, in the same form as [`REASONS`].
const DECISIONS: [(&str, &str); 5] = [
    (
        "Auth*",
        "if clients must authenticate, set authentication = \"required\" in [[listener]] and write a [[user]] \
         for each name: the relay knows no Windows accounts",
    ),
    ("Access*", TLS),
    ("SSL*", TLS),
    (
        "IPSecurity",
        "until you write the machines that may connect into networks of [[listener]], only this machine can",
    ),
    (
        "MasqueradeDomain",
        "write a [[sender]] with match = \"@old\" and from = \"@new\"",
    ),
];
/// Those of them without which the relay may let in more than IIS.
const OPENING: [&str; 2] = ["Auth*", "Access*"];
/// Settings without a counterpart, each with the reason; a name ends with `*` where it is the
/// beginning of several.
const REASONS: [(&str, &str); 13] = [
    (
        "BadMailDirectory",
        "failed messages stay in the relay for 30 days (keep of [failure]): graph-relay queue list shows them",
    ),
    ("SendNdrTo", "notify of [failure] says who gets reports"),
    ("SendBadTo", "notify of [failure] says who gets reports"),
    ("DropDirectory", "the relay delivers to no folders"),
    ("QueueDirectory", "the relay keeps messages in data_dir"),
    ("Route*", "everything goes to Exchange"),
    ("Always*", "the connection to Graph always has TLS"),
    ("Smtp*", "retry, warn_after and expire_after of [delivery]"),
    (
        "Log*",
        "[log] says what is logged, and the journal keeps it",
    ),
    (
        "EnableReverseDnsLookup",
        "the relay asks no name server about clients",
    ),
    ("Server*", "it is about IIS's own management"),
    ("Admin*", "it is about IIS's own management"),
    ("*", "the relay has nothing like it"),
];

/// Reads a `MetaBase.xml`.
///
/// # Errors
///
/// The file cannot be read, is not XML, or has no SMTP virtual server.
pub fn read(path: &Path) -> Result<Found, ImportError> {
    let wrong = |words: String| ImportError::Content {
        path: path.to_owned(),
        words,
    };
    let text = content(path)?;
    let document = Document::parse(&text);
    let document = document.map_err(|error| wrong(format!("this is not XML: {error}")))?;
    let servers = servers(&document);
    let mut found = Found::default();
    found.draft.product = "the SMTP service of IIS";
    found.files.push(path.to_owned());
    let mut account = Section::new("[[account]]");
    FROM_ENTRA.iter().for_each(|line| _ = account.missing(line));
    let first = servers
        .iter()
        .find(|(_, server)| stopped(server).is_empty());
    let Some((first, deciding)) = first.or_else(|| servers.first()) else {
        let words = "there is no SMTP virtual server (IIsSmtpServer) in it";
        return Err(wrong(words.to_owned()));
    };
    match mailbox(deciding) {
        Some(mailbox) => _ = account.set("mailbox", &mailbox),
        None => _ = account.missing("mailbox = \"noreply@contoso.com\""),
    }
    found.draft.add(account);
    found.ask("[[account]]", "enter tenant, client_id, the credential of an app registration in Entra and the mailbox that sends: graph-relay setup shows the steps");
    for (location, server) in &servers {
        Reading {
            location,
            server,
            found: &mut found,
            reported: BTreeSet::new(),
            first,
            deciding,
        }
        .all();
    }
    let domains = nodes(&document, "IIsSmtpDomain").map(settings_of);
    domains::report(&mut found, &domains.collect::<Vec<_>>());
    Ok(found)
}

/// The virtual servers by their places, such as `/LM/SmtpSvc/1`.
fn servers(document: &Document<'_>) -> Vec<(String, Server)> {
    let service = nodes(document, "IIsSmtpService").next();
    let service = service.map(|node| settings_of(node).1).unwrap_or_default();
    let servers = nodes(document, "IIsSmtpServer").map(|node| {
        let (location, own) = settings_of(node);
        let mut server = service.clone();
        server.extend(own);
        (location, server)
    });
    servers.collect()
}

/// The elements with this name.
fn nodes<'d>(document: &'d Document<'_>, name: &str) -> impl Iterator<Item = Node<'d, 'd>> {
    let nodes = document.descendants();
    nodes.filter(move |node| node.tag_name().name().eq_ignore_ascii_case(name))
}

/// The place of an element, and its settings.
fn settings_of(node: Node<'_, '_>) -> (String, Server) {
    let mut server = Server::new();
    for attribute in node.attributes() {
        server.insert(attribute.name().to_owned(), attribute.value().to_owned());
    }
    for custom in node.children().filter(|it| it.has_tag_name("Custom")) {
        if let (Some(name), Some(value)) = (custom.attribute("Name"), custom.attribute("Value")) {
            let attributes = custom.attribute("Attributes").unwrap_or_default();
            let is_hidden = attributes.contains("SECURE") || name.starts_with("UnknownName_");
            let value = if is_hidden { HIDDEN } else { value };
            server.insert(name.to_owned(), value.to_owned());
        }
    }
    (server.remove("Location").unwrap_or_default(), server)
}

/// A setting as the report shows it.
fn shown(location: &str, name: &str, value: &str) -> String {
    let value: Vec<&str> = value.split_whitespace().collect();
    let value = match is_secret(name) || BINARY.contains(&name) {
        true => HIDDEN.to_owned(),
        false => value.join(" "),
    };
    format!("{location}: {name}=\"{value}\"")
}

/// Why a setting has no counterpart.
fn reason(name: &str) -> &'static str {
    let mut reasons = REASONS.iter();
    let found = reasons.find(|(pattern, _)| fits(pattern, name));
    found.map_or("", |(_, words)| words)
}

/// The name with which IIS authenticates to its smart host.
fn mailbox(server: &Server) -> Option<String> {
    let user = server.get("RouteUserName")?;
    let address = user.parse::<Address>().ok()?;
    address.is_routable().then(|| user.clone())
}

/// The settings of a server that say that IIS does not run it.
fn stopped(server: &Server) -> Vec<&'static str> {
    let has = |name: &str, value: &str| {
        let mut values = server.get(name).into_iter();
        values.any(|it| it.eq_ignore_ascii_case(value))
    };
    // MD_SERVER_STATE_STOPPED and MD_SERVER_STATE_STARTED.
    let (is_stopped, is_started) = (has("ServerState", "4"), has("ServerState", "2"));
    let is_left = !is_started && has("ServerAutoStart", "FALSE");
    let settings = [("ServerState", is_stopped), ("ServerAutoStart", is_left)];
    let settings = settings.into_iter().filter(|(_, is_so)| *is_so);
    settings.map(|(name, _)| name).collect()
}

struct Reading<'a> {
    location: &'a str,
    server: &'a Server,
    found: &'a mut Found,
    reported: BTreeSet<&'static str>,
    /// The place of the first server that IIS runs.
    first: &'a str,
    /// Its settings: they decide about what the relay has once, for all listeners.
    deciding: &'a Server,
}

impl Reading<'_> {
    fn all(mut self) {
        self.listeners();
        self.limits();
        self.sending();
        self.pickup();
        self.state();
        for (name, value) in self.server {
            if self.reported.contains(name.as_str()) || value.is_empty() {
                continue;
            }
            let setting = self.shown(name);
            let mut decisions = DECISIONS.iter();
            match decisions.find(|(pattern, _)| fits(pattern, name)) {
                Some((pattern, words)) if OPENING.contains(pattern) => {
                    self.found.warn(setting, *words);
                }
                Some((_, words)) => self.found.ask(setting, *words),
                None => self.found.lack(setting, reason(name)),
            }
        }
    }

    fn listeners(&mut self) {
        let relayed = self.server.get("RelayIpList").map(|list| machines(list));
        let mut networks = vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()];
        let is_limited = self
            .server
            .get("IPSecurity")
            .is_some_and(|it| !it.is_empty());
        match &relayed {
            Some(_) if is_limited => self.change("RelayIpList", "IPSecurity may keep some of these machines out, so none of them is in networks of [[listener]]"),
            Some(Some(machines)) => {
                networks.extend(machines.iter().filter(|it| !it.is_loopback()).map(ToString::to_string));
                self.take("RelayIpList", &format!("networks of [[listener]]: {} machines, and this one", machines.len()));
                if !machines.is_empty() {
                    self.warn("RelayIpList", "the list was read as \"Only the list below\". If IIS has \"All except the list below\", name the networks that may send");
                }
            }
            Some(None) => self.ask("RelayIpList", "the list has networks or names, which this program cannot read. Name them in networks of [[listener]]: in IIS they are under Access, Relay"),
            None => self.found.ask(format!("{}: RelayIpList", self.location), "IIS has no list: until you name the machines in networks of [[listener]], only this machine can send"),
        }
        let needs_password = self.needs_password();
        for (name, tls) in [("ServerBindings", "off"), ("SecureBindings", "implicit")] {
            if self.bindings(name, tls, needs_password, &networks) {
                self.take(name, "address of [[listener]]");
            }
        }
        self.change("RelayForAuth", "who authenticates may send if there is a [[user]] and authentication = \"required\" in [[listener]]");
    }

    /// Writes a listener for each binding. Returns whether there is one.
    fn bindings(
        &mut self,
        name: &'static str,
        tls: &str,
        needs_password: bool,
        networks: &[String],
    ) -> bool {
        // Apart from this machine, there is none.
        let is_local = networks.len() == 2;
        let bindings = self.server.get(name).map_or("", String::as_str);
        let mut unread = Vec::new();
        let (mut is_any, mut is_low) = (false, false);
        for binding in bindings.split_whitespace() {
            let Some(address) = address(binding, is_local) else {
                unread.push(binding);
                continue;
            };
            is_any = true;
            is_low |= is_shared(address.port());
            let mut listener = Section::new("[[listener]]");
            listener.set("address", &address.to_string());
            if tls != "off" {
                listener.set("tls", tls);
            }
            if needs_password {
                listener.set("authentication", "required");
            }
            listener.list("networks", networks);
            self.found.draft.add(listener);
        }
        if is_any && tls != "off" {
            let words = "set [tls]: the certificate is in Windows' store, export it as PEM";
            self.ask(name, words);
        }
        if is_low {
            self.ask(name, PORT_IS_SHARED);
        }
        if !unread.is_empty() {
            let unread = unread.join(", ");
            let words = format!("not an address and port: {unread}. Add a [[listener]] for each");
            self.ask(name, &words);
        }
        is_any
    }

    /// Whether AuthFlags, as names or as a number, let nobody in without a password.
    fn needs_password(&mut self) -> bool {
        let Some(flags) = self.server.get("AuthFlags") else {
            return false;
        };
        let mut names = flags.split('|').map(str::trim);
        let is_anonymous = match flags.trim().parse::<u32>() {
            // MD_AUTH_ANONYMOUS
            Ok(number) => number & 1 == 1,
            Err(_) => names.any(|it| it.eq_ignore_ascii_case("AuthAnonymous")),
        };
        self.ask("AuthFlags", "write a [[user]] for each name with which clients authenticate: the relay knows no Windows accounts");
        !is_anonymous
    }

    fn sending(&mut self) {
        let host = self.server.get("SmartHost").map_or("", String::as_str);
        match host {
            "" => self.change("SmartHost", "IIS sends to the recipients' servers itself; the relay sends everything through Graph"),
            _ => self.change("SmartHost", "Graph replaces the smart host: everything is sent by the mailbox of [[account]]"),
        }
        self.change("SmartHostType", "everything goes to Exchange");
        match mailbox(self.server) {
            Some(_) => self.once("RouteUserName", "mailbox of [[account]]", |it| {
                it.take("RouteUserName", "mailbox of [[account]]");
            }),
            None => self.change(
                "RouteUserName",
                "this is not an address, so it cannot be the mailbox that sends",
            ),
        }
        self.change(
            "RoutePassword",
            "Graph needs an app registration instead of a password",
        );
        if let Some(name) = self
            .server
            .get("FullyQualifiedDomainName")
            .filter(|it| !it.is_empty())
        {
            self.top("FullyQualifiedDomainName", "hostname", name);
        }
        let domain = self
            .server
            .get("DefaultDomain")
            .filter(|it| it.contains('.'));
        if let Some(domain) = domain
            && Address::of_domain(domain).is_some_and(|it| it.is_routable())
        {
            self.top("DefaultDomain", "default_recipient_domain", domain);
        }
    }

    /// Asks about a server that IIS does not run.
    fn state(&mut self) {
        for name in stopped(self.server) {
            self.warn(
                name,
                "IIS did not run this server: remove its [[listener]] if nobody is to send there",
            );
        }
    }

    fn pickup(&mut self) {
        self.ask(
            "PickupDirectory",
            "if applications write files there: add a [[pickup]] with a folder of this machine that \
             they can reach, for instance as a share",
        );
    }

    fn shown(&self, name: &str) -> String {
        let value = self.server.get(name).map_or("", String::as_str);
        shown(self.location, name, value)
    }

    fn take(&mut self, name: &'static str, words: &str) {
        self.reported.insert(name);
        if self.server.contains_key(name) {
            let setting = self.shown(name);
            self.found.take(setting, words);
        }
    }

    /// Handles a setting that the relay has once, for all listeners. The first server that runs decides
    /// about it, also by having none.
    fn once(&mut self, name: &'static str, key: &str, decide: impl FnOnce(&mut Self)) {
        if self.server.get(name) == self.deciding.get(name) {
            return decide(self);
        }
        let words = match self.deciding.contains_key(name) {
            true => format!(
                "{key}: the relay has one for all listeners, and {} decides about it",
                self.first
            ),
            false => format!(
                "{key}: the relay has one for all listeners, and {} sets none",
                self.first
            ),
        };
        self.change(name, &words);
    }

    /// Takes over a key before the first section.
    fn top(&mut self, name: &'static str, key: &str, value: &str) {
        self.once(name, key, |it| {
            it.found.draft.top(key, value);
            it.take(name, key);
        });
    }

    fn change(&mut self, name: &'static str, words: &str) {
        self.reported.insert(name);
        if self.server.contains_key(name) {
            let setting = self.shown(name);
            self.found.change(setting, words);
        }
    }

    /// Asks about a setting with which the relay may let in more than IIS.
    fn warn(&mut self, name: &'static str, words: &str) {
        self.reported.insert(name);
        if self.server.contains_key(name) {
            let setting = self.shown(name);
            self.found.warn(setting, words);
        }
    }

    fn ask(&mut self, name: &'static str, words: &str) {
        self.reported.insert(name);
        if self.server.contains_key(name) {
            let setting = self.shown(name);
            self.found.ask(setting, words);
        }
    }
}

/// A binding as IIS writes it, `192.0.2.1:25:` or `:25:`.
fn address(binding: &str, is_local: bool) -> Option<SocketAddr> {
    let binding = binding.strip_suffix(':').unwrap_or(binding);
    let (ip, port) = binding.rsplit_once(':')?;
    let everywhere = match is_local {
        true => IpAddr::from([127, 0, 0, 1]),
        false => IpAddr::from([0, 0, 0, 0]),
    };
    let ip = match ip.trim_matches(['[', ']']) {
        "" => everywhere,
        ip => ip.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port.parse().ok()?))
}
