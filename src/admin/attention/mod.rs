//! What needs attention: the problems that somebody has to look at, as typed conditions.
//!
//! This is the one place that decides what a problem is. `status` prints the list, and
//! `alerts/` tells people when a condition begins and ends. A condition is made of the
//! status alone, so whoever has a `Status` can compute the same list; `conditions.rs`
//! has the rules. What a condition has in common with the one of a moment ago is its
//! [`Kind`] and its subject, never its words: these contain times and numbers.

mod checkup;
mod conditions;
mod desks;
mod way;

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

pub use self::checkup::Checkup;
pub use self::checkup::Finding;
pub use self::checkup::FindingState;
pub use self::checkup::LastCheckup;
pub use self::conditions::LONG;
pub use self::conditions::conditions;
pub use self::conditions::of_delivery;
pub use self::desks::AlertDesk;
pub use self::desks::AlertDesks;
pub use self::desks::AlertTested;
pub use self::desks::AlertView;
pub(in crate::admin) use self::desks::test;
use crate::clock::Timestamp;

/// A problem that somebody has to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What kind of problem.
    pub kind: Kind,
    /// Which mailbox, account or part it concerns, if it is one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it began, if the relay knows. Of an event, when it last happened, by the wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// For a problem that is an event: milliseconds since it last happened, in running time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened_ago_ms: Option<u64>,
    /// How many problems it stands for: more than one in the last of a long list.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
    /// What is wrong: one line, without a full stop.
    pub sentence: String,
    /// The cause in detail, for whoever has room for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do, as a phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The command that shows more or ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The kinds of problems. JSON has their names, which do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Messages have failed.
    MessageFailed,
    /// Messages are held by an operator or in quarantine.
    MessageHeld,
    /// Mail waits for longer than it should.
    MailWaits,
    /// A credential or certificate expires soon or has expired.
    CredentialExpires,
    /// A mailbox has to sign in.
    SignInNeeded,
    /// An account gets no token, or its credential cannot be read.
    NoToken,
    /// A configuration error at Microsoft stops the mail of an account or a mailbox.
    DeliveryRefused,
    /// A mailbox or an account waits because Graph or Entra is away or asks for less.
    BackingOff,
    /// Nothing has been sent for long although mail is waiting.
    Stalled,
    /// Messages keep failing, and no other problem explains it.
    MessageStuck,
    /// Mail waits that no account sends.
    NoAccount,
    /// A mailbox has reached a limit for a day.
    DailyLimit,
    /// The disk or the spool is full or nearly full.
    DiskFull,
    /// The spool cannot be written or read.
    SpoolError,
    /// An operator has paused delivery.
    DeliveryPaused,
    /// The hourly doctor has found a failure.
    Doctor,
    /// An alert could not be delivered.
    AlertFailed,
    /// relay.toml is not what the relay uses, or has errors.
    Configuration,
    /// All connections were in use.
    ConnectionsFull,
    /// Nothing reads the log.
    LogUnread,
    /// Messages cannot be taken from a pickup folder.
    PickupWaits,
}

fn one() -> u64 {
    1
}

fn is_one(count: &u64) -> bool {
    *count == 1
}

impl Kind {
    /// What is said of more problems of this kind, after their number.
    pub fn of_more(self) -> &'static str {
        match self {
            Self::CredentialExpires => "more expire soon or have expired",
            Self::SignInNeeded => "more need to sign in",
            Self::NoToken => "more get no token",
            Self::DeliveryRefused | Self::BackingOff => "more are backing off",
            Self::DailyLimit => "more have reached a daily limit",
            Self::DeliveryPaused => "more are paused",
            Self::MessageFailed
            | Self::MessageHeld
            | Self::MailWaits
            | Self::Stalled
            | Self::MessageStuck
            | Self::NoAccount
            | Self::DiskFull
            | Self::SpoolError
            | Self::Doctor
            | Self::AlertFailed
            | Self::Configuration
            | Self::ConnectionsFull
            | Self::LogUnread
            | Self::PickupWaits => "more of this kind",
        }
    }
}

impl Condition {
    fn new(kind: Kind, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            subject: None,
            since: None,
            happened_ago_ms: None,
            count: 1,
            sentence: sentence.into(),
            detail: None,
            remedy: None,
            command: None,
        }
    }

    fn of(self, subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..self
        }
    }

    fn run(self, command: impl Into<String>) -> Self {
        Self {
            command: Some(command.into()),
            ..self
        }
    }

    fn remedied(self, remedy: Option<String>) -> Self {
        Self { remedy, ..self }
    }
}

/// The problem and the command for it, in one line.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(f, "{}; run: {command}", self.sentence),
            None => f.write_str(&self.sentence),
        }
    }
}
