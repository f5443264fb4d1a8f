//! Pickup folders: messages that applications write as files, as they did for the SMTP service
//! of IIS.
//!
//! A file counts as complete if its name ends with `.eml` and its size, its time of change and
//! its inode are the same in two looks, [`LOOK`] apart; renaming a complete file into place is
//! the safe way. It then goes through the same dialog and the same admission as a message from
//! a client on this machine (`letter.rs`, `message.rs`).
//!
//! Promises: a file is deleted only after the spool has committed its message; a file that is
//! refused goes to `bad/`, with the reason beside it, and into the history; what cannot be decided
//! now stays where it is. No file is lost, and none is accepted twice: before its message is handed
//! to the spool, the file gets the name of the entry to be, in `.taking/`, and after a crash the
//! spool knows that entry or not ([`recover`]). A file that a crash left there, that the spool does not
//! know, and that is older than [`DOUBTFUL`], `[history] keep` or a message that the history has
//! forgotten, may have been sent and forgotten too: it goes to `bad/`. So does a file from before a
//! salvage, or before a restore that holds what waits, and one that is found while the note of what
//! was forgotten is damaged.
//!
//! What holds where others may write in the folder: `folder.rs`. A file that has to wait does not
//! keep the others waiting, unless the relay itself has no room, or the limit of messages is reached.

mod fate;
mod folder;
mod letter;
mod message;
mod troubles;

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::fate::Fate;
use self::folder::Candidate;
use self::folder::Claim;
use self::folder::Place;
use self::folder::Stamp;
use self::letter::Known;
use self::message::Message;
pub use self::troubles::Trouble;
pub(super) use self::troubles::Troubles;
use super::Shared;
use super::proxy::Visitor;
use crate::clock::Timestamp;
use crate::config::pickup_remedy;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::telemetry::pickuplog;
use crate::telemetry::refusals::Refusals;
use crate::telemetry::refusals::Whose;

/// How long after one look the next follows.
const LOOK: Duration = Duration::from_secs(2);
/// Messages of one folder between two looks.
const MOST_MESSAGES: usize = 200;
/// The history has every message of this time, unless `[history] keep` is shorter, which counts
/// then, or it had to make room, which the spool remembers.
const DOUBTFUL: Duration = Duration::from_hours(24);
/// What the client of a file is called.
const HELLO: &str = "pickup";
/// The code of a reply that refuses for good, for what is refused without one.
const PERMANENT: u16 = 554;

/// What was seen at the last look at a folder.
#[derive(Debug, Default)]
struct Seen {
    place: Option<Arc<Place>>,
    stamps: HashMap<OsString, Stamp>,
    /// Files that could not be taken then.
    waiting: HashSet<OsString>,
    /// Why it could not be looked at, or why a file has to wait.
    reason: Option<String>,
}

/// Why a file is not taken now.
#[derive(Debug)]
struct Wait {
    reason: String,
    /// What somebody has to do; it may also go away by itself.
    remedy: Option<String>,
    /// Whether no other file can be taken either.
    is_for_all: bool,
}

impl Wait {
    /// The system refuses something in a folder.
    fn io(folder: &Path, shown: &dyn Display, error: &io::Error) -> Self {
        Self {
            reason: format!("{shown}: {error}"),
            remedy: Some(pickup_remedy(folder, error.kind())),
            is_for_all: false,
        }
    }
}

/// Looks into the pickup folders of the rules in force, until the relay stops.
pub async fn run(shared: Arc<Shared>) {
    let mut seen: HashMap<PathBuf, Seen> = HashMap::new();
    loop {
        let folders = shared.rules().pickups.clone();
        seen.retain(|folder, _| folders.contains(folder));
        shared.pickup_troubles.retain(&folders);
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
    let wait = match ready(folder, seen, shared).await {
        Ok((place, candidates)) => take(&place, candidates, seen, shared).await,
        Err(error) => Some(Wait::io(folder, &folder.display(), &error)),
    };
    let remedy = wait.as_ref().and_then(|it| it.remedy.clone());
    let reason = wait.map(|it| it.reason);
    let trouble = reason.clone().zip(remedy);
    let now = shared.clock.now();
    shared.pickup_troubles.set(folder, trouble, now);
    if reason != seen.reason {
        match &reason {
            Some(reason) => pickuplog::waits(folder, reason),
            None => pickuplog::goes_on(folder),
        }
        seen.reason = reason;
    }
}

/// The files of a folder, after what an earlier look left unfinished.
async fn ready(
    folder: &Path,
    seen: &mut Seen,
    shared: &Shared,
) -> io::Result<(Arc<Place>, Vec<Candidate>)> {
    let (path, before) = (folder.to_owned(), seen.place.take());
    let place = blocking(move || match before.filter(|it| it.is_current()) {
        Some(place) => Ok(place),
        None => Place::open(&path).map(Arc::new),
    });
    let place = place.await?;
    seen.place = Some(Arc::clone(&place));
    let tell = |bad: &Path, reason: &str| refused(bad, reason, "", Known::default(), shared);
    let known_for = DOUBTFUL.min(shared.rules().history_keep);
    recover(&place, &shared.spool, shared.clock.now() - known_for, tell).await?;
    let (waiting, listed) = (seen.waiting.clone(), Arc::clone(&place));
    let candidates = blocking(move || listed.candidates(&waiting)).await?;
    Ok((place, candidates))
}

/// Decides about files that a crash or trouble of the spool left in `.taking/`. If the spool has
/// the message, the file is deleted; if it certainly never had it, the file goes back. It cannot
/// be certain about a file from before `forgotten`, from before the newest message that it has
/// forgotten, or from the future (the clock was wrong): that goes to `bad/`, and `tell` reports it.
/// While the spool cannot answer, all of them stay.
async fn recover(
    place: &Arc<Place>,
    spool: &Spool,
    forgotten: Timestamp,
    tell: impl Fn(&Path, &str),
) -> io::Result<()> {
    let left = in_folder(place, Place::left).await?;
    if left.is_empty() {
        return Ok(());
    }
    // What the spool has is durable only if it can still write: then so is what was before.
    spool.probe().await.map_err(io::Error::other)?;
    for claim in left {
        let entry = spool.show(claim.id).await;
        let is_known = entry.map_err(io::Error::other)?.is_some();
        // Asked after the entry: it may be forgotten at any moment.
        let newest = spool.newest_forgotten().await.map_err(io::Error::other)?;
        let time = claim.id.time();
        let is_certain =
            time > forgotten && time <= spool.moment().at && newest.is_none_or(|it| claim.id > it);
        if is_known {
            in_folder(place, move |it| it.end(&claim)).await?;
        } else if is_certain {
            in_folder(place, move |it| it.give_back(&claim)).await?;
        } else {
            let reason = format!(
                "the relay ended while it was taking this file as {}, and the history does not go back \
                 to that time for certain: the message may have been sent. If it was not, move the file \
                 back to the pickup folder",
                claim.id
            );
            let words = reason.clone();
            let bad = in_folder(place, move |it| it.refuse_taken(&claim, &words)).await?;
            tell(&bad, &reason);
        }
    }
    Ok(())
}

/// Returns why messages have to wait, if they do.
async fn take(
    place: &Arc<Place>,
    candidates: Vec<Candidate>,
    seen: &mut Seen,
    shared: &Shared,
) -> Option<Wait> {
    let before = std::mem::take(&mut seen.stamps);
    let is_complete = |it: &Candidate| before.get(&it.name) == Some(&it.stamp);
    let (complete, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_complete);
    seen.waiting.clear();
    let mut left = complete.into_iter();
    let mut first: Option<Wait> = None;
    for candidate in left.by_ref().take(MOST_MESSAGES) {
        let outcome = one(place, &candidate, shared).await;
        let is_for_all = outcome.as_ref().is_err_and(|wait| wait.is_for_all);
        if let Err(wait) = outcome {
            seen.waiting.insert(candidate.name.clone());
            seen.stamps.insert(candidate.name, candidate.stamp);
            // What somebody has to do something about comes first.
            if first
                .as_ref()
                .is_none_or(|it| it.remedy.is_none() && wait.remedy.is_some())
            {
                first = Some(wait);
            }
        }
        if is_for_all || shared.stop.is_cancelled() {
            break;
        }
    }
    let rest = left.chain(others).map(|it| (it.name, it.stamp));
    seen.stamps.extend(rest);
    first
}

/// Takes one file, or moves it to `bad/`.
///
/// # Errors
///
/// Why it has to wait.
async fn one(place: &Arc<Place>, candidate: &Candidate, shared: &Shared) -> Result<(), Wait> {
    let file = File {
        place,
        candidate,
        id: shared.spool.new_id(),
        shared,
    };
    let limit = shared.rules().session.message_size;
    let mut known = Known::default();
    if let Some(reason) = candidate.wrong(limit) {
        return file.settle(Fate::bad(reason), known, None).await;
    }
    match file.read(&mut known).await {
        Ok(message) => {
            let claim = file.begin().await.inspect_err(|_| message.give_back())?;
            match message.accept().await {
                Ok(()) => file.end(claim).await,
                Err(fate) => file.settle(fate, known, Some(claim)).await,
            }
        }
        Err(fate) => file.settle(fate, known, None).await,
    }
}

/// A file that is being taken.
#[derive(Clone, Copy)]
struct File<'a> {
    place: &'a Arc<Place>,
    candidate: &'a Candidate,
    id: SpoolId,
    shared: &'a Shared,
}

impl<'a> File<'a> {
    async fn read(self, known: &mut Known) -> Result<Message<'a>, Fate> {
        let candidate = self.candidate.clone();
        let opened = in_folder(self.place, move |it| it.read(&candidate)).await?;
        let (stamp, shared) = (self.candidate.stamp, self.shared);
        Message::read(opened, stamp, self.id, shared, known).await
    }

    async fn begin(self) -> Result<Claim, Wait> {
        let (candidate, id) = (self.candidate.clone(), self.id);
        let begun = in_folder(self.place, move |it| it.begin(&candidate, id)).await;
        begun.map_err(|error| self.io(&error))
    }

    async fn end(self, claim: Claim) -> Result<(), Wait> {
        pickuplog::taken(self.id, &self.path());
        let ended = in_folder(self.place, move |it| it.end(&claim)).await;
        ended.map_err(|error| self.io(&error))
    }

    /// What becomes of a file that is no message, or none yet.
    async fn settle(self, fate: Fate, known: Known, claim: Option<Claim>) -> Result<(), Wait> {
        let shown = pickuplog::shown(&self.path());
        let wait = |reason: String, is_for_all| Wait {
            reason: format!("{shown}: {reason}"),
            remedy: None,
            is_for_all,
        };
        let wait = match fate {
            Fate::Bad { reason, remedy } => {
                return self.refuse(&reason, remedy, known, claim).await;
            }
            // It stays in `.taking/` until the spool can say whether it has it.
            Fate::Unknown(reason) => return Err(wait(reason, true)),
            Fate::Later(reason) => wait(reason, false),
            Fate::Shortage(reason) => wait(reason, true),
            // Its application took it away again.
            Fate::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Fate::Unreadable(error) => self.io(&error),
        };
        if let Some(claim) = claim {
            let back = in_folder(self.place, move |it| it.give_back(&claim)).await;
            back.map_err(|error| self.io(&error))?;
        }
        Err(wait)
    }

    async fn refuse(
        self,
        reason: &str,
        remedy: &str,
        known: Known,
        claim: Option<Claim>,
    ) -> Result<(), Wait> {
        let (words, name, id) = (reason.to_owned(), self.candidate.name.clone(), self.id);
        let moved = in_folder(self.place, move |it| match claim {
            Some(claim) => it.refuse_taken(&claim, &words),
            None => it.refuse(&name, id, &words),
        });
        let bad = moved.await.map_err(|error| Wait {
            reason: format!(
                "{} cannot be moved to bad/: {error}. It is refused: {reason}",
                pickuplog::shown(&self.path())
            ),
            ..self.io(&error)
        })?;
        refused(&bad, reason, remedy, known, self.shared);
        Ok(())
    }

    fn path(self) -> PathBuf {
        self.place.shown(&self.candidate.name)
    }

    fn io(self, error: &io::Error) -> Wait {
        let shown = pickuplog::shown(&self.path());
        Wait::io(self.place.path(), &shown, error)
    }
}

/// Tells everybody of a file that was refused; it is there now.
fn refused(bad: &Path, reason: &str, remedy: &str, known: Known, shared: &Shared) {
    pickuplog::refused(bad, reason);
    shared.metrics.pickup_files_refused.inc();
    let cause = format!("the file is {}", pickuplog::shown(bad));
    let mut refusals = Refusals::of_file(&known.from, &known.to, known.caption, &cause);
    let reply = format!("{PERMANENT} 5.0.0 {reason}");
    refusals.refused(PERMANENT, &reply, remedy);
    let whose = || Whose {
        client: Visitor::here().client(),
        hello: Some(HELLO.to_owned()),
        user: None,
    };
    for refusal in refusals.take(true, whose) {
        shared.spool.note_refusal(refusal);
    }
}

/// Does something in a folder, on a thread that may wait for its disk.
async fn in_folder<T: Send + 'static>(
    place: &Arc<Place>,
    work: impl FnOnce(&Place) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let place = Arc::clone(place);
    blocking(move || work(&place)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests;
