//! `setup`: creates a relay.toml that works, from nothing.
//!
//! It says what to do in Entra, asks for what only an administrator knows, writes everything
//! at once (`files.rs`), and ends with doctor and a test message. Until then an interruption
//! leaves everything as it was. Every question has an option, so that a script can answer
//! it; without a terminal nothing is asked.

mod answers;
pub(super) mod apply;
mod file;
pub(super) mod files;
mod steps;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde::Deserialize;

use self::answers::Answers;
use self::answers::NewSecret;
use self::answers::Proof;
use self::files::Readers;
use self::files::Staged;
use super::ConfigFile;
use super::Exit;
use super::doctor;
use super::running::Failure;
use super::running::Relay;
use super::running::send_test;
use super::say;
use super::say_exactly;
use super::talk;
use super::terminal;
use crate::config::Config;
use crate::disk;
use crate::mail::Address;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Directory (tenant) ID or domain
    #[arg(long)]
    tenant: Option<String>,
    /// Application (client) ID
    #[arg(long)]
    client_id: Option<String>,
    /// The mailbox that sends, or "from" for the mailbox of each message's From address
    #[arg(long)]
    mailbox: Option<String>,
    /// Each mailbox signs in (graph-relay login), instead of the app sending for all
    #[arg(long)]
    delegated: bool,
    /// Read the client secret's Value from standard input
    #[arg(long, group = "credential")]
    secret_stdin: bool,
    /// The file with the client secret's Value
    #[arg(long, value_name = "FILE", group = "credential")]
    secret_file: Option<PathBuf>,
    /// The expiry date of the secret, like 2027-11-30
    #[arg(long, value_name = "DAY")]
    secret_expires: Option<String>,
    /// The file with the app's certificate; its key is in --private-key-file
    #[arg(
        long,
        value_name = "FILE",
        group = "credential",
        requires = "private_key_file"
    )]
    certificate_file: Option<PathBuf>,
    /// The file with the private key of --certificate-file
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    private_key_file: Option<PathBuf>,
    /// Use the managed identity of this machine in Azure
    #[arg(long, group = "credential", conflicts_with = "delegated")]
    managed_identity: bool,
    /// Use no credential: the app is a public client, and people sign in
    #[arg(long, group = "credential", requires = "delegated")]
    public_client: bool,
    /// Other machines that may connect, as addresses or networks; default: this machine only
    #[arg(long, value_name = "NETWORK", value_parser = answers::network)]
    network: Vec<ipnet::IpNet>,
    /// The Microsoft cloud: global, us-gov, us-dod or china
    #[arg(long, value_name = "CLOUD")]
    cloud: Option<String>,
    /// Scheme and host of Entra, if not one of those clouds
    #[arg(long, value_name = "URL")]
    login_url: Option<String>,
    /// Scheme and host of Graph, if not one of those clouds
    #[arg(long, value_name = "URL")]
    graph_url: Option<String>,
    /// Replace an existing file; the old one is kept as relay.toml.old
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) async fn run(options: &Options) -> Exit {
    match set_up(options).await {
        Ok(exit) => exit,
        Err(failure) => failure.tell(),
    }
}

async fn set_up(options: &Options) -> Result<Exit, Failure> {
    terminal::mind_interrupts();
    let path = &options.file.config;
    let package = OfPackage::read(path);
    if path.exists() && package.is_none() && !may_replace(options, path) {
        return Err(Failure {
            exit: Exit::CannotCreate,
            words: format!(
                "{} already exists. Use --replace to overwrite it (the old one is kept as {}), or \
                 --config to write another file",
                path.display(),
                files::old_name(path).display()
            ),
        });
    }
    if terminal::is_there() {
        talk(steps::IN_ENTRA);
    }
    let (mut answers, secret) = answers::collect(options, path)?;
    answers.page = package.and_then(|package| package.admin.address);
    let replaces = path.exists();
    let (config, old_secret) = write(path, &answers, secret.as_ref())?;
    say(&format!("Saved: {}", path.display()));
    if replaces {
        let old = files::old_name(path);
        say(&format!("The old one is kept as {}", old.display()));
    }
    if let Some(secret) = &secret {
        say(&format!("Saved the secret: {}", secret.place.display()));
    }
    let runs = Relay::of(&options.file).is_ok_and(|relay| relay.is_there());
    steps::afterwards(&answers, runs)
        .iter()
        .for_each(|line| say_exactly(line));
    say("");
    let exit = doctor::examine(&options.file, false).await;
    if let (Some(old), Some(secret)) = (&old_secret, &secret) {
        settle_old(old, &secret.place, exit);
    }
    if exit == Exit::Done {
        offer_test(options, &config).await
    } else {
        talk("Once this is fixed, run: graph-relay doctor");
        Ok(exit)
    }
}

fn may_replace(options: &Options, path: &Path) -> bool {
    let question = format!("{} already exists. Replace it?", path.display());
    options.replace || terminal::is_there() && terminal::agreed(&question, false)
}

/// A file as the packages install it: with nothing but comments and the address of the page,
/// which the new one keeps.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPackage {
    #[serde(default)]
    admin: Page,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    address: Option<String>,
}

impl OfPackage {
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        toml::from_str(&text).ok()
    }
}

/// Writes everything, if it makes a usable configuration. Returns the configuration, and
/// the copy of the old secret.
fn write(
    path: &Path,
    answers: &Answers,
    secret: Option<&NewSecret>,
) -> Result<(Config, Option<PathBuf>), Failure> {
    let uncreated = |place: &Path, error: io::Error| Failure {
        exit: Exit::CannotCreate,
        words: format!("{}: {error}", place.display()),
    };
    let staged = secret.map(|secret| {
        let value = secret.value.expose_secret().as_bytes();
        let staged = Staged::write(&secret.place, value, Readers::Relay);
        staged.map_err(|error| uncreated(&secret.place, error))
    });
    let staged = staged.transpose()?;
    // It is read at its temporary path, so that its problems are found.
    let text = file::text(&match (&answers.proof, &staged) {
        (Proof::SecretFile(_, expires), Some(staged)) => Answers {
            proof: Proof::SecretFile(staged.path().to_owned(), expires.clone()),
            ..answers.clone()
        },
        _ => answers.clone(),
    });
    Config::parse(&text, path).map_err(|error| Failure {
        exit: Exit::Configuration,
        words: match (secret, &staged) {
            (Some(secret), Some(staged)) => {
                let (now, then) = (staged.path().display(), secret.place.display());
                error
                    .to_string()
                    .replace(&now.to_string(), &then.to_string())
            }
            _ => error.to_string(),
        },
    })?;
    let text = file::text(answers);
    let put = || {
        let file = Staged::write(path, text.as_bytes(), Readers::Group)?;
        files::put(file, staged)
    };
    let old_secret = terminal::uninterrupted(put).map_err(|error| uncreated(path, error))?;
    let config = Config::parse(&text, path).map_err(|error| Failure::of_configuration(&error))?;
    Ok((config, old_secret))
}

/// Once the new secret has worked, the old one is only a risk.
fn settle_old(old: &Path, place: &Path, exit: Exit) {
    let (old_name, place) = (old.display(), place.display());
    if exit != Exit::Done {
        talk(&format!(
            "The old secret is in {old_name}, in case the new one is wrong. To restore it: mv {old_name} \
             {place}; otherwise delete it"
        ));
    } else if let Err(error) = disk::remove(old) {
        talk(&format!(
            "cannot delete the old secret {old_name}: {error}: delete it yourself"
        ));
    }
}

/// Sends directly to Graph, because the relay may not run yet.
async fn offer_test(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let usable = config
        .accounts
        .iter()
        .all(crate::config::Account::is_usable_here);
    if !usable || !terminal::is_there() {
        return Ok(Exit::Done);
    }
    let to: Address = loop {
        let to =
            terminal::ask("Send a test message to (leave empty for none): ").unwrap_or_default();
        if to.is_empty() {
            return Ok(Exit::Done);
        }
        match to.parse() {
            Ok(to) => break to,
            Err(error) => talk(&format!("  {error}: enter an address like you@example.org")),
        }
    };
    send_test::by_graph(&options.file, &to, None).await
}
