//! Who is known to the stand-in and how strict it is: every choice of the emulator that a test may
//! want to make.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::sandbox::rate::Rate;

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
    /// The resource whose tokens Graph takes.
    pub resource: String,
    /// The application permissions granted, as the `roles` claim has them. None: no such claim.
    pub roles: Vec<String>,
    /// UPNs that the app may send from by RBAC for Applications, which no claim shows.
    pub rbac_mailboxes: Vec<String>,
    /// How long a token is good, the `expires_in` of its answer.
    pub token_life: Duration,
    /// UPNs of the mailboxes.
    pub mailboxes: Vec<String>,
    /// Object ids of mailboxes, each with its UPN.
    pub object_ids: BTreeMap<String, String>,
    /// UPNs of users without a mailbox (404 `MailboxNotEnabledForRESTAPI`).
    pub unlicensed: Vec<String>,
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
    /// How many octets of request bodies a mailbox allows; `None`, as many as come.
    pub upload_rate: Option<Rate>,
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
            resource: "https://graph.microsoft.com".to_owned(),
            roles: vec!["Mail.Send".to_owned()],
            rbac_mailboxes: Vec::new(),
            token_life: Duration::from_secs(3599),
            mailboxes: vec![
                "relay@sandbox.example".to_owned(),
                "reports@sandbox.example".to_owned(),
            ],
            object_ids: BTreeMap::new(),
            unlicensed: Vec::new(),
            send_as: Vec::new(),
            request_limit: 4 * 1024 * 1024,
            recipient_limit: 500,
            mailbox_concurrency: 4,
            retry_after: Duration::from_secs(10),
            request_rate: None,
            upload_rate: None,
            keep_messages: 10_000,
            keep_bytes: 256 * 1024 * 1024,
            keep_requests: 100_000,
        }
    }
}

/// Without the secret, which may be more than a canary where somebody set one.
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
