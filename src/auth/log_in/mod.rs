//! Logging in to the admin page with Entra: OpenID Connect, authorization code with PKCE
//! (OpenID Connect Core 3.1, RFC 7636), by the app of an account.
//!
//! Promises: an answer is accepted only with the secret of the browser that began the log-in,
//! from which `state`, `nonce` and the verifier follow, so that nothing has to be kept here.
//! The ID token is verified in full (`id_token.rs`). Nobody is known by a claim that users or
//! other tenants can set.

mod id_token;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::PkceCodeVerifier;
use reqwest::Method;
use reqwest::Url;
use ring::digest;
use serde::Deserialize;

use self::id_token::Expected;
use self::id_token::IdToken;
pub use self::id_token::IdTokenError;
use self::id_token::Keys;
use super::Means;
use super::error::TokenError;
use super::tokens::entra::Entra;
use crate::config::Account;
use crate::http::TransportError;
use crate::http::one_line;

/// A log-in of one browser: what follows from its secret.
#[derive(Clone)]
pub struct LogInAttempt {
    secret: String,
}

impl std::fmt::Debug for LogInAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogInAttempt(..)")
    }
}

impl LogInAttempt {
    /// The log-in of the browser that has this secret of 256 random bits.
    pub fn of(secret: &str) -> Self {
        let secret = secret.to_owned();
        Self { secret }
    }

    /// What the address has to contain at which the browser comes back.
    pub fn state(&self) -> String {
        self.derived("state")
    }

    fn derived(&self, purpose: &str) -> String {
        let text = format!("{purpose}\0{}", self.secret);
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }

    fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.derived("verifier"))
    }
}

/// Somebody who has logged in at Entra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The name to show.
    pub name: String,
    /// The user principal name, of a user whose home is the tenant. The name of a guest is up
    /// to somebody else.
    pub upn: Option<String>,
    /// The object IDs of the user and of the user's groups.
    pub ids: Vec<String>,
    /// Entra left out the groups, because there are too many.
    pub groups_are_missing: bool,
}

/// Why somebody is not logged in; the text contains the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// The user or Entra refused.
    #[error("Entra did not log in: {description}")]
    Declined {
        /// `AADSTSn`, or else the error word of RFC 6749.
        code: String,
        /// One line.
        description: String,
    },
    /// The answer belongs to another browser or an earlier log-in.
    #[error("this answer belongs to another log-in: begin again")]
    State,
    /// The token endpoint refused.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The keys of Entra cannot be read.
    #[error("cannot read the keys with which Entra signs: {0}")]
    Keys(String),
    /// The ID token is not good.
    #[error("the ID token of Entra is not accepted: {0}")]
    IdToken(#[from] IdTokenError),
}

impl From<TransportError> for LogInError {
    fn from(error: TransportError) -> Self {
        Self::Keys(error.to_string())
    }
}

impl LogInError {
    /// The code in the catalogue, if there is one.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Declined { code, .. } => Some(code.clone()),
            Self::Token(error) => error.code(),
            Self::State | Self::Keys(_) | Self::IdToken(_) => None,
        }
    }
}

/// What the tenant says of itself (OpenID Connect Discovery 3).
#[derive(Debug, Deserialize)]
struct Tenant {
    issuer: String,
    jwks_uri: String,
}

/// Returns the address at which a user logs in.
///
/// # Errors
///
/// The addresses of relay.toml cannot be used.
pub fn url(
    account: &Account,
    means: &Means,
    attempt: &LogInAttempt,
    state: &str,
    redirect_uri: &str,
) -> Result<String, LogInError> {
    let entra = Entra::new(account, &means.http, means.clock.now());
    let (nonce, verifier) = (attempt.derived("nonce"), attempt.verifier());
    let url = entra.log_in_url(redirect_uri, state, &nonce, &verifier)?;
    Ok(url.to_string())
}

/// Ends a log-in with the address at which the browser came back; its `state` begins with
/// that of the attempt.
///
/// # Errors
///
/// Says why nobody is logged in.
pub async fn finish(
    account: &Account,
    means: &Means,
    attempt: &LogInAttempt,
    address: &str,
    redirect_uri: &str,
) -> Result<LoggedIn, LogInError> {
    let code = code(address, attempt)?;
    let entra = Entra::new(account, &means.http, means.clock.now());
    let answer = entra.redeem(code, attempt.verifier(), redirect_uri).await?;
    let token = answer.id_token().ok_or(IdTokenError::Missing)?;
    let tenant: Tenant = read(means, &entra.discovery_url()).await?;
    // What the document says is trusted because it comes from the tenant's own address.
    let is_of_tenant =
        |url: &str| origin(url).is_some_and(|it| Some(it) == origin(&account.login_url));
    if !is_of_tenant(&tenant.jwks_uri) {
        let words = format!("{} is at another host than login_url", tenant.jwks_uri);
        return Err(LogInError::Keys(one_line(&words)));
    }
    let keys: Keys = read(means, &tenant.jwks_uri).await?;
    let expected = Expected {
        issuer: &tenant.issuer,
        client_id: &account.client_id,
        tenant: &account.tenant,
        nonce: &attempt.derived("nonce"),
        now: means.clock.now(),
    };
    Ok(person(id_token::verify(token, &keys, &expected)?))
}

fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(url.origin().ascii_serialization())
}

/// Reads a document of Entra.
async fn read<T: serde::de::DeserializeOwned>(means: &Means, url: &str) -> Result<T, LogInError> {
    let unusable = |why: String| LogInError::Keys(one_line(&format!("{url}: {why}")));
    let parsed = Url::parse(url).map_err(|error| unusable(error.to_string()))?;
    let request = means.http.request(Method::GET, parsed);
    let answer = means.http.send(request, 0).await?;
    if answer.status != 200 {
        return Err(unusable(format!("HTTP status {}", answer.status)));
    }
    serde_json::from_slice(&answer.body).map_err(|error| unusable(error.to_string()))
}

/// The code in the address, if that belongs to this attempt.
fn code(address: &str, attempt: &LogInAttempt) -> Result<String, LogInError> {
    let address = Url::parse(address).map_err(|_| LogInError::State)?;
    let parameter = |name: &str| {
        let mut pairs = address.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    let state = parameter("state").unwrap_or_default();
    if state.split('.').next() != Some(attempt.state().as_str()) {
        return Err(LogInError::State);
    }
    match (parameter("code"), parameter("error")) {
        (Some(code), None) => Ok(code),
        (_, error) => {
            let error = error.unwrap_or_default();
            let description = parameter("error_description").unwrap_or_else(|| error.clone());
            let code = super::error::aadsts(&description);
            Err(LogInError::Declined {
                code: code.map_or_else(|| one_line(&error), |number| format!("AADSTS{number}")),
                description: one_line(&description),
            })
        }
    }
}

fn person(token: IdToken) -> LoggedIn {
    let is_at_home = token.is_at_home();
    let groups_are_missing = token.groups_are_missing();
    let name = token.preferred_username.clone();
    LoggedIn {
        name: one_line(&name.unwrap_or_else(|| token.oid.clone())),
        upn: token.preferred_username.filter(|_| is_at_home),
        ids: [token.oid].into_iter().chain(token.groups).collect(),
        groups_are_missing,
    }
}
