//! `setup`: from nothing to a relay.toml that works.
//!
//! Says what to do in Entra, asks for what only an administrator knows, writes the
//! file, and ends with doctor and a test message. Every question has an option, so
//! that a script can answer it; without a terminal nothing is asked.

mod answers;
mod file;
mod steps;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use super::ConfigFile;
use super::Exit;
use super::doctor;
use super::relay::Failure;
use super::say;
use super::send_test;
use super::talk;
use super::terminal;
use crate::config::Config;
use crate::mail::Address;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Directory (tenant) ID or domain
    #[arg(long)]
    tenant: Option<String>,
    /// Application (client) ID
    #[arg(long)]
    client_id: Option<String>,
    /// The mailbox that sends, or "from"
    #[arg(long)]
    mailbox: Option<String>,
    /// Each mailbox signs in (graph-relay login), instead of the app sending for all
    #[arg(long)]
    delegated: bool,
    /// Read the client secret's Value from standard input
    #[arg(long, group = "credential")]
    secret_stdin: bool,
    /// The client secret's Value is in this file
    #[arg(long, value_name = "FILE", group = "credential")]
    secret_file: Option<PathBuf>,
    /// The day on which the secret expires, like 2027-11-30
    #[arg(long, value_name = "DAY")]
    secret_expires: Option<String>,
    /// The app's certificate is in this file, its key in --private-key-file
    #[arg(
        long,
        value_name = "FILE",
        group = "credential",
        requires = "private_key_file"
    )]
    certificate_file: Option<PathBuf>,
    /// The key of --certificate-file
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    private_key_file: Option<PathBuf>,
    /// This machine has an identity in Azure
    #[arg(long, group = "credential", conflicts_with = "delegated")]
    managed_identity: bool,
    /// No credential: people sign in to a public client
    #[arg(long, group = "credential", requires = "delegated")]
    public_client: bool,
    /// Other machines that may connect, as networks; default: this machine only
    #[arg(long, value_name = "NETWORK")]
    network: Vec<ipnet::IpNet>,
    /// global, us-gov, us-dod or china
    #[arg(long, value_name = "CLOUD")]
    cloud: Option<String>,
    /// Scheme and host of Entra, where it is none of those clouds'
    #[arg(long, value_name = "URL")]
    login_url: Option<String>,
    /// Scheme and host of Graph, where it is none of those clouds'
    #[arg(long, value_name = "URL")]
    graph_url: Option<String>,
    /// Replace the file if it is there; the old one is kept beside it
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
    let path = &options.file.config;
    if path.exists() && !may_replace(options, path) {
        return Err(Failure {
            exit: Exit::CannotCreate,
            words: format!(
                "{} is there already: --replace writes it anew and keeps the old one beside it, \
                 --config names another",
                path.display()
            ),
        });
    }
    if terminal::is_there() {
        talk(steps::IN_ENTRA);
    }
    let answers = answers::collect(options, path)?;
    let text = file::text(&answers);
    let config = Config::parse(&text, path).map_err(|error| Failure {
        exit: Exit::Configuration,
        words: error.to_string(),
    })?;
    write(path, &text).map_err(|error| Failure {
        exit: Exit::CannotCreate,
        words: format!("{}: {error}", path.display()),
    })?;
    say(&format!("{} is written", path.display()));
    steps::afterwards(&answers)
        .iter()
        .for_each(|line| say(line));
    say("");
    let exit = doctor::examine(&options.file, false).await;
    if exit == Exit::Done {
        offer_test(options, &config).await
    } else {
        talk("when that is mended: graph-relay doctor");
        Ok(exit)
    }
}

fn may_replace(options: &Options, path: &Path) -> bool {
    let question = format!("{} is there already. Replace it?", path.display());
    options.replace || terminal::is_there() && terminal::agreed(&question, false)
}

/// The file names secrets and has none.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if path.exists() {
        fs::copy(path, path.with_extension("toml.old"))?;
    }
    fs::write(path, text)
}

/// Straight to Graph, because the relay may not run yet.
async fn offer_test(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let usable = config
        .accounts
        .iter()
        .all(crate::config::Account::is_usable_here);
    if !usable || !terminal::is_there() {
        return Ok(Exit::Done);
    }
    let to: Address = loop {
        let to = terminal::ask("Send a test message to (empty: to nobody): ").unwrap_or_default();
        if to.is_empty() {
            return Ok(Exit::Done);
        }
        match to.parse() {
            Ok(to) => break to,
            Err(error) => talk(&format!("  {error}: an address like you@example.org")),
        }
    };
    send_test::by_graph(&options.file, &to, None).await
}
