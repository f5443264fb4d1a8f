//! The state of delivery for `status` and metrics: what is held back and until when,
//! which limits are reached, and how long nothing has been sent.
//!
//! The dispatcher records each change as it happens, and only what is asked for is
//! copied, so the cost of a change does not grow with the number of mailboxes that back
//! off. All times are of the monotonic clock; the wall clock is only for display.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use super::dispatch::backoff::BackoffState;
use super::dispatch::figures::Figures;
use super::dispatch::figures::Rates;
use super::dispatch::pace::Limit;
use super::outcome::Cause;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::mail::Destination;
use crate::metrics::Metrics;
use crate::spool::Pause;
use crate::telemetry::devices::Devices;

/// A mailbox or an account that backs off after failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingOff {
    /// The account.
    pub account: String,
    /// The mailbox; none if the whole account backs off.
    pub mailbox: Option<Address>,
    /// When it ends.
    pub until: Timestamp,
    /// Until when Graph or Entra asked to wait, if they did: an operator's retry does not come
    /// before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_until: Option<Timestamp>,
    /// The reason.
    pub cause: BackoffCause,
    /// What was logged about a configuration fault: its code or text.
    #[serde(rename = "told")]
    pub reported: Option<String>,
}

impl BackingOff {
    /// What backs off.
    pub fn whose(&self) -> String {
        match &self.mailbox {
            Some(mailbox) => mailbox.to_string(),
            None => format!("account {}", self.account),
        }
    }

    /// Why it sends nothing for now, in words.
    pub fn why(&self) -> String {
        let cause = match self.cause {
            BackoffCause::Throttled if self.reported.is_some() => {
                "Graph accepts no more from it for now"
            }
            BackoffCause::Throttled => "Graph asked for fewer requests",
            BackoffCause::Unavailable => {
                "Graph or Entra did not answer, or reported a problem of its own"
            }
            BackoffCause::Configuration => "a configuration error",
        };
        let reported = self.reported.as_ref();
        let reported = reported.map_or_else(String::new, |reported| format!(" ({reported})"));
        format!("{cause}{reported}")
    }
}

/// Why a mailbox or an account backs off. JSON has the names in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffCause {
    /// Graph asks to go slower.
    Throttled,
    /// A temporary problem on the way or at Microsoft.
    Unavailable,
    /// Somebody has to correct something.
    Configuration,
}

/// A mailbox whose mail waits because it has reached a rate limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// The account.
    pub account: String,
    /// The mailbox.
    pub mailbox: Address,
    /// The limit, by its key in relay.toml.
    pub limit: String,
    /// Whether it is a daily limit, so that waiting may take hours.
    pub daily: bool,
    /// When it ends.
    pub until: Timestamp,
}

/// Why mail that is due waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// A rate limit is reached.
    Limit(Limited),
    /// The mailbox or account backs off after failures.
    Backoff(BackingOff),
    /// An operator has paused it.
    Pause(Pause),
}

impl Waits {
    /// Until when, if that is known.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Limit(limited) => Some(limited.until),
            Self::Backoff(backing_off) => Some(backing_off.until),
            Self::Pause(_) => None,
        }
    }

    /// Whether it waits on although an operator wants it sent at once: that ends only a wait
    /// that the relay has chosen itself.
    pub fn outlasts_retry(&self) -> bool {
        match self {
            Self::Limit(_) | Self::Pause(_) => true,
            Self::Backoff(backing_off) => backing_off.asked_until.is_some(),
        }
    }
}

/// The state of delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// What backs off after failures: accounts first, and only the first ones if there
    /// are many.
    #[serde(rename = "braked")]
    pub backing_off: Vec<BackingOff>,
    /// The number of mailboxes and accounts that back off.
    #[serde(rename = "braked_count")]
    pub backing_off_count: usize,
    /// What waits for a rate limit: daily limits first, and only the first ones if there
    /// are many.
    pub limited: Vec<Limited>,
    /// The number of mailboxes that wait for one.
    pub limited_count: usize,
    /// How many of those wait for a daily limit.
    pub limited_for_a_day: usize,
    /// How far mailboxes that were used within a day are from their limits; only the first
    /// ones if there are many.
    pub rates: Vec<Rates>,
    /// Seconds since the last delivery, or since the start.
    pub last_delivery_seconds: u64,
    /// For how many seconds mail has waited while nothing was sent; none if no mail
    /// waits.
    pub stalled_seconds: Option<u64>,
}

/// How many mailboxes are listed.
const LISTED: usize = 100;

/// A handle; clones share the state.
#[derive(Clone, Debug)]
pub struct Standing {
    board: Arc<Mutex<Board>>,
    /// Where delivery counts.
    metrics: Metrics,
    /// Where it counts for each device.
    devices: Devices,
    figures: Figures,
}

#[derive(Debug)]
struct Board {
    accounts: BTreeMap<String, Backoff>,
    mailboxes: BTreeMap<Destination, Backoff>,
    limited: BTreeMap<Destination, (Limit, Instant)>,
    last_delivery: Instant,
    /// Since when mail waits without a delivery.
    waits_since: Option<Instant>,
}

/// The backoff of a mailbox or an account.
#[derive(Debug)]
struct Backoff {
    until: Instant,
    /// The part of it that Graph or Entra asked for.
    asked: Option<Instant>,
    cause: BackoffCause,
    reported: Option<String>,
}

impl Default for Standing {
    fn default() -> Self {
        Self::new(Metrics::default(), Devices::default())
    }
}

impl Standing {
    /// That of a delivery that counts there.
    pub fn new(metrics: Metrics, devices: Devices) -> Self {
        let board = Board {
            accounts: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            limited: BTreeMap::new(),
            last_delivery: Instant::now(),
            waits_since: None,
        };
        Self {
            board: Arc::new(Mutex::new(board)),
            metrics,
            devices,
            figures: Figures::default(),
        }
    }

    /// Where the limits of mailboxes are published.
    pub(super) fn figures(&self) -> Figures {
        self.figures.clone()
    }

    /// Where delivery counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where it counts for each device.
    pub(super) fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The state now.
    pub fn delivery(&self, wall: Timestamp) -> Delivery {
        let rates = self.figures.rates(wall, LISTED);
        let (board, now) = (self.lock(), Instant::now());
        let at = |until: Instant| wall + until.saturating_duration_since(now);
        let accounts = board.accounts.iter();
        let accounts = accounts.map(|(name, backoff)| backoff.view(name, None, now, wall));
        let mailboxes = board.mailboxes.iter().map(|(destination, backoff)| {
            backoff.view(&destination.account, Some(&destination.mailbox), now, wall)
        });
        let of_day = |(_, (limit, _)): &(&Destination, &(Limit, Instant))| limit.is_daily();
        let daily = board.limited.iter().filter(of_day);
        let others = board.limited.iter().filter(|it| !of_day(it));
        let limited = daily
            .clone()
            .chain(others)
            .map(|(destination, (limit, until))| limited(destination, *limit, at(*until)));
        Delivery {
            backing_off: accounts.chain(mailboxes).take(LISTED).collect(),
            backing_off_count: board.accounts.len() + board.mailboxes.len(),
            limited: limited.take(LISTED).collect(),
            limited_count: board.limited.len(),
            limited_for_a_day: daily.count(),
            rates,
            last_delivery_seconds: now.duration_since(board.last_delivery).as_secs(),
            stalled_seconds: board
                .waits_since
                .map(|since| now.duration_since(since).as_secs()),
        }
    }

    /// Why due mail of a mailbox waits, if the reason is not its turn: of several reasons the one
    /// that lasts longest, and rather one that a retry does not end.
    pub fn waits(&self, destination: &Destination, wall: Timestamp) -> Option<Waits> {
        let (board, now) = (self.lock(), Instant::now());
        let at = |until: Instant| wall + until.saturating_duration_since(now);
        let (account, mailbox) = (&destination.account, &destination.mailbox);
        let of_account = board.accounts.get(account);
        let of_account = of_account.map(|it| it.view(account, None, now, wall));
        let own = board.mailboxes.get(destination);
        let own = own.map(|it| it.view(account, Some(mailbox), now, wall));
        let limit = board.limited.get(destination);
        let limit = limit.map(|(limit, until)| limited(destination, *limit, at(*until)));
        let backoffs = of_account.into_iter().chain(own).map(Waits::Backoff);
        backoffs
            .chain(limit.map(Waits::Limit))
            .max_by_key(|it| (it.outlasts_retry(), it.until()))
    }

    /// Whether a mailbox or its account backs off.
    pub fn backs_off(&self, destination: &Destination) -> bool {
        let board = self.lock();
        board.accounts.contains_key(&destination.account)
            || board.mailboxes.contains_key(destination)
    }

    /// The backoff of an account now; none for an account without mail.
    pub(super) fn account(&self, name: &str, backoff: &BackoffState, has_mail: bool) {
        let mut board = self.lock();
        match Backoff::of(backoff).filter(|_| has_mail) {
            Some(backoff) => drop(board.accounts.insert(name.to_owned(), backoff)),
            None => drop(board.accounts.remove(name)),
        }
    }

    /// The backoff of a mailbox now.
    pub(super) fn mailbox(&self, destination: &Destination, backoff: &BackoffState) {
        let mut board = self.lock();
        match Backoff::of(backoff) {
            Some(backoff) => drop(board.mailboxes.insert(destination.clone(), backoff)),
            None => drop(board.mailboxes.remove(destination)),
        }
    }

    /// The limit that a mailbox waits for, and until when.
    pub(super) fn limited(&self, destination: &Destination, limit: Option<(Limit, Instant)>) {
        let mut board = self.lock();
        match limit {
            Some(limit) => drop(board.limited.insert(destination.clone(), limit)),
            None => drop(board.limited.remove(destination)),
        }
    }

    /// Forgets a mailbox.
    pub(super) fn forget(&self, destination: &Destination) {
        let mut board = self.lock();
        board.mailboxes.remove(destination);
        board.limited.remove(destination);
    }

    /// Records that a message was sent.
    pub(super) fn delivered(&self, now: Instant) {
        let mut board = self.lock();
        board.last_delivery = now;
        board.waits_since = board.waits_since.map(|_| now);
    }

    /// Records whether mail waits or is being sent.
    pub(super) fn mail_waits(&self, any: bool, now: Instant) {
        let mut board = self.lock();
        board.waits_since = any.then(|| board.waits_since.unwrap_or(now));
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        // Every change of it is complete.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backoff {
    fn of(backoff: &BackoffState) -> Option<Self> {
        let until = backoff.until.filter(|_| backoff.failures > 0)?;
        let cause = match backoff.cause? {
            Cause::Throttled => BackoffCause::Throttled,
            Cause::Unavailable => BackoffCause::Unavailable,
            Cause::Configuration(_) => BackoffCause::Configuration,
        };
        Some(Self {
            until,
            asked: backoff.asked,
            cause,
            reported: backoff.reported.clone(),
        })
    }

    fn view(
        &self,
        account: &str,
        mailbox: Option<&Address>,
        now: Instant,
        wall: Timestamp,
    ) -> BackingOff {
        let at = |until: Instant| wall + until.saturating_duration_since(now);
        BackingOff {
            account: account.to_owned(),
            mailbox: mailbox.cloned(),
            until: at(self.until),
            asked_until: self.asked.filter(|asked| *asked > now).map(at),
            cause: self.cause,
            reported: self.reported.clone(),
        }
    }
}

fn limited(destination: &Destination, limit: Limit, until: Timestamp) -> Limited {
    Limited {
        account: destination.account.clone(),
        mailbox: destination.mailbox.clone(),
        limit: limit.key().to_owned(),
        daily: limit.is_daily(),
        until,
    }
}

/// Mail that waits this long while nothing is sent needs attention.
pub const STALLED: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::dispatch::backoff::Failed;
    use crate::mail::SpoolId;

    fn destination(name: &str) -> Destination {
        Destination {
            account: "a".to_owned(),
            mailbox: format!("{name}@contoso.com").parse().unwrap(),
        }
    }

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[tokio::test(start_paused = true)]
    async fn times_are_shown_by_the_wall_clock_and_measured_by_another() {
        let standing = Standing::default();
        let until = Instant::now() + Duration::from_secs(60);
        standing.limited(&destination("one"), Some((Limit::Recipients, until)));
        tokio::time::advance(Duration::from_secs(20)).await;

        // The wall clock was set meanwhile.
        let seen = standing.delivery(wall(1_000_000));

        assert_eq!(seen.limited[0].until, wall(1_000_040));
        assert_eq!((seen.limited_count, seen.limited_for_a_day), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_time_that_graph_asked_for_outlasts_a_retry() {
        let standing = Standing::default();
        let engaged = |cause, wait| {
            let mut backoff = BackoffState::default();
            let failed = Failed {
                id: SpoolId::first_of(wall(0)),
                cause,
                wait,
            };
            backoff.engage(Instant::now(), failed);
            standing.mailbox(&destination("one"), &backoff);
            standing.waits(&destination("one"), wall(0)).unwrap()
        };
        let minute = Some(Duration::from_secs(60));

        assert!(engaged(Cause::Throttled, minute).outlasts_retry());
        assert!(engaged(Cause::Unavailable, minute).outlasts_retry());
        assert!(!engaged(Cause::Unavailable, None).outlasts_retry());
        // It is named before a backoff that a retry ends.
        let until = Instant::now() + Duration::from_secs(3600);
        standing.limited(&destination("one"), Some((Limit::Recipients, until)));
        assert!(matches!(engaged(Cause::Unavailable, None), Waits::Limit(_)));
        assert!(standing.backs_off(&destination("one")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_without_deliveries_begins_with_the_last_one_or_with_waiting_mail() {
        let standing = Standing::default();
        let minute = Duration::from_secs(60);
        tokio::time::advance(minute).await;
        assert_eq!(standing.delivery(wall(0)).stalled_seconds, None);

        standing.mail_waits(true, Instant::now());
        tokio::time::advance(minute).await;
        standing.mail_waits(true, Instant::now());
        assert_eq!(standing.delivery(wall(0)).stalled_seconds, Some(60));
        standing.delivered(Instant::now());
        tokio::time::advance(minute / 2).await;
        let seen = standing.delivery(wall(0));
        assert_eq!(
            (seen.stalled_seconds, seen.last_delivery_seconds),
            (Some(30), 30)
        );

        standing.mail_waits(false, Instant::now());
        assert_eq!(standing.delivery(wall(0)).stalled_seconds, None);
    }

    #[tokio::test]
    async fn status_lists_some_of_very_many_mailboxes_and_counts_all() {
        let standing = Standing::default();
        let until = Instant::now();
        for n in 0..1000 {
            let limit = if n == 999 {
                Limit::Recipients
            } else {
                Limit::Messages
            };
            standing.limited(&destination(&format!("box{n:04}")), Some((limit, until)));
        }

        let seen = standing.delivery(wall(0));

        assert_eq!((seen.limited.len(), seen.limited_count), (LISTED, 1000));
        assert!(seen.limited[0].daily);
        let shown = standing.waits(&destination("box0500"), wall(0));
        assert!(matches!(shown, Some(Waits::Limit(_))), "{shown:?}");
    }
}
