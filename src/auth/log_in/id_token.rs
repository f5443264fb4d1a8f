//! Verifying an ID token (OpenID Connect Core 3.1.3.7; Entra page "ID token claims
//! reference"): its signature by a key of the tenant, and for whom and when it was issued.
//!
//! Only RS256 is accepted, whatever the token says, as Entra signs with nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;
use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Timestamp;

/// By how much the clocks of Entra and of this machine may differ.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// Why an ID token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// There is none.
    #[error("there is none: the app registration must allow openid")]
    Missing,
    /// It is not a token.
    #[error("it cannot be read")]
    Unreadable,
    /// It is signed by another method, or not at all.
    #[error("it is not signed with RS256")]
    Algorithm,
    /// No key of the tenant has its ID.
    #[error("it is signed with a key that the tenant does not have")]
    Key,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// Somebody else issued it.
    #[error("another tenant issued it")]
    Issuer,
    /// It is for another app.
    #[error("it is for another app")]
    Audience,
    /// It belongs to another log-in.
    #[error("it belongs to another log-in")]
    Nonce,
    /// It has expired, or is not valid yet.
    #[error("it has expired or is not valid yet: is the clock of this machine right?")]
    Time,
}

/// The keys of a tenant (RFC 7517).
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

/// What a token has to say.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// As in relay.toml: an ID or a domain.
    pub(super) tenant: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// The claims of a verified token.
#[derive(Debug, Deserialize)]
pub(super) struct IdToken {
    iss: String,
    aud: String,
    exp: u64,
    #[serde(default)]
    nbf: u64,
    nonce: Option<String>,
    tid: String,
    /// The object ID of the user in the tenant.
    pub(super) oid: String,
    pub(super) preferred_username: Option<String>,
    /// Where a guest has logged in.
    idp: Option<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// Claims that Entra keeps elsewhere, such as more than 200 groups.
    #[serde(default, rename = "_claim_names")]
    elsewhere: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    hasgroups: Option<serde_json::Value>,
}

impl IdToken {
    /// Whether the home of the user is the tenant.
    pub(super) fn is_at_home(&self) -> bool {
        self.idp.as_deref().is_none_or(|idp| idp == self.iss)
    }

    /// Whether the user has groups that are not in the token.
    pub(super) fn groups_are_missing(&self) -> bool {
        self.elsewhere.contains_key("groups") || self.hasgroups.is_some()
    }
}

/// Verifies a token.
pub(super) fn verify(
    token: &str,
    keys: &Keys,
    expected: &Expected<'_>,
) -> Result<IdToken, IdTokenError> {
    let (signed, given) = token.rsplit_once('.').ok_or(IdTokenError::Unreadable)?;
    let (header, claims) = signed.split_once('.').ok_or(IdTokenError::Unreadable)?;
    let header: Header = part(header)?;
    if header.alg != "RS256" || header.crit.is_some() {
        return Err(IdTokenError::Algorithm);
    }
    let kid = header.kid.ok_or(IdTokenError::Key)?;
    let is_it = |key: &&Key| {
        key.kid == kid && key.kty == "RSA" && key.purpose.as_deref().is_none_or(|it| it == "sig")
    };
    let key = keys.keys.iter().find(is_it).ok_or(IdTokenError::Key)?;
    key.verify(signed, given)?;
    let claims: IdToken = part(claims)?;
    check(&claims, expected)?;
    Ok(claims)
}

impl Key {
    fn verify(&self, signed: &str, given: &str) -> Result<(), IdTokenError> {
        let key = signature::RsaPublicKeyComponents {
            n: bytes(&self.n).map_err(|_| IdTokenError::Key)?,
            e: bytes(&self.e).map_err(|_| IdTokenError::Key)?,
        };
        let method = &signature::RSA_PKCS1_2048_8192_SHA256;
        let verified = key.verify(method, signed.as_bytes(), &bytes(given)?);
        verified.map_err(|_| IdTokenError::Signature)
    }
}

fn check(claims: &IdToken, expected: &Expected<'_>) -> Result<(), IdTokenError> {
    // The tenant in relay.toml may be a domain; the document of that domain names its ID.
    let is_id = Uuid::try_parse(expected.tenant).is_ok();
    let is_tenant = !is_id || claims.tid.eq_ignore_ascii_case(expected.tenant);
    let names_it = claims.iss.split('/').any(|part| part == claims.tid);
    if claims.iss != expected.issuer || !names_it || !is_tenant {
        return Err(IdTokenError::Issuer);
    }
    if !claims.aud.eq_ignore_ascii_case(expected.client_id) {
        return Err(IdTokenError::Audience);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(IdTokenError::Nonce);
    }
    let now = u64::try_from(expected.now.millis() / 1000).unwrap_or(0);
    let skew = SKEW.as_secs();
    if claims.exp.saturating_add(skew) <= now || claims.nbf > now.saturating_add(skew) {
        return Err(IdTokenError::Time);
    }
    Ok(())
}

fn bytes(text: &str) -> Result<Vec<u8>, IdTokenError> {
    let decoded = URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| IdTokenError::Unreadable)
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, IdTokenError> {
    serde_json::from_slice(&bytes(text)?).map_err(|_| IdTokenError::Unreadable)
}
