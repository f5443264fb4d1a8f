//! Refresh tokens: renewed, rotated, revoked.

use graph_relay_sandbox::Rotation;
use graph_relay_sandbox::Settings;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::sign_in::CLIENT;
use crate::sign_in::SEND;
use crate::sign_in::as_user;
use crate::sign_in::but;
use crate::sign_in::code_for;
use crate::sign_in::public;
use crate::sign_in::redeem;
use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::claims;
use crate::tenant::complains;

#[tokio::test]
async fn refresh_brings_a_new_token_and_leaves_the_old_one_good() {
    let tenant = public().await;
    let old = signed_in(&tenant).await;

    let answer = tenant.granted(&refresh(&old)).await;
    let new = answer["refresh_token"].as_str().unwrap();

    assert_ne!(new, old);
    assert_eq!(answer["scope"], "https://graph.microsoft.com/Mail.Send");
    assert_eq!(claims(&answer["access_token"])["upn"], MAILBOX);
    assert_eq!(as_user(&tenant, &answer, "me").await.status(), 202);
    tenant.granted(&refresh(&old)).await;
    tenant.granted(&refresh(new)).await;
    let record = tenant.sandbox.requests().pop().unwrap();
    assert_eq!(record.grant.as_deref(), Some("refresh_token"));
}

#[tokio::test]
async fn refresh_without_a_scope_has_that_of_the_sign_in() {
    let tenant = public().await;
    let token = signed_in(&tenant).await;

    let answer = tenant.granted(&but(refresh(&token), "scope", None)).await;

    assert_eq!(answer["scope"], "https://graph.microsoft.com/Mail.Send");
}

#[tokio::test]
async fn used_refresh_token_is_refused_where_rotation_revokes() {
    let tenant = Tenant::with(Settings {
        public_client: true,
        rotation: Rotation::Revokes,
        ..Settings::default()
    })
    .await;
    let old = signed_in(&tenant).await;

    let answer = tenant.granted(&refresh(&old)).await;

    let used = tenant.complaint(&refresh(&old)).await;
    assert_eq!(used, complains(400, "invalid_grant", 70_000));
    let new = answer["refresh_token"].as_str().unwrap();
    tenant.granted(&refresh(new)).await;
}

#[tokio::test]
async fn signed_out_user_is_refused_until_the_next_sign_in() {
    let tenant = public().await;
    let (own, other) = (
        signed_in(&tenant).await,
        signed_in_as(&tenant, "reports@sandbox.example").await,
    );

    tenant.sandbox.sign_out(MAILBOX, 50_173);
    let refused = tenant.complaint(&refresh(&own)).await;
    assert_eq!(refused, complains(400, "invalid_grant", 50_173));
    tenant.granted(&refresh(&other)).await;
    let next = signed_in(&tenant).await;
    tenant.granted(&refresh(&next)).await;

    let asked = json!({"user": MAILBOX, "code": 700_082});
    assert_eq!(sign_out(&tenant, asked).await, 204);
    let refused = tenant.complaint(&refresh(&next)).await;
    assert_eq!(refused, complains(400, "invalid_grant", 700_082));
    let nobody = json!({"user": "nobody@sandbox.example", "code": 50_173});
    assert_eq!(sign_out(&tenant, nobody).await, 404);
}

#[tokio::test]
async fn refresh_is_refused_for_what_is_wrong() {
    let tenant = public().await;
    let token = signed_in(&tenant).await;
    let cases = [
        (
            "refresh_token",
            Some("other"),
            complains(400, "invalid_grant", 70_000),
        ),
        (
            "refresh_token",
            None,
            complains(400, "invalid_request", 900_144),
        ),
        (
            "client_secret",
            Some("a"),
            complains(401, "invalid_client", 700_025),
        ),
        (
            "scope",
            Some("Files.Read"),
            complains(400, "invalid_grant", 65_001),
        ),
        (
            "scope",
            Some("a\"b"),
            complains(400, "invalid_scope", 70_011),
        ),
        (
            "scope",
            Some("https://a.example/b"),
            complains(400, "invalid_resource", 500_011),
        ),
    ];
    for (name, value, refusal) in cases {
        let request = but(refresh(&token), name, value);
        assert_eq!(
            tenant.complaint(&request).await,
            refusal,
            "{name}={value:?}"
        );
    }
    let unconsented = but(refresh(&token), "scope", Some("Files.Read"));
    let body: Value = tenant.ask(&unconsented).await.json().await.unwrap();
    assert_eq!(body["suberror"], "consent_required");
}

#[tokio::test]
async fn lifetime_may_be_a_string() {
    let tenant = Tenant::with(Settings {
        public_client: true,
        expires_in_as_string: true,
        ..Settings::default()
    })
    .await;
    let token = signed_in(&tenant).await;

    assert_eq!(tenant.granted(&refresh(&token)).await["expires_in"], "3599");
    let app = tenant.granted(&crate::tenant::good()).await;
    assert_eq!(app["expires_in"], "3599");
}

async fn signed_in(tenant: &Tenant) -> String {
    signed_in_as(tenant, MAILBOX).await
}

async fn signed_in_as(tenant: &Tenant, upn: &str) -> String {
    let code = code_for(tenant, upn).await;
    let answer = tenant.granted(&redeem(&code)).await;
    answer["refresh_token"].as_str().unwrap().to_owned()
}

async fn sign_out(tenant: &Tenant, asked: Value) -> u16 {
    let request = tenant.http.post(tenant.url("/sandbox/sign-out"));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let answer = request.body(asked.to_string()).send().await.unwrap();
    answer.status().as_u16()
}

fn refresh(token: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT),
        ("refresh_token", token),
        ("scope", SEND),
    ]
}
