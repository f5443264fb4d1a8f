//! Access tokens: "a token good for some more seconds", and nothing else.
//!
//! Promises: however many ask at once, one request is under way (single
//! flight), and all who waited for it share its result, good or bad; a token is
//! renewed before it ends; one that Graph refused is not handed out again; when
//! renewing fails, the old token serves until it ends; what Entra has refused for
//! good is not asked again and again. Access tokens stay in memory; a refresh
//! token is on disk before it replaces the one before, sealed; neither can be
//! printed (promise 7). What a failure means for a message is decided in
//! `delivery/outcome/`.
//!
//! | file | is |
//! |---|---|
//! | `flight` | one token's life |
//! | `entra`, `answer` | the token endpoint: what is asked, what is answered |
//! | `assertion`, `managed_identity` | what an app shows that has no secret |
//! | `delegated`, `store`, `sealed`, `durable` | acting for people who have signed in |
//! | `sign_in` | their signing in |
//! | `expiry` | until when a credential is good |

mod credentials;
mod error;
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
pub use self::sign_in::Begun;
pub use self::sign_in::SignInError;
pub use self::sign_in::SignIns;
pub use self::sign_in::Way;
pub use self::sign_in::store::Refused;
pub use self::sign_in::store::SignIn;
pub use self::sign_in::store::Store;
pub use self::sign_in::store::StoreError;
pub use self::tokens::answer::Claims;
use self::tokens::delegated;
use self::tokens::entra::Entra;
use self::tokens::flight::Flight;
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

/// What tokens are asked for with.
#[derive(Clone, Debug)]
pub struct Means {
    /// The way to Entra.
    pub http: Http,
    /// The way to services that no proxy could reach: this machine's own.
    pub direct: Http,
    /// What time it is.
    pub clock: Clock,
    /// The sign-ins; there are some where an account is delegated.
    pub store: Option<Store>,
}

impl Means {
    /// As relay.toml says; without sign-ins, which are behind the spool's lock.
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

/// A stand-in on this machine is not to be looked for behind a proxy.
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
    /// Whose it is, in delegated sign-in.
    mailbox: Option<Address>,
    /// Counts the tokens of a flight, so that a refused one is known again.
    serial: u64,
}

impl Token {
    /// For the Authorization header field, and for nothing else.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// What it says of itself, where it can be read.
    pub fn claims(&self) -> Option<Claims> {
        Claims::of(secrecy::ExposeSecret::expose_secret(&self.secret))
    }
}

/// What a grant brings.
#[derive(Debug)]
struct Granted {
    secret: SecretString,
    lasts: Duration,
}

/// How it stands with a token.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Whose token it is, in delegated sign-in.
    pub mailbox: Option<Address>,
    /// Until when the one in hand is good.
    pub good_until: Option<Timestamp>,
    /// What it says of itself.
    pub claims: Option<Claims>,
    /// Why the last request for one brought nothing.
    pub trouble: Option<Arc<TokenError>>,
}

#[derive(Debug)]
struct Shared {
    account: Account,
    means: Means,
    /// One for an app; one for each mailbox in delegated sign-in.
    flights: Mutex<BTreeMap<Option<String>, Arc<Flight>>>,
}

/// Whether what an account shows Entra can be read.
///
/// # Errors
///
/// It cannot; the text carries the remedy.
pub fn check(account: &Account, means: &Means) -> Result<(), CredentialError> {
    Entra::new(account, &means.http, means.clock.now()).check()
}

impl Tokens {
    /// The tokens of an account; asks for none yet.
    pub fn new(account: Account, means: Means) -> Self {
        Self {
            shared: Arc::new(Shared {
                account,
                means,
                flights: Mutex::default(),
            }),
        }
    }

    /// The account that they are of.
    pub fn account(&self) -> &Account {
        &self.shared.account
    }

    /// Whether they are the app's own, for whichever mailbox.
    pub fn is_of_the_app(&self) -> bool {
        self.account().sign_in == config::SignIn::Application
    }

    /// A token that Graph should take now for a request to this mailbox.
    ///
    /// # Errors
    ///
    /// There is none that is good, and none could be had.
    pub async fn token(&self, mailbox: &Address) -> Result<Token, Arc<TokenError>> {
        if !self.may_have_one(mailbox) {
            // No flight for every name that a From can have.
            let mailbox = mailbox.clone();
            return Err(Arc::new(TokenError::NotSignedIn { mailbox }));
        }
        let flight = self.flight(mailbox);
        flight.token(self.shared.grant(mailbox)).await
    }

    /// Graph refused this token: it is not handed out again.
    pub fn refuse(&self, token: &Token) {
        let flights = self.shared.flights();
        let name = token.mailbox.as_ref().map(Address::key);
        if let Some(flight) = flights.get(&name) {
            flight.refuse(token);
        }
    }

    /// Graph refused what this token does not allow, which may have been granted
    /// since: a new one is asked for, and this one serves until there is one.
    pub fn outdate(&self, token: &Token) {
        let flights = self.shared.flights();
        let name = token.mailbox.as_ref().map(Address::key);
        if let Some(flight) = flights.get(&name) {
            flight.outdate(token);
        }
    }

    fn may_have_one(&self, mailbox: &Address) -> bool {
        let Shared { account, means, .. } = &*self.shared;
        let store = means.store.as_ref();
        account.sign_in == config::SignIn::Application
            || store.is_some_and(|store| store.find(&account.name, mailbox).is_some())
    }

    /// How it stands with each token that was asked for.
    pub fn standing(&self) -> Vec<Standing> {
        let flights = self.shared.flights();
        let standing = flights.values().map(|flight| {
            let (token, trouble) = flight.standing();
            Standing {
                mailbox: flight.mailbox.clone(),
                good_until: token.as_ref().map(|(_, until)| *until),
                claims: token.and_then(|(token, _)| token.claims()),
                trouble,
            }
        });
        standing.collect()
    }

    fn flight(&self, mailbox: &Address) -> Arc<Flight> {
        let Shared { account, means, .. } = &*self.shared;
        let mailbox = match account.sign_in {
            config::SignIn::Application => None,
            config::SignIn::Delegated => Some(mailbox),
        };
        let new = || Arc::new(Flight::new(mailbox.cloned(), means.clock.clone()));
        let mut flights = self.shared.flights();
        Arc::clone(flights.entry(mailbox.map(Address::key)).or_insert_with(new))
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

    fn flights(&self) -> std::sync::MutexGuard<'_, BTreeMap<Option<String>, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
