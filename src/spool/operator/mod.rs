//! What an operator decides: retry, hold, release, drop; what is paused, and what is
//! sent again.
//!
//! A decision is on stable storage before it is reported. `drop` is the only way for a
//! message to disappear without delivery (promise 2), and only `drop.rs` does it. An
//! entry that is being sent cannot be held or dropped, because the report of it might be
//! wrong.

pub(super) mod condition;
mod drop;
pub(super) mod filter;
mod found;
pub(super) mod order;
pub(super) mod orders;
pub(super) mod pauses;
pub(super) mod resend;

use super::columns;
use std::fs::File;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::params;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use self::condition::Condition;
use self::found::Found;
use super::Action;
use super::Content;
use super::ContentError;
use super::Count;
use super::Decided;
use super::Decision;
use super::Digest;
use super::Filter;
use super::GivenBy;
use super::Order;
use super::Spool;
use super::SpoolError;
use super::Urgency;
use super::Verdict;
use super::Which;
use super::attempts;
use super::content;
use super::damage;
use super::kept;
use super::state::State;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::mail::Destination;
use crate::mail::SpoolId;

/// Entries changed in one transaction, so that accepting mail does not wait for long.
const AT_ONCE: usize = 500;

impl Spool {
    /// Carries out an order, for all named ids or for a page of matches.
    ///
    /// # Errors
    ///
    /// Those of the database. Entries that were not reported may have been changed.
    pub async fn operate(
        &self,
        order: Order,
        by: impl Into<GivenBy>,
    ) -> Result<Decided, SpoolError> {
        let (action, by) = (order.action, by.into());
        let mut decided = Decided {
            decisions: Vec::new(),
            next: None,
        };
        match order.which {
            Which::Ids(ids) => {
                for ids in ids.chunks(AT_ONCE) {
                    let decisions = self.decide(action, ids.to_vec(), &by, None).await?;
                    decided.decisions.extend(decisions);
                }
            }
            Which::Matching {
                filter,
                accepted_by,
                after,
            } => {
                let still = (filter.clone(), accepted_by);
                let ids = self.page(action, filter, accepted_by, after).await?;
                decided.next = ids.last().copied().filter(|_| ids.len() == AT_ONCE);
                decided.decisions = self.decide(action, ids, &by, Some(still)).await?;
            }
        }
        Ok(decided)
    }

    /// What an action would apply to now.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn count(&self, action: Action, filter: Option<Filter>) -> Result<Count, SpoolError> {
        let at = self.running();
        self.read(move |db| {
            let condition = Condition::of(filter.as_ref(), action.states(), at);
            let sql = format!(
                "SELECT state, count(*) FROM entry WHERE {} GROUP BY state",
                condition.sql
            );
            let mut statement = db.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(condition.values), |row| {
                Ok((row.get(0)?, columns::unsigned(row, 1)?))
            })?;
            let states = rows.collect::<rusqlite::Result<_>>()?;
            Ok(Count { at, states })
        })
        .await
    }

    /// The reader finds them, so that searching a long queue does not keep the writer
    /// from accepting mail.
    async fn page(
        &self,
        action: Action,
        filter: Option<Filter>,
        accepted_by: RunningTime,
        after: Option<SpoolId>,
    ) -> Result<Vec<SpoolId>, SpoolError> {
        self.read(move |db| {
            let condition = Condition::of(filter.as_ref(), action.states(), accepted_by);
            let sql = format!(
                "SELECT id FROM entry WHERE {} AND accepted_running <= ? AND id > ?
                 ORDER BY id LIMIT {AT_ONCE}",
                condition.sql
            );
            let mut values = condition.values;
            values.push(Value::Integer(accepted_by.millis()));
            let after = after.map(|id| id.to_string()).unwrap_or_default();
            values.push(Value::Text(after));
            let mut statement = db.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| columns::id(row, 0))?;
            rows.collect()
        })
        .await
    }

    /// Decides about these entries in one transaction. If damage stops it, each entry
    /// gets its own.
    async fn decide(
        &self,
        action: Action,
        ids: Vec<SpoolId>,
        by: &GivenBy,
        still: Option<(Option<Filter>, RunningTime)>,
    ) -> Result<Vec<Decision>, SpoolError> {
        let whole = [Extent::Whole];
        let together = self.decide_together(action, ids.clone(), by, still.clone(), &whole);
        match together.await {
            Err(SpoolError::Damaged(_)) => {}
            decided => return decided,
        }
        let mut decisions = Vec::new();
        for id in ids {
            let extents = [Extent::Whole, Extent::KeepContent];
            let alone = self.decide_together(action, vec![id], by, still.clone(), &extents);
            match alone.await {
                Ok(decided) => decisions.extend(decided),
                Err(error @ SpoolError::Damaged(_)) => decisions.push(Decision {
                    id,
                    verdict: Verdict::Refused,
                    remark: Some(error.to_string()),
                    destination: None,
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(decisions)
    }

    /// Does it in one transaction. An entry for which `still` no longer holds is left
    /// alone.
    async fn decide_together(
        &self,
        action: Action,
        ids: Vec<SpoolId>,
        by: &GivenBy,
        still: Option<(Option<Filter>, RunningTime)>,
        extents: &[Extent],
    ) -> Result<Vec<Decision>, SpoolError> {
        let now = self.moment();
        let folder = self.shared.settings.folder.clone();
        let (keeping, by) = (self.keeping(), by.clone());
        let decide = move |db: &Connection, extent| {
            let mut changes = Changes::default();
            for id in &ids {
                let condition = still
                    .as_ref()
                    .map(|(filter, at)| Condition::of(filter.as_ref(), action.states(), *at));
                let found = Found::read(db, *id, condition)?;
                let Some(found) = found else {
                    if still.is_none() {
                        changes.say(*id, Verdict::Refused, Some(UNKNOWN));
                    }
                    continue;
                };
                let change = Change {
                    db,
                    found: &found,
                    folder: &folder,
                    keeping,
                    now,
                    by: &by,
                    extent,
                };
                change.carry_out(action, &mut changes)?;
                change.note(action, &changes)?;
            }
            Ok(changes)
        };
        let (changes, _) = self.write_as_far_as_possible(extents, decide).await?;
        if !changes.dropped.is_empty() {
            self.shared.dropped.notify_one();
        }
        for destination in changes.destinations {
            self.announce(destination, Urgency::AtOnce);
        }
        for (id, in_file) in changes.dropped {
            if in_file {
                // What cannot be removed now is removed at the next start.
                let path = content::path(&self.shared.settings.folder, id);
                let _left = tokio::fs::remove_file(path).await;
            }
        }
        Ok(changes.decisions)
    }
}

/// How much of a decision is carried out when damage stops the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    /// The content of a dropped message stays, because it may be on the damaged page.
    KeepContent,
}

const UNKNOWN: &str = "unknown ID: no such message was accepted, or its history.keep has passed";
const BEING_SENT: &str = "it is being sent now: try again";
const HAS_YIELDED: &str = "its content was removed to make room for new mail";
const NO_ACCOUNT: &str = "no [[account]] sends for its From address: add one whose senders match, \
                          then systemctl restart graph-relay";

/// What one transaction did, and what must follow it.
#[derive(Default)]
struct Changes {
    decisions: Vec<Decision>,
    /// Destinations that now have something due.
    destinations: Vec<Destination>,
    /// Whether the content is in a file.
    dropped: Vec<(SpoolId, bool)>,
}

impl Changes {
    fn say(&mut self, id: SpoolId, verdict: Verdict, remark: Option<&str>) {
        self.decisions.push(Decision {
            id,
            verdict,
            remark: remark.map(str::to_owned),
            destination: None,
        });
    }

    /// Without a destination it waits for one, and only waiting entries get one.
    fn say_waiting(&mut self, id: SpoolId, destination: Option<&Destination>) {
        self.destinations.extend(destination.cloned());
        self.decisions.push(Decision {
            id,
            verdict: Verdict::Done,
            remark: destination.is_none().then(|| NO_ACCOUNT.to_owned()),
            destination: destination.cloned(),
        });
    }
}

/// One entry to decide about.
struct Change<'a> {
    db: &'a Connection,
    found: &'a Found,
    folder: &'a Path,
    keeping: kept::Rule,
    now: Moment,
    by: &'a GivenBy,
    extent: Extent,
}

impl Change<'_> {
    /// Writes down what was done, for the timeline.
    fn note(&self, action: Action, changes: &Changes) -> rusqlite::Result<()> {
        let last = changes.decisions.last();
        // What is damaged may be the page of the orders.
        let is_whole = self.extent == Extent::Whole;
        if !is_whole || last.is_none_or(|last| last.verdict != Verdict::Done) {
            return Ok(());
        }
        let id = self.found.id.to_string();
        orders::note(self.db, &id, action.name(), self.by, self.now)
    }

    /// The table: what each action does in each state.
    fn carry_out(&self, action: Action, changes: &mut Changes) -> rusqlite::Result<()> {
        let already = |changes: &mut Changes, why| {
            changes.say(self.found.id, Verdict::Already, Some(why));
            Ok(())
        };
        let refused = |changes: &mut Changes, why: &str| {
            changes.say(self.found.id, Verdict::Refused, Some(why));
            Ok(())
        };
        // The reason ends with a command, which needs the id.
        let refused_for = |changes: &mut Changes, why: &str| {
            refused(changes, &format!("{why} {}", self.found.id))
        };
        // Written by a later version, or by another program.
        let Some(state) = State::named(&self.found.state) else {
            return refused(changes, "its state is unknown to this version");
        };
        match (action, state) {
            (Action::Retry, State::Waiting | State::Held | State::Failed | State::Quarantined) => {
                self.retry(state, changes)
            }
            (Action::Retry | Action::Release, State::Claimed) => {
                already(changes, "it is being sent now")
            }
            (Action::Hold, State::Waiting) => self.hold(changes),
            (Action::Hold, State::Held) => already(changes, "it is held"),
            (Action::Hold, State::Failed) => {
                refused(changes, "it has failed and is not tried again")
            }
            (Action::Hold, State::Quarantined) => {
                refused(changes, "it is in quarantine and is not tried again")
            }
            (Action::Release, State::Held) => self.release(changes),
            (Action::Release, State::Waiting) => already(changes, "it waits for its next attempt"),
            (Action::Release, State::Failed) => refused_for(
                changes,
                "it has failed and is not held; to try it again: graph-relay queue retry",
            ),
            (Action::Release, State::Quarantined) => refused_for(
                changes,
                "it is in quarantine and is not held; to try it again: graph-relay queue retry",
            ),
            (Action::Drop, State::Waiting | State::Held | State::Failed | State::Quarantined) => {
                self.drop_it(changes)
            }
            (Action::Hold | Action::Drop, State::Claimed) => refused(changes, BEING_SENT),
            (Action::Drop, State::Delivered | State::Dropped) => self.drop_content(state, changes),
            (Action::Retry | Action::Hold | Action::Release, State::Delivered | State::Dropped) => {
                let why = self.has_ended(state)?;
                refused(changes, &why)
            }
        }
    }

    /// What to do instead with a message that was delivered or dropped.
    fn has_ended(&self, state: State) -> rusqlite::Result<String> {
        let id = self.found.id;
        let why_not = resend::why_not(self.db, id, self.keeping.ended())?;
        Ok(why_not.unwrap_or_else(|| {
            format!("it was {state}; to send it again: graph-relay queue resend {id}")
        }))
    }

    fn retry(&self, state: State, changes: &mut Changes) -> rusqlite::Result<()> {
        let Some(destination) = &self.found.destination else {
            changes.say(self.found.id, Verdict::Refused, Some(NO_ACCOUNT));
            return Ok(());
        };
        if state == State::Failed && self.has_yielded()? {
            changes.say(self.found.id, Verdict::Refused, Some(HAS_YIELDED));
            return Ok(());
        }
        if state == State::Quarantined
            && let Some(why) = self.unreadable()?
        {
            changes.say(self.found.id, Verdict::Refused, Some(&why));
            return Ok(());
        }
        self.set_waiting("tried again", state != State::Waiting)?;
        changes.say_waiting(self.found.id, Some(destination));
        Ok(())
    }

    fn release(&self, changes: &mut Changes) -> rusqlite::Result<()> {
        self.set_waiting("released", true)?;
        changes.say_waiting(self.found.id, self.found.destination.as_ref());
        Ok(())
    }

    /// Makes it due now. `again` restarts the time until it expires; otherwise it goes on waiting
    /// for what the last attempt was told.
    fn set_waiting(&self, what: &str, again: bool) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "UPDATE entry SET state = 'waiting', due_running = ?2, ended_at = NULL,
                 ended_running = NULL, reason = CASE WHEN ?4 THEN ?3 ELSE reason END,
                 trouble_since = CASE WHEN ?4 THEN NULL ELSE trouble_since END,
                 own_trouble = own_trouble AND NOT ?4,
                 status = CASE WHEN ?4 THEN NULL ELSE status END, changed_at = ?5
                 WHERE id = ?1",
            )?
            .execute(params![
                self.found.id.to_string(),
                self.now.running.millis(),
                self.reason(what),
                again,
                self.now.at.millis()
            ])?;
        Ok(())
    }

    fn hold(&self, changes: &mut Changes) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "UPDATE entry SET state = 'held', reason = ?2, status = NULL, changed_at = ?3
                 WHERE id = ?1",
            )?
            .execute(params![
                self.found.id.to_string(),
                self.reason("held"),
                self.now.at.millis()
            ])?;
        changes.say(self.found.id, Verdict::Done, None);
        Ok(())
    }

    /// Whether its content was removed to make room.
    fn has_yielded(&self) -> rusqlite::Result<bool> {
        let mut kept = self
            .db
            .prepare_cached("SELECT 1 FROM content WHERE entry = ?1")?;
        Ok(!self.found.in_file && !kept.exists([self.found.id.to_string()])?)
    }

    fn reason(&self, what: &str) -> String {
        format!("{what} by an operator (uid {})", self.by.uid)
    }

    /// Why a quarantined entry still cannot be sent, if that is so.
    fn unreadable(&self) -> rusqlite::Result<Option<String>> {
        let id = self.found.id.to_string();
        let entry = match attempts::read(self.db, &id, self.folder) {
            Ok(entry) => entry,
            Err(error) if damage::is_of_the_entry(&error) || damage::is_damage(&error) => {
                return Ok(Some(format!("it still cannot be read: {error}")));
            }
            Err(error) => return Err(error),
        };
        let (found, place) = match &entry.content {
            // A file is checked by the attempt, because it may be long.
            Content::Inline(bytes) if entry.digest.is_some_and(|it| it != Digest::of(bytes)) => {
                return Ok(Some(ContentError::Changed.to_string()));
            }
            Content::Inline(bytes) => (Ok(bytes.len() as u64), "its content".to_owned()),
            Content::File { path, .. } => (
                File::open(path).and_then(|file| Ok(file.metadata()?.len())),
                path.display().to_string(),
            ),
        };
        Ok(match found {
            Ok(size) if size == self.found.size => None,
            Ok(size) => Some(format!(
                "{place} has {size} bytes, the message had {}: restore it in full",
                self.found.size
            )),
            Err(error) => Some(format!(
                "{place}: {error}: put the file back, readable for the relay's user"
            )),
        })
    }
}
