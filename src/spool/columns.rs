//! Columns as the values that they were written from. Which columns a query has, and
//! what a row means, is left to whoever asks.

use std::str::FromStr;

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

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let signed: i64 = row.get(column)?;
    Ok(u64::try_from(signed).unwrap_or(0))
}
