//! Which mailbox may send next: fairness between mailboxes, parallel requests for each,
//! and backoff after failures. Without I/O; the caller passes the time of the monotonic
//! clock.
//!
//! A mailbox or an account with failures backs off: nothing is sent until its time, then
//! one attempt alone, the probe, with another message than the one that failed last. If
//! it succeeds, everything may go again; if not, the wait grows. So a throttled mailbox
//! is not called before its time, an expired secret costs one token request every few
//! minutes for any number of messages, and no other mailbox is affected.
//! `account_lanes.rs` orders the lanes by when they can begin, so that a round costs no
//! more for those that cannot. The rate limits of a working mailbox are in `pace.rs`, the
//! sharing of workers in `workers.rs`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use super::account_lanes::AccountLanes;
use super::account_lanes::LaneState;
use super::account_lanes::Wanted;
use super::brake::Failed;
use super::brake::News;
use super::pace::Limit;
use super::pace::Need;
use super::pace::Pace;
use super::pace::Paces;
use super::workers::Workers;
use crate::config;
use crate::delivery::outcome::Cause;
use crate::delivery::outcome::suspects::Jury;
use crate::delivery::standing::Standing;
use crate::mail::Address;
use crate::mail::Lane;
use crate::spool::Pauses;
use crate::spool::Spent;
use crate::spool::Want;

/// All mailboxes with mail that waits or is under way.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Lanes {
    accounts: BTreeMap<String, AccountLanes>,
    workers: Workers,
    paces: Paces,
    /// The lane that was served last.
    last: Option<Lane>,
    changes: Vec<Change>,
    /// What an operator has paused.
    pauses: Pauses,
    /// The state for `status` and metrics.
    standing: Standing,
    /// Lanes looked at so far, for tests.
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
    Held(Lane, Limit, Instant),
    /// Graph throttles it: the new number of parallel requests.
    Narrowed(Lane, u32, Instant),
    /// As many parallel requests as configured are allowed again.
    Widened(Lane, u32),
}

/// A part of the mailboxes of an account.
type Turn = (String, (Bound<Address>, Bound<Address>));

impl Lanes {
    /// Without lanes; the rate limits by account.
    pub(in crate::delivery) fn new(
        settings: HashMap<String, config::Pace>,
        workers: u32,
        standing: Standing,
    ) -> Self {
        Self {
            workers: Workers::new(workers, settings.keys()),
            paces: Paces::new(settings),
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
        let lanes = self.accounts.iter().flat_map(|(account, lanes)| {
            let lane = |mailbox: &Address| Lane {
                account: account.clone(),
                mailbox: mailbox.clone(),
            };
            lanes.mailboxes().map(lane).collect::<Vec<_>>()
        });
        for lane in lanes.collect::<Vec<_>>() {
            let is_paused = self.pauses.of(&lane.mailbox).is_some();
            if let Some(state) = self.known(&lane) {
                state.is_paused = is_paused;
                self.place(&lane, now);
            }
        }
    }

    /// Records that the mailbox of a lane is an alias of this one, so that Graph's limits
    /// hold for both together. Parallel requests are still counted separately.
    pub(in crate::delivery) fn shares_limits_with(
        &mut self,
        lane: &Lane,
        owner: &Address,
        now: Instant,
    ) {
        let owner = Lane {
            account: lane.account.clone(),
            mailbox: owner.canonical(),
        };
        let pace = self.paces.share(lane, &owner, now);
        if let Some(state) = self.known(lane) {
            state.pace = pace;
        }
    }

    /// Records that a lane has an entry that is due then.
    pub(in crate::delivery) fn has_due(&mut self, lane: &Lane, due: Instant, now: Instant) {
        let state = self.state(lane, now);
        if state.due.is_none_or(|known| due < known) {
            state.due = Some(due);
            state.need = None;
            self.place(lane, now);
        }
    }

    /// Records, after a claim, when the next entry of a lane is due and what it needs, if
    /// one waits.
    pub(in crate::delivery) fn set_upcoming(
        &mut self,
        lane: &Lane,
        next: Option<(Instant, Need)>,
        now: Instant,
    ) {
        let Some(state) = self.known(lane) else {
            return;
        };
        state.due = next.map(|(due, _)| due);
        state.need = next.map(|(_, need)| need);
        if state.due.is_none_or(|due| due > now) {
            state.told = None;
            if std::mem::take(&mut state.is_limited) {
                self.standing.limited(lane, None);
            }
        }
        self.place(lane, now);
    }

    /// What may be claimed now, in fair shares: one for each lane in turn, until workers
    /// or room are used up.
    pub(in crate::delivery) fn wants(&mut self, now: Instant) -> Vec<Want> {
        self.wake(now);
        let mut shares: Vec<(Want, u32)> = Vec::new();
        for turn in self.turns() {
            self.serve(&turn, now, &mut shares);
        }
        if let Some((want, _)) = shares.last() {
            self.last = Some(want.lane.clone());
        }
        let most: Vec<u32> = shares.iter().map(|(want, _)| want.count).collect();
        shares.iter_mut().for_each(|(want, _)| want.count = 1);
        let mut given = true;
        while given {
            given = false;
            for ((want, in_flight), most) in shares.iter_mut().zip(&most) {
                let account = &want.lane.account;
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
            (0..want.count).for_each(|_| self.workers.release(&want.lane.account));
        }
        wants
    }

    /// Gives lanes of an account one attempt each, as far as possible; only one in all
    /// while the account is probed.
    fn serve(&mut self, (name, range): &Turn, now: Instant, shares: &mut Vec<(Want, u32)>) {
        let mut from = range.0.clone();
        while let Some(account) = self.accounts.get(name) {
            let probes = account.brake.failures > 0;
            if account.brake.holds(now)
                || !self.workers.may_take(name, 0)
                || probes && self.workers.under_way(name) > 0
            {
                return;
            }
            let newest = probes && account.brake.probes_newest();
            let next = match newest {
                true => account.newest(),
                false => account.ready_in((from.as_ref(), range.1.as_ref())),
            };
            let Some(mailbox) = next else { return };
            let lane = Lane {
                account: name.clone(),
                mailbox,
            };
            from = Bound::Excluded(lane.mailbox.clone());
            self.offer(lane, now, shares);
            if newest {
                return;
            }
        }
    }

    /// Gives one lane an attempt, if it may have one.
    fn offer(&mut self, lane: Lane, now: Instant, shares: &mut Vec<(Want, u32)>) {
        #[cfg(test)]
        {
            self.visited += 1;
        }
        let Some(account) = self.accounts.get_mut(&lane.account) else {
            return;
        };
        let in_flight = account.get(&lane.mailbox).map_or(0, |it| it.in_flight);
        if !self.workers.may_take(&lane.account, in_flight) {
            return;
        }
        match account.want(&lane, now) {
            Wanted::Nothing => {}
            Wanted::Open { want, was_limited } => {
                if was_limited {
                    self.standing.limited(&lane, None);
                }
                self.workers.take(&lane.account);
                shares.push((want, in_flight));
            }
            Wanted::Full {
                limit,
                until,
                is_news,
            } => {
                account.place(&lane.mailbox);
                self.standing.limited(&lane, Some((limit, until)));
                let change = is_news.then_some(Change::Held(lane, limit, until));
                self.changes.extend(change);
            }
        }
    }

    /// When something may be claimed if nothing else happens. A lane whose attempts are
    /// all under way, or that may not have a worker, waits for the end of an attempt and
    /// not for a time.
    pub(in crate::delivery) fn wake_at(&self) -> Option<Instant> {
        let at = |(name, account): (&String, &AccountLanes)| {
            let is_probed = account.brake.failures > 0 && self.workers.under_way(name) > 0;
            if is_probed || !self.workers.may_take(name, 0) {
                return None;
            }
            let next = account.next(|in_flight| self.workers.may_take(name, in_flight))?;
            Some(account.brake.until.map_or(next, |until| next.max(until)))
        };
        self.accounts.iter().filter_map(at).min()
    }

    /// Records that an attempt of this lane has begun, with a message that needs this
    /// much.
    pub(in crate::delivery) fn begun(&mut self, lane: &Lane, now: Instant, need: Need) -> Begun {
        self.workers.take(&lane.account);
        let account = self.account(lane);
        account.first = None;
        let suspects = account.suspects.clone();
        let state = self.state(lane, now);
        state.in_flight += 1;
        let begun = Begun {
            pace: Pace::begin(Arc::clone(&state.pace), now, need),
            jury: Jury {
                mailbox: state.pace.suspects.clone(),
                account: suspects,
            },
        };
        self.place(lane, now);
        begun
    }

    /// Records that an attempt of this lane has ended.
    pub(in crate::delivery) fn ended(&mut self, lane: &Lane, now: Instant) {
        self.workers.release(&lane.account);
        let Some(state) = self.known(lane) else {
            return;
        };
        state.in_flight = state.in_flight.saturating_sub(1);
        // It may have returned unused amounts.
        state.held = None;
        self.place(lane, now);
    }

    /// Graph accepted a message of this lane. Returns whether a fault that was logged is
    /// over.
    pub(in crate::delivery) fn worked(&mut self, lane: &Lane, now: Instant) -> bool {
        let mut over = false;
        if let Some(state) = self.known(lane) {
            let was_in_trouble = state.brake.failures > 0;
            over |= state.brake.release(now);
            let widened = state.pace.widen();
            self.changes
                .extend(widened.map(|at_once| Change::Widened(lane.clone(), at_once)));
            if was_in_trouble {
                self.publish(lane);
            }
            if was_in_trouble || widened.is_some() {
                self.place(lane, now);
            }
        }
        over | self.account_worked(lane, now)
    }

    /// Graph accepted the token of this lane's account. Returns whether a fault that was
    /// logged is over.
    pub(in crate::delivery) fn account_worked(&mut self, lane: &Lane, now: Instant) -> bool {
        let account = self.account(lane);
        if account.brake.failures == 0 {
            return false;
        }
        let over = account.brake.release(now);
        self.publish_account(lane);
        over
    }

    /// The mailbox of this lane backs off.
    pub(in crate::delivery) fn brake_mailbox(&mut self, lane: &Lane, now: Instant, failed: Failed) {
        let state = self.state(lane, now);
        // Requests that were under way together are throttled together, which counts as
        // one sign.
        let narrows = failed.cause == Cause::Throttled && !state.brake.holds(now);
        state.brake.engage(now, failed);
        if narrows && let Some(at_once) = state.pace.narrow() {
            let until = state.brake.until.unwrap_or(now);
            self.changes
                .push(Change::Narrowed(lane.clone(), at_once, until));
        }
        self.publish(lane);
        self.place(lane, now);
    }

    /// The account of this lane backs off.
    pub(in crate::delivery) fn brake_account(&mut self, lane: &Lane, now: Instant, failed: Failed) {
        self.account(lane).brake.engage(now, failed);
        self.publish_account(lane);
    }

    /// An operator wants to know whether this lane works now: the next attempt is a
    /// probe, and does not wait for the relay's own backoff.
    pub(in crate::delivery) fn ease(&mut self, lane: &Lane, now: Instant) {
        let account = self.account(lane);
        account.brake.ease();
        account.first = Some(lane.mailbox.clone());
        self.publish_account(lane);
        if let Some(state) = self.known(lane) {
            state.brake.ease();
            self.publish(lane);
            self.place(lane, now);
        }
    }

    /// Whether a fault of the mailbox is new.
    pub(in crate::delivery) fn tell_mailbox(
        &mut self,
        lane: &Lane,
        what: &str,
        now: Instant,
    ) -> News {
        let news = self.state(lane, now).brake.tell(what);
        self.publish(lane);
        self.place(lane, now);
        news
    }

    /// Whether a fault of the account is new.
    pub(in crate::delivery) fn tell_account(&mut self, lane: &Lane, what: &str) -> News {
        let news = self.account(lane).brake.tell(what);
        self.publish_account(lane);
        news
    }

    /// The changes to log; each is returned once.
    pub(in crate::delivery) fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The number of lanes.
    #[cfg(test)]
    pub(in crate::delivery) fn count(&self) -> usize {
        self.accounts.values().map(AccountLanes::count).sum()
    }

    /// Moves the lanes whose time has come.
    fn wake(&mut self, now: Instant) {
        for (name, account) in &mut self.accounts {
            for mailbox in account.wake(now) {
                let lane = Lane {
                    account: name.clone(),
                    mailbox,
                };
                self.standing.forget(&lane);
            }
        }
    }

    /// All ready lanes, beginning after the one that was served last.
    fn turns(&self) -> Vec<Turn> {
        let is_ready = |(_, account): &(&String, &AccountLanes)| account.has_ready();
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

    fn account(&mut self, lane: &Lane) -> &mut AccountLanes {
        self.accounts.entry(lane.account.clone()).or_default()
    }

    fn known(&mut self, lane: &Lane) -> Option<&mut LaneState> {
        self.accounts.get_mut(&lane.account)?.get_mut(&lane.mailbox)
    }

    fn state(&mut self, lane: &Lane, now: Instant) -> &mut LaneState {
        let account = self.accounts.entry(lane.account.clone()).or_default();
        let (paces, pauses) = (&mut self.paces, &self.pauses);
        account.get_or_insert(&lane.mailbox, || {
            let is_paused = pauses.of(&lane.mailbox).is_some();
            LaneState::new(paces.of(lane, now), is_paused)
        })
    }

    /// Puts a lane where it belongs after a change.
    fn place(&mut self, lane: &Lane, now: Instant) {
        let account = self.account(lane);
        let had_mail = account.busy > 0;
        let stays = account.place(&lane.mailbox);
        let has_mail = account.busy > 0;
        let in_trouble = account.brake.failures > 0;
        if !stays {
            self.standing.forget(lane);
        }
        if had_mail == has_mail {
            return;
        }
        if in_trouble {
            self.publish_account(lane);
        }
        let any = self.accounts.values().any(|account| account.busy > 0);
        self.standing.mail_waits(any, now);
    }

    fn publish(&self, lane: &Lane) {
        let account = self.accounts.get(&lane.account);
        if let Some(state) = account.and_then(|account| account.get(&lane.mailbox)) {
            self.standing.mailbox(lane, &state.brake);
        }
    }

    fn publish_account(&self, lane: &Lane) {
        if let Some(account) = self.accounts.get(&lane.account) {
            let has_mail = account.busy > 0;
            self.standing
                .account(&lane.account, &account.brake, has_mail);
        }
    }
}
