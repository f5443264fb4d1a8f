//! Decides which session makes room first.
//!
//! Promises: a flood makes room by itself. The least valuable sessions go first
//! (`stage.rs`), of these those on the listener with the most of them, then those of the
//! client with the most, then the oldest. Waiting for the verdict on a password counts
//! for only one session of a client, so that guessing on many does not keep them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::HashSet;

use tokio::time::Instant;

use super::Arrival;
use super::Party;
use super::stage::Worth;

/// A session that may have to go.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) struct Candidate {
    /// The oldest session has the lowest number.
    pub(in crate::listener) number: u64,
    pub(in crate::listener) arrival: Arrival,
    pub(in crate::listener) worth: Worth,
    /// Since when it has this value, if that counts.
    pub(in crate::listener) since: Option<Instant>,
}

/// The first of those that `fit`. `candidates` are all sessions, by number: those that do
/// not fit count towards the crowds too.
pub(in crate::listener) fn first(
    mut candidates: Vec<Candidate>,
    fits: impl Fn(&Candidate) -> bool,
) -> Option<u64> {
    let mut verifying = HashSet::new();
    for it in &mut candidates {
        if it.worth == Worth::Verifying && !verifying.insert(it.arrival.party) {
            it.worth = Worth::Idle;
        }
    }
    let mut on_listener: HashMap<(Worth, usize), usize> = HashMap::new();
    let mut of_party: HashMap<(Worth, Party), usize> = HashMap::new();
    for Candidate { arrival, worth, .. } in &candidates {
        *on_listener.entry((*worth, arrival.listener)).or_default() += 1;
        *of_party
            .entry((unproved(*worth), arrival.party))
            .or_default() += 1;
    }
    let fitting = candidates.iter().filter(|candidate| fits(candidate));
    let first = fitting.min_by_key(|it| {
        let Arrival { listener, party } = it.arrival;
        let on_listener = on_listener.get(&(it.worth, listener)).copied();
        let of_party = of_party.get(&(unproved(it.worth), party)).copied();
        let crowds = (Reverse(on_listener), Reverse(of_party));
        (it.worth, crowds, it.since, it.number)
    });
    first.map(|it| it.number)
}

/// A client that guesses passwords has no other room for idling.
fn unproved(worth: Worth) -> Worth {
    if worth == Worth::Verifying {
        Worth::Idle
    } else {
        worth
    }
}
