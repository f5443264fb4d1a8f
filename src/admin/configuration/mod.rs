//! The configuration in force, and whether the file still says the same.
//!
//! For this the relay reads its own file again, as its own user and with its own
//! environment (the sandbox's relay without one), so it also notices a file or secret that it
//! may no longer read. Answers name sections, never values.

mod access;
mod changes;
mod scope;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::watch;

use self::access::AccessCheck;
pub use self::access::Findings;
pub use self::changes::Applied;
pub use self::changes::Changes;
pub use self::changes::InForce;
pub use self::changes::Prepared;
pub(super) use self::changes::router;
pub use self::scope::scope_commands;
use crate::admin::AuditAct;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::config::Environment;
use crate::config::Senders;
use crate::config::User;

/// The configuration in force; clones share it.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// `None` if the relay was started without a file.
    file: Option<PathBuf>,
    state: Arc<Mutex<State>>,
    /// Changes that wait for somebody who may write the file.
    changes: Changes,
    wishes: Arc<Wishes>,
    access: AccessCheck,
}

/// What the process that runs the relay is asked to do, since it alone can.
#[derive(Debug, Default)]
struct Wishes {
    reload: Notify,
    /// Whether it is to restart, and who wants that.
    restart: watch::Sender<Option<AuditAct>>,
    /// Counts the reloads.
    reloads: watch::Sender<u64>,
}

/// An answer reaches whoever wanted a restart before the restart begins.
const BEFORE_RESTART: Duration = Duration::from_millis(500);
/// A reload reads a few files, and may wait for a disk.
const LONGEST_RELOAD: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct State {
    /// As it was at the start; settings that need a restart still have these values.
    started: Config,
    /// As it was last reloaded; settings that need no restart have these values.
    loaded: Config,
    reload: Option<Reload>,
    restart: Option<Restart>,
}

/// What a restart within the process leaves: the log is set up once for the process.
const LOG: &str = "[log]";
const ABOUT_LOG: &str = "the log settings take effect only when the whole service restarts";
/// The full name of the unit, because the admin page shows a button in the place of the short
/// one, and its button restarts the relay within its process.
const RESTART_SERVICE: &str = "systemctl restart graph-relay.service";

/// The last restart within the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// When the relay had started again.
    pub at: Timestamp,
    /// Why it could not start with the file, and goes on with the configuration before.
    pub error: Option<String>,
}

/// The last reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// When it was requested.
    pub at: Timestamp,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Whether the file says what is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationView {
    /// The file.
    pub file: Option<PathBuf>,
    /// Changed sections that take effect at a reload.
    pub needs_reload: Vec<String>,
    /// Changed sections that take effect at a restart.
    pub needs_restart: Vec<String>,
    /// Why the relay could not start with the file.
    pub problems: Vec<String>,
    /// The last reload, if there was one.
    pub last_reload: Option<Reload>,
    /// The last restart within the process, if there was one.
    #[serde(default)]
    pub last_restart: Option<Restart>,
}

impl Configuration {
    /// The configuration with which the relay starts, and what outlives a restart.
    pub fn new(
        config: Config,
        file: Option<&Path>,
        changes: Changes,
        restart: Option<Restart>,
    ) -> Self {
        Self {
            file: file.map(Path::to_owned),
            state: Arc::new(Mutex::new(State {
                loaded: config.clone(),
                started: config,
                reload: None,
                restart,
            })),
            changes,
            wishes: Arc::default(),
            access: AccessCheck::default(),
        }
    }

    /// Returns the file; `None` if the relay was started without one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether environment variables are read with the file.
    pub fn environment(&self) -> Environment {
        self.lock().started.origin.environment
    }

    /// Puts the current file into force, as SIGHUP does.
    pub async fn reload(&self) -> InForce {
        let mut reloads = self.wishes.reloads.subscribe();
        self.wishes.reload.notify_one();
        let reloaded = tokio::time::timeout(LONGEST_RELOAD, reloads.changed()).await;
        if !matches!(reloaded, Ok(Ok(()))) {
            return InForce {
                needs_restart: Vec::new(),
                error: Some("the relay has not reloaded its configuration: restart it".to_owned()),
            };
        }
        let state = self.lock();
        let needs = state.started.needs_restart(&state.loaded);
        InForce {
            needs_restart: needs.into_iter().map(str::to_owned).collect(),
            error: state.reload.as_ref().and_then(|it| it.error.clone()),
        }
    }

    /// Returns when somebody wants the file to be reloaded.
    pub async fn reload_wanted(&self) {
        self.wishes.reload.notified().await;
    }

    /// Returns a moment after somebody has wanted the relay to be restarted, with who and what.
    pub async fn restart_wanted(&self) -> Option<AuditAct> {
        self.restart_asked_for().await;
        tokio::time::sleep(BEFORE_RESTART).await;
        self.wishes.restart.borrow().clone()
    }

    /// Returns as soon as somebody wants the relay to be restarted.
    pub async fn restart_asked_for(&self) {
        let mut wanted = self.wishes.restart.subscribe();
        // Fails only if the sender has gone, which `self` has.
        let _wanted = wanted.wait_for(Option::is_some).await;
    }

    /// Whether it is about to restart.
    pub fn is_restarting(&self) -> bool {
        self.wishes.restart.borrow().is_some()
    }

    /// Returns the last restart within the process.
    pub fn last_restart(&self) -> Option<Restart> {
        self.lock().restart.clone()
    }

    /// Returns the rules for From addresses, as they were at the start.
    pub(super) fn senders(&self) -> Senders {
        self.lock().started.senders.clone()
    }

    /// Returns the folder of the spool, and `limits.free_space`.
    pub(super) fn disk(&self) -> (PathBuf, u64) {
        let state = self.lock();
        let started = &state.started;
        (started.data_dir.clone(), started.limits.free_space)
    }

    /// Returns the configuration in force: from the last reload what takes effect then, and
    /// the rest from the start.
    pub fn in_force(&self) -> Config {
        let state = self.lock();
        Config {
            listeners: state.loaded.listeners.clone(),
            users: state.loaded.users.clone(),
            aliases: Arc::clone(&state.loaded.aliases),
            limits: state.loaded.limits.clone(),
            history_content: state.loaded.history_content,
            ..state.started.clone()
        }
    }

    /// Returns the users in force.
    pub(super) fn users(&self) -> Vec<User> {
        self.lock().loaded.users.clone()
    }

    /// Records a reload, or its failure.
    pub fn reloaded(&self, at: Timestamp, outcome: Result<Config, String>) {
        let mut state = self.lock();
        let error = match outcome {
            Ok(config) => {
                state.loaded = config;
                None
            }
            Err(error) => Some(error),
        };
        state.reload = Some(Reload { at, error });
        drop(state);
        self.wishes.reloads.send_modify(|count| *count += 1);
    }

    /// Reads the file again and compares.
    pub(super) async fn view(&self) -> ConfigurationView {
        let own = self.clone();
        let read = tokio::task::spawn_blocking(move || own.compare()).await;
        read.unwrap_or_default()
    }

    fn compare(&self) -> ConfigurationView {
        let environment = self.environment();
        let read = |file: &Path| Config::load_with(file, environment);
        let on_disk = self.file.as_deref().map(read);
        let state = self.lock();
        let mut view = ConfigurationView {
            file: self.file.clone(),
            last_reload: state.reload.clone(),
            last_restart: state.restart.clone(),
            ..ConfigurationView::default()
        };
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        match on_disk {
            Some(Ok(config)) => {
                view.needs_reload = owned(state.loaded.needs_reload(&config));
                view.needs_restart = owned(state.started.needs_restart(&config));
            }
            Some(Err(error)) => {
                let lines = error.problems.iter().map(|it| it.in_file(&error.file));
                view.problems = lines.collect();
            }
            None => {}
        }
        view
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConfigurationView {
    /// Says what differs or cannot be used, and what to do. `None` if the file says what is in
    /// force.
    pub fn trouble(&self) -> Option<(String, String)> {
        let file = self.file.as_ref()?.display();
        let failed = |what, error: Option<&String>| {
            error.map_or_else(String::new, |error| {
                format!("; the last {what} failed: {}", one_line(error))
            })
        };
        let reload = self.last_reload.as_ref().and_then(|it| it.error.as_ref());
        let restart = self.last_restart.as_ref().and_then(|it| it.error.as_ref());
        let failed = failed("restart", restart) + &failed("reload", reload);
        if let Some(first) = self.problems.first() {
            let more = match self.problems.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            let words = format!(
                "{file} has errors: the relay keeps its old configuration, and cannot start with \
                 this one: {first}{more}"
            );
            return Some((words, "graph-relay check".to_owned()));
        }
        let differs = |sections: &[String]| {
            format!(
                "{file} differs from the running configuration ({}){failed}",
                sections.join(", ")
            )
        };
        if !self.needs_restart.is_empty() {
            let all = [self.needs_restart.as_slice(), &self.needs_reload].concat();
            let words = differs(&all);
            return Some(match self.needs_restart == [LOG] {
                true => (format!("{words}; {ABOUT_LOG}"), RESTART_SERVICE.to_owned()),
                false => (words, "systemctl restart graph-relay".to_owned()),
            });
        }
        if !self.needs_reload.is_empty() {
            let remedy = "systemctl reload graph-relay";
            return Some((differs(&self.needs_reload), remedy.to_owned()));
        }
        None
    }

    /// Whether the running relay has other accounts than the file.
    pub fn has_other_accounts(&self) -> bool {
        self.needs_restart.iter().any(|key| key == "[[account]]")
    }
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}
