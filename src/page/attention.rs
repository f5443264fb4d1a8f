//! What needs attention, as every page shows it on top. `admin/attention/` decides what that
//! is; this file adds how bad it is, and which list shows the messages concerned.

use crate::admin::Status;
use crate::admin::attention::Condition;
use crate::admin::attention::Kind;
use crate::admin::attention::LONG;
use crate::admin::attention::conditions;
use crate::admin::capital;
use crate::clock::Timestamp;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Mail does not flow.
    Bad,
    /// Something will go wrong, or somebody has stopped something.
    Warning,
}

impl Level {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::SignInNeeded
            | Kind::NoToken
            | Kind::DeliveryRefused
            | Kind::BackingOff
            | Kind::Stalled
            | Kind::NoAccount
            | Kind::DiskFull
            | Kind::SpoolError
            | Kind::ConnectionsFull => Self::Bad,
            Kind::MessageFailed
            | Kind::MessageHeld
            | Kind::MessageStuck
            | Kind::MailWaits
            | Kind::CredentialExpires
            | Kind::DailyLimit
            | Kind::DeliveryPaused
            | Kind::Doctor
            | Kind::AlertFailed
            | Kind::Configuration
            | Kind::LogUnread => Self::Warning,
        }
    }

    /// Its class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warning => "warn",
        }
    }
}

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) level: Level,
    /// What is wrong, as a sentence without a full stop.
    pub(super) title: String,
    /// Since when.
    pub(super) since: Option<Timestamp>,
    /// The cause in detail.
    pub(super) detail: Option<String>,
    /// What to do.
    pub(super) remedy: Option<String>,
    /// The command that helps.
    pub(super) command: Option<String>,
    /// The list concerned.
    pub(super) link: Option<String>,
}

impl Notice {
    fn new(condition: Condition) -> Self {
        let link = list(&condition);
        Self {
            level: Level::of(condition.kind),
            title: capital(&condition.sentence),
            since: condition.since,
            detail: condition.detail.as_deref().map(capital),
            remedy: condition.remedy,
            // The page has the list that the command would print.
            command: condition.command.filter(|_| link.is_none()),
            link,
        }
    }
}

/// Everything that needs attention, the worst first.
pub(super) fn notices(status: &Status) -> Vec<Notice> {
    let found = conditions(status, LONG).into_iter();
    let mut notices: Vec<Notice> = found.map(Notice::new).collect();
    notices.sort_by_key(|notice| notice.level);
    notices
}

/// The list with the messages that a condition is about.
fn list(condition: &Condition) -> Option<String> {
    let state = match condition.kind {
        Kind::MessageFailed => "failed",
        Kind::MessageHeld => condition.subject.as_deref().unwrap_or("held"),
        Kind::MailWaits | Kind::MessageStuck | Kind::NoAccount | Kind::Stalled => "waiting",
        Kind::CredentialExpires
        | Kind::SignInNeeded
        | Kind::NoToken
        | Kind::DeliveryRefused
        | Kind::BackingOff
        | Kind::DailyLimit
        | Kind::DiskFull
        | Kind::SpoolError
        | Kind::DeliveryPaused
        | Kind::Doctor
        | Kind::AlertFailed
        | Kind::Configuration
        | Kind::ConnectionsFull
        | Kind::LogUnread => return None,
    };
    Some(format!("/messages?state={state}"))
}
