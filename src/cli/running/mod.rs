//! Commands that ask the running relay over its admin socket.

pub(super) mod accounts;
pub(super) mod alert_test;
mod care;
pub(super) mod clients;
mod connections;
pub(super) mod healthcheck;
pub(super) mod history;
pub(super) mod page;
pub(super) mod pause;
pub(super) mod queue;
pub(super) mod send_test;
pub(super) mod status;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ConfigFile;
use super::Exit;
use super::talk;
use super::terminal::Progress;
use crate::admin::ApiError;
use crate::admin::DEADLINE;
use crate::admin::ErrorCode;
use crate::admin::Followed;
use crate::admin::deadline;
use crate::clock::span_in_words;
use crate::config::Config;
use crate::config::ConfigError;
use crate::mail::SpoolId;
use crate::platform::sockets;
use crate::spool::Step;

/// The relay answers within milliseconds; longer work comes in slices or with a longer limit.
/// A busy disk may take some seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// A user may have to look for a telephone; a device code lasts 15 minutes.
const LONGEST_PATIENCE: Duration = Duration::from_secs(20 * 60);

/// Why the relay could not be asked, or refused.
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) words: String,
}

/// The running relay's admin socket.
pub(super) struct Relay {
    client: reqwest::Client,
    socket: PathBuf,
    /// The time for what neither a user nor Microsoft takes part in.
    patience: Duration,
}

/// What holds for a request: its limit, the deadline that it tells the relay, and the words when
/// there was no answer all come from here.
#[derive(Clone, Copy)]
struct Terms {
    patience: Duration,
    /// The command that shows whether an order was carried out. A question has none.
    shown_by: Option<&'static str>,
}

impl Terms {
    fn of_question(patience: Duration) -> Self {
        Self {
            patience,
            shown_by: None,
        }
    }

    fn of_order(path: &str, patience: Duration) -> Self {
        let shown_by = match path {
            path if path.starts_with("/queue/") => "graph-relay queue show ID",
            path if path.starts_with("/pauses") => "graph-relay status",
            path if path.starts_with("/sign-") => "graph-relay accounts",
            _ => "journalctl --unit graph-relay --grep audit",
        };
        Self {
            patience,
            shown_by: Some(shown_by),
        }
    }

    /// What becomes of an order that got no answer.
    fn rest(self) -> String {
        self.shown_by.map_or_else(String::new, |shown_by| {
            format!(
                ". The relay does not carry this order out any more, unless it has begun to or is \
                 older than this command. Before you give the order again, see whether it was \
                 carried out: {shown_by}"
            )
        })
    }
}

impl Failure {
    /// The running relay does not know the request.
    pub(super) fn another_version() -> Self {
        Self {
            exit: Exit::Unreachable,
            words:
                "the running relay is older than this command: run systemctl restart graph-relay"
                    .to_owned(),
        }
    }

    /// The relay refused.
    fn of(error: ApiError) -> Self {
        Self {
            exit: match error.error {
                ErrorCode::Unknown | ErrorCode::Refused => Exit::CheckFailed,
                ErrorCode::Spool => Exit::TryLater,
            },
            words: error.message,
        }
    }

    /// The configuration cannot be used.
    pub(super) fn of_configuration(error: &ConfigError) -> Self {
        Self {
            exit: error.kind().into(),
            words: error.to_string(),
        }
    }

    /// Prints it. Returns the exit code.
    pub(super) fn tell(self) -> Exit {
        talk(&format!("graph-relay: {}", self.words));
        self.exit
    }
}

/// There is no message with this id, and why.
fn no_message(id: SpoolId) -> String {
    format!("no message {id}: it never existed, or it is older than history.keep allows")
}

impl Relay {
    pub(super) fn of(file: &ConfigFile) -> Result<Self, Failure> {
        Self::within(PATIENCE, file)
    }

    /// The same, if an answer must come within this time.
    fn within(patience: Duration, file: &ConfigFile) -> Result<Self, Failure> {
        let folder = Config::data_dir_of(&file.config);
        let folder = folder.map_err(|error| Failure::of_configuration(&error))?;
        let socket = folder.join("admin.sock");
        let client = sockets::http_client(&socket).build();
        let client = client.map_err(|error| Failure {
            exit: Exit::Unreachable,
            words: error.to_string(),
        })?;
        Ok(Self {
            client,
            socket,
            patience,
        })
    }

    /// Returns an answer, or `None` if nothing has that name.
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        self.ask_for(path, &[]).await
    }

    /// The same with these parameters.
    pub(super) async fn ask_for<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<Option<T>, Failure> {
        let url = reqwest::Url::parse_with_params(&format!("http://relay{path}"), parameters);
        let url = url.map_err(|error| Failure {
            exit: Exit::Usage,
            words: error.to_string(),
        })?;
        let terms = Terms::of_question(self.patience);
        self.answer(self.client.get(url), terms).await
    }

    /// The status of an answer and its text, whatever they are.
    pub(super) async fn get(&self, path: &str) -> Result<(StatusCode, String), Failure> {
        let request = self.client.get(format!("http://relay{path}"));
        let terms = Terms::of_question(self.patience);
        let failed = |error: reqwest::Error| self.unreachable(&error, terms);
        let response = self.send(request, terms).await?;
        let status = response.status();
        Ok((status, response.text().await.map_err(failed)?))
    }

    /// Asks the relay to do something.
    pub(super) async fn order<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
    ) -> Result<Option<T>, Failure> {
        let request = self.client.post(format!("http://relay{path}"));
        let terms = Terms::of_order(path, self.patience);
        self.answer(request.json(order), terms).await
    }

    /// The same, if a user or Microsoft takes part of the time. `what` is shown meanwhile.
    pub(super) async fn order_patiently<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, Failure> {
        let _progress = Progress::begin(what);
        self.answers().await?;
        let request = self.client.post(format!("http://relay{path}"));
        let terms = Terms::of_order(path, LONGEST_PATIENCE);
        self.answer(request.json(order), terms)
            .await?
            .ok_or_else(Failure::another_version)
    }

    /// Has the relay examine something, which takes long, and hears of its steps.
    pub(in crate::cli) async fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        on_step: impl Fn(Step),
    ) -> Result<T, Failure> {
        // It changes nothing.
        let terms = Terms::of_question(LONGEST_PATIENCE);
        let failed = |error: reqwest::Error| self.unreachable(&error, terms);
        self.answers().await?;
        let request = self.client.post(format!("http://relay{path}?steps=true"));
        let mut response = self.send(request, terms).await?;
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            text.extend_from_slice(&piece);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(Followed::Step(step)) => on_step(step),
                    Ok(Followed::Done(done)) => return Ok(done),
                    Ok(Followed::Failed(error)) => return Err(Failure::of(error)),
                    Err(_) => return Err(Failure::another_version()),
                }
            }
        }
        // An error, or the answer of an earlier version, which has no steps.
        match serde_json::from_slice(&text) {
            Ok(error) => Err(Failure::of(error)),
            Err(_) => serde_json::from_slice(&text).map_err(|_| Failure::another_version()),
        }
    }

    /// Asks for something that takes no time, so that nobody waits long for a relay that does not
    /// answer at all.
    async fn answers(&self) -> Result<(), Failure> {
        self.get("/livez").await.map(drop)
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        terms: Terms,
    ) -> Result<reqwest::Response, Failure> {
        let request = request
            .timeout(terms.patience)
            .header(DEADLINE, deadline(terms.patience));
        let response = request.send().await;
        response.map_err(|error| self.unreachable(&error, terms))
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        terms: Terms,
    ) -> Result<Option<T>, Failure> {
        let failed = |error: reqwest::Error| self.unreachable(&error, terms);
        let response = self.send(request, terms).await?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let body = response.bytes().await.map_err(failed)?;
            let Ok(error) = serde_json::from_slice::<ApiError>(&body) else {
                // For an unknown path, a relay only says 404.
                return match status {
                    StatusCode::NOT_FOUND => Ok(None),
                    _ => Err(Failure::another_version()),
                };
            };
            return match error.error {
                ErrorCode::Unknown => Ok(None),
                ErrorCode::Refused | ErrorCode::Spool => Err(Failure::of(error)),
            };
        }
        response.json().await.map(Some).map_err(|error| {
            if error.is_decode() {
                Failure::another_version()
            } else {
                failed(error)
            }
        })
    }

    /// Whether a relay could answer.
    pub(super) fn is_there(&self) -> bool {
        sockets::probe(&self.socket).is_ok()
    }

    /// Says why a request got no answer.
    fn unreachable(&self, error: &reqwest::Error, terms: Terms) -> Failure {
        let socket = self.socket.display();
        // The reason is in the socket's own error, not in the client's.
        match sockets::probe(&self.socket) {
            Err(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied => Failure {
                exit: Exit::NotPermitted,
                words: format!("{socket}: permission denied: run this with sudo"),
            },
            Err(cause) => Failure {
                exit: Exit::Unreachable,
                words: format!(
                    "the relay is not running ({socket}: {cause}). Run systemctl status graph-relay; \
                     if the relay uses another configuration, give it with --config"
                ),
            },
            Ok(_) => Failure {
                exit: Exit::Unreachable,
                words: format!(
                    "the relay is running but does not answer on {socket}: {}. If this lasts, run \
                     systemctl restart graph-relay{}",
                    reason(error, terms.patience),
                    terms.rest()
                ),
            },
        }
    }
}

/// Why there was no answer, without the URL, which nobody typed.
fn reason(error: &reqwest::Error, patience: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {}", span_in_words(patience));
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tempfile::TempDir;

    use super::*;
    use crate::http::install_tls;

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_does_not_answer_is_noticed_soon_whatever_is_asked() {
        install_tls();
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("admin.sock");
        // The system accepts connections for it, and nobody answers.
        let _silent = sockets::bind(&socket).unwrap();
        let relay = Relay {
            client: sockets::http_client(&socket).build().unwrap(),
            socket,
            patience: PATIENCE,
        };

        let usual = relay.ask::<Value>("/status").await.err();
        let ordered = relay.order::<Value>("/pauses", &()).await.err();
        let patient = relay.order_patiently::<Value>("signing in", "/sign-ins", &());
        let patient = patient.await.err();
        let followed = relay.follow::<Value>("/spool/check", |_| ()).await.err();

        for (failure, is_order) in [
            (usual, false),
            (ordered, true),
            // They were not ordered yet.
            (patient, false),
            (followed, false),
        ] {
            let words = failure.unwrap().words;
            assert!(
                words.contains("no answer within 10 seconds. If this"),
                "{words}"
            );
            assert_eq!(words.ends_with("graph-relay status"), is_order, "{words}");
        }
    }
}
