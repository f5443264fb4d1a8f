//! The last examination of the running relay by itself: what `doctor` found, and when.
//! `service/checkup.rs` runs it, also when somebody asks for it here; `doctor/` has the
//! checks.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::sync::Notify;

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
    /// What a code of Microsoft's means, for whoever shows this of one account.
    #[serde(skip)]
    pub cause: Option<&'static str>,
    /// The key of the account with the wrong value, if it is known.
    #[serde(skip)]
    pub key: Option<&'static str>,
}

/// The result in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// The checks that were correct, for the admin page.
    #[serde(skip)]
    pub passed: Vec<Finding>,
    /// Why it did not end, if it did not.
    pub error: Option<String>,
}

/// The last one; clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastCheckup(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Checkup>,
    is_served: bool,
    every: Option<Duration>,
    /// From the request on.
    is_running: bool,
}

impl LastCheckup {
    /// The last one, if there was one since the start.
    pub fn get(&self) -> Option<Checkup> {
        self.lock().last.clone()
    }

    /// Records one: it has ended.
    pub fn set(&self, checkup: Checkup) {
        let mut state = self.lock();
        state.last = Some(checkup);
        state.is_running = false;
    }

    /// From now on there is somebody who examines, every so often.
    pub fn serve(&self, every: Option<Duration>) {
        let mut state = self.lock();
        state.is_served = true;
        state.every = every;
    }

    /// Whether the relay can examine itself: it has a configuration file.
    pub fn is_served(&self) -> bool {
        self.lock().is_served
    }

    /// The time between two examinations, if they are regular.
    pub fn every(&self) -> Option<Duration> {
        self.lock().every
    }

    /// Whether one is running or about to.
    pub fn is_running(&self) -> bool {
        self.lock().is_running
    }

    /// Asks for one, unless one is running.
    pub fn ask(&self) {
        let mut state = self.lock();
        if state.is_served && !state.is_running {
            state.is_running = true;
            self.0.wanted.notify_one();
        }
    }

    /// Returns when somebody has asked for one.
    pub async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// One begins, or ends without a result.
    pub fn set_running(&self, is_running: bool) {
        self.lock().is_running = is_running;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
