//! The words in which an operator's orders are given and answered, also over
//! the admin socket; `operator/mod.rs` carries them out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::RunningTime;
use crate::mail::SpoolId;
use crate::spool::Filter;
use crate::spool::state::State;

/// What is to be done with entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// To be tried at once, and what has failed or is held once more.
    Retry,
    /// Not to be tried until it is released.
    Hold,
    /// Held no longer.
    Release,
    /// Never to be sent; its content is deleted.
    Drop,
}

/// An operator's order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What is to be done.
    pub action: Action,
    /// With what.
    pub which: Which,
}

/// Which entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// These.
    Ids(Vec<SpoolId>),
    /// A page of all that the action applies to.
    Matching {
        /// Only what it lets through; a state that it names counts whether the
        /// action applies to it or not.
        filter: Option<Filter>,
        /// Only what was accepted by then: not what came after the operator
        /// was asked.
        accepted_by: RunningTime,
        /// Only those behind this one.
        after: Option<SpoolId>,
    },
}

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decided {
    /// For each entry.
    pub decisions: Vec<Decision>,
    /// Where the next page begins, if there may be one.
    pub next: Option<SpoolId>,
}

/// What came of an order for one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The entry.
    pub id: SpoolId,
    /// What came of it.
    pub verdict: Verdict,
    /// Why nothing was changed, or what to know of the change.
    pub remark: Option<String>,
}

/// Whether something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was.
    Done,
    /// It was so before.
    Already,
    /// It cannot be.
    Refused,
}

/// What an order would concern.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Count {
    /// When it was counted: for [`Which::Matching`].
    pub at: RunningTime,
    /// How many, by their states.
    pub states: BTreeMap<State, u64>,
}

impl Action {
    /// The states that it is for, where no entry is named.
    pub(in crate::spool) fn states(self) -> &'static [State] {
        match self {
            Self::Retry => &[
                State::Waiting,
                State::Held,
                State::Failed,
                State::Quarantined,
            ],
            // What is being sent may come back: it is told, not left out.
            Self::Hold => &[State::Waiting, State::Claimed],
            Self::Release => &[State::Held],
            Self::Drop => &[
                State::Waiting,
                State::Claimed,
                State::Held,
                State::Failed,
                State::Quarantined,
            ],
        }
    }
}
