//! `relay.toml` as types.
//!
//! [`Config::load`] reads the file and reports all problems at once, each with line and
//! column. A `Config` can be used as it is: its addresses are parsed, required keys exist, no
//! listener is an open relay (promise 6), and every secret was readable at that time.
//! `relay.toml` itself explains the keys, and a test compares its defaults with those here.
//!
//! Sizes are bytes, times are [`Duration`]s.

mod accounts;
mod admin;
pub mod alerts;
mod aliases;
mod differences;
pub mod edit;
mod file;
mod listeners;
mod log;
mod places;
mod reader;
mod senders;
#[cfg(test)]
mod tests;
mod units;
mod warnings;

use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

pub use self::accounts::cloud::Cloud;
pub use self::accounts::credential::Credential;
pub use self::accounts::credential::SignIn;
pub use self::accounts::is_shared;
pub use self::accounts::submission::BlindRule;
pub use self::accounts::submission::Format;
pub use self::accounts::submission::FromRule;
pub use self::accounts::submission::OnDoubt;
pub use self::accounts::submission::Oversize;
pub use self::accounts::submission::QuotedPrintable;
pub use self::accounts::submission::RecipientRule;
pub use self::accounts::submission::Route;
pub use self::accounts::submission::Submission;
pub use self::admin::Admin;
pub use self::admin::AdminPage;
pub use self::admin::EntraLogIn;
pub use self::admin::PageUrl;
pub use self::admin::Person;
pub use self::alerts::Alert;
pub use self::listeners::PRIVILEGED_PORTS;
pub use self::listeners::address::ListenAddress;
pub use self::listeners::pickup::apparmor_lines;
pub use self::listeners::pickup::pickup_remedy;
pub use self::listeners::received::ReceivedClient;
pub use self::log::Log;
pub use self::log::LogFormat;
pub use self::log::LogLevel;
pub use self::places::is_of_the_service;
pub use self::places::is_state_folder;
pub use self::reader::ConfigError;
pub use self::reader::Environment;
pub use self::reader::FromVariable;
pub use self::reader::Place;
pub use self::reader::Problem;
pub use self::reader::ProblemKind;
use self::reader::Source;
pub use self::senders::SenderRule;
pub use self::senders::Senders;
use crate::credentials::CertificateFiles;
use crate::credentials::PasswordHash;
use crate::mail::Address;
use crate::mail::Aliases;
use crate::mail::Pattern;
use crate::mail::RecipientPolicy;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The host name in the greeting, Received and Message-ID.
    pub hostname: String,
    /// The folder of the spool and the admin socket.
    pub data_dir: PathBuf,
    /// The recipients of messages.
    pub aliases: Arc<Aliases>,
    /// The sockets that accept mail; at least one.
    pub listeners: Vec<Listener>,
    /// The folders with messages as files.
    pub pickups: Vec<PathBuf>,
    /// The certificate of the listeners; present if any of them uses TLS.
    pub tls: Option<CertificateFiles>,
    /// The limits for clients and for the spool.
    pub limits: Limits,
    /// The users who may authenticate; names are unique.
    pub users: Vec<User>,
    /// The accounts that send; at least one, names are unique.
    pub accounts: Vec<Account>,
    /// Whether the Received field that the relay adds names the client.
    pub received_client: ReceivedClient,
    /// The rules for From addresses.
    pub senders: Senders,
    /// When messages are sent.
    pub delivery: Delivery,
    /// Who gets a report about a failed message.
    pub failure_notify: Notify,
    /// How long a failed message is kept for the operator.
    pub failure_keep: Duration,
    /// How long the history of a message is kept.
    pub history_keep: Duration,
    /// How long the content of delivered and dropped messages is kept, if at all.
    pub history_content: Option<Duration>,
    /// Whether the history contains Subjects.
    pub history_subjects: bool,
    /// The HTTP client.
    pub http: Http,
    /// What the relay serves about itself over TCP.
    pub admin: Admin,
    /// Whom the relay tells when something needs attention.
    pub alerts: Vec<Alert>,
    /// How often the running relay examines itself; `None` means never.
    pub doctor_every: Option<Duration>,
    /// The log.
    pub log: Log,
    /// Where the values come from.
    pub origin: Origin,
    /// Settings that are allowed but probably wrong.
    pub warnings: Vec<Problem>,
}

/// Where the values of a configuration come from: the file, except for these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Whether environment variables are read.
    pub environment: Environment,
    /// Whether there is no file, so that all values come from the environment.
    pub is_file_missing: bool,
    /// The environment variables with values.
    pub variables: Vec<FromVariable>,
}

/// A socket that accepts mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it accepts connections.
    pub address: ListenAddress,
    /// Whether and when TLS begins.
    pub tls: Tls,
    /// Whether a client may or must authenticate.
    pub authentication: Authentication,
    /// Who may send without authentication, if it is required.
    pub anonymous_networks: Vec<IpNet>,
    /// Who may connect.
    pub networks: Vec<IpNet>,
    /// Which proxies say by a PROXY protocol header who connects.
    pub proxy_protocol_from: Vec<IpNet>,
    /// How a line feed without a carriage return is treated.
    pub bare_lf: Tolerance,
    /// How a carriage return without a line feed is treated.
    pub bare_cr: Tolerance,
    /// How a NUL is treated.
    pub nul: Tolerance,
    /// To whom its clients may send.
    pub recipients: Arc<RecipientPolicy>,
    /// A default listener may be missing if the machine lacks its address family.
    pub presence: Presence,
    /// The position of its address, for later errors.
    pub place: Option<Place>,
}

/// Whether the relay can start without a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The file asks for it.
    Required,
    /// It is a default, and is left out if the machine has no IPv6.
    WhereAvailable,
}

/// Whether and when TLS begins on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Never; nothing is offered that could confuse an old device.
    Off,
    /// When the client asks for it with STARTTLS (RFC 3207).
    Starttls,
    /// With STARTTLS, and no mail is accepted before.
    StarttlsRequired,
    /// When the connection begins (RFC 8314 3.3).
    Implicit,
    /// When the connection begins, if the client's first byte says so; else when it asks for it
    /// with STARTTLS.
    Auto,
}

/// Whether a client may or must authenticate (RFC 4954).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// AUTH is not offered.
    Off,
    /// It is offered, and mail is accepted without it.
    Optional,
    /// No mail is accepted without it, except from `anonymous_networks`.
    Required,
    /// It is offered, and every name and password is accepted without a check: the client has
    /// no more rights afterwards than before.
    Any,
}

/// How bytes in DATA are treated that no message may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerance {
    /// They are replaced by what was meant, and never end DATA.
    Normalise,
    /// The message is refused.
    Refuse,
}

/// [`Limits::connections`] are reserved in shares: one for each listener, one for this
/// machine, one for all clients. With fewer connections than shares, none is reserved.
pub const OTHER_SHARES: usize = 2;

/// Limits for clients and for the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message, in bytes of content.
    pub message_size: u64,
    /// Recipients of one message.
    pub recipients: usize,
    /// Simultaneous connections of all clients.
    pub connections: usize,
    /// Connections reserved for each listener, and for this machine.
    pub reserved_connections: usize,
    /// Simultaneous connections of one client: an IPv4 address, or the /64 of an IPv6 address.
    pub connections_per_client: usize,
    /// The same for an address of this machine, whose applications share it; `None` means no
    /// limit.
    pub connections_per_local_client: Option<usize>,
    /// Messages that one client may send in a minute; `None` means no limit.
    pub messages_per_minute_per_client: Option<u32>,
    /// Recipients that one client or user may have in an hour; `None` means no limit.
    pub recipients_per_hour_per_client: Option<u32>,
    /// The longest time from the connection to AUTH or MAIL.
    pub pre_mail_timeout: Duration,
    /// The longest silence between commands.
    pub command_timeout: Duration,
    /// The longest silence within DATA.
    pub data_timeout: Duration,
    /// The longest session.
    pub session_timeout: Duration,
    /// Refused commands after which a session is closed.
    pub errors_per_session: u32,
    /// Received fields of a message, above which it counts as looping.
    pub received_headers: usize,
    /// Bytes of messages in the spool, above which no more are accepted.
    pub spool_size: u64,
    /// Free bytes on the disk, below which no messages are accepted.
    pub free_space: u64,
}

impl Limits {
    /// Returns the largest message that can be accepted: `message_size`, unless even an empty
    /// spool could not hold it.
    pub fn largest_message(&self) -> u64 {
        /// The space that an entry needs besides its content, for a few recipients: the rows, and
        /// the rest of the last block.
        const BESIDES: u64 = 8 * 1024;
        self.message_size
            .min(self.spool_size.saturating_sub(BESIDES))
    }
}

/// A user who may authenticate to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Compared without regard to case.
    pub name: String,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The addresses that this user may send as: in MAIL FROM, and in the header fields From,
    /// Sender, Resent-From and Resent-Sender.
    pub senders: Vec<Pattern>,
    /// To whom this user may send, in addition to what the listener says.
    pub recipients: RecipientPolicy,
    /// The account that sends for this user; or else the one that the From address selects.
    pub account: Option<String>,
}

/// An app registration in a tenant and how to send through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name in the log and the queue.
    pub name: String,
    /// Directory (tenant) ID or domain; empty for a managed identity.
    pub tenant: String,
    /// Application (client) ID; empty for a managed identity.
    pub client_id: String,
    /// Its credential.
    pub credential: Credential,
    /// For whom it sends.
    pub sign_in: SignIn,
    /// Which mailbox sends.
    pub mailbox: Mailbox,
    /// The From addresses that this account serves.
    pub senders: Vec<Pattern>,
    /// From for a message that has no usable one.
    pub default_from: Option<Address>,
    /// How messages are handed to Graph.
    pub submission: Submission,
    /// Whether one of its messages may have to be sent as a draft, which needs Mail.ReadWrite.
    pub needs_drafts: bool,
    /// Which of Microsoft's clouds the tenant is in.
    pub cloud: Cloud,
    /// Scheme and host of the token endpoint.
    pub login_url: String,
    /// Scheme and host of Graph.
    pub graph_url: String,
    /// Graph's name as a resource, which begins every scope.
    pub graph_resource: String,
    /// The rate limits of each of its mailboxes.
    pub pace: Pace,
}

/// The rate limits of one mailbox; `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Simultaneous requests, from 1.
    pub concurrency: u32,
    /// Messages that may begin within a minute.
    pub messages_per_minute: Option<u32>,
    /// Requests within ten minutes.
    pub requests_per_10_minutes: Option<u32>,
    /// Bytes of request bodies within five minutes.
    pub upload_per_5_minutes: Option<u64>,
    /// Recipients within a day.
    pub recipients_per_day: Option<u32>,
}

/// Which mailbox sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// Always this one.
    Fixed(Address),
    /// The one of the message's From address.
    From,
}

/// When messages are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The waits after the first, second, … deferral; the last one repeats.
    pub retry: Vec<Duration>,
    /// For how long the relay tries to deliver.
    pub expire_after: Duration,
    /// When the sender gets a delay notice; `None` means never.
    pub warn_after: Option<Duration>,
    /// Simultaneous attempts, over all mailboxes.
    pub workers: usize,
}

/// Who gets a report about a failed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Its sender, if that is safe; otherwise the mailbox that sends.
    Sender,
    /// This address, whoever the sender is.
    Address(Address),
    /// Nobody.
    Off,
}

/// The HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The proxy to use instead of the one in the environment.
    pub proxy: Option<ProxyUrl>,
    /// Certificates to trust in addition to the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// The longest wait for an answer; large requests get more.
    pub timeout: Duration,
}

/// The URL of a proxy, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(pub String);

impl ProxyUrl {
    fn has_password(&self) -> bool {
        let parsed = reqwest::Url::parse(&self.0);
        parsed.is_ok_and(|url| url.password().is_some())
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyUrl(..)")
    }
}

impl Config {
    /// Reads a configuration file, and the environment variables that take precedence over it.
    ///
    /// # Errors
    ///
    /// All its problems, in the file's order.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, Environment::Counts)
    }

    /// Reads a configuration from a text alone; `path` is the name it has in errors.
    ///
    /// # Errors
    ///
    /// All its problems, in the text's order.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        file::parse(&Source::new(text.to_owned(), std::iter::empty()), path)
    }
}

impl User {
    /// Whether this user has that name.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Account {
    /// Whether this process can act as the account: not with delegated sign-in, where the relay
    /// has the tokens, and not if systemd gives the credential to the service only.
    pub fn is_usable_here(&self) -> bool {
        self.sign_in == SignIn::Application && self.credential.is_readable_here()
    }

    /// Whether it sends for this From address.
    pub fn serves(&self, from: &Address) -> bool {
        self.senders.iter().any(|pattern| pattern.matches(from))
    }
}

impl Listener {
    /// Whether a connection from this address has to begin with a PROXY protocol header, which
    /// then says where the client is.
    pub fn expects_header_from(&self, peer: IpAddr) -> bool {
        contains(&self.proxy_protocol_from, peer)
    }

    /// Whether a client at this address may connect. IPv4 addresses from an IPv6 socket count
    /// as IPv4.
    pub fn admits(&self, client: IpAddr) -> bool {
        contains(&self.networks, client)
    }

    /// Whether a client at this address may send without authentication.
    pub fn admits_anonymous(&self, client: IpAddr) -> bool {
        match self.authentication {
            Authentication::Off | Authentication::Optional | Authentication::Any => true,
            Authentication::Required => contains(&self.anonymous_networks, client),
        }
    }

    /// Whether a client at this address may send a password without TLS: if the listener has no
    /// TLS, if nobody can read the network, or if the client needs no password anyway.
    pub fn admits_clear_passwords(&self, client: IpAddr) -> bool {
        match self.tls {
            Tls::Off => true,
            Tls::Starttls | Tls::Auto => {
                client.to_canonical().is_loopback() || contains(&self.anonymous_networks, client)
            }
            Tls::StarttlsRequired | Tls::Implicit => false,
        }
    }
}

fn contains(networks: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    networks.iter().any(|network| network.contains(&client))
}

impl ProblemKind {
    /// Checks a file that relay.toml names: `true` if it cannot be read.
    pub fn of_file(is_unreadable: bool) -> Self {
        match is_unreadable {
            true => Self::Unreadable,
            false => Self::Wrong,
        }
    }
}
