//! The answers that only an administrator knows: from the options, or else from the terminal.

use std::io;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use secrecy::SecretString;
use uuid::Uuid;

use super::Options;
use crate::cli::Exit;
use crate::cli::running::Failure;
use crate::cli::talk;
use crate::cli::terminal;
use crate::clock::Timestamp;
use crate::credentials::SecretSource;
use crate::mail::Address;

/// Everything that relay.toml needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) mailbox: String,
    pub(super) delegated: bool,
    pub(super) proof: Proof,
    pub(super) networks: Vec<ipnet::IpNet>,
    pub(super) cloud: String,
    pub(super) login_url: Option<String>,
    pub(super) graph_url: Option<String>,
    /// The address of the admin page; none by default.
    pub(super) page: Option<String>,
}

/// A secret that is to be stored in a file.
#[derive(Debug)]
pub(super) struct NewSecret {
    pub(super) place: PathBuf,
    pub(super) value: SecretString,
}

/// The credential that the relay will use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The file, and the expiry date of the secret.
    SecretFile(PathBuf, Option<String>),
    Certificate(PathBuf, PathBuf),
    ManagedIdentity,
    Nothing,
}

/// Collects the answers and writes nothing. The configuration itself checks them.
pub(super) fn collect(
    options: &Options,
    config: &Path,
) -> Result<(Answers, Option<NewSecret>), Failure> {
    let delegated = options.delegated || ask_delegated(options);
    let (tenant, client_id) = match options.managed_identity {
        // A managed identity has its own.
        true => (String::new(), String::new()),
        false => (
            wanted(
                options.tenant.as_ref(),
                "Directory (tenant) ID",
                "--tenant",
                no_tenant,
            )?,
            wanted(
                options.client_id.as_ref(),
                "Application (client) ID",
                "--client-id",
                no_client_id,
            )?,
        ),
    };
    let (proof, secret) = proof(options, delegated, config)?;
    let what = "Mailbox that sends (or \"from\": the From address of each message)";
    let answers = Answers {
        tenant,
        client_id,
        mailbox: wanted(options.mailbox.as_ref(), what, "--mailbox", no_mailbox)?,
        delegated,
        proof,
        networks: networks(options)?,
        cloud: options.cloud.clone().unwrap_or_else(|| "global".to_owned()),
        login_url: options.login_url.clone(),
        graph_url: options.graph_url.clone(),
        page: None,
    };
    Ok((answers, secret))
}

fn wanted(
    given: Option<&String>,
    what: &str,
    option: &str,
    wrong: fn(&str) -> Option<&'static str>,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    if !terminal::is_there() {
        return Err(missing(what, option));
    }
    loop {
        let answer = terminal::ask(&format!("{what}: ")).map_err(unread)?;
        match wrong(&answer) {
            None => return Ok(answer),
            Some(words) => talk(&format!("  {words}")),
        }
    }
}

fn no_tenant(text: &str) -> Option<&'static str> {
    let is_id = Uuid::try_parse(text).is_ok();
    let is_shared = ["common", "organizations", "consumers"].contains(&text);
    let is_one = is_id || is_shared || text.contains('.');
    (!is_one).then_some(
        "enter an ID like 11111111-1111-1111-1111-111111111111, or a domain of the tenant",
    )
}

fn no_client_id(text: &str) -> Option<&'static str> {
    let is_id = Uuid::try_parse(text).is_ok();
    (!is_id).then_some(
        "enter an ID like 22222222-2222-2222-2222-222222222222, from the app's overview page",
    )
}

fn no_mailbox(text: &str) -> Option<&'static str> {
    let is_one = text == "from" || text.parse::<Address>().is_ok();
    (!is_one).then_some("enter an address like noreply@contoso.com, or the word from")
}

fn no_day(text: &str) -> Option<&'static str> {
    let is_one = text.is_empty() || Timestamp::end_of_day(text).is_some();
    (!is_one).then_some("enter a date like 2027-11-30, or nothing")
}

fn ask_delegated(options: &Options) -> bool {
    let is_answered = options.managed_identity || options.tenant.is_some();
    if is_answered || !terminal::is_there() {
        return false;
    }
    let question = "Does the app send with its own permission, from all allowed mailboxes? (No: each \
                    mailbox signs in once.)";
    !terminal::agreed(question, true)
}

fn proof(
    options: &Options,
    delegated: bool,
    config: &Path,
) -> Result<(Proof, Option<NewSecret>), Failure> {
    if options.managed_identity {
        return Ok((Proof::ManagedIdentity, None));
    }
    if let (Some(certificate), Some(key)) = (&options.certificate_file, &options.private_key_file) {
        return Ok((Proof::Certificate(certificate.clone(), key.clone()), None));
    }
    if let Some(file) = &options.secret_file {
        return Ok((Proof::SecretFile(file.clone(), expires(options)?), None));
    }
    if options.public_client {
        return Ok((Proof::Nothing, None));
    }
    let secret = if options.secret_stdin {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(unread)?;
        SecretString::from(text.trim())
    } else if terminal::is_there() {
        let none = if delegated {
            "; leave empty for a public client"
        } else {
            ""
        };
        let prompt = format!("Client secret, its Value (not shown{none}): ");
        ask_secret(&prompt, delegated)?
    } else {
        let what = "the credential";
        return Err(missing(
            what,
            "--secret-stdin, --secret-file, --certificate-file or --managed-identity",
        ));
    };
    if secret.expose_secret().is_empty() && delegated {
        return Ok((Proof::Nothing, None));
    }
    let place = config.with_file_name("client-secret");
    let proof = Proof::SecretFile(place.clone(), expires(options)?);
    let value = secret;
    Ok((proof, Some(NewSecret { place, value })))
}

/// Asks until the answer can be a secret.
fn ask_secret(prompt: &str, may_be_none: bool) -> Result<SecretString, Failure> {
    loop {
        let secret = terminal::ask_secret(prompt).map_err(unread)?;
        let text = secret.expose_secret();
        if text.is_empty() && !may_be_none {
            talk("  the secret is required");
        } else if Uuid::try_parse(text).is_ok() {
            talk("  this is the Secret ID: copy the text in the column Value instead");
        } else if let Some(damage) = SecretSource::damage(text) {
            talk(&format!("  this text {damage}: copy it again"));
        } else {
            return Ok(secret);
        }
    }
}

/// Entra shows the date next to the secret; the relay cannot look it up later.
fn expires(options: &Options) -> Result<Option<String>, Failure> {
    if options.secret_expires.is_some() || options.mailbox.is_some() || !terminal::is_there() {
        return Ok(options.secret_expires.clone());
    }
    let prompt = "Expiry date of the secret, like 2027-11-30 (leave empty if unknown)";
    let day = wanted(None, prompt, "--secret-expires", no_day)?;
    Ok(Some(day).filter(|day| !day.is_empty()))
}

fn networks(options: &Options) -> Result<Vec<ipnet::IpNet>, Failure> {
    let is_answered = !options.network.is_empty() || options.mailbox.is_some();
    if is_answered || !terminal::is_there() {
        return Ok(options.network.clone());
    }
    let question = "Other machines that may connect: addresses or networks like 192.0.2.0/24 \
                    (leave empty for this machine only): ";
    loop {
        let answer = terminal::ask(question).map_err(unread)?;
        let words = answer.split([' ', ',']).filter(|word| !word.is_empty());
        let networks: Result<Vec<_>, String> = words.map(network).collect();
        match networks {
            Ok(networks) => return Ok(networks),
            Err(words) => talk(&format!("  {words}")),
        }
    }
}

/// A network, or the address of one machine.
pub(super) fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let address = || text.parse::<IpAddr>().map(ipnet::IpNet::from);
    let network = text.parse().or_else(|_| address());
    network.map_err(|_| {
        format!(
            "{text:?} is not a network: write it like 192.0.2.0/24, or one address like 192.0.2.17"
        )
    })
}

fn missing(what: &str, option: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        words: format!("{what} is missing, and there is no terminal to ask for it: add {option}"),
    }
}

fn unread(error: io::Error) -> Failure {
    Failure {
        exit: Exit::Usage,
        words: format!("cannot read the answer: {error}"),
    }
}
