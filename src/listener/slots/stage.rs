//! How far a session has come, and which sessions make room for others first.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

/// A session that has sent mail and then none for so long may have to make room:
/// its client connects again when it has some (RFC 5321 3.8 lets a server that
/// has to close a connection say 421 at any time between messages).
const STALE: Duration = Duration::from_secs(60);
/// The same where its client holds by far more connections than the newcomer's.
const STALE_OF_MANY: Duration = Duration::from_secs(15);
/// A message may fall behind [`Flow`]'s pace by so much.
const SLOW: Duration = Duration::from_secs(20);
/// So many transactions in a row count as sending mail although no message of
/// theirs was accepted.
const FRUITLESS: u32 = 3;

/// What a session has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) enum Event {
    /// A password is to be verified.
    Verifying,
    /// It was not right, or could not be verified.
    NotVerified,
    /// It was right.
    Authenticated,
    /// MAIL was accepted.
    Mail,
    /// DATA was accepted.
    Data,
    /// The end of the content has come.
    Whole,
    /// The message was accepted.
    Accepted,
    /// It was not.
    NotAccepted,
}

/// How far a session has come, as far as its slot depends on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) enum Stage {
    Connected,
    /// It waits for the verdict on its password.
    Verifying,
    Authenticated,
    /// It has sent mail, or begun to.
    Sends(Signs),
    /// It is within DATA, since then.
    Receiving(Signs, Instant),
    /// Its message is whole, and is being stored.
    Storing(Signs),
}

/// What tells a client that sends mail from one that only says so.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) struct Signs {
    /// The last sign of it.
    at: Instant,
    /// Transactions since its last accepted message.
    fruitless: u32,
}

/// What is lost with a session that has to go; the least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::listener) enum Worth {
    Idle,
    Verifying,
    Authenticated,
    /// It has stopped sending mail.
    Stale,
    /// Its message hardly comes.
    Slow,
}

/// Whose session it is, seen from the newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) enum Owner {
    /// Somebody who holds by far more connections than the newcomer's client.
    HasMany,
    Other,
}

/// How steadily a message comes: a byte a millisecond is enough. The slowest line
/// that mail comes over is some times faster, and what is slower holds a connection
/// for hours.
#[derive(Debug)]
pub(in crate::listener) struct Flow {
    begun: Instant,
    /// In milliseconds since then: when the message falls behind by [`SLOW`]. What
    /// came fast does not count for later.
    behind: AtomicU64,
}

impl Flow {
    pub(in crate::listener) fn new() -> Self {
        Self {
            begun: Instant::now(),
            behind: AtomicU64::new(0),
        }
    }

    /// The message begins.
    pub(in crate::listener) fn begin(&self) {
        self.behind.store(self.now() + slow(), Ordering::Relaxed);
    }

    /// So many bytes of it have come. One task calls this.
    pub(in crate::listener) fn received(&self, bytes: usize) {
        let now = self.now();
        // Nor does a drop undo a long silence.
        let least = now.saturating_sub(slow());
        let behind = self.behind.load(Ordering::Relaxed).max(least);
        let behind = behind.saturating_add(bytes as u64).min(now + slow());
        self.behind.store(behind, Ordering::Relaxed);
    }

    fn is_slow(&self) -> bool {
        self.now() >= self.behind.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        millis(self.begun.elapsed())
    }
}

fn slow() -> u64 {
    millis(SLOW)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

impl Stage {
    /// What is lost with it, and since when it is no more; `None` is never sent away.
    pub(in crate::listener) fn worth(
        self,
        flow: &Flow,
        owner: Owner,
        now: Instant,
    ) -> Option<(Worth, Option<Instant>)> {
        let stale = match owner {
            Owner::HasMany => STALE_OF_MANY,
            Owner::Other => STALE,
        };
        match self {
            Self::Connected => Some((Worth::Idle, None)),
            Self::Verifying => Some((Worth::Verifying, None)),
            Self::Authenticated => Some((Worth::Authenticated, None)),
            Self::Sends(signs) => {
                (now - signs.at >= stale).then_some((Worth::Stale, Some(signs.at)))
            }
            Self::Receiving(_, since) => flow.is_slow().then_some((Worth::Slow, Some(since))),
            Self::Storing(_) => None,
        }
    }

    /// What it has come to after an event.
    pub(in crate::listener) fn after(self, event: Event, now: Instant) -> Self {
        let signs = match self {
            Self::Connected | Self::Verifying | Self::Authenticated => Signs {
                at: now,
                fruitless: 0,
            },
            Self::Sends(signs) | Self::Receiving(signs, _) | Self::Storing(signs) => signs,
        };
        match (event, self) {
            (Event::Verifying, Self::Connected) => Self::Verifying,
            (Event::NotVerified, Self::Verifying) => Self::Connected,
            (Event::Authenticated, Self::Connected | Self::Verifying) => Self::Authenticated,
            (Event::Verifying | Event::NotVerified | Event::Authenticated, other) => other,
            (Event::Mail, _) => Self::Sends(signs.another(now)),
            (Event::Data, _) => Self::Receiving(signs, now),
            (Event::Whole, _) => Self::Storing(signs),
            (Event::NotAccepted, _) => Self::Sends(signs),
            (Event::Accepted, _) => Self::Sends(Signs {
                at: now,
                fruitless: 0,
            }),
        }
    }
}

impl Signs {
    /// Whoever begins again and again and brings no message is not sending.
    fn another(self, now: Instant) -> Self {
        Self {
            at: if self.fruitless < FRUITLESS {
                now
            } else {
                self.at
            },
            fruitless: self.fruitless.saturating_add(1),
        }
    }
}
