//! Who may go next: fairness between mailboxes, requests at once for each, and
//! brakes where there is trouble. Without I/O; the time comes in.
//!
//! A mailbox or an account in trouble is braked: nothing goes until its time,
//! then one attempt alone, the probe. If that succeeds, all go again; if not,
//! it is braked for longer. So a throttled mailbox is not called before its
//! time, an expired secret costs one token request every few minutes however
//! many messages wait, and no other mailbox notices. What a mailbox that works
//! may be asked for is in `pace.rs`, who may take a worker in `workers.rs`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::Braked;
use super::brake::Brake;
use super::brake::Failed;
use super::brake::News;
use super::outcome::Cause;
use super::pace;
use super::pace::Limit;
use super::pace::MailboxPace;
use super::pace::Need;
use super::pace::Pace;
use super::pace::Paces;
use super::pace::Room;
use super::suspects::Jury;
use super::suspects::Shared;
use super::workers::Workers;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::config;
use crate::mail::Lane;
use crate::mail::SpoolId;
use crate::spool::Spent;
use crate::spool::Upcoming;
use crate::spool::Want;

/// All mailboxes that have something waiting or under way.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Lane, LaneState>,
    accounts: HashMap<String, AccountState>,
    workers: Workers,
    paces: Paces,
    /// The lane that was served last.
    last: Option<Lane>,
    changes: Vec<Change>,
    /// Whether a brake was engaged or released, and nobody was told.
    brakes_changed: bool,
}

#[derive(Debug, Default)]
struct AccountState {
    brake: Brake,
    suspects: Shared,
    /// The lane of an operator's order, to be probed first.
    first: Option<Lane>,
}

/// What an attempt gets when it begins.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) pace: Pace,
    pub(super) jury: Jury,
}

#[derive(Debug)]
struct LaneState {
    in_flight: u32,
    /// When its next waiting entry is due, as far as is known.
    due: Option<Timestamp>,
    /// What that entry needs, if the spool has said so.
    need: Option<Need>,
    brake: Brake,
    pace: Arc<MailboxPace>,
    /// Its pace has no room before this.
    held: Option<Timestamp>,
    /// The limit that was told to hold it back.
    told: Option<Limit>,
}

/// What has changed about a mailbox's pace and is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// One of its limits holds its mail back, for the first time in this backlog.
    Held(Lane, Limit, Timestamp),
    /// Graph throttles it: so many requests at once, from then on.
    Narrowed(Lane, u32, Timestamp),
    /// As many requests at once as allowed again.
    Widened(Lane, u32),
}

/// A lane that its pace holds back is looked at again after this: what is next
/// in it may have changed meanwhile, by an operator's hand.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Lanes {
    /// No lanes yet; the pace by account.
    pub(super) fn new(settings: HashMap<String, config::Pace>, workers: u32) -> Self {
        Self {
            workers: Workers::new(workers, settings.keys()),
            paces: Paces::new(settings),
            ..Self::default()
        }
    }

    /// Counts what was spent before the relay was started.
    pub(super) fn remember(&mut self, spent: &Spent, now: Timestamp) {
        self.paces.remember(spent, now);
    }

    /// A lane has an entry that is due then.
    pub(super) fn has_due(&mut self, lane: Lane, due: Timestamp, now: Timestamp) {
        let state = self.state(&lane, now);
        if state.due.is_none_or(|known| due < known) {
            state.due = Some(due);
            state.need = None;
        }
    }

    /// After a claim: what is next in a lane, if anything waits in it.
    pub(super) fn set_upcoming(&mut self, lane: &Lane, next: Option<Upcoming>, now: Timestamp) {
        if let Some(state) = self.lanes.get_mut(lane) {
            state.due = next.map(|next| now + next.due_in);
            state.need = next.map(|next| Need {
                upload: pace::first_request(next.size),
                recipients: next.recipients,
            });
            if state.due.is_none_or(|due| due > now) {
                state.told = None;
            }
        }
    }

    /// What may be claimed now, in fair shares: one for each lane in turn, until
    /// workers or room are used up.
    pub(super) fn wants(&mut self, now: Timestamp) -> Vec<Want> {
        let probes = self.newest(now);
        let mut shares: Vec<(Want, u32)> = Vec::new();
        for turn in turns(self.last.as_ref()) {
            for (lane, state) in self.lanes.range_mut::<Lane, _>(turn) {
                if self.workers.are_busy() {
                    break;
                }
                if probes.get(&lane.account).is_some_and(|probe| probe != lane) {
                    continue;
                }
                let account = self.accounts.get(&lane.account);
                let brake = account.map(|account| &account.brake);
                let free = free(lane, state, brake, &self.workers, now);
                if free == 0 || !self.workers.may_take(&lane.account, state.in_flight) {
                    continue;
                }
                let (want, change) = state.want(lane, account, free, now);
                self.changes.extend(change);
                if let Some(want) = want {
                    self.workers.take(&lane.account);
                    shares.push((want, state.in_flight));
                }
            }
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
        // Taken for good when they begin.
        for want in &wants {
            (0..want.count).for_each(|_| self.workers.release(&want.lane.account));
        }
        wants
    }

    /// For each account that is to be probed with what came last: its lane.
    fn newest(&self, now: Timestamp) -> HashMap<String, Lane> {
        let probed = self.accounts.iter().filter(|(_, account)| {
            let brake = &account.brake;
            brake.failures > 0 && !brake.holds(now) && brake.probes_newest()
        });
        let newest = probed.filter_map(|(name, account)| {
            let of_account = self.lanes.iter().filter(|(lane, _)| lane.account == *name);
            let ready = of_account.filter(|(lane, state)| {
                free(lane, state, Some(&account.brake), &self.workers, now) > 0
            });
            let is_first = |lane: &Lane| account.first.as_ref() == Some(lane);
            let (lane, _) = ready.max_by_key(|(lane, state)| (is_first(lane), state.due))?;
            Some((name.clone(), lane.clone()))
        });
        newest.collect()
    }

    /// When something may be claimed, if nothing else happens: a lane whose
    /// attempts are all under way, or that may have no worker, waits for the end
    /// of one, not for a time.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let at = |(lane, state): (&Lane, &LaneState)| {
            let due = state.due?;
            let account = self.accounts.get(&lane.account);
            let account = account.map(|account| &account.brake);
            if state.in_flight >= limit(lane, state, account, &self.workers)
                || !self.workers.may_take(&lane.account, state.in_flight)
            {
                return None;
            }
            let brakes = [state.brake.until, account.and_then(|brake| brake.until)];
            let others = brakes.into_iter().chain([state.held]).flatten();
            others.chain([due]).max()
        };
        self.lanes.iter().filter_map(at).min()
    }

    /// An attempt of this lane has begun, with a message of so many bytes and
    /// recipients.
    pub(super) fn begun(
        &mut self,
        lane: &Lane,
        clock: &Clock,
        size: u64,
        recipients: u64,
    ) -> Begun {
        let need = Need {
            upload: pace::first_request(size),
            recipients,
        };
        self.workers.take(&lane.account);
        let account = self.account(lane);
        account.first = None;
        let account = account.suspects.clone();
        let state = self.state(lane, clock.now());
        state.in_flight += 1;
        Begun {
            pace: Pace::begin(Arc::clone(&state.pace), clock.clone(), need),
            jury: Jury {
                mailbox: state.pace.suspects.clone(),
                account,
            },
        }
    }

    /// An attempt of this lane has ended.
    pub(super) fn ended(&mut self, lane: &Lane) {
        self.workers.release(&lane.account);
        let Some(state) = self.lanes.get_mut(lane) else {
            return;
        };
        state.in_flight = state.in_flight.saturating_sub(1);
        // It may have given something back.
        state.held = None;
        if state.in_flight == 0 && state.due.is_none() && state.brake.failures == 0 {
            self.lanes.remove(lane);
        }
    }

    /// Graph took a message of this lane. Whether a fault that was told is over.
    pub(super) fn worked(&mut self, lane: &Lane, now: Timestamp) -> bool {
        let mut over = false;
        if let Some(state) = self.lanes.get_mut(lane) {
            self.brakes_changed |= state.brake.failures > 0;
            over |= state.brake.release(now);
            let widened = state.pace.widen();
            self.changes
                .extend(widened.map(|at_once| Change::Widened(lane.clone(), at_once)));
        }
        over | self.account_worked(lane, now)
    }

    /// Graph took the token of this lane's account. Whether a fault that was
    /// told is over.
    pub(super) fn account_worked(&mut self, lane: &Lane, now: Timestamp) -> bool {
        let brake = &mut self.account(lane).brake;
        let held = brake.failures > 0;
        let over = brake.release(now);
        self.brakes_changed |= held;
        over
    }

    /// The mailbox of this lane is in trouble.
    pub(super) fn brake_mailbox(&mut self, lane: &Lane, now: Timestamp, failed: Failed) {
        self.brakes_changed = true;
        let state = self.state(lane, now);
        // What was under way together is throttled together, and is one sign.
        let narrows = failed.cause == Cause::Throttled && !state.brake.holds(now);
        state.brake.engage(now, failed);
        if narrows && let Some(at_once) = state.pace.narrow() {
            let until = state.brake.until.unwrap_or(now);
            self.changes
                .push(Change::Narrowed(lane.clone(), at_once, until));
        }
    }

    /// The account of this lane is in trouble.
    pub(super) fn brake_account(&mut self, lane: &Lane, now: Timestamp, failed: Failed) {
        self.account(lane).brake.engage(now, failed);
        self.brakes_changed = true;
    }

    /// What is held back because it is in trouble, if that has changed.
    pub(super) fn braked_anew(&mut self, now: Timestamp) -> Option<Vec<Braked>> {
        if !std::mem::take(&mut self.brakes_changed) {
            return None;
        }
        let accounts = self.accounts.iter();
        let accounts = accounts.filter_map(|(name, account)| account.brake.view((name, None), now));
        let lanes = self.lanes.iter().filter_map(|(lane, state)| {
            let name = (lane.account.as_str(), Some(&lane.mailbox));
            state.brake.view(name, now)
        });
        Some(accounts.chain(lanes).collect())
    }

    /// An operator wants to see whether this lane works now: the next attempt,
    /// a probe, need not wait for what the relay had decided by itself.
    pub(super) fn ease(&mut self, lane: &Lane) {
        let account = self.account(lane);
        account.brake.ease();
        account.first = Some(lane.clone());
        if let Some(state) = self.lanes.get_mut(lane) {
            state.brake.ease();
        }
    }

    /// Whether a fault of the mailbox is news.
    pub(super) fn tell_mailbox(&mut self, lane: &Lane, what: &str, now: Timestamp) -> News {
        self.state(lane, now).brake.tell(what)
    }

    /// Whether a fault of the account is news.
    pub(super) fn tell_account(&mut self, lane: &Lane, what: &str) -> News {
        self.account(lane).brake.tell(what)
    }

    /// What is to be told, once.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn account(&mut self, lane: &Lane) -> &mut AccountState {
        self.accounts.entry(lane.account.clone()).or_default()
    }

    fn state(&mut self, lane: &Lane, now: Timestamp) -> &mut LaneState {
        let paces = &mut self.paces;
        let new = || LaneState {
            in_flight: 0,
            due: None,
            need: None,
            brake: Brake::default(),
            pace: paces.of(lane, now),
            held: None,
            told: None,
        };
        self.lanes.entry(lane.clone()).or_insert_with(new)
    }
}

impl LaneState {
    /// What its pace lets it claim of `free` attempts, or until when it is held.
    fn want(
        &mut self,
        lane: &Lane,
        account: Option<&AccountState>,
        free: u32,
        now: Timestamp,
    ) -> (Option<Want>, Option<Change>) {
        let need = self.need.unwrap_or(Need::LEAST);
        match self.pace.room(now, need) {
            Room::Open {
                messages,
                upload,
                recipients,
            } => {
                self.held = None;
                let want = Want {
                    lane: lane.clone(),
                    count: free.min(messages),
                    upload,
                    recipients,
                    behind: self.behind(account),
                    newest_first: self.brake.probes_newest()
                        || account.is_some_and(|account| account.brake.probes_newest()),
                    first_request: pace::first_request,
                };
                (Some(want), None)
            }
            Room::Full { limit, until } => {
                // Not at once again: a request that waits may be woken later.
                let soonest = now + Duration::from_millis(5);
                self.held = Some(until.clamp(soonest, now + LOOK_AGAIN));
                self.need = None;
                let news = self.told != Some(limit);
                self.told = Some(limit);
                (None, news.then(|| Change::Held(lane.clone(), limit, until)))
            }
        }
    }

    /// What failed since something got through: anything else comes first.
    fn behind(&self, account: Option<&AccountState>) -> Vec<SpoolId> {
        if self.brake.eased || account.is_some_and(|account| account.brake.eased) {
            return Vec::new();
        }
        let mut behind: Vec<SpoolId> = self.pace.suspects.lock().behind().collect();
        behind.extend(self.brake.last);
        if let Some(account) = account {
            behind.extend(account.suspects.lock().behind());
            behind.extend(account.brake.last);
        }
        behind
    }
}

/// All lanes, beginning after the one that was served last.
fn turns(last: Option<&Lane>) -> Vec<(Bound<Lane>, Bound<Lane>)> {
    match last {
        Some(last) => vec![
            (Bound::Excluded(last.clone()), Bound::Unbounded),
            (Bound::Unbounded, Bound::Included(last.clone())),
        ],
        None => vec![(Bound::Unbounded, Bound::Unbounded)],
    }
}

/// How many attempts of a lane may begin, by what is due, brakes and requests at
/// once.
fn free(
    lane: &Lane,
    state: &LaneState,
    account: Option<&Brake>,
    workers: &Workers,
    now: Timestamp,
) -> u32 {
    let waits = state.due.is_none_or(|due| due > now)
        || state.held.is_some_and(|held| held > now)
        || state.brake.holds(now)
        || account.is_some_and(|brake| brake.holds(now));
    if waits {
        return 0;
    }
    limit(lane, state, account, workers).saturating_sub(state.in_flight)
}

/// How many attempts of a lane may be under way: one while it is probed; none
/// while another lane of its account is.
fn limit(lane: &Lane, state: &LaneState, account: Option<&Brake>, workers: &Workers) -> u32 {
    if account.is_some_and(|brake| brake.failures > 0) {
        let under_way = workers.under_way(&lane.account);
        return u32::from(under_way <= state.in_flight);
    }
    if state.brake.failures > 0 {
        return 1;
    }
    state.pace.at_once()
}
