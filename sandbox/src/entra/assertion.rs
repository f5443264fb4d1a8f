//! Client assertions: JWTs signed with a registered certificate, or by an issuer that the app
//! trusts (workload identity federation).
//!
//! They are judged without tolerance. Beyond what Entra documents, a `jti` of the app's own
//! assertions is taken once only, so that a client that forgets to make a new one is found out.

use std::io;
use std::sync::Mutex;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::signature;
use ring::signature::UnparsedPublicKey;
use serde_json::Map;
use serde_json::Value;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::bounded_map::BoundedMap;
use crate::entra::oauth_error::OAuthError;
use crate::lock::locked;
use crate::settings::Federated;
use crate::settings::Settings;
use crate::time;

/// The certificates that assertions are checked with.
#[derive(Debug)]
pub(crate) struct Certificates {
    registered: Vec<Registered>,
    federated: Vec<(Federated, Registered)>,
    seen: Mutex<BoundedMap<()>>,
}

/// A certificate as far as it matters here.
#[derive(Debug)]
struct Registered {
    sha1: Vec<u8>,
    sha256: Vec<u8>,
    /// PKCS #1 `RSAPublicKey`, the bits of the SubjectPublicKeyInfo.
    key: Vec<u8>,
    /// Since 1970.
    end: Duration,
}

/// An assertion taken apart.
struct Assertion<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl Certificates {
    pub(crate) fn new(settings: &Settings) -> io::Result<Self> {
        let registered = settings.certificates.iter();
        let federated = settings.federated.iter();
        Ok(Self {
            registered: registered
                .map(|der| Registered::read(der))
                .collect::<io::Result<_>>()?,
            federated: federated
                .map(|it| Ok((it.clone(), Registered::read(&it.certificate)?)))
                .collect::<io::Result<_>>()?,
            seen: Mutex::default(),
        })
    }

    /// Whether the assertion proves that its bearer is the app. `audiences` are the URLs of the
    /// token endpoint that was asked.
    pub(crate) fn judge(
        &self,
        text: &str,
        settings: &Settings,
        audiences: &[String],
    ) -> Result<(), OAuthError> {
        let assertion = Assertion::read(text).ok_or_else(malformed)?;
        let algorithm = assertion.algorithm()?;
        if !["x5t#S256", "x5t", "kid"]
            .iter()
            .any(|name| assertion.header.contains_key(*name))
        {
            return Err(OAuthError::invalid_request(
                5_002_723,
                "Invalid JWT token. No certificate thumbprint or keyId specified in token header.",
            ));
        }
        let issuer = assertion.claim("iss")?;
        let own = issuer.eq_ignore_ascii_case(&settings.client_id);
        if !own && !self.federated.is_empty() {
            return self.judge_federated(&assertion, algorithm, settings);
        }
        if !own
            || !assertion
                .claim("sub")?
                .eq_ignore_ascii_case(&settings.client_id)
        {
            return Err(OAuthError::invalid_client(
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            ));
        }
        let registered = self.registered(&assertion)?;
        assertion.check_signature(algorithm, registered)?;
        let audience = assertion.claim("aud")?;
        if !audiences.iter().any(|it| it == audience) {
            let text = format!(
                "Client assertion audience claim does not match Realm issuer. Assertion audience \
                 is '{audience}'."
            );
            return Err(OAuthError::invalid_client(700_023, text));
        }
        assertion.check_time(settings)?;
        self.check_replay(&assertion)
    }

    fn judge_federated(
        &self,
        assertion: &Assertion<'_>,
        algorithm: &'static signature::RsaParameters,
        settings: &Settings,
    ) -> Result<(), OAuthError> {
        let [issuer, subject, audience] =
            ["iss", "sub", "aud"].map(|name| assertion.claim(name).map(str::to_owned));
        let (issuer, subject, audience) = (issuer?, subject?, audience?);
        let trusted = || self.federated.iter();
        let mismatch = |code, name: &str, value: &str| {
            let text = format!(
                "No matching federated identity record found for presented assertion {name} \
                 '{value}'. Check your federated identity credential Subject, Audience and Issuer \
                 against the presented assertion."
            );
            Err(OAuthError::invalid_client(code, text))
        };
        if !trusted().any(|(it, _)| it.issuer == issuer) {
            let other = trusted().any(|(it, _)| it.subject == subject || it.audience == audience);
            let code = if other { 700_211 } else { 70_021 };
            return mismatch(code, "issuer", &issuer);
        }
        let by_issuer = || trusted().filter(|(it, _)| it.issuer == issuer);
        if !by_issuer().any(|(it, _)| it.subject == subject) {
            return mismatch(700_213, "subject", &subject);
        }
        let mut matching = by_issuer().filter(|(it, _)| it.subject == subject);
        let Some((_, key)) = matching.find(|(it, _)| it.audience == audience) else {
            return mismatch(700_212, "audience", &audience);
        };
        assertion.check_signature(algorithm, key)?;
        // Such a token is its issuer's and used until it ends: no word about its `jti`.
        assertion.check_time(settings)
    }

    /// The certificate that every thumbprint in the header names.
    fn registered(&self, assertion: &Assertion<'_>) -> Result<&Registered, OAuthError> {
        // Microsoft's own library pads its thumbprint (RFC 7515 2 does not).
        let unpadded = |value: String| value.trim_end_matches('=').to_owned();
        let named = |name: &str| assertion.header.get(name).map(text).map(unpadded);
        let is = |registered: &&Registered| {
            let sha1 = URL_SAFE_NO_PAD.encode(&registered.sha1);
            let sha256 = URL_SAFE_NO_PAD.encode(&registered.sha256);
            let hexadecimal = hexadecimal(&registered.sha1);
            named("x5t#S256").is_none_or(|it| it == sha256)
                && named("x5t").is_none_or(|it| it == sha1)
                && named("kid").is_none_or(|it| {
                    // Beside a thumbprint it may be any name that the client gives the key.
                    named("x5t#S256").or_else(|| named("x5t")).is_some()
                        || [&sha1, &sha256, &hexadecimal].contains(&&it)
                })
        };
        let found = self.registered.iter().find(is);
        found.ok_or_else(|| unknown_key("The key was not found.", &assertion.thumbprint()))
    }

    fn check_replay(&self, assertion: &Assertion<'_>) -> Result<(), OAuthError> {
        let Some(id) = assertion.claims.get("jti").map(text) else {
            return Ok(());
        };
        let mut seen = locked(&self.seen);
        if seen.find(&id).is_some() {
            return Err(OAuthError::invalid_client(
                50_013,
                "Assertion failed validation: its 'jti' was used before.",
            ));
        }
        seen.insert(id, ());
        Ok(())
    }
}

impl Registered {
    fn read(der: &[u8]) -> io::Result<Self> {
        let wrong = |error: String| io::Error::new(io::ErrorKind::InvalidInput, error);
        let certificate = Certificate::from_der(der)
            .map_err(|error| wrong(format!("a certificate of the sandbox's settings: {error}")))?;
        let certificate = certificate.tbs_certificate();
        let key = &certificate.subject_public_key_info().subject_public_key;
        let hash = |algorithm| digest::digest(algorithm, der).as_ref().to_vec();
        Ok(Self {
            sha1: hash(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            sha256: hash(&digest::SHA256),
            key: key.raw_bytes().to_vec(),
            end: certificate.validity().not_after.to_unix_duration(),
        })
    }
}

impl<'a> Assertion<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Self {
            header: serde_json::from_slice(&decoded(header)?).ok()?,
            claims: serde_json::from_slice(&decoded(claims)?).ok()?,
            signed,
            signature: decoded(signature)?,
        })
    }

    fn algorithm(&self) -> Result<&'static signature::RsaParameters, OAuthError> {
        match self.header.get("alg").and_then(Value::as_str) {
            Some("PS256") => Ok(&signature::RSA_PSS_2048_8192_SHA256),
            Some("RS256") => Ok(&signature::RSA_PKCS1_2048_8192_SHA256),
            Some(other) => {
                let text = format!(
                    "Invalid JWT token. '{other}' is not a supported signature algorithm. \
                     Supported signing algorithms are: 'PS256, RS256, RS384, RS512'."
                );
                Err(OAuthError::invalid_request(5_002_738, text))
            }
            None => Err(malformed()),
        }
    }

    fn claim(&self, name: &str) -> Result<&str, OAuthError> {
        let value = self.claims.get(name).ok_or_else(|| missing(name))?;
        value.as_str().ok_or_else(malformed)
    }

    fn moment(&self, name: &str) -> Result<Option<SystemTime>, OAuthError> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_f64().filter(|it| (0.0..1e12).contains(it));
        let seconds = seconds.ok_or_else(malformed)?;
        Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
    }

    fn check_signature(
        &self,
        algorithm: &'static signature::RsaParameters,
        by: &Registered,
    ) -> Result<(), OAuthError> {
        let wrong = |reason| Err(unknown_key(reason, &hexadecimal(&by.sha1)));
        let key = UnparsedPublicKey::new(algorithm, &by.key);
        if key.verify(self.signed.as_bytes(), &self.signature).is_err() {
            return wrong("The key was found, but use of the key to verify the signature failed.");
        }
        if UNIX_EPOCH + by.end < time::now() {
            return wrong("The key used is expired.");
        }
        Ok(())
    }

    fn check_time(&self, settings: &Settings) -> Result<(), OAuthError> {
        let now = time::skewed(time::now(), settings.clock_skew);
        let end = self.moment("exp")?.ok_or_else(|| missing("exp"))?;
        let begin = self.moment("nbf")?;
        if now < end && begin.is_none_or(|begin| begin <= now) {
            return Ok(());
        }
        let text = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion \
             valid from {}, expiry time of assertion {}.",
            time::fine(now),
            begin.map_or_else(|| "the beginning".to_owned(), time::fine),
            time::fine(end),
        );
        Err(OAuthError::invalid_client(700_024, text))
    }

    /// The thumbprint that the header names, in hexadecimal if it is one.
    fn thumbprint(&self) -> String {
        let mut names = ["x5t", "x5t#S256", "kid"].iter();
        let named = names.find_map(|name| self.header.get(*name)).map(text);
        let named = named.unwrap_or_default();
        match URL_SAFE_NO_PAD.decode(&named) {
            Ok(octets) if [20, 32].contains(&octets.len()) => hexadecimal(&octets),
            Ok(_) | Err(_) => named,
        }
    }
}

/// The audiences that an assertion for this tenant's token endpoint may have: Entra's own URL in
/// the cloud of the resource, and this server's as it was addressed.
pub(crate) fn audiences(settings: &Settings, tenant: &str, base: &str) -> Vec<String> {
    let hosts: &[&str] = match settings.resource.as_str() {
        "https://graph.microsoft.us" | "https://dod-graph.microsoft.us" => {
            &["login.microsoftonline.us"]
        }
        "https://microsoftgraph.chinacloudapi.cn" => {
            &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"]
        }
        _ => &["login.microsoftonline.com"],
    };
    let (_, own_host) = base.split_once("://").unwrap_or(("", base));
    let own = ["http", "https"].map(|scheme| format!("{scheme}://{own_host}"));
    let bases = hosts.iter().map(|host| format!("https://{host}"));
    let names = [tenant, &settings.tenant, &settings.domain];
    bases
        .chain(own)
        .flat_map(|base| names.map(|name| format!("{base}/{name}/oauth2/v2.0/token")))
        .collect()
}

fn malformed() -> OAuthError {
    OAuthError::invalid_request(50_027, "JWT token is invalid or malformed.")
}

fn missing(name: &str) -> OAuthError {
    let text = format!("The required field '{name}' is missing from the client assertion.");
    OAuthError::invalid_request(90_014, text)
}

fn unknown_key(reason: &str, thumbprint: &str) -> OAuthError {
    let text = format!(
        "The certificate with identifier used to sign the client assertion is not registered on \
         application. [Reason - {reason}, Thumbprint of key used by client: '{thumbprint}']"
    );
    OAuthError::invalid_client(700_027, text)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}
