//! Access tokens. The rest of the relay asks for "a token that is still valid" and
//! knows nothing else about them.
//!
//! Promises: one request at a time is sent for each token, and everybody who waits for
//! it shares its result, good or bad. A token is renewed before it expires. If renewing
//! fails, the old token is used until it expires. A token that Graph refused is not used
//! again. After a permanent refusal, Entra is not asked again and again. Access tokens
//! stay in memory. A refresh token is sealed and on disk before it replaces the previous
//! one. Neither can be printed (promise 7). `delivery/outcome/` decides what a failure
//! means for a message.
//!
//! | file | contains |
//! |---|---|
//! | `cache` | the cache of one token: asking, renewing, invalidating |
//! | `entra`, `answer` | requests to the token endpoint, and its answers |
//! | `assertion`, `managed_identity` | the credentials of apps without a secret |
//! | `delegated`, `store`, `sealed` | tokens for users who have signed in |
//! | `sign_in` | signing in |
//! | `log_in` | logging in to the admin page |
//! | `expiry` | when a credential expires |

mod credentials;
mod error;
mod log_in;
mod sign_in;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use secrecy::SecretString;

pub use self::credentials::expiry::Ending;
pub use self::credentials::expiry::WARN_BEFORE;
pub use self::credentials::expiry::ending;
use self::credentials::managed_identity;
pub use self::error::CredentialError;
pub use self::error::TokenError;
pub use self::log_in::IdTokenError;
pub use self::log_in::LogInAttempt;
pub use self::log_in::LogInError;
pub use self::log_in::LoggedIn;
pub use self::log_in::finish as finish_log_in;
pub use self::log_in::url as log_in_url;
pub use self::sign_in::Begun;
pub use self::sign_in::SignInError;
pub use self::sign_in::SignIns;
pub use self::sign_in::Way;
pub use self::sign_in::store::Refused;
pub use self::sign_in::store::SignIn;
pub use self::sign_in::store::Store;
pub use self::sign_in::store::StoreError;
pub use self::tokens::answer::Claims;
use self::tokens::cache::TokenCache;
use self::tokens::delegated;
use self::tokens::entra::Entra;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::config;
use crate::config::Account;
use crate::config::Config;
use crate::config::Credential;
use crate::http::Http;
use crate::http::HttpError;
use crate::http::Reach;
use crate::mail::Address;

/// Everything that is needed to ask for tokens.
#[derive(Clone, Debug)]
pub struct Means {
    /// The HTTP client for Entra.
    pub http: Http,
    /// The HTTP client for services on this machine, which no proxy could reach.
    pub direct: Http,
    /// The clock.
    pub clock: Clock,
    /// The stored sign-ins; `None` if no account is delegated.
    pub store: Option<Store>,
}

impl Means {
    /// Reads relay.toml's settings; without sign-ins, which need the spool's lock.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be set up.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, HttpError> {
        let http = |reach| Http::new(&config.http, reach, clock.clone());
        Ok(Self {
            http: http(reach(config))?,
            direct: http(Reach::Direct)?,
            store: None,
            clock,
        })
    }
}

/// A stand-in on this machine must not be looked for behind a proxy.
fn reach(config: &Config) -> Reach {
    let here = |url: &str| url.starts_with("http://");
    let mut accounts = config.accounts.iter();
    if accounts.all(|account| here(&account.login_url) && here(&account.graph_url)) {
        Reach::Direct
    } else {
        Reach::Internet
    }
}

/// The tokens of one account; clones share them.
#[derive(Clone, Debug)]
pub struct Tokens {
    shared: Arc<Shared>,
}

/// An access token.
#[derive(Clone, Debug)]
pub struct Token {
    secret: SecretString,
    /// The mailbox that it is for, in delegated sign-in.
    mailbox: Option<Address>,
    /// Counts the tokens of one cache, so that a refused one is recognised.
    serial: u64,
}

impl Token {
    /// Returns the value for the Authorization header field. It must go nowhere else.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Returns its claims, if they can be read.
    pub fn claims(&self) -> Option<Claims> {
        Claims::of(secrecy::ExposeSecret::expose_secret(&self.secret))
    }
}

/// The result of a successful token request.
#[derive(Debug)]
struct Granted {
    secret: SecretString,
    lasts: Duration,
}

/// The state of a token.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The mailbox that it is for, in delegated sign-in.
    pub mailbox: Option<Address>,
    /// When the current token expires.
    pub good_until: Option<Timestamp>,
    /// Its claims.
    pub claims: Option<Claims>,
    /// Why the last token request failed.
    pub trouble: Option<Arc<TokenError>>,
}

#[derive(Debug)]
struct Shared {
    account: Account,
    means: Means,
    /// One cache for an app; one for each mailbox in delegated sign-in.
    fetches: Mutex<BTreeMap<Option<String>, Arc<TokenCache>>>,
}

/// Checks whether the relay can read an account's credential.
///
/// # Errors
///
/// It cannot; the text contains the remedy.
pub fn check(account: &Account, means: &Means) -> Result<(), CredentialError> {
    Entra::new(account, &means.http, means.clock.now()).check()
}

impl Tokens {
    /// Returns the tokens of an account, without asking for any yet.
    pub fn new(account: Account, means: Means) -> Self {
        Self {
            shared: Arc::new(Shared {
                account,
                means,
                fetches: Mutex::default(),
            }),
        }
    }

    /// Returns the account that they belong to.
    pub fn account(&self) -> &Account {
        &self.shared.account
    }

    /// Whether they are the app's own, which are valid for all its mailboxes.
    pub fn is_of_the_app(&self) -> bool {
        self.account().sign_in == config::SignIn::Application
    }

    /// Returns a token that Graph should accept now for a request to this mailbox.
    ///
    /// # Errors
    ///
    /// There is no valid token, and none could be obtained.
    pub async fn token(&self, mailbox: &Address) -> Result<Token, Arc<TokenError>> {
        if !self.may_have_one(mailbox) {
            // Not a cache for every name that a From can have.
            let mailbox = mailbox.clone();
            return Err(Arc::new(TokenError::NotSignedIn { mailbox }));
        }
        let cache = self.cache(mailbox);
        cache.token(self.shared.grant(mailbox)).await
    }

    /// Graph refused this token: it is not used again.
    pub fn refuse(&self, token: &Token) {
        let fetches = self.shared.fetches();
        let name = token.mailbox.as_ref().map(Address::key);
        if let Some(cache) = fetches.get(&name) {
            cache.refuse(token);
        }
    }

    /// Graph refused a request that this token does not allow. The permission may have been
    /// granted since, so a new token is requested; this one is used until it arrives.
    pub fn outdate(&self, token: &Token) {
        let fetches = self.shared.fetches();
        let name = token.mailbox.as_ref().map(Address::key);
        if let Some(cache) = fetches.get(&name) {
            cache.outdate(token);
        }
    }

    fn may_have_one(&self, mailbox: &Address) -> bool {
        let Shared { account, means, .. } = &*self.shared;
        let store = means.store.as_ref();
        account.sign_in == config::SignIn::Application
            || store.is_some_and(|store| store.find(&account.name, mailbox).is_some())
    }

    /// Returns the state of each token that was requested so far.
    pub fn standing(&self) -> Vec<Standing> {
        let fetches = self.shared.fetches();
        let standing = fetches.values().map(|cache| {
            let (token, trouble) = cache.standing();
            Standing {
                mailbox: cache.mailbox.clone(),
                good_until: token.as_ref().map(|(_, until)| *until),
                claims: token.and_then(|(token, _)| token.claims()),
                trouble,
            }
        });
        standing.collect()
    }

    fn cache(&self, mailbox: &Address) -> Arc<TokenCache> {
        let Shared { account, means, .. } = &*self.shared;
        let mailbox = match account.sign_in {
            config::SignIn::Application => None,
            config::SignIn::Delegated => Some(mailbox),
        };
        let new = || Arc::new(TokenCache::new(mailbox.cloned(), means.clock.clone()));
        let mut fetches = self.shared.fetches();
        Arc::clone(fetches.entry(mailbox.map(Address::key)).or_insert_with(new))
    }
}

impl Shared {
    async fn grant(&self, mailbox: &Address) -> Result<Granted, TokenError> {
        let Self { account, means, .. } = self;
        let now = means.clock.now();
        if account.sign_in == config::SignIn::Delegated {
            return delegated::grant(account, means, mailbox).await;
        }
        if let Credential::ManagedIdentity(id) = &account.credential {
            let resource = &account.graph_resource;
            return managed_identity::grant(id.as_deref(), resource, &means.direct, now).await;
        }
        let answer = Entra::new(account, &means.http, now).as_app().await?;
        Ok(answer.granted())
    }

    fn fetches(&self) -> std::sync::MutexGuard<'_, BTreeMap<Option<String>, Arc<TokenCache>>> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
