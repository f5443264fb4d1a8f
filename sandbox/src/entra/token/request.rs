//! A request for a token, whatever the grant.

use serde_json::Value;

use crate::entra::application::Credentials;
use crate::entra::application::check_client;
use crate::entra::oauth_error::OAuthError;
use crate::entra::parameters::Parameters;
use crate::server::shared::Shared;
use crate::settings::Settings;

/// A request for a token.
pub(crate) struct TokenRequest<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) credentials: Credentials<'a>,
    pub(crate) parameters: &'a Parameters,
    pub(crate) tenant: &'a str,
}

impl TokenRequest<'_> {
    /// Whether the app that asks is there.
    pub(crate) fn check_client(&self) -> Result<(), OAuthError> {
        let client_id = self.credentials.client_id()?;
        check_client(&client_id, self.tenant, &self.shared.settings)
    }
}

/// How long a token is good, as an answer tells it.
pub(crate) fn life(settings: &Settings) -> Value {
    let seconds = settings.token_life.as_secs();
    if settings.expires_in_as_string {
        Value::from(seconds.to_string())
    } else {
        Value::from(seconds)
    }
}
