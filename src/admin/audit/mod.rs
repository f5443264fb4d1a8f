//! The audit list: who did what, through the admin page and by commands.
//!
//! Promises: an entry is on stable storage when [`Audit::record`] returns, or the log says
//! why it is not; the list never takes more than twice [`LARGEST`] bytes; and it contains
//! no secret, because whoever writes an entry says what it contains.
//!
//! It is two files in `data_dir/audit`, one JSON object a line: `list.jsonl`, and
//! `older.jsonl`, which it becomes when it is full. A line that a crash has cut off is
//! skipped.

mod action;
pub(super) mod socket;

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;

pub use self::action::AuditAction;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::disk;
use crate::platform::files;
use crate::telemetry::operatorlog;

/// The size at which a file is full.
const LARGEST: u64 = 2_000_000;
/// The longest text of an entry, in characters.
const LONGEST: usize = 500;

/// Something that somebody did, or was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When it ended.
    pub at: Timestamp,
    /// Who did what.
    #[serde(flatten)]
    pub act: AuditAct,
}

/// The same without its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditAct {
    /// Who: how somebody logged in, or the name of the person; `root`, or a user ID, of a
    /// command.
    pub user: String,
    /// The role on the admin page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The address of the browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The word of an [`AuditAction`].
    pub action: String,
    /// On what.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What came of it.
    pub result: AuditResult,
    /// Why that came of it, or what is left to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// The result of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditResult {
    /// It was done.
    Done,
    /// It goes on; another entry says how it ended.
    Begun,
    /// It waits for somebody who may do it.
    Prepared,
    /// It was not permitted, or not understood.
    Refused,
    /// The relay could not do it.
    Failed,
}

impl AuditResult {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Begun => "begun",
            Self::Prepared => "prepared",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Returns the result of an order for several messages, and why: it is done if at least one
    /// was changed. `remark` is the first that says why one was not.
    pub fn of_messages(changed: usize, unchanged: usize, remark: String) -> (Self, String) {
        match (changed, unchanged) {
            (_, 0) => (Self::Done, String::new()),
            (0, _) => (Self::Refused, remark),
            (changed, unchanged) => {
                let counts = format!("{changed} changed, {unchanged} not: {remark}");
                (Self::Done, counts)
            }
        }
    }

    /// Returns what an HTTP status stands for.
    pub fn of_status(status: axum::http::StatusCode) -> Self {
        match status {
            status if status.is_client_error() => Self::Refused,
            status if status.is_server_error() => Self::Failed,
            _ => Self::Done,
        }
    }
}

/// The list of a relay; clones share it.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Files>);

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    clock: Clock,
    /// Whoever holds it may write.
    turn: Mutex<()>,
}

impl Audit {
    /// The list of a relay with this `data_dir`. Nothing is opened yet.
    pub fn new(data_dir: &Path, clock: Clock) -> Self {
        Self(Arc::new(Files {
            folder: data_dir.join("audit"),
            clock,
            turn: Mutex::default(),
        }))
    }

    /// Adds an entry, and logs it.
    pub async fn record(&self, act: AuditAct) {
        let act = AuditAct {
            user: shortened(act.user),
            action: shortened(act.action),
            about: shortened(act.about),
            reason: shortened(act.reason),
            ..act
        };
        operatorlog::audited(&operatorlog::Audited {
            user: &act.user,
            role: act.role.as_deref(),
            client: act.client,
            action: &act.action,
            about: &act.about,
            result: act.result.name(),
            reason: &act.reason,
        });
        let files = Arc::clone(&self.0);
        let at = files.clock.now();
        let entry = AuditEntry { at, act };
        let written = tokio::task::spawn_blocking(move || files.append(&entry)).await;
        if let Ok(Err(error)) = written {
            operatorlog::audit_failed(&self.0.folder, &error);
        }
    }

    /// Returns the entries that contain all words of `text`, the newest first. `shown` is what
    /// a reader of an entry sees in addition.
    ///
    /// # Errors
    ///
    /// The list cannot be read.
    pub async fn find(
        &self,
        text: &str,
        shown: impl Fn(&AuditAct) -> String + Send + 'static,
    ) -> io::Result<Vec<AuditEntry>> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let files = Arc::clone(&self.0);
        let found = tokio::task::spawn_blocking(move || files.find(&words, &shown)).await;
        found.unwrap_or_else(|_| Err(io::Error::other("the list was not read")))
    }
}

impl Files {
    fn path(&self) -> PathBuf {
        self.folder.join("list.jsonl")
    }

    fn older(&self) -> PathBuf {
        self.folder.join("older.jsonl")
    }

    fn append(&self, entry: &AuditEntry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path();
        disk::create_folder(&self.folder)?;
        let mut file = open(&path)?;
        let size = file.metadata()?.len();
        if size >= LARGEST {
            disk::rename(&path, &self.older())?;
            file = open(&path)?;
        }
        if size == 0 || size >= LARGEST {
            disk::sync_folder_of(&path)?;
        } else if !ends_a_line(&path, size)? {
            // Left by a crash.
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_data()
    }

    fn find(
        &self,
        words: &[String],
        shown: &dyn Fn(&AuditAct) -> String,
    ) -> io::Result<Vec<AuditEntry>> {
        let mut found = Vec::new();
        for path in [self.path(), self.older()] {
            let text = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read?,
            };
            let text = String::from_utf8_lossy(&text);
            found.extend(text.lines().rev().filter_map(|line| {
                let entry: AuditEntry = serde_json::from_str(line).ok()?;
                let seen = format!("{line}\n{}", shown(&entry.act)).to_lowercase();
                let is_found = words.iter().all(|word| seen.contains(word));
                is_found.then_some(entry)
            }));
        }
        Ok(found)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    files::with_mode(&mut options, files::PRIVATE)
        .append(true)
        .create(true)
        .open(path)
}

fn ends_a_line(path: &Path, size: u64) -> io::Result<bool> {
    let mut last = [0; 1];
    let read = files::read_at(&File::open(path)?, &mut last, size.saturating_sub(1))?;
    Ok(read == 1 && last == *b"\n")
}

/// On one line, and not too long.
fn shortened(text: String) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            let start = text.get(..end).unwrap_or_default();
            start.chars().map(clean).chain(['…']).collect()
        }
        None => text.chars().map(clean).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(action: &str) -> AuditAct {
        AuditAct {
            user: "password".to_owned(),
            role: Some("administrator".to_owned()),
            client: Some("192.0.2.1".parse().unwrap()),
            action: action.to_owned(),
            about: String::new(),
            result: AuditResult::Done,
            reason: String::new(),
        }
    }

    fn list() -> (tempfile::TempDir, Audit) {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(folder.path(), Clock::System);
        (folder, audit)
    }

    async fn actions(audit: &Audit, text: &str) -> Vec<String> {
        let found = audit.find(text, |_| String::new()).await.unwrap();
        found.into_iter().map(|entry| entry.act.action).collect()
    }

    #[test]
    fn an_order_is_done_if_it_changed_at_least_one_message() {
        let of = |changed, unchanged| {
            AuditResult::of_messages(changed, unchanged, "it is being sent now".to_owned())
        };
        let because = |reason: &str| reason.to_owned();

        assert_eq!(of(2, 0), (AuditResult::Done, String::new()));
        assert_eq!(
            of(0, 2),
            (AuditResult::Refused, because("it is being sent now"))
        );
        assert_eq!(
            of(3, 2),
            (
                AuditResult::Done,
                because("3 changed, 2 not: it is being sent now")
            )
        );
        assert_eq!(of(0, 0).0, AuditResult::Done);
    }

    #[tokio::test]
    async fn entries_are_found_by_all_their_words_the_newest_first() {
        let (folder, audit) = list();
        assert!(actions(&audit, "").await.is_empty());
        for action in ["pause", "resume", "pause all"] {
            audit.record(act(action)).await;
        }

        assert_eq!(actions(&audit, "").await, ["pause all", "resume", "pause"]);
        assert_eq!(
            actions(&audit, "PAUSE 192.0.2.1").await,
            ["pause all", "pause"]
        );
        assert!(actions(&audit, "pause nobody").await.is_empty());
        // A relay that was started again.
        let again = Audit::new(folder.path(), Clock::System);
        assert_eq!(actions(&again, "").await, actions(&audit, "").await);
        let german = audit.find("anhalten", |act| act.action.replace("pause", "Anhalten"));
        assert_eq!(german.await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_has_cut_off_costs_no_other_entry() {
        let (folder, audit) = list();
        audit.record(act("first")).await;
        let path = folder.path().join("audit/list.jsonl");
        let mut file = File::options().append(true).open(path).unwrap();
        file.write_all(b"{\"at\":\"2026").unwrap();

        audit.record(act("second")).await;

        assert_eq!(actions(&audit, "").await, ["second", "first"]);
    }

    #[tokio::test]
    async fn the_list_is_bounded_and_loses_the_oldest_entries() {
        let (folder, audit) = list();
        let path = folder.path().join("audit/list.jsonl");
        for action in ["first", "second", "third"] {
            audit.record(act(action)).await;
            let file = File::options().append(true).open(&path).unwrap();
            file.set_len(LARGEST).unwrap();
        }

        assert_eq!(actions(&audit, "").await, ["third", "second"]);
        assert_eq!(
            fs::read_dir(folder.path().join("audit")).unwrap().count(),
            2
        );
    }

    #[tokio::test]
    async fn an_entry_is_one_line_and_never_long() {
        let (_folder, audit) = list();
        audit.record(act(&"a\nb".repeat(1000))).await;

        let found = actions(&audit, "").await;

        assert_eq!(found.len(), 1);
        assert_eq!(found[0].chars().count(), LONGEST + 1);
        assert!(found[0].starts_with("a ba b"));
    }
}
