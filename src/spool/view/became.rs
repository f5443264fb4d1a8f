//! What became of a message: one row for each recipient, newest first. The indexes in
//! `schema/mod.rs` find the rows, so the number of messages does not matter.

use crate::spool::columns;
use rusqlite::Row;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::State;

/// What became of a message for one of its recipients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Became {
    /// The message.
    pub id: SpoolId,
    /// The position of the recipient in the message.
    pub ordinal: u32,
    /// The recipient.
    pub recipient: String,
    /// The recipient's state.
    pub state: State,
    /// The enhanced status (RFC 3463) of the last event; missing if there was none, or if
    /// an operator has decided.
    pub status: Option<String>,
    /// The same as text.
    pub text: Option<String>,
    /// When that was.
    pub at: Timestamp,
    /// When the message was accepted.
    pub accepted_at: Timestamp,
    /// Argument of MAIL, empty for `<>`.
    pub reverse_path: String,
    /// The address in its From header.
    pub author: Option<String>,
    /// The Message-ID that goes out.
    pub message_id: Option<String>,
    /// Its Subject, decoded and cut.
    pub subject: Option<String>,
}

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Everything.
    All,
    /// One message.
    Id(SpoolId),
    /// Messages to this address in any spelling, also where a client named it.
    Recipient(String),
    /// The message with this Message-ID, and its parts.
    MessageId(String),
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What to search for.
    pub sought: Sought,
    /// Accepted then or later.
    pub from: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// Only those after this row.
    pub after: Option<(SpoolId, u32)>,
    /// The largest number of rows in the answer.
    pub limit: u32,
}

impl Spool {
    /// What became of messages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn became(&self, search: Search) -> Result<Vec<Became>, SpoolError> {
        self.read(move |db| {
            let (arms, value) = search.sought.arms();
            let bounds = Bounds::of(&search);
            let arms = arms.iter().map(|arm| {
                format!(
                    "SELECT * FROM (SELECT entry, ordinal FROM ({arm}) WHERE {WITHIN}
                     ORDER BY entry DESC, ordinal LIMIT ?5)"
                )
            });
            let arms: Vec<String> = arms.collect();
            let query = format!(
                "WITH found (entry, ordinal) AS ({})
                 SELECT recipient.entry, recipient.ordinal, recipient.address,
                 coalesce(recipient.state, entry.state),
                 iif(recipient.state IS NULL, entry.status, recipient.status),
                 iif(recipient.state IS NULL, entry.reason, recipient.reason),
                 coalesce(recipient.changed_at, entry.changed_at, entry.accepted_at),
                 entry.accepted_at, entry.reverse_path, entry.author, entry.message_id,
                 entry.subject
                 FROM found JOIN recipient USING (entry, ordinal)
                 JOIN entry ON entry.id = recipient.entry
                 ORDER BY recipient.entry DESC, recipient.ordinal LIMIT ?5",
                arms.join(" UNION ")
            );
            let mut statement = db.prepare_cached(&query)?;
            let values = params![
                value,
                bounds.newest,
                bounds.ordinal,
                bounds.oldest,
                search.limit
            ];
            let rows = statement.query_map(values, became)?;
            rows.collect()
        })
        .await
    }
}

/// The rows of `recipient` between two ids, after a position in the newer one.
const WITHIN: &str = "entry <= ?2 AND (entry < ?2 OR ordinal > ?3) AND entry >= ?4";

impl Sought {
    /// Queries for the keys of rows, each using an index, and the value of their `?1`.
    fn arms(&self) -> (&'static [&'static str], String) {
        match self {
            Self::All => (
                &["SELECT entry, ordinal FROM recipient WHERE ?1 = ''"],
                String::new(),
            ),
            Self::Id(id) => (
                &["SELECT entry, ordinal FROM recipient WHERE entry = ?1"],
                id.to_string(),
            ),
            Self::Recipient(text) => (
                &[
                    "SELECT entry, ordinal FROM recipient
                     WHERE ifnull(key, lower(address)) = ?1",
                    "SELECT asked.entry AS entry, recipient.ordinal AS ordinal
                     FROM asked JOIN recipient ON recipient.entry = asked.entry
                     AND recipient.address = asked.recipient
                     WHERE lower(asked.original) = ?1",
                ],
                text.parse::<Address>()
                    .map_or_else(|_| text.to_ascii_lowercase(), |address| address.key()),
            ),
            Self::MessageId(id) => (
                &[
                    "SELECT recipient.entry AS entry, recipient.ordinal AS ordinal
                   FROM entry JOIN recipient ON recipient.entry = entry.id
                   WHERE entry.message_id = ?1",
                ],
                format!("<{}>", id.trim_matches(['<', '>', ' '])),
            ),
        }
    }
}

/// See [`WITHIN`].
struct Bounds {
    newest: String,
    ordinal: i64,
    oldest: String,
}

/// Greater than every id.
const BEHIND_ALL: &str = "~";

impl Bounds {
    fn of(search: &Search) -> Self {
        let until = search
            .until
            .map(|until| SpoolId::first_of(until).to_string());
        let after = search
            .after
            .map(|(id, ordinal)| (id.to_string(), i64::from(ordinal)));
        // Excludes the message with the first id of that time.
        let until = until.map(|id| (id, i64::MAX));
        let newest = match (until, after) {
            (Some(until), Some(after)) => until.min(after),
            (Some(newest), None) | (None, Some(newest)) => newest,
            (None, None) => (BEHIND_ALL.to_owned(), i64::MAX),
        };
        let from = search.from.map(|from| SpoolId::first_of(from).to_string());
        Self {
            newest: newest.0,
            ordinal: newest.1,
            oldest: from.unwrap_or_default(),
        }
    }
}

fn became(row: &Row<'_>) -> rusqlite::Result<Became> {
    Ok(Became {
        id: columns::id(row, 0)?,
        ordinal: row.get(1)?,
        recipient: row.get(2)?,
        state: row.get(3)?,
        status: row.get(4)?,
        text: row.get(5)?,
        at: Timestamp::from_millis(row.get(6)?),
        accepted_at: Timestamp::from_millis(row.get(7)?),
        reverse_path: row.get(8)?,
        author: row.get(9)?,
        message_id: row.get(10)?,
        subject: row.get(11)?,
    })
}
