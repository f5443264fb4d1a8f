//! Checks one by one whether the relay can work, and says how to fix what is wrong.
//!
//! Promises: doctor sends nothing and changes nothing. It works while the relay runs, and
//! asks it what only the relay can know, and while it is stopped. Every failure has a
//! remedy, in an administrator's words. `cli/doctor.rs` asks the running relay and prints.
//!
//! | file | checks |
//! |---|---|
//! | `access` | what the service's user may read and write |
//! | `machine` | configuration, files, spool, disk, ports, certificate |
//! | `network` | proxy, DNS, TLS, what answers, clocks |
//! | `delivery` | what is backing off or limited, and whether mail leaves |
//! | `identity` | credentials, tokens, permissions, mailboxes, sign-ins |

mod access;
mod delivery;
mod identity;
mod machine;
mod network;
mod pickup;

pub use self::access::examine as access;
pub use crate::admin::attention::Finding;
pub use crate::admin::attention::FindingState as State;

use std::path::Path;

use crate::admin::ConfigurationView;
use crate::admin::Status;
use crate::auth::Means;
use crate::catalogue;
use crate::clock::Clock;
use crate::config::Account;
use crate::config::Config;
use crate::config::Environment;

impl Finding {
    fn ok(check: &str, words: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            state: State::Ok,
            words: words.into(),
            remedy: None,
            place: None,
            cause: None,
            key: None,
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

    /// Makes a failure of a code, with the catalogue's explanation, or with `otherwise` if the
    /// catalogue does not know it. Without a mailbox the remedy contains a placeholder.
    fn coded(
        check: &str,
        words: &str,
        code: Option<&str>,
        otherwise: &str,
        (account, mailbox): (&Account, &str),
    ) -> Self {
        let mailbox = match mailbox {
            "" => "MAILBOX",
            mailbox => mailbox,
        };
        let entry = code.and_then(catalogue::find);
        let remedy = entry.map_or(otherwise, |entry| entry.remedy);
        Self {
            place: entry.and_then(|entry| entry.place_of(account.app(), mailbox)),
            cause: entry.map(|entry| entry.cause),
            key: entry.and_then(|entry| key(entry.code)),
            ..Self::failure(
                check,
                words,
                catalogue::named(remedy, mailbox, catalogue::SOME_ADDRESS),
            )
        }
    }
}

/// The key of an account whose value Microsoft does not accept.
fn key(code: &str) -> Option<&'static str> {
    Some(match code {
        "AADSTS90002" | "AADSTS900023" => "tenant",
        "AADSTS700016" => "client_id",
        "AADSTS7000215" | "AADSTS7000222" | "AADSTS7000218" | "invalid_client" => "client_secret",
        _ => return None,
    })
}

/// The answer of the relay when doctor asks for its status.
#[derive(Debug)]
pub enum Heard {
    /// The status.
    Status(Box<Status>),
    /// The relay does not run.
    Stopped,
    /// No answer, although the relay may run; the text contains the remedy.
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

/// Checks everything that the relay with this file needs, which reads environment variables or
/// not.
pub async fn examine(file: &Path, environment: Environment, heard: &Heard) -> Vec<Finding> {
    let (mut findings, config) = machine::configuration(file, environment);
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
    // The relay's other accounts say nothing about these.
    let of_these = running.filter(|status| !status.configuration.has_other_accounts());
    findings.extend(identity::examine(&config, &means, of_these).await);
    if let Some(running) = running {
        findings.extend(delivery::examine(
            &config,
            &running.delivery,
            &running.paused,
            running.now,
        ));
    }
    findings
}

/// Checks whether Entra and Graph accept the accounts of a configuration that is not in force
/// yet. Of an account whose mailboxes sign in, only the app can be checked before they do.
pub async fn accounts(config: &Config) -> Vec<Finding> {
    let means = match Means::new(config, Clock::System) {
        Ok(means) => means,
        Err(error) => {
            let remedy = "fix [http] in relay.toml";
            return vec![Finding::failure("http", error.to_string(), remedy)];
        }
    };
    // Without a connection, or without such a tenant, the rest says nothing about the account.
    let mut findings = network::examine(config, &means).await;
    findings.retain(|it| it.state == State::Failure);
    if !findings.is_empty() {
        return findings;
    }
    for account in &config.accounts {
        findings.extend(identity::app_itself(account, &means).await);
    }
    let mut config = config.clone();
    config.accounts.retain(Account::is_usable_here);
    findings.extend(identity::examine(&config, &means, None).await);
    findings
}

/// Checks whether the running relay uses the current file.
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
