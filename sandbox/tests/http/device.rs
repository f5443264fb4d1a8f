//! The device code flow.

use std::time::Duration;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use reqwest::Response;
use reqwest::header;
use serde_json::Value;

use crate::sign_in::CLIENT;
use crate::sign_in::SEND;
use crate::sign_in::public;
use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::claims;
use crate::tenant::complains;
use crate::tenant::complaint;
use crate::tenant::form;

#[tokio::test]
async fn device_gets_tokens_once_its_user_entered_the_code() {
    let tenant = public().await;
    let given: Value = begin(&tenant, SEND).await.json().await.unwrap();
    assert_eq!(given["expires_in"], 900);
    assert_eq!(given["interval"], 5);
    assert_eq!(given["verification_uri"], tenant.url("/sandbox/device"));
    let user_code = given["user_code"].as_str().unwrap();
    assert!(given["message"].as_str().unwrap().contains(user_code));
    let device_code = given["device_code"].as_str().unwrap();

    let pending = tenant.complaint(&poll(device_code)).await;
    assert_eq!(pending, complains(400, "authorization_pending", 70_016));
    let page = tenant.page("/sandbox/device").await.text().await.unwrap();
    assert!(page.contains("name=\"user_code\"") && page.contains(MAILBOX));
    let lower = user_code.to_lowercase();
    assert_eq!(decide(&tenant, &lower, ("user", MAILBOX)).await, 200);
    let answer = tenant.granted(&poll(device_code)).await;

    assert_eq!(answer["scope"], "https://graph.microsoft.com/Mail.Send");
    assert!(answer["refresh_token"].is_string());
    assert_eq!(claims(&answer["access_token"])["upn"], MAILBOX);
    let again = tenant.complaint(&poll(device_code)).await;
    assert_eq!(again, complains(400, "invalid_grant", 54_005));
}

#[tokio::test]
async fn device_hears_of_a_refusal_and_of_a_wrong_code() {
    let tenant = public().await;
    let given: Value = begin(&tenant, SEND).await.json().await.unwrap();
    let user_code = given["user_code"].as_str().unwrap();

    assert_eq!(decide(&tenant, "WRONG", ("user", MAILBOX)).await, 404);
    assert_eq!(decide(&tenant, user_code, ("user", "nobody")).await, 400);
    assert_eq!(decide(&tenant, user_code, ("decline", "1")).await, 200);

    let device_code = given["device_code"].as_str().unwrap();
    let declined = tenant.complaint(&poll(device_code)).await;
    let wrong = tenant.complaint(&poll("other")).await;
    assert_eq!(declined, complains(400, "authorization_declined", 65_004));
    assert_eq!(wrong, complains(400, "bad_verification_code", 70_018));
}

#[tokio::test]
async fn device_code_expires() {
    let tenant = Tenant::with(Settings {
        public_client: true,
        device_life: Duration::ZERO,
        ..Settings::default()
    })
    .await;
    let given: Value = begin(&tenant, SEND).await.json().await.unwrap();
    let user_code = given["user_code"].as_str().unwrap();

    let late = tenant
        .complaint(&poll(given["device_code"].as_str().unwrap()))
        .await;

    assert_eq!(late, complains(400, "expired_token", 70_020));
    assert_eq!(decide(&tenant, user_code, ("user", MAILBOX)).await, 404);
}

#[tokio::test]
async fn device_that_polls_too_often_gets_slow_down_once() {
    let tenant = Tenant::with(Settings {
        public_client: true,
        device_slow_down: true,
        ..Settings::default()
    })
    .await;
    let given: Value = begin(&tenant, SEND).await.json().await.unwrap();
    let device_code = given["device_code"].as_str().unwrap();

    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(tenant.complaint(&poll(device_code)).await.1);
    }

    let pending = "authorization_pending";
    assert_eq!(errors, [pending, "slow_down", pending]);
}

#[tokio::test]
async fn device_flow_is_for_public_clients_and_scopes_consented_to() {
    let confidential = Tenant::new().await;
    let given: Value = begin(&confidential, SEND).await.json().await.unwrap();
    let device_code = given["device_code"].as_str().unwrap();

    let refused = confidential.complaint(&poll(device_code)).await;
    let unconsented = complaint(begin(&confidential, "Files.Read").await).await;

    assert_eq!(refused, complains(401, "invalid_client", 7_000_218));
    assert_eq!(unconsented, complains(400, "invalid_grant", 65_001));
}

#[tokio::test]
async fn device_endpoint_fails_on_demand() {
    let tenant = public().await;
    tenant.sandbox.inject(Fault::at(Station::Device, 503));

    let down = complaint(begin(&tenant, SEND).await).await;

    assert_eq!(down, complains(503, "server_error", 0));
    assert_eq!(begin(&tenant, SEND).await.status(), 200);
}

async fn begin(tenant: &Tenant, scope: &str) -> Response {
    let path = format!("/{}/oauth2/v2.0/devicecode", Settings::default().tenant);
    tenant
        .ask_at(&path, &[("client_id", CLIENT), ("scope", scope)])
        .await
}

/// What a user does with the page.
async fn decide(tenant: &Tenant, user_code: &str, choice: (&str, &str)) -> u16 {
    let request = tenant.http.post(tenant.url("/sandbox/device"));
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let body = form(&[("user_code", user_code), choice]);
    request.body(body).send().await.unwrap().status().as_u16()
}

fn poll(device_code: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", CLIENT),
        ("device_code", device_code),
    ]
}
