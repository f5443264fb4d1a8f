//! How much one mailbox is asked for: the limits of `[account.rate_limits]`, and fewer
//! requests at once where Graph throttles it.
//!
//! The dispatcher begins an attempt when the windows have room for the message
//! and its first request, which is reserved then; each request is counted when
//! [`Pace::admit`] lets it go, and only the second and later ones of an attempt
//! wait there. While one waits, its mailbox begins nothing new: what has begun
//! comes first, in the order of asking.
//!
//! A mailbox that is throttled gets half as many requests at once, at least one,
//! and one more for every [`WIDEN_AFTER`] messages that Graph takes: the limit
//! that is really there is found again from below (RFC 5681 3.1 does so for a
//! network).
//!
//! Memory: four windows for each mailbox that was used within a day.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::window::Window;
use crate::config;
use crate::delivery::outcome::suspects::Shared;
use crate::graph;
use crate::mail::Lane;
use crate::spool::Allowance;
use crate::spool::Spent;

/// Messages that Graph has to take before one more request goes at once: enough
/// that a mailbox at its limit is throttled for few of its messages.
const WIDEN_AFTER: u32 = 20;
/// The longest span of a limit, and so what has to be remembered.
pub(in crate::delivery) const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// What the relay may add to a message's header; more waits for its room.
const HEADER_ROOM: u64 = 1024;
/// Base64 makes four megabytes of it, what one request carries.
const LARGEST_FIRST: u64 = 3_000_000;
/// A waiting request looks again after this: something may have been given back.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A limit by time, by its key in `[account.rate_limits]`.
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
    /// What every message needs.
    pub(in crate::delivery) const LEAST: Self = Self {
        upload: 1,
        recipients: 1,
    };

    /// Of a message of so many bytes and recipients.
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

/// What an attempt has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::delivery) struct Usage {
    pub(in crate::delivery) requests: u64,
    pub(in crate::delivery) uploaded: u64,
}

/// The bytes of the first request for a content of `size` bytes: of a message
/// that one request cannot carry, the first is a part.
pub(in crate::delivery) fn first_request(size: u64) -> u64 {
    graph::encoded_size(size.saturating_add(HEADER_ROOM).min(LARGEST_FIRST))
}

/// The pace of every mailbox that was used lately.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Paces {
    settings: HashMap<String, config::Pace>,
    mailboxes: HashMap<Lane, Arc<MailboxPace>>,
    /// So many were left when those at rest were last forgotten.
    left: usize,
}

/// Those at rest are forgotten when so many are new.
const TIDY_AFTER: usize = 100;

impl Paces {
    /// With the settings of each account.
    pub(in crate::delivery) fn new(settings: HashMap<String, config::Pace>) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// The pace of a lane's mailbox.
    pub(in crate::delivery) fn of(&mut self, lane: &Lane, now: Instant) -> Arc<MailboxPace> {
        if let Some(known) = self.mailboxes.get(lane) {
            return Arc::clone(known);
        }
        if self.mailboxes.len() >= 2 * self.left + TIDY_AFTER {
            let is_used =
                |pace: &Arc<MailboxPace>| Arc::strong_count(pace) > 1 || !pace.is_at_rest(now);
            self.mailboxes.retain(|_, pace| is_used(pace));
            self.left = self.mailboxes.len();
        }
        // Of an account that is gone nothing can be sent.
        let settings = self.settings.get(&lane.account).unwrap_or(&config::Pace {
            concurrency: 1,
            messages_per_minute: None,
            requests_per_10_minutes: None,
            upload_per_5_minutes: None,
            recipients_per_day: None,
        });
        let pace = Arc::new(MailboxPace::new(settings, now));
        self.mailboxes.insert(lane.clone(), Arc::clone(&pace));
        pace
    }

    /// One pace for a lane and for the mailbox that it is an alias of, with what was
    /// spent through both.
    pub(in crate::delivery) fn share(
        &mut self,
        alias: &Lane,
        owner: &Lane,
        now: Instant,
    ) -> Arc<MailboxPace> {
        let pace = self.of(owner, now);
        let before = self.mailboxes.insert(alias.clone(), Arc::clone(&pace));
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &pace)) {
            pace.lock().absorb(&before.lock());
        }
        pace
    }

    /// Counts what was spent before the relay was started.
    pub(in crate::delivery) fn remember(&mut self, spent: &Spent, now: Instant) {
        let at = now.checked_sub(spent.ago).unwrap_or(now);
        let pace = self.of(&spent.lane, now);
        let mut state = pace.lock();
        state.messages.spend(at, spent.messages);
        state.recipients.spend(at, spent.recipients);
        // An attempt that was broken off may have sent all of it; in parts each
        // as large as can be, with the requests before and after them.
        let parts = spent.uncounted_size / LARGEST_FIRST * 2;
        state
            .requests
            .spend(at, spent.requests + spent.uncounted + parts);
        let uncounted = graph::encoded_size(spent.uncounted_size);
        state.upload.spend(at, spent.uploaded + uncounted);
    }
}

/// The pace of one mailbox.
#[derive(Debug)]
pub(in crate::delivery) struct MailboxPace {
    /// A std mutex: held for a few additions.
    state: Mutex<State>,
    /// Requests that wait, in the order of asking.
    turn: tokio::sync::Mutex<()>,
    /// What failed lately through this mailbox.
    pub(in crate::delivery) suspects: Shared,
}

#[derive(Debug)]
struct State {
    messages: Window,
    requests: Window,
    upload: Window,
    recipients: Window,
    /// A request of an attempt that has begun waits for this.
    waiting: Option<(Limit, Instant)>,
    at_once: u32,
    most_at_once: u32,
    /// Messages taken since the last change of `at_once`.
    taken: u32,
}

impl MailboxPace {
    /// With nothing spent.
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

    /// What may begin now, if the next message needs so much.
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

    /// Requests at once, for now.
    pub(in crate::delivery) fn at_once(&self) -> u32 {
        self.lock().at_once
    }

    /// Graph throttles the mailbox; how many requests go at once now, if those
    /// are fewer than before.
    pub(in crate::delivery) fn narrow(&self) -> Option<u32> {
        let mut state = self.lock();
        state.taken = 0;
        let fewer = (state.at_once / 2).max(1);
        let narrower = fewer < state.at_once;
        state.at_once = fewer;
        narrower.then_some(fewer)
    }

    /// Graph took a message; how many requests go at once now, if those are as
    /// many as allowed again.
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

impl State {
    /// Counts what was spent elsewhere too.
    fn absorb(&mut self, other: &Self) {
        self.messages.absorb(&other.messages);
        self.requests.absorb(&other.requests);
        self.upload.absorb(&other.upload);
        self.recipients.absorb(&other.recipients);
    }

    /// The limit that holds back longest what needs so much, and until when.
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

/// The pace of one attempt.
#[derive(Debug)]
pub(in crate::delivery) struct Pace {
    mailbox: Arc<MailboxPace>,
    begun: Instant,
    recipients: u64,
    own: Mutex<Own>,
}

#[derive(Debug)]
struct Own {
    /// Bytes of the first request, while it is still to be made.
    reserved: Option<u64>,
    usage: Usage,
}

impl Pace {
    /// An attempt of a message of so many bytes and recipients begins.
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

    /// Waits until a request with a body of so many bytes may go, and counts it.
    /// Nothing is counted when this is broken off.
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

    /// The attempt has ended, and Graph may have taken the message or surely has
    /// not. Returns what it has spent.
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

/// A request that waits; when it does no longer, its mailbox may begin others.
struct Waiting<'a>(&'a MailboxPace);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting = None;
    }
}
