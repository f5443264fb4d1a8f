//! Changes of relay.toml that somebody makes in a browser.
//!
//! Promises: a change that the relay may write is in the file and in force when
//! [`Configuration::apply`] returns, except for what needs a restart. One that it may not write
//! waits in memory, for `graph-relay apply`, also over a restart within the process: at most
//! [`MOST`] of them, each for [`LIFE`]. The log says who changed which keys, never their values.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Extension;
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
use crate::admin::AuditAct;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
use crate::admin::Failure;
use crate::admin::Peer;
use crate::admin::audit;
use crate::admin::audit::socket::Noted;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::config::edit;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Editor;
use crate::disk;
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

    /// Returns what the audit list says of it, and why.
    pub fn result(&self) -> (AuditResult, String) {
        let result = match self.error {
            Some(_) => AuditResult::Failed,
            None => AuditResult::Done,
        };
        (result, self.left_to_do())
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

/// The last changes that the relay may not write; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Mutex<VecDeque<Kept>>>);

#[derive(Debug)]
struct Kept {
    at: Instant,
    prepared: Prepared,
    /// The settings that it changes.
    keys: String,
    /// Who has written it into the file.
    applied_by: Option<String>,
}

impl Changes {
    fn keep(&self, change: &Change, by: &str, keys: &[String]) -> String {
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
        all.push_back(Kept {
            at: Instant::now(),
            prepared,
            keys: keys.join(", "),
            applied_by: None,
        });
        id
    }

    /// Does something with a change that is kept.
    fn with<T>(&self, id: &str, what: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        let mut all = self.current();
        let found = all.iter_mut().find(|kept| kept.prepared.id == id);
        found.map(what)
    }

    /// The texts of the changes that wait.
    fn texts(&self) -> Vec<String> {
        let all = self.current();
        all.iter().map(|kept| kept.prepared.after.clone()).collect()
    }

    fn current(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| kept.at.elapsed() < LIFE);
        all
    }
}

impl Configuration {
    /// Opens the file to change it; `None` if the relay was started without one.
    pub async fn editor(&self) -> Option<Result<Editor, EditError>> {
        let file = self.file.clone()?;
        let environment = self.environment();
        let read = move || Editor::open(&file).map(|editor| editor.reading(environment));
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
                let id = self.changes.keep(&change, by, &keys);
                operatorlog::change_prepared(by, &id, &keys);
                Ok(Applied::Prepared { id })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns a change that waits, or that somebody has applied.
    pub fn prepared(&self, id: &str) -> Option<Prepared> {
        self.changes.with(id, |kept| kept.prepared.clone())
    }

    /// Returns who has applied a change, if somebody has.
    pub fn applied_by(&self, id: &str) -> Option<String> {
        self.changes.with(id, |kept| kept.applied_by.clone())?
    }

    /// Removes the secrets that nothing needs any more, if they are at least this old: neither
    /// the file, nor the text before, nor a change that waits, nor the running relay. Its accounts
    /// are those of the start: until a restart, and after it if the new file does not work, they
    /// need their secrets.
    pub async fn forget_secrets(&self, now: Timestamp, least: Duration) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let in_force = self.in_force();
        let mut texts = self.changes.texts();
        let forget = move || {
            // Without the file, nobody knows what it names.
            let Ok(text) = disk::read_small_text(&file) else {
                return;
            };
            texts.push(text);
            texts.extend(disk::read_small_text(&edit::previous(&file)));
            let Config {
                data_dir, accounts, ..
            } = in_force;
            edit::forget_secrets(&data_dir, &texts, &accounts, now, least);
        };
        // What stays is removed the next time.
        let _ended = tokio::task::spawn_blocking(forget).await;
    }

    /// Restarts the relay within its process: sessions and attempts end, as at a stop, and it
    /// starts with the current file, or with the configuration before if that does not work.
    /// `act` is what the audit list says about it, except for its result.
    pub fn restart_soon(&self, act: AuditAct) {
        self.wishes.restart.send_replace(Some(act));
    }
}

pub(in crate::admin) fn router(configuration: Configuration) -> Router {
    Router::new()
        .route("/changes/{id}", get(show))
        .route("/changes/{id}", post(applied))
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

async fn reload(State(configuration): State<Configuration>) -> (Extension<Noted>, Json<InForce>) {
    let in_force = configuration.reload().await;
    let (result, reason) = in_force.result();
    let noted = Noted::of(result, reason);
    (Extension(noted), Json(in_force))
}

/// Somebody has written a change into the file: it comes into force.
async fn applied(
    State(configuration): State<Configuration>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    extract::Path(id): extract::Path<String>,
) -> Result<(Extension<Noted>, Json<InForce>), Failure> {
    let by = audit::socket::user(peer.uid);
    let about = configuration.changes.with(&id, |kept| {
        kept.applied_by = Some(by);
        format!("{} (prepared by {})", kept.keys, kept.prepared.by)
    });
    let about = about.ok_or(Failure::Unknown)?;
    let in_force = configuration.reload().await;
    let (result, reason) = in_force.result();
    let noted = Noted {
        about: Some(about),
        result,
        reason,
    };
    Ok((Extension(noted), Json(in_force)))
}

async fn restart(
    State(configuration): State<Configuration>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> (Extension<Noted>, Json<InForce>) {
    operatorlog::restart(&format!("uid {}", peer.uid));
    let noted = Noted::of(AuditResult::Begun, "");
    configuration.restart_soon(noted.clone().act(&peer, AuditAction::Restart.word()));
    (Extension(noted), Json(InForce::default()))
}
