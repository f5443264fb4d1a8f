//! The client credentials grant (RFC 6749 4.4; "OAuth 2.0 client credentials
//! flow on the Microsoft identity platform") with a client secret.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use oauth2::AuthType;
use oauth2::ClientId;
use oauth2::ClientSecret;
use oauth2::HttpRequest;
use oauth2::HttpResponse;
use oauth2::Scope;
use oauth2::TokenResponse;
use oauth2::TokenUrl;
use oauth2::basic::BasicClient;
use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::Granted;
use super::TokenError;
use crate::config::Account;
use crate::http::Answer;
use crate::http::Http;
use crate::http::TransportError;

/// When an answer does not say how long its token lasts: less than any that
/// Entra gives out.
const DEFAULT_LIFE: Duration = Duration::from_secs(10 * 60);

pub(super) async fn grant(account: &Account, http: &Http) -> Result<Granted, TokenError> {
    let secret = account.client_secret.read()?;
    let Account {
        login_url, tenant, ..
    } = account;
    let url = format!("{login_url}/{tenant}/oauth2/v2.0/token");
    let url = TokenUrl::new(url).map_err(|error| TransportError::NotSent {
        host: login_url.clone(),
        reason: error.to_string(),
    })?;
    let client = BasicClient::new(ClientId::new(account.client_id.clone()))
        .set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(url);
    // The crate keeps of an answer what RFC 6749 knows; status, Retry-After and
    // Entra's additions are needed too, so the answer itself is kept aside.
    let kept = Arc::new(Mutex::new(None));
    let (client_of, keep) = (http.clone(), Arc::clone(&kept));
    let exchange =
        move |request: HttpRequest| exchange(client_of.clone(), request, Arc::clone(&keep));
    let granted = client
        .exchange_client_credentials()
        .add_scope(Scope::new(scope(account)))
        .request_async(&exchange)
        .await;
    match granted {
        Ok(token) => Ok(Granted {
            secret: SecretString::from(token.access_token().secret().as_str()),
            lasts: token.expires_in().unwrap_or(DEFAULT_LIFE),
        }),
        Err(oauth2::RequestTokenError::Request(error)) => Err(error.into()),
        Err(
            oauth2::RequestTokenError::ServerResponse(_)
            | oauth2::RequestTokenError::Parse(..)
            | oauth2::RequestTokenError::Other(_),
        ) => {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            Err(kept.as_ref().map_or_else(no_answer, TokenError::of))
        }
    }
}

/// The scope of all application permissions that were granted for a resource;
/// the resource is Graph in the account's cloud.
fn scope(account: &Account) -> String {
    let loopback = account.graph_url.starts_with("http://");
    let resource = if loopback {
        // A stand-in speaks for the global cloud.
        "https://graph.microsoft.com"
    } else {
        account.graph_url.as_str()
    };
    format!("{resource}/.default")
}

async fn exchange(
    http: Http,
    request: HttpRequest,
    kept: Arc<Mutex<Option<Answer>>>,
) -> Result<HttpResponse, TransportError> {
    let (parts, body) = request.into_parts();
    let unusable = |reason: String| TransportError::NotSent {
        host: parts.uri.host().unwrap_or_default().to_owned(),
        reason,
    };
    let url = reqwest::Url::parse(&parts.uri.to_string()).map_err(|e| unusable(e.to_string()))?;
    let size = body.len() as u64;
    let post = http
        .request(reqwest::Method::POST, url)
        .headers(parts.headers.clone())
        .body(body);
    let answer = http.send(post, size).await?;
    let mut response = HttpResponse::new(answer.body.to_vec());
    *response.status_mut() =
        oauth2::http::StatusCode::from_u16(answer.status).map_err(|e| unusable(e.to_string()))?;
    *response.headers_mut() = answer.headers.clone();
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    Ok(response)
}

fn no_answer() -> TokenError {
    TokenError::Unavailable {
        status: 0,
        retry_after: None,
        description: "the answer could not be read".to_owned(),
    }
}
