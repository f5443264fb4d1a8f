//! `import`: reads the configuration of another product, says in plain English what becomes of
//! it, and writes a relay.toml if asked to.
//!
//! Promises: without `--write` nothing is written; of an existing file everything stays that is not
//! imported, what is there with other values is replaced only with `--replace`, and the old file is kept as
//! `relay.toml.old` (`merge.rs`); a second import changes nothing; secrets go into files that only
//! the relay's user can read. The last part of the output is what `check` says of the result. Exit code 0: the
//! relay can start with the result; 1: something has to be completed first, or decided because it may
//! let in more than before.

mod devices;
mod merge;
mod queue;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use self::merge::Merged;
use self::merge::Replace;
use self::merge::Unreadable;
use self::merge::merge;
use super::ConfigFile;
use super::Exit;
use super::check;
use super::running::Failure;
use super::say;
use super::say_exactly;
use super::sendmail;
use super::setup::files;
use super::setup::files::Readers;
use super::setup::files::Staged;
use super::talk;
use crate::config::Config;
use crate::import::Found;
use crate::import::ImportError;
use crate::import::Row;
use crate::import::iis;
use crate::import::postfix;
use crate::import::smtp2graph;
use crate::platform::system;

/// Where the relay expects its configuration, if no file is written.
const USUAL: &str = "/etc/graph-relay/relay.toml";

/// Behind a row about which somebody has to decide before the relay starts.
const MAY_OPEN: &str = ". This may let in more than before";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Turn the configuration of Postfix into a relay.toml, or show how to keep Postfix
    Postfix(PostfixOptions),
    /// Turn config.yml of SMTP2Graph into a relay.toml, and take over its waiting messages
    #[command(name = "smtp2graph")]
    Smtp2graph(Smtp2graphOptions),
    /// Turn the SMTP virtual servers of IIS into a relay.toml
    Iis(IisOptions),
    /// List who still sends by SMTP AUTH, and tick off whoever sends through the relay by now
    Report(devices::Options),
}

#[derive(Debug, clap::Args)]
pub(super) struct Smtp2graphOptions {
    /// The configuration file of SMTP2Graph
    #[arg(value_name = "CONFIG.yml", required_unless_present = "queue")]
    file: Option<PathBuf>,
    /// Give the waiting messages (.eml) of this folder to the running relay; stop SMTP2Graph first
    #[arg(long, value_name = "FOLDER")]
    queue: Option<PathBuf>,
    /// The relay's address for --queue. Default: a listener of relay.toml
    #[arg(long, value_name = "HOST[:PORT]", requires = "queue")]
    relay: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct IisOptions {
    /// MetaBase.xml, from C:\\Windows\\System32\\inetsrv
    #[arg(value_name = "MetaBase.xml")]
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct PostfixOptions {
    /// The folder with main.cf and master.cf, or a copy of it
    #[arg(value_name = "FOLDER", default_value = "/etc/postfix")]
    folder: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// Where the result goes.
#[derive(Debug, clap::Args)]
struct Target {
    /// Write the configuration to this file; without it, only a report is printed
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Replace what the file has otherwise; it is kept as relay.toml.old
    #[arg(long, requires = "write")]
    replace: bool,
}

pub(super) async fn run(command: &Command) -> Exit {
    match command {
        Command::Postfix(options) => {
            let machine = system::hostname();
            conclude(postfix::read(&options.folder, &machine), &options.target)
        }
        Command::Smtp2graph(options) => {
            let exit = match &options.file {
                Some(file) => conclude(smtp2graph::read(file), &options.target),
                None => Exit::Done,
            };
            match &options.queue {
                Some(folder) if exit == Exit::Done => {
                    let relays = relays(options).await;
                    match relays {
                        Ok(relays) => queue::take_over(folder, &relays).await,
                        Err(failure) => failure.tell(),
                    }
                }
                Some(folder) => {
                    let folder = folder.display();
                    talk(&format!(
                        "The messages in {folder} stay there. When the relay runs with the completed \
                         relay.toml, run: graph-relay import smtp2graph --queue {folder}"
                    ));
                    exit
                }
                None => exit,
            }
        }
        Command::Iis(options) => conclude(iis::read(&options.file), &options.target),
        Command::Report(options) => devices::run(options).await,
    }
}

async fn relays(options: &Smtp2graphOptions) -> Result<Vec<SocketAddr>, Failure> {
    let found = sendmail::places(options.relay.as_deref(), &options.config.config).await;
    found.map_err(|error| Failure {
        exit: Exit::Unreachable,
        words: format!("the relay was not found: {error}"),
    })
}

fn conclude(found: Result<Found, ImportError>, target: &Target) -> Exit {
    let ended = found.map_err(|error| unread(&error)).and_then(|found| {
        report(&found);
        let exit = match &target.write {
            Some(path) => write(&found, path, target.replace)?,
            None => show(&found)?,
        };
        Ok(match found.decide.iter().any(|row| row.may_open) {
            true => undecided(),
            false => exit,
        })
    });
    ended.unwrap_or_else(Failure::tell)
}

fn unread(error: &ImportError) -> Failure {
    Failure {
        exit: Exit::Configuration,
        words: error.to_string(),
    }
}

/// Prints the four lists.
fn report(found: &Found) {
    let files: Vec<String> = found
        .files
        .iter()
        .map(|it| it.display().to_string())
        .collect();
    say(&format!("Read: {}", files.join(", ")));
    list("Taken over", &found.taken);
    list("Changed", &found.changed);
    list("No counterpart", &found.none);
    list("To be decided or completed", &found.decide);
    if !found.advice.is_empty() {
        say("");
    }
    found.advice.iter().for_each(|line| say(line));
    say("");
}

fn list(title: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    say(&format!("\n{title}:"));
    for row in rows {
        say(&format!("  {}", row.setting));
        let opens = if row.may_open { MAY_OPEN } else { "" };
        say(&format!("        {}{opens}", row.words));
    }
}

/// Shows the configuration, and what `check` would say of it. Its secrets are in a folder that
/// is deleted at once.
fn show(found: &Found) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure {
        exit: Exit::CannotCreate,
        words: format!("cannot create a temporary folder: {error}"),
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let path = Path::new(USUAL);
    let usual = folder_of(path);
    let _staged = match &found.draft.secret {
        Some(secret) => {
            let place = folder.path().join(secret.name);
            let value = secret.value.expose_secret().as_bytes();
            let staged = Staged::write(&place, value, Readers::Relay).map_err(failed)?;
            std::fs::hard_link(staged.path(), &place).map_err(failed)?;
            Some(staged)
        }
        None => None,
    };
    let shown = found.draft.text(&usual);
    say("The relay.toml (--write FILE writes it):\n");
    shown
        .lines()
        .for_each(|line| say_exactly(&format!("    {}", plain(line))));
    say("");
    let temporary = folder.path().to_string_lossy().into_owned();
    let text = found.draft.text(&temporary);
    Ok(match Config::parse(&text, Path::new("relay.toml")) {
        Ok(config) => {
            config
                .warnings
                .iter()
                .for_each(|it| talk(&it.as_warning_in(path)));
            check::summary(&config, Path::new("relay.toml"));
            Exit::Done
        }
        Err(error) => {
            talk(&error.to_string().replace(&temporary, &usual));
            incomplete("Complete the file after --write")
        }
    })
}

/// Writes relay.toml and its secret, and checks them where they are. What an existing file has
/// beside the imported sections stays.
fn write(found: &Found, path: &Path, may_replace: bool) -> Result<Exit, Failure> {
    let folder = folder_of(path);
    let text = text(found, path, &folder, may_replace)?;
    let secret = secret(found, &folder, may_replace)?;
    if text.is_none() && secret.is_none() {
        say(&format!(
            "Nothing to change: {} has all of it already",
            path.display()
        ));
    } else {
        save(path, text.as_deref(), secret)?;
    }
    say("");
    if check::run(path) == Exit::Done {
        return Ok(Exit::Done);
    }
    Ok(incomplete(&format!(
        "Complete {}, then run graph-relay check",
        path.display()
    )))
}

/// The new text of relay.toml; none if the file has everything.
fn text(
    found: &Found,
    path: &Path,
    folder: &str,
    may_replace: bool,
) -> Result<Option<String>, Failure> {
    let existing = match std::fs::read_to_string(path) {
        Ok(existing) => existing,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Some(found.draft.text(folder)));
        }
        Err(error) => return Err(uncreated(path, &error)),
    };
    let replace = match may_replace {
        true => Replace::Allowed,
        false => Replace::NotAllowed,
    };
    let refused = |words: String| Failure {
        exit: Exit::CannotCreate,
        words: format!("{} already exists{words}", path.display()),
    };
    match merge(&existing, &found.draft, folder, replace) {
        Ok(Merged::Same) => Ok(None),
        Ok(Merged::Text(text)) => Ok(Some(text)),
        Ok(Merged::Differs(names)) => Err(refused(format!(
            ", with other values for {}. Use --replace to replace these and keep the rest (the old file \
             is kept with .old at its end), or --write to write another file",
            names.join(", ")
        ))),
        Err(Unreadable::Existing(error)) => Err(refused(format!(
            " and is not valid TOML: correct it, or use --write to write another file. {error}"
        ))),
        Err(Unreadable::Draft(error)) => Err(Failure {
            exit: Exit::BrokeDown,
            words: format!(
                "nothing was written to {}: the configuration that was imported is not valid TOML, which is a \
                 fault of graph-relay. Run the command without --write to see it, and report the fault. {error}",
                path.display()
            ),
        }),
    }
}

/// The secret with its place; none if it is there already.
fn secret<'f>(
    found: &'f Found,
    folder: &str,
    may_replace: bool,
) -> Result<Option<(PathBuf, &'f [u8])>, Failure> {
    let Some(secret) = &found.draft.secret else {
        return Ok(None);
    };
    let place = Path::new(folder).join(secret.name);
    let value = secret.value.expose_secret().as_bytes();
    match std::fs::read(&place) {
        Ok(existing) if existing == value => Ok(None),
        Ok(_) if !may_replace => Err(Failure {
            exit: Exit::CannotCreate,
            words: format!(
                "{} already exists with another secret. Use --replace to replace it (the old one is kept \
                 with .old at its end)",
                place.display()
            ),
        }),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(uncreated(&place, &error)),
        Ok(_) | Err(_) => Ok(Some((place, value))),
    }
}

/// Puts what is new into its place.
fn save(path: &Path, text: Option<&str>, secret: Option<(PathBuf, &[u8])>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| uncreated(path, &error);
    let replaces = path.exists();
    let place = secret.as_ref().map(|(place, _)| place.clone());
    let staged = secret.map(|(place, value)| Staged::write(&place, value, Readers::Relay));
    let staged = staged.transpose().map_err(failed)?;
    let text = match text {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(path).map_err(failed)?,
    };
    let file = Staged::write(path, text.as_bytes(), Readers::Group).map_err(failed)?;
    let old_secret = files::put(file, staged).map_err(failed)?;
    say(&format!("Saved: {}", path.display()));
    if replaces {
        say(&format!(
            "The old one is kept as {}",
            files::old_name(path).display()
        ));
    }
    if let Some(place) = place {
        say(&format!("Saved the secret: {}", place.display()));
    }
    if let Some(old) = old_secret {
        say(&format!(
            "The old secret is kept as {}: delete it when the new one works",
            old.display()
        ));
    }
    Ok(())
}

fn uncreated(path: &Path, error: &std::io::Error) -> Failure {
    Failure {
        exit: Exit::CannotCreate,
        words: format!("{}: {error}", path.display()),
    }
}

fn incomplete(advice: &str) -> Exit {
    talk(&format!("{advice}: the lines above name what is missing"));
    Exit::CheckFailed
}

fn undecided() -> Exit {
    talk(
        "Before the relay starts, decide about the settings above that may let in more machines or \
         senders than before",
    );
    Exit::CheckFailed
}

/// The folder of a file, as relay.toml names other files in it.
fn folder_of(path: &Path) -> String {
    let folder = path.parent().filter(|it| *it != Path::new(""));
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.to_string_lossy().into_owned()
}

/// A line without characters that a terminal obeys.
fn plain(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}
