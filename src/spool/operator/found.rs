//! An entry as an operator's decision needs it.

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::condition::Condition;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::spool::columns;

/// What a decision is based on.
pub(super) struct Found {
    pub(super) id: SpoolId,
    /// May be one of a later version.
    pub(super) state: String,
    pub(super) size: u64,
    pub(super) in_file: bool,
    pub(super) destination: Option<Destination>,
}

impl Found {
    /// Reads an entry, if it exists and the condition holds for it.
    pub(super) fn read(
        db: &Connection,
        id: SpoolId,
        condition: Option<Condition>,
    ) -> rusqlite::Result<Option<Self>> {
        let (sql, values) = match condition {
            Some(condition) => (condition.sql, condition.values),
            None => ("1".to_owned(), Vec::new()),
        };
        let sql = format!(
            "SELECT state, size, in_file, account, mailbox FROM entry WHERE {sql} AND id = ?"
        );
        let mut values = values;
        values.push(Value::Text(id.to_string()));
        db.prepare_cached(&sql)?
            .query_row(params_from_iter(values), |row| {
                let account: Option<String> = row.get(3)?;
                // A mailbox that cannot be read counts as none.
                let mailbox = columns::optional(row, 4).unwrap_or_default();
                let destination = account.zip(mailbox);
                Ok(Self {
                    id,
                    state: row.get(0)?,
                    size: columns::unsigned(row, 1)?,
                    in_file: row.get(2)?,
                    destination: destination
                        .map(|(account, mailbox)| Destination { account, mailbox }),
                })
            })
            .optional()
    }
}
