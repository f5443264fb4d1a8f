//! Who asks Entra: the tenant in the URL, the app, and how it proves to be itself.

use axum::http::HeaderMap;
use axum::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::entra::assertion;
use crate::entra::oauth_error::OAuthError;
use crate::entra::parameters::Parameters;
use crate::entra::token::access_tokens::Proof;
use crate::server::shared::Shared;
use crate::settings::Settings;

/// On whose behalf a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behalf {
    /// Nobody's: the tenant must be named.
    App,
    /// A user's, who may come from any tenant where the app is there for all.
    User,
}

/// Whether the tenant of a URL is ours.
pub(crate) fn check_tenant(
    asked: &str,
    settings: &Settings,
    behalf: Behalf,
) -> Result<(), OAuthError> {
    let Settings { tenant, domain, .. } = settings;
    if asked.eq_ignore_ascii_case(tenant) || asked.eq_ignore_ascii_case(domain) {
        return Ok(());
    }
    let refusal = |code, text| Err(OAuthError::invalid_request(code, text));
    if ["common", "consumers", "organizations"].contains(&asked) {
        if behalf == Behalf::App {
            let text = format!(
                "The grant type is not supported over the /{asked} endpoint. Please use a \
                 tenant-specific endpoint."
            );
            return refusal(9_001_023, text);
        }
        if settings.multi_tenant && asked != "consumers" {
            return Ok(());
        }
        let text = format!(
            "Application '{}' is not configured as a multi-tenant application. Usage of the \
             /{asked} endpoint is not supported for such apps created after '10/15/2018'. Use a \
             tenant-specific endpoint or configure the application to be multi-tenant.",
            settings.client_id
        );
        return refusal(50_194, text);
    }
    if Uuid::try_parse(asked).is_ok() || asked.contains('.') {
        let text = format!(
            "Tenant '{asked}' not found. Check to make sure you have the correct tenant ID and \
             are signing into the correct cloud."
        );
        refusal(90_002, text)
    } else {
        let text = format!(
            "Specified tenant identifier '{asked}' is neither a valid DNS name, nor a valid \
             external domain."
        );
        refusal(900_023, text)
    }
}

/// Whether the app is the one that the tenant has.
pub(crate) fn check_client(
    client_id: &str,
    tenant: &str,
    settings: &Settings,
) -> Result<(), OAuthError> {
    if client_id.eq_ignore_ascii_case(&settings.client_id) {
        return Ok(());
    }
    let text = format!(
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'. \
         This can happen if the application has not been installed by the administrator of the \
         tenant or consented to by any user in the tenant. You may have sent your authentication \
         request to the wrong tenant."
    );
    Err(OAuthError::bad("unauthorized_client", 700_016, text))
}

/// What a client says to prove that it is the app.
pub(crate) struct Credentials<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) tenant: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) parameters: &'a Parameters,
}

impl Credentials<'_> {
    /// The id of the client, in the form or by Basic.
    pub(crate) fn client_id(&self) -> Result<String, OAuthError> {
        let basic = basic(self.headers).map(|(id, _)| id);
        match self.parameters.given("client_id") {
            Some(id) => Ok(id.to_owned()),
            None => basic.ok_or_else(|| OAuthError::missing("client_id")),
        }
    }

    /// The proof of a client on a user's behalf: a public client has none.
    pub(crate) fn proof_for_user(&self) -> Result<Proof, OAuthError> {
        if !self.shared.settings.public_client {
            return self.proof();
        }
        if self.parameters.given("client_assertion").is_some() || self.secret().is_some() {
            return Err(OAuthError::invalid_client(
                700_025,
                "Client is public so neither 'client_assertion' nor 'client_secret' should be \
                 presented.",
            ));
        }
        Ok(Proof::Unproven)
    }

    /// The proof of a confidential client.
    pub(crate) fn proof(&self) -> Result<Proof, OAuthError> {
        let settings = &self.shared.settings;
        if let Some(assertion) = self.parameters.given("client_assertion") {
            let kind = self.parameters.needed("client_assertion_type")?;
            if kind != JWT_BEARER {
                let text = format!("The client assertion type '{kind}' is not supported.");
                return Err(OAuthError::invalid_request(50_027, text));
            }
            let base = settings.base_url(self.headers);
            let audiences = assertion::audiences(settings, self.tenant, &base);
            self.shared
                .certificates
                .judge(assertion, settings, &audiences)?;
            return Ok(Proof::Assertion);
        }
        match self.secret() {
            Some(secret) if secret == settings.client_secret => Ok(Proof::Secret),
            Some(_) => Err(OAuthError::invalid_client(
                7_000_215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request \
                     is the client secret value, not the client secret ID, for a secret added to \
                     app '{}'.",
                    settings.client_id
                ),
            )),
            None => Err(unproven()),
        }
    }

    fn secret(&self) -> Option<String> {
        let given = self.parameters.given("client_secret").map(str::to_owned);
        let basic = || basic(self.headers).map(|(_, secret)| secret);
        given.or_else(basic).filter(|secret| !secret.is_empty())
    }
}

/// A confidential client that says nothing to prove itself.
pub(crate) fn unproven() -> OAuthError {
    OAuthError::invalid_client(
        7_000_218,
        "The request body must contain the following parameter: 'client_assertion' or \
         'client_secret'.",
    )
}

/// Client id and secret, each form-encoded before they were joined (RFC 6749 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let mut octets = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [octets.next()?, octets.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
