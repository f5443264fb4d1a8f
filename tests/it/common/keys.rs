//! Two RSA keys with their certificates, canaries made for the tests: one of an app, and
//! one of somebody else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature;
use ring::signature::RsaKeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

/// A certificate and its key, both in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: &'static str,
    pub(crate) key: &'static str,
}

pub(crate) const APP: Pair = Pair {
    certificate: include_str!("keys/app.crt"),
    key: include_str!("keys/app.key"),
};

pub(crate) const OTHER: Pair = Pair {
    certificate: include_str!("keys/other.crt"),
    key: include_str!("keys/other.key"),
};

impl Pair {
    pub(crate) fn der(&self) -> Vec<u8> {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        der.unwrap().to_vec()
    }

    /// Another certificate for the same key, valid for this number of days from now.
    pub(crate) fn certificate_for_days(&self, days: i64) -> String {
        let key = rcgen::KeyPair::from_pem_and_sign_algo(self.key, &rcgen::PKCS_RSA_SHA256);
        let mut wanted = rcgen::CertificateParams::new(["app".to_owned()]).unwrap();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let moment = |days: i64| {
            let seconds = now + days * 24 * 60 * 60;
            time::OffsetDateTime::from_unix_timestamp(seconds).unwrap()
        };
        wanted.not_before = moment(-100);
        wanted.not_after = moment(days);
        wanted.self_signed(&key.unwrap()).unwrap().pem()
    }

    /// A JWT with these claims (RS256), as another issuer would sign it.
    pub(crate) fn sign(&self, claims: &serde_json::Value) -> String {
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
        let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "1"});
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &signature::RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
