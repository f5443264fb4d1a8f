//! What became of a message, in a word and a colour.

use crate::admin::HistoryRow;
use crate::spool::State as Became;

/// What became of a row, as its badge says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Badge {
    Waiting,
    Claimed,
    Held,
    Delivered,
    Failed,
    Dropped,
    Quarantined,
    Refused,
}

impl Badge {
    pub(super) fn of(row: &HistoryRow) -> Self {
        match row.state() {
            None => Self::Refused,
            Some(Became::Waiting) => Self::Waiting,
            Some(Became::Claimed) => Self::Claimed,
            Some(Became::Held) => Self::Held,
            Some(Became::Delivered) => Self::Delivered,
            Some(Became::Failed) => Self::Failed,
            Some(Became::Dropped) => Self::Dropped,
            Some(Became::Quarantined) => Self::Quarantined,
        }
    }

    /// Its class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Delivered => "ok",
            Self::Waiting | Self::Claimed | Self::Held => "warn",
            Self::Failed | Self::Quarantined | Self::Refused => "bad",
            Self::Dropped => "",
        }
    }
}
