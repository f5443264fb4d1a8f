//! Who is known to the stand-in and how strict it is: every choice of the emulator that a test may
//! want to make.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header;

/// So much within such a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests or octets.
    pub amount: u64,
    /// Within how long.
    pub span: Duration,
}

impl Rate {
    /// The requests that Graph allows an app and mailbox.
    pub const GRAPH_REQUESTS: Self = Self {
        amount: 10_000,
        span: Duration::from_secs(600),
    };

    /// The octets of request bodies that Graph allows an app and mailbox.
    pub const GRAPH_UPLOAD: Self = Self {
        amount: 150 * 1024 * 1024,
        span: Duration::from_secs(300),
    };
}

/// How an intermediate answer of the upload host writes where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRange {
    /// `2097152`, as the documentation of Outlook's uploads shows it.
    Bare,
    /// `2097152-`, as other upload sessions of Graph have it.
    Open,
}

/// What becomes of a refresh token that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It stays good, as Entra's do.
    Keeps,
    /// It is refused from then on.
    Revokes,
}

/// What is wrong with an ID token, for tests of who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdTokenFlaw {
    /// It is not signed, and says so: `"alg": "none"`.
    Unsigned,
    /// Its claims were changed after it was signed.
    Changed,
    /// Its key has an ID that the tenant does not publish.
    UnknownKey,
    /// Another tenant has issued it.
    OtherIssuer,
    /// It is for another app.
    OtherAudience,
    /// It is of another sign-in.
    OtherNonce,
    /// It has expired.
    Expired,
    /// It is of a guest, who has signed in elsewhere.
    Guest,
}

/// A federated credential of the app: whose assertions stand for it.
#[derive(Clone, Debug)]
pub struct Federated {
    /// The `iss` of the assertion.
    pub issuer: String,
    /// Its `sub`.
    pub subject: String,
    /// Its `aud`.
    pub audience: String,
    /// The certificate, in DER, whose key signs it.
    pub certificate: Vec<u8>,
}

/// The settings of a stand-in. The defaults make a working tenant with one app and two mailboxes.
#[derive(Clone)]
pub struct Settings {
    /// The tenant's id.
    pub tenant: String,
    /// The tenant's domain, which names it in URLs as well.
    pub domain: String,
    /// The app registration's client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// The app's certificates, in DER, for assertions that it signs.
    pub certificates: Vec<Vec<u8>>,
    /// The app's federated credentials.
    pub federated: Vec<Federated>,
    /// Whether the app allows public client flows: nobody who signs in proves to be the app.
    pub public_client: bool,
    /// Whether the app is there for other tenants too, and so at `/common` and `/organizations`.
    pub multi_tenant: bool,
    /// Where a sign-in may be sent back to. The port of a loopback URI does not matter.
    pub redirect_uris: Vec<String>,
    /// The delegated scopes consented to.
    pub consented: Vec<String>,
    /// The resource whose tokens Graph takes.
    pub resource: String,
    /// The application permissions granted, as the `roles` claim has them. None: no such claim.
    pub roles: Vec<String>,
    /// UPNs for which the app has `rbac_roles` by RBAC for Applications, which no claim shows.
    pub rbac_mailboxes: Vec<String>,
    /// What the app may do there, by the names of the application permissions.
    pub rbac_roles: Vec<String>,
    /// How long a token is good, the `expires_in` of its answer.
    pub token_life: Duration,
    /// Whether `expires_in` is told as a string.
    pub expires_in_as_string: bool,
    /// How long an authorization code is good.
    pub code_life: Duration,
    /// How long a device code is good.
    pub device_life: Duration,
    /// How long a device waits between two polls.
    pub device_interval: Duration,
    /// Whether the first poll that comes too early is answered `slow_down`.
    pub device_slow_down: bool,
    /// What becomes of a refresh token that was used.
    pub rotation: Rotation,
    /// The managed identities: `None` is the one assigned by the system, the others are client ids
    /// of those assigned by users.
    pub identities: Vec<Option<String>>,
    /// The value of `X-IDENTITY-HEADER` that App Service wants.
    pub identity_header: String,
    /// The folder that Arc puts its key files into; without it there is no Arc.
    pub arc_folder: Option<PathBuf>,
    /// The URL that pages and documents give for this server, if not the one that the client used.
    pub public_url: Option<String>,
    /// By how many seconds this server's clock is ahead: in the `Date` of every answer, and where
    /// assertions are judged.
    pub clock_skew: Option<i64>,
    /// UPNs of the mailboxes.
    pub mailboxes: Vec<String>,
    /// Object ids of mailboxes, each with its UPN.
    pub object_ids: BTreeMap<String, String>,
    /// UPNs of users without a mailbox (404 `MailboxNotEnabledForRESTAPI`).
    pub unlicensed: Vec<String>,
    /// The RSA key, as PKCS #8 in DER, that signs ID tokens: one that everybody knows, unless said
    /// otherwise. Without one they look as if they were signed, and the tenant publishes no key.
    pub signing_key: Option<Vec<u8>>,
    /// Object ids of the groups of every user, as the `groups` claim of ID tokens has them.
    pub groups: Vec<String>,
    /// Whether ID tokens say that there are too many groups, and name none.
    pub too_many_groups: bool,
    /// What is wrong with ID tokens.
    pub id_token_flaw: Option<IdTokenFlaw>,
    /// UPNs of guests: they sign in, and have no mailbox either.
    pub guests: Vec<String>,
    /// Proxy addresses (aliases), each with the UPN of its mailbox.
    pub proxy_addresses: BTreeMap<String, String>,
    /// Addresses that any mailbox may use as author: aliases, shared mailboxes, lists.
    pub send_as: Vec<String>,
    /// The most octets of a request's body.
    pub request_limit: usize,
    /// The most recipients of a message.
    pub recipient_limit: usize,
    /// The most requests that a mailbox allows at once.
    pub mailbox_concurrency: usize,
    /// The `Retry-After` of a request beyond it, in whole seconds.
    pub retry_after: Duration,
    /// How many requests a mailbox allows; `None`, as many as come, for benchmarks' sake.
    pub request_rate: Option<Rate>,
    /// How many octets of request bodies a mailbox allows, those to the upload host included;
    /// `None`, as many as come.
    pub upload_rate: Option<Rate>,
    /// How many messages a mailbox sends, by either route; `None`, as many as come.
    pub message_rate: Option<Rate>,
    /// The octets from which a file must not be attached in one request (413).
    pub attach_limit: u64,
    /// The fewest octets of a file that an upload session takes.
    pub session_minimum: u64,
    /// The most octets of a file that an upload session takes.
    pub session_limit: u64,
    /// How long an upload session is good.
    pub session_life: Duration,
    /// How an intermediate answer of the upload host writes where to go on.
    pub next_range: NextRange,
    /// MaxSendSize of the mailboxes: the most octets of a message, its files counted as base64.
    pub max_send_size: u64,
    /// The most octets of unsent drafts that a mailbox holds (507 beyond).
    pub draft_quota: u64,
    /// Whether `Prefer: IdType="ImmutableId"` is honoured.
    pub immutable_ids: bool,
    /// How many look-ups do not find a sent message yet.
    pub sent_item_lookups: u32,
    /// The status that a draft already sent is answered with when it is sent again.
    pub sent_again: u16,
    /// The most messages kept.
    pub keep_messages: usize,
    /// The most octets of messages kept.
    pub keep_bytes: usize,
    /// The most records of requests kept.
    pub keep_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tenant: "5a4db0c5-0000-4000-8000-000000000001".to_owned(),
            domain: "sandbox.example".to_owned(),
            client_id: "5a4db0c5-0000-4000-8000-000000000002".to_owned(),
            // Has every character that real secrets have and forms must encode or may not.
            client_secret: "sandbox~Canary.not_a-secret+0000000000".to_owned(),
            certificates: Vec::new(),
            federated: Vec::new(),
            public_client: false,
            multi_tenant: false,
            redirect_uris: REDIRECT_URIS.map(str::to_owned).to_vec(),
            consented: CONSENTED.map(str::to_owned).to_vec(),
            resource: "https://graph.microsoft.com".to_owned(),
            roles: vec!["Mail.Send".to_owned(), "Mail.ReadWrite".to_owned()],
            rbac_mailboxes: Vec::new(),
            rbac_roles: vec!["Mail.Send".to_owned(), "Mail.ReadWrite".to_owned()],
            token_life: Duration::from_secs(3599),
            expires_in_as_string: false,
            code_life: Duration::from_secs(600),
            device_life: Duration::from_secs(900),
            device_interval: Duration::from_secs(5),
            device_slow_down: false,
            rotation: Rotation::Keeps,
            identities: vec![None],
            identity_header: "sandbox-canary-identity-header".to_owned(),
            arc_folder: None,
            public_url: None,
            clock_skew: None,
            mailboxes: MAILBOXES.map(str::to_owned).to_vec(),
            object_ids: BTreeMap::new(),
            unlicensed: Vec::new(),
            guests: Vec::new(),
            signing_key: Some(SIGNING_KEY.to_vec()),
            groups: Vec::new(),
            too_many_groups: false,
            id_token_flaw: None,
            proxy_addresses: BTreeMap::new(),
            send_as: Vec::new(),
            request_limit: 4 * 1024 * 1024,
            recipient_limit: 500,
            mailbox_concurrency: 4,
            retry_after: Duration::from_secs(10),
            request_rate: None,
            upload_rate: None,
            message_rate: None,
            // "Under 3 MB" and "3 MB or more", each in the reading that refuses less: which one
            // is meant is nowhere said, and a client must find no size that neither way takes.
            attach_limit: 3 * MIB,
            session_minimum: 3_000_000,
            session_limit: 150 * MIB,
            session_life: Duration::from_secs(3600),
            next_range: NextRange::Bare,
            max_send_size: 35 * MIB,
            draft_quota: 1024 * MIB,
            immutable_ids: true,
            sent_item_lookups: 0,
            sent_again: 404,
            keep_messages: 10_000,
            keep_bytes: 256 * 1024 * 1024,
            keep_requests: 100_000,
        }
    }
}

impl Settings {
    /// The beginning of this server's URLs, as the settings or the client name it.
    pub(crate) fn base_url(&self, headers: &HeaderMap) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let host = headers.get(header::HOST);
                let host = host.and_then(|host| host.to_str().ok());
                format!("http://{}", host.unwrap_or_default())
            }
        }
    }
}

/// Without the secrets, which may be more than canaries where somebody set some.
impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("tenant", &self.tenant)
            .field("domain", &self.domain)
            .field("client_id", &self.client_id)
            .field("mailboxes", &self.mailboxes)
            .finish_non_exhaustive()
    }
}

/// Made for the stand-in.
const SIGNING_KEY: &[u8] = include_bytes!("signing-key.der");

const MAILBOXES: [&str; 2] = ["relay@sandbox.example", "reports@sandbox.example"];

/// Where `graph-relay login` and the pages of the relay wait for the browser.
const REDIRECT_URIS: [&str; 3] = [
    "http://localhost",
    "http://localhost/connect/done",
    "http://localhost/log-in/done",
];

const CONSENTED: [&str; 8] = [
    "Mail.Send",
    "Mail.ReadWrite",
    "Mail.Send.Shared",
    "User.Read",
    "openid",
    "profile",
    "email",
    "offline_access",
];

const MIB: u64 = 1024 * 1024;
