//! Tokens: given, refused, judged, revoked.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Settings;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::tenant::SCOPE;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::form;
use crate::tenant::good;
use crate::tenant::good_but;
use crate::tenant::message;
use crate::tenant::refused;

#[tokio::test]
async fn token_is_given_for_the_right_secret_in_body_or_basic() {
    let tenant = Tenant::new().await;

    let answer = tenant.ask(&good()).await;
    assert_eq!(
        answer.headers()[header::CONTENT_TYPE],
        "application/json; charset=utf-8"
    );
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3599);
    let token = body["access_token"].as_str().unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["aud"], "https://graph.microsoft.com");
    assert_eq!(claims["idtyp"], "app");
    assert_eq!(claims["roles"], json!(["Mail.Send", "Mail.ReadWrite"]));

    let settings = Settings::default();
    let basic = tenant
        .http
        .post(tenant.url("/sandbox.example/oauth2/v2.0/token"))
        .basic_auth(
            &settings.client_id,
            Some(settings.client_secret.replace('+', "%2B")),
        )
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form(&[
            ("grant_type", "client_credentials"),
            ("scope", SCOPE),
        ]));
    assert_eq!(basic.send().await.unwrap().status(), 200);
    assert_eq!(tenant.sandbox.totals().token_requests, 3);
}

#[tokio::test]
async fn token_request_is_refused_with_the_number_of_what_is_wrong() {
    let tenant = Tenant::new().await;
    for (name, value, status, error, number) in REFUSALS {
        let answer = tenant.ask(&good_but(name, value)).await;

        assert_eq!(answer.status(), status, "{name}={value:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"], error, "{name}={value:?}");
        assert_eq!(body["error_codes"], json!([number]));
        let description = body["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{number}: ")));
        assert!(description.contains(&format!(
            "\r\nTrace ID: {}\r\nCorrelation ID: ",
            body["trace_id"].as_str().unwrap()
        )));
    }
}

#[tokio::test]
async fn unknown_tenant_and_impossible_tenant_get_different_errors() {
    let tenant = Tenant::new().await;
    let cases = [
        ("00000000-0000-4000-8000-000000000000", 90_002),
        ("contoso.example", 90_002),
        ("no-tenant", 900_023),
        ("common", 9_001_023),
    ];
    for (asked, number) in cases {
        let answer = tenant
            .ask_at(&format!("/{asked}/oauth2/v2.0/token"), &good())
            .await;

        assert_eq!(answer.status(), 400);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"], "invalid_request");
        assert_eq!(body["error_codes"], json!([number]), "{asked}");
    }
}

#[tokio::test]
async fn token_that_is_missing_wrong_or_for_another_resource_is_refused() {
    let mut tenant = Tenant::new().await;
    let body: Value = tenant
        .ask(&good_but(
            "scope",
            Some("https://outlook.office365.com/.default"),
        ))
        .await
        .json()
        .await
        .unwrap();

    for token in [
        "",
        "nonsense",
        "e30.e30.c2ln",
        body["access_token"].as_str().unwrap(),
    ] {
        tenant.token = token.to_owned();
        let answer = tenant.send(&message("a@example.org")).await;

        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with("Bearer realm=\"\", authorization_uri="));
        assert_eq!(
            code(answer).await,
            refused(401, "InvalidAuthenticationToken")
        );
    }
    assert!(tenant.sandbox.arrivals().is_empty());
}

#[tokio::test]
async fn token_is_worthless_once_revoked_or_expired() {
    let mut tenant = Tenant::new().await;
    tenant.sandbox.revoke_tokens();
    let revoked = tenant.send(&message("a@example.org")).await;
    assert_eq!(
        code(revoked).await,
        refused(401, "InvalidAuthenticationToken")
    );
    tenant.renew().await;
    assert_eq!(tenant.send(&message("a@example.org")).await.status(), 202);

    let short = Tenant::with(Settings {
        token_life: Duration::ZERO,
        ..Settings::default()
    })
    .await;
    let expired = short.send(&message("a@example.org")).await;
    assert_eq!(
        code(expired).await,
        refused(401, "InvalidAuthenticationToken")
    );
}

#[tokio::test]
async fn token_endpoint_fails_on_demand() {
    let tenant = Tenant::new().await;
    tenant.sandbox.inject(Fault {
        code: Some("invalid_client".to_owned()),
        message: Some("AADSTS7000222: The provided client secret keys are expired.".to_owned()),
        ..Fault::at_token(401)
    });
    tenant.sandbox.inject(Fault {
        body: Some("<html>down</html>".to_owned()),
        content_type: Some("text/html".to_owned()),
        ..Fault::at_token(503)
    });

    let expired: Value = tenant.ask(&good()).await.json().await.unwrap();
    let down = tenant.ask(&good()).await;

    assert_eq!(expired["error"], "invalid_client");
    assert_eq!(expired["error_codes"], json!([7_000_222]));
    assert_eq!(down.status(), 503);
    assert_eq!(down.headers()[header::CONTENT_TYPE], "text/html");
    assert_eq!(down.text().await.unwrap(), "<html>down</html>");
    assert_eq!(tenant.ask(&good()).await.status(), 200);
}

/// A parameter, its wrong value (`None`: left out), and the status, error and number of the refusal.
const REFUSALS: [Refusal; 10] = [
    (
        "client_secret",
        Some("secret-id"),
        401,
        "invalid_client",
        7_000_215,
    ),
    ("client_secret", None, 401, "invalid_client", 7_000_218),
    (
        "client_id",
        Some("other"),
        400,
        "unauthorized_client",
        700_016,
    ),
    ("client_id", None, 400, "invalid_request", 900_144),
    ("grant_type", None, 400, "invalid_request", 900_144),
    (
        "grant_type",
        Some("password"),
        400,
        "unsupported_grant_type",
        70_003,
    ),
    ("scope", None, 400, "invalid_request", 900_144),
    (
        "scope",
        Some("https://graph.microsoft.com/Mail.Send"),
        400,
        "invalid_scope",
        1_002_012,
    ),
    (
        "scope",
        Some("a/.default b/.default"),
        400,
        "invalid_scope",
        70_011,
    ),
    (
        "scope",
        Some("https://nowhere.example/.default"),
        400,
        "invalid_resource",
        500_011,
    ),
];

type Refusal = (&'static str, Option<&'static str>, u16, &'static str, u32);
