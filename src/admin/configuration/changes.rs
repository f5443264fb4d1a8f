//! Changes of relay.toml that somebody makes in a browser.
//!
//! Promises: a change that the relay may write is in the file and in force when
//! [`Configuration::apply`] returns, except for what needs a restart. One that it may not write
//! waits in memory, for `graph-relay apply`: at most [`MOST`] of them, each for [`LIFE`]. The
//! log says who changed which keys, never their values.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use super::Configuration;
use crate::admin::Failure;
use crate::admin::Peer;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Editor;
use crate::telemetry::operatorlog;

/// Changes that wait at a time; another one replaces the oldest.
const MOST: usize = 16;
/// For how long a change waits.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What became of a change.
#[derive(Clone, Debug)]
pub enum Applied {
    /// It is in the file.
    Written(InForce),
    /// The relay may not write the file: `graph-relay apply ID` does.
    Prepared {
        /// Its name.
        id: String,
    },
}

/// Whether a file is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// What takes effect at a restart.
    pub needs_restart: Vec<String>,
    /// Why the relay still uses the configuration before.
    pub error: Option<String>,
}

impl InForce {
    /// Says what is left to do; nothing if all is in force.
    pub fn left_to_do(&self) -> String {
        match (&self.error, self.needs_restart.as_slice()) {
            (None, []) => String::new(),
            (Some(error), _) => format!("not in force yet: {error}"),
            (None, needs) => format!("takes effect at a restart: {}", needs.join(", ")),
        }
    }
}

/// A change that waits for somebody who may write the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Its name.
    pub id: String,
    /// The file.
    pub file: PathBuf,
    /// The text of the file for which it was made.
    pub before: String,
    /// The new text.
    pub after: String,
    /// Who made it.
    pub by: String,
}

/// The changes that wait; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Arc<Mutex<VecDeque<(Instant, Prepared)>>>);

impl Changes {
    fn keep(&self, change: &Change, by: &str) -> String {
        let id = ulid::Ulid::new().to_string().to_ascii_lowercase();
        // The last letters are random, and enough to tell a few changes apart.
        let id: String = id.chars().skip(id.len().saturating_sub(8)).collect();
        let prepared = Prepared {
            id: id.clone(),
            file: std::path::absolute(&change.path).unwrap_or_else(|_| change.path.clone()),
            before: change.before.clone(),
            after: change.after.clone(),
            by: by.to_owned(),
        };
        let mut all = self.current();
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back((Instant::now(), prepared));
        id
    }

    fn find(&self, id: &str) -> Option<Prepared> {
        let all = self.current();
        let found = all.iter().find(|(_, prepared)| prepared.id == id);
        found.map(|(_, prepared)| prepared.clone())
    }

    fn current(&self) -> MutexGuard<'_, VecDeque<(Instant, Prepared)>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(at, _)| at.elapsed() < LIFE);
        all
    }
}

impl Configuration {
    /// Opens the file to change it; `None` if the relay has no file: in the sandbox.
    pub async fn editor(&self) -> Option<Result<Editor, EditError>> {
        let file = self.file.clone()?;
        let read = move || Editor::open(&file);
        tokio::task::spawn_blocking(read).await.ok()
    }

    /// Writes a change and puts it into force, or keeps it for somebody who may write the file.
    /// `by` is who made it.
    ///
    /// # Errors
    ///
    /// Somebody else has changed the file, or it cannot be written although it is permitted.
    pub async fn apply(&self, change: Change, by: &str) -> Result<Applied, EditError> {
        let keys: Vec<String> = change.keys.iter().map(ToString::to_string).collect();
        let (written, change) = tokio::task::spawn_blocking(move || (change.write(), change))
            .await
            .map_err(|_| EditError::Interrupted)?;
        match written {
            Ok(()) => {
                operatorlog::configuration_changed(by, &keys);
                Ok(Applied::Written(self.reload().await))
            }
            Err(error) if error.is_not_permitted() => {
                let id = self.changes.keep(&change, by);
                operatorlog::change_prepared(by, &id, &keys);
                Ok(Applied::Prepared { id })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns a change that waits.
    pub fn prepared(&self, id: &str) -> Option<Prepared> {
        self.changes.find(id)
    }

    /// Returns the texts of the changes that wait.
    pub fn prepared_texts(&self) -> Vec<String> {
        let all = self.changes.current();
        all.iter()
            .map(|(_, prepared)| prepared.after.clone())
            .collect()
    }

    /// Restarts the relay within its process: sessions and attempts end, as at a stop, and it
    /// starts with the current file, or with the configuration before if that does not work.
    pub fn restart_soon(&self) {
        self.wishes.restart.send_replace(true);
    }
}

pub(in crate::admin) fn router(configuration: Configuration) -> Router {
    Router::new()
        .route("/changes/{id}", get(show))
        .route("/configuration/reload", post(reload))
        .route("/configuration/restart", post(restart))
        .with_state(configuration)
}

async fn show(
    State(configuration): State<Configuration>,
    extract::Path(id): extract::Path<String>,
) -> Result<Json<Prepared>, Failure> {
    let prepared = configuration.prepared(&id);
    prepared.map(Json).ok_or(Failure::Unknown)
}

async fn reload(State(configuration): State<Configuration>) -> Json<InForce> {
    Json(configuration.reload().await)
}

async fn restart(
    State(configuration): State<Configuration>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Json<InForce> {
    operatorlog::restart(&format!("uid {}", peer.uid));
    configuration.restart_soon();
    Json(InForce::default())
}
