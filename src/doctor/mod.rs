//! Whether the relay could do its work, checked one by one, with what to do where
//! it could not.
//!
//! Promises: nothing is sent and nothing is changed; it works while the relay
//! runs, whose word it then takes for what only the relay can know, and while it
//! is stopped; every failure has its remedy, in an administrator's words. Asking
//! the running relay, and printing, is left to `cli/doctor.rs`.
//!
//! | file | checks |
//! |---|---|
//! | `access` | what the service's user may read and write |
//! | `machine` | configuration, files, spool, disk, ports, certificate |
//! | `network` | proxy, DNS, TLS, what answers, clocks |
//! | `delivery` | what the running relay holds back, and whether mail leaves |
//! | `identity` | credentials, tokens, permissions, mailboxes, sign-ins |

mod access;
mod delivery;
mod identity;
mod machine;
mod network;

pub use self::access::examine as access;
pub use self::delivery::why_backing_off;

use std::path::Path;

use serde::Serialize;

use crate::admin::ConfigurationView;
use crate::admin::Status;
use crate::auth::Means;
use crate::catalogue;
use crate::clock::Clock;

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// How it is.
    pub state: State,
    /// In words, one line.
    pub words: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Where to click, or which line to run.
    pub place: Option<String>,
}

/// How it is with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It may be wrong, or will be.
    Warning,
    /// Mail cannot go its way.
    Failure,
}

impl Finding {
    fn ok(check: &str, words: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            state: State::Ok,
            words: words.into(),
            remedy: None,
            place: None,
        }
    }

    fn warning(check: &str, words: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Warning,
            remedy: Some(remedy.into()),
            ..Self::ok(check, words)
        }
    }

    fn failure(check: &str, words: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Failure,
            remedy: Some(remedy.into()),
            ..Self::ok(check, words)
        }
    }

    /// A failure with a code, explained as the catalogue does; by `otherwise` where
    /// it does not know the code. Without a mailbox the remedy has a word to fill in.
    fn coded(check: &str, words: &str, code: Option<&str>, otherwise: &str, mailbox: &str) -> Self {
        let mailbox = match mailbox {
            "" => "MAILBOX",
            mailbox => mailbox,
        };
        let entry = code.and_then(catalogue::find);
        let remedy = entry.map_or(otherwise, |entry| entry.remedy);
        Self {
            place: entry
                .and_then(|entry| entry.place)
                .map(|place| place.replace("MAILBOX", mailbox)),
            ..Self::failure(check, words, catalogue::named(remedy, mailbox, mailbox))
        }
    }
}

/// What the relay answers when it is asked how it is.
#[derive(Debug)]
pub enum Heard {
    /// This.
    Status(Box<Status>),
    /// Nothing: it does not run.
    Stopped,
    /// Nothing, though it may run; in words, with the remedy.
    Unheard(String),
}

impl Heard {
    fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            Self::Stopped | Self::Unheard(_) => None,
        }
    }
}

/// Checks everything that this file's relay needs.
pub async fn examine(file: &Path, heard: &Heard) -> Vec<Finding> {
    let (mut findings, config) = machine::configuration(file);
    let Some(config) = config else {
        return findings;
    };
    findings.extend(access(&config, file));
    findings.extend(machine::examine(&config, file, heard));
    let running = heard.status();
    findings.extend(running.and_then(|status| in_force(&status.configuration)));
    let means = match Means::new(&config, Clock::System) {
        Ok(means) => means,
        Err(error) => {
            let remedy = "fix [http] in relay.toml";
            findings.push(Finding::failure("http", error.to_string(), remedy));
            return findings;
        }
    };
    findings.extend(network::examine(&config, &means).await);
    // What the relay says of its accounts says nothing about other ones.
    let of_these = running.filter(|status| !status.configuration.has_other_accounts());
    findings.extend(identity::examine(&config, &means, of_these).await);
    if let Some(running) = running {
        findings.extend(delivery::examine(&config, &running.delivery));
    }
    findings
}

/// Whether the running relay does what the file says.
fn in_force(view: &ConfigurationView) -> Option<Finding> {
    let (check, file) = ("configuration", view.file.as_ref()?.display());
    Some(match view.trouble() {
        Some((words, remedy)) if !view.problems.is_empty() => {
            Finding::failure(check, words, remedy)
        }
        Some((words, remedy)) => Finding::warning(check, words, remedy),
        None => Finding::ok(check, format!("the running relay uses the current {file}")),
    })
}
