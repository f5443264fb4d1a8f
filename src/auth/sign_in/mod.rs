//! Signing in a mailbox, once: authorization code with PKCE (RFC 6749 4.1, RFC 7636,
//! RFC 8252) or device code (RFC 8628).
//!
//! Promises: an answer is accepted only if it belongs to the request (`state`, `nonce`,
//! PKCE). Only the mailbox itself can sign in for it, and another user's attempt does not
//! end its sign-in. Verifier, code and tokens never leave the relay. `cli/login.rs`
//! shows the user what to do and listens for the browser.

mod sealed;
pub(super) mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use oauth2::CsrfToken;
use oauth2::PkceCodeVerifier;
use oauth2::StandardDeviceAuthorizationResponse;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;
use ulid::Ulid;

use self::store::SignIn;
use self::store::StoreError;
use super::Tokens;
use super::error::TokenError;
use super::error::aadsts;
use super::tokens::answer::Claims;
use super::tokens::answer::TokenAnswer;
use super::tokens::entra::Entra;
use crate::config;
use crate::config::Account;
use crate::config::Mailbox;
use crate::http::one_line;
use crate::mail::Address;

/// The sign-ins that have begun; clones share them.
#[derive(Clone, Debug)]
pub struct SignIns {
    /// In the order of the configuration.
    accounts: Vec<Tokens>,
    begun: Arc<Mutex<BTreeMap<Ulid, Pending>>>,
}

/// How a user signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// In a browser, which then opens this address on the user's machine.
    Browser {
        /// `http://localhost` with any port; the app registration must have it.
        redirect_uri: String,
    },
    /// On another device, with a code.
    Device,
}

/// A sign-in that waits for its user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begun {
    /// The ID with which to continue.
    pub id: Ulid,
    /// The account that it is for.
    pub account: String,
    /// Where the person goes.
    pub url: String,
    /// What the user types there, with a device code.
    pub user_code: Option<String>,
}

/// Why a sign-in failed; the text contains the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No account sends from this mailbox with delegated sign-in.
    #[error(
        "no [[account]] with sign_in = \"delegated\" sends from {0}: compare mailbox and senders \
         in relay.toml, and restart the relay after a change"
    )]
    NoAccount(Address),
    /// It never began, has ended, or took too long.
    #[error("this sign-in is no longer valid: start again")]
    Over,
    /// The address has neither a code nor an error.
    #[error(
        "this is not the address at which the browser ended: it starts with the redirect URI and \
             contains \"code=\""
    )]
    Address,
    /// It belongs to another request or an earlier one.
    #[error("this address belongs to another sign-in: use the newest one, or start again")]
    State,
    /// The user or Entra refused.
    #[error("Entra did not sign in: {description}")]
    Declined {
        /// `AADSTSn`, or else the error word of RFC 6749.
        code: String,
        /// One line.
        description: String,
    },
    /// The tokens could not be obtained.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Entra does not accept the code: it belongs to another sign-in, or is too old.
    #[error("Entra does not accept the code in this address: {0}")]
    Code(#[source] TokenError),
    /// Another user has signed in.
    #[error(
        "{signed_in} has signed in, and the mailbox is {mailbox}: sign out in the browser (or use \
         a private window) and sign in as {mailbox}; if that is the same person, write the user \
         principal name as mailbox"
    )]
    WrongPerson {
        /// Who should have signed in.
        mailbox: Address,
        /// Who has signed in.
        signed_in: String,
    },
    /// A user of another tenant has signed in.
    #[error(
        "a user of tenant {tid} has signed in, but relay.toml has tenant {tenant}: sign out in \
             the browser, and sign in there with the work account"
    )]
    WrongTenant {
        /// The tenant of that user.
        tid: String,
        /// The tenant in relay.toml.
        tenant: String,
    },
    /// The answer does not belong to the request.
    #[error("the answer does not belong to this sign-in (its id token): start again")]
    Identity,
    /// Without a refresh token the relay cannot continue without the user.
    #[error("Entra gave no refresh token: the app registration must be allowed offline_access")]
    NoRefreshToken,
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SignInError {
    /// Whether the right user can still sign in, because another user signed in or the
    /// browser came back with something else. A device code needs a new one then.
    pub fn leaves_it_open(&self) -> bool {
        match self {
            Self::Address
            | Self::State
            | Self::Code(_)
            | Self::WrongPerson { .. }
            | Self::WrongTenant { .. }
            | Self::Identity => true,
            Self::NoAccount(_)
            | Self::Over
            | Self::Declined { .. }
            | Self::Token(_)
            | Self::NoRefreshToken
            | Self::Store(_) => false,
        }
    }
}

#[derive(Debug)]
struct Pending {
    tokens: Tokens,
    mailbox: Address,
    begun_at: Instant,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Browser {
        redirect_uri: String,
        state: CsrfToken,
        verifier: PkceCodeVerifier,
        nonce: String,
    },
    Device(Box<StandardDeviceAuthorizationResponse>),
}

/// What the user's answer is compared with.
enum Proof {
    Browser {
        code: String,
        redirect_uri: String,
        verifier: PkceCodeVerifier,
        nonce: String,
    },
    Device(Box<StandardDeviceAuthorizationResponse>),
}

/// A user may have to look for a telephone.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// More than anybody begins by hand.
const MOST: usize = 100;

impl SignIns {
    /// Of these accounts.
    pub fn new(accounts: Vec<Tokens>) -> Self {
        Self {
            accounts,
            begun: Arc::default(),
        }
    }

    /// All accounts, in the configuration's order.
    pub fn accounts(&self) -> &[Tokens] {
        &self.accounts
    }

    /// Returns the name of the account whose mailbox it is, if it signs in itself.
    pub fn account_of(&self, mailbox: &Address, account: Option<&str>) -> Option<String> {
        let tokens = self.find(mailbox, account).ok()?;
        Some(tokens.account().name.clone())
    }

    /// Begins a sign-in of a mailbox, for the account with this name or for the first that
    /// sends from it.
    ///
    /// # Errors
    ///
    /// No account sends from it, or Entra does not know the app.
    pub async fn begin(
        &self,
        mailbox: Address,
        account: Option<&str>,
        way: Way,
    ) -> Result<Begun, SignInError> {
        let tokens = self.find(&mailbox, account)?;
        let means = &tokens.shared.means;
        let entra = Entra::new(tokens.account(), &means.http, means.clock.now());
        let (url, user_code, step) = match way {
            Way::Browser { redirect_uri } => {
                let nonce = Ulid::new().to_string() + &Ulid::new().to_string();
                let invitation = entra.invite(&redirect_uri, mailbox.as_str(), &nonce)?;
                let step = Step::Browser {
                    redirect_uri,
                    state: invitation.state,
                    verifier: invitation.verifier,
                    nonce,
                };
                (invitation.url.to_string(), None, step)
            }
            Way::Device => {
                let device = entra.device().await?;
                let url = device.verification_uri().to_string();
                let user_code = device.user_code().secret().clone();
                (url, Some(user_code), Step::Device(Box::new(device)))
            }
        };
        let id = Ulid::new();
        let account = tokens.account().name.clone();
        let pending = Pending {
            tokens: tokens.clone(),
            mailbox,
            begun_at: Instant::now(),
            step,
        };
        let mut begun = self.begun();
        while begun.len() >= MOST {
            drop(begun.pop_first());
        }
        begun.insert(id, pending);
        Ok(Begun {
            id,
            account,
            url,
            user_code,
        })
    }

    /// Continues with the address at which the browser ended, or waits for the user who has
    /// a device code.
    ///
    /// # Errors
    ///
    /// Says why nobody is signed in, and whether that
    /// [leaves it open](SignInError::leaves_it_open). A sign-in in a browser can then be
    /// continued at the same URL; any other has to begin again.
    pub async fn finish(
        &self,
        id: Ulid,
        address: Option<&str>,
    ) -> Result<(Tokens, Address), SignInError> {
        let ended = match self.proof(id, address) {
            Ok((tokens, mailbox, proof)) => match redeem(&tokens, &mailbox, proof).await {
                Ok(()) => Ok((tokens, mailbox)),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        if ended
            .as_ref()
            .err()
            .is_none_or(|error| !error.leaves_it_open())
        {
            drop(self.begun().remove(&id));
        }
        ended
    }

    /// Deletes the sign-in of a mailbox. Returns its account, and whether there was one.
    ///
    /// # Errors
    ///
    /// No account has it, or its file cannot be removed.
    pub async fn forget(
        &self,
        mailbox: &Address,
        account: Option<&str>,
    ) -> Result<(String, bool), SignInError> {
        let tokens = self.find(mailbox, account)?;
        let name = tokens.account().name.clone();
        let forgotten = match &tokens.shared.means.store {
            Some(store) => store.forget(&name, mailbox).await,
            None => Ok(false),
        };
        // Requests under way find no sign-in any more, and earlier tokens are deleted.
        tokens.cache(mailbox).empty().await;
        Ok((name, forgotten?))
    }

    /// The account whose mailbox it is.
    fn find(&self, mailbox: &Address, name: Option<&str>) -> Result<&Tokens, SignInError> {
        let wants = |tokens: &&Tokens| {
            let account = tokens.account();
            account.sign_in == config::SignIn::Delegated
                && name.is_none_or(|name| account.name == name)
                && match &account.mailbox {
                    Mailbox::Fixed(fixed) => fixed.key() == mailbox.key(),
                    Mailbox::From => account.serves(mailbox),
                }
        };
        let found = self.accounts.iter().find(wants);
        found.ok_or_else(|| SignInError::NoAccount(mailbox.clone()))
    }

    /// The mailbox of the sign-in, and the credential for Entra.
    fn proof(
        &self,
        id: Ulid,
        address: Option<&str>,
    ) -> Result<(Tokens, Address, Proof), SignInError> {
        let mut begun = self.begun();
        let pending = begun.get(&id).ok_or(SignInError::Over)?;
        if pending.begun_at.elapsed() > LIFE {
            return Err(SignInError::Over);
        }
        let (tokens, mailbox) = (pending.tokens.clone(), pending.mailbox.clone());
        let proof = match &pending.step {
            Step::Browser {
                redirect_uri,
                state,
                verifier,
                nonce,
            } => Proof::Browser {
                code: code(address.ok_or(SignInError::Address)?, state)?,
                redirect_uri: redirect_uri.clone(),
                verifier: PkceCodeVerifier::new(verifier.secret().clone()),
                nonce: nonce.clone(),
            },
            Step::Device(device) => {
                let device = device.clone();
                // Only one request may ask for its tokens.
                begun.remove(&id);
                Proof::Device(device)
            }
        };
        Ok((tokens, mailbox, proof))
    }

    fn begun(&self) -> MutexGuard<'_, BTreeMap<Ulid, Pending>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the code in the address at which a browser ended, if that belongs to this
/// sign-in (RFC 6749 4.1.2, 10.12).
fn code(address: &str, state: &CsrfToken) -> Result<String, SignInError> {
    let address = reqwest::Url::parse(address.trim()).map_err(|_| SignInError::Address)?;
    let parameter = |name: &str| {
        let mut pairs = address.query_pairs();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value)
    };
    let (code, error) = (parameter("code"), parameter("error"));
    if code.is_none() && error.is_none() {
        return Err(SignInError::Address);
    }
    if parameter("state").as_deref() != Some(state.secret().as_str()) {
        return Err(SignInError::State);
    }
    match (code, error) {
        (Some(code), None) => Ok(code.into_owned()),
        (_, error) => Err(declined(
            error.as_deref().unwrap_or_default(),
            parameter("error_description")
                .as_deref()
                .unwrap_or_default(),
        )),
    }
}

/// Asks Entra for the tokens, and stores them if they are the mailbox's.
async fn redeem(tokens: &Tokens, mailbox: &Address, proof: Proof) -> Result<(), SignInError> {
    let means = &tokens.shared.means;
    let entra = Entra::new(tokens.account(), &means.http, means.clock.now());
    let (answer, nonce) = match proof {
        Proof::Browser {
            code,
            redirect_uri,
            verifier,
            nonce,
        } => {
            let answer = entra.redeem(code, verifier, &redirect_uri).await;
            (answer.map_err(of_code)?, Some(nonce))
        }
        Proof::Device(device) => (entra.await_device(&device).await?, None),
    };
    let identity = answer.identity().ok_or(SignInError::Identity)?;
    check_identity(&identity, tokens.account(), nonce.as_deref(), mailbox)?;
    keep(tokens, mailbox, &answer).await
}

/// RFC 6749 5.2: `invalid_grant` is about the code, and about nothing else in the
/// request.
fn of_code(error: TokenError) -> SignInError {
    let is_about_code =
        matches!(&error, TokenError::Refused { error, .. } if error == "invalid_grant");
    if is_about_code {
        SignInError::Code(error)
    } else {
        SignInError::Token(error)
    }
}

/// RFC 6749 4.1.2.1.
fn declined(error: &str, description: &str) -> SignInError {
    let code = aadsts(description).map(|number| format!("AADSTS{number}"));
    let description = if description.is_empty() {
        error
    } else {
        description
    };
    SignInError::Declined {
        code: code.unwrap_or_else(|| one_line(error)),
        description: one_line(description),
    }
}

/// OpenID Connect Core 3.1.3.7: the token must be for this app, this sign-in and this
/// mailbox.
fn check_identity(
    identity: &Claims,
    account: &Account,
    nonce: Option<&str>,
    mailbox: &Address,
) -> Result<(), SignInError> {
    let is_ours = identity.aud.eq_ignore_ascii_case(&account.client_id);
    if !is_ours || (nonce.is_some() && identity.nonce.as_deref() != nonce) {
        return Err(SignInError::Identity);
    }
    // The relay does not know the tenant ID of a domain, nor of users at a shared name.
    let is_id = uuid::Uuid::try_parse(&account.tenant).is_ok();
    let tid = identity.tid.as_deref().filter(|_| is_id);
    if let Some(tid) = tid.filter(|tid| !tid.eq_ignore_ascii_case(&account.tenant)) {
        return Err(SignInError::WrongTenant {
            tid: one_line(tid),
            tenant: account.tenant.clone(),
        });
    }
    let is_mailbox = |name: &str| name.eq_ignore_ascii_case(mailbox.as_str());
    if identity.names().any(is_mailbox) {
        return Ok(());
    }
    let signed_in = identity.names().next().unwrap_or("a user without a name");
    Err(SignInError::WrongPerson {
        mailbox: mailbox.clone(),
        signed_in: one_line(signed_in),
    })
}

async fn keep(tokens: &Tokens, mailbox: &Address, answer: &TokenAnswer) -> Result<(), SignInError> {
    let means = &tokens.shared.means;
    let store = means.store.as_ref().ok_or(SignInError::Over)?;
    let now = means.clock.now();
    store
        .keep(SignIn {
            account: tokens.account().name.clone(),
            mailbox: mailbox.clone(),
            refresh_token: answer.refresh().ok_or(SignInError::NoRefreshToken)?,
            signed_in_at: now,
            renewed_at: now,
            refused: None,
        })
        .await?;
    drop(tokens.cache(mailbox).keep(answer.granted()));
    Ok(())
}
