//! The destinations of one account, ordered by when each may begin its next attempt, so that
//! destinations which cannot begin cost no time. A destination is one mailbox of the account
//! and its waiting mail.
//!
//! A destination is in one of three places: in `ready` if its time has come, in `timed` if that
//! time is known, and in neither while everything it may send is under way. Every change of a
//! destination calls [`AccountDestinations::place`]. A destination with nothing waiting and
//! nothing under way is forgotten; one in backoff, when that is over.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::BackoffState;
use super::pace;
use super::pace::Limit;
use super::pace::MailboxPace;
use super::pace::Need;
use super::pace::Room;
use crate::delivery::outcome::suspects::Shared;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::spool::Want;

/// The destinations of an account, and the account's own backoff.
#[derive(Debug, Default)]
pub(in crate::delivery) struct AccountDestinations {
    pub(in crate::delivery) backoff: BackoffState,
    /// Recent failures of this account.
    pub(in crate::delivery) suspects: Shared,
    /// The mailbox that an operator asked for, to be probed first.
    pub(in crate::delivery) first: Option<Address>,
    /// Destinations with mail that waits for the relay, or is under way.
    pub(in crate::delivery) busy: usize,
    destinations: BTreeMap<Address, DestinationState>,
    ready: BTreeSet<Address>,
    timed: BTreeSet<(Instant, Address)>,
}

/// A mailbox and what waits for it.
#[derive(Debug)]
pub(in crate::delivery) struct DestinationState {
    pub(in crate::delivery) in_flight: u32,
    /// When its next waiting entry is due, if known.
    pub(in crate::delivery) due: Option<Instant>,
    /// What that entry needs, if known.
    pub(in crate::delivery) need: Option<Need>,
    pub(in crate::delivery) backoff: BackoffState,
    pub(in crate::delivery) pace: Arc<MailboxPace>,
    /// The rate limits leave no room before this time.
    pub(in crate::delivery) held: Option<Instant>,
    /// The limit that was reported as reached.
    pub(in crate::delivery) reported: Option<Limit>,
    /// Whether the dispatcher knows that it waits for a limit.
    pub(in crate::delivery) is_limited: bool,
    /// Whether an operator has paused it.
    pub(in crate::delivery) is_paused: bool,
    /// Whether it counts as busy.
    counted: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Ready,
    Timed(Instant),
}

/// How long until a destination at its rate limit is looked at again: an operator may have
/// changed what is next in it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl AccountDestinations {
    pub(in crate::delivery) fn get(&self, mailbox: &Address) -> Option<&DestinationState> {
        self.destinations.get(mailbox)
    }

    pub(in crate::delivery) fn get_mut(
        &mut self,
        mailbox: &Address,
    ) -> Option<&mut DestinationState> {
        self.destinations.get_mut(mailbox)
    }

    pub(in crate::delivery) fn get_or_insert(
        &mut self,
        mailbox: &Address,
        new: impl FnOnce() -> DestinationState,
    ) -> &mut DestinationState {
        self.destinations.entry(mailbox.clone()).or_insert_with(new)
    }

    /// The mailboxes of all destinations.
    pub(in crate::delivery) fn mailboxes(&self) -> impl Iterator<Item = &Address> {
        self.destinations.keys()
    }

    /// The number of destinations.
    #[cfg(test)]
    pub(in crate::delivery) fn count(&self) -> usize {
        self.destinations.len()
    }

    /// Puts a destination where it belongs after a change. Returns whether it still exists.
    pub(in crate::delivery) fn place(&mut self, mailbox: &Address) -> bool {
        let Some(state) = self.destinations.get_mut(mailbox) else {
            return false;
        };
        if state.counted != state.is_busy() {
            state.counted = !state.counted;
            match state.counted {
                true => self.busy += 1,
                false => self.busy = self.busy.saturating_sub(1),
            }
        }
        let next = state.next();
        let stays = next.is_some() || state.has_mail();
        let place = next.map_or(Place::Nowhere, Place::Timed);
        let before = std::mem::replace(&mut state.place, place);
        if before == place && stays {
            return true;
        }
        self.take_from(before, mailbox);
        if let Some(at) = next {
            self.timed.insert((at, mailbox.clone()));
        } else if !stays {
            self.destinations.remove(mailbox);
        }
        stays
    }

    /// Moves destinations whose time has come. Returns those that are forgotten.
    pub(in crate::delivery) fn wake(&mut self, now: Instant) -> Vec<Address> {
        let mut forgotten = Vec::new();
        while self.timed.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, mailbox)) = self.timed.pop_first()
        {
            match self.destinations.get_mut(&mailbox) {
                Some(state) if state.has_mail() => {
                    state.place = Place::Ready;
                    self.ready.insert(mailbox);
                }
                Some(_) | None => {
                    self.destinations.remove(&mailbox);
                    forgotten.push(mailbox);
                }
            }
        }
        forgotten
    }

    /// Whether the time of any destination has come.
    pub(in crate::delivery) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next destination in a range whose time has come.
    pub(in crate::delivery) fn ready_in(
        &self,
        range: (Bound<&Address>, Bound<&Address>),
    ) -> Option<Address> {
        self.ready.range::<Address, _>(range).next().cloned()
    }

    /// The destination to probe with, of those whose time has come: the one an operator asked
    /// for, otherwise the one with the newest mail.
    pub(in crate::delivery) fn newest(&self) -> Option<Address> {
        let first = self.first.as_ref().filter(|it| self.ready.contains(it));
        let due = |mailbox: &&Address| self.get(mailbox).and_then(|state| state.due);
        first.or_else(|| self.ready.iter().max_by_key(due)).cloned()
    }

    /// When the first of its destinations may begin something by itself. A ready destination
    /// counts if it `may` have a worker with this number of attempts under way.
    pub(in crate::delivery) fn next(&self, may: impl Fn(u32) -> bool) -> Option<Instant> {
        let ready = self.ready.iter().filter_map(|mailbox| self.get(mailbox));
        let mut ready = ready.filter(|state| may(state.in_flight));
        let ready = ready.find_map(DestinationState::next);
        let timed = self.timed.first().map(|(at, _)| *at);
        ready.into_iter().chain(timed).min()
    }

    /// What a destination may claim now.
    pub(in crate::delivery) fn want(&mut self, destination: &Destination, now: Instant) -> Wanted {
        let Some(state) = self.destinations.get_mut(&destination.mailbox) else {
            return Wanted::Nothing;
        };
        let limit = match self.backoff.failures {
            0 => state.limit(),
            _ => 1,
        };
        let free = limit.saturating_sub(state.in_flight);
        if free == 0 {
            return Wanted::Nothing;
        }
        let need = state.need.unwrap_or(Need::LEAST);
        match state.pace.room(now, need) {
            Room::Open {
                messages,
                upload,
                recipients,
            } => {
                state.held = None;
                let want = Want {
                    destination: destination.clone(),
                    count: free.min(messages),
                    upload,
                    recipients,
                    behind: state.behind(&self.backoff, &self.suspects),
                    newest_first: state.backoff.probes_newest() || self.backoff.probes_newest(),
                    first_request: pace::first_request,
                };
                let was_limited = std::mem::take(&mut state.is_limited);
                Wanted::Open { want, was_limited }
            }
            Room::Full { limit, until } => {
                // Not at once again, because a waiting request may be woken later.
                let soonest = now + Duration::from_millis(5);
                state.held = Some(until.clamp(soonest, now + LOOK_AGAIN));
                state.need = None;
                let is_new = state.reported != Some(limit);
                state.reported = Some(limit);
                state.is_limited = true;
                Wanted::Full {
                    limit,
                    until,
                    is_new,
                }
            }
        }
    }

    fn take_from(&mut self, place: Place, mailbox: &Address) {
        match place {
            Place::Nowhere => {}
            Place::Ready => drop(self.ready.remove(mailbox)),
            Place::Timed(at) => drop(self.timed.remove(&(at, mailbox.clone()))),
        }
    }
}

/// What a destination may claim.
#[derive(Debug)]
pub(in crate::delivery) enum Wanted {
    Nothing,
    Open {
        want: Want,
        /// Whether a rate limit held it back until now.
        was_limited: bool,
    },
    /// A rate limit holds it back.
    Full {
        limit: Limit,
        until: Instant,
        /// It is the first time in this backlog.
        is_new: bool,
    },
}

impl DestinationState {
    pub(in crate::delivery) fn new(pace: Arc<MailboxPace>, is_paused: bool) -> Self {
        Self {
            in_flight: 0,
            due: None,
            need: None,
            backoff: BackoffState::default(),
            pace,
            held: None,
            reported: None,
            is_limited: false,
            is_paused,
            counted: false,
            place: Place::Nowhere,
        }
    }

    fn has_mail(&self) -> bool {
        self.due.is_some() || self.in_flight > 0
    }

    /// Whether something is under way, or waits for its turn and not for an operator.
    fn is_busy(&self) -> bool {
        self.in_flight > 0 || self.due.is_some() && !self.is_paused
    }

    /// How many attempts may be under way: one while it is probed.
    fn limit(&self) -> u32 {
        match self.backoff.failures {
            0 => self.pace.at_once(),
            _ => 1,
        }
    }

    /// When to look at it: it may begin something then, or is forgotten.
    fn next(&self) -> Option<Instant> {
        if !self.has_mail() {
            return self.backoff.until;
        }
        if self.is_paused || self.in_flight >= self.limit() {
            return None;
        }
        let due = self.due?;
        let others = [self.backoff.until, self.held];
        others.into_iter().flatten().chain([due]).max()
    }

    /// What failed since the last success; anything else goes first.
    fn behind(&self, account: &BackoffState, suspects: &Shared) -> Vec<SpoolId> {
        if self.backoff.eased || account.eased {
            return Vec::new();
        }
        let probes_newest = self.backoff.probes_newest() || account.probes_newest();
        let mut behind = Vec::new();
        for suspects in [&self.pace.suspects, suspects] {
            let suspects = suspects.lock();
            behind.extend(suspects.behind());
            if probes_newest {
                // They were added again, and so look like the newest.
                behind.extend(suspects.suspected());
            }
        }
        behind.extend(self.backoff.last);
        behind.extend(account.last);
        behind
    }
}
