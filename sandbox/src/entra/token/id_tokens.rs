//! ID tokens, which tell the client who signed in, and the key that the tenant publishes for them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature;
use ring::signature::RsaKeyPair;
use ring::signature::RsaPublicKeyComponents;
use serde_json::Value;
use serde_json::json;

use crate::entra::token::access_tokens;
use crate::entra::users::User;
use crate::settings::IdTokenFlaw;
use crate::settings::Settings;
use crate::time;

/// The name of the key.
const KEY: &str = "sandbox-key";
const OTHER_TENANT: &str = "5a4db0c5-0000-4000-8000-0000000000ff";

/// The `id_token` of a sign-in.
pub(crate) fn id_token(settings: &Settings, user: &User, nonce: Option<&str>) -> String {
    let claims = claims(settings, user, nonce);
    let key = settings.signing_key.as_deref();
    let key = key.and_then(|der| RsaKeyPair::from_pkcs8(der).ok());
    let Some(key) = key else {
        return access_tokens::jwt(&claims);
    };
    let (alg, kid) = match settings.id_token_flaw {
        Some(IdTokenFlaw::Unsigned) => ("none", KEY),
        Some(IdTokenFlaw::UnknownKey) => ("RS256", "another-key"),
        Some(_) | None => ("RS256", KEY),
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(&json!({"typ": "JWT", "alg": alg, "kid": kid}));
    let signed = format!("{head}.{}", part(&claims));
    let mut bytes = vec![0; key.public().modulus_len()];
    let method = &signature::RSA_PKCS1_SHA256;
    let made = key.sign(method, &SystemRandom::new(), signed.as_bytes(), &mut bytes);
    let signature = match (settings.id_token_flaw, made) {
        (Some(IdTokenFlaw::Unsigned), _) | (_, Err(_)) => String::new(),
        (_, Ok(())) => URL_SAFE_NO_PAD.encode(bytes),
    };
    if settings.id_token_flaw == Some(IdTokenFlaw::Changed) {
        let mut claims = claims;
        set(&mut claims, "name", json!("somebody else"));
        return format!("{head}.{}.{signature}", part(&claims));
    }
    format!("{signed}.{signature}")
}

fn claims(settings: &Settings, user: &User, nonce: Option<&str>) -> Value {
    let now = time::epoch(time::now());
    let flaw = settings.id_token_flaw;
    let tenant = match flaw {
        Some(IdTokenFlaw::OtherIssuer) => OTHER_TENANT,
        Some(_) | None => &settings.tenant,
    };
    let begun = match flaw {
        Some(IdTokenFlaw::Expired) => now - 2 * settings.token_life.as_secs(),
        Some(_) | None => now,
    };
    let mut claims = json!({
        "aud": settings.client_id,
        "iss": access_tokens::issuer(tenant),
        "iat": begun,
        "nbf": begun,
        "exp": begun + settings.token_life.as_secs(),
        "name": user.name(),
        "oid": user.object_id,
        "preferred_username": user.upn,
        "sub": user.object_id,
        "tid": tenant,
        "ver": "2.0",
    });
    if let Some(nonce) = nonce {
        set(&mut claims, "nonce", json!(nonce));
    }
    match flaw {
        Some(IdTokenFlaw::OtherAudience) => set(&mut claims, "aud", json!(OTHER_TENANT)),
        Some(IdTokenFlaw::OtherNonce) => set(&mut claims, "nonce", json!("another")),
        Some(IdTokenFlaw::Guest) => set(&mut claims, "idp", json!("live.com")),
        Some(_) | None => {}
    }
    if settings.too_many_groups {
        set(&mut claims, "_claim_names", json!({"groups": "src1"}));
    } else if !settings.groups.is_empty() {
        set(&mut claims, "groups", json!(settings.groups));
    }
    claims
}

fn set(claims: &mut Value, name: &str, value: Value) {
    if let Some(claims) = claims.as_object_mut() {
        claims.insert(name.to_owned(), value);
    }
}

/// The keys that the tenant publishes (RFC 7517).
pub(crate) fn published(settings: &Settings) -> Vec<Value> {
    let key = settings.signing_key.as_deref();
    let key = key.and_then(|der| RsaKeyPair::from_pkcs8(der).ok());
    let key = key.map(|key| {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": KEY,
            "n": URL_SAFE_NO_PAD.encode(public.n),
            "e": URL_SAFE_NO_PAD.encode(public.e),
        })
    });
    key.into_iter().collect()
}
