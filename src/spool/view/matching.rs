//! Messages as the question before an order needs them: which ones a search finds, each
//! once, and who receives them.
//!
//! What is found is exactly what a list of the same search shows. It is read piece by piece
//! (`history.rs`), and others may read between two pieces.

use std::time::Duration;
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::history::oldest_of;
use super::place::Place;
use super::place::Range;
use super::sought::Sought;
use crate::clock::RunningTime;
use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::Filter;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::accept::asked::recipients;
use crate::spool::columns;

/// Which messages.
#[derive(Clone, Debug)]
pub struct ToMatch {
    /// What is looked for.
    pub sought: Sought,
    /// Only what it lets through.
    pub filter: Option<Filter>,
    /// Only messages in a state that this applies to, unless the filter names a state.
    pub action: Option<Action>,
    /// The largest number of messages.
    pub limit: usize,
    /// How long the search may take.
    pub patience: Duration,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// The messages, newest first.
    pub ids: Vec<SpoolId>,
    /// Whether these are all.
    pub is_all: bool,
}

/// A message that an order is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concerned {
    /// The message.
    pub id: SpoolId,
    /// Its Subject.
    pub subject: Option<String>,
    /// All of its recipients.
    pub recipients: Vec<String>,
}

/// Messages in a piece of the search.
const PIECE: u32 = 4000;

impl Spool {
    /// The messages that a search finds, each once.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn matching(&self, wanted: ToMatch) -> Result<Matching, SpoolError> {
        let begun = Instant::now();
        let mut found = Matching {
            ids: Vec::new(),
            is_all: true,
        };
        let mut after = None;
        loop {
            let (of, now) = (wanted.clone(), self.running());
            // One more shows whether there is more.
            let missing = wanted.limit.saturating_add(1) - found.ids.len();
            let read = self.read(move |db| piece(db, &of, after, missing, now));
            let (ids, oldest) = read.await?;
            found.ids.extend(ids);
            if found.ids.len() > wanted.limit {
                found.ids.truncate(wanted.limit);
                found.is_all = false;
                return Ok(found);
            }
            let Some(oldest) = oldest else {
                return Ok(found);
            };
            if begun.elapsed() >= wanted.patience {
                found.is_all = false;
                return Ok(found);
            }
            after = Some(Place {
                id: oldest,
                ordinal: u32::MAX,
            });
        }
    }

    /// These messages with their recipients, in their order, until there are `most`
    /// recipients. A message that is gone is left out.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn concerned(
        &self,
        ids: Vec<SpoolId>,
        most: usize,
    ) -> Result<Vec<Concerned>, SpoolError> {
        self.read(move |db| {
            let mut subject = db.prepare_cached("SELECT subject FROM entry WHERE id = ?1")?;
            let (mut found, mut count) = (Vec::new(), 0);
            for id in ids {
                if count >= most {
                    break;
                }
                let text = id.to_string();
                let Some(subject) = subject.query_row([&text], |row| row.get(0)).optional()? else {
                    continue;
                };
                let recipients = recipients(db, &text).unwrap_or_default();
                count += recipients.len();
                found.push(Concerned {
                    id,
                    subject,
                    recipients,
                });
            }
            Ok(found)
        })
        .await
    }
}

/// The messages of a piece, and where it ends if there is more behind it.
fn piece(
    db: &Connection,
    wanted: &ToMatch,
    after: Option<Place>,
    limit: usize,
    now: RunningTime,
) -> rusqlite::Result<(Vec<SpoolId>, Option<SpoolId>)> {
    let (sought, filter) = (&wanted.sought, wanted.filter.as_ref());
    let mut range = Range::behind(after);
    if !sought.is_by_index() {
        range.oldest = oldest_of(db, &range, PIECE)?;
    }
    let mut query = sought.keys(filter, &range, now);
    query.sql = format!(
        "WITH found (entry, ordinal) AS ({}) SELECT DISTINCT found.entry FROM found
         CROSS JOIN entry ON entry.id = found.entry
         CROSS JOIN recipient ON recipient.entry = found.entry
             AND recipient.ordinal = found.ordinal WHERE ",
        query.sql
    );
    query.add_rows_condition(filter, now);
    if let Some(action) = wanted.action
        && !filter.is_some_and(Filter::names_state)
    {
        let names: Vec<String> = action.states().iter().map(|it| format!("'{it}'")).collect();
        query.add(&format!(" AND entry.state IN ({})", names.join(", ")), []);
    }
    let limit = Value::from(i64::try_from(limit).unwrap_or(i64::MAX));
    query.add(" ORDER BY found.entry DESC LIMIT ?", [limit]);
    let mut statement = db.prepare_cached(&query.sql)?;
    let rows = statement.query_map(params_from_iter(query.values), |row| columns::id(row, 0))?;
    Ok((rows.collect::<rusqlite::Result<_>>()?, range.oldest))
}
