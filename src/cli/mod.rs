//! The command line: data on standard output, messages on standard error, exit
//! codes as in sysexits(3).
//!
//! | code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | a check failed |
//! | 64 | the command line is wrong |
//! | 65 | the message or the file with aliases is wrong (`sendmail`) |
//! | 67 | there is no such recipient (`sendmail`) |
//! | 69 | the relay is not reachable |
//! | 70 | the relay failed while it was running; start it again |
//! | 73 | something cannot be created |
//! | 75 | try again later: something is missing that may appear, such as the address of a listener or a file that relay.toml names |
//! | 77 | not permitted: run it with sudo |
//! | 78 | the configuration or a file that it names is wrong; starting again does not help |
//! | 130 | interrupted by Ctrl-C: what is left was not done |

mod backup;
mod check;
mod doctor;
mod hash_password;
mod import;
mod login;
#[cfg(not(feature = "sandbox"))]
mod no_sandbox;
mod reference;
mod running;
#[cfg(feature = "sandbox")]
mod sandbox;
mod sendmail;
mod serve;
mod setup;
mod smtp;
mod spool;
mod terminal;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;
use clap::error::ErrorKind;

pub use self::reference::command;
use self::reference::explain;
use self::running::accounts;
use self::running::alert_test;
use self::running::clients::devices;
use self::running::clients::sessions;
use self::running::healthcheck;
use self::running::history;
use self::running::page;
use self::running::pause;
use self::running::queue;
use self::running::send_test;
use self::running::status;
use self::setup::apply;
use self::terminal::say;
use self::terminal::say_exactly;
use self::terminal::say_json;
use self::terminal::say_styled;
use self::terminal::talk;
use self::terminal::talk_of_error;
use self::words::ago;
use self::words::counted;
use self::words::grouped;
use self::words::size;
use self::words::when;
use crate::config::ProblemKind;
use crate::service::Passed;
use crate::telemetry;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Done = 0,
    CheckFailed = 1,
    Usage = 64,
    Data = 65,
    NoUser = 67,
    Unreachable = 69,
    BrokeDown = 70,
    CannotCreate = 73,
    TryLater = 75,
    NotPermitted = 77,
    Configuration = 78,
    Interrupted = 130,
}

/// Configuration errors stay until somebody changes the file; a file that it names may be on a
/// disk that is mounted later, and the service manager tries again.
impl From<ProblemKind> for Exit {
    fn from(kind: ProblemKind) -> Self {
        match kind {
            ProblemKind::NotPermitted => Self::NotPermitted,
            ProblemKind::Unreadable => Self::TryLater,
            ProblemKind::Wrong => Self::Configuration,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Accepts mail by SMTP on this machine and sends it through Microsoft Graph.
#[derive(Debug, Parser)]
#[command(name = "graph-relay", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay in the foreground
    Serve(ConfigFile),
    /// Try the relay with a built-in substitute for Entra and Graph: nothing leaves this machine
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Options),
    #[cfg(not(feature = "sandbox"))]
    #[command(hide = true)]
    Sandbox(no_sandbox::Options),
    /// Create a configuration, step by step: what to do in Entra, a few questions, then a test
    Setup(Box<setup::Options>),
    /// Turn the configuration of another product into a relay.toml, with a report
    Import {
        #[command(subcommand)]
        command: import::Command,
    },
    /// Read the configuration and report every error in it
    Check(ConfigFile),
    /// Check everything that delivery depends on, and show how to fix what is wrong
    Doctor(doctor::Options),
    /// Explain an error code of Entra, Graph or Exchange, and how to fix it
    Explain(explain::Options),
    /// Send a test message and show how long each step takes
    SendTest(send_test::Options),
    /// Send a test alert to every [[alert]] of the running relay
    AlertTest(alert_test::Options),
    /// Sign in a mailbox, for an [[account]] with sign_in = "delegated"
    Login(login::Options),
    /// Delete the stored sign-in of a mailbox
    Logout(login::LogoutOptions),
    /// List accounts and mailboxes, and when their tokens and credentials expire
    Accounts(accounts::Options),
    /// Show the overall status on one screen
    Status(status::Options),
    /// Ask whether clients can send mail now: exit code 0 if so. For containers
    Healthcheck(healthcheck::Options),
    /// Show and manage the messages that are not delivered
    Queue {
        #[command(subcommand)]
        command: queue::Command,
    },
    /// List what became of messages, newest first, one row for each recipient
    History(history::Options),
    /// Find messages by anything you know of them, and show what became of them and what to do
    Trace(history::TraceOptions),
    /// List the devices and applications that send mail, and what came of it
    Devices(devices::Options),
    /// Print a link that logs in to the admin page, once
    Page(page::Options),
    /// Write a change of relay.toml that was prepared on the admin page, and put it into force
    Apply(apply::Options),
    /// Pause all delivery, or that of one mailbox; mail is still accepted and waits
    Pause(pause::Options),
    /// Resume delivery after a pause
    Resume(pause::ResumeOptions),
    /// Check the spool (the messages on disk), and recover messages from a damaged one
    Spool {
        #[command(subcommand)]
        command: spool::Command,
    },
    /// Copy the spool (waiting messages and history) to a folder, also while the relay runs
    Backup(backup::Options),
    /// Put a backup into an empty data_dir; stop the relay first
    Restore(backup::RestoreOptions),
    /// Show SMTP sessions that were refused or broken off, with their transcripts
    Sessions {
        #[command(subcommand)]
        command: sessions::Command,
    },
    /// Read a password from standard input and print its hash, for a [[user]]
    HashPassword,
    /// Send a message from standard input, as the command sendmail of cron, mail and PHP
    Sendmail(Box<sendmail::Options>),
    /// Print the manual page of a command or of relay.toml
    Man(reference::ManOptions),
    /// Print completions for a shell: bash, zsh, fish, elvish or PowerShell
    Completions(reference::CompletionsOptions),
}

/// The option that names the configuration file.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        env = "GRAPH_RELAY_CONFIG",
        default_value = "/etc/graph-relay/relay.toml"
    )]
    config: PathBuf,
}

/// Runs the command that the arguments ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    crate::http::install_tls();
    // Dropped last, even if a panic ends the process.
    let _flush = telemetry::FlushAtEnd;
    let arguments = sendmail::arguments::understood(arguments.into_iter().collect());
    let parsed = match parsed(arguments) {
        Ok(parsed) => parsed,
        Err(exit) => return exit.into(),
    };
    // While there is one thread only: it changes the environment.
    let passed = match matches!(parsed.command, Command::Serve(_)) {
        true => Passed::take(),
        false => Ok(Passed::default()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            talk(&format!("graph-relay: cannot start: {error}"));
            return Exit::BrokeDown.into();
        }
    };
    runtime
        .block_on(async {
            match parsed.command {
                Command::Serve(file) => serve::run(&file.config, passed).await,
                #[cfg(not(feature = "sandbox"))]
                Command::Sandbox(_) => no_sandbox::run(),
                #[cfg(feature = "sandbox")]
                Command::Sandbox(options) => Box::pin(sandbox::run(&options)).await,
                Command::Import { command } => import::run(&command).await,
                Command::Check(file) => check::run(&file.config),
                Command::Setup(options) => Box::pin(setup::run(&options)).await,
                Command::Doctor(options) => Box::pin(doctor::run(&options)).await,
                Command::Explain(options) => explain::run(&options),
                Command::SendTest(options) => Box::pin(send_test::run(&options)).await,
                Command::AlertTest(options) => alert_test::run(&options).await,
                Command::Login(options) => Box::pin(login::run(&options)).await,
                Command::Logout(options) => login::log_out(&options).await,
                Command::Accounts(options) => accounts::run(&options).await,
                Command::Status(options) => status::run(&options).await,
                Command::Healthcheck(options) => healthcheck::run(&options).await,
                Command::Queue { command } => queue::run(&command).await,
                Command::History(options) => history::run(&options).await,
                Command::Trace(options) => history::trace(&options).await,
                Command::Devices(options) => devices::run(&options).await,
                Command::Page(options) => page::run(&options).await,
                Command::Apply(options) => apply::run(&options).await,
                Command::Pause(options) => pause::pause(&options).await,
                Command::Resume(options) => pause::resume(&options).await,
                Command::Spool { command } => spool::run(&command).await,
                Command::Backup(options) => backup::run(&options),
                Command::Restore(options) => backup::restore(&options),
                Command::Sessions { command } => sessions::run(&command).await,
                Command::HashPassword => hash_password::run(),
                Command::Sendmail(options) => Box::pin(sendmail::run(*options)).await,
                Command::Man(options) => reference::man(&options),
                Command::Completions(options) => reference::completions(&options),
            }
        })
        .into()
}

/// Parses the arguments, or prints what is wrong or the help that was asked for.
fn parsed(arguments: Vec<OsString>) -> Result<CommandLine, Exit> {
    CommandLine::try_parse_from(arguments).map_err(|error| {
        let asked = matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        );
        // If this cannot be printed, nothing else can.
        drop(error.print());
        if asked { Exit::Done } else { Exit::Usage }
    })
}
