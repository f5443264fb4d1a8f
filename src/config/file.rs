//! The keys of `relay.toml`, their defaults and their checks.
//!
//! They are in the order of a message's path. Every default is defined here only;
//! `relay.toml` repeats it for people, and a test compares the two.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::de::DeTable;

use super::Config;
use super::ConfigError;
use super::Delivery;
use super::Http;
use super::Limits;
use super::Listener;
use super::Notify;
use super::Origin;
use super::Place;
use super::ProblemKind;
use super::ProxyUrl;
use super::accounts;
use super::admin;
use super::alerts;
use super::aliases;
use super::listeners;
use super::listeners::pickup;
use super::listeners::received;
use super::listeners::tls;
use super::listeners::users;
use super::log;
use super::places;
use super::reader::Environment;
use super::reader::Problems;
use super::reader::Section;
use super::reader::Source;
use super::senders;
use super::units::ByteSize;
use super::units::OrOff;
use super::units::Span;
use super::units::SpanOrOff;
use super::warnings;
use crate::credentials;
use crate::mail::Address;
use crate::mail::Surroundings;
use crate::platform::system;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn parse(source: &Source, path: &Path) -> Result<Config, ConfigError> {
    let problems = source.problems();
    let (table, is_toml) = source.table(&problems);
    if !is_toml {
        // Values that could not be read would only be reported as missing.
        return Err(problems.finish(path).err().unwrap_or_else(|| {
            ConfigError::whole(path, "this file is not valid TOML".to_owned())
        }));
    }
    let mut config = everything(&table, &problems, path);
    config.origin = Origin {
        environment: source.environment(),
        is_file_missing: !source.has_file(),
        variables: problems.used(),
    };
    warnings::of_text(&config, &problems);
    config.warnings = problems.finish(path)?;
    Ok(config)
}

/// Reads every section, and adds problems.
pub(super) fn everything<'a>(
    table: &'a DeTable<'a>,
    problems: &'a Problems<'a>,
    path: &Path,
) -> Config {
    let mut top = Section::top(table, problems);
    let accounts = accounts::read(&mut top, problems);
    let senders = senders::read(&mut top, &accounts);
    let tls = tls::read_section(&mut top);
    let has_certificate = tls.is_some();
    let (failure_notify, failure_keep) = failure(&mut top);
    let hostname = hostname(&mut top);
    let limits = limits(&mut top);
    let context = aliases::Context {
        hostname: &hostname,
        accounts: &accounts,
        notify: &failure_notify,
        limits: &limits,
    };
    let surroundings = aliases::surroundings(&mut top, context);
    let users = users::read(&mut top, &accounts, &surroundings);
    let listeners = listeners::read(&mut top, tls.as_ref(), &users, &surroundings);
    let aliases = aliases::read(&mut top, surroundings, context);
    let (history_keep, history_content, history_subjects) = history(&mut top);
    let admin = admin::read(&mut top, has_certificate, Some(&accounts), &listeners);
    let data_dir = data_dir(&mut top, path);
    let config = Config {
        pickups: pickup::read(&mut top, &data_dir),
        data_dir,
        aliases: Arc::new(aliases),
        listeners,
        tls,
        limits,
        hostname,
        users,
        alerts: alerts::read(&mut top, &accounts),
        accounts,
        received_client: received::read(&mut top),
        senders,
        delivery: delivery(&mut top),
        failure_notify,
        failure_keep,
        history_keep,
        history_content,
        history_subjects,
        http: http(&mut top),
        admin,
        doctor_every: alerts::doctor_every(&mut top),
        log: log::read(&mut top),
        origin: Origin::default(),
        warnings: Vec::new(),
    };
    top.finish();
    with_needs(config)
}

fn data_dir(top: &mut Section<'_>, path: &Path) -> PathBuf {
    let Some(folder) = top.marked::<PathBuf>("data_dir") else {
        return places::data_dir(path);
    };
    let is_below_a_file = |error: io::Error| error.kind() == io::ErrorKind::NotADirectory;
    if fs::metadata(&folder.value).map_or_else(is_below_a_file, |found| !found.is_dir()) {
        let message = format!(
            "data_dir: {} is not a folder: name a folder of the relay's own, which it creates if \
             it does not exist",
            folder.value.display()
        );
        top.problem_at(&folder.span, message);
    }
    folder.value
}

/// Notes which accounts send messages so large that they need drafts.
fn with_needs(mut config: Config) -> Config {
    for account in &mut config.accounts {
        let size = config.limits.message_size;
        account.needs_drafts = account.submission.needs_drafts(size);
    }
    config
}

impl Config {
    /// The same as [`load`](Self::load), with or without environment variables.
    ///
    /// # Errors
    ///
    /// All its problems, in the file's order.
    pub fn load_with(path: &Path, environment: Environment) -> Result<Self, ConfigError> {
        let source = Source::read(path, environment)?;
        let mut config = parse(&source, path)?;
        let warning = warnings::of_file(&config, path, source.text());
        config.warnings.extend(warning);
        Ok(config)
    }
}

/// What commands need of a configuration file, whatever else is in it: they talk to the
/// running relay, and a user without permission to read its secrets can run them.
impl Config {
    /// The folder that it names.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn data_dir_of(path: &Path) -> Result<PathBuf, ConfigError> {
        let given = part_of(path, |top| top.optional("data_dir"))?;
        Ok(given.unwrap_or_else(|| places::data_dir(path)))
    }

    /// The listeners that it names.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn listeners_of(path: &Path) -> Result<Vec<Listener>, ConfigError> {
        part_of(path, |top| {
            listeners::read(top, None, &[], &Surroundings::default())
        })
    }

    /// Where it has metrics and health checks served.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn metrics_of(path: &Path) -> Result<Option<SocketAddr>, ConfigError> {
        part_of(path, |top| admin::read(top, true, None, &[]).metrics)
    }

    /// Where it has this key of `[admin]`, for an error that comes later.
    pub fn place_in_admin(path: &Path, key: &'static str) -> Option<Place> {
        let place = |top: &mut Section<'_>| {
            let mut section = top.table("admin");
            let value = section.marked::<String>(key)?;
            Some(section.place(&value.span))
        };
        part_of(path, place).ok()?
    }
}

fn part_of<T>(path: &Path, read: impl FnOnce(&mut Section<'_>) -> T) -> Result<T, ConfigError> {
    let source = Source::read(path, Environment::Counts)?;
    let problems = source.problems();
    let (table, _) = source.table(&problems);
    let mut top = Section::top(&table, &problems);
    Ok(read(&mut top))
}

fn hostname(top: &mut Section<'_>) -> String {
    let usable = |name: &str| {
        !name.is_empty()
            && name.len() <= 255
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    let machine = system::hostname();
    match top.marked::<String>("hostname") {
        Some(marked) => {
            if !usable(&marked.value) {
                let message = "hostname: use letters, digits, dots and hyphens only, like \"relay.contoso.com\"";
                top.problem_at(&marked.span, message);
            }
            marked.value
        }
        None if usable(&machine) => machine,
        None => "localhost".to_owned(),
    }
}

fn limits(top: &mut Section<'_>) -> Limits {
    let mut section = top.table("limits");
    // All applications of a machine share its address: the default must not stop them, but an
    // explicit limit may.
    let is_written = section.has("connections_per_client");
    let per_client = section.at_least_one("connections_per_client", 64);
    let limits = Limits {
        message_size: at_least(
            &mut section,
            "message_size",
            ByteSize(35_000_000),
            LEAST_MESSAGE_SIZE,
        ),
        recipients: section.at_least_one("recipients", 500),
        connections: section.at_least_one("connections", 512),
        reserved_connections: section.or("reserved_connections", 16),
        connections_per_client: per_client,
        connections_per_local_client: is_written.then_some(per_client),
        messages_per_minute_per_client: section
            .or("messages_per_minute_per_client", OrOff::Off)
            .number(),
        recipients_per_hour_per_client: section
            .or("recipients_per_hour_per_client", OrOff::Off)
            .number(),
        pre_mail_timeout: some_time(&mut section, "pre_mail_timeout", 45 * SECOND),
        command_timeout: some_time(&mut section, "command_timeout", 5 * MINUTE),
        data_timeout: some_time(&mut section, "data_timeout", 3 * MINUTE),
        session_timeout: some_time(&mut section, "session_timeout", HOUR),
        errors_per_session: errors_per_session(&mut section),
        received_headers: section.at_least_one("received_headers", 50),
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

/// Small enough to fit into every type that it is compared with.
fn errors_per_session(section: &mut Section<'_>) -> u32 {
    u32::try_from(section.at_least_one("errors_per_session", 20)).unwrap_or(u32::MAX)
}

/// Reads a time that must not be zero.
fn some_time(section: &mut Section<'_>, key: &'static str, default: Duration) -> Duration {
    match section.marked::<Span>(key) {
        Some(marked) if marked.value.0.is_zero() => {
            section.problem_at(&marked.span, format!("{key}: must be more than 0"));
            default
        }
        Some(marked) => marked.value.0,
        None => default,
    }
}

/// Reads a size with a lower bound.
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

/// The space that the spool itself may need: its log of up to about 4 MB is copied into the
/// database while new entries are written after it.
const LEAST_FREE_SPACE: (ByteSize, &str, &str) = (
    ByteSize(8_000_000),
    "8 MB",
    "with less, the relay could not record the result of deliveries on a full disk",
);
/// SIZE 0 would mean that there is no limit (RFC 1870 4).
const LEAST_MESSAGE_SIZE: (ByteSize, &str, &str) = (
    ByteSize(10_000),
    "10 kB",
    "with less, the relay would refuse almost every message",
);
/// The relay checks for room before it knows the size of a message.
const LEAST_SPOOL_SIZE: (ByteSize, &str, &str) = (
    ByteSize(1_000_000),
    "1 MB",
    "with less, the relay could not accept any message",
);

fn delivery(top: &mut Section<'_>) -> Delivery {
    let mut section = top.table("delivery");
    // Short at first, because most problems pass quickly; later such that an outage of a day
    // costs about thirty requests per message.
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
    let written = section.marked::<Vec<Span>>("retry");
    let retry = written.as_ref().map_or(default, |it| it.value.clone());
    if retry.is_empty() || retry.contains(&Span(Duration::ZERO)) {
        section.problem("retry: write at least one time, and none that is 0");
    }
    let warn_after = section.marked::<SpanOrOff>("warn_after");
    let delivery = Delivery {
        retry: retry.into_iter().map(|span| span.0).collect(),
        expire_after: some_time(&mut section, "expire_after", 4 * DAY),
        warn_after: warn_after
            .as_ref()
            .map_or_else(|| SpanOrOff::Span(4 * HOUR), |it| it.value)
            .span(),
        workers: section.at_least_one("workers", 32),
    };
    // The default of either is no mistake of the administrator's.
    let is_too_long = |time: Option<&Duration>| time.is_some_and(|it| *it >= delivery.expire_after);
    if let Some(written) = written.filter(|_| is_too_long(delivery.retry.first())) {
        let message = "retry: the first time is not shorter than expire_after, so a message may get \
                       no second attempt: write shorter times, or raise expire_after";
        section.warning_at(&written.span, message);
    }
    if let Some(written) = warn_after.filter(|_| is_too_long(delivery.warn_after.as_ref())) {
        let message = "warn_after: this is not shorter than expire_after, so no delay notice is ever \
                       sent: write a shorter time, or \"off\"";
        section.warning_at(&written.span, message);
    }
    section.finish();
    delivery
}

fn failure(top: &mut Section<'_>) -> (Notify, Duration) {
    let mut section = top.table("failure");
    let notify = section.or("notify", NotifyText(Notify::Sender)).0;
    let keep = section.or("keep", Span(30 * DAY)).0;
    section.finish();
    (notify, keep)
}

/// `notify`: a word or an address.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct NotifyText(Notify);

impl TryFrom<String> for NotifyText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "sender" => Ok(Self(Notify::Sender)),
            "off" => Ok(Self(Notify::Off)),
            // Exchange Online delivers to no other addresses.
            _ => match text.parse::<Address>() {
                Ok(address) if address.is_routable() => Ok(Self(Notify::Address(address))),
                Ok(_) | Err(_) => Err(
                    "write \"sender\", \"off\", or an address like \"it@contoso.com\" whose domain is public",
                ),
            },
        }
    }
}

/// Reads how long the history is kept, how long content, and whether Subjects are.
fn history(top: &mut Section<'_>) -> (Duration, Option<Duration>, bool) {
    let mut section = top.table("history");
    let keep = section.or("keep", Span(30 * DAY)).0;
    let content = section.marked::<SpanOrOff>("keep_content");
    if let Some(content) = &content
        && content.value.span().is_some_and(|content| content > keep)
    {
        let wrong = "keep_content: must not be more than keep: what is no longer in the history \
                     cannot be sent again";
        section.problem_at(&content.span, wrong);
    }
    let content = content.and_then(|content| content.value.span());
    let subjects = section.or("subjects", true);
    section.finish();
    (keep, content, subjects)
}

/// Other kinds of proxies would be passed over in silence. Without a scheme it is http.
fn is_of_http(proxy: &str) -> bool {
    let scheme = proxy.split_once("://").map(|(scheme, _)| scheme);
    let is_known =
        scheme.is_none_or(|it| it.eq_ignore_ascii_case("http") || it.eq_ignore_ascii_case("https"));
    is_known && reqwest::Proxy::all(proxy).is_ok()
}

fn http(top: &mut Section<'_>) -> Http {
    let mut section = top.table("http");
    let proxy = section.marked::<String>("proxy");
    if let Some(proxy) = &proxy
        && !is_of_http(&proxy.value)
    {
        let message =
            "proxy: write the URL of an HTTP proxy, like \"http://proxy.contoso.com:8080\"";
        section.problem_at(&proxy.span, message);
    }
    let ca_file = section.marked::<PathBuf>("ca_file");
    if let Some(ca_file) = &ca_file
        && section.can_test(&ca_file.span, &[&ca_file.value])
        && let Err(error) = credentials::open(&ca_file.value)
    {
        let message = format!("ca_file: {}", error.words(&ca_file.value));
        let kind = ProblemKind::of_file(error.is_unreadable());
        section.problem_of_file(&ca_file.span, kind, message);
    }
    let http = Http {
        proxy: proxy.map(|proxy| ProxyUrl(proxy.value)),
        ca_file: ca_file.map(|file| file.value),
        timeout: some_time(&mut section, "timeout", MINUTE),
    };
    section.finish();
    http
}
