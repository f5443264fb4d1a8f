//! A restart within the process, and what it keeps: a change of an `[[account]]` made on the
//! admin page takes effect without a shell, and whoever made it stays logged in, unless `[admin]` has
//! changed.

use super::Service;
use crate::config::Config;
use crate::page;

/// What outlives a restart within the process.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    pub(super) sessions: page::Sessions,
}

impl Carried {
    /// What is kept for the start with a new configuration: nobody stays logged in if it says
    /// otherwise than the old one who may log in.
    pub fn between(&self, old: &Config, new: &Config) -> Self {
        match old.admin == new.admin {
            true => self.clone(),
            false => Self::default(),
        }
    }
}

impl Service {
    /// Returns when somebody wants relay.toml to be reloaded.
    pub async fn reload_wanted(&self) {
        self.configuration.reload_wanted().await;
    }

    /// Returns when somebody wants the relay to be restarted.
    pub async fn restart_wanted(&self) {
        self.configuration.restart_wanted().await;
    }

    /// Returns the configuration with which it was started, and what a restart keeps.
    pub fn to_carry(&self) -> (Config, Carried) {
        (self.config.clone(), self.carried.clone())
    }
}
