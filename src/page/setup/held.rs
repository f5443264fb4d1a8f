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
    /// Returns the name under which a form can use the secret again. A form that has a name
    /// already, `before`, gets the same one, so that no form has more than one secret, and a form
    /// that is sent twice finds its own.
    pub(super) fn keep(
        &self,
        before: &str,
        secret_of_app: SecretString,
    ) -> Result<String, ring::error::Unspecified> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, since, _)| since.elapsed() < LIFE);
        let known = all.iter().position(|(name, ..)| name == before);
        let name = match known.and_then(|at| all.remove(at)) {
            Some((name, ..)) => name,
            None => secret()?,
        };
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back((name.clone(), Instant::now(), secret_of_app));
        Ok(name)
    }

    /// Forgets the secret with this name.
    pub(super) fn forget(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, ..)| known != name);
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn found(held: &Held, name: &str) -> Option<String> {
        let secret = held.find(name)?;
        Some(secret.expose_secret().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_that_is_refused_again_and_again_pushes_out_no_secret_of_others() {
        let held = Held::default();
        let other = held.keep("", SecretString::from("other")).unwrap();
        let mut name = String::new();

        for _ in 0..=MOST {
            name = held.keep(&name, SecretString::from("a~secret")).unwrap();
        }

        assert_eq!(found(&held, &other).as_deref(), Some("other"));
        assert_eq!(found(&held, &name).as_deref(), Some("a~secret"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_held_for_an_hour() {
        let held = Held::default();
        let name = held.keep("", SecretString::from("a~secret")).unwrap();

        assert!(held.find(&name).is_some());
        tokio::time::advance(LIFE).await;

        assert!(held.find(&name).is_none());
    }
}
