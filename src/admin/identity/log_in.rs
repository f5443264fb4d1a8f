//! Logging in to the admin page with Entra, by the app of an account.

use super::in_browser::explained;
use crate::admin::AdminState;
use crate::admin::Why;
use crate::auth;
use crate::auth::LogInError;
use crate::config::Account;

pub use crate::auth::LogInAttempt;
pub use crate::auth::LoggedIn;

/// Why nobody is logged in.
#[derive(Clone, Debug)]
pub struct NotLoggedIn {
    /// In words.
    pub why: Why,
    /// Whether the user or Entra declined. This does not count as an attempt to guess.
    pub is_declined: bool,
}

impl From<Why> for NotLoggedIn {
    fn from(why: Why) -> Self {
        Self {
            why,
            is_declined: false,
        }
    }
}

impl AdminState {
    /// Returns the address at which a user logs in, by the app of this account. `state` begins
    /// with that of the attempt.
    ///
    /// # Errors
    ///
    /// The account cannot be used.
    pub fn log_in_url(
        &self,
        account: &str,
        attempt: &LogInAttempt,
        state: &str,
        redirect_uri: &str,
    ) -> Result<String, Why> {
        let account = self.account(account)?;
        let url = auth::log_in_url(account, &self.means, attempt, state, redirect_uri);
        url.map_err(Why::from)
    }

    /// Ends a log-in with the address at which the browser came back.
    ///
    /// # Errors
    ///
    /// Says why nobody is logged in.
    pub async fn finish_log_in(
        &self,
        account: &str,
        attempt: &LogInAttempt,
        address: &str,
        redirect_uri: &str,
    ) -> Result<LoggedIn, NotLoggedIn> {
        let account = self.account(account)?;
        let finished = auth::finish_log_in(account, &self.means, attempt, address, redirect_uri);
        finished.await.map_err(|error| {
            let code = error.code();
            NotLoggedIn {
                why: explained(error.to_string(), code.as_deref(), "MAILBOX", Some(account)),
                is_declined: matches!(error, LogInError::Declined { .. }),
            }
        })
    }

    fn account(&self, name: &str) -> Result<&Account, Why> {
        self.configured(name).ok_or_else(|| Why {
            words: format!("there is no account {name}"),
            ..Why::default()
        })
    }
}

impl From<LogInError> for Why {
    fn from(error: LogInError) -> Self {
        explained(error.to_string(), error.code().as_deref(), "MAILBOX", None)
    }
}
