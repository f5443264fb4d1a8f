//! `import smtp2graph --queue`: gives the messages that wait in another relay's folder to the
//! running relay, by SMTP.
//!
//! Promises: a file leaves its name `NAME.eml` before the relay is asked (`NAME.eml.sending`),
//! and becomes `NAME.eml.taken` only after the relay has said that the message is safe. A refusal
//! gives the file its old name back. Where nobody knows whether the relay has it (the connection
//! broke, or this program was killed), it stays `.sending`: it is reported and never sent a second
//! time by itself. No file is deleted.

use std::fs;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::Exit;
use crate::cli::counted;
use crate::cli::say;
use crate::cli::sendmail::Handed;
use crate::cli::sendmail::hand_over;
use crate::cli::talk;
use crate::disk;

const WAITING: &str = "eml";
const SENDING: &str = "sending";
const TAKEN: &str = "taken";

/// Gives every message of the folder to the first relay that answers at these addresses.
pub(super) async fn take_over(folder: &Path, relays: &[SocketAddr]) -> Exit {
    let Files {
        waiting,
        doubtful,
        has_taken,
    } = match files(folder) {
        Ok(files) => files,
        Err(error) => {
            talk(&format!(
                "cannot read the folder {}: {error}",
                folder.display()
            ));
            return Exit::Configuration;
        }
    };
    if waiting.is_empty() && doubtful.is_empty() {
        return nothing(folder, has_taken);
    }
    let mut exit = Exit::Done;
    for file in &doubtful {
        tell_doubt(file, "an earlier run ended while it was being sent");
        exit = Exit::CheckFailed;
    }
    let mut taken = 0_u64;
    for file in &waiting {
        match one(file, relays).await {
            Ok(Handed::Taken(others)) => {
                taken += 1;
                for words in others {
                    talk(&format!("{}: {words}", file.display()));
                    exit = Exit::CheckFailed;
                }
            }
            Ok(Handed::Refused(words)) => {
                talk(&format!("{}: {words}", file.display()));
                exit = Exit::CheckFailed;
            }
            Ok(Handed::Doubtful(words)) => {
                tell_doubt(&added(file, SENDING), &words);
                exit = Exit::CheckFailed;
            }
            Ok(Handed::Later(words)) => {
                talk(&format!("{}: {words}", file.display()));
                exit = Exit::TryLater;
                break;
            }
            Err(error) => {
                talk(&format!("{}: {error}", file.display()));
                exit = Exit::CheckFailed;
            }
        }
    }
    let all = counted(u64::try_from(waiting.len()).unwrap_or(u64::MAX), "message");
    say(&format!(
        "{taken} of {all} taken over from {}; their files now end with .{TAKEN}",
        folder.display()
    ));
    exit
}

async fn one(file: &Path, relays: &[SocketAddr]) -> io::Result<Handed> {
    let sending = added(file, SENDING);
    if !fs::symlink_metadata(file)?.is_file() {
        return Err(io::Error::other(
            "this is not a regular file: it is left where it is",
        ));
    }
    renamed(file, &sending)?;
    let handed = match File::open(&sending) {
        Ok(content) => hand_over(content, relays).await,
        Err(error) => Handed::Refused(error.to_string()),
    };
    match &handed {
        Handed::Taken(_) => renamed(&sending, &added(file, TAKEN))?,
        Handed::Refused(_) | Handed::Later(_) => renamed(&sending, file)?,
        Handed::Doubtful(_) => {}
    }
    Ok(handed)
}

/// Gives a file another name, which no file has yet: none is ever replaced.
fn renamed(from: &Path, to: &Path) -> io::Result<()> {
    let renamed = crate::platform::files::rename_new(from, to);
    renamed.map_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return error;
        }
        let words = format!("{} exists already: move it away", to.display());
        io::Error::new(error.kind(), words)
    })?;
    disk::sync_folder_of(to)
}

fn tell_doubt(file: &Path, why: &str) {
    talk(&format!(
        "{}: {why}. The relay may have it: look with graph-relay trace for its Message-ID. If it is \
         not there, remove .{SENDING} from the name and run this again",
        file.display()
    ));
}

/// The messages of a folder.
#[derive(Default)]
struct Files {
    /// The oldest first.
    waiting: Vec<PathBuf>,
    /// Those that an earlier run was sending when it ended.
    doubtful: Vec<PathBuf>,
    /// Whether there are some that were taken over before.
    has_taken: bool,
}

fn files(folder: &Path) -> io::Result<Files> {
    let mut files = Files::default();
    let mut waiting = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let ends = path
            .extension()
            .map(|it| it.to_string_lossy().to_lowercase());
        match ends.as_deref() {
            Some(WAITING) => waiting.push((entry.metadata()?.modified()?, path)),
            Some(SENDING) => files.doubtful.push(path),
            Some(TAKEN) => files.has_taken = true,
            Some(_) | None => {}
        }
    }
    waiting.sort();
    files.waiting = waiting.into_iter().map(|(_, path)| path).collect();
    files.doubtful.sort();
    Ok(files)
}

/// Says that no message waits, which is no success in what may be another folder.
fn nothing(folder: &Path, has_taken: bool) -> Exit {
    let is_queue = folder.file_name().is_some_and(|it| it == "queue");
    let folder = folder.display();
    if has_taken || is_queue {
        say(&format!("no message waits in {folder}"));
        return Exit::Done;
    }
    talk(&format!(
        "there is no message (.{WAITING}) in {folder}: name the folder queue within SMTP2Graph's \
         mailroot"
    ));
    Exit::CheckFailed
}

fn added(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
