//! Pickup folders: messages that applications write as files, as they did for the SMTP service
//! of IIS.
//!
//! A file counts as complete if its name ends with `.eml` and its size, its time of change and
//! its inode are the same in two looks, [`LOOK`] apart; renaming a complete file into place is
//! the safe way. It then goes through the same dialog and the same admission as a message from
//! a client on this machine (`message.rs`).
//!
//! Promises: a file is deleted only after the spool has committed its message; a file that is
//! refused goes to `bad/`, with the reason beside it; what cannot be decided now stays where it
//! is. Before a message is handed to the spool, its file gets the name of the entry to be, in
//! `.taking/`: after a crash the spool knows that entry or not, so that no message is taken twice
//! and none is lost (`folder.rs`). A file that has to wait does not keep the others waiting, unless
//! the relay itself has no room, or the limit of messages is reached.

mod folder;
mod message;

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::folder::Candidate;
use self::folder::Stamp;
use self::message::Fate;
use super::Shared;
use crate::telemetry::pickuplog;

/// How long after one look the next follows.
const LOOK: Duration = Duration::from_secs(2);
/// Messages of one folder between two looks.
const MOST_MESSAGES: usize = 200;

/// What was seen at the last look at a folder.
#[derive(Debug, Default)]
struct Seen {
    stamps: HashMap<PathBuf, Stamp>,
    /// Files that could not be taken then.
    waiting: HashSet<PathBuf>,
    /// Why it could not be looked at, or why a file has to wait.
    trouble: Option<String>,
}

/// Why a file is not taken now.
enum Wait {
    /// It has to wait; others need not.
    File(String),
    /// The relay can take none.
    All(String),
}

/// Looks into the pickup folders of the rules in force, until the relay stops.
pub async fn run(shared: Arc<Shared>) {
    let mut seen: HashMap<PathBuf, Seen> = HashMap::new();
    loop {
        let folders = shared.rules().pickups.clone();
        seen.retain(|folder, _| folders.contains(folder));
        for folder in &folders {
            let before = seen.entry(folder.clone()).or_default();
            look(folder, before, &shared).await;
            if shared.stop.is_cancelled() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shared.stop.cancelled() => return,
        }
    }
}

/// Takes what has been complete since the last look.
async fn look(folder: &Path, seen: &mut Seen, shared: &Shared) {
    let trouble = match ready(folder, shared).await {
        Ok(candidates) => take(folder, candidates, seen, shared).await,
        Err(error) => Some(error.to_string()),
    };
    if trouble != seen.trouble {
        match &trouble {
            Some(reason) => pickuplog::waits(folder, reason),
            None => pickuplog::goes_on(folder),
        }
        seen.trouble = trouble;
    }
}

/// The files of a folder, after what an earlier look left unfinished.
async fn ready(folder: &Path, shared: &Shared) -> io::Result<Vec<Candidate>> {
    folder::check(folder).await?;
    folder::recover(folder, &shared.spool).await?;
    folder::candidates(folder).await
}

/// Returns why messages have to wait, if they do.
async fn take(
    folder: &Path,
    candidates: Vec<Candidate>,
    seen: &mut Seen,
    shared: &Shared,
) -> Option<String> {
    let before = std::mem::take(&mut seen.stamps);
    let is_complete = |it: &Candidate| before.get(&it.path) == Some(&it.stamp);
    let (mut complete, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_complete);
    // Many that have to wait must not keep the others from their turn.
    let waited = std::mem::take(&mut seen.waiting);
    complete.sort_by_key(|it| waited.contains(&it.path));
    let mut left = complete.into_iter();
    let mut trouble = None;
    for candidate in left.by_ref().take(MOST_MESSAGES) {
        let outcome = one(folder, &candidate, shared).await;
        let is_over = matches!(outcome, Err(Wait::All(_))) || shared.stop.is_cancelled();
        if matches!(outcome, Err(Wait::File(_))) {
            seen.waiting.insert(candidate.path.clone());
        }
        if let Err(Wait::File(reason) | Wait::All(reason)) = outcome {
            seen.stamps.insert(candidate.path, candidate.stamp);
            trouble.get_or_insert(reason);
        }
        if is_over {
            break;
        }
    }
    let rest = left.chain(others).map(|it| (it.path, it.stamp));
    seen.stamps.extend(rest);
    trouble
}

/// Takes one file, or moves it to `bad/`.
///
/// # Errors
///
/// Why it has to wait.
async fn one(folder: &Path, candidate: &Candidate, shared: &Shared) -> Result<(), Wait> {
    let limit = shared.rules().session.message_size;
    let shown = |reason: &dyn Display| format!("{}: {reason}", candidate.path.display());
    let file = |error: io::Error| Wait::File(shown(&error));
    if let Some(reason) = candidate.wrong(limit) {
        return refuse(folder, candidate, &candidate.path, &reason).await;
    }
    let id = shared.spool.new_id();
    let taken = folder::begin(folder, candidate, id).await.map_err(file)?;
    match message::take(&taken, candidate.stamp, id, shared).await {
        Fate::Taken => {
            pickuplog::taken(id, &candidate.path);
            folder::end(&taken).await.map_err(file)
        }
        Fate::Bad(reason) => refuse(folder, candidate, &taken, &reason).await,
        Fate::Later(reason) => {
            let back = folder::give_back(&taken, &candidate.path).await;
            back.map_err(file)?;
            Err(Wait::File(shown(&reason)))
        }
        Fate::Shortage(reason) => {
            let back = folder::give_back(&taken, &candidate.path).await;
            back.map_err(file)?;
            Err(Wait::All(shown(&reason)))
        }
        // It stays in `.taking/` until the spool can say whether it has it.
        Fate::Unknown(reason) => Err(Wait::All(shown(&reason))),
    }
}

async fn refuse(
    folder: &Path,
    candidate: &Candidate,
    now: &Path,
    reason: &str,
) -> Result<(), Wait> {
    let moved = folder::refuse(folder, now, &candidate.path, reason).await;
    let bad = moved.map_err(|error| {
        let path = candidate.path.display();
        Wait::File(format!(
            "{path} cannot be moved to bad/: {error}. It is refused: {reason}"
        ))
    })?;
    pickuplog::refused(&bad, reason);
    Ok(())
}
