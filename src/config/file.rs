//! The keys of `relay.toml`, their defaults and what is refused.
//!
//! In the order of a message's path. Every default is written here and nowhere
//! else; `relay.toml` repeats it for people and a test compares the two.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use toml::de::DeTable;

use super::Account;
use super::BareLf;
use super::Config;
use super::ConfigError;
use super::Delivery;
use super::Http;
use super::Limits;
use super::Listener;
use super::Log;
use super::LogFormat;
use super::LogLevel;
use super::Mailbox;
use super::Presence;
use super::SecretSource;
use super::loopback;
use super::reader::Marked;
use super::reader::Problems;
use super::reader::Section;
use super::units::ByteSize;
use super::units::Span;
use crate::mail::Address;
use crate::mail::Pattern;

/// Entra's host in the global cloud (microsoft-graph documentation, "National
/// cloud deployments").
const GLOBAL_LOGIN: &str = "https://login.microsoftonline.com";
/// Graph's host in the global cloud.
const GLOBAL_GRAPH: &str = "https://graph.microsoft.com";

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let problems = Problems::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        problems.add(&error.span().unwrap_or(0..0), error.message());
    }
    if !errors.is_empty() {
        // What could not be read would only be reported as missing.
        return Err(problems
            .finish(path)
            .err()
            .unwrap_or_else(|| ConfigError::whole(path, "cannot be read as TOML".to_owned())));
    }
    let mut top = Section::top(table.get_ref(), &problems);
    let config = Config {
        hostname: hostname(&mut top),
        data_dir: top.optional("data_dir").unwrap_or_else(data_dir),
        listeners: listeners(&mut top),
        limits: limits(&mut top),
        accounts: accounts(&mut top, &problems),
        delivery: delivery(&mut top),
        failure_keep: keep(&mut top, "failure"),
        history_keep: keep(&mut top, "history"),
        http: http(&mut top),
        log: log(&mut top),
    };
    top.finish();
    problems.finish(path)?;
    Ok(config)
}

pub(super) fn data_dir_of(text: &str) -> PathBuf {
    let problems = Problems::new(text);
    let (table, _) = DeTable::parse_recoverable(text);
    let given = Section::top(table.get_ref(), &problems).optional("data_dir");
    given.unwrap_or_else(data_dir)
}

fn hostname(top: &mut Section<'_>) -> String {
    let usable = |name: &str| {
        !name.is_empty()
            && name.len() <= 255
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    let machine = rustix::system::uname();
    match top.marked::<String>("hostname") {
        Some(marked) => {
            if !usable(&marked.value) {
                let message =
                    "hostname: letters, digits, dots and hyphens only, like \"relay.contoso.com\"";
                top.problem_at(&marked.span, message);
            }
            marked.value
        }
        None => match machine.nodename().to_str() {
            Ok(name) if usable(name) => name.to_owned(),
            _ => "localhost".to_owned(),
        },
    }
}

/// systemd's `$STATE_DIRECTORY`, else what the contract says for root and for
/// everybody else.
fn data_dir() -> PathBuf {
    if let Some(given) = std::env::var_os("STATE_DIRECTORY") {
        return given.into();
    }
    if rustix::process::geteuid().is_root() {
        return "/var/lib/graph-relay".into();
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    state
        .unwrap_or_else(|| home().join(".local/state"))
        .join("graph-relay")
}

fn listeners(top: &mut Section<'_>) -> Vec<Listener> {
    let sections = top.tables("listener");
    if sections.is_empty() {
        return Listener::defaults();
    }
    sections.into_iter().filter_map(listener).collect()
}

fn listener(mut section: Section<'_>) -> Option<Listener> {
    let address = section.required::<String>("address");
    let networks: Option<Vec<IpNet>> = section.optional("networks");
    let bare_lf = section.or("bare_lf", BareLf::Normalise);
    let address = address.and_then(|marked| match marked.value.parse::<SocketAddr>() {
        Ok(address) => Some(marked.map(|_| address)),
        Err(_) => {
            let message = format!(
                "address: {:?} is not an IP address with a port: write it like \
                 \"127.0.0.1:2525\" or \"[::1]:2525\"",
                marked.value
            );
            section.problem_at(&marked.span, message);
            None
        }
    });
    if let Some(address) = &address
        && !address.value.ip().is_loopback()
        && networks.is_none()
    {
        let message = format!(
            "the listener {} can be reached from other machines: name those that may send, like \
             networks = [\"192.0.2.0/24\"], or listen on 127.0.0.1",
            address.value
        );
        section.problem_at(&address.span, message);
    }
    section.finish();
    Some(Listener {
        address: address?.value,
        networks: networks.unwrap_or_else(loopback),
        bare_lf,
        presence: Presence::Required,
    })
}

fn limits(top: &mut Section<'_>) -> Limits {
    let mut section = top.table("limits");
    let limits = Limits {
        message_size: section.or("message_size", ByteSize(35_000_000)).0,
        recipients: section.at_least_one("recipients", 500),
        connections: section.at_least_one("connections", 512),
        connections_per_client: section.at_least_one("connections_per_client", 64),
        command_timeout: section.or("command_timeout", Span(5 * MINUTE)).0,
        data_timeout: section.or("data_timeout", Span(3 * MINUTE)).0,
        session_timeout: section.or("session_timeout", Span(HOUR)).0,
        errors_per_session: section.or("errors_per_session", 20),
        spool_size: at_least(
            &mut section,
            "spool_size",
            ByteSize(10_000_000_000),
            LEAST_SPOOL_SIZE,
        ),
        free_space: at_least(
            &mut section,
            "free_space",
            ByteSize(500_000_000),
            LEAST_FREE_SPACE,
        ),
    };
    section.finish();
    limits
}

/// A size with a lower bound.
fn at_least(
    limits: &mut Section<'_>,
    key: &'static str,
    default: ByteSize,
    (least, written, why): (ByteSize, &str, &str),
) -> u64 {
    match limits.marked::<ByteSize>(key) {
        Some(marked) if marked.value < least => {
            limits.problem_at(
                &marked.span,
                format!("{key}: must be {written:?} or more: {why}"),
            );
            default.0
        }
        Some(marked) => marked.value.0,
        None => default.0,
    }
}

/// What the spool itself may need: its log of up to some 4 MB goes into the
/// database while new entries are written behind it.
const LEAST_FREE_SPACE: (ByteSize, &str, &str) = (
    ByteSize(8_000_000),
    "8 MB",
    "with less, a full disk would keep the relay from writing down what became of its messages",
);
/// Room is looked for before the size of a message is known.
const LEAST_SPOOL_SIZE: (ByteSize, &str, &str) = (
    ByteSize(1_000_000),
    "1 MB",
    "with less, no message would be taken",
);

fn accounts(top: &mut Section<'_>, problems: &Problems<'_>) -> Vec<Account> {
    let sections = top.tables("account");
    if sections.is_empty() {
        problems.add_whole(
            "no [[account]]: name the tenant, client_id, client secret and mailbox to send with",
        );
    }
    let several = sections.len() > 1;
    let mut accounts: Vec<Account> = Vec::new();
    for mut section in sections {
        let named = section.optional::<String>("name");
        if several && named.is_none() {
            section.problem("with several [[account]] each needs a \"name\"");
        }
        let name = named.unwrap_or_else(|| "default".to_owned());
        if accounts.iter().any(|other| other.name == name) {
            section.problem(format!("there are two [[account]] named {name:?}"));
        }
        accounts.extend(account(&mut section, name));
        section.finish();
    }
    accounts
}

fn account(section: &mut Section<'_>, name: String) -> Option<Account> {
    let tenant = identifier(section, "tenant");
    let client_id = identifier(section, "client_id");
    let client_secret = client_secret(section);
    let mailbox = section.required::<MailboxText>("mailbox");
    let senders = section.or("senders", vec![Pattern::from("*".to_owned())]);
    let default_from = section.optional::<Address>("default_from");
    let login_url = base_url(section, "login_url", GLOBAL_LOGIN);
    let graph_url = base_url(section, "graph_url", GLOBAL_GRAPH);
    let mut pace = section.table("pace");
    let concurrency = pace.at_least_one("concurrency", CONCURRENCY);
    pace.finish();
    Some(Account {
        name,
        tenant: tenant?,
        client_id: client_id?,
        client_secret: client_secret?,
        mailbox: mailbox?.value.0,
        senders,
        default_from,
        login_url,
        graph_url,
        concurrency,
    })
}

/// Graph takes four requests at once of an app for a mailbox ("Outlook service
/// limits").
const CONCURRENCY: usize = 4;

/// `mailbox`: an address, or the word `from`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct MailboxText(Mailbox);

impl TryFrom<String> for MailboxText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "from" {
            return Ok(Self(Mailbox::From));
        }
        text.parse()
            .map(|address| Self(Mailbox::Fixed(address)))
            .map_err(|error| {
                format!("{error}: write the mailbox that sends, like \"noreply@contoso.com\", or \"from\"")
            })
    }
}

/// A tenant or client id: goes into a URL path, so nothing but what those have.
fn identifier(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let marked = section.required::<String>(key)?;
    let id = marked.value;
    let plain = id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if id.is_empty() || !plain || id.contains("..") {
        let message = format!("{key}: {id:?} is neither an id nor a domain");
        section.problem_at(&marked.span, message);
        return None;
    }
    Some(id)
}

fn client_secret(section: &mut Section<'_>) -> Option<SecretSource> {
    let file = section.marked::<PathBuf>("client_secret_file");
    let environment = section.marked::<String>("client_secret_env");
    let credential = section.marked::<String>("client_secret_credential");
    let mut sources: Vec<Marked<SecretSource>> = Vec::new();
    sources.extend(file.map(|m| m.map(SecretSource::File)));
    sources.extend(environment.map(|m| m.map(SecretSource::Environment)));
    sources.extend(credential.map(|m| m.map(SecretSource::Credential)));
    if sources.len() > 1 {
        section.problem(
            "the client secret is named more than once: keep one of client_secret_file, \
             client_secret_env, client_secret_credential",
        );
    }
    let Some(source) = sources.pop() else {
        section.problem(
            "[[account]] needs its client secret: client_secret_file = \"/etc/graph-relay/client-secret\"",
        );
        return None;
    };
    // A credential can only be read by the service that systemd gives it to.
    let readable = !matches!(source.value, SecretSource::Credential(_))
        || std::env::var_os("CREDENTIALS_DIRECTORY").is_some();
    if readable && let Err(error) = source.value.read() {
        section.problem_at(&source.span, format!("client secret: {error}"));
    }
    Some(source.value)
}

/// Scheme, host and port without a path; plain http only to this machine.
fn base_url(section: &mut Section<'_>, key: &'static str, default: &str) -> String {
    let Some(marked) = section.marked::<String>(key) else {
        return default.to_owned();
    };
    let url = marked.value.trim_end_matches('/').to_owned();
    if let Err(wrong) = check_base_url(&url) {
        section.problem_at(&marked.span, format!("{key}: {wrong}"));
    }
    url
}

fn check_base_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| format!("{url:?}: {error}"))?;
    let host = parsed.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    match parsed.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return Err(format!(
                "plain http only to this machine: write https://{host}"
            ));
        }
        _ => return Err(format!("{url:?} must begin with https://")),
    }
    let bare_host = parsed.path() == "/"
        && parsed.query().is_none()
        && parsed.fragment().is_none()
        && parsed.username().is_empty()
        && parsed.password().is_none();
    if bare_host {
        Ok(())
    } else {
        Err("scheme and host only: the relay appends the path".to_owned())
    }
}

fn delivery(top: &mut Section<'_>) -> Delivery {
    let mut section = top.table("delivery");
    // Short at first, because most trouble passes; then so that an outage of a
    // day costs some thirty requests a message.
    let default = vec![
        Span(10 * SECOND),
        Span(30 * SECOND),
        Span(MINUTE),
        Span(2 * MINUTE),
        Span(5 * MINUTE),
        Span(10 * MINUTE),
        Span(15 * MINUTE),
        Span(30 * MINUTE),
        Span(HOUR),
    ];
    let retry = section.or("retry", default);
    if retry.is_empty() {
        section.problem("retry: needs at least one time");
    }
    let delivery = Delivery {
        retry: retry.into_iter().map(|span| span.0).collect(),
        expire_after: section.or("expire_after", Span(4 * DAY)).0,
        workers: section.at_least_one("workers", 32),
    };
    section.finish();
    delivery
}

fn keep(top: &mut Section<'_>, key: &'static str) -> Duration {
    let mut section = top.table(key);
    let keep = section.or("keep", Span(30 * DAY)).0;
    section.finish();
    keep
}

fn http(top: &mut Section<'_>) -> Http {
    let mut section = top.table("http");
    let proxy = section.marked::<String>("proxy");
    if let Some(proxy) = &proxy
        && let Err(error) = reqwest::Proxy::all(proxy.value.as_str())
    {
        section.problem_at(&proxy.span, format!("proxy: {error}"));
    }
    let ca_file = section.marked::<PathBuf>("ca_file");
    if let Some(ca_file) = &ca_file
        && let Err(error) = std::fs::metadata(&ca_file.value)
    {
        let path = ca_file.value.display();
        section.problem_at(&ca_file.span, format!("ca_file: {path}: {error}"));
    }
    let http = Http {
        proxy: proxy.map(|proxy| proxy.value),
        ca_file: ca_file.map(|file| file.value),
        timeout: section.or("timeout", Span(MINUTE)).0,
    };
    section.finish();
    http
}

fn log(top: &mut Section<'_>) -> Log {
    let mut section = top.table("log");
    let log = Log {
        level: section.or("level", LogLevel::Info),
        format: section.or("format", LogFormat::Text),
    };
    section.finish();
    log
}
