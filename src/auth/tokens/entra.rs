//! Entra's endpoints for one account: its credential, and the grants of its requests (RFC
//! 6749; Entra pages "OAuth 2.0 client credentials flow", "authorization code flow",
//! "device authorization grant").
//!
//! The `oauth2` crate builds the requests, and our one HTTP client sends them. The crate
//! keeps only the standard fields of an answer. The relay also needs the status, Retry-After
//! and Entra's additions, so it keeps the answer itself.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use oauth2::AsyncHttpClient;
use oauth2::AuthUrl;
use oauth2::AuthorizationCode;
use oauth2::Client;
use oauth2::ClientId;
use oauth2::CsrfToken;
use oauth2::DeviceAuthorizationUrl;
use oauth2::EndpointNotSet;
use oauth2::EndpointSet;
use oauth2::ErrorResponse;
use oauth2::HttpRequest;
use oauth2::HttpResponse;
use oauth2::PkceCodeChallenge;
use oauth2::PkceCodeVerifier;
use oauth2::RedirectUrl;
use oauth2::RefreshToken;
use oauth2::RequestTokenError;
use oauth2::Scope;
use oauth2::StandardDeviceAuthorizationResponse;
use oauth2::StandardRevocableToken;
use oauth2::TokenUrl;
use oauth2::basic::BasicErrorResponse;
use oauth2::basic::BasicRevocationErrorResponse;
use oauth2::basic::BasicTokenIntrospectionResponse;
use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::answer::TokenAnswer;
use crate::auth::credentials::assertion::assertion;
use crate::auth::error::CredentialError;
use crate::auth::error::TokenError;
use crate::clock::Timestamp;
use crate::config::Account;
use crate::config::Credential;
use crate::disk;
use crate::http::Answer;
use crate::http::Http;
use crate::http::TransportError;

/// RFC 7523 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The answer to a poll until the user has typed the code (RFC 8628 3.5).
const NOT_YET: [&str; 2] = ["authorization_pending", "slow_down"];
/// While polls for a device code get no answer at all, the relay polls no more often than
/// this.
const SLOWEST_POLL: Duration = Duration::from_secs(15);

/// The client of the `oauth2` crate, with all endpoints of the account.
type EntraClient = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The connection of an account to Entra, for one request.
#[derive(Debug)]
pub(in crate::auth) struct Entra<'a> {
    account: &'a Account,
    wire: Wire<'a>,
    now: Timestamp,
}

/// Where a user is sent to sign in, and what must come back.
#[derive(Debug)]
pub(in crate::auth) struct Invitation {
    pub(in crate::auth) url: reqwest::Url,
    pub(in crate::auth) state: CsrfToken,
    pub(in crate::auth) verifier: PkceCodeVerifier,
}

impl<'a> Entra<'a> {
    pub(in crate::auth) fn new(account: &'a Account, http: &'a Http, now: Timestamp) -> Self {
        let kept = Mutex::new(None);
        Self {
            account,
            wire: Wire { http, kept },
            now,
        }
    }

    /// Checks whether the credential can be read.
    pub(in crate::auth) fn check(&self) -> Result<(), CredentialError> {
        self.proof().map(drop)
    }

    /// Asks for a token of the app's own (RFC 6749 4.4).
    pub(in crate::auth) async fn as_app(&self) -> Result<TokenAnswer, TokenError> {
        let client = self.client()?;
        // All application permissions that are granted for Graph.
        let scope = format!("{}/.default", self.account.graph_resource);
        let mut request = client
            .exchange_client_credentials()
            .add_scope(Scope::new(scope));
        for (name, value) in self.proof()? {
            request = request.add_extra_param(name, value);
        }
        self.wire.told(request.request_async(&self.wire).await)
    }

    /// Asks for a token for a user who has signed in before (RFC 6749 6).
    pub(in crate::auth) async fn refresh(
        &self,
        token: &SecretString,
    ) -> Result<TokenAnswer, TokenError> {
        let client = self.client()?;
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let mut request = client
            .exchange_refresh_token(&token)
            .add_scopes(self.scopes());
        for (name, value) in self.proof()? {
            request = request.add_extra_param(name, value);
        }
        self.wire.told(request.request_async(&self.wire).await)
    }

    /// Returns the page where a user signs in (RFC 6749 4.1.1, with RFC 7636).
    pub(in crate::auth) fn invite(
        &self,
        redirect_uri: &str,
        login_hint: &str,
        nonce: &str,
    ) -> Result<Invitation, TokenError> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client()?;
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scopes())
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Owned(redirect_url(redirect_uri)?))
            .add_extra_param("response_mode", "query")
            // The user who is signed in already may be another one.
            .add_extra_param("prompt", "select_account")
            .add_extra_param("login_hint", login_hint)
            .add_extra_param("nonce", nonce)
            .url();
        Ok(Invitation {
            url,
            state,
            verifier,
        })
    }

    /// Where a user logs in to the admin page (OpenID Connect Core 3.1.2.1): Entra says who it
    /// is, and nothing else is asked for.
    pub(in crate::auth) fn log_in_url(
        &self,
        redirect_uri: &str,
        state: &str,
        nonce: &str,
        verifier: &PkceCodeVerifier,
    ) -> Result<reqwest::Url, TokenError> {
        let client = self.client()?;
        let (url, _) = client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .add_scopes(["openid", "profile"].map(|name| Scope::new(name.to_owned())))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(verifier))
            .set_redirect_uri(Cow::Owned(redirect_url(redirect_uri)?))
            .add_extra_param("response_mode", "query")
            .add_extra_param("prompt", "select_account")
            .add_extra_param("nonce", nonce)
            .url();
        Ok(url)
    }

    /// Where the tenant says who it is.
    pub(in crate::auth) fn discovery_url(&self) -> String {
        let Account {
            login_url, tenant, ..
        } = self.account;
        format!("{login_url}/{tenant}/v2.0/.well-known/openid-configuration")
    }

    /// Asks for the tokens for a code that a user came back with (RFC 6749 4.1.3).
    pub(in crate::auth) async fn redeem(
        &self,
        code: String,
        verifier: PkceCodeVerifier,
        redirect_uri: &str,
    ) -> Result<TokenAnswer, TokenError> {
        let client = self.client()?;
        let mut request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .set_redirect_uri(Cow::Owned(redirect_url(redirect_uri)?));
        for (name, value) in self.proof()? {
            request = request.add_extra_param(name, value);
        }
        self.wire.told(request.request_async(&self.wire).await)
    }

    /// Asks for a code that a user types on another device (RFC 8628 3.1).
    pub(in crate::auth) async fn device(
        &self,
    ) -> Result<StandardDeviceAuthorizationResponse, TokenError> {
        let client = self.client()?;
        let mut request = client.exchange_device_code().add_scopes(self.scopes());
        for (name, value) in self.proof()? {
            request = request.add_extra_param(name, value);
        }
        self.wire.told(request.request_async(&self.wire).await)
    }

    /// Asks for its tokens, once the user has typed it (RFC 8628 3.4).
    pub(in crate::auth) async fn await_device(
        &self,
        device: &StandardDeviceAuthorizationResponse,
    ) -> Result<TokenAnswer, TokenError> {
        let client = self.client()?;
        let mut request = client
            .exchange_device_access_token(device)
            .set_max_backoff_interval(SLOWEST_POLL);
        for (name, value) in self.proof()? {
            request = request.add_extra_param(name, value);
        }
        let polled = request.request_async(&self.wire, tokio::time::sleep, None);
        let told = self.wire.told(polled.await);
        match told {
            // The last answer was "not yet", and the code has expired.
            Err(TokenError::Refused { status, error, .. }) if NOT_YET.contains(&error.as_str()) => {
                Err(TokenError::Refused {
                    status,
                    error: "expired_token".to_owned(),
                    aadsts: None,
                    description: "the code was not typed in time".to_owned(),
                })
            }
            Ok(_) | Err(_) => told,
        }
    }

    /// The permissions that the relay asks a user for: to send; to create drafts if a message
    /// may need one; and to continue without the user.
    fn scopes(&self) -> Vec<Scope> {
        let resource = &self.account.graph_resource;
        let mail = [
            ("Mail.Send", true),
            ("Mail.ReadWrite", self.account.needs_drafts),
        ];
        let of_graph = mail.into_iter().filter(|(_, wanted)| *wanted);
        let of_graph = of_graph.map(|(name, _)| format!("{resource}/{name}"));
        let of_openid = ["openid", "profile", "offline_access"].map(str::to_owned);
        of_graph.chain(of_openid).map(Scope::new).collect()
    }

    /// Adds the credential that proves the app's identity.
    fn proof(&self) -> Result<Vec<(&'static str, String)>, CredentialError> {
        let asserted = |assertion: String| {
            vec![
                ("client_assertion_type", ASSERTION_TYPE.to_owned()),
                ("client_assertion", assertion),
            ]
        };
        Ok(match &self.account.credential {
            Credential::Secret { source, .. } => {
                vec![("client_secret", source.read()?.expose_secret().to_owned())]
            }
            Credential::Certificate(files) => {
                let client_id = &self.account.client_id;
                asserted(assertion(files, client_id, &self.url("token"), self.now)?)
            }
            Credential::FederatedToken(path) => {
                let token = disk::read_small_text(path).map_err(|error| {
                    let path = path.clone();
                    CredentialError::FederatedToken { path, error }
                })?;
                asserted(token.trim().to_owned())
            }
            Credential::ManagedIdentity(_) | Credential::Nothing => Vec::new(),
        })
    }

    fn url(&self, endpoint: &str) -> String {
        let Account {
            login_url, tenant, ..
        } = self.account;
        format!("{login_url}/{tenant}/oauth2/v2.0/{endpoint}")
    }

    fn client(&self) -> Result<EntraClient, TokenError> {
        let unusable = |error: oauth2::url::ParseError| self.unusable(&error);
        let client = Client::new(ClientId::new(self.account.client_id.clone()));
        Ok(client
            .set_auth_uri(AuthUrl::new(self.url("authorize")).map_err(unusable)?)
            .set_token_uri(TokenUrl::new(self.url("token")).map_err(unusable)?)
            .set_device_authorization_url(
                DeviceAuthorizationUrl::new(self.url("devicecode")).map_err(unusable)?,
            ))
    }

    fn unusable(&self, error: &dyn std::error::Error) -> TokenError {
        let host = self.account.login_url.clone();
        let reason = error.to_string();
        TransportError::NotSent { host, reason }.into()
    }
}

fn redirect_url(text: &str) -> Result<RedirectUrl, TokenError> {
    RedirectUrl::new(text.to_owned()).map_err(|_| TokenError::no_answer())
}

/// The HTTP client, in the form that the `oauth2` crate expects.
#[derive(Debug)]
struct Wire<'a> {
    http: &'a Http,
    /// The last answer.
    kept: Mutex<Option<Answer>>,
}

impl Wire<'_> {
    /// Translates a result of the crate.
    fn told<T, E: ErrorResponse>(
        &self,
        result: Result<T, RequestTokenError<TransportError, E>>,
    ) -> Result<T, TokenError> {
        let error = match result {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if let RequestTokenError::Request(error) = error {
            return Err(error.into());
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Err(kept
            .as_ref()
            .map_or_else(TokenError::no_answer, TokenError::of))
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let (parts, body) = request.into_parts();
        let unusable = |reason: String| TransportError::NotSent {
            host: parts.uri.host().unwrap_or_default().to_owned(),
            reason,
        };
        let url = reqwest::Url::parse(&parts.uri.to_string());
        let url = url.map_err(|error| unusable(error.to_string()))?;
        let size = body.len() as u64;
        let post = self
            .http
            .request(reqwest::Method::POST, url)
            .headers(parts.headers.clone())
            .body(body);
        let answer = self.http.send(post, size).await?;
        let mut response = HttpResponse::new(answer.body.to_vec());
        *response.status_mut() = oauth2::http::StatusCode::from_u16(answer.status)
            .map_err(|error| unusable(error.to_string()))?;
        *response.headers_mut() = answer.headers.clone();
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Wire<'_> {
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, TransportError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.exchange(request))
    }
}
