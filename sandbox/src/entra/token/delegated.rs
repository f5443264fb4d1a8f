//! Grants on a user's behalf: a code from a sign-in, a refresh token; and the answer to each.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::entra::oauth_error::OAuthError;
use crate::entra::sign_in::waiting::Code;
use crate::entra::token::access_tokens::Bearer;
use crate::entra::token::access_tokens::Proof;
use crate::entra::token::id_tokens;
use crate::entra::token::request::TokenRequest;
use crate::entra::token::request::life;
use crate::entra::token::scopes::OFFLINE_ACCESS;
use crate::entra::token::scopes::Scopes;
use crate::entra::users::User;
use crate::settings::Rotation;

/// What a user let the app do.
pub(crate) struct Consent<'a> {
    pub(crate) proof: Proof,
    pub(crate) user: &'a User,
    pub(crate) scopes: Scopes,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) refresh: Refreshing,
}

/// Whether a refresh token goes with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshing {
    /// If `offline_access` was asked for.
    Asked,
    /// As with every answer to a refresh token.
    Always,
}

impl TokenRequest<'_> {
    pub(crate) fn for_code(&self) -> Result<Value, OAuthError> {
        self.check_client()?;
        let proof = self.credentials.proof_for_user()?;
        let given = self.parameters.needed("code")?;
        let redirect_uri = self.parameters.needed("redirect_uri")?;
        let mut known = self.shared.sign_ins.known();
        let code = known.codes.find_mut(given).ok_or_else(|| {
            OAuthError::invalid_grant(70_000, "The provided authorization code is not valid.")
        })?;
        // The client is the same as at the sign-in: the tenant knows but one.
        self.check_code(code, redirect_uri)?;
        let scopes = self.scopes(&code.request.scopes)?;
        code.used = true;
        let Code { request, user, .. } = code.clone();
        drop(known);
        Ok(self.delegated(&Consent {
            proof,
            user: &user,
            scopes,
            nonce: request.nonce.as_deref(),
            refresh: Refreshing::Asked,
        }))
    }

    fn check_code(&self, code: &Code, redirect_uri: &str) -> Result<(), OAuthError> {
        let request = &code.request;
        if code.used {
            return Err(used_code());
        }
        if Instant::now() >= code.expires {
            return Err(OAuthError::invalid_grant(
                70_008,
                "The provided authorization code or refresh token has expired due to inactivity. \
                 Send a new interactive authorization request for this user and resource.",
            ));
        }
        if redirect_uri != request.redirect_uri {
            let text = format!(
                "The reply address '{redirect_uri}' does not match the reply address '{}' \
                 provided when requesting Authorization code.",
                request.redirect_uri
            );
            return Err(OAuthError::invalid_client(500_112, text));
        }
        let verifier = self.parameters.given("code_verifier").map(|verifier| {
            URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
        });
        if verifier != request.challenge {
            return Err(OAuthError::invalid_grant(
                501_481,
                "The Code_Verifier does not match the code_challenge supplied in the \
                 authorization request.",
            ));
        }
        Ok(())
    }

    pub(crate) fn for_refresh(&self) -> Result<Value, OAuthError> {
        self.check_client()?;
        let proof = self.credentials.proof_for_user()?;
        let given = self.parameters.needed("refresh_token")?;
        let sign_ins = &self.shared.sign_ins;
        let token = sign_ins.find_refresh_token(given);
        let token = token.ok_or_else(|| refused(UNKNOWN))?;
        if let Some(number) = token.refused {
            return Err(refused(number));
        }
        let scopes = self.scopes(&token.scopes)?;
        if self.shared.settings.rotation == Rotation::Revokes {
            sign_ins.revoke(given, UNKNOWN);
        }
        Ok(self.delegated(&Consent {
            proof,
            user: &token.user,
            scopes,
            nonce: None,
            refresh: Refreshing::Always,
        }))
    }

    /// The scopes asked for, or those of the sign-in.
    fn scopes(&self, signed_in: &Scopes) -> Result<Scopes, OAuthError> {
        match self.parameters.given("scope") {
            Some(text) => Scopes::read(text, &self.shared.settings),
            None => Ok(signed_in.clone()),
        }
    }

    /// The body of the answer.
    pub(crate) fn delegated(&self, consent: &Consent<'_>) -> Value {
        let settings = &self.shared.settings;
        let Consent {
            user,
            scopes,
            proof,
            ..
        } = consent;
        let bearer = Bearer::User(*proof, user, scopes);
        let token = self
            .shared
            .tokens
            .issue(settings, &settings.resource, &bearer);
        let mut body = json!({
            "token_type": "Bearer",
            "scope": scopes.answered(&settings.resource),
            "expires_in": life(settings),
            "ext_expires_in": life(settings),
            "access_token": token,
        });
        let Some(members) = body.as_object_mut() else {
            return body;
        };
        if consent.refresh == Refreshing::Always || scopes.has(OFFLINE_ACCESS) {
            let token = self.shared.sign_ins.refresh_token(user, scopes);
            members.insert("refresh_token".to_owned(), Value::from(token));
        }
        if scopes.has("openid") {
            let token = id_tokens::id_token(settings, user, consent.nonce);
            members.insert("id_token".to_owned(), Value::from(token));
        }
        body
    }
}

/// A code whose tokens were given.
pub(crate) fn used_code() -> OAuthError {
    OAuthError::invalid_grant(
        54_005,
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or \
         use an existing refresh token.",
    )
}

fn refused(number: u32) -> OAuthError {
    let text = match number {
        50_173 => {
            "The provided grant has expired due to it being revoked, a fresh auth token is \
             needed. The user might have changed or reset their password."
        }
        700_082 => "The refresh token has expired due to inactivity.",
        70_043 => {
            "The refresh token has expired or is invalid due to sign-in frequency checks by \
             conditional access."
        }
        UNKNOWN => "The provided value for the input parameter 'refresh_token' is not valid.",
        _ => "The provided grant is not good any more.",
    };
    OAuthError::invalid_grant(number, text)
}

const UNKNOWN: u32 = 70_000;
