//! Which waiting entries of a lane are due and fit what it may take now.
//!
//! In the order in which they are due: the first that does not fit ends the
//! list, so that what is large is not overtaken for ever by what is small.

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use super::view;
use crate::clock::Timestamp;
use crate::mail::Lane;

/// So much of this lane may be claimed.
#[derive(Clone, Debug)]
pub struct Want {
    /// The lane.
    pub lane: Lane,
    /// At most so many entries.
    pub count: u32,
    /// Bytes of their first requests.
    pub upload: Allowance,
    /// Their recipients.
    pub recipients: Allowance,
    /// The bytes of the first request for an entry of so many bytes.
    pub first_request: fn(u64) -> u64,
}

impl Want {
    /// So many entries, of any size.
    pub fn any(lane: Lane, count: u32) -> Self {
        Self {
            lane,
            count,
            upload: Allowance::ANY,
            recipients: Allowance::ANY,
            first_request: |size| size,
        }
    }
}

/// What is left of a limit. What is larger than the whole limit fits when all of
/// it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub left: u64,
}

impl Allowance {
    /// Any amount.
    pub const ANY: Self = Self {
        limit: u64::MAX,
        left: u64::MAX,
    };

    /// Whether so much fits.
    pub fn fits(self, amount: u64) -> bool {
        amount.min(self.limit) <= self.left
    }

    fn take(&mut self, amount: u64) {
        self.left = self.left.saturating_sub(amount);
    }
}

/// The waiting entry of a lane that is due next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// When it is due.
    pub due: Timestamp,
    /// Bytes of its content.
    pub size: u64,
    /// How many recipients it has.
    pub recipients: u64,
}

/// The ids of what may be claimed, the longest due first.
pub(super) fn due(db: &Connection, want: &Want, now: Timestamp) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare_cached(
        "SELECT id, size, (SELECT count(*) FROM recipient WHERE entry = id) FROM entry
         WHERE state = 'waiting' AND account = ?1 AND mailbox = ?2
         AND due_at <= ?3 ORDER BY due_at, id LIMIT ?4",
    )?;
    let (account, mailbox) = (&want.lane.account, want.lane.mailbox.as_str());
    let rows = statement.query_map(
        params![account, mailbox, now.millis(), want.count],
        // What cannot be read is quarantined by the claim.
        |row| {
            let size = view::unsigned(row, 1).unwrap_or(0);
            Ok((row.get(0)?, size, view::unsigned(row, 2)?))
        },
    )?;
    let (mut upload, mut recipients) = (want.upload, want.recipients);
    let mut ids = Vec::new();
    for row in rows {
        let (id, size, addressed): (String, u64, u64) = row?;
        let bytes = (want.first_request)(size);
        if !upload.fits(bytes) || !recipients.fits(addressed) {
            break;
        }
        upload.take(bytes);
        recipients.take(addressed);
        ids.push(id);
    }
    Ok(ids)
}

pub(super) fn upcoming(db: &Connection, lane: &Lane) -> rusqlite::Result<Option<Upcoming>> {
    let mut statement = db.prepare_cached(
        "SELECT due_at, size, (SELECT count(*) FROM recipient WHERE entry = id) FROM entry
         WHERE state = 'waiting' AND account = ?1 AND mailbox = ?2
         ORDER BY due_at, id LIMIT 1",
    )?;
    statement
        .query_row(params![lane.account, lane.mailbox.as_str()], |row| {
            Ok(Upcoming {
                due: Timestamp::from_millis(row.get(0)?),
                size: view::unsigned(row, 1).unwrap_or(0),
                recipients: view::unsigned(row, 2)?,
            })
        })
        .optional()
}
