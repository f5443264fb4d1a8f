//! Room: how much the spool may hold, and what is on its way in.
//!
//! # Promises
//!
//! - The disk keeps `free_space`. Room for a message is reserved before the message is
//!   written, and so is the room that the database's log and the pages in it will need.
//!   Free pages of the database count as room for rows, up to half of `free_space`. The
//!   other half is really free, so that the outcomes of accepted messages can still be
//!   recorded when nothing more is accepted.
//! - The spool stays within `spool_size`, including rows and what is being received.
//! - A client reserves only what it sends: content beyond [`super::INLINE_LIMIT`] is
//!   reserved in steps of [`STEP`], and each step is checked. If the announced size or
//!   the largest possible message were reserved, a few hundred connections that send
//!   nothing could shut everybody else out.
//! - Complete messages go before incomplete ones, because nothing was promised for half a
//!   message. So clients that send without end block only messages that come in at the
//!   same time.
//! - The first failure ends a reception: its file is removed at once, and the rest of the
//!   message is read and discarded.
//!
//! # What yields when there is no room
//!
//! In this order, the oldest first, only as much as is needed, and only if all of it
//! together makes enough room:
//!
//! 1. receptions that have stalled for [`STALLED`];
//! 2. the content of messages that were delivered or dropped (`kept/`); as long as there
//!    is any, the other limits on what yields for one message do not count;
//! 3. the history of ended messages: entries without content, including failed messages
//!    whose content was removed to make room;
//! 4. the content of failed messages; the entry stays in the history and says so;
//! 5. for a complete message: receptions, beginning with the client that holds the most
//!    room.
//!
//! Mail that waits, is held by an operator or is in quarantine never yields.

mod amounts;
pub(super) mod forgotten;
mod purge;
pub(super) mod reservation;
pub(super) mod usage;
pub(super) mod yields;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::usage::Holdings;
use self::usage::Usage;
use self::usage::megabytes;
use super::SpoolError;
use super::lock_mutex;
use super::trouble::Troubles;
use crate::disk;
use crate::mail::SpoolId;

/// The step in which a message reserves room while it is received: small enough for many
/// clients, and large enough that the disk is asked rarely.
pub(super) const STEP: u64 = 1024 * 1024;
/// A message that takes longer than this for a step loses its room if somebody else needs
/// it.
const STALLED: Duration = Duration::from_secs(30);
/// Bytes of new messages in one transaction, so that the database's log does not outgrow
/// the room reserved for it.
pub(super) const LARGEST_GROUP_BYTES: u64 = 2 * 1024 * 1024;
/// The database's log begins again after 1000 pages (SQLite, "Automatic
/// Checkpoint"); the transaction that reaches this still goes into it.
const LOG: u64 = 1000 * 4096 + LARGEST_GROUP_BYTES;

/// The limits, and what is held and on its way in.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    size: u64,
    free_space: u64,
    ledger: Mutex<Ledger>,
    /// A reception has ended.
    pub(super) ended: Notify,
    /// Held by the task that makes room.
    pub(super) making: tokio::sync::Mutex<()>,
    removed: Mutex<Removed>,
    has_removed: Notify,
    pub(super) troubles: Troubles,
    pub(super) commit_times: Histogram,
    /// The last answer of the disk about its free space, and when it came.
    asked: Mutex<Option<(Instant, u64)>>,
}

/// What is held and on its way in.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    usage: Usage,
    database: Pages,
    /// Rows that the writer has not committed yet.
    pub(super) committing: u64,
    /// Receptions by number.
    pub(super) receptions: BTreeMap<u64, Reception>,
    /// The last number given.
    pub(super) last: u64,
}

/// The disk space of the database, and what it is about to use.
#[derive(Clone, Copy, Debug, Default)]
struct Pages {
    /// Free pages in the file; new rows need no more disk while there are any.
    free: u64,
    /// Pages that are only in the log and not yet in the file.
    growth: u64,
    /// The size of the log.
    log: u64,
}

/// A message on its way into a file.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) client: Option<IpAddr>,
    pub(super) reserved: u64,
    pub(super) written: u64,
    /// When it last took a step.
    pub(super) step: Instant,
    /// It is complete, and keeps its room.
    pub(super) is_whole: bool,
    /// Cancelled when its room is given to another.
    pub(super) taken_back: CancellationToken,
}

impl Reception {
    fn may_yield(&self, whom: Yielding) -> bool {
        let stands_still = self.step.elapsed() >= STALLED;
        let is_meant = whom == Yielding::All || stands_still;
        is_meant && !self.is_whole && !self.taken_back.is_cancelled()
    }
}

/// How long an answer about the disk's free space is used.
const MOMENT: Duration = Duration::from_millis(50);
/// The disk is asked every time when no more than this is free beyond `free_space`. No
/// disk fills faster than that.
const PLENTY: u64 = 1024 * 1024 * 1024;

/// Which receptions yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yielding {
    /// Those that stand still.
    Stalled,
    /// All.
    All,
}

/// What room is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For the rows of a message that is complete.
    Rows,
    /// For the next step of this reception.
    Step(u64),
}

/// Which limit is in the way, and by how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) limit: Limit,
    pub(super) missing: u64,
    /// Bytes of the disk that are free and not reserved.
    free: u64,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// `spool_size`.
    Spool,
    /// `free_space`.
    Disk,
}

impl Room {
    pub(super) fn new(settings: &super::Settings, connection: &Connection) -> Self {
        let room = Self {
            folder: settings.folder.clone(),
            size: settings.size,
            free_space: settings.free_space,
            ledger: Mutex::new(Ledger::default()),
            ended: Notify::new(),
            making: tokio::sync::Mutex::new(()),
            removed: Mutex::default(),
            has_removed: Notify::new(),
            troubles: Troubles::default(),
            commit_times: crate::metrics::commit_times(),
            asked: Mutex::new(None),
        };
        room.publish(connection);
        room
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock_mutex(&self.ledger)
    }

    /// Records what the database holds after a transaction.
    pub(super) fn publish(&self, connection: &Connection) {
        let usage = usage::read(connection);
        // With plenty of room, what the database is about to use does not matter.
        let database = match self.has_plenty() {
            true => Pages::default(),
            false => self.pages(connection),
        };
        let mut ledger = self.ledger();
        // If it is unknown, the old value stays.
        if let Ok(usage) = usage {
            ledger.usage = usage;
        }
        ledger.database = database;
    }

    fn pages(&self, connection: &Connection) -> Pages {
        let ask = |query: &str| {
            let answer: rusqlite::Result<i64> = connection
                .prepare_cached(query)
                .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
            // If it is unknown, none is assumed: then only the disk's free space counts.
            answer.map_or(0, |number| u64::try_from(number).unwrap_or(0))
        };
        let size = |name: &str| {
            let file = std::fs::metadata(self.folder.join(name));
            file.map_or(0, |file| file.len())
        };
        let page = ask("PRAGMA page_size");
        Pages {
            free: ask("PRAGMA freelist_count") * page,
            growth: (ask("PRAGMA page_count") * page).saturating_sub(size("spool.db")),
            log: size("spool.db-wal"),
        }
    }

    /// Whether this many bytes would fit if everything that may yield did so.
    ///
    /// # Errors
    ///
    /// Those of asking the disk.
    pub(super) fn could_take(
        &self,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Option<Short>, SpoolError> {
        let ledger = self.ledger();
        for limit in [Limit::Spool, Limit::Disk] {
            if let Some(short) = self.short(&ledger, limit, bytes, purpose)?
                && !self.can_yield(&ledger, short, purpose)
            {
                return Ok(Some(short));
            }
        }
        Ok(None)
    }

    /// Reserves bytes if there is room.
    ///
    /// # Errors
    ///
    /// Those of asking the disk.
    pub(super) fn try_take(
        &self,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Option<Short>, SpoolError> {
        let mut ledger = self.ledger();
        for limit in [Limit::Spool, Limit::Disk] {
            if let Some(short) = self.short(&ledger, limit, bytes, purpose)? {
                return Ok(Some(short));
            }
        }
        match purpose {
            Purpose::Rows => ledger.committing += bytes,
            Purpose::Step(number) => {
                if let Some(reception) = ledger.receptions.get_mut(&number) {
                    reception.reserved += bytes;
                    reception.step = Instant::now();
                }
            }
        }
        Ok(None)
    }

    fn short(
        &self,
        ledger: &Ledger,
        limit: Limit,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Option<Short>, SpoolError> {
        let (needed, there, free) = match limit {
            Limit::Spool => {
                let used = ledger.usage.total() + ledger.committing + ledger.received();
                (used.saturating_add(bytes), self.size, 0)
            }
            Limit::Disk => {
                let free = self.free(ledger)?;
                let reused = match purpose {
                    Purpose::Rows => ledger.reusable().min(self.free_space / 2),
                    Purpose::Step(_) => 0,
                };
                let needed = self.free_space.saturating_add(bytes);
                (needed, free.saturating_add(reused), free)
            }
        };
        Ok((needed > there).then(|| Short {
            limit,
            missing: needed - there,
            free,
        }))
    }

    /// Bytes of the disk that are free and not reserved.
    fn free(&self, ledger: &Ledger) -> Result<u64, SpoolError> {
        let free = self.disk_free()?;
        let Pages {
            free: pages,
            growth,
            log,
        } = ledger.database;
        let unwritten = ledger.receptions.values();
        let unwritten: u64 = unwritten
            .map(|reception| reception.reserved.saturating_sub(reception.written))
            .sum();
        let rows = ledger.committing.saturating_sub(pages);
        let set_aside = unwritten + rows + growth + LOG.saturating_sub(log);
        Ok(free.saturating_sub(set_aside))
    }

    /// Whether much more of the disk is free than has to be.
    pub(in crate::spool) fn has_plenty(&self) -> bool {
        let free = self.disk_free().unwrap_or(0);
        self.is_plenty(free)
    }

    fn is_plenty(&self, free: u64) -> bool {
        free.saturating_sub(self.free_space) > PLENTY
    }

    /// Bytes free on the disk. With plenty of room, an answer is used for a moment.
    fn disk_free(&self) -> Result<u64, SpoolError> {
        let mut asked = lock_mutex(&self.asked);
        if let Some((at, free)) = *asked
            && self.is_plenty(free)
            && at.elapsed() < MOMENT
        {
            return Ok(free);
        }
        let free = disk::free_space(&self.folder).map_err(|error| SpoolError::File {
            path: self.folder.clone(),
            error,
        })?;
        *asked = Some((Instant::now(), free));
        Ok(free)
    }

    /// Which limit was reached, and what fills the spool.
    pub(super) fn words(&self, short: Short) -> String {
        let ledger = self.ledger();
        let receiving = ledger.received() + ledger.committing;
        let fills = ledger.usage.words(receiving);
        let held = megabytes(ledger.usage.total() + receiving);
        let (size, least) = (megabytes(self.size), megabytes(self.free_space));
        match short.limit {
            Limit::Spool => format!("the spool holds {held} of limits.spool_size {size}: {fills}"),
            Limit::Disk => format!(
                "{} free on the disk of {}, limits.free_space is {least}; the spool holds {held}: \
                 {fills}",
                megabytes(short.free),
                self.folder.display()
            ),
        }
    }

    /// What fills the spool.
    pub(super) fn fills(&self) -> String {
        let ledger = self.ledger();
        let receiving = ledger.received() + ledger.committing;
        let held = megabytes(ledger.usage.total() + receiving);
        format!("the spool holds {held}: {}", ledger.usage.words(receiving))
    }

    /// What the spool holds.
    pub(super) fn holdings(&self) -> Holdings {
        let ledger = self.ledger();
        let states = ledger.usage.parts();
        Holdings {
            limit: self.size,
            states: states
                .map(|(part, bytes)| (part.name().to_owned(), bytes))
                .into(),
            receiving: ledger.received() + ledger.committing,
        }
    }

    /// Takes the room of a reception back: the oldest one of the client that holds the
    /// most. Returns its number.
    pub(super) fn take_back(&self, whom: Yielding, purpose: Purpose) -> Option<u64> {
        let ledger = self.ledger();
        let may_yield = |number: u64, reception: &Reception| {
            Purpose::Step(number) != purpose && reception.reserved > 0 && reception.may_yield(whom)
        };
        let mut clients: BTreeMap<Option<IpAddr>, (u64, u64)> = BTreeMap::new();
        for (number, reception) in &ledger.receptions {
            if may_yield(*number, reception) {
                let (bytes, _) = clients.entry(reception.client).or_insert((0, *number));
                *bytes += reception.reserved;
            }
        }
        let (_, number) = clients.into_values().max_by_key(|(bytes, _)| *bytes)?;
        ledger.receptions.get(&number)?.taken_back.cancel();
        Some(number)
    }

    /// Whether a reception still has its room.
    pub(super) fn is_held(&self, number: u64) -> bool {
        self.ledger().receptions.contains_key(&number)
    }

    /// Whether content of ended messages is kept.
    pub(in crate::spool) fn has_kept(&self) -> bool {
        self.ledger().usage.history().content() > 0
    }

    /// Records what was removed to make room.
    pub(super) fn note_removed(&self, note: impl FnOnce(&mut Removed)) {
        note(&mut lock_mutex(&self.removed));
        self.has_removed.notify_one();
    }

    /// Waits for content that was removed to make room, and returns what was since the last
    /// call.
    pub(super) async fn removed(&self) -> Removed {
        loop {
            let noted = self.has_removed.notified();
            let removed = std::mem::take(&mut *lock_mutex(&self.removed));
            if removed != Removed::default() {
                return removed;
            }
            noted.await;
        }
    }
}

/// Content that was removed to make room for new mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Failed messages that lost theirs.
    pub failed: Vec<SpoolId>,
    /// Bytes of content that was kept for sending delivered or dropped messages again.
    pub kept: u64,
}

impl Ledger {
    /// Bytes reserved for messages that are being received.
    fn received(&self) -> u64 {
        let receptions = self.receptions.values();
        receptions.map(|reception| reception.reserved).sum()
    }

    /// Free pages that are not reserved for rows.
    fn reusable(&self) -> u64 {
        self.database.free.saturating_sub(self.committing)
    }
}
