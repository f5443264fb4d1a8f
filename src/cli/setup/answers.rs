//! What only an administrator knows: from the options, else from the terminal.

use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use secrecy::SecretString;
use uuid::Uuid;

use super::Options;
use crate::cli::Exit;
use crate::cli::relay::Failure;
use crate::cli::talk;
use crate::cli::terminal;
use crate::clock::Timestamp;
use crate::mail::Address;

/// All that relay.toml needs.
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
}

/// What the relay will show Entra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The file, and the day on which the secret expires.
    SecretFile(PathBuf, Option<String>),
    Certificate(PathBuf, PathBuf),
    ManagedIdentity,
    Nothing,
}

/// Collects them; what the answers are worth, the configuration itself decides.
pub(super) fn collect(options: &Options, config: &Path) -> Result<Answers, Failure> {
    let delegated = options.delegated || ask_delegated(options);
    let (tenant, client_id) = match options.managed_identity {
        // It has its own.
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
    let proof = proof(options, delegated, config)?;
    let what = "The mailbox that sends, or \"from\" for that of each message";
    Ok(Answers {
        tenant,
        client_id,
        mailbox: wanted(options.mailbox.as_ref(), what, "--mailbox", no_mailbox)?,
        delegated,
        proof,
        networks: networks(options)?,
        cloud: options.cloud.clone().unwrap_or_else(|| "global".to_owned()),
        login_url: options.login_url.clone(),
        graph_url: options.graph_url.clone(),
    })
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
    (!is_one)
        .then_some("an id like 11111111-1111-1111-1111-111111111111, or a domain of the tenant")
}

fn no_client_id(text: &str) -> Option<&'static str> {
    let is_id = Uuid::try_parse(text).is_ok();
    (!is_id).then_some("an id like 22222222-2222-2222-2222-222222222222, from the overview page")
}

fn no_mailbox(text: &str) -> Option<&'static str> {
    let is_one = text == "from" || text.parse::<Address>().is_ok();
    (!is_one).then_some("an address like noreply@contoso.com, or the word from")
}

fn no_day(text: &str) -> Option<&'static str> {
    let is_one = text.is_empty() || Timestamp::end_of_day(text).is_some();
    (!is_one).then_some("a day like 2027-11-30, or nothing")
}

fn ask_delegated(options: &Options) -> bool {
    let is_answered = options.managed_identity || options.tenant.is_some();
    if is_answered || !terminal::is_there() {
        return false;
    }
    let question = "Shall the app send by itself, for every mailbox that it is allowed? (No: each \
                    mailbox signs in once.)";
    !terminal::agreed(question, true)
}

fn proof(options: &Options, delegated: bool, config: &Path) -> Result<Proof, Failure> {
    if options.managed_identity {
        return Ok(Proof::ManagedIdentity);
    }
    if let (Some(certificate), Some(key)) = (&options.certificate_file, &options.private_key_file) {
        return Ok(Proof::Certificate(certificate.clone(), key.clone()));
    }
    if let Some(file) = &options.secret_file {
        return Ok(Proof::SecretFile(file.clone(), expires(options)?));
    }
    if options.public_client {
        return Ok(Proof::Nothing);
    }
    let secret = if options.secret_stdin {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(unread)?;
        SecretString::from(text.trim())
    } else if terminal::is_there() {
        let none = if delegated {
            "; empty: it is a public client"
        } else {
            ""
        };
        let prompt = format!("The client secret's Value, which is not shown{none}: ");
        ask_secret(&prompt, delegated)?
    } else {
        let what = "the credential";
        return Err(missing(
            what,
            "--secret-stdin, --secret-file, --certificate-file or --managed-identity",
        ));
    };
    if secret.expose_secret().is_empty() && delegated {
        return Ok(Proof::Nothing);
    }
    let path = config.with_file_name("client-secret");
    keep(&path, &secret).map_err(|error| Failure {
        exit: Exit::CannotCreate,
        words: format!("{}: {error}", path.display()),
    })?;
    talk(&format!("the secret is kept in {}", path.display()));
    Ok(Proof::SecretFile(path, expires(options)?))
}

/// Until it can be one.
fn ask_secret(prompt: &str, may_be_none: bool) -> Result<SecretString, Failure> {
    loop {
        let secret = terminal::ask_secret(prompt).map_err(unread)?;
        let text = secret.expose_secret();
        if text.is_empty() && !may_be_none {
            talk("  it is needed");
        } else if Uuid::try_parse(text).is_ok() {
            talk("  this is the Secret ID: copy what stands in the column Value");
        } else {
            return Ok(secret);
        }
    }
}

/// Entra shows it beside the secret, and tells it to nobody later.
fn expires(options: &Options) -> Result<Option<String>, Failure> {
    if options.secret_expires.is_some() || options.mailbox.is_some() || !terminal::is_there() {
        return Ok(options.secret_expires.clone());
    }
    let prompt = "The day on which it expires, like 2027-11-30 (empty: not known)";
    let day = wanted(None, prompt, "--secret-expires", no_day)?;
    Ok(Some(day).filter(|day| !day.is_empty()))
}

/// For the relay's user and nobody else.
fn keep(path: &Path, secret: &SecretString) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret.expose_secret().as_bytes())?;
    if rustix::process::geteuid().is_root()
        && let Some((user, group)) = relay_user()
    {
        std::os::unix::fs::chown(path, Some(user), Some(group))?;
    }
    Ok(())
}

/// User and group of the relay, where the package or README.md made them.
fn relay_user() -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = passwd.lines();
    let line = lines.find(|line| line.starts_with("graph-relay:"))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn networks(options: &Options) -> Result<Vec<ipnet::IpNet>, Failure> {
    let is_answered = !options.network.is_empty() || options.mailbox.is_some();
    if is_answered || !terminal::is_there() {
        return Ok(options.network.clone());
    }
    let question = "Other machines that may connect, as networks like 192.0.2.0/24 (empty: this \
                    machine only): ";
    let answer = terminal::ask(question).map_err(unread)?;
    let words = answer.split([' ', ',']).filter(|word| !word.is_empty());
    words
        .map(|word| {
            word.parse().map_err(|_| Failure {
                exit: Exit::Usage,
                words: format!("{word:?} is no network: write it like 192.0.2.17/32"),
            })
        })
        .collect()
}

fn missing(what: &str, option: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        words: format!("{what} is not known, and there is no terminal to ask at: add {option}"),
    }
}

fn unread(error: io::Error) -> Failure {
    Failure {
        exit: Exit::Usage,
        words: format!("the answer cannot be read: {error}"),
    }
}
