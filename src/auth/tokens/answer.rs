//! The answers of a token endpoint (RFC 6749 5.1, OpenID Connect Core 3.1.3.3), and the
//! claims of its tokens.
//!
//! Accepts numbers written as text, which some of Entra's own endpoints send. Claims are
//! read only to explain errors and to compare users. Their signature is not checked,
//! because the answer came over TLS from the endpoint itself (OpenID Connect Core 3.1.3.7,
//! 6).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::AccessToken;
use oauth2::RefreshToken;
use oauth2::Scope;
use oauth2::TokenResponse;
use oauth2::basic::BasicTokenType;
use secrecy::SecretString;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

use crate::auth::Granted;
use crate::clock::Timestamp;

/// The lifetime of a token if the answer does not name one: shorter than any that Entra
/// issues.
pub(in crate::auth) const DEFAULT_LIFE: Duration = Duration::from_secs(10 * 60);

/// A token endpoint's answer. Its secrets cannot be printed.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::auth) struct TokenAnswer {
    access_token: AccessToken,
    #[serde(skip, default = "bearer")]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    /// As secret as the access token that comes with it.
    #[serde(default)]
    id_token: Option<AccessToken>,
}

impl TokenAnswer {
    /// The access token.
    pub(in crate::auth) fn granted(&self) -> Granted {
        Granted {
            secret: SecretString::from(self.access_token.secret().as_str()),
            lasts: self.expires_in().unwrap_or(DEFAULT_LIFE),
        }
    }

    /// The refresh token, if there is one.
    pub(in crate::auth) fn refresh(&self) -> Option<SecretString> {
        let token = self.refresh_token.as_ref()?;
        Some(SecretString::from(token.secret().as_str()))
    }

    /// The id token, which nobody has verified.
    pub(in crate::auth) fn id_token(&self) -> Option<&str> {
        self.id_token.as_ref().map(|token| token.secret().as_str())
    }

    /// The claims of the id token.
    pub(in crate::auth) fn identity(&self) -> Option<Claims> {
        Claims::of(self.id_token.as_ref()?.secret())
    }
}

impl TokenResponse for TokenAnswer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// Graph accepts no other type.
fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

/// Seconds as a number or as text; anything else counts as missing.
pub(in crate::auth) fn seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let text = value.as_str().and_then(|text| text.trim().parse().ok());
    Ok(value.as_u64().or(text))
}

/// The claims of a token (Entra page "Access token claims reference"). Tokens for Graph
/// may be opaque and then have no readable claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// The audience.
    #[serde(default)]
    pub aud: String,
    /// The tenant.
    #[serde(default)]
    pub tid: Option<String>,
    /// The app, in tokens of version 1 and 2.
    #[serde(default, alias = "azp")]
    pub appid: Option<String>,
    /// Application permissions; none if nobody consented, or if Exchange grants them by RBAC
    /// for Applications.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Delegated permissions, separated by spaces.
    #[serde(default)]
    pub scp: Option<String>,
    /// The user who has signed in: in version 2, in version 1, and in an id token.
    #[serde(default)]
    pub preferred_username: Option<String>,
    #[serde(default)]
    pub(in crate::auth) upn: Option<String>,
    #[serde(default)]
    pub(in crate::auth) unique_name: Option<String>,
    #[serde(default)]
    pub(in crate::auth) nonce: Option<String>,
    /// When it expires, in seconds since 1970.
    #[serde(default)]
    exp: Option<u64>,
}

impl Claims {
    /// Reads a JWT's claims without checking them.
    pub fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&payload).ok()
    }

    /// When it expires.
    pub fn ends(&self) -> Option<Timestamp> {
        let seconds = Duration::from_secs(self.exp?);
        Some(Timestamp::from_millis(0) + seconds)
    }

    /// The names of the user who signed in, each in a domain that the tenant has proved to
    /// own. `email` is not one of them: in an app of several tenants, the administrator of any
    /// tenant can write anything there.
    pub(in crate::auth) fn names(&self) -> impl Iterator<Item = &str> {
        let names = [&self.preferred_username, &self.upn, &self.unique_name];
        names.into_iter().filter_map(|name| name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasts(expires_in: &str) -> Duration {
        let body = format!(r#"{{"token_type":"bearer","access_token":"canary"{expires_in}}}"#);
        let answer: TokenAnswer = serde_json::from_str(&body).unwrap();
        answer.granted().lasts
    }

    #[test]
    fn a_life_is_read_as_number_and_as_text() {
        let hour = Duration::from_secs(3599);

        assert_eq!(lasts(r#","expires_in":3599"#), hour);
        assert_eq!(lasts(r#","expires_in":"3599""#), hour);
        for odd in [
            "",
            r#","expires_in":"soon""#,
            r#","expires_in":null"#,
            r#","expires_in":-1"#,
        ] {
            assert_eq!(lasts(odd), DEFAULT_LIFE, "{odd}");
        }
    }

    #[test]
    fn an_answer_does_not_print_its_secrets() {
        let body =
            r#"{"access_token":"canary-a","refresh_token":"canary-r","id_token":"canary-i"}"#;
        let answer: TokenAnswer = serde_json::from_str(body).unwrap();

        let printed = format!("{answer:?} {:?}", answer.granted());
        assert!(!printed.contains("canary"), "{printed}");
    }

    #[test]
    fn claims_are_read_where_there_are_any() {
        let token = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));

        let claims = Claims::of(&token(r#"{"aud":"x","roles":["Mail.Send"],"azp":"1"}"#)).unwrap();
        assert_eq!(claims.roles, ["Mail.Send"]);
        assert_eq!(claims.appid.as_deref(), Some("1"));
        for opaque in ["", "EwBwA8l6BAAU", "a.b.c", "a..c"] {
            assert_eq!(Claims::of(opaque), None, "{opaque}");
        }
    }
}
