//! The signed assertion with which an app proves that it owns a certificate, instead
//! of sending a secret (RFC 7523; Entra page "Microsoft identity platform application
//! authentication certificate credentials").

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use rustls::SignatureScheme;
use serde_json::json;
use uuid::Uuid;

use crate::auth::error::CredentialError;
use crate::clock::Timestamp;
use crate::credentials::CertificateFiles;

/// How long an assertion is valid: the page advises five to ten minutes.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// Returns an assertion of the app `client_id` for the token endpoint `audience`. It
/// is signed for each request, because Entra accepts a `jti` only once.
///
/// # Errors
///
/// The certificate or its key cannot be used.
pub(in crate::auth) fn assertion(
    files: &CertificateFiles,
    client_id: &str,
    audience: &str,
    now: Timestamp,
) -> Result<String, CredentialError> {
    let pair = files.load()?;
    let certificate = pair.end_entity_cert().map_err(|_| CredentialError::Key)?;
    let thumbprint = digest::digest(&digest::SHA256, certificate);
    let header = json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint),
    });
    // NumericDate (RFC 7519 2): seconds.
    let seconds = |moment: Timestamp| moment.millis() / 1000;
    let claims = json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": Uuid::new_v4().to_string(),
        "nbf": seconds(now),
        "iat": seconds(now),
        "exp": seconds(now + LIFE),
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    // RFC 7518 3.5: PS256 is RSASSA-PSS with SHA-256.
    let signer = pair.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
    let signer = signer.ok_or(CredentialError::Key)?;
    let signature = signer.sign(signed.as_bytes());
    let signature = signature.map_err(|_| CredentialError::Key)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
