//! SMTP2Graph: its `config.yml`, by the names that its documentation and its schema give.
//!
//! Passwords of users are hashed on the way, the app's secret goes into a file of its own. The
//! messages that wait in its queue are taken over by the command (`cli/import/queue.rs`).

mod users;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;

use ipnet::IpNet;
use secrecy::SecretString;
use yaml_rust2::Yaml;

use super::Found;
use super::HIDDEN;
use super::ImportError;
use super::MESSAGE_SIZES;
use super::PORT_IS_SHARED;
use super::content;
use super::draft::SecretFile;
use super::draft::Section;
use super::is_secret;
use super::is_shared;
use super::networks::everywhere;
use super::networks::is_everybody;
use super::networks::is_here;
use super::networks::loopback;
use super::networks::network;
use super::yaml::Values;
use super::yaml::flatten;
use super::yaml::load;

/// What is read, and what has been reported of it.
struct Reading<'a> {
    values: Values,
    folder: &'a Path,
    found: Found,
    reported: BTreeSet<String>,
}

/// Settings without a counterpart, by the beginning of their names.
const REASONS: [(&str, &str); 4] = [
    ("receive.banner", "the relay writes its greeting itself"),
    (
        "receive.rateLimit",
        "SMTP2Graph counts connections. The relay limits those that are open at once (connections of \
         [limits]), and messages if you set messages_per_minute_per_client",
    ),
    (
        "receive.authLimit",
        "the relay slows down whoever guesses passwords, without a setting",
    ),
    (
        "send.retry",
        "retry and expire_after of [delivery]: the relay tries for four days by default, and then \
         reports to the sender",
    ),
];
/// Of any other setting, whose value may be a secret.
const UNKNOWN: &str = "this program does not know the setting: look whether the relay needs it";

/// Reads a `config.yml`.
///
/// # Errors
///
/// The file cannot be read, or is not YAML with settings.
pub fn read(path: &Path) -> Result<Found, ImportError> {
    let text = content(path)?;
    let wrong = |words: String| ImportError::Content {
        path: path.to_owned(),
        words,
    };
    let documents = load(&text).map_err(&wrong)?;
    let mut values = Values::new();
    match documents.first() {
        Some(root @ Yaml::Hash(_)) => flatten(root, "", &mut values),
        _ => return Err(wrong("there are no settings in this file".to_owned())),
    }
    if !values
        .keys()
        .any(|it| it.starts_with("send.") || it.starts_with("receive.") || it == "mode")
    {
        return Err(wrong(
            "this is not a configuration of SMTP2Graph: it has neither send nor receive".to_owned(),
        ));
    }
    let mut found = Found::default();
    found.draft.product = "SMTP2Graph";
    found.files.push(path.to_owned());
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut reading = Reading {
        values,
        folder: absolute.parent().unwrap_or_else(|| Path::new("/")),
        found,
        reported: BTreeSet::new(),
    };
    reading.mode();
    reading.account();
    reading.listener();
    reading.users();
    reading.proxy();
    reading.rest();
    Ok(reading.found)
}

impl Reading<'_> {
    fn mode(&mut self) {
        match self.one("mode").as_deref() {
            None => {}
            Some("full") => self.take("mode", "the relay accepts mail and sends it"),
            Some(_) => self.change(
                "mode",
                "the relay always does both: it accepts mail and sends it",
            ),
        }
    }

    fn account(&mut self) {
        let mut account = Section::new("[[account]]");
        match self.one("send.appReg.tenant") {
            Some(tenant) if tenant.contains(['.', '-']) => {
                account.set("tenant", &tenant);
                self.take("send.appReg.tenant", "tenant of [[account]]");
            }
            Some(tenant) => {
                account.set("tenant", &format!("{tenant}.onmicrosoft.com"));
                self.take(
                    "send.appReg.tenant",
                    "tenant of [[account]], with .onmicrosoft.com",
                );
            }
            None => _ = account.missing("tenant = \"contoso.onmicrosoft.com\""),
        }
        match self.one("send.appReg.id") {
            Some(id) => {
                account.set("client_id", &id);
                self.take("send.appReg.id", "client_id of [[account]]");
            }
            None => _ = account.missing("client_id = \"22222222-2222-2222-2222-222222222222\""),
        }
        self.credential(&mut account);
        let forced = ["send.forceMailbox", "forceMailbox", "forcedSender"];
        let forced = forced
            .into_iter()
            .find_map(|name| Some((name, self.one(name)?)));
        if let Some((name, mailbox)) = forced {
            account.set("mailbox", &mailbox);
            self.take(name, "mailbox of [[account]]. From stays as the application wrote it: with from = \"mailbox\" it becomes the mailbox");
        } else {
            account.set("mailbox", "from");
        }
        let words =
            "senders of [[account]]: the relay refuses others, because no account serves them";
        self.allowed("receive.allowedFrom", "senders", &mut account, words);
        self.found.draft.add(account);
    }

    fn credential(&mut self, account: &mut Section) {
        let (secret, key) = (
            "send.appReg.secret",
            "send.appReg.certificate.privateKeyPath",
        );
        if let Some(value) = self.one(secret) {
            const NAME: &str = "client-secret";
            account.file("client_secret_file", NAME);
            self.found.draft.secret = Some(SecretFile {
                name: NAME,
                value: SecretString::from(value),
            });
            self.take(secret, "client_secret_file of [[account]]: a file of its own, which only the relay can read");
            self.found.ask("client_secret_expires", "enter the day on which the secret expires, as Entra shows it: the relay then warns in time");
        } else if let Some(path) = self.one(key) {
            account.missing("certificate_file = \"/etc/graph-relay/app.crt\"");
            account.set("private_key_file", &self.beside(&path));
            self.take(
                key,
                "private_key_file of [[account]]. Only the relay's user may be able to read it",
            );
            self.change(
                "send.appReg.certificate.thumbprint",
                "the relay computes it from the certificate",
            );
            self.found.ask("certificate_file", "enter the file with the certificate that was uploaded to Entra (PEM): SMTP2Graph has only its thumbprint");
        } else {
            account.missing("client_secret_file = \"/etc/graph-relay/client-secret\"");
        }
    }

    fn listener(&mut self) {
        let mut listener = Section::new("[[listener]]");
        let port = self.port();
        let ip = self.address();
        let has_certificate = self.certificate();
        let is_secure = self.is_on("receive.secure");
        let requires = self.is_on("receive.requireAuth");
        let user = |at: usize| self.one(&format!("receive.users.{at}.username"));
        let has_users = self.users_at().into_iter().any(|at| user(at).is_some());
        let is_guarded = requires && (has_certificate || is_secure);
        let networks = self.networks(is_guarded);
        let ip = match ip {
            Some(ip) => ip,
            None if is_here(&networks) => IpAddr::from([127, 0, 0, 1]),
            None => IpAddr::from([0, 0, 0, 0]),
        };
        let is_local = ip.is_loopback();
        listener.set("address", &SocketAddr::new(ip, port).to_string());
        match (is_secure, has_certificate) {
            (true, _) => _ = listener.set("tls", "implicit"),
            (false, true) => _ = listener.set("tls", "starttls"),
            (false, false) => {}
        }
        if requires || has_users {
            listener.set(
                "authentication",
                if requires { "required" } else { "optional" },
            );
        }
        let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
        listener.list("networks", &shown);
        let words = "recipients_allowed of [[listener]]";
        let name = "receive.allowedRcpt";
        self.allowed(name, "recipients_allowed", &mut listener, words);
        self.found.draft.add(listener);
        for (name, words) in [
            ("receive.port", "address of [[listener]]"),
            ("receive.listenAddress", "address of [[listener]]"),
            ("receive.requireAuth", "authentication of [[listener]]"),
        ] {
            self.take(name, words);
        }
        let words = "tls = \"implicit\": TLS from the first byte. If the clients use STARTTLS, set \"starttls-required\"";
        match is_secure {
            true => self.change("receive.secure", words),
            false => self.take("receive.secure", "tls of [[listener]]"),
        }
        self.insecure_passwords(has_certificate || is_secure, is_local);
        if is_shared(port) {
            self.found.ask(format!("port {port}"), PORT_IS_SHARED);
        }
        self.size();
    }

    /// Writes a list of addresses, if there is one. One that cannot be read allows nobody.
    fn allowed(&mut self, name: &str, key: &str, section: &mut Section, words: &str) {
        let allowed = self.many(name);
        if self.is_map(name) {
            section.list::<&str>(key, &[]);
            let words = format!(
                "this program cannot read the list: {key} is empty until you write the addresses into it"
            );
            self.ask(name, &words);
        } else if !allowed.is_empty() {
            section.list(key, &allowed);
            self.take(name, words);
        }
    }

    fn port(&mut self) -> u16 {
        let name = "receive.port";
        let text = self.one(name).unwrap_or_else(|| "25".to_owned());
        text.parse().unwrap_or_else(|_| {
            self.ask(name, &format!("{text} is not a port: 25 is assumed"));
            25
        })
    }

    /// The address that the file names. In place of a name it is this machine's own, so that the
    /// relay does not listen where SMTP2Graph did not.
    fn address(&mut self) -> Option<IpAddr> {
        let name = "receive.listenAddress";
        let text = self.one(name)?;
        let ip = text.parse::<IpAddr>().ok();
        if ip.is_none() && text != "localhost" {
            let words = format!(
                "{text} is not an address: write its address into address of [[listener]]. Until then \
                 only this machine can connect"
            );
            self.ask(name, &words);
        }
        Some(ip.unwrap_or_else(|| IpAddr::from([127, 0, 0, 1])))
    }

    fn insecure_passwords(&mut self, has_tls: bool, is_local: bool) {
        let name = "receive.allowInsecureAuth";
        match (self.one(name).as_deref() == Some("true"), has_tls && !is_local) {
            (true, true) => self.ask(name, "a listener with TLS accepts passwords without TLS from this machine only. Clients that cannot use TLS need a [[listener]] of their own, with tls = \"off\""),
            (true, false) => self.take(name, "a listener without TLS accepts passwords as they come"),
            (false, _) => self.take(name, "a listener with TLS accepts passwords only over TLS"),
        }
    }

    /// Writes `[tls]`; whether there is a certificate.
    fn certificate(&mut self) -> bool {
        let (certificate, key) = ("receive.tlsCertPath", "receive.tlsKeyPath");
        let Some((first, second)) = self.one(certificate).zip(self.one(key)) else {
            if self.is_on("receive.secure") {
                self.found.ask("[tls]", "SMTP2Graph made a certificate up: the relay needs one in certificate_file and private_key_file");
            }
            return false;
        };
        let (first, second) = (self.beside(&first), self.beside(&second));
        self.found.draft.within("[tls]", |tls| {
            tls.set("certificate_file", &first)
                .set("private_key_file", &second);
        });
        self.take(certificate, "certificate_file of [tls]");
        self.take(
            key,
            "private_key_file of [tls]. The relay's user must be able to read it",
        );
        true
    }

    fn networks(&mut self, is_guarded: bool) -> Vec<IpNet> {
        let name = "receive.ipWhitelist";
        let items = self.many(name);
        let mut networks = Vec::new();
        for item in &items {
            match network(item) {
                Some(network) if is_guarded || !is_everybody(&network) => networks.push(network),
                _ => self.found.ask(
                    name,
                    format!(
                        "{item:?}: name the networks that may send; the relay lets nobody else in"
                    ),
                ),
            }
        }
        if !networks.is_empty() {
            self.take(name, "networks of [[listener]]");
            return networks;
        }
        if !items.is_empty() || self.is_map(name) {
            let words = "this program can read nothing of the list: until you name the machines in \
                         networks of [[listener]], only this machine can send";
            self.ask(name, words);
            return loopback();
        }
        if is_guarded {
            return everywhere();
        }
        self.found.ask(
            name,
            "SMTP2Graph let everybody send who reaches it. The relay never does: until you name the \
             machines in networks of [[listener]], only this machine can send",
        );
        loopback()
    }

    fn size(&mut self) {
        let name = "receive.maxSize";
        let Some(text) = self.one(name) else { return };
        let text = text.to_lowercase();
        let number = |text: &str, factor: u64| text.parse::<u64>().ok()?.checked_mul(factor);
        let size = match (text.strip_suffix('k'), text.strip_suffix('m')) {
            (Some(number_of), _) => number(number_of, 1024),
            (_, Some(number_of)) => number(number_of, 1024 * 1024),
            (None, None) => number(&text, 1),
        };
        match size.filter(|size| MESSAGE_SIZES.contains(size)) {
            Some(size) => {
                let size = format!("\"{size} B\"");
                self.found.draft.limit("message_size", &size);
                self.take(name, "message_size of [limits]");
            }
            None => self.change(name, "message_size of [limits] keeps its default of 35 MB"),
        }
    }

    fn proxy(&mut self) {
        let Some(host) = self.one("httpProxy.host") else {
            return;
        };
        let scheme = self.one("httpProxy.protocol");
        let scheme = scheme.unwrap_or_else(|| "http".to_owned());
        let port = self.one("httpProxy.port").map(|it| format!(":{it}"));
        let port = port.unwrap_or_default();
        let is_more = |it: &&String| it.contains("://") || it.contains('@');
        if [&host, &scheme, &port].iter().any(is_more) {
            for name in ["host", "port", "protocol"] {
                let name = format!("httpProxy.{name}");
                if self.one(&name).is_some() {
                    let words = "this is not a host, port or protocol: write the proxy into proxy of [http], and \
                                 its password into the environment";
                    self.found.ask(format!("{name}: {HIDDEN}"), words);
                    self.reported.insert(name);
                }
            }
        } else {
            self.found.draft.within("[http]", |http| {
                http.set("proxy", &format!("{scheme}://{host}{port}"));
            });
        }
        for name in ["host", "port", "protocol"] {
            self.take(&format!("httpProxy.{name}"), "proxy of [http]");
        }
        if self.one("httpProxy.username").is_some() {
            self.ask("httpProxy.username", "if the proxy needs a password, write ${NAME}@ before the host in proxy of [http], and keep user:password as NAME in the environment");
            self.change(
                "httpProxy.password",
                "it is not taken over: keep it in the environment",
            );
        }
    }

    /// Reports what nothing else has reported.
    fn rest(&mut self) {
        let names: Vec<String> = self.values.keys().cloned().collect();
        for name in names {
            if !self.reported.contains(&name) {
                let setting = self.shown(&name);
                if self.many(&name).is_empty() {
                    let words = "it is empty: the relay keeps its default";
                    self.found.take(setting, words);
                    continue;
                }
                let mut reasons = REASONS.iter();
                match reasons.find(|(start, _)| name.starts_with(start)) {
                    Some((_, reason)) => self.found.lack(setting, *reason),
                    None => self.found.lack(format!("{name}: {HIDDEN}"), UNKNOWN),
                }
            }
        }
    }

    fn one(&self, name: &str) -> Option<String> {
        self.values.get(name)?.first().cloned()
    }

    fn many(&self, name: &str) -> Vec<String> {
        self.values.get(name).cloned().unwrap_or_default()
    }

    /// Whether there are settings in the place of a list, so that nobody knows what it means.
    fn is_map(&self, name: &str) -> bool {
        let start = format!("{name}.");
        let mut following = self.values.range(start.clone()..);
        let next = following.next();
        next.is_some_and(|(name, _)| name.starts_with(&start))
    }

    fn is_on(&self, name: &str) -> bool {
        self.one(name)
            .is_some_and(|it| !["false", "no", "off", "0"].contains(&&*it.to_lowercase()))
    }

    /// A file that is named relative to config.yml.
    fn beside(&self, path: &str) -> String {
        self.folder.join(path).to_string_lossy().into_owned()
    }

    fn shown(&self, name: &str) -> String {
        match is_secret(name) {
            true => format!("{name}: {HIDDEN}"),
            false => format!("{name}: {}", self.many(name).join(", ")),
        }
    }

    /// Asks about a setting, which then needs no other row.
    fn ask(&mut self, name: &str, words: &str) {
        let setting = self.one(name).map(|_| self.shown(name));
        let setting = setting.unwrap_or_else(|| name.to_owned());
        self.found.ask(setting, words);
        self.reported.insert(name.to_owned());
    }

    fn take(&mut self, name: &str, words: &str) {
        if self.one(name).is_some() && self.reported.insert(name.to_owned()) {
            let setting = self.shown(name);
            self.found.take(setting, words);
        }
    }

    fn change(&mut self, name: &str, words: &str) {
        if self.one(name).is_some() && self.reported.insert(name.to_owned()) {
            let setting = self.shown(name);
            self.found.change(setting, words);
        }
    }
}
