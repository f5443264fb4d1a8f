//! Who may go next: fairness between mailboxes, requests at once for each, and
//! brakes where there is trouble. Without I/O; the time comes in.
//!
//! A mailbox or an account in trouble is braked: nothing goes until its time,
//! then one attempt alone, the probe. If that succeeds, all go again; if not,
//! it is braked for longer. So a throttled mailbox is not called before its
//! time, an expired secret costs one token request every few minutes however
//! many messages wait, and no other mailbox notices.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::Duration;

use super::outcome::Cause;
use super::schedule;
use crate::clock::Timestamp;
use crate::mail::Lane;
use crate::spool::Want;

/// All mailboxes that have something waiting or under way.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Lane, LaneState>,
    accounts: HashMap<String, AccountState>,
    /// Requests at once, of each account's mailboxes.
    concurrency: HashMap<String, u32>,
    /// The lane after the one that was served last.
    next: Option<Lane>,
}

#[derive(Debug, Default)]
struct LaneState {
    in_flight: u32,
    /// When its next waiting entry is due, as far as is known.
    due: Option<Timestamp>,
    brake: Brake,
}

#[derive(Debug, Default)]
struct AccountState {
    in_flight: u32,
    brake: Brake,
}

/// Trouble in a row.
#[derive(Debug, Default)]
struct Brake {
    /// 0 is no trouble.
    failures: u32,
    until: Option<Timestamp>,
    /// Of that, what Graph or Entra asked for.
    asked: Option<Timestamp>,
    /// What was told of a configuration fault.
    told: Option<String>,
}

/// What a configuration fault's code or words have become to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was told before.
    Known,
    /// It is to be told.
    New,
}

impl Lanes {
    /// No lanes yet; `concurrency` by account.
    pub(super) fn new(concurrency: HashMap<String, u32>) -> Self {
        Self {
            concurrency,
            ..Self::default()
        }
    }

    /// A lane has an entry that is due then.
    pub(super) fn has_due(&mut self, lane: Lane, due: Timestamp) {
        let state = self.lanes.entry(lane).or_default();
        state.due = Some(state.due.map_or(due, |known| known.min(due)));
    }

    /// After a claim: when the lane's next waiting entry is due, if there is one.
    pub(super) fn set_due(&mut self, lane: &Lane, due: Option<Timestamp>) {
        if let Some(state) = self.lanes.get_mut(lane) {
            state.due = due;
        }
    }

    /// What may be claimed now, with `workers` free, in fair shares.
    pub(super) fn wants(&mut self, now: Timestamp, workers: u32) -> Vec<Want> {
        let mut room: Vec<(Lane, u32)> = Vec::new();
        let mut probing: Vec<String> = Vec::new();
        for lane in self.in_turn() {
            let free = self.room(&lane, now, &probing);
            if free > 0 {
                if self.brake_of(&lane.account).failures > 0 {
                    probing.push(lane.account.clone());
                }
                room.push((lane, free));
            }
        }
        let wants = share(room, workers);
        if let Some(last) = wants.last() {
            self.next = Some(last.lane.clone());
        }
        wants
    }

    /// When something may be claimed, if nothing else happens: a lane whose
    /// attempts are all under way waits for the end of one, not for a time.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let at = |(lane, state): (&Lane, &LaneState)| {
            if state.in_flight >= self.limit(lane, state) {
                return None;
            }
            let brakes = [state.brake.until, self.brake_of(&lane.account).until];
            brakes
                .into_iter()
                .flatten()
                .chain(state.due)
                .max()
                .filter(|_| state.due.is_some())
        };
        self.lanes.iter().filter_map(at).min()
    }

    /// An attempt of this lane has begun.
    pub(super) fn begun(&mut self, lane: &Lane) {
        self.lanes.entry(lane.clone()).or_default().in_flight += 1;
        self.account(lane).in_flight += 1;
    }

    /// An attempt of this lane has ended.
    pub(super) fn ended(&mut self, lane: &Lane) {
        let account = self.account(lane);
        account.in_flight = account.in_flight.saturating_sub(1);
        let Some(state) = self.lanes.get_mut(lane) else {
            return;
        };
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.in_flight == 0 && state.due.is_none() && state.brake.failures == 0 {
            self.lanes.remove(lane);
        }
    }

    /// Graph took a message of this lane. Whether a fault that was told is over.
    pub(super) fn worked(&mut self, lane: &Lane, now: Timestamp) -> bool {
        let mut over = false;
        if let Some(state) = self.lanes.get_mut(lane) {
            over |= state.brake.release(now);
        }
        over | self.account_worked(lane, now)
    }

    /// Graph took the token of this lane's account. Whether a fault that was
    /// told is over.
    pub(super) fn account_worked(&mut self, lane: &Lane, now: Timestamp) -> bool {
        self.account(lane).brake.release(now)
    }

    /// The mailbox of this lane is in trouble.
    pub(super) fn brake_mailbox(
        &mut self,
        lane: &Lane,
        now: Timestamp,
        cause: Cause,
        wait: Option<Duration>,
    ) {
        let state = self.lanes.entry(lane.clone()).or_default();
        state.brake.engage(now, cause, wait);
    }

    /// The account of this lane is in trouble.
    pub(super) fn brake_account(
        &mut self,
        lane: &Lane,
        now: Timestamp,
        cause: Cause,
        wait: Option<Duration>,
    ) {
        self.account(lane).brake.engage(now, cause, wait);
    }

    /// An operator wants to see whether this lane works now: the next attempt,
    /// a probe, need not wait for what the relay had decided by itself.
    pub(super) fn ease(&mut self, lane: &Lane) {
        self.account(lane).brake.ease();
        if let Some(state) = self.lanes.get_mut(lane) {
            state.brake.ease();
        }
    }

    /// Whether a fault of the mailbox is news.
    pub(super) fn tell_mailbox(&mut self, lane: &Lane, what: &str) -> News {
        self.lanes.entry(lane.clone()).or_default().brake.tell(what)
    }

    /// Whether a fault of the account is news.
    pub(super) fn tell_account(&mut self, lane: &Lane, what: &str) -> News {
        self.account(lane).brake.tell(what)
    }

    /// All lanes, beginning after the one that was served last.
    fn in_turn(&self) -> Vec<Lane> {
        let mut lanes: Vec<Lane> = self.lanes.keys().cloned().collect();
        if let Some(next) = &self.next {
            let first = lanes.partition_point(|lane| lane <= next);
            lanes.rotate_left(first);
        }
        lanes
    }

    fn room(&self, lane: &Lane, now: Timestamp, probing: &[String]) -> u32 {
        let Some(state) = self.lanes.get(lane) else {
            return 0;
        };
        let account = self.brake_of(&lane.account);
        let waits =
            state.due.is_none_or(|due| due > now) || state.brake.holds(now) || account.holds(now);
        if waits {
            return 0;
        }
        if probing.contains(&lane.account) {
            return 0;
        }
        self.limit(lane, state).saturating_sub(state.in_flight)
    }

    /// How many attempts of a lane may be under way: one while it is probed;
    /// none while another lane of its account is.
    fn limit(&self, lane: &Lane, state: &LaneState) -> u32 {
        if self.brake_of(&lane.account).failures > 0 {
            let elsewhere = self.in_flight_of(&lane.account) - state.in_flight;
            return if elsewhere > 0 { 0 } else { 1 };
        }
        if state.brake.failures > 0 {
            return 1;
        }
        self.concurrency.get(&lane.account).copied().unwrap_or(1)
    }

    fn account(&mut self, lane: &Lane) -> &mut AccountState {
        self.accounts.entry(lane.account.clone()).or_default()
    }

    fn in_flight_of(&self, account: &str) -> u32 {
        self.accounts
            .get(account)
            .map_or(0, |state| state.in_flight)
    }

    fn brake_of(&self, account: &str) -> &Brake {
        static OPEN: Brake = Brake {
            failures: 0,
            until: None,
            asked: None,
            told: None,
        };
        self.accounts
            .get(account)
            .map_or(&OPEN, |state| &state.brake)
    }
}

impl Brake {
    fn holds(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    fn engage(&mut self, now: Timestamp, cause: Cause, wait: Option<Duration>) {
        // Attempts that were under way together are one failure.
        if !self.holds(now) {
            self.failures += 1;
        }
        let until = now + schedule::brake(cause, wait, self.failures - 1);
        self.until = self.until.max(Some(until));
        let asked = match cause {
            // However long it is, it was Graph who said to go slower.
            Cause::Throttled => Some(until),
            Cause::Unavailable | Cause::Configuration(_) => wait.map(|wait| now + wait),
        };
        self.asked = self.asked.max(asked);
    }

    fn ease(&mut self) {
        self.until = self.asked;
    }

    /// Whether a fault that was told is over. What Graph said about when to come
    /// back stays in force although another request came through.
    fn release(&mut self, now: Timestamp) -> bool {
        if self.holds(now) {
            return false;
        }
        self.failures = 0;
        self.until = None;
        self.asked = None;
        self.told.take().is_some()
    }

    fn tell(&mut self, what: &str) -> News {
        if self.told.as_deref() == Some(what) {
            return News::Known;
        }
        self.told = Some(what.to_owned());
        News::New
    }
}

/// Gives each lane one in turn until the workers are used up.
fn share(mut room: Vec<(Lane, u32)>, mut workers: u32) -> Vec<Want> {
    let mut wants: Vec<Want> = Vec::new();
    let mut round = 0;
    while workers > 0 && room.iter().any(|(_, free)| *free > round) {
        for (at, (lane, free)) in room.iter_mut().enumerate() {
            if *free <= round || workers == 0 {
                continue;
            }
            workers -= 1;
            match wants.get_mut(at) {
                Some(want) => want.count += 1,
                None => wants.push(Want {
                    lane: lane.clone(),
                    count: 1,
                }),
            }
        }
        round += 1;
    }
    wants
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn lane(account: &str, mailbox: &str) -> Lane {
        Lane {
            account: account.to_owned(),
            mailbox: format!("{mailbox}@contoso.com").parse().unwrap(),
        }
    }

    fn lanes(due: &[&Lane]) -> Lanes {
        let mut lanes = Lanes::new(HashMap::from([("a".into(), 4), ("b".into(), 4)]));
        for lane in due {
            lanes.has_due((*lane).clone(), at(0));
        }
        lanes
    }

    /// Claims what may be claimed: (mailbox, count).
    fn claim(lanes: &mut Lanes, now: Timestamp, workers: u32) -> Vec<(String, u32)> {
        let wants = lanes.wants(now, workers);
        for want in &wants {
            (0..want.count).for_each(|_| lanes.begun(&want.lane));
        }
        wants
            .into_iter()
            .map(|want| (want.lane.mailbox.local_part().to_owned(), want.count))
            .collect()
    }

    #[test]
    fn a_mailbox_never_gets_more_than_its_requests_at_once() {
        let one = lane("a", "one");
        let mut lanes = lanes(&[&one]);

        assert_eq!(claim(&mut lanes, at(1), 32), [("one".into(), 4)]);
        assert_eq!(claim(&mut lanes, at(1), 32), []);
        lanes.ended(&one);
        assert_eq!(claim(&mut lanes, at(1), 32), [("one".into(), 1)]);
    }

    #[test]
    fn few_workers_are_shared_and_taken_in_turn() {
        let names: Vec<Lane> = ["1", "2", "3"].map(|name| lane("a", name)).into();
        let mut lanes = lanes(&names.iter().collect::<Vec<_>>());

        assert_eq!(
            claim(&mut lanes, at(1), 2),
            [("1".into(), 1), ("2".into(), 1)]
        );
        assert_eq!(
            claim(&mut lanes, at(1), 2),
            [("3".into(), 1), ("1".into(), 1)]
        );
    }

    #[test]
    fn a_throttled_mailbox_waits_alone_then_probes() {
        let (one, two) = (lane("a", "one"), lane("a", "two"));
        let mut lanes = lanes(&[&one, &two]);
        lanes.begun(&one);
        lanes.brake_mailbox(&one, at(10), Cause::Throttled, Some(20 * SECOND));
        lanes.ended(&one);

        assert_eq!(claim(&mut lanes, at(29), 32), [("two".into(), 4)]);
        assert_eq!(lanes.wake_at(), Some(at(30)));
        assert_eq!(claim(&mut lanes, at(30), 32), [("one".into(), 1)]);
        assert_eq!(claim(&mut lanes, at(31), 32), []);

        lanes.worked(&one, at(32));
        lanes.ended(&one);
        assert_eq!(claim(&mut lanes, at(32), 32), [("one".into(), 4)]);
    }

    #[test]
    fn an_account_in_trouble_costs_one_probe_over_all_its_mailboxes() {
        let (one, two, other) = (lane("a", "one"), lane("a", "two"), lane("b", "other"));
        let mut lanes = lanes(&[&one, &two, &other]);
        lanes.brake_account(&one, at(0), Cause::Unavailable, None);

        let claimed = claim(&mut lanes, at(100), 32);

        assert_eq!(lanes.wake_at(), None, "a probe's end wakes, no time does");
        assert_eq!(claimed.len(), 2, "{claimed:?}");
        assert_eq!(claimed.iter().map(|(_, count)| count).sum::<u32>(), 5);
        assert!(claimed.contains(&("other".into(), 4)));
    }

    #[test]
    fn an_operator_does_not_wait_for_the_relays_own_brakes_but_for_graphs() {
        let (one, two, slow) = (lane("a", "one"), lane("a", "two"), lane("b", "slow"));
        let mut lanes = lanes(&[&one, &two, &slow]);
        lanes.brake_account(&one, at(1), Cause::Configuration("mend it"), None);
        lanes.brake_mailbox(&one, at(1), Cause::Unavailable, None);
        lanes.brake_mailbox(&slow, at(1), Cause::Throttled, Some(20 * SECOND));
        assert_eq!(claim(&mut lanes, at(1), 32), []);

        lanes.ease(&one);
        lanes.ease(&slow);

        assert_eq!(claim(&mut lanes, at(1), 32), [("one".into(), 1)]);
        assert_eq!(claim(&mut lanes, at(20), 32), []);
    }

    #[test]
    fn failures_under_way_together_count_once() {
        let one = lane("a", "one");
        let mut lanes = lanes(&[&one]);
        for _ in 0..4 {
            lanes.brake_mailbox(&one, at(0), Cause::Unavailable, None);
        }

        let wake = lanes.wake_at().unwrap();
        assert!(wake <= at(2), "{wake:?}");
    }

    #[test]
    fn a_fault_is_told_once_until_it_is_over() {
        let one = lane("a", "one");
        let mut lanes = lanes(&[&one]);

        assert_eq!(lanes.tell_mailbox(&one, "denied"), News::New);
        assert_eq!(lanes.tell_mailbox(&one, "denied"), News::Known);
        assert_eq!(lanes.tell_mailbox(&one, "full"), News::New);
        assert!(lanes.worked(&one, at(1)));
        assert!(!lanes.worked(&one, at(1)));
        assert_eq!(lanes.tell_mailbox(&one, "denied"), News::New);
    }
}
