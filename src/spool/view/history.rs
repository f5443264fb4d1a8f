//! What became of messages: one row for each recipient, and one for each that was
//! refused, newest first.
//!
//! An id begins with the time of acceptance, and a refusal has an id too, so the order
//! of the ids is that of time. A search goes back in pieces of that order: the first
//! are small, because what is looked for is mostly new. It stops when it has enough
//! rows, or after [`PATIENCE`], because everybody who reads waits for it; then it says
//! where to go on. What the pieces are searched for is in `sought.rs`, refused mail in
//! `refusals/find.rs`.

use std::cmp::Reverse;
use std::time::Duration;
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::place::Place;
use super::place::Range;
use super::sought::Sought;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::mail::SpoolId;
use crate::spool::AttemptOutcome;
use crate::spool::Filter;
use crate::spool::Refused;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::State;
use crate::spool::accept::copies;
use crate::spool::columns;
use crate::spool::kept;
use crate::spool::refusals::find as refusals;

/// What became of an accepted message for one of its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Became {
    /// The message.
    pub id: SpoolId,
    /// The place of the recipient among all.
    pub ordinal: u32,
    /// The recipient.
    pub recipient: String,
    /// What the client named in its place.
    pub asked_for: Option<String>,
    /// What its state is.
    pub state: State,
    /// The enhanced status (RFC 3463) of what happened last; missing where nothing did,
    /// or an operator has decided.
    pub status: Option<String>,
    /// The same in words.
    pub text: Option<String>,
    /// When that was.
    pub at: Timestamp,
    /// When the message was accepted.
    pub accepted_at: Timestamp,
    /// When the next attempt may start.
    pub due_at: Timestamp,
    /// How long that is from now.
    pub due_in: Duration,
    /// Argument of MAIL, empty for `<>`.
    pub reverse_path: String,
    /// The address in its From header.
    pub author: Option<String>,
    /// The Message-ID that goes out.
    pub message_id: Option<String>,
    /// Its Subject, decoded and cut.
    pub subject: Option<String>,
    /// The client's address.
    pub client: String,
    /// What the client called itself.
    pub hello: String,
    /// The user who authenticated.
    pub user: Option<String>,
    /// The account that sends it.
    pub account: Option<String>,
    /// The mailbox that sends it.
    pub mailbox: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// The last attempt.
    pub last: Option<LastAttempt>,
    /// Whether nobody knows of an attempt if Graph took the message.
    pub is_doubted: bool,
    /// The message that it is a report about.
    pub about: Option<SpoolId>,
    /// The message that it is a copy of, by an operator's order.
    pub resend_of: Option<SpoolId>,
    /// Until when it can be sent again, if it has ended and its content is kept.
    pub resend_until: Option<Timestamp>,
    /// The last report about it.
    pub report: Option<SpoolId>,
}

/// What is known of the last attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastAttempt {
    /// Missing while it is under way.
    pub outcome: Option<AttemptOutcome>,
    /// HTTP status of the answer.
    pub http_status: Option<u16>,
    /// Graph's or Entra's code.
    pub code: Option<String>,
    /// Graph's `request-id`.
    pub request_id: Option<String>,
    /// The seconds that the answer asked to wait (Retry-After).
    pub retry_after_seconds: Option<u64>,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What is looked for.
    pub sought: Sought,
    /// Only what it lets through.
    pub filter: Option<Filter>,
    /// Only what is behind this place.
    pub after: Option<Place>,
    /// The largest number of rows that the answer has.
    pub limit: u32,
}

/// A row of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// What became of an accepted message for a recipient.
    Accepted(Box<Became>),
    /// What was not accepted.
    Refused(Box<Refused>),
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The rows, newest first.
    pub rows: Vec<Record>,
    /// Where there may be more.
    pub next: Option<Place>,
}

/// What an answer depends on besides the rows.
#[derive(Clone, Copy)]
struct Now {
    moment: Moment,
    keeping: kept::Rule,
}

/// A search answers after this, and says where to go on.
const PATIENCE: Duration = Duration::from_millis(60);
/// Messages in the first piece.
const FIRST_PIECE: u32 = 500;
/// By how much the next piece is larger than the one before.
const GROWTH: u32 = 8;
/// Messages in the largest piece.
const LARGEST_PIECE: u32 = 32_000;

impl Spool {
    /// Looks for messages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn history(&self, search: Search) -> Result<Found, SpoolError> {
        // Where they cannot be written, the others can be read all the same.
        let _written = self.write_refusals().await;
        let now = Now {
            moment: self.moment(),
            keeping: self.keeping(),
        };
        self.read(move |db| {
            let begun = Instant::now();
            let limit = usize::try_from(search.limit).unwrap_or(usize::MAX);
            let mut rows = Vec::new();
            let mut piece = FIRST_PIECE;
            let mut range = Range::behind(search.after);
            loop {
                // By an index it is found wherever it is.
                if !search.sought.is_by_index() {
                    range.oldest = oldest_of(db, &range, piece)?;
                }
                // One more shows whether there is more.
                let missing = limit.saturating_add(1).saturating_sub(rows.len());
                rows.extend(found(db, &search, &range, missing, now)?);
                if rows.len() > limit {
                    rows.truncate(limit);
                    let next = rows.last().map(Record::place);
                    return Ok(Found { rows, next });
                }
                let Some(oldest) = range.oldest else {
                    return Ok(Found { rows, next: None });
                };
                let place = Place {
                    id: oldest,
                    ordinal: u32::MAX,
                };
                if begun.elapsed() >= PATIENCE {
                    let next = Some(place);
                    return Ok(Found { rows, next });
                }
                range = Range::behind(Some(place));
                piece = piece.saturating_mul(GROWTH).min(LARGEST_PIECE);
            }
        })
        .await
    }
}

/// The last message of the next piece; nothing if all the others fit into it.
pub(super) fn oldest_of(
    db: &Connection,
    range: &Range,
    piece: u32,
) -> rusqlite::Result<Option<SpoolId>> {
    let mut statement = db
        .prepare_cached("SELECT id FROM entry WHERE id <= ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2")?;
    let newest = range.after.map(|place| place.id.to_string());
    let newest = newest.unwrap_or_else(|| BEHIND_ALL.to_owned());
    statement
        .query_row((newest, piece), |row| columns::id(row, 0))
        .optional()
}

/// Behind every id.
const BEHIND_ALL: &str = "~";

/// The newest rows of a piece.
fn found(
    db: &Connection,
    search: &Search,
    range: &Range,
    limit: usize,
    now: Now,
) -> rusqlite::Result<Vec<Record>> {
    let (sought, filter) = (&search.sought, search.filter.as_ref());
    let refused = refusals::find(db, sought, filter, range, limit, now.moment.running)?;
    let refused = refused
        .into_iter()
        .map(|row| Record::Refused(Box::new(row)));
    let accepted = accepted(db, search, range, limit, now)?.into_iter();
    let accepted = accepted.map(|row| Record::Accepted(Box::new(row)));
    let mut rows: Vec<Record> = accepted.chain(refused).collect();
    rows.sort_by_key(|row| (Reverse(row.place().id), row.place().ordinal));
    rows.truncate(limit);
    Ok(rows)
}

fn accepted(
    db: &Connection,
    search: &Search,
    range: &Range,
    limit: usize,
    now: Now,
) -> rusqlite::Result<Vec<Became>> {
    let filter = search.filter.as_ref();
    let mut query = search.sought.keys(filter, range, now.moment.running);
    query.sql = format!(
        "WITH found (entry, ordinal) AS ({}) {VALUES}, {} {TABLES}",
        query.sql,
        kept::COLUMNS
    );
    query.add_rows_condition(filter, now.moment.running);
    let limit = Value::from(i64::try_from(limit).unwrap_or(i64::MAX));
    query.add(" ORDER BY found.entry DESC, found.ordinal LIMIT ?", [limit]);
    let mut statement = db.prepare_cached(&query.sql)?;
    let rows = statement.query_map(params_from_iter(query.values), |row| became(row, now))?;
    let mut rows: Vec<Became> = rows.collect::<rusqlite::Result<_>>()?;
    for row in &mut rows {
        row.resend_of = copies::original_of(db, &row.id.to_string());
    }
    Ok(rows)
}

/// What a row is made of.
const VALUES: &str = "SELECT entry.id, recipient.ordinal, recipient.address,
    (SELECT group_concat(original, ', ') FROM asked WHERE asked.entry = entry.id
        AND asked.recipient = recipient.address AND original <> recipient.address),
    coalesce(recipient.state, entry.state),
    iif(recipient.state IS NULL, entry.status, recipient.status),
    iif(recipient.state IS NULL, entry.reason, recipient.reason),
    coalesce(recipient.changed_at, entry.changed_at, entry.accepted_at),
    entry.accepted_at, entry.due_running, entry.reverse_path, entry.author, entry.message_id,
    entry.subject, entry.client, entry.hello, entry.user, entry.account, entry.mailbox,
    entry.attempts, attempt.number, attempt.outcome, attempt.http_status, attempt.code,
    attempt.request_id, attempt.retry_after,
    EXISTS (SELECT 1 FROM attempt WHERE attempt.entry = entry.id AND outcome = 'doubtful'),
    entry.about,
    (SELECT max(report.id) FROM entry AS report WHERE report.about = entry.id)";

/// Where they come from.
const TABLES: &str = "FROM found CROSS JOIN entry ON entry.id = found.entry
    CROSS JOIN recipient ON recipient.entry = found.entry AND recipient.ordinal = found.ordinal
    LEFT JOIN attempt ON attempt.entry = entry.id AND attempt.number = entry.attempts
    WHERE ";

fn became(row: &Row<'_>, now: Now) -> rusqlite::Result<Became> {
    let due = RunningTime::from_millis(row.get(9)?);
    let is_tried: Option<u32> = row.get(20)?;
    let last = LastAttempt {
        outcome: row.get(21)?,
        http_status: row.get(22)?,
        code: row.get(23)?,
        request_id: row.get(24)?,
        retry_after_seconds: columns::optional_unsigned(row, 25)?,
    };
    Ok(Became {
        id: columns::id(row, 0)?,
        ordinal: row.get(1)?,
        recipient: row.get(2)?,
        asked_for: row.get(3)?,
        state: row.get(4)?,
        status: row.get(5)?,
        text: row.get(6)?,
        at: Timestamp::from_millis(row.get(7)?),
        accepted_at: Timestamp::from_millis(row.get(8)?),
        due_at: now.moment.wall(due),
        due_in: due.since(now.moment.running),
        reverse_path: row.get(10)?,
        author: row.get(11)?,
        message_id: row.get(12)?,
        subject: row.get(13)?,
        client: row.get(14)?,
        hello: row.get(15)?,
        user: row.get(16)?,
        account: row.get(17)?,
        mailbox: row.get(18)?,
        attempts: row.get(19)?,
        last: is_tried.map(|_| last),
        is_doubted: row.get(26)?,
        about: columns::optional(row, 27)?,
        resend_of: None,
        resend_until: now.keeping.of_row(row, 29, now.moment)?,
        report: columns::optional(row, 28)?,
    })
}

impl Record {
    /// Where it is in the order of all rows.
    pub fn place(&self) -> Place {
        match self {
            Self::Accepted(row) => row.place(),
            Self::Refused(row) => Place {
                id: row.id,
                ordinal: 0,
            },
        }
    }
}

impl Became {
    /// Where it is in the order of all rows.
    pub fn place(&self) -> Place {
        Place {
            id: self.id,
            ordinal: self.ordinal,
        }
    }
}
