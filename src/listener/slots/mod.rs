//! Divides the connections between clients.
//!
//! Promises: a flood on one listener leaves [`Plan::reserved`] connections to each other
//! listener, and a flood from other machines the same number to this one. A client has no
//! more than its share. When a newcomer finds all taken, a session that has sent no mail
//! makes room, and after these one that has stopped sending, or whose message makes
//! hardly any progress (`stage.rs`), in the order of `order.rs`: of the listener, and
//! then of the client, with the most of them. As many as needed must go, also after a
//! reload that lowers the limit, but never one whose message is complete or arrives at a
//! decent pace. A client that holds more than half leaves newcomers of others a few
//! seconds to begin. A slot is free from [`Slot::release`] on, and at the latest when it
//! is dropped, even by a panic.
//!
//! Decides only; what a session says when it has to go is left to
//! `listener/dialog.rs`, and the replies to a newcomer to `mod.rs`.

pub(super) mod holders;
mod order;
pub(super) mod party;
pub(super) mod plan;
pub(super) mod stage;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::order::Candidate;
use self::party::Arrival;
use self::party::Party;
use self::plan::Plan;
use self::stage::Event;
use self::stage::Flow;
use self::stage::Owner;
use self::stage::Stage;
use self::stage::Worth;

/// The most sessions that were told to go for arrivals on one listener and have not ended
/// yet. With more, no other session is told to go.
const LEAVING: usize = 64;
/// If a slot became free within this time, others are about to: clients reconnect before
/// the end of their last connection is noticed.
const CHURN: Duration = Duration::from_secs(1);
/// How long a session is safe from newcomers of a client that has more than half of all.
const TO_BEGIN: Duration = Duration::from_secs(5);
/// When a client has far more connections than another: this many times as many, and this
/// part of all.
const TIMES: usize = 4;
const PART: usize = 8;

/// How often it is logged that all are taken.
const A_MINUTE: Duration = Duration::from_secs(60);

/// Whether another session may have to go for an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Only a free slot.
    Free,
    /// Also a slot that can be made free.
    Made,
}

/// Why an arrival gets no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The client has as many as it may have.
    Client,
    /// All are taken, and no session may be told to go.
    Full,
    /// As many as possible have been told to go, and will be gone in a moment.
    Leaving,
}

/// All slots; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of the last slot.
    last: u64,
    /// Sessions by number, so the oldest come first.
    held: BTreeMap<u64, Held>,
    parties: HashMap<Party, Share>,
    /// The number of sessions for each listener.
    listeners: HashMap<usize, usize>,
    local: usize,
    /// Sessions that were told to go and have not ended yet, and the listener that they
    /// make room on.
    leaving: HashMap<u64, usize>,
    freed: Option<Instant>,
    /// When an arrival last found all taken.
    full: Option<Instant>,
    /// When that was last logged.
    warned: Option<Instant>,
    counts: Counts,
}

/// The effects of the limits since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Sessions that had to make room.
    pub(super) made_room: u64,
    /// Arrivals that found no room.
    pub(super) turned_away: u64,
    /// Arrivals whose client had as many as it may have.
    pub(super) over_client_limit: u64,
}

/// The connections of one client.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    connections: usize,
    freed: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    arrival: Arrival,
    since: Instant,
    stage: Stage,
    flow: Arc<Flow>,
    leave: CancellationToken,
}

/// A connection's slot; freed when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    number: u64,
    flow: Arc<Flow>,
    leave: CancellationToken,
    is_released: bool,
}

impl Slots {
    /// Takes a slot for an arrival, or says why there is none. `stop` ends all sessions.
    pub(super) fn enter(
        &self,
        arrival: Arrival,
        plan: &Plan,
        room: Room,
        stop: &CancellationToken,
    ) -> Result<Slot, Refusal> {
        let mut table = self.table();
        if table.share_of(arrival.party) >= plan.limit_of(arrival.party) {
            return Err(Refusal::Client);
        }
        while table.shortage(arrival, plan, None) > 0 {
            if room == Room::Free {
                return Err(Refusal::Full);
            }
            let on_their_way = table.leaving.values().filter(|on| **on == arrival.listener);
            if on_their_way.count() >= LEAVING {
                return Err(Refusal::Leaving);
            }
            let victim = table.victim(arrival, plan).ok_or(Refusal::Full)?;
            table.send_away(victim, arrival.listener);
        }
        let leave = stop.child_token();
        let flow = Arc::new(Flow::new());
        let number = table.add(arrival, Arc::clone(&flow), leave.clone());
        Ok(Slot {
            slots: self.clone(),
            number,
            flow,
            leave,
            is_released: false,
        })
    }

    /// After a change of the plan: surplus sessions must go, as far as they may.
    pub(super) fn shrink(&self, plan: &Plan) {
        let mut table = self.table();
        while table.held.len() > plan.connections {
            let candidates = table.candidates(|_| Owner::Other);
            let Some(number) = order::first(candidates, |_| true) else {
                return;
            };
            let listener = table.held.get(&number).map(|held| held.arrival.listener);
            table.send_away(number, listener.unwrap_or_default());
        }
    }

    /// Whether it is worth waiting a moment for a slot, because some have just become
    /// free.
    pub(super) fn is_churning(&self, arrival: Arrival, refusal: Refusal) -> bool {
        let table = self.table();
        let freed = match refusal {
            Refusal::Client => {
                let share = table.parties.get(&arrival.party);
                share.and_then(|share| share.freed)
            }
            Refusal::Full => table.freed,
            Refusal::Leaving => return true,
        };
        freed.is_some_and(|freed| freed.elapsed() < CHURN)
    }

    /// Resolves when a slot becomes free after this call.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.0.freed.notified()
    }

    /// Counts an arrival that gets no slot.
    pub(super) fn note_refusal(&self, refusal: Refusal) {
        let mut table = self.table();
        match refusal {
            Refusal::Client => table.counts.over_client_limit += 1,
            Refusal::Full | Refusal::Leaving => table.counts.turned_away += 1,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.table().counts
    }

    /// How long ago an arrival found all taken, if ever.
    pub(super) fn full_ago(&self) -> Option<Duration> {
        self.table().full.map(|full| full.elapsed())
    }

    /// Records that an arrival found all taken; returns whether it is the first for a
    /// minute.
    pub(super) fn note_full(&self) -> bool {
        let mut table = self.table();
        let now = Instant::now();
        table.full = Some(now);
        let is_first = table.warned.is_none_or(|warned| now - warned >= A_MINUTE);
        if is_first {
            table.warned = Some(now);
        }
        is_first
    }

    /// The number of slots that are taken.
    pub(super) fn taken(&self) -> usize {
        self.table().held.len()
    }

    /// The clients that hold the most, with their numbers, in descending order.
    pub(super) fn holders(&self, most: usize) -> Vec<(Party, usize)> {
        let table = self.table();
        let shares = table.parties.iter();
        let mut holders: Vec<_> = shares
            .map(|(party, share)| (*party, share.connections))
            .collect();
        drop(table);
        holders.sort_by_key(|(party, count)| (Reverse(*count), *party));
        holders.truncate(most);
        holders
    }

    /// The number of slots of a listener.
    pub(super) fn on_listener(&self, number: usize) -> usize {
        self.table().on(number)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn on(&self, listener: usize) -> usize {
        self.listeners.get(&listener).copied().unwrap_or(0)
    }

    fn share_of(&self, party: Party) -> usize {
        let share = self.parties.get(&party);
        share.map_or(0, |share| share.connections)
    }

    /// How many connections an arrival lacks, beyond those kept for others; with one
    /// session `less`, if that is given.
    fn shortage(&self, arrival: Arrival, plan: &Plan, less: Option<Arrival>) -> usize {
        let reserve = plan.reserve();
        let kept = |has: usize, is_less: bool| {
            let has = has.saturating_sub(usize::from(is_less));
            reserve.saturating_sub(has)
        };
        let others = (0..plan.listeners).filter(|number| *number != arrival.listener);
        let for_listeners: usize = others
            .map(|number| {
                kept(
                    self.on(number),
                    less.is_some_and(|it| it.listener == number),
                )
            })
            .sum();
        let for_this_machine = if arrival.party.is_local() || !plan.is_local {
            0
        } else {
            kept(self.local, less.is_some_and(|it| it.party.is_local()))
        };
        let taken = self.held.len() - usize::from(less.is_some());
        (taken + for_listeners + for_this_machine + 1).saturating_sub(plan.connections)
    }

    /// The session that makes room for an arrival, or at least for part of what it needs.
    fn victim(&self, arrival: Arrival, plan: &Plan) -> Option<u64> {
        let has = self.share_of(arrival.party);
        let candidates = self.candidates(|party| {
            let many = self.share_of(party);
            let is_by_far = many >= (has + 1) * TIMES && many >= plan.connections / PART;
            match is_by_far {
                true => Owner::HasMany,
                false => Owner::Other,
            }
        });
        let now = self.shortage(arrival, plan, None);
        let has_half = has * 2 > plan.connections;
        order::first(candidates, |candidate| {
            let may = !has_half || self.may_be_taken_by_half(candidate, arrival.party);
            may && self.shortage(arrival, plan, Some(candidate.arrival)) < now
        })
    }

    /// Whether a client that has more than half may take the place of a session, because
    /// others have some time to send mail first.
    fn may_be_taken_by_half(&self, candidate: &Candidate, party: Party) -> bool {
        let held = self.held.get(&candidate.number);
        let has_begun = || held.is_some_and(|held| held.since.elapsed() >= TO_BEGIN);
        candidate.arrival.party == party || (candidate.worth != Worth::Verifying && has_begun())
    }

    /// All sessions that may have to go, by number.
    fn candidates(&self, owner: impl Fn(Party) -> Owner) -> Vec<Candidate> {
        let now = Instant::now();
        let candidates = self.held.iter().filter_map(|(number, held)| {
            let owner = owner(held.arrival.party);
            let (worth, since) = held.stage.worth(&held.flow, owner, now)?;
            Some(Candidate {
                number: *number,
                arrival: held.arrival,
                worth,
                since,
            })
        });
        candidates.collect()
    }

    fn send_away(&mut self, number: u64, listener: usize) {
        if let Some(held) = self.remove(number) {
            self.leaving.insert(number, listener);
            self.counts.made_room += 1;
            held.leave.cancel();
        }
    }

    fn add(&mut self, arrival: Arrival, flow: Arc<Flow>, leave: CancellationToken) -> u64 {
        self.last += 1;
        *self.listeners.entry(arrival.listener).or_default() += 1;
        self.count(arrival.party);
        let stage = Stage::Connected;
        let held = Held {
            arrival,
            since: Instant::now(),
            stage,
            flow,
            leave,
        };
        self.held.insert(self.last, held);
        self.last
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        let Arrival { listener, party } = held.arrival;
        if let Some(count) = self.listeners.get_mut(&listener) {
            *count -= 1;
        }
        self.count_off(party);
        Some(held)
    }

    fn count(&mut self, party: Party) {
        self.parties.entry(party).or_default().connections += 1;
        self.local += usize::from(party.is_local());
    }

    fn count_off(&mut self, party: Party) {
        if let Some(share) = self.parties.get_mut(&party) {
            share.connections -= 1;
            share.freed = Some(Instant::now());
            if share.connections == 0 {
                self.parties.remove(&party);
            }
        }
        self.local -= usize::from(party.is_local());
    }
}

impl Slot {
    /// Cancelled when the session must go, for another session or at a stop.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.leave
    }

    /// The slot of a proxy's connection counts for its client from now on, unless the client
    /// has as many as it may have.
    pub(super) fn hand_over(&self, party: Party, plan: &Plan) -> Result<(), Refusal> {
        let mut table = self.slots.table();
        if table.share_of(party) >= plan.limit_of(party) {
            return Err(Refusal::Client);
        }
        // Without its slot, the session says so and ends.
        if let Some(held) = table.held.get_mut(&self.number) {
            let before = std::mem::replace(&mut held.arrival.party, party);
            table.count_off(before);
            table.count(party);
        }
        Ok(())
    }

    /// Records the progress of the session; returns whether it still has its slot.
    pub(super) fn mark(&self, event: Event) -> bool {
        let mut table = self.slots.table();
        let Some(held) = table.held.get_mut(&self.number) else {
            return false;
        };
        if event == Event::Data {
            self.flow.begin();
        }
        held.stage = held.stage.after(event, Instant::now());
        true
    }

    /// Records that this many bytes have come.
    pub(super) fn received(&self, bytes: usize) {
        self.flow.received(bytes);
    }

    /// Frees the slot before the connection is closed.
    pub(super) fn release(&mut self) {
        if self.is_released {
            return;
        }
        self.is_released = true;
        let mut table = self.slots.table();
        if table.remove(self.number).is_some() {
            table.freed = Some(Instant::now());
        } else {
            table.leaving.remove(&self.number);
        }
        drop(table);
        self.slots.0.freed.notify_waiters();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release();
    }
}
