//! Secrets of forms that were not saved. They are in memory only, so that whoever corrects another
//! field, or saves anyway, need not enter the secret again.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::admin::secret;

/// For how long a secret is held.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// Another one replaces the oldest.
const MOST: usize = 16;

/// The secrets, by names that nobody can guess.
#[derive(Debug, Default)]
pub(in crate::page) struct Held(Mutex<VecDeque<(String, Instant, SecretString)>>);

impl Held {
    /// Returns the name under which a form can use the secret again.
    pub(super) fn keep(
        &self,
        secret_of_app: SecretString,
    ) -> Result<String, ring::error::Unspecified> {
        let name = secret()?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, since, _)| since.elapsed() < LIFE);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back((name.clone(), Instant::now(), secret_of_app));
        Ok(name)
    }

    /// The secret with this name.
    pub(super) fn find(&self, name: &str) -> Option<SecretString> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(known, since, _): &&(String, Instant, SecretString)| {
            known == name && since.elapsed() < LIFE
        };
        all.iter().find(is_it).map(|(_, _, secret)| secret.clone())
    }
}
