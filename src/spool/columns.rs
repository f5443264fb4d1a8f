//! Columns as the values that they were written from. Which columns a query has, and
//! what a row means, is left to whoever asks.

use std::str::FromStr;
use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::Type;

use crate::mail::ReversePath;
use crate::mail::SpoolId;

pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<SpoolId> {
    parsed(row, column)
}

pub(super) fn reverse_path(row: &Row<'_>, column: usize) -> rusqlite::Result<ReversePath> {
    let text: String = row.get(column)?;
    if text.is_empty() {
        return Ok(ReversePath::Null);
    }
    parsed(row, column).map(ReversePath::Address)
}

/// A text column that may be empty, as the value that was stored.
pub(super) fn optional<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => parsed(row, column).map(Some),
    }
}

/// A text column as the value that was stored.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// A length of time as it is stored, where whole seconds are enough.
pub(super) fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// A number that is missing where nobody knew it.
pub(super) fn optional_unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let signed: Option<i64> = row.get(column)?;
    Ok(signed.and_then(|signed| u64::try_from(signed).ok()))
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let signed: i64 = row.get(column)?;
    Ok(u64::try_from(signed).unwrap_or(0))
}
