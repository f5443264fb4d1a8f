//! The last examination of the running relay by itself: what `doctor` found, and when.
//! `service/checkup.rs` runs it; `doctor/` has the checks.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// The result.
    pub state: FindingState,
    /// The explanation, one line.
    pub words: String,
    /// How to fix it.
    pub remedy: Option<String>,
    /// Where to click, or which command to run.
    pub place: Option<String>,
}

/// The result in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// Correct.
    Ok,
    /// Possibly wrong, or wrong soon.
    Warning,
    /// Mail cannot be sent.
    Failure,
}

/// An examination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How many checks were correct.
    pub ok: usize,
    /// What was not.
    pub findings: Vec<Finding>,
    /// Why it did not end, if it did not.
    pub error: Option<String>,
}

/// The last one; clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastCheckup(Arc<Mutex<Option<Checkup>>>);

impl LastCheckup {
    /// The last one, if there was one since the start.
    pub fn get(&self) -> Option<Checkup> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// Records one.
    pub fn set(&self, checkup: Checkup) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(checkup);
    }
}
