//! The types in which an operator's orders are given and answered, also over the admin
//! socket. `operator/mod.rs` carries them out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::RunningTime;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::spool::Filter;
use crate::spool::state::State;

/// What to do with entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Try again at once; also for failed and held entries.
    Retry,
    /// Do not try until it is released.
    Hold,
    /// End a hold.
    Release,
    /// Never send, and delete the content.
    Drop,
}

/// An operator's order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub action: Action,
    /// To which entries.
    pub which: Which,
}

/// Which entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// These.
    Ids(Vec<SpoolId>),
    /// A page of all entries that the action applies to.
    Matching {
        /// Only matching entries; a state in the filter counts even if the action does
        /// not apply to it.
        filter: Option<Filter>,
        /// Only entries accepted by then, so not those that came after the operator was
        /// asked.
        accepted_by: RunningTime,
        /// Only entries after this one.
        after: Option<SpoolId>,
    },
}

/// The result of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decided {
    /// For each entry.
    pub decisions: Vec<Decision>,
    /// Where the next page begins, if there may be one.
    pub next: Option<SpoolId>,
}

/// The result for one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The entry.
    pub id: SpoolId,
    /// The result.
    pub verdict: Verdict,
    /// Why nothing was changed, or what to know of the change.
    pub remark: Option<String>,
    /// By which way it is sent, if it waits again now.
    #[serde(skip)]
    pub destination: Option<Destination>,
}

/// Whether something was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was changed.
    Done,
    /// It was in that state before.
    Already,
    /// It is not possible.
    Refused,
}

/// What an order would concern.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Count {
    /// The time of counting, for [`Which::Matching`].
    pub at: RunningTime,
    /// How many entries, by state.
    pub states: BTreeMap<State, u64>,
}

impl Action {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Drop => "drop",
        }
    }

    /// The states that the action applies to if no entry is named.
    pub(in crate::spool) fn states(self) -> &'static [State] {
        match self {
            Self::Retry => &[
                State::Waiting,
                State::Held,
                State::Failed,
                State::Quarantined,
            ],
            // A message that is being sent may come back, so the answer names it.
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
