//! The pickup folders that somebody has to look after, for whoever tells people of it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;

/// A folder from which messages cannot be taken until somebody does something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The folder.
    pub folder: PathBuf,
    /// When it began.
    pub since: Timestamp,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// Those of all folders.
#[derive(Debug, Default)]
pub(in crate::listener) struct Troubles(Mutex<Vec<Trouble>>);

impl Troubles {
    /// What is wrong with a folder now and what to do, or that nothing is.
    pub(super) fn set(&self, folder: &Path, trouble: Option<(String, String)>, now: Timestamp) {
        let mut all = self.all();
        let before = all.iter().position(|it| it.folder == folder);
        let since = before.map_or(now, |at| all.remove(at).since);
        all.extend(trouble.map(|(reason, remedy)| Trouble {
            folder: folder.to_owned(),
            since,
            reason,
            remedy,
        }));
    }

    /// Forgets all folders except these.
    pub(super) fn retain(&self, folders: &[PathBuf]) {
        self.all().retain(|it| folders.contains(&it.folder));
    }

    /// What is wrong now.
    pub(in crate::listener) fn now(&self) -> Vec<Trouble> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
