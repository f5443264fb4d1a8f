//! The keys of `[[account]]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::Account;
use super::Mailbox;
use super::SecretSource;
use super::pace;
use super::reader::Marked;
use super::reader::Problems;
use super::reader::Section;
use super::submission;
use crate::mail::Address;
use crate::mail::Pattern;

/// Entra's host in the global cloud (microsoft-graph documentation, "National
/// cloud deployments").
const GLOBAL_LOGIN: &str = "https://login.microsoftonline.com";
/// Graph's host in the global cloud.
const GLOBAL_GRAPH: &str = "https://graph.microsoft.com";

pub(super) fn read(top: &mut Section<'_>, problems: &Problems<'_>) -> Vec<Account> {
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
        let account = account(&mut section, name);
        if let Some(account) = &account
            && let Some(other) = accounts.iter().find(|other| same_sender(other, account))
        {
            let message = format!(
                "it sends from the same mailbox with the same app as [[account]] {:?}: join \
                 their senders, so that Graph's limits are kept for both together",
                other.name
            );
            section.problem(message);
        }
        accounts.extend(account);
        section.finish();
    }
    accounts
}

/// Graph counts per app and mailbox.
fn same_sender(one: &Account, other: &Account) -> bool {
    let mailbox = |account: &Account| match &account.mailbox {
        Mailbox::Fixed(address) => address.key(),
        Mailbox::From => String::new(),
    };
    one.tenant == other.tenant && one.client_id == other.client_id && mailbox(one) == mailbox(other)
}

fn account(section: &mut Section<'_>, name: String) -> Option<Account> {
    let tenant = identifier(section, "tenant");
    let client_id = identifier(section, "client_id");
    let client_secret = client_secret(section);
    let mailbox = section.required::<MailboxText>("mailbox");
    let senders = section.or("senders", vec![Pattern::from("*".to_owned())]);
    let default_from = section.optional::<Address>("default_from");
    let fixed = mailbox.as_ref().map(|mailbox| &mailbox.value.0);
    let submission = submission::read(section, fixed);
    let login_url = base_url(section, "login_url", GLOBAL_LOGIN);
    let graph_url = base_url(section, "graph_url", GLOBAL_GRAPH);
    let pace = pace::read(section);
    Some(Account {
        name,
        tenant: tenant?,
        client_id: client_id?,
        client_secret: client_secret?,
        mailbox: mailbox?.value.0,
        senders,
        default_from,
        submission,
        login_url,
        graph_url,
        pace,
    })
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
