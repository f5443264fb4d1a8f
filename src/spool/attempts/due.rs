//! Which waiting entries of a destination are due and fit the amounts it may send now.
//!
//! They come in the order in which they are due, followed by those that have failed
//! recently. The first entry that does not fit ends the list, so that small messages do
//! not overtake a large one for ever.

use crate::spool::columns;
use std::collections::HashSet;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::params;

use crate::clock::RunningTime;
use crate::mail::Destination;
use crate::mail::SpoolId;

/// How much of this destination may be claimed.
#[derive(Clone, Debug)]
pub struct Want {
    /// The destination.
    pub destination: Destination,
    /// The largest number of entries.
    pub count: u32,
    /// Bytes of their first requests.
    pub upload: Allowance,
    /// Their recipients.
    pub recipients: Allowance,
    /// Entries that come after all others.
    pub behind: Vec<SpoolId>,
    /// Whether the entries that are due last come first.
    pub newest_first: bool,
    /// The bytes of the first request for an entry of this size.
    pub first_request: fn(u64) -> u64,
}

impl Want {
    /// This number of entries, of any size.
    pub fn any(destination: Destination, count: u32) -> Self {
        Self {
            destination,
            count,
            upload: Allowance::ANY,
            recipients: Allowance::ANY,
            behind: Vec::new(),
            newest_first: false,
            first_request: |size| size,
        }
    }
}

/// The unused part of a limit. An amount above the whole limit fits when the limit is
/// unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The limit.
    pub limit: u64,
    /// The unused part.
    pub left: u64,
}

impl Allowance {
    /// Any amount.
    pub const ANY: Self = Self {
        limit: u64::MAX,
        left: u64::MAX,
    };

    /// Whether this amount fits.
    pub fn fits(self, amount: u64) -> bool {
        amount.min(self.limit) <= self.left
    }

    fn take(&mut self, amount: u64) {
        self.left = self.left.saturating_sub(amount);
    }
}

/// The waiting entry of a destination that is due next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// How long it still has to wait.
    pub due_in: Duration,
    /// Bytes of its content.
    pub size: u64,
    /// How many recipients it has.
    pub recipients: u64,
}

/// How the due entries are read.
#[derive(Clone, Copy, Debug)]
pub(in crate::spool) enum Reading {
    /// By the index, with the numbers of recipients.
    Ordinary,
    /// Without the recipients, if a page of theirs is damaged; each entry counts as
    /// having one until it is claimed.
    NoRecipients,
    /// Without the index too, if that is damaged.
    NoIndex,
}

impl Reading {
    pub(in crate::spool) const ALL: [Self; 3] = [Self::Ordinary, Self::NoRecipients, Self::NoIndex];

    fn query(self) -> &'static str {
        match self {
            Self::Ordinary => {
                "SELECT id, due_running, size, (SELECT count(*) FROM recipient WHERE entry = id)
                 FROM entry
                 WHERE state = 'waiting' AND account = ?1 AND mailbox = ?2
                 AND due_running <= ?3"
            }
            Self::NoRecipients => {
                "SELECT id, due_running, size, 1 FROM entry
                 WHERE state = 'waiting' AND account = ?1 AND mailbox = ?2
                 AND due_running <= ?3"
            }
            Self::NoIndex => {
                "SELECT id, due_running, size, 1 FROM entry NOT INDEXED
                 WHERE state = 'waiting' AND account = ?1 AND mailbox = ?2
                 AND due_running <= ?3"
            }
        }
    }
}

/// The ids that may be claimed, in order, without those in `skip`.
pub(in crate::spool) fn due(
    db: &Connection,
    want: &Want,
    now: RunningTime,
    skip: &HashSet<String>,
    how: Reading,
) -> rusqlite::Result<Vec<String>> {
    let (mut upload, mut recipients) = (want.upload, want.recipients);
    let mut ids = Vec::new();
    for (id, next) in in_turn(db, want, want.count, now, skip, how)? {
        let bytes = (want.first_request)(next.size);
        if !upload.fits(bytes) || !recipients.fits(next.recipients) {
            break;
        }
        upload.take(bytes);
        recipients.take(next.recipients);
        ids.push(id);
    }
    Ok(ids)
}

/// The next entry of a destination, due or not.
pub(in crate::spool) fn upcoming(
    db: &Connection,
    want: &Want,
    now: RunningTime,
    skip: &HashSet<String>,
    how: Reading,
) -> rusqlite::Result<Option<Upcoming>> {
    let due = in_turn(db, want, 1, now, skip, how)?.into_iter().next();
    let first = match due {
        Some(due) => Some(due),
        None => waiting(db, (want, false), (now, None), 1, skip, how)?
            .into_iter()
            .next(),
    };
    Ok(first.map(|(_, next)| next))
}

/// This number of due entries, in order.
fn in_turn(
    db: &Connection,
    want: &Want,
    count: u32,
    now: RunningTime,
    skip: &HashSet<String>,
    how: Reading,
) -> rusqlite::Result<Vec<(String, Upcoming)>> {
    let behind: HashSet<String> = want.behind.iter().map(ToString::to_string).collect();
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let read = most.saturating_add(behind.len());
    let read = u32::try_from(read).unwrap_or(u32::MAX);
    let order = (want, want.newest_first);
    let mut rows = waiting(db, order, (now, Some(now)), read, skip, how)?;
    if !behind.is_empty() {
        // A stable sort keeps the order within each group.
        rows.sort_by_key(|(id, _)| behind.contains(id));
    }
    rows.truncate(most);
    Ok(rows)
}

/// Waiting entries of a destination in the order in which they are due, or reversed: those due
/// by a time, at most `count`.
fn waiting(
    db: &Connection,
    (want, newest_first): (&Want, bool),
    (now, by): (RunningTime, Option<RunningTime>),
    count: u32,
    skip: &HashSet<String>,
    how: Reading,
) -> rusqlite::Result<Vec<(String, Upcoming)>> {
    let order = match newest_first {
        true => "ORDER BY due_running DESC, id DESC LIMIT ?4",
        false => "ORDER BY due_running, id LIMIT ?4",
    };
    let mut statement = db.prepare_cached(&format!("{} {order}", how.query()))?;
    let by = by.map_or(i64::MAX, RunningTime::millis);
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let limit = most.saturating_add(skip.len());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (account, mailbox) = (&want.destination.account, want.destination.mailbox.as_str());
    let mut rows = statement.query(params![account, mailbox, by, limit])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        if waiting.len() == most {
            break;
        }
        if skip.contains(&id) {
            continue;
        }
        let next = Upcoming {
            due_in: RunningTime::from_millis(row.get(1)?).since(now),
            // The claim quarantines what cannot be read.
            size: columns::unsigned(row, 2).unwrap_or(0),
            recipients: columns::unsigned(row, 3)?,
        };
        waiting.push((id, next));
    }
    Ok(waiting)
}
