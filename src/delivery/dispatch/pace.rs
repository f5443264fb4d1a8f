//! The rate limits of one mailbox: those of `[account.rate_limits]`, and fewer parallel
//! requests while Graph throttles it.
//!
//! The dispatcher begins an attempt when the windows have room for the message and its
//! first request, which is reserved then. [`Pace::admit`] counts each request as it lets
//! it go, and only the second and later requests of an attempt wait there. While one
//! waits, its mailbox begins no new attempt: requests of running attempts go first, in
//! the order in which they asked.
//!
//! A throttled mailbox gets half as many parallel requests, at least one, and one more
//! for every [`WIDEN_AFTER`] messages that Graph accepts. In this way the real limit is
//! found again from below (RFC 5681 3.1 does the same for a network).
//!
//! Memory: four windows for each mailbox that was used within a day.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::figures::Figures;
use super::figures::Used;
use super::figures::Uses;
use super::window::Window;
use crate::config;
use crate::delivery::outcome::suspects::Shared;
use crate::graph;
use crate::mail::Destination;
use crate::spool::Allowance;
use crate::spool::Spent;

/// Messages that Graph must accept before one more parallel request is allowed: enough
/// that a mailbox at its limit is throttled for few of its messages.
const WIDEN_AFTER: u32 = 20;
/// The longest span of a limit, and so how long use is remembered.
pub(in crate::delivery) const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// What the relay may add to a message's header; larger additions wait for room.
const HEADER_ROOM: u64 = 1024;
/// Base64 makes it four megabytes, the size of one request.
const LARGEST_FIRST: u64 = 3_000_000;
/// The longest sleep of a waiting request, because unused amounts may have been returned
/// meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A limit on an amount in a span of time, named by its key in `[account.rate_limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Limit {
    Messages,
    Requests,
    Upload,
    Recipients,
}

impl Limit {
    pub(in crate::delivery) fn key(self) -> &'static str {
        match self {
            Self::Messages => "messages_per_minute",
            Self::Requests => "requests_per_10_minutes",
            Self::Upload => "upload_per_5_minutes",
            Self::Recipients => "recipients_per_day",
        }
    }

    /// Whether waiting for it may take hours.
    pub(in crate::delivery) fn is_daily(self) -> bool {
        matches!(self, Self::Recipients)
    }
}

/// What the next message of a mailbox needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Need {
    pub(in crate::delivery) upload: u64,
    pub(in crate::delivery) recipients: u64,
}

impl Need {
    /// The minimum that every message needs.
    pub(in crate::delivery) const LEAST: Self = Self {
        upload: 1,
        recipients: 1,
    };

    /// What a message of this size with this number of recipients needs.
    pub(in crate::delivery) fn of(size: u64, recipients: u64) -> Self {
        Self {
            upload: first_request(size),
            recipients,
        }
    }
}

/// What a mailbox may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Room {
    Open {
        messages: u32,
        upload: Allowance,
        recipients: Allowance,
    },
    Full {
        limit: Limit,
        until: Instant,
    },
}

/// What an attempt has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::delivery) struct Usage {
    pub(in crate::delivery) requests: u64,
    pub(in crate::delivery) uploaded: u64,
}

/// The bytes of the first request for a content of `size` bytes. For a message that is
/// too large for one request, the first carries a part.
pub(in crate::delivery) fn first_request(size: u64) -> u64 {
    graph::encoded_size(size.saturating_add(HEADER_ROOM).min(LARGEST_FIRST))
}

/// The rate limits of every mailbox that was used recently.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Paces {
    settings: HashMap<String, config::Pace>,
    mailboxes: HashMap<Destination, Arc<MailboxPace>>,
    /// Where they are shown.
    figures: Figures,
    /// How many were left when idle ones were last forgotten.
    left: usize,
}

/// How many new ones there must be before idle ones are forgotten.
const TIDY_AFTER: usize = 100;

impl Paces {
    /// With the settings of each account.
    pub(in crate::delivery) fn new(
        settings: HashMap<String, config::Pace>,
        figures: Figures,
    ) -> Self {
        Self {
            settings,
            figures,
            ..Self::default()
        }
    }

    /// The rate limits of a destination's mailbox.
    pub(in crate::delivery) fn of(
        &mut self,
        destination: &Destination,
        now: Instant,
    ) -> Arc<MailboxPace> {
        if let Some(known) = self.mailboxes.get(destination) {
            return Arc::clone(known);
        }
        if self.mailboxes.len() >= 2 * self.left + TIDY_AFTER {
            let is_used =
                |pace: &Arc<MailboxPace>| Arc::strong_count(pace) > 1 || !pace.is_at_rest(now);
            self.mailboxes.retain(|_, pace| is_used(pace));
            self.left = self.mailboxes.len();
        }
        // An account that no longer exists sends nothing.
        let settings = self
            .settings
            .get(&destination.account)
            .unwrap_or(&config::Pace {
                concurrency: 1,
                messages_per_minute: None,
                requests_per_10_minutes: None,
                upload_per_5_minutes: None,
                recipients_per_day: None,
            });
        let pace = Arc::new(MailboxPace::new(settings, now));
        self.figures.add(destination, &pace);
        self.mailboxes
            .insert(destination.clone(), Arc::clone(&pace));
        pace
    }

    /// One set of limits for a destination and for the mailbox that it is an alias of, with what
    /// was used through both.
    pub(in crate::delivery) fn share(
        &mut self,
        alias: &Destination,
        owner: &Destination,
        now: Instant,
    ) -> Arc<MailboxPace> {
        let pace = self.of(owner, now);
        let before = self.mailboxes.insert(alias.clone(), Arc::clone(&pace));
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &pace)) {
            pace.lock().absorb(&before.lock());
        }
        pace
    }

    /// Counts what was used before the relay was started.
    pub(in crate::delivery) fn remember(&mut self, spent: &Spent, now: Instant) {
        let at = now.checked_sub(spent.ago).unwrap_or(now);
        let pace = self.of(&spent.destination, now);
        let mut state = pace.lock();
        state.messages.spend(at, spent.messages);
        state.recipients.spend(at, spent.recipients);
        // An interrupted attempt may have sent everything; in parts of the largest size,
        // with the requests before and after them.
        let parts = spent.uncounted_size / LARGEST_FIRST * 2;
        state
            .requests
            .spend(at, spent.requests + spent.uncounted + parts);
        let uncounted = graph::encoded_size(spent.uncounted_size);
        state.upload.spend(at, spent.uploaded + uncounted);
    }
}

/// The rate limits of one mailbox.
#[derive(Debug)]
pub(in crate::delivery) struct MailboxPace {
    /// A std mutex: held for a few additions.
    state: Mutex<State>,
    /// Waiting requests, in the order in which they asked.
    turn: tokio::sync::Mutex<()>,
    /// Recent failures of this mailbox.
    pub(in crate::delivery) suspects: Shared,
}

#[derive(Debug)]
struct State {
    messages: Window,
    requests: Window,
    upload: Window,
    recipients: Window,
    /// A request of a running attempt waits for this.
    waiting: Option<(Limit, Instant)>,
    at_once: u32,
    most_at_once: u32,
    /// Messages accepted since the last change of `at_once`.
    taken: u32,
}

impl MailboxPace {
    /// With nothing used.
    pub(in crate::delivery) fn new(settings: &config::Pace, now: Instant) -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let window = |limit, span| Window::new(limit, span, now);
        let state = State {
            messages: window(settings.messages_per_minute.map(u64::from), minutes(1)),
            requests: window(settings.requests_per_10_minutes.map(u64::from), minutes(10)),
            upload: window(settings.upload_per_5_minutes, minutes(5)),
            recipients: window(settings.recipients_per_day.map(u64::from), MEMORY),
            waiting: None,
            at_once: settings.concurrency,
            most_at_once: settings.concurrency,
            taken: 0,
        };
        Self {
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::new(()),
            suspects: Shared::default(),
        }
    }

    /// What may begin now, if the next message needs this much.
    pub(in crate::delivery) fn room(&self, now: Instant, need: Need) -> Room {
        let mut state = self.lock();
        if let Some((limit, until)) = state.waiting {
            return Room::Full { limit, until };
        }
        if let Some((limit, until)) = state.full(now, 1, need) {
            return Room::Full { limit, until };
        }
        let messages = state.messages.room(now).min(state.requests.room(now));
        let allowance = |window: &mut Window| Allowance {
            limit: window.limit(),
            left: window.room(now),
        };
        Room::Open {
            messages: u32::try_from(messages).unwrap_or(u32::MAX),
            upload: allowance(&mut state.upload),
            recipients: allowance(&mut state.recipients),
        }
    }

    /// The present number of parallel requests.
    pub(in crate::delivery) fn at_once(&self) -> u32 {
        self.lock().at_once
    }

    /// Graph throttles the mailbox. Returns the new number of parallel requests, if it is
    /// smaller than before.
    pub(in crate::delivery) fn narrow(&self) -> Option<u32> {
        let mut state = self.lock();
        state.taken = 0;
        let fewer = (state.at_once / 2).max(1);
        let narrower = fewer < state.at_once;
        state.at_once = fewer;
        narrower.then_some(fewer)
    }

    /// Graph accepted a message. Returns the number of parallel requests, if it has
    /// reached the configured one again.
    pub(in crate::delivery) fn widen(&self) -> Option<u32> {
        let mut state = self.lock();
        if state.at_once >= state.most_at_once {
            return None;
        }
        state.taken += 1;
        if state.taken < WIDEN_AFTER {
            return None;
        }
        state.taken = 0;
        state.at_once += 1;
        (state.at_once == state.most_at_once).then_some(state.at_once)
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        let state = &mut *self.lock();
        let windows = [
            &mut state.messages,
            &mut state.requests,
            &mut state.upload,
            &mut state.recipients,
        ];
        state.at_once == state.most_at_once
            && self.suspects.lock().is_empty()
            && windows.into_iter().all(|window| window.is_empty(now))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only numbers are changed while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uses for MailboxPace {
    fn used(&self, now: Instant) -> Used {
        let mut state = self.lock();
        let of = |window: &mut Window| {
            let limit = window.limit();
            let used = limit.saturating_sub(window.room(now));
            (used, Some(limit).filter(|limit| *limit < u64::MAX))
        };
        let (recipients, recipients_per_day) = of(&mut state.recipients);
        let (messages, messages_per_minute) = of(&mut state.messages);
        let more = state.recipients.room(now).saturating_add(1);
        Used {
            recipients,
            recipients_per_day,
            recipients_free_at: (recipients > 0).then(|| state.recipients.free_at(now, more)),
            messages,
            messages_per_minute,
            at_once: state.at_once,
            most_at_once: state.most_at_once,
        }
    }
}

impl State {
    /// Counts what was used elsewhere too.
    fn absorb(&mut self, other: &Self) {
        self.messages.absorb(&other.messages);
        self.requests.absorb(&other.requests);
        self.upload.absorb(&other.upload);
        self.recipients.absorb(&other.recipients);
    }

    /// The limit that delays this need longest, and until when.
    fn full(&mut self, now: Instant, messages: u64, need: Need) -> Option<(Limit, Instant)> {
        let needs = [
            (Limit::Messages, &mut self.messages, messages),
            (Limit::Requests, &mut self.requests, 1),
            (Limit::Upload, &mut self.upload, need.upload),
            (Limit::Recipients, &mut self.recipients, need.recipients),
        ];
        needs
            .into_iter()
            .filter_map(|(limit, window, amount)| {
                let full = amount > 0 && !window.fits(now, amount);
                full.then(|| (limit, window.free_at(now, amount)))
            })
            .max_by_key(|(_, until)| *until)
    }
}

/// The rate limits for one attempt.
#[derive(Debug)]
pub(in crate::delivery) struct Pace {
    mailbox: Arc<MailboxPace>,
    begun: Instant,
    recipients: u64,
    own: Mutex<Own>,
}

#[derive(Debug)]
struct Own {
    /// Bytes of the first request, until it is made.
    reserved: Option<u64>,
    usage: Usage,
}

impl Pace {
    /// Begins an attempt of a message with this size and number of recipients.
    pub(in crate::delivery) fn begin(
        mailbox: Arc<MailboxPace>,
        begun: Instant,
        need: Need,
    ) -> Self {
        let mut state = mailbox.lock();
        state.messages.spend(begun, 1);
        state.recipients.spend(begun, need.recipients);
        state.requests.spend(begun, 1);
        state.upload.spend(begun, need.upload);
        drop(state);
        Self {
            mailbox,
            begun,
            recipients: need.recipients,
            own: Mutex::new(Own {
                reserved: Some(need.upload),
                usage: Usage::default(),
            }),
        }
    }

    /// Waits until a request with a body of this size may go, and counts it. Nothing is
    /// counted if the wait is cancelled.
    pub(in crate::delivery) async fn admit(&self, bytes: u64) {
        let _turn = self.mailbox.turn.lock().await;
        let mut waiting = None;
        loop {
            let now = Instant::now();
            let Err(full) = self.spend(now, bytes) else {
                return;
            };
            waiting.get_or_insert_with(|| Waiting(&self.mailbox));
            self.mailbox.lock().waiting = Some(full);
            let wait = full.1.saturating_duration_since(now);
            tokio::time::sleep(wait.clamp(Duration::from_millis(1), LOOK_AGAIN)).await;
        }
    }

    fn spend(&self, now: Instant, bytes: u64) -> Result<(), (Limit, Instant)> {
        let need = Need {
            upload: bytes,
            recipients: 0,
        };
        let mut state = self.mailbox.lock();
        let mut own = self.own();
        if let Some(reserved) = own.reserved {
            state.requests.give_back(self.begun, 1);
            state.upload.give_back(self.begun, reserved);
        }
        if let Some(full) = state.full(now, 0, need) {
            if let Some(reserved) = own.reserved {
                state.requests.spend(self.begun, 1);
                state.upload.spend(self.begun, reserved);
            }
            return Err(full);
        }
        own.reserved = None;
        own.usage.requests += 1;
        own.usage.uploaded += bytes;
        state.requests.spend(now, 1);
        state.upload.spend(now, bytes);
        Ok(())
    }

    /// Ends the attempt. Graph may have accepted the message, or certainly has not.
    /// Returns what was used.
    pub(in crate::delivery) fn end(&self, taken: bool) -> Usage {
        let mut state = self.mailbox.lock();
        let mut own = self.own();
        if let Some(reserved) = own.reserved.take() {
            state.requests.give_back(self.begun, 1);
            state.upload.give_back(self.begun, reserved);
        }
        if !taken {
            state.recipients.give_back(self.begun, self.recipients);
        }
        own.usage
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiting request. When it is dropped, its mailbox may begin others.
struct Waiting<'a>(&'a MailboxPace);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting = None;
    }
}
