//! The state of an entry, and the outcome of an attempt. The doc of [`crate::spool`] says
//! which states there are.
//!
//! The names are used in the database, in JSON, in metrics and in filters, and never
//! change. A state that this version does not know (a damaged page, a database from
//! elsewhere) is read as [`State::Quarantined`], so nothing is done with such an entry.
//! An unknown outcome is read as [`AttemptOutcome::Doubtful`].

use std::fmt;

use rusqlite::types::FromSql;
use rusqlite::types::FromSqlResult;
use rusqlite::types::ToSql;
use rusqlite::types::ToSqlOutput;
use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde::Serialize;

/// The state of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its next attempt.
    Waiting,
    /// An attempt is under way.
    Claimed,
    /// An operator, or `on_doubt = "hold"`, has stopped it.
    Held,
    /// Graph has accepted it.
    Delivered,
    /// It cannot be delivered; its content is kept.
    Failed,
    /// An operator has dropped it, or it was withdrawn.
    Dropped,
    /// Its content or its record is damaged.
    Quarantined,
}

impl State {
    /// All states.
    pub(super) const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Claimed,
        Self::Held,
        Self::Delivered,
        Self::Failed,
        Self::Dropped,
        Self::Quarantined,
    ];

    /// States of entries that are not finished.
    pub const OPEN: [Self; 5] = [
        Self::Waiting,
        Self::Claimed,
        Self::Held,
        Self::Failed,
        Self::Quarantined,
    ];

    /// Its name in the database, in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Quarantined => "quarantined",
        }
    }

    /// The state with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the entry is not finished.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Delivered | Self::Dropped)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self::named(value.as_str()?).unwrap_or(Self::Quarantined))
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptOutcome {
    /// Graph has accepted the message.
    Delivered,
    /// It will be tried again.
    Deferred,
    /// It will not be tried again.
    Failed,
    /// It is unknown whether Graph has accepted it.
    Doubtful,
}

impl AttemptOutcome {
    const ALL: [Self; 4] = [
        Self::Delivered,
        Self::Deferred,
        Self::Failed,
        Self::Doubtful,
    ];

    /// Its name everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Doubtful => "doubtful",
        }
    }

    /// The state of an entry after its last attempt, if the outcome ends the entry.
    pub(super) fn ends_in(self) -> Option<State> {
        match self {
            Self::Delivered => Some(State::Delivered),
            Self::Failed => Some(State::Failed),
            Self::Deferred | Self::Doubtful => None,
        }
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromSql for AttemptOutcome {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        let known = Self::ALL.into_iter().find(|it| it.name() == name);
        Ok(known.unwrap_or(Self::Doubtful))
    }
}

impl ToSql for AttemptOutcome {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_one_name_in_sql_json_and_words() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        for state in State::ALL {
            let row = db.query_row("SELECT ?1, ?1", [state], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, State>(1)?))
            });
            assert_eq!(row.unwrap(), (state.name().to_owned(), state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
            assert_eq!(state.to_string(), state.name());
            assert_eq!(State::OPEN.contains(&state), state.is_open());
        }
        let unknown = db.query_row("SELECT 'lost'", [], |row| row.get::<_, State>(0));
        assert_eq!(unknown.unwrap(), State::Quarantined);
    }

    #[test]
    fn an_outcome_has_one_name_in_sql_and_json() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        for outcome in AttemptOutcome::ALL {
            let row = db.query_row("SELECT ?1, ?1", [outcome], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, AttemptOutcome>(1)?))
            });
            assert_eq!(row.unwrap(), (outcome.name().to_owned(), outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
        let unknown = db.query_row("SELECT 'lost'", [], |row| row.get::<_, AttemptOutcome>(0));
        assert_eq!(unknown.unwrap(), AttemptOutcome::Doubtful);
    }
}
