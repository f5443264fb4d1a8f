//! The keys of `[[account]]`.

pub(super) mod cloud;
pub(super) mod credential;
mod pace;
pub(super) mod submission;

use serde::Deserialize;

use super::Account;
use super::Cloud;
use super::Credential;
use super::Mailbox;
use super::SignIn;
use super::reader::Problems;
use super::reader::Section;
use crate::catalogue::App;
use crate::mail::Address;
use crate::mail::AddressError;
use crate::mail::Pattern;

/// With a page, the relay starts without an account, so that somebody can set it up there.
const NOT_SET_UP: &str = "there is no [[account]] yet, so the relay accepts no mail: set it up on \
     the admin page (graph-relay page prints a link), or add an [[account]]";

pub(super) fn read(top: &mut Section<'_>, problems: &Problems<'_>) -> Vec<Account> {
    let sections = top.tables("account");
    let page = top.will_have("admin", "address");
    if sections.is_empty() && page {
        problems.warn(None, NOT_SET_UP);
    } else if sections.is_empty() {
        problems.add_whole(
            "there is no [[account]]: add one with tenant, client_id, a client secret and mailbox",
        );
    }
    let several = sections.len() > 1;
    let mut accounts: Vec<Account> = Vec::new();
    for mut section in sections {
        let named = section.optional::<String>("name");
        if several && named.is_none() {
            section.problem("with several [[account]], each one needs a \"name\"");
        }
        let name = named.unwrap_or_else(|| "default".to_owned());
        if accounts.iter().any(|other| other.name == name) {
            section.problem(format!("there are two [[account]] named {name:?}"));
        }
        let account = account(&mut section, name);
        if let Some(account) = &account
            && let Some(other) = accounts.iter().find(|other| same_sender(other, account))
        {
            let message = format!(
                "this [[account]] has the same mailbox and the same app as [[account]] {:?}: combine \
                 them into one with the senders of both, because Graph's limits count both together",
                other.name
            );
            section.problem(message);
        }
        accounts.extend(account);
        section.finish();
    }
    accounts
}

impl Account {
    /// Returns its app registration; a managed identity has none.
    pub fn app(&self) -> Option<App<'_>> {
        (!self.tenant.is_empty()).then_some(App {
            tenant: &self.tenant,
            client_id: &self.client_id,
            login_url: &self.login_url,
        })
    }
}

/// Graph counts requests per app and mailbox.
fn same_sender(one: &Account, other: &Account) -> bool {
    let mailbox = |account: &Account| match &account.mailbox {
        Mailbox::Fixed(address) => address.key(),
        Mailbox::From => String::new(),
    };
    let identity = |account: &Account| match &account.credential {
        Credential::ManagedIdentity(id) => id.clone(),
        Credential::Secret { .. }
        | Credential::Certificate(_)
        | Credential::FederatedToken(_)
        | Credential::Nothing => None,
    };
    one.tenant == other.tenant
        && one.client_id == other.client_id
        && identity(one) == identity(other)
        && mailbox(one) == mailbox(other)
}

fn account(section: &mut Section<'_>, name: String) -> Option<Account> {
    let sign_in = section.or("sign_in", SignIn::Application);
    let credential = credential::read(section, sign_in);
    let (tenant, client_id) = app(section, sign_in, credential.as_ref());
    let mailbox = section.required::<MailboxText>("mailbox");
    if let Some(written) = &mailbox
        && let Mailbox::Fixed(address) = &written.value.0
        && !address.is_routable()
    {
        let message = format!(
            "mailbox: the domain {:?} is not public, so Microsoft 365 has no mailbox in it: write \
             the mailbox's address as Entra shows it, like \"noreply@contoso.com\"",
            address.domain()
        );
        section.warning_at(&written.span, &message);
    }
    let senders = section.or("senders", vec![Pattern::from("*".to_owned())]);
    let default_from = section.optional::<Address>("default_from");
    let fixed = mailbox.as_ref().map(|mailbox| &mailbox.value.0);
    let submission = submission::read(section, fixed);
    let cloud = section.or("cloud", Cloud::Global);
    let login_url = base_url(section, "login_url");
    let graph_url = base_url(section, "graph_url");
    let pace = pace::read(section);
    Some(Account {
        name,
        tenant: tenant?,
        client_id: client_id?,
        credential: credential?,
        sign_in,
        mailbox: mailbox?.value.0,
        senders,
        default_from,
        submission,
        // Set later, when the maximum message size is known.
        needs_drafts: false,
        cloud,
        graph_resource: resource(cloud, graph_url.as_deref()),
        login_url: login_url.unwrap_or_else(|| cloud.login_url().to_owned()),
        graph_url: graph_url.unwrap_or_else(|| cloud.graph_url().to_owned()),
        pace,
    })
}

/// Reads tenant and client ID. A managed identity needs neither: it belongs to one tenant
/// and has its own client ID.
fn app(
    section: &mut Section<'_>,
    sign_in: SignIn,
    credential: Option<&Credential>,
) -> (Option<String>, Option<String>) {
    if credential.is_some_and(|credential| !credential.names_an_app()) {
        for key in ["tenant", "client_id"] {
            if section.optional::<String>(key).is_some() {
                let message = format!("{key}: leave it out: a managed identity has its own");
                section.problem_of(key, message);
            }
        }
        return (Some(String::new()), Some(String::new()));
    }
    let no_tenant = "is neither an ID nor a domain";
    let tenant = identifier(section, "tenant", no_tenant, |id| {
        let is_known = is_guid(id) || id.contains('.') || is_shared(id);
        (!is_known).then_some(
            "is neither a GUID nor a domain: write the Directory (tenant) ID from the overview page \
             of the app registration, or a domain like contoso.onmicrosoft.com",
        )
    });
    let no_id = "is not an ID: write the Application (client) ID from the overview page of the app \
                 registration";
    let client_id = identifier(section, "client_id", no_id, |id| {
        let is_known = is_guid(id) || id.contains('.');
        (!is_known).then_some(
            "is not a GUID: write the Application (client) ID from the overview page of the app \
             registration",
        )
    });
    if client_id.as_deref().is_some_and(|id| id.contains('.')) {
        let message = "client_id: this looks like a domain: write the Application (client) ID from \
                       the overview page of the app registration";
        section.problem_of("client_id", message);
    }
    // Entra page "OAuth 2.0 client credentials flow".
    if sign_in == SignIn::Application
        && let Some(shared) = tenant.as_deref().filter(|tenant| is_shared(tenant))
    {
        let message = format!(
            "tenant: {shared:?} is not a tenant: write the ID or a domain of your tenant (only \
             sign_in = \"delegated\" works with {shared:?})"
        );
        section.problem_of("tenant", message);
    }
    (tenant, client_id)
}

/// Whether it is a name that stands for users of any tenant.
pub fn is_shared(tenant: &str) -> bool {
    ["common", "organizations", "consumers"].contains(&tenant)
}

/// Returns the name of Graph in tokens: its URL, except for a stand-in on this machine, which
/// acts for the cloud.
fn resource(cloud: Cloud, graph_url: Option<&str>) -> String {
    let elsewhere = graph_url.filter(|url| url.starts_with("https://"));
    elsewhere.map_or_else(|| cloud.graph_url().to_owned(), str::to_owned)
}

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
                if error == AddressError::Several {
                    return format!(
                        "{error}: write one, or add an [[account]] with a name for each mailbox; \
                         \"from\" sends from the mailbox of the From address"
                    );
                }
                format!(
                    "{error}: write the mailbox that sends, like \"noreply@contoso.com\", or \
                     \"from\""
                )
            })
    }
}

/// Whether it has the form of Entra's IDs: `11111111-2222-3333-4444-555555555555`.
fn is_guid(id: &str) -> bool {
    let lengths = id.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Reads a tenant or client ID. It goes into a URL path, so other characters than
/// those of IDs and domains are an error, in the words of `wrong`; `doubt` says what else is
/// probably wrong.
fn identifier(
    section: &mut Section<'_>,
    key: &'static str,
    wrong: &str,
    doubt: fn(&str) -> Option<&'static str>,
) -> Option<String> {
    let marked = section.required::<String>(key)?;
    let id = marked.value;
    let plain = id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if id.is_empty() || !plain || id.contains("..") {
        let message = format!("{key}: {id:?} {wrong}");
        section.problem_at(&marked.span, message);
        return None;
    }
    if let Some(doubt) = doubt(&id) {
        section.warning_at(&marked.span, &format!("{key}: {id:?} {doubt}"));
    }
    Some(id)
}

/// Reads scheme, host and port without a path; plain http is allowed only to this machine.
fn base_url(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let marked = section.marked::<String>(key)?;
    let url = marked.value.trim_end_matches('/').to_owned();
    if let Err(wrong) = check_base_url(&url) {
        section.problem_at(&marked.span, format!("{key}: {wrong}"));
    }
    Some(url)
}

/// Whether a URL leads to this machine and nowhere else.
pub(super) fn is_this_machine(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    bare == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

/// Checks an address of scheme, host and port.
pub(super) fn check_base_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| format!("{url:?}: {error}"))?;
    let host = parsed.host_str().unwrap_or_default();
    match parsed.scheme() {
        "https" => {}
        "http" if is_this_machine(&parsed) => {}
        "http" => {
            return Err(format!(
                "http:// is allowed only to this machine: write https://{host}"
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
        Err("write scheme and host only: the relay appends the path".to_owned())
    }
}
