//! `spool`: checks the spool, and recovers messages from a damaged one. The running relay does
//! the check itself; salvage needs it stopped.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use super::ConfigFile;
use super::Exit;
use super::counted;
use super::running::Failure;
use super::running::Relay;
use super::say;
use super::talk;
use super::terminal::Progress;
use crate::clock::Clock;
use crate::config::Config;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::User;
use crate::spool;
use crate::spool::Checked;
use crate::spool::Salvaged;
use crate::spool::SpoolError;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Compare every message in the spool with its checksum; changes nothing
    Check(ConfigFile),
    /// Copy everything readable from a damaged spool into a new one; stop the relay first
    Salvage(Options),
}

/// The spool to salvage.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// The folder with the damaged spool.db, instead of data_dir
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// The folder for the new spool, instead of the folder of the old one
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

const AFTER: &str = "The damaged files are kept in damaged-TIME/ next to the new database; nothing is deleted. \
The disk needs free space for two more copies of the database. A message whose state cannot be read may have been \
delivered already: the relay holds it, and you decide (graph-relay queue list). A message whose own content is \
damaged goes into quarantine. Content that belongs to no known message goes to orphans/ at the next start.";

const ORPHANS: &str = "An orphan is a message as it was received, without its envelope (sender and recipients). The \
next start moves it to orphans/. To send it to the recipients in its To and Cc: sendmail -t < FILE, with a \
sendmail that sends through the relay.";

const PAUSES: &str = "What was paused could not be read, so all delivery is paused. To let it go on: graph-relay \
resume";

pub(super) async fn run(command: &Command) -> Exit {
    let outcome = match command {
        Command::Check(file) => check(file).await,
        Command::Salvage(options) => salvage(options),
    };
    outcome.unwrap_or_else(Failure::tell)
}

async fn check(file: &ConfigFile) -> Result<Exit, Failure> {
    let folder = data_dir(file)?;
    let progress = Progress::begin("checking");
    let on_step = |step| progress.step(step);
    let checked: Checked = match Relay::of(file)?.follow("/spool/check", on_step).await {
        Err(failure) if failure.exit == Exit::Unreachable => {
            as_owner(&folder, || spool::check_stopped(&folder, &on_step))?
        }
        checked => checked?,
    };
    drop(progress);
    for problem in &checked.problems {
        say(problem);
    }
    let (messages, problems) = (checked.messages, checked.problems.len());
    if problems == 0 {
        say(&format!(
            "the spool is undamaged: {} read, all match their checksums",
            counted(messages, "message")
        ));
        return Ok(Exit::Done);
    }
    let remedy = match checked.is_database_damaged {
        true => {
            " To repair the database: systemctl stop graph-relay, then graph-relay spool salvage"
        }
        false => "",
    };
    talk(&format!(
        "graph-relay: {} found. The relay does not send damaged messages; to remove one: graph-relay \
         queue drop ID.{remedy}",
        counted(problems, "problem")
    ));
    Ok(Exit::CheckFailed)
}

fn salvage(options: &Options) -> Result<Exit, Failure> {
    let from = match &options.from {
        Some(from) => from.clone(),
        None => data_dir(&options.file)?,
    };
    let to = options.to.clone().unwrap_or_else(|| from.clone());
    let now = Clock::System.now();
    let progress = Progress::begin("salvaging");
    let on_step = |step| progress.step(step);
    let salvaged = as_owner(&from, || spool::salvage(&from, &to, now, &on_step));
    drop(progress);
    let salvaged = salvaged?;
    Ok(tell(&salvaged, &to))
}

fn tell(salvaged: &Salvaged, to: &Path) -> Exit {
    let Salvaged {
        saved,
        held,
        quarantined,
        lost,
        orphans,
        behind,
        are_pauses_lost,
        unreadable,
        kept,
    } = salvaged;
    for (state, count) in saved {
        say(&format!("saved: {count} {state}"));
    }
    for (name, messages) in [("held", held), ("quarantined", quarantined), ("lost", lost)] {
        for (id, why) in messages {
            say(&format!("{name}: {id}: {why}"));
        }
    }
    for id in orphans {
        say(&format!(
            "orphan: {id}: content that belongs to no known message"
        ));
    }
    if !orphans.is_empty() {
        talk(ORPHANS);
    }
    if let Some(behind) = behind {
        talk(behind);
    }
    if *are_pauses_lost {
        talk(PAUSES);
    }
    if *unreadable > 0 {
        talk(&format!(
            "could not read {} of the files",
            counted(*unreadable, "block")
        ));
    }
    let (to, kept) = (to.join("spool.db"), kept.display());
    talk(&format!(
        "The new database is {}; the damaged files are in {kept}. Next: systemctl start graph-relay, \
         then graph-relay queue list",
        to.display()
    ));
    let whole = [held, quarantined, lost].iter().all(|list| list.is_empty());
    if whole && orphans.is_empty() && behind.is_none() && !are_pauses_lost {
        Exit::Done
    } else {
        Exit::CheckFailed
    }
}

pub(super) fn data_dir(file: &ConfigFile) -> Result<PathBuf, Failure> {
    let folder = Config::data_dir_of(&file.config);
    folder.map_err(|error| Failure::of_configuration(&error))
}

/// Works with the rights of the folder's owner, so that root leaves no file that the relay
/// cannot open.
pub(super) fn as_owner<T: Send>(
    folder: &Path,
    work: impl FnOnce() -> Result<T, SpoolError> + Send,
) -> Result<T, Failure> {
    let owner = fs::metadata(folder).map_err(|error| Failure {
        exit: Exit::CannotCreate,
        words: format!(
            "{}: {error}: give the configuration with --config",
            folder.display()
        ),
    })?;
    let done = if users::own_uid() == files::owner(&owner).uid {
        Ok(work())
    } else if users::is_root() {
        users::as_user(&User::owning(&owner), work)
    } else {
        Err(io::Error::from(io::ErrorKind::PermissionDenied))
    };
    let done = done.map_err(|error| Failure {
        exit: Exit::NotPermitted,
        words: format!("{}: {error}: run this with sudo", folder.display()),
    })?;
    done.map_err(|error| Failure {
        exit: exit_of(&error),
        words: error.to_string(),
    })
}

fn exit_of(error: &SpoolError) -> Exit {
    match error {
        SpoolError::InUse(_) => Exit::TryLater,
        SpoolError::File { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
            Exit::NotPermitted
        }
        SpoolError::File { .. }
        | SpoolError::Database(_)
        | SpoolError::Damaged(_)
        | SpoolError::Format { .. }
        | SpoolError::NotKept { .. }
        | SpoolError::Refused(_)
        | SpoolError::NotSynced(_)
        | SpoolError::Gone(_)
        | SpoolError::Closed => Exit::CannotCreate,
    }
}
