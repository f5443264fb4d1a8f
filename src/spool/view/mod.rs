//! Reading: what waits, what became of it, and how rows become values.

pub(super) mod history;
pub(super) mod matching;
pub(super) mod overview;
pub(super) mod past;
pub(super) mod place;
pub(super) mod query;
pub(super) mod reading;
pub(super) mod sought;

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params_from_iter;
use serde::Deserialize;
use serde::Serialize;

use super::Action;
use super::Filter;
use super::OrderView;
use super::Requested;
use super::Spool;
use super::SpoolError;
use super::accept::asked::Replaced;
use super::accept::asked::recipients;
use super::accept::asked::replaced;
use super::accept::copies;
use super::accept::requests;
use super::columns;
use super::kept;
use super::lock_mutex;
use super::operator::condition::Condition;
use super::operator::orders;
use super::state::AttemptOutcome;
use super::state::State;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::mail::SpoolId;

/// An entry in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub id: SpoolId,
    /// Its state.
    pub state: State,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// How long it has been in the spool, in running time.
    pub age_ms: u64,
    /// When the next attempt may start, by the wall clock.
    pub due_at: Timestamp,
    /// The time until then.
    pub due_in_ms: u64,
    /// Bytes of content.
    pub size: u64,
    /// The account that sends it.
    pub account: Option<String>,
    /// The mailbox that sends it.
    pub mailbox: Option<String>,
    /// Argument of MAIL, empty for `<>`.
    pub reverse_path: String,
    /// The address in its From header.
    pub author: Option<String>,
    /// Its recipients, as stored.
    pub recipients: Vec<String>,
    /// Its Subject, decoded and cut; missing where the history keeps none.
    #[serde(default)]
    pub subject: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// The explanation of the last attempt, or of why there was none.
    pub reason: Option<String>,
}

/// Everything that is known about an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntryView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: Summary,
    /// The client's address.
    pub client: String,
    /// The client's EHLO name.
    pub hello: String,
    /// The protocol of the client.
    pub protocol: String,
    /// The user who authenticated.
    pub user: Option<String>,
    /// The entry that it is a report about; then it came from no client.
    pub about: Option<SpoolId>,
    /// The message that it is a copy of, by an operator's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend_of: Option<SpoolId>,
    /// Its own copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resent_as: Vec<SpoolId>,
    /// RET: `FULL` or `HDRS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<String>,
    /// ENVID, decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envid: Option<String>,
    /// NOTIFY and ORCPT, for the recipients that have one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<Requested>,
    /// When it was finished.
    pub ended_at: Option<Timestamp>,
    /// Until when it can be sent again, if it has ended and its content is kept.
    #[serde(default)]
    pub kept_until_at: Option<Timestamp>,
    /// Recipients that replace those that the client named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Replaced>,
    /// Its attempts.
    pub timeline: Vec<AttemptView>,
    /// What operators have ordered about it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderView>,
}

impl EntryView {
    /// Whether an order has deleted only the content: a message is dropped once, and every other
    /// `drop` is about one that had ended.
    pub fn is_about_content(&self, order: &OrderView) -> bool {
        let is_drop = |it: &&OrderView| it.order == Action::Drop.name();
        let has_dropped_it =
            self.summary.state == State::Dropped && self.orders.iter().find(is_drop) == Some(order);
        is_drop(&order) && !has_dropped_it
    }
}

/// One attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 1.
    pub number: u32,
    /// When it was put on record.
    pub begun_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// Missing while it is under way.
    pub outcome: Option<AttemptOutcome>,
    /// HTTP status of the answer.
    pub http_status: Option<u16>,
    /// Graph's or Entra's code.
    pub code: Option<String>,
    /// The explanation.
    pub reason: Option<String>,
    /// Graph's `request-id`.
    pub request_id: Option<String>,
    /// The seconds that the answer asked to wait (Retry-After).
    pub retry_after_seconds: Option<u64>,
    /// Our `client-request-id`.
    pub client_request_id: String,
}

/// The number of entries in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Waiting or under way.
    pub waiting: u64,
    /// Held until an operator decides.
    pub held: u64,
    /// Delivered, as far as the history goes back.
    pub delivered: u64,
    /// Failed or quarantined, and kept.
    pub failed: u64,
}

impl Spool {
    /// A page of the entries that are not delivered, in the order of their ids: at most
    /// `limit` after `after`.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn list(
        &self,
        after: Option<SpoolId>,
        limit: u32,
    ) -> Result<Vec<Summary>, SpoolError> {
        self.search(None, after, limit).await
    }

    /// The same for entries that match a filter. A filter that names a state also finds
    /// delivered or dropped entries.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn search(
        &self,
        filter: Option<Filter>,
        after: Option<SpoolId>,
        limit: u32,
    ) -> Result<Vec<Summary>, SpoolError> {
        let now = self.moment();
        self.read(move |db| {
            let condition = Condition::of(filter.as_ref(), &State::OPEN, now.running);
            let mut values = condition.values;
            values.push(after.map(|id| id.to_string()).unwrap_or_default().into());
            values.push(limit.into());
            let mut statement = db.prepare_cached(&format!(
                "SELECT id, state, accepted_at, due_running, size, account, mailbox, reverse_path,
                 author, attempts, reason, accepted_running, subject FROM entry
                 WHERE {} AND id > ? ORDER BY id LIMIT ?",
                condition.sql
            ))?;
            let rows =
                statement.query_map(params_from_iter(values), |row| summary(db, row, now))?;
            rows.collect()
        })
        .await
    }

    /// Everything about one entry, if it exists.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn show(&self, id: SpoolId) -> Result<Option<EntryView>, SpoolError> {
        let (now, keeping) = (self.moment(), self.keeping());
        self.read(move |db| {
            let entry = db
                .prepare_cached(&format!(
                    "SELECT id, state, accepted_at, due_running, size, account, mailbox, reverse_path,
                     author, attempts, reason, accepted_running, subject, client, hello, protocol,
                     ended_at, user, about, ret, envid, {} FROM entry WHERE id = ?1",
                    kept::COLUMNS
                ))?
                .query_row([id.to_string()], |row| {
                    let kept_until_at = keeping.of_row(row, 21, now)?;
                    entry_view(db, row, now, kept_until_at)
                })
                .optional()?;
            Ok(entry)
        })
        .await
    }

    /// The number of entries in each state.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn totals(&self) -> Result<Totals, SpoolError> {
        self.read(|db| {
            let mut totals = Totals::default();
            let mut statement =
                db.prepare_cached("SELECT state, count(*) FROM entry GROUP BY state")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (state, count): (State, u64) = (row.get(0)?, columns::unsigned(row, 1)?);
                match state {
                    State::Waiting | State::Claimed => totals.waiting += count,
                    State::Held => totals.held += count,
                    State::Delivered => totals.delivered += count,
                    State::Dropped => {}
                    State::Failed | State::Quarantined => totals.failed += count,
                }
            }
            Ok(totals)
        })
        .await
    }

    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let spool = self.clone();
        let task = tokio::task::spawn_blocking(move || query(&lock_mutex(&spool.shared.reader)));
        let read = task.await.map_err(|_| SpoolError::Closed)?;
        read.map_err(|error| {
            self.shared.room.troubles.note_database(&error);
            error.into()
        })
    }
}

/// The time since a moment.
pub(super) fn millis_since(now: Moment, then: RunningTime) -> u64 {
    in_millis(now.running.since(then))
}

fn in_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn summary(db: &Connection, row: &Row<'_>, now: Moment) -> rusqlite::Result<Summary> {
    let id = columns::id(row, 0)?;
    let due = RunningTime::from_millis(row.get(3)?);
    let accepted = RunningTime::from_millis(row.get(11)?);
    Ok(Summary {
        id,
        state: row.get(1)?,
        accepted_at: Timestamp::from_millis(row.get(2)?),
        age_ms: millis_since(now, accepted),
        due_at: now.wall(due),
        due_in_ms: in_millis(due.since(now.running)),
        size: columns::unsigned(row, 4)?,
        account: row.get(5)?,
        mailbox: row.get(6)?,
        reverse_path: row.get(7)?,
        author: row.get(8)?,
        // Thus an entry with a damaged part can be listed, shown and dropped.
        recipients: recipients(db, &id.to_string()).unwrap_or_else(|_| vec![UNREADABLE.to_owned()]),
        subject: row.get(12)?,
        attempts: row.get(9)?,
        reason: row.get(10)?,
    })
}

/// Shown instead of recipients that cannot be read.
const UNREADABLE: &str = "(unreadable)";

fn entry_view(
    db: &Connection,
    row: &Row<'_>,
    now: Moment,
    kept_until_at: Option<Timestamp>,
) -> rusqlite::Result<EntryView> {
    let id: String = row.get(0)?;
    let mut statement = db.prepare_cached(
        "SELECT number, begun_at, ended_at, outcome, http_status, code, reason, request_id,
         client_request_id, begun_running, ended_running, retry_after FROM attempt WHERE entry = ?1 ORDER BY number",
    )?;
    let timeline = statement.query_map([&id], |row| {
        Ok(AttemptView {
            number: row.get(0)?,
            begun_at: Timestamp::from_millis(row.get(1)?),
            ended_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
            outcome: row.get(3)?,
            http_status: row.get(4)?,
            code: row.get(5)?,
            reason: row.get(6)?,
            request_id: row.get(7)?,
            client_request_id: row.get(8)?,
            retry_after_seconds: columns::optional_unsigned(row, 11)?,
            took_ms: row
                .get::<_, Option<i64>>(10)?
                .map(RunningTime::from_millis)
                .zip(row.get(9).map(RunningTime::from_millis).ok())
                // For an attempt made before the upgrade this is unknown.
                .filter(|(_, begun)| *begun >= RunningTime::START)
                .map(|(ended, begun)| in_millis(ended.since(begun))),
        })
    })?;
    Ok(EntryView {
        replaced: replaced(db, &row.get::<_, String>(0)?),
        resend_of: copies::original_of(db, &id),
        resent_as: copies::copies_of(db, &id),
        timeline: timeline.filter_map(Result::ok).collect(),
        orders: orders::of(db, &id),
        summary: summary(db, row, now)?,
        client: row.get(13)?,
        hello: row.get(14)?,
        protocol: row.get(15)?,
        ended_at: row.get::<_, Option<i64>>(16)?.map(Timestamp::from_millis),
        kept_until_at,
        user: row.get(17)?,
        about: columns::optional(row, 18)?,
        ret: row.get(19)?,
        envid: row.get(20)?,
        requested: requests::shown(db, &id).unwrap_or_default(),
    })
}
