//! `relay.toml` as types.
//!
//! [`Config::load`] reads the file and reports everything that is wrong with
//! it at once, each problem with line and column. A `Config` that exists can be
//! run: addresses are parsed, required keys are there, no listener is an open
//! relay (promise 6), and every secret could be read when the file was. What a
//! key means is said in `relay.toml` itself, which a test holds equal to the
//! defaults here.
//!
//! Sizes are bytes, times are [`Duration`]s.

mod accounts;
mod aliases;
mod differences;
mod file;
mod listeners;
mod reader;
mod senders;
mod units;
mod warnings;

use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

pub use self::accounts::cloud::Cloud;
pub use self::accounts::credential::Credential;
pub use self::accounts::credential::SignIn;
pub use self::accounts::submission::BlindRule;
pub use self::accounts::submission::Format;
pub use self::accounts::submission::FromRule;
pub use self::accounts::submission::OnDoubt;
pub use self::accounts::submission::Oversize;
pub use self::accounts::submission::QuotedPrintable;
pub use self::accounts::submission::RecipientRule;
pub use self::accounts::submission::Route;
pub use self::accounts::submission::Submission;
pub use self::file::is_of_the_service;
pub use self::file::is_state_folder;
pub use self::listeners::PRIVILEGED_PORTS;
pub use self::listeners::received::ReceivedClient;
pub use self::reader::ConfigError;
pub use self::reader::Problem;
pub use self::reader::ProblemKind;
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
    /// The name in greeting, Received and Message-ID.
    pub hostname: String,
    /// Where spool and admin socket live.
    pub data_dir: PathBuf,
    /// Who receives mail for which recipient.
    pub aliases: Arc<Aliases>,
    /// Where mail comes in; at least one.
    pub listeners: Vec<Listener>,
    /// The certificate that listeners show; there is one if any of them has TLS.
    pub tls: Option<CertificateFiles>,
    /// What one client may ask for.
    pub limits: Limits,
    /// Who may authenticate; names unique.
    pub users: Vec<User>,
    /// How mail goes out; at least one, names unique.
    pub accounts: Vec<Account>,
    /// Whether the Received field that is added names the client.
    pub received_client: ReceivedClient,
    /// What becomes of From addresses.
    pub senders: Senders,
    /// When it goes out.
    pub delivery: Delivery,
    /// Who gets a report when a message has failed.
    pub failure_notify: Notify,
    /// For how long a failed message is kept for the operator.
    pub failure_keep: Duration,
    /// For how long it is remembered what became of a message.
    pub history_keep: Duration,
    /// Whether it has the Subjects.
    pub history_subjects: bool,
    /// The HTTP client.
    pub http: Http,
    /// The log.
    pub log: Log,
    /// What is probably wrong, and does not keep it from being run.
    pub warnings: Vec<Problem>,
}

/// A socket that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Port 0 takes a free one.
    pub address: SocketAddr,
    /// Whether and when TLS begins.
    pub tls: Tls,
    /// Whether a client may or must authenticate.
    pub authentication: Authentication,
    /// Who may send without, where authentication is required.
    pub anonymous_networks: Vec<IpNet>,
    /// Who may connect.
    pub networks: Vec<IpNet>,
    /// What becomes of a line feed without a carriage return.
    pub bare_lf: Tolerance,
    /// What becomes of a carriage return without a line feed.
    pub bare_cr: Tolerance,
    /// What becomes of a NUL.
    pub nul: Tolerance,
    /// To whom its clients may send.
    pub recipients: Arc<RecipientPolicy>,
    /// A default listener may be missing where its address family is.
    pub presence: Presence,
    /// Line and column of its address in the file, for what goes wrong later.
    pub place: Option<(usize, usize)>,
}

/// Whether the relay can do without a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It was asked for.
    Required,
    /// It is one of the defaults, and left out where the machine has no IPv6.
    WhereAvailable,
}

/// Whether and when TLS begins on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Never; nothing is offered that an old device could stumble over.
    Off,
    /// When the client asks for it by STARTTLS (RFC 3207).
    Starttls,
    /// By STARTTLS, and no mail is taken before.
    StarttlsRequired,
    /// With the connection (RFC 8314 3.3).
    Implicit,
}

/// Whether a client may or must authenticate (RFC 4954).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// AUTH is not offered.
    Off,
    /// It is offered, and mail is taken without it.
    Optional,
    /// No mail is taken without it, but from `anonymous_networks`.
    Required,
    /// It is offered, and every name and password is accepted without a look at it:
    /// the client has no more rights afterwards than before.
    Any,
}

/// What becomes of bytes in DATA that no message may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerance {
    /// They give way to what was meant, and never end DATA.
    Normalise,
    /// The message is refused.
    Refuse,
}

/// [`Limits::connections`] are shared by the listeners, this machine and whoever
/// comes first; with fewer than shares, none is kept.
pub const OTHER_SHARES: usize = 2;

/// Bounds of what a client may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message, in bytes of content.
    pub message_size: u64,
    /// Recipients of one message.
    pub recipients: usize,
    /// Connections at once, of all clients.
    pub connections: usize,
    /// Connections kept for each listener, and for this machine.
    pub reserved_connections: usize,
    /// Connections at once of one client: an IPv4 address, or the /64 of an IPv6
    /// address.
    pub connections_per_client: usize,
    /// The same for an address of this machine, whose applications share it; `None`
    /// is any number.
    pub connections_per_local_client: Option<usize>,
    /// Messages that one client may send in a minute; `None` is any number.
    pub messages_per_minute_per_client: Option<u32>,
    /// Recipients that one client, or whoever authenticated, may have in an hour;
    /// `None` is any number.
    pub recipients_per_hour_per_client: Option<u32>,
    /// The longest time from the connection to AUTH or MAIL.
    pub pre_mail_timeout: Duration,
    /// The longest silence between commands.
    pub command_timeout: Duration,
    /// The longest silence within DATA.
    pub data_timeout: Duration,
    /// The longest session.
    pub session_timeout: Duration,
    /// Refused commands, after which a session is closed.
    pub errors_per_session: u32,
    /// Received fields of a message, above which it is taken for looping.
    pub received_headers: usize,
    /// Bytes of messages that wait, above which no more are taken.
    pub spool_size: u64,
    /// Bytes free on the disk, below which no more are taken.
    pub free_space: u64,
}

impl Limits {
    /// The largest message that can be taken: one of `message_size`, unless the
    /// spool could not hold it even if nothing else were there.
    pub fn largest_message(&self) -> u64 {
        /// What the spool needs besides the content, for a few recipients: the rows,
        /// and the rest of the last block.
        const BESIDES: u64 = 8 * 1024;
        self.message_size
            .min(self.spool_size.saturating_sub(BESIDES))
    }
}

/// Somebody who may authenticate to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Compared without regard to case.
    pub name: String,
    /// Of the password.
    pub password_hash: PasswordHash,
    /// What this user may send as: MAIL FROM, and the header fields From, Sender,
    /// Resent-From and Resent-Sender.
    pub senders: Vec<Pattern>,
    /// To whom this user may send, besides what the listener says.
    pub recipients: RecipientPolicy,
    /// The account that sends for this user; else the one that the From address
    /// belongs to.
    pub account: Option<String>,
}

/// An app registration in a tenant and how to send through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What log and queue call it.
    pub name: String,
    /// Directory (tenant) id or domain; empty for a managed identity.
    pub tenant: String,
    /// Application (client) id; empty for a managed identity.
    pub client_id: String,
    /// What it shows Entra.
    pub credential: Credential,
    /// For whom it acts.
    pub sign_in: SignIn,
    /// Which mailbox sends.
    pub mailbox: Mailbox,
    /// The From addresses that this account serves.
    pub senders: Vec<Pattern>,
    /// From for a message that has no usable one.
    pub default_from: Option<Address>,
    /// What is handed to Graph, and how.
    pub submission: Submission,
    /// Whether one of its messages may have to go by a draft, for which Graph wants
    /// Mail.ReadWrite.
    pub needs_drafts: bool,
    /// Which of Microsoft's clouds the tenant is in.
    pub cloud: Cloud,
    /// Scheme and host of the token endpoint.
    pub login_url: String,
    /// Scheme and host of Graph.
    pub graph_url: String,
    /// Graph's name as a resource, which begins every scope.
    pub graph_resource: String,
    /// How much each of its mailboxes is asked for.
    pub pace: Pace,
}

/// How much one mailbox is asked for; `None` is any amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Requests at once, from 1.
    pub concurrency: u32,
    /// Messages begun within a minute.
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

/// When mail goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The waits after the first, second, … deferral; the last one repeats.
    pub retry: Vec<Duration>,
    /// How long delivery is tried.
    pub expire_after: Duration,
    /// When the sender gets a delay notice; `None` is never.
    pub warn_after: Option<Duration>,
    /// Attempts at once, over all mailboxes.
    pub workers: usize,
}

/// Who gets a report when a message has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Its sender, where that is safe; else the mailbox that sends.
    Sender,
    /// This address, whoever the sender is.
    Address(Address),
    /// Nobody.
    Off,
}

/// The HTTP client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Instead of the environment's proxy.
    pub proxy: Option<ProxyUrl>,
    /// Certificates to trust besides the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// The longest time until an answer is there; large requests get more.
    pub timeout: Duration,
}

/// The URL of a proxy, which may hold a password.
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

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs the operator.
    Error,
    /// What may need the operator.
    Warn,
    /// One line for each thing that becomes of a message.
    Info,
    /// Also sessions and requests.
    Debug,
    /// Everything.
    Trace,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the file's order.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::parse(&file::text(path)?, path)?;
        config.warnings.extend(warnings::of_file(&config, path));
        Ok(config)
    }

    /// The folder that a configuration file names, whatever else is in it: for
    /// commands that talk to the running relay.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn data_dir_of(path: &Path) -> Result<PathBuf, ConfigError> {
        Ok(file::data_dir_of(&file::text(path)?, path))
    }

    /// The listeners that it names, likewise: for users who may not read its secrets.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn listeners_of(path: &Path) -> Result<Vec<Listener>, ConfigError> {
        Ok(file::listeners_of(&file::text(path)?))
    }

    /// Reads a configuration from a text; `path` is the name it has in errors.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the text's order.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        file::parse(text, path)
    }
}

impl User {
    /// Whether this is the user of that name.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Account {
    /// Whether this process can be the account: not where people have signed in,
    /// whose tokens the relay keeps, nor where systemd gives the credential to the
    /// service only.
    pub fn is_usable_here(&self) -> bool {
        self.sign_in == SignIn::Application && self.credential.is_readable_here()
    }

    /// Whether it sends for this From address.
    pub fn serves(&self, from: &Address) -> bool {
        self.senders.iter().any(|pattern| pattern.matches(from))
    }
}

impl Listener {
    /// Whether a client at this address may connect. IPv4 addresses that came
    /// through an IPv6 socket count as IPv4.
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

    /// Whether a client at this address may send a password without TLS: where
    /// there is no TLS to be had, where nobody can listen in, and where the
    /// client is trusted without a password anyway.
    pub fn admits_clear_passwords(&self, client: IpAddr) -> bool {
        match self.tls {
            Tls::Off => true,
            Tls::Starttls => {
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
    /// Of a file that relay.toml names: `true` if it cannot be read.
    pub fn of_file(is_unreadable: bool) -> Self {
        match is_unreadable {
            true => Self::Unreadable,
            false => Self::Wrong,
        }
    }
}
