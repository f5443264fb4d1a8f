//! Client assertions: by the app's certificate, and by an issuer that it trusts.

use graph_relay_sandbox::Federated;
use graph_relay_sandbox::Settings;
use serde_json::Value;
use serde_json::json;

use crate::signing::JWT_BEARER;
use crate::signing::Signer;
use crate::signing::but;
use crate::signing::claims_but;
use crate::signing::now;
use crate::signing::own_claims;
use crate::tenant::SCOPE;
use crate::tenant::Tenant;
use crate::tenant::claims;
use crate::tenant::complains;

#[tokio::test]
async fn assertion_by_a_registered_certificate_is_taken_in_every_form() {
    let (tenant, signer) = registered(Settings::default()).await;
    let (new, old) = (signer.thumbprint(), signer.old_thumbprint());
    let headers = [
        signer.header(),
        json!({"alg": "RS256", "typ": "JWT", "x5t": old}),
        json!({"alg": "RS256", "kid": old}),
        json!({"alg": "PS256", "kid": "any name", "x5t#S256": new}),
    ];
    for header in headers {
        let answer = tenant
            .granted(&by(&signer.sign(&header, &own_claims())))
            .await;

        let claims = claims(&answer["access_token"]);
        assert_eq!(claims["appidacr"], "2", "{header}");
        assert_eq!(claims["idtyp"], "app");
    }
}

#[tokio::test]
async fn assertion_may_name_the_endpoint_as_the_client_addressed_it() {
    let (tenant, signer) = registered(Settings::default()).await;
    let path = format!("/{}/oauth2/v2.0/token", Settings::default().tenant);
    let ours = claims_but("aud", json!(tenant.url(&path)));

    tenant
        .granted(&by(&signer.sign(&signer.header(), &ours)))
        .await;
}

#[tokio::test]
async fn assertion_is_refused_with_the_number_of_what_is_wrong() {
    let (tenant, signer) = registered(Settings::default()).await;
    let refusals = [
        ("iss", json!("other"), 401, "invalid_client", 700_021),
        ("sub", json!("other"), 401, "invalid_client", 700_021),
        ("iss", Value::Null, 400, "invalid_request", 90_014),
        ("aud", Value::Null, 400, "invalid_request", 90_014),
        ("exp", Value::Null, 400, "invalid_request", 90_014),
        (
            "aud",
            json!("https://login.microsoftonline.us/x"),
            401,
            "invalid_client",
            700_023,
        ),
        ("exp", json!(now() - 1), 401, "invalid_client", 700_024),
        ("nbf", json!(now() + 60), 401, "invalid_client", 700_024),
        ("exp", json!("soon"), 400, "invalid_request", 50_027),
    ];
    for (name, value, status, error, number) in refusals {
        let text = signer.sign(&signer.header(), &claims_but(name, value.clone()));

        let refused = tenant.complaint(&by(&text)).await;

        assert_eq!(refused, complains(status, error, number), "{name}={value}");
    }
}

#[tokio::test]
async fn assertion_with_a_wrong_header_or_signature_is_refused() {
    let (tenant, signer) = registered(Settings::default()).await;
    let stranger = Signer::other();
    let good = signer.sign(&signer.header(), &own_claims());
    let cases = [
        (
            "nonsense".to_owned(),
            complains(400, "invalid_request", 50_027),
        ),
        (
            format!("{good}!"),
            complains(400, "invalid_request", 50_027),
        ),
        (
            signer.sign(&json!({"alg": "PS256"}), &own_claims()),
            complains(400, "invalid_request", 5_002_723),
        ),
        (
            signer.sign(&but(signer.header(), "alg", json!("HS256")), &own_claims()),
            complains(400, "invalid_request", 5_002_738),
        ),
        (
            stranger.sign(&stranger.header(), &own_claims()),
            complains(401, "invalid_client", 700_027),
        ),
        (
            stranger.sign(&signer.header(), &own_claims()),
            complains(401, "invalid_client", 700_027),
        ),
    ];
    for (text, refusal) in cases {
        assert_eq!(tenant.complaint(&by(&text)).await, refusal, "{text}");
    }
    let unknown = stranger.sign(&json!({"alg": "RS256", "x5t": "AAAA"}), &own_claims());
    let body: Value = tenant.ask(&by(&unknown)).await.json().await.unwrap();
    let description = body["error_description"].as_str().unwrap();
    assert!(description.contains("Thumbprint of key used by client: 'AAAA'"));
}

#[tokio::test]
async fn assertion_is_good_once_and_needs_its_type() {
    let (tenant, signer) = registered(Settings::default()).await;
    let text = signer.sign(&signer.header(), &own_claims());

    let untyped: Vec<_> = by(&text)
        .into_iter()
        .filter(|(name, _)| *name != "client_assertion_type")
        .collect();
    assert_eq!(
        tenant.complaint(&untyped).await,
        complains(400, "invalid_request", 900_144)
    );
    tenant.granted(&by(&text)).await;
    assert_eq!(
        tenant.complaint(&by(&text)).await,
        complains(401, "invalid_client", 50_013)
    );
}

#[tokio::test]
async fn clock_that_is_ahead_dates_answers_and_judges_assertions() {
    let (tenant, signer) = registered(Settings {
        clock_skew: Some(3600),
        ..Settings::default()
    })
    .await;

    let answer = tenant
        .ask(&by(&signer.sign(&signer.header(), &own_claims())))
        .await;

    let date = answer.headers()["date"].to_str().unwrap();
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date);
    let ahead = u64::try_from(date.unwrap().as_second()).unwrap() - now();
    assert!((3590..3700).contains(&ahead));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error_codes"], json!([700_024]));
    let description = body["error_description"].as_str().unwrap();
    assert!(description.contains("Current time: "), "{description}");
}

#[tokio::test]
async fn assertion_of_a_trusted_issuer_is_accepted_and_of_another_refused() {
    let issuer = Signer::other();
    let tenant = Tenant::with(Settings {
        federated: vec![Federated {
            issuer: "https://issuer.example".to_owned(),
            subject: "system:serviceaccount:mail:relay".to_owned(),
            audience: "api://AzureADTokenExchange".to_owned(),
            certificate: issuer.certificate.clone(),
        }],
        ..Settings::default()
    })
    .await;
    let header = json!({"alg": "RS256", "kid": "its own"});
    let good = json!({
        "iss": "https://issuer.example",
        "sub": "system:serviceaccount:mail:relay",
        "aud": "api://AzureADTokenExchange",
        "exp": now() + 300,
    });

    for _ in 0..2 {
        let text = issuer.sign(&header, &good);
        let answer = tenant.granted(&by(&text)).await;
        assert_eq!(claims(&answer["access_token"])["appidacr"], "2");
    }
    let cases = [
        ("iss", json!("https://other.example"), 700_211),
        ("sub", json!("other"), 700_213),
        ("aud", json!("other"), 700_212),
        ("exp", json!(now() - 1), 700_024),
    ];
    for (name, value, number) in cases {
        let text = issuer.sign(&header, &but(good.clone(), name, value));
        assert_eq!(
            tenant.complaint(&by(&text)).await,
            complains(401, "invalid_client", number),
            "{name}"
        );
    }
    let nothing = json!({"iss": "a", "sub": "b", "aud": "c", "exp": now() + 300});
    let forged = Signer::app().sign(&header, &good);
    for (text, number) in [(issuer.sign(&header, &nothing), 70_021), (forged, 700_027)] {
        assert_eq!(
            tenant.complaint(&by(&text)).await,
            complains(401, "invalid_client", number)
        );
    }
}

#[tokio::test]
async fn certificate_that_cannot_be_read_is_refused_at_the_start() {
    let settings = Settings {
        certificates: vec![b"no certificate".to_vec()],
        ..Settings::default()
    };

    let started = graph_relay_sandbox::Sandbox::start(([127, 0, 0, 1], 0).into(), settings).await;

    assert_eq!(
        started.unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
}

async fn registered(settings: Settings) -> (Tenant, Signer) {
    let signer = Signer::app();
    let tenant = Tenant::with(Settings {
        certificates: vec![signer.certificate.clone()],
        ..settings
    })
    .await;
    (tenant, signer)
}

/// The request with this assertion.
fn by(assertion: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "client_credentials"),
        ("client_id", "5a4db0c5-0000-4000-8000-000000000002"),
        ("scope", SCOPE),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ]
}
