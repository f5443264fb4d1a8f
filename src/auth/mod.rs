//! Access tokens: "a token good for some more seconds", and nothing else.
//!
//! Promises: however many ask at once, one request is under way (single
//! flight), and all who waited for it share its result, good or bad; a token is
//! renewed before it ends; one that Graph refused is not handed out again; when
//! renewing fails, the old token serves until it ends. Tokens stay in memory
//! and cannot be printed (promise 7). What a failure means for a message is
//! decided in `delivery/outcome.rs`.

mod client_credentials;
mod error;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

pub use self::error::TokenError;
use crate::config::Account;
use crate::http::Http;

/// The tokens of one account; clones share them.
#[derive(Clone, Debug)]
pub struct Tokens {
    shared: Arc<Shared>,
}

/// An access token.
#[derive(Clone, Debug)]
pub struct Token {
    secret: SecretString,
    /// Counts the tokens of an account, so that a refused one is known again.
    serial: u64,
}

impl Token {
    /// For the Authorization header field, and for nothing else.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }
}

#[derive(Debug)]
struct Shared {
    account: Account,
    http: Http,
    /// A std mutex: held for an assignment only.
    state: Mutex<TokenState>,
    /// Held while a token is asked for: the single flight. Inside is why the
    /// last flight failed.
    flight: tokio::sync::Mutex<Option<Arc<TokenError>>>,
    /// Flights that have ended.
    flights: AtomicU64,
}

#[derive(Debug)]
enum TokenState {
    /// None yet, or it was refused.
    Empty,
    Active {
        token: Token,
        /// From here on a new one is asked for.
        renew_at: Instant,
        /// From here on it is useless.
        ends_at: Instant,
    },
}

/// What a grant brings.
#[derive(Debug)]
struct Granted {
    secret: SecretString,
    lasts: Duration,
}

/// Tokens last an hour or more; renewing this much ahead leaves time for an
/// outage of the token endpoint (microsoft-graph.md E2).
const RENEW_AHEAD: Duration = Duration::from_secs(5 * 60);
/// After a failed renewal of a token that is still good.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// A token about to end might end on its way.
const MARGIN: Duration = Duration::from_secs(5);

impl Tokens {
    /// The tokens of an account; asks for none yet.
    pub fn new(account: Account, http: Http) -> Self {
        Self {
            shared: Arc::new(Shared {
                account,
                http,
                state: Mutex::new(TokenState::Empty),
                flight: tokio::sync::Mutex::new(None),
                flights: AtomicU64::new(0),
            }),
        }
    }

    /// A token that Graph should take now.
    ///
    /// # Errors
    ///
    /// There is none that is good, and none could be had.
    pub async fn token(&self) -> Result<Token, Arc<TokenError>> {
        let shared = &self.shared;
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let flights = shared.flights.load(Ordering::Acquire);
        let mut last = shared.flight.lock().await;
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        if shared.flights.load(Ordering::Acquire) != flights
            && let Some(error) = &*last
        {
            return Err(Arc::clone(error));
        }
        let granted = client_credentials::grant(&shared.account, &shared.http).await;
        let serial = shared.flights.fetch_add(1, Ordering::AcqRel);
        match granted {
            Ok(granted) => {
                *last = None;
                Ok(self.keep(granted, serial))
            }
            Err(error) => {
                let error = Arc::new(error);
                *last = Some(Arc::clone(&error));
                self.still_good(error.retry_after()).ok_or(error)
            }
        }
    }

    /// Graph refused this token: it is not handed out again.
    pub fn refuse(&self, token: &Token) {
        let mut state = self.state();
        if let TokenState::Active { token: current, .. } = &*state
            && current.serial == token.serial
        {
            *state = TokenState::Empty;
        }
    }

    /// The cached token, if it need not be renewed yet.
    fn fresh(&self) -> Option<Token> {
        match &*self.state() {
            TokenState::Active {
                token, renew_at, ..
            } if Instant::now() < *renew_at => Some(token.clone()),
            TokenState::Active { .. } | TokenState::Empty => None,
        }
    }

    /// The cached token although it should have been renewed; the next try to
    /// renew it is put off.
    fn still_good(&self, retry_after: Option<Duration>) -> Option<Token> {
        let now = Instant::now();
        match &mut *self.state() {
            TokenState::Active {
                token,
                renew_at,
                ends_at,
            } if now < *ends_at => {
                *renew_at = now + RENEW_AGAIN.max(retry_after.unwrap_or_default());
                Some(token.clone())
            }
            TokenState::Active { .. } | TokenState::Empty => None,
        }
    }

    fn keep(&self, granted: Granted, serial: u64) -> Token {
        let now = Instant::now();
        let lasts = granted.lasts.saturating_sub(MARGIN);
        // A short-lived token is renewed after half of its life.
        let renew_after = lasts.saturating_sub(RENEW_AHEAD).max(lasts / 2);
        let token = Token {
            secret: granted.secret,
            serial,
        };
        *self.state() = TokenState::Active {
            token: token.clone(),
            renew_at: now + renew_after,
            ends_at: now + lasts,
        };
        token
    }

    fn state(&self) -> std::sync::MutexGuard<'_, TokenState> {
        let state = &self.shared.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
