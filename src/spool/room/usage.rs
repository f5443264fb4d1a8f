//! What the messages of the spool occupy on disk, rows included.
//!
//! Each entry stores the cost of its rows (`entry.rows_cost`) and the cost of its content
//! while that is kept (`entry.content_cost`; negative after the end, see `kept/`). The sums by state are kept in memory, in a
//! temporary table of the writer's connection. Triggers update them with every change of
//! an entry, and a rollback undoes their work too, so code that changes an entry need not
//! think of the sums. They are computed from the entries at start. A claimed entry counts
//! as a waiting one, so that a claim changes no sum.
//!
//! A new entry is added by [`add`] instead, because a trigger on INSERT makes SQLite look
//! for children that the new entry cannot have. The changes made at every attempt use
//! `UPDATE OR FAIL`: with a trigger, SQLite saves the pages before each statement so that
//! it can undo that statement alone, which is not needed here because an error undoes the
//! whole transaction.
//!
//! The costs are estimates, close to what SQLite's `dbstat` counts for full pages.
//! Measured per row, with 2000 messages each:
//!
//! | | bytes of pages | counted |
//! |---|---|---|
//! | entry with its indexes, no long texts | 350 | 400 |
//! | recipient of 20, 30, 254 octets | 61, 73, 317 | 68, 78, 302 |
//! | the same in `recipient_key` | 64, 72, 342 | 68, 78, 302 |
//! | Message-ID of 51 octets in `entry_message_id` | 94 | 99 |
//! | attempt with a reason of 74 characters | 313 | 314 |
//! | content of 600, 3000, 20000 bytes | 645, 4070, 20450 | 800, 4000, 21024 |

use crate::spool::columns;
use std::collections::BTreeMap;
use std::fmt::Write;

use rusqlite::Connection;
use serde::Deserialize;
use serde::Serialize;

use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::EnvelopeId;
use crate::mail::Trace;
use crate::spool::accept::caption::Caption;
use crate::spool::accept::requests::recipient_key;
use crate::spool::state::State;

/// An entry, its place in the indexes and the row of its content.
const ENTRY: u64 = 400;
/// A recipient, without its address.
const RECIPIENT: u64 = 48;
/// A place in an index, without the indexed text.
const INDEXED: u64 = 48;
/// An attempt and its place in the index, without its texts.
pub(in crate::spool) const ATTEMPT: u64 = 240;
/// Files take up whole blocks.
const BLOCK: u64 = 4096;
/// The most that one content wastes at the end of its pages.
const PAGE_REST: u64 = 1024;

/// The cost of the rows of one entry before its first attempt.
pub(in crate::spool) fn rows_cost(
    envelope: &Envelope,
    trace: &Trace,
    author: Option<&Address>,
    caption: &Caption,
) -> u64 {
    let asked = |address: &Address| {
        let asked = envelope.reports.of(address);
        let notify = asked.and_then(|asked| asked.notify);
        let original = asked.and_then(|asked| asked.original.as_ref());
        notify.map_or(0, |notify| notify.to_string().len())
            + original.map_or(0, |original| original.as_str().len())
    };
    let found_by = |address: &Address| {
        let key = recipient_key(address).map(|key| key.len());
        key.map_or(address.as_str().len(), |key| 2 * key)
    };
    let addresses = envelope.recipients.iter();
    let recipients: u64 = addresses
        .map(|it| (it.as_str().len() + asked(it) + found_by(it)) as u64 + RECIPIENT + INDEXED)
        .sum();
    let returned = envelope.reports.returned.map(|it| it.to_string());
    let envelope_id = envelope.reports.envelope_id.as_ref();
    let replaced = envelope.asked.iter();
    let replaced: u64 = replaced
        .map(|it| (2 * it.original.len() + it.recipient.as_str().len()) as u64)
        .map(|texts| texts + RECIPIENT + INDEXED)
        .sum();
    let texts = [
        envelope.reverse_path.address().map_or("", Address::as_str),
        author.map_or("", Address::as_str),
        &trace.hello,
        trace.user.as_deref().unwrap_or_default(),
        returned.as_deref().unwrap_or_default(),
        envelope_id.map_or("", EnvelopeId::as_str),
        caption.subject.as_deref().unwrap_or_default(),
    ];
    let message_id = caption.message_id.as_ref();
    let message_id = message_id.map_or(0, |id| 2 * id.len() as u64 + INDEXED);
    ENTRY
        + recipients
        + replaced
        + message_id
        + texts.map(|text| text.len() as u64).iter().sum::<u64>()
}

/// The cost of content that is stored in its row.
pub(in crate::spool) fn inline_cost(size: u64) -> u64 {
    size + (size / 3).min(PAGE_REST)
}

/// The share of a file's cost that each of its entries is charged.
pub(in crate::spool) fn file_cost(size: u64, shared_by: u64) -> u64 {
    size.div_ceil(BLOCK) * BLOCK / shared_by.max(1)
}

/// [`rows_cost`] including the attempts made since, as SQL.
pub(in crate::spool) const ROWS: &str = "400 + octet_length(reverse_path) + octet_length(hello)
        + ifnull(octet_length(author), 0) + ifnull(octet_length(user), 0)
        + ifnull(octet_length(ret), 0) + ifnull(octet_length(envid), 0)
        + ifnull(octet_length(subject), 0) + ifnull(2 * octet_length(message_id) + 48, 0)
        + (SELECT ifnull(sum(octet_length(address) + ifnull(octet_length(key), 0)
           + octet_length(ifnull(key, address))
           + ifnull(octet_length(notify), 0) + ifnull(octet_length(orcpt), 0) + 96), 0)
           FROM recipient WHERE recipient.entry = entry.id)
        + (SELECT ifnull(sum(2 * octet_length(original) + octet_length(recipient) + 96), 0)
           FROM asked WHERE asked.entry = entry.id)
        + (SELECT ifnull(sum(240 + ifnull(octet_length(attempt.reason), 0)), 0)
           FROM attempt WHERE attempt.entry = entry.id)";

/// Computes the costs of entries that have none, because they come from an older format
/// or a salvage.
pub(in crate::spool) fn compute() -> String {
    format!(
        "UPDATE entry SET
         content_cost = CASE
            WHEN state IN ('delivered', 'dropped') THEN 0
            WHEN in_file THEN (size + 4095) / 4096 * 4096
            ELSE size + min(size / 3, 1024) END,
         rows_cost = {ROWS}
         WHERE rows_cost = 0;"
    )
}

/// What the entries of one state occupy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::spool) struct Share {
    /// Rows, without content.
    pub(in crate::spool) rows: u64,
    /// Content in rows.
    pub(in crate::spool) inline: u64,
    /// Content in files.
    pub(in crate::spool) files: u64,
}

impl Share {
    fn all(self) -> u64 {
        self.rows + self.inline + self.files
    }

    /// The bytes that are freed when the content is deleted.
    pub(in crate::spool) fn content(self) -> u64 {
        self.inline + self.files
    }
}

/// A part of the spool, named by what an operator would do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spool) enum Part {
    /// Mail that waits and leaves by itself.
    Waiting,
    Held,
    Failed,
    Quarantined,
    /// Content of ended messages, so that they can be sent again.
    Kept,
    /// The history: ended messages, without content.
    History,
}

impl Part {
    const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Held,
        Self::Failed,
        Self::Quarantined,
        Self::Kept,
        Self::History,
    ];

    /// Its name in metrics.
    pub(in crate::spool) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Kept => KEPT_NAME,
            Self::History => "history",
        }
    }

    fn states(self) -> &'static [State] {
        match self {
            // Claimed entries are counted with these.
            Self::Waiting => &[State::Waiting],
            Self::Held => &[State::Held],
            Self::Failed => &[State::Failed],
            Self::Quarantined => &[State::Quarantined],
            Self::Kept | Self::History => &[State::Delivered, State::Dropped],
        }
    }

    /// The text after its size: what it is, and what makes room.
    fn words(self) -> &'static str {
        match self {
            Self::Waiting => " waiting",
            Self::Held => " held (graph-relay queue list --filter state=held)",
            Self::Failed => " failed (graph-relay queue drop --filter state=failed makes room)",
            Self::Quarantined => {
                " quarantined (graph-relay queue drop --filter state=quarantined makes room)"
            }
            Self::Kept => {
                " kept for sending again (history.keep_content), removed when new mail needs the room"
            }
            Self::History => " of history, removed when new mail needs the room",
        }
    }
}

/// The name of [`Part::Kept`].
const KEPT_NAME: &str = "kept";

/// What the spool holds, by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::spool) struct Usage {
    states: BTreeMap<State, Share>,
}

impl Usage {
    /// The whole spool.
    pub(in crate::spool) fn total(&self) -> u64 {
        self.states.values().map(|share| share.all()).sum()
    }

    /// What failed messages hold.
    pub(in crate::spool) fn failed(&self) -> Share {
        self.of(Part::Failed.states())
    }

    /// What the history of ended messages holds, with the content that is kept.
    pub(in crate::spool) fn history(&self) -> Share {
        self.of(Part::History.states())
    }

    /// The sizes by what an operator would do about them.
    pub(in crate::spool) fn parts(&self) -> [(Part, u64); 6] {
        Part::ALL.map(|part| {
            let share = self.of(part.states());
            let bytes = match part {
                Part::Kept => share.content(),
                Part::History => share.rows,
                Part::Waiting | Part::Held | Part::Failed | Part::Quarantined => share.all(),
            };
            (part, bytes)
        })
    }

    /// What fills the spool, and what makes room.
    pub(in crate::spool) fn words(&self, receiving: u64) -> String {
        let mut words = String::new();
        for (part, bytes) in self.parts() {
            if bytes == 0 && part != Part::Waiting {
                continue;
            }
            // Writing into a String cannot fail.
            let _taken = write!(words, "{}{}, ", megabytes(bytes), part.words());
        }
        let _taken = write!(words, "{} being received", megabytes(receiving));
        words
    }

    fn of(&self, states: &[State]) -> Share {
        let mut sum = Share::default();
        for share in states.iter().filter_map(|state| self.states.get(state)) {
            sum.rows += share.rows;
            sum.inline += share.inline;
            sum.files += share.files;
        }
        sum
    }
}

/// What the spool holds, in bytes, for status and metrics.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Holdings {
    /// `limits.spool_size`.
    pub limit: u64,
    /// What messages occupy, by state; `history` is what has ended, and `kept` its content.
    pub states: BTreeMap<String, u64>,
    /// What is reserved for messages that are being received.
    pub receiving: u64,
}

impl Holdings {
    /// The same in one line.
    pub fn words(&self) -> String {
        let all = self.states.values().sum::<u64>() + self.receiving;
        let limit = megabytes(self.limit);
        let kept = match self.states.get(KEPT_NAME).copied().unwrap_or(0) {
            0 => String::new(),
            kept => format!(
                ", {} of it kept for sending again (history.keep_content)",
                megabytes(kept)
            ),
        };
        format!("{} of {limit} (limits.spool_size){kept}", megabytes(all))
    }
}

/// In the unit of the configured limits, rounded up so that a small amount is never shown
/// as zero.
pub fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} MB"),
        (whole, tenth) => format!("{whole}.{tenth} MB"),
    }
}

/// Begins to keep the sums on this connection, which is the only one that writes.
pub(in crate::spool) fn begin(db: &Connection) -> rusqlite::Result<()> {
    let cost = content_cost("main.entry");
    let sums = format!(
        "ifnull(sum(rows_cost), 0), ifnull(sum(iif(in_file, 0, {cost})), 0),
         ifnull(sum(iif(in_file, {cost}, 0)), 0)"
    );
    db.execute_batch(
        "CREATE TEMP TABLE usage (
             state TEXT PRIMARY KEY, rows INTEGER NOT NULL, inline INTEGER NOT NULL,
             files INTEGER NOT NULL) WITHOUT ROWID;",
    )?;
    // Every state has its row from the beginning, so that a change is an UPDATE.
    let mut empty = db.prepare("INSERT INTO temp.usage VALUES (?1, 0, 0, 0)")?;
    for state in State::ALL {
        empty.execute([state])?;
    }
    let (was, is) = (counted_as("OLD.state"), counted_as("NEW.state"));
    let (off, on) = (change("OLD", '-'), change("NEW", '+'));
    let state = counted_as("state");
    db.execute_batch(&format!(
        "INSERT OR REPLACE INTO temp.usage SELECT {state}, {sums} FROM main.entry
             GROUP BY {state};
         CREATE TEMP TRIGGER usage_removed AFTER DELETE ON main.entry BEGIN {off} END;
         CREATE TEMP TRIGGER usage_changed
             AFTER UPDATE OF state, rows_cost, content_cost, in_file ON main.entry
             WHEN {was} <> {is} OR OLD.rows_cost <> NEW.rows_cost
             OR OLD.content_cost <> NEW.content_cost OR OLD.in_file <> NEW.in_file
             BEGIN {off} {on} END;"
    ))
}

/// The state that an entry is counted under: a claimed entry counts as waiting.
fn counted_as(state: &str) -> String {
    format!("iif({state} = 'claimed', 'waiting', {state})")
}

/// Adds a new waiting entry.
pub(in crate::spool) fn add(
    db: &Connection,
    rows: i64,
    content: i64,
    in_file: bool,
) -> rusqlite::Result<()> {
    let (inline, files) = if in_file { (0, content) } else { (content, 0) };
    let mut add = db.prepare_cached(
        "UPDATE temp.usage SET rows = rows + ?1, inline = inline + ?2, files = files + ?3
         WHERE state = 'waiting'",
    )?;
    add.execute([rows, inline, files]).map(drop)
}

/// The cost of the content that a row of `entry` has. That of an ended message counts only
/// if it is kept; earlier versions leave the cost when they delete the content.
fn content_cost(row: &str) -> String {
    format!(
        "iif({row}.state IN ('delivered', 'dropped'), max(-{row}.content_cost, 0),
         {row}.content_cost)"
    )
}

/// Adds a row of `entry` to the sums of its state, or subtracts it.
fn change(row: &str, sign: char) -> String {
    let cost = content_cost(row);
    let state = counted_as(&format!("{row}.state"));
    format!(
        "UPDATE usage SET rows = rows {sign} {row}.rows_cost,
         inline = inline {sign} iif({row}.in_file, 0, {cost}),
         files = files {sign} iif({row}.in_file, {cost}, 0)
         WHERE state = {state};"
    )
}

/// The sums as they are now.
pub(in crate::spool) fn read(db: &Connection) -> rusqlite::Result<Usage> {
    let mut statement = db.prepare_cached("SELECT state, rows, inline, files FROM temp.usage")?;
    let rows = statement.query_map([], |row| {
        let share = Share {
            rows: columns::unsigned(row, 1)?,
            inline: columns::unsigned(row, 2)?,
            files: columns::unsigned(row, 3)?,
        };
        Ok((row.get(0)?, share))
    })?;
    let states = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Usage { states })
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
