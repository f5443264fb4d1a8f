//! The cache of one access token. It sends one request however many callers wait ("single
//! flight"), renews the token before it expires, and drops it once Graph has refused it.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::Granted;
use crate::auth::Token;
use crate::auth::TokenError;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::mail::Address;

/// The cached token of an app, or of one mailbox.
#[derive(Debug)]
pub(in crate::auth) struct TokenCache {
    /// The mailbox that it is for, in delegated sign-in.
    pub(in crate::auth) mailbox: Option<Address>,
    clock: Clock,
    /// A std mutex, because it is held for assignments only.
    state: Mutex<State>,
    /// Held during a token request, so that there is only one. It contains the error of the
    /// last request.
    under_way: tokio::sync::Mutex<Option<Arc<TokenError>>>,
    /// The number of finished requests.
    fetches: AtomicU64,
}

#[derive(Debug)]
struct State {
    token: TokenState,
    /// Why the last request failed.
    trouble: Option<Arc<TokenError>>,
    /// When Graph last refused a request because the token lacked a new permission.
    outdated: Option<Instant>,
}

#[derive(Debug)]
enum TokenState {
    /// None yet, or Graph refused it.
    Empty,
    Active {
        token: Token,
        /// From here on the relay asks for a new one.
        renew_at: Instant,
        /// From here on Graph does not accept it.
        ends_at: Instant,
        /// The same on the machine's clock, which continues while the machine sleeps, and which
        /// somebody may set.
        ends: Timestamp,
    },
}

/// Tokens last an hour or more. Renewing this long before the end leaves time for an
/// outage of the token endpoint.
const RENEW_AHEAD: Duration = Duration::from_secs(5 * 60);
/// The wait after renewing failed while the token is still valid.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// However many messages Graph refuses, the relay asks for a token with new permissions at
/// most this often.
const OUTDATE_AGAIN: Duration = Duration::from_secs(60);
/// The longest wait, whatever Retry-After says.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// The longest lifetime, whatever an answer says: no token lasts longer, and no clock
/// overflows on it.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A token that is about to expire might expire on the way.
const MARGIN: Duration = Duration::from_secs(5);

impl TokenCache {
    pub(in crate::auth) fn new(mailbox: Option<Address>, clock: Clock) -> Self {
        Self {
            mailbox,
            clock,
            state: Mutex::new(State {
                token: TokenState::Empty,
                trouble: None,
                outdated: None,
            }),
            under_way: tokio::sync::Mutex::new(None),
            fetches: AtomicU64::new(0),
        }
    }

    /// Returns a token that Graph should accept now; polls `ask` if a new one is needed.
    pub(in crate::auth) async fn token(
        &self,
        ask: impl Future<Output = Result<Granted, TokenError>>,
    ) -> Result<Token, Arc<TokenError>> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let fetches = self.fetches.load(Ordering::Acquire);
        let mut last = self.under_way.lock().await;
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        if self.fetches.load(Ordering::Acquire) != fetches
            && let Some(error) = &*last
        {
            return Err(Arc::clone(error));
        }
        match ask.await {
            Ok(granted) => {
                *last = None;
                Ok(self.keep(granted))
            }
            Err(error) => {
                self.fetches.fetch_add(1, Ordering::AcqRel);
                let error = Arc::new(error);
                *last = Some(Arc::clone(&error));
                self.state().trouble = Some(Arc::clone(&error));
                self.still_good(error.retry_after()).ok_or(error)
            }
        }
    }

    /// Stores a token that came with a sign-in.
    pub(in crate::auth) fn keep(&self, granted: Granted) -> Token {
        let serial = self.fetches.fetch_add(1, Ordering::AcqRel);
        let now = Instant::now();
        let lasts = granted.lasts.min(LONGEST).saturating_sub(MARGIN);
        // A short-lived token is renewed after half of its lifetime.
        let renew_after = lasts.saturating_sub(RENEW_AHEAD).max(lasts / 2);
        let token = Token {
            secret: granted.secret,
            mailbox: self.mailbox.clone(),
            serial,
        };
        let mut state = self.state();
        state.token = TokenState::Active {
            token: token.clone(),
            renew_at: now + renew_after,
            ends_at: now + lasts,
            ends: self.clock.now() + lasts,
        };
        state.trouble = None;
        drop(state);
        token
    }

    /// Graph refused a request that this token does not allow. Only a new token contains
    /// permissions that were granted since. Until it arrives, this one is used.
    pub(in crate::auth) fn outdate(&self, token: &Token) {
        let now = Instant::now();
        let mut state = self.state();
        let State {
            token: current,
            outdated,
            ..
        } = &mut *state;
        let is_new = outdated.is_none_or(|last| now - last >= OUTDATE_AGAIN);
        if let TokenState::Active {
            token: current,
            renew_at,
            ..
        } = current
            && current.serial == token.serial
            && is_new
        {
            *renew_at = now;
            *outdated = Some(now);
        }
    }

    /// Graph refused this token: it is not used again.
    pub(in crate::auth) fn refuse(&self, token: &Token) {
        let mut state = self.state();
        if let TokenState::Active { token: current, .. } = &state.token
            && current.serial == token.serial
        {
            state.token = TokenState::Empty;
        }
    }

    /// Deletes the token, and ignores the result of a request under way.
    pub(in crate::auth) async fn empty(&self) {
        let _none_under_way = self.under_way.lock().await;
        self.state().token = TokenState::Empty;
    }

    /// Returns the cached token, and the error of the last request if it failed.
    pub(in crate::auth) fn standing(
        &self,
    ) -> (Option<(Token, Timestamp)>, Option<Arc<TokenError>>) {
        let state = self.state();
        let now = Instant::now();
        let token = match &state.token {
            TokenState::Active {
                token,
                ends_at,
                ends,
                ..
            } if now < *ends_at => Some((token.clone(), *ends)),
            TokenState::Active { .. } | TokenState::Empty => None,
        };
        (token, state.trouble.clone())
    }

    /// Returns the cached token, if neither clock says that it must be renewed.
    fn fresh(&self) -> Option<Token> {
        match &self.state().token {
            TokenState::Active {
                token,
                renew_at,
                ends,
                ..
            } if Instant::now() < *renew_at && self.clock.now() < *ends => Some(token.clone()),
            TokenState::Active { .. } | TokenState::Empty => None,
        }
    }

    /// Returns the cached token although it should have been renewed, and postpones the next
    /// attempt to renew it.
    fn still_good(&self, retry_after: Option<Duration>) -> Option<Token> {
        let now = Instant::now();
        match &mut self.state().token {
            TokenState::Active {
                token,
                renew_at,
                ends_at,
                ends,
            } if now < *ends_at => {
                let wait = retry_after.unwrap_or_default().min(LONGEST_WAIT);
                let wait = RENEW_AGAIN.max(wait);
                *renew_at = now + wait;
                // The machine's clock may be wrong: do not send a request for each message.
                *ends = (*ends).max(self.clock.now() + wait);
                Some(token.clone())
            }
            TokenState::Active { .. } | TokenState::Empty => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> TokenCache {
        TokenCache::new(None, Clock::starting_at(Timestamp::from_millis(0)))
    }

    fn lasting(seconds: u64) -> Granted {
        Granted {
            secret: "canary".into(),
            lasts: Duration::from_secs(seconds),
        }
    }

    async fn serial(cache: &TokenCache, answer: Result<Granted, TokenError>) -> Option<u64> {
        let token = cache.token(std::future::ready(answer)).await;
        token.ok().map(|token| token.serial)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_ends_and_serves_until_then_if_that_fails() {
        let cache = cache();
        let first = serial(&cache, Ok(lasting(3600))).await;

        tokio::time::advance(Duration::from_secs(3200)).await;
        assert_eq!(serial(&cache, Err(TokenError::no_answer())).await, first);
        tokio::time::advance(Duration::from_secs(150)).await;
        let failed = serial(&cache, Err(TokenError::no_answer())).await;
        assert_eq!(failed, first);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_ne!(serial(&cache, Ok(lasting(60))).await, first);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(serial(&cache, Err(TokenError::no_answer())).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outdated_token_serves_until_there_is_a_new_one() {
        let cache = cache();
        let first = cache.token(std::future::ready(Ok(lasting(3600))));
        let first = first.await.unwrap();

        cache.outdate(&first);
        let failed = serial(&cache, Err(TokenError::no_answer())).await;
        assert_eq!(failed, Some(first.serial));
        tokio::time::advance(RENEW_AGAIN).await;
        let second = serial(&cache, Ok(lasting(3600))).await.unwrap();
        assert_ne!(second, first.serial);
        // Not for every message that Graph refuses.
        let token = cache.token(std::future::pending()).await.unwrap();
        cache.outdate(&token);
        assert_eq!(
            cache.token(std::future::pending()).await.unwrap().serial,
            second
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_that_is_nonsense_breaks_nothing() {
        let cache = cache();

        assert!(serial(&cache, Ok(lasting(u64::MAX))).await.is_some());
        tokio::time::advance(LONGEST).await;
        assert!(serial(&cache, Ok(lasting(0))).await.is_some());
        assert_eq!(serial(&cache, Err(TokenError::no_answer())).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_asks_again() {
        let clock = Clock::starting_at(Timestamp::from_millis(0));
        let mut cache = TokenCache::new(None, clock);
        let first = serial(&cache, Ok(lasting(3600))).await;

        // Tokio's clock stops while the machine sleeps; the system clock does not.
        cache.clock = Clock::starting_at(Timestamp::from_millis(3_600_000));
        assert_ne!(serial(&cache, Ok(lasting(3600))).await, first);
        // A clock that was set back changes nothing.
        cache.clock = Clock::starting_at(Timestamp::from_millis(-1_000_000_000));
        let second = serial(&cache, Err(TokenError::no_answer())).await;
        assert!(second.is_some() && second != first);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_one_flight_is_under_way_and_all_share_its_end() {
        let cache = cache();
        let asked = AtomicU64::new(0);
        let ask = async || {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(TokenError::no_answer())
        };

        let all = futures_util::future::join_all((0..50).map(|_| cache.token(ask()))).await;

        assert!(all.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_not_handed_out_again_and_a_later_one_is_not_refused_for_it() {
        let cache = cache();
        let first = cache
            .token(std::future::ready(Ok(lasting(3600))))
            .await
            .unwrap();
        cache.refuse(&first);
        let second = serial(&cache, Ok(lasting(3600))).await.unwrap();

        assert_ne!(second, first.serial);
        cache.refuse(&first);
        assert_eq!(
            serial(&cache, Err(TokenError::no_answer())).await,
            Some(second)
        );
    }
}
