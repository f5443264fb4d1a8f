//! `backup` and `restore`: a copy of the spool while the relay runs, and back into an empty
//! data_dir.
//!
//! Both work with the rights of the owner of data_dir, which is the user of the service, so
//! that the backup belongs to that user and root leaves no file that the relay cannot open.
//! What a backup is, and when it is complete: `spool/backup/mod.rs`.

use std::collections::BTreeMap;
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
use super::spool::as_owner;
use super::spool::data_dir;
use super::talk;
use super::terminal::Progress;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::disk;
use crate::platform::files;
use crate::platform::files::Owner;
use crate::platform::users;
use crate::platform::users::SERVICE_USER;
use crate::platform::users::User;
use crate::spool::SpoolError;
use crate::spool::backup;
use crate::spool::backup::Backup;
use crate::spool::backup::Restored;

/// What to back up, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Options {
    /// The folder for the backup: a new or an empty one; it gets mode 0700
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
}

const AFTER: &str = "The relay continues meanwhile. The backup belongs to the user of the service, who must be able \
to enter the folders above DIR. Large contents are hard links if DIR is on the file system of data_dir, and copies \
otherwise. A backup that was interrupted has no backup.json, and restore refuses it.

In the backup: messages that wait, are held or have failed, with their content, and the history. Not in it: relay.toml \
and the credentials that it names, the sign-ins of mailboxes, orphans/.";

/// What to restore.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_RESTORE)]
pub(super) struct RestoreOptions {
    /// The folder with the backup; the user of the service must be able to read it
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Hold everything that waits, so that nothing is sent before you have looked
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    file: ConfigFile,
}

const AFTER_RESTORE: &str = "The backup is checked first, as spool check does. data_dir must be missing or empty, except \
for sign-ins and token-key. What was waiting at the backup and has been delivered since is sent again: with --hold, \
compare with Sent Items of the mailbox, then graph-relay queue release or queue drop.";

const NOT_IN_IT: &str = "Not in it: relay.toml and the credentials that it names, the sign-ins of mailboxes (sign-ins, \
token-key), orphans/. Whoever can read it can read the mail in it";

pub(super) fn run(options: &Options) -> Exit {
    back_up(options).unwrap_or_else(Failure::tell)
}

pub(super) fn restore(options: &RestoreOptions) -> Exit {
    put_back(options).unwrap_or_else(Failure::tell)
}

fn back_up(options: &Options) -> Result<Exit, Failure> {
    let from = data_dir(&options.file)?;
    let to = &options.folder;
    // A wrong data_dir must not leave an empty folder.
    if let Err(error) = fs::metadata(from.join("spool.db"))
        && error.kind() == io::ErrorKind::NotFound
    {
        let words = format!(
            "there is no spool in {}. If the relay uses another configuration, give it with --config",
            from.display()
        );
        return Err(Failure {
            exit: Exit::CannotCreate,
            words,
        });
    }
    let owner = fs::metadata(&from).map_err(|error| cannot(&from, &error))?;
    let is_new = prepare(to, files::owner(&owner))?;
    let now = Clock::System.now();
    let backup = as_owner(&from, || written(&from, to, now)).map_err(|failure| {
        if is_new {
            drop(fs::remove_dir(to));
        }
        with_reader(failure, &from, |user| {
            let name = &user.name;
            format!(
                "user {name} must be able to enter the folders above it; or name another folder"
            )
        })
    })?;
    let folder = to.display();
    say(&format!(
        "the backup is complete: {folder}: {}",
        list(&backup.messages)
    ));
    if backup.linked + backup.copied > 0 {
        say(&format!(
            "large contents: {} linked, {} copied",
            backup.linked, backup.copied
        ));
    }
    if backup.linked > 0 {
        talk("Links share the disk with the original: copy the backup to another disk or machine");
    }
    talk(NOT_IN_IT);
    if backup.problems.is_empty() {
        return Ok(Exit::Done);
    }
    for problem in &backup.problems {
        say(problem);
    }
    talk(&format!(
        "graph-relay: the spool is damaged, and so is its backup: {} found. graph-relay restore refuses this backup; \
         to get out of it what can be read: graph-relay spool salvage --from {folder}. For the spool itself: \
         graph-relay spool check",
        counted(backup.problems.len(), "problem")
    ));
    Ok(Exit::CheckFailed)
}

/// Writes the backup, and shows how far it is.
fn written(from: &Path, to: &Path, now: Timestamp) -> Result<Backup, SpoolError> {
    let progress = Progress::begin("backing up");
    backup::backup(from, to, now, &|step| progress.step(step))
}

/// Makes the folder for a backup. Returns whether it is new.
fn prepare(folder: &Path, owner: Owner) -> Result<bool, Failure> {
    let failed = |error: io::Error| cannot(folder, &error);
    let is_new = match files::private_folders().create(folder) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed(error)),
    };
    // A folder that was named by mistake stays as it is.
    if let Some(file) = fs::read_dir(folder).map_err(failed)?.next() {
        let name = file.map_err(failed)?.file_name();
        return Err(Failure {
            exit: Exit::CannotCreate,
            words: format!(
                "{}: the folder is not empty ({} is in it): name a new folder",
                folder.display(),
                name.display()
            ),
        });
    }
    let found = fs::metadata(folder).map_err(failed)?;
    if files::mode(&found) & 0o777 != files::PRIVATE_FOLDER {
        fs::set_permissions(folder, files::permissions(files::PRIVATE_FOLDER)).map_err(failed)?;
    }
    if users::is_root() && files::owner(&found).uid != owner.uid {
        files::give(folder, Some(owner.uid), owner.gid).map_err(failed)?;
    }
    // Its name survives a power cut too.
    disk::sync_folder_of(folder).map_err(failed)?;
    Ok(is_new)
}

fn put_back(options: &RestoreOptions) -> Result<Exit, Failure> {
    let to = data_dir(&options.file)?;
    let from = &options.folder;
    if Relay::of(&options.file)?.is_there() {
        return Err(Failure {
            exit: Exit::TryLater,
            words: "the relay is running: systemctl stop graph-relay first".to_owned(),
        });
    }
    fs::metadata(from).map_err(|error| cannot(from, &error))?;
    make_data_dir(&to)?;
    let now = Clock::System.now();
    let progress = Progress::begin("restoring");
    let on_step = |step| progress.step(step);
    let restored = as_owner(&to, || {
        backup::restore(from, &to, options.hold, now, &on_step)
    });
    drop(progress);
    let restored = restored.map_err(|failure| {
        with_reader(failure, &to, |user| {
            let (owner, from) = (user.as_owner(), from.display());
            let name = &user.name;
            format!("user {name} must be able to read it, and to enter the folders above: chown -R {owner} {from}")
        })
    })?;
    let (backup, held) = match restored {
        Restored::Done { backup, held } => (backup, held),
        Restored::Refused(problems) => {
            for problem in &problems {
                say(problem);
            }
            talk(&format!(
                "graph-relay: the backup is unfinished or damaged: {} found, and nothing was restored. Use another \
                 backup, or get out of this one what can be read: graph-relay spool salvage --from {} --to {}",
                counted(problems.len(), "problem"),
                from.display(),
                to.display()
            ));
            return Ok(Exit::CheckFailed);
        }
    };
    say(&format!(
        "restored into {}: the backup of {}: {}",
        to.display(),
        backup.made_at,
        list(&backup.messages)
    ));
    talk(&warning(options, &backup, held));
    Ok(Exit::Done)
}

fn warning(options: &RestoreOptions, backup: &Backup, held: u64) -> String {
    let at = &backup.made_at;
    let gone = format!("What was accepted since {at} is not in it.");
    let waits = ["waiting", "claimed"];
    let waiting: u64 = waits
        .iter()
        .filter_map(|state| backup.messages.get(*state))
        .sum();
    match (waiting, options.hold) {
        (0, _) => format!("{gone} Nothing waits. Next: systemctl start graph-relay"),
        (_, true) => format!(
            "{gone} {} held, because what waited may have been delivered since. Next: systemctl start graph-relay, \
             then graph-relay queue list, and queue release or queue drop",
            counted(held, "message")
        ),
        (_, false) => format!(
            "{gone} {} will be sent when the relay starts: what was delivered since {at} is sent again. To look \
             first, empty data_dir and restore again with --hold. Next: systemctl start graph-relay",
            counted(waiting, "message")
        ),
    }
}

/// A missing data_dir belongs to the user of the service.
fn make_data_dir(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        return Ok(());
    }
    let failed = |error: io::Error| cannot(folder, &error);
    disk::create_folder(folder).map_err(failed)?;
    disk::sync_folder_of(folder).map_err(failed)?;
    if users::is_root()
        && let Some(user) = User::named(SERVICE_USER)
    {
        files::give(folder, Some(user.uid), user.gid).map_err(failed)?;
    }
    Ok(())
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
    let advice = if is_denied {
        ": run this with sudo"
    } else {
        ""
    };
    Failure {
        exit: match is_denied {
            true => Exit::NotPermitted,
            false => Exit::CannotCreate,
        },
        words: format!("{}: {error}{advice}", path.display()),
    }
}

/// Root may do what the user of the service may not. Adds what to do about it.
fn with_reader(mut failure: Failure, data_dir: &Path, advice: impl Fn(&User) -> String) -> Failure {
    if failure.exit == Exit::NotPermitted
        && users::is_root()
        && let Ok(found) = fs::metadata(data_dir)
    {
        let user = User::owning(&found);
        failure.words += &format!(": {}", advice(&user));
    }
    failure
}

/// `2 waiting, 40 delivered`.
fn list(messages: &BTreeMap<String, u64>) -> String {
    let each: Vec<_> = messages
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if each.is_empty() {
        return "no messages".to_owned();
    }
    each.join(", ")
}
