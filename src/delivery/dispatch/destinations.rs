//! Which mailbox may send next: fairness between mailboxes, parallel requests for each,
//! and backoff after failures. Without I/O; the caller passes the time of the monotonic
//! clock.
//!
//! A mailbox or an account with failures backs off: nothing is sent until its time, then one
//! attempt alone, the probe, with another message than the one that failed last. If it
//! succeeds, everything may go again; if not, the wait grows. So a throttled mailbox is not
//! called before its time, an expired secret costs one token request every few minutes for any
//! number of messages, and no other mailbox is affected. `account_destinations.rs` orders the
//! destinations by when they can begin, so that a round costs no more for those that cannot.
//! The rate limits of a working mailbox are in `pace.rs`, the sharing of workers in
//! `workers.rs`; what a failure and a success change is in `failures.rs`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use super::account_destinations::AccountDestinations;
use super::account_destinations::DestinationState;
use super::account_destinations::Wanted;
use super::pace::Limit;
use super::pace::Need;
use super::pace::Pace;
use super::pace::Paces;
use super::workers::Workers;
use crate::config;
use crate::delivery::outcome::suspects::Jury;
use crate::delivery::standing::Standing;
use crate::mail::Address;
use crate::mail::Destination;
use crate::spool::Pauses;
use crate::spool::Spent;
use crate::spool::Want;

/// All mailboxes with mail that waits or is under way.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Destinations {
    accounts: BTreeMap<String, AccountDestinations>,
    workers: Workers,
    paces: Paces,
    /// The destination that was served last.
    last: Option<Destination>,
    pub(super) changes: Vec<Change>,
    /// What an operator has paused.
    pauses: Pauses,
    /// The state for `status` and metrics.
    standing: Standing,
    /// Destinations looked at so far, for tests.
    #[cfg(test)]
    pub(in crate::delivery) visited: usize,
}

/// What an attempt gets when it begins.
#[derive(Debug)]
pub(in crate::delivery) struct Begun {
    pub(in crate::delivery) pace: Pace,
    pub(in crate::delivery) jury: Jury,
}

/// A change of a mailbox's rate that has to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Change {
    /// One of its limits holds its mail back, for the first time in this backlog.
    Held(Destination, Limit, Instant),
    /// Graph throttles it: the new number of parallel requests.
    Narrowed(Destination, u32, Instant),
    /// As many parallel requests as configured are allowed again.
    Widened(Destination, u32),
}

/// A part of the mailboxes of an account.
type Turn = (String, (Bound<Address>, Bound<Address>));

impl Destinations {
    /// Without destinations; the rate limits by account.
    pub(in crate::delivery) fn new(
        settings: HashMap<String, config::Pace>,
        workers: u32,
        standing: Standing,
    ) -> Self {
        Self {
            workers: Workers::new(workers, settings.keys()),
            paces: Paces::new(settings, standing.figures()),
            standing,
            ..Self::default()
        }
    }

    /// Counts what was used before the relay was started.
    pub(in crate::delivery) fn remember(&mut self, spent: &Spent, now: Instant) {
        self.paces.remember(spent, now);
    }

    /// Wants nothing of what an operator has paused. Backoffs and limits go on.
    pub(in crate::delivery) fn set_pauses(&mut self, pauses: Pauses, now: Instant) {
        self.pauses = pauses;
        let destinations = self.accounts.iter().flat_map(|(account, destinations)| {
            let destination = |mailbox: &Address| Destination {
                account: account.clone(),
                mailbox: mailbox.clone(),
            };
            destinations
                .mailboxes()
                .map(destination)
                .collect::<Vec<_>>()
        });
        for destination in destinations.collect::<Vec<_>>() {
            let is_paused = self.pauses.of(&destination.mailbox).is_some();
            if let Some(state) = self.known(&destination) {
                state.is_paused = is_paused;
                self.place(&destination, now);
            }
        }
    }

    /// Records that the mailbox of a destination is an alias of this one, so that Graph's limits
    /// hold for both together. Parallel requests are still counted separately.
    pub(in crate::delivery) fn shares_limits_with(
        &mut self,
        destination: &Destination,
        owner: &Address,
        now: Instant,
    ) {
        let owner = Destination {
            account: destination.account.clone(),
            mailbox: owner.canonical(),
        };
        let pace = self.paces.share(destination, &owner, now);
        if let Some(state) = self.known(destination) {
            state.pace = pace;
        }
    }

    /// Records that a destination has an entry that is due then.
    pub(in crate::delivery) fn has_due(
        &mut self,
        destination: &Destination,
        due: Instant,
        now: Instant,
    ) {
        let state = self.state(destination, now);
        if state.due.is_none_or(|known| due < known) {
            state.due = Some(due);
            state.need = None;
            self.place(destination, now);
        }
    }

    /// Records, after a claim, when the next entry of a destination is due and what it needs, if
    /// one waits.
    pub(in crate::delivery) fn set_upcoming(
        &mut self,
        destination: &Destination,
        next: Option<(Instant, Need)>,
        now: Instant,
    ) {
        let Some(state) = self.known(destination) else {
            return;
        };
        state.due = next.map(|(due, _)| due);
        state.need = next.map(|(_, need)| need);
        if state.due.is_none_or(|due| due > now) {
            state.reported = None;
            if std::mem::take(&mut state.is_limited) {
                self.standing.limited(destination, None);
            }
        }
        self.place(destination, now);
    }

    /// What may be claimed now, in fair shares: one for each destination in turn, until workers
    /// or room are used up.
    pub(in crate::delivery) fn wants(&mut self, now: Instant) -> Vec<Want> {
        self.wake(now);
        let mut shares: Vec<(Want, u32)> = Vec::new();
        for turn in self.turns() {
            self.serve(&turn, now, &mut shares);
        }
        if let Some((want, _)) = shares.last() {
            self.last = Some(want.destination.clone());
        }
        let most: Vec<u32> = shares.iter().map(|(want, _)| want.count).collect();
        shares.iter_mut().for_each(|(want, _)| want.count = 1);
        let mut given = true;
        while given {
            given = false;
            for ((want, in_flight), most) in shares.iter_mut().zip(&most) {
                let account = &want.destination.account;
                if want.count < *most && self.workers.may_take(account, *in_flight + want.count) {
                    self.workers.take(account);
                    want.count += 1;
                    given = true;
                }
            }
        }
        let wants: Vec<Want> = shares.into_iter().map(|(want, _)| want).collect();
        // They are taken for good when the attempts begin.
        for want in &wants {
            (0..want.count).for_each(|_| self.workers.release(&want.destination.account));
        }
        wants
    }

    /// Gives destinations of an account one attempt each, as far as possible; only one in all
    /// while the account is probed.
    fn serve(&mut self, (name, range): &Turn, now: Instant, shares: &mut Vec<(Want, u32)>) {
        let mut from = range.0.clone();
        while let Some(account) = self.accounts.get(name) {
            let probes = account.backoff.failures > 0;
            if account.backoff.holds(now)
                || !self.workers.may_take(name, 0)
                || probes && self.workers.under_way(name) > 0
            {
                return;
            }
            let newest = probes && account.backoff.probes_newest();
            let next = match newest {
                true => account.newest(),
                false => account.ready_in((from.as_ref(), range.1.as_ref())),
            };
            let Some(mailbox) = next else { return };
            let destination = Destination {
                account: name.clone(),
                mailbox,
            };
            from = Bound::Excluded(destination.mailbox.clone());
            self.offer(destination, now, shares);
            if newest {
                return;
            }
        }
    }

    /// Gives one destination an attempt, if it may have one.
    fn offer(&mut self, destination: Destination, now: Instant, shares: &mut Vec<(Want, u32)>) {
        #[cfg(test)]
        {
            self.visited += 1;
        }
        let Some(account) = self.accounts.get_mut(&destination.account) else {
            return;
        };
        let in_flight = account
            .get(&destination.mailbox)
            .map_or(0, |it| it.in_flight);
        if !self.workers.may_take(&destination.account, in_flight) {
            return;
        }
        match account.want(&destination, now) {
            Wanted::Nothing => {}
            Wanted::Open { want, was_limited } => {
                if was_limited {
                    self.standing.limited(&destination, None);
                }
                self.workers.take(&destination.account);
                shares.push((want, in_flight));
            }
            Wanted::Full {
                limit,
                until,
                is_new,
            } => {
                account.place(&destination.mailbox);
                self.standing.limited(&destination, Some((limit, until)));
                let change = is_new.then_some(Change::Held(destination, limit, until));
                self.changes.extend(change);
            }
        }
    }

    /// When something may be claimed if nothing else happens. A destination whose attempts are
    /// all under way, or that may not have a worker, waits for the end of an attempt and
    /// not for a time.
    pub(in crate::delivery) fn wake_at(&self) -> Option<Instant> {
        let at = |(name, account): (&String, &AccountDestinations)| {
            let is_probed = account.backoff.failures > 0 && self.workers.under_way(name) > 0;
            if is_probed || !self.workers.may_take(name, 0) {
                return None;
            }
            let next = account.next(|in_flight| self.workers.may_take(name, in_flight))?;
            Some(account.backoff.until.map_or(next, |until| next.max(until)))
        };
        self.accounts.iter().filter_map(at).min()
    }

    /// Records that an attempt of this destination has begun, with a message that needs this
    /// much.
    pub(in crate::delivery) fn begun(
        &mut self,
        destination: &Destination,
        now: Instant,
        need: Need,
    ) -> Begun {
        self.workers.take(&destination.account);
        let account = self.account(destination);
        account.first = None;
        let suspects = account.suspects.clone();
        let state = self.state(destination, now);
        state.in_flight += 1;
        let begun = Begun {
            pace: Pace::begin(Arc::clone(&state.pace), now, need),
            jury: Jury {
                mailbox: state.pace.suspects.clone(),
                account: suspects,
            },
        };
        self.place(destination, now);
        begun
    }

    /// Records that an attempt of this destination has ended.
    pub(in crate::delivery) fn ended(&mut self, destination: &Destination, now: Instant) {
        self.workers.release(&destination.account);
        let Some(state) = self.known(destination) else {
            return;
        };
        state.in_flight = state.in_flight.saturating_sub(1);
        // It may have returned unused amounts.
        state.held = None;
        self.place(destination, now);
    }

    /// The changes to log; each is returned once.
    pub(in crate::delivery) fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The number of destinations.
    #[cfg(test)]
    pub(in crate::delivery) fn count(&self) -> usize {
        self.accounts.values().map(AccountDestinations::count).sum()
    }

    /// Moves the destinations whose time has come.
    fn wake(&mut self, now: Instant) {
        for (name, account) in &mut self.accounts {
            for mailbox in account.wake(now) {
                let destination = Destination {
                    account: name.clone(),
                    mailbox,
                };
                self.standing.forget(&destination);
            }
        }
    }

    /// All ready destinations, beginning after the one that was served last.
    fn turns(&self) -> Vec<Turn> {
        let is_ready = |(_, account): &(&String, &AccountDestinations)| account.has_ready();
        let all = |(name, _): (&String, _)| (name.clone(), (Bound::Unbounded, Bound::Unbounded));
        let Some(last) = &self.last else {
            return self.accounts.iter().filter(is_ready).map(all).collect();
        };
        let behind = (Bound::Excluded(&last.account), Bound::Unbounded);
        let behind = self.accounts.range::<String, _>(behind);
        let before = self.accounts.range::<String, _>(..&last.account);
        let own = |from, to| (last.account.clone(), (from, to));
        let first = own(Bound::Excluded(last.mailbox.clone()), Bound::Unbounded);
        let end = own(Bound::Unbounded, Bound::Included(last.mailbox.clone()));
        let others = behind.chain(before).filter(is_ready).map(all);
        [first].into_iter().chain(others).chain([end]).collect()
    }

    pub(super) fn account(&mut self, destination: &Destination) -> &mut AccountDestinations {
        self.accounts
            .entry(destination.account.clone())
            .or_default()
    }

    pub(super) fn known(&mut self, destination: &Destination) -> Option<&mut DestinationState> {
        self.accounts
            .get_mut(&destination.account)?
            .get_mut(&destination.mailbox)
    }

    pub(super) fn state(
        &mut self,
        destination: &Destination,
        now: Instant,
    ) -> &mut DestinationState {
        let account = self
            .accounts
            .entry(destination.account.clone())
            .or_default();
        let (paces, pauses) = (&mut self.paces, &self.pauses);
        account.get_or_insert(&destination.mailbox, || {
            let is_paused = pauses.of(&destination.mailbox).is_some();
            DestinationState::new(paces.of(destination, now), is_paused)
        })
    }

    /// Puts a destination where it belongs after a change.
    pub(super) fn place(&mut self, destination: &Destination, now: Instant) {
        let account = self.account(destination);
        let had_mail = account.busy > 0;
        let stays = account.place(&destination.mailbox);
        let has_mail = account.busy > 0;
        let in_trouble = account.backoff.failures > 0;
        if !stays {
            self.standing.forget(destination);
        }
        if had_mail == has_mail {
            return;
        }
        if in_trouble {
            self.publish_account(destination);
        }
        let any = self.accounts.values().any(|account| account.busy > 0);
        self.standing.mail_waits(any, now);
    }

    pub(super) fn publish(&self, destination: &Destination) {
        let account = self.accounts.get(&destination.account);
        if let Some(state) = account.and_then(|account| account.get(&destination.mailbox)) {
            self.standing.mailbox(destination, &state.backoff);
        }
    }

    pub(super) fn publish_account(&self, destination: &Destination) {
        if let Some(account) = self.accounts.get(&destination.account) {
            let has_mail = account.busy > 0;
            self.standing
                .account(&destination.account, &account.backoff, has_mail);
        }
    }
}
