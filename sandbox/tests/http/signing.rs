//! Assertions, signed with the canary keys of `tests/it/common/keys`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph_relay_sandbox::Settings;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature;
use ring::signature::RsaKeyPair;
use serde_json::Value;
use serde_json::json;

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A key and its certificate.
pub(crate) struct Signer {
    key: RsaKeyPair,
    pub(crate) certificate: Vec<u8>,
}

impl Signer {
    /// Whose certificate is registered.
    pub(crate) fn app() -> Self {
        Self::new(
            include_str!("../../../tests/it/common/keys/app.key"),
            include_str!("../../../tests/it/common/keys/app.crt"),
        )
    }

    /// A stranger, or another issuer.
    pub(crate) fn other() -> Self {
        Self::new(
            include_str!("../../../tests/it/common/keys/other.key"),
            include_str!("../../../tests/it/common/keys/other.crt"),
        )
    }

    fn new(key: &str, certificate: &str) -> Self {
        Self {
            key: RsaKeyPair::from_pkcs8(&der(key)).unwrap(),
            certificate: der(certificate),
        }
    }

    pub(crate) fn thumbprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.certificate);
        URL_SAFE_NO_PAD.encode(hash)
    }

    pub(crate) fn old_thumbprint(&self) -> String {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.certificate);
        URL_SAFE_NO_PAD.encode(hash)
    }

    /// As Entra wants them now: PS256 and the newer thumbprint.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint()})
    }

    /// The assertion, signed as its header says.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let padding: &dyn signature::RsaEncoding = if header["alg"] == "RS256" {
            &signature::RSA_PKCS1_SHA256
        } else {
            &signature::RSA_PSS_SHA256
        };
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                padding,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Claims that are good for five minutes from now.
pub(crate) fn own_claims() -> Value {
    let settings = Settings::default();
    let audience = format!(
        "https://login.microsoftonline.com/{}/oauth2/v2.0/token",
        settings.tenant
    );
    json!({
        "aud": audience,
        "iss": settings.client_id,
        "sub": settings.client_id,
        "jti": uuid::Uuid::new_v4().to_string(),
        "iat": now(),
        "nbf": now(),
        "exp": now() + 300,
    })
}

/// Claims with one changed, or left out if it is null.
pub(crate) fn claims_but(name: &str, value: Value) -> Value {
    but(own_claims(), name, value)
}

pub(crate) fn but(mut object: Value, name: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    members.remove(name);
    if !value.is_null() {
        members.insert(name.to_owned(), value);
    }
    object
}

pub(crate) fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.unwrap().as_secs()
}

fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}
