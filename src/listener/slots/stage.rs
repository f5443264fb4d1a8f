//! How far a session has come, and so which sessions make room for others first.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

/// How long a session that has sent mail may be idle before it may have to make room: its
/// client reconnects when it has mail (RFC 5321 3.8 lets a server that must close a
/// connection reply 421 at any time between messages).
const STALE: Duration = Duration::from_secs(60);
/// The same if its client holds far more connections than the newcomer's.
const STALE_OF_MANY: Duration = Duration::from_secs(15);
/// How far a message may fall behind the pace of [`Flow`].
const SLOW: Duration = Duration::from_secs(20);
/// How many transactions in a row count as sending mail although none of their messages
/// was accepted.
const FRUITLESS: u32 = 3;

/// An event in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) enum Event {
    /// A password is being verified.
    Verifying,
    /// It was wrong, or could not be verified.
    NotVerified,
    /// It was correct.
    Authenticated,
    /// MAIL was accepted.
    Mail,
    /// DATA was accepted.
    Data,
    /// The end of the content has come.
    Whole,
    /// The message was accepted.
    Accepted,
    /// The message was not accepted, so its recipients do not count.
    NotAccepted,
}

/// The stage of a session, as far as its slot depends on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) enum Stage {
    Connected,
    /// It waits for the verdict on its password.
    Verifying,
    Authenticated,
    /// It has sent mail, or begun to.
    Sends(Signs),
    /// It is within DATA, since that time.
    Receiving(Signs, Instant),
    /// Its message is complete, and is being stored.
    Storing(Signs),
}

/// Distinguishes a client that sends mail from one that only pretends to.
#[derive(Clone, Copy, Debug)]
pub(in crate::listener) struct Signs {
    /// The last sign of sending.
    at: Instant,
    /// Transactions since its last accepted message.
    fruitless: u32,
}

/// The value of a session that may have to go; the least valuable goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::listener) enum Worth {
    Idle,
    Verifying,
    Authenticated,
    /// It has stopped sending mail.
    Stale,
    /// Its message makes hardly any progress.
    Slow,
}

/// Whose session it is, seen from the newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) enum Owner {
    /// Of a client that holds far more connections than the newcomer's.
    HasMany,
    Other,
}

/// How steadily a message arrives: a byte a millisecond is enough. The slowest line for
/// mail is several times faster, and anything slower holds a connection for hours.
#[derive(Debug)]
pub(in crate::listener) struct Flow {
    begun: Instant,
    /// In milliseconds since then: when the message falls behind by [`SLOW`]. A fast
    /// beginning gives no credit for later.
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

    /// Records that this many bytes of it have come. One task calls this.
    pub(in crate::listener) fn received(&self, bytes: usize) {
        let now = self.now();
        // Nor does one byte make up for a long silence.
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
    /// The value of the session, and since when it is no higher; `None` if it never has
    /// to go.
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

    /// The stage after an event.
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
    /// A client that begins again and again without a message is not sending.
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
