//! The order of all rows of the history, newest first: places in it, as they are also
//! printed and typed, and pieces of it.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::Value;
use serde::Deserialize;
use serde::Serialize;

use super::query::Query;
use crate::mail::NotAnId;
use crate::mail::SpoolId;

/// A place in the order of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// Of the message.
    pub id: SpoolId,
    /// Of the recipient.
    pub ordinal: u32,
}

/// A piece of the order of all rows.
pub(in crate::spool) struct Range {
    /// After this place,
    pub(in crate::spool) after: Option<Place>,
    /// up to this message, or to the end.
    pub(in crate::spool) oldest: Option<SpoolId>,
}

impl Range {
    /// Everything after a place.
    pub(in crate::spool) fn behind(after: Option<Place>) -> Self {
        let oldest = None;
        Self { after, oldest }
    }

    /// The condition on a row with these columns.
    pub(in crate::spool) fn limit(&self, query: &mut Query, id: &str, ordinal: &str) {
        let Some(after) = self.after else {
            return self.limit_end(query.add("1", []), id);
        };
        let newest = Value::from(after.id.to_string());
        let values = [newest.clone(), newest, after.ordinal.into()];
        let behind = format!("{id} <= ? AND ({id} < ? OR {ordinal} > ?)");
        self.limit_end(query.add(&behind, values), id);
    }

    fn limit_end(&self, query: &mut Query, id: &str) {
        if let Some(oldest) = self.oldest {
            query.add(&format!(" AND {id} >= ?"), [oldest.to_string().into()]);
        }
    }
}

impl FromStr for Place {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (id, ordinal) = text.split_once('-').unwrap_or((text, ""));
        let ordinal = match ordinal {
            "" => Some(u32::MAX),
            ordinal => ordinal.parse().ok(),
        };
        let (id, ordinal) = (id.parse()?, ordinal.ok_or(NotAnId)?);
        Ok(Self { id, ordinal })
    }
}

impl TryFrom<String> for Place {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

/// `01M8QX9M718C8Z8HZQF1FYFFTF-2`; without a number, behind the whole message.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ordinal {
            u32::MAX => self.id.fmt(f),
            ordinal => write!(f, "{}-{ordinal}", self.id),
        }
    }
}
