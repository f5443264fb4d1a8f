//! How far a session has come, and which sessions make room for others first.

use std::time::Duration;

use tokio::time::Instant;

/// A session that has sent mail and then none for so long may have to make room:
/// its client connects again when it has some (RFC 5321 3.8 lets a server that
/// has to close a connection say 421 at any time between messages).
const STALE: Duration = Duration::from_secs(60);
/// Bytes a second. A message that comes slower, for [`STALE`], holds a connection
/// for hours; the slowest line that mail comes over is some times faster.
const SLOWEST: u64 = 1000;
/// So many transactions in a row count as sending mail although no message of
/// theirs was accepted.
const FRUITLESS: u32 = 3;
/// What a session has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A password was right.
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
pub(super) enum Stage {
    Connected,
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
pub(super) struct Signs {
    /// The last sign of it.
    at: Instant,
    /// Transactions since its last accepted message.
    fruitless: u32,
}

impl Stage {
    /// Who goes first has the least; `None` is never sent away. `received` are the
    /// bytes since DATA.
    pub(super) fn rank(self, received: u64, now: Instant) -> Option<(u8, Option<Instant>)> {
        match self {
            Self::Connected => Some((0, None)),
            Self::Authenticated => Some((1, None)),
            Self::Sends(signs) => (now - signs.at >= STALE).then_some((2, Some(signs.at))),
            Self::Receiving(_, since) => {
                let time = now - since;
                let is_slow = received < time.as_secs() * SLOWEST;
                (time >= STALE && is_slow).then_some((3, Some(since)))
            }
            Self::Storing(_) => None,
        }
    }

    /// What it has come to after an event.
    pub(super) fn after(self, event: Event, now: Instant) -> Self {
        let signs = match self {
            Self::Connected | Self::Authenticated => Signs {
                at: now,
                fruitless: 0,
            },
            Self::Sends(signs) | Self::Receiving(signs, _) | Self::Storing(signs) => signs,
        };
        match (event, self) {
            (Event::Authenticated, Self::Connected) => Self::Authenticated,
            (Event::Authenticated, other) => other,
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
