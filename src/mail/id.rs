//! The id of a spool entry, the same in reply, log, queue and Received.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;
use ulid::Ulid;

use crate::clock::Timestamp;

/// 26 letters and digits, sortable by the time of acceptance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpoolId(Ulid);

/// The text is not 26 letters and digits of Crockford's base 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message's ID has 26 letters and digits, as in the reply to DATA and in the log")]
pub struct NotAnId;

impl SpoolId {
    /// No message has this id: what is on record as being about it is an alert of the relay
    /// itself.
    pub const ALERT: Self = Self(Ulid::nil());

    /// A new id. Two of the same millisecond differ in 80 random bits.
    pub fn generate(now: Timestamp) -> Self {
        Self(Ulid::from_parts(
            now.millis().unsigned_abs(),
            fastrand::u128(..),
        ))
    }

    /// The smallest id of this time: ids are ordered by time.
    pub fn first_of(time: Timestamp) -> Self {
        Self(Ulid::from_parts(time.millis().unsigned_abs(), 0))
    }

    /// The time that it begins with.
    pub fn time(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
    }

    /// The Message-ID that the relay with this name gives a message with this id.
    pub fn message_id(self, hostname: &str) -> String {
        format!("<{self}@{hostname}>")
    }
}

impl FromStr for SpoolId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Ulid::from_string(text).map(Self).map_err(|_| NotAnId)
    }
}

impl TryFrom<String> for SpoolId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<SpoolId> for String {
    fn from(id: SpoolId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
