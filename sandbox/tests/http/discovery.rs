//! What Entra tells of itself.

use graph_relay_sandbox::Settings;
use serde_json::Value;
use serde_json::json;

use crate::tenant::Tenant;
use crate::tenant::complains;
use crate::tenant::complaint;

#[tokio::test]
async fn configuration_names_this_server_as_the_client_addressed_it() {
    let tenant = Tenant::new().await;
    let id = Settings::default().tenant;

    let body = configuration(&tenant, "sandbox.example").await;

    let of = |rest: &str| tenant.url(&format!("/{id}{rest}"));
    assert_eq!(body["token_endpoint"], of("/oauth2/v2.0/token"));
    assert_eq!(
        body["device_authorization_endpoint"],
        of("/oauth2/v2.0/devicecode")
    );
    assert_eq!(body["authorization_endpoint"], of("/oauth2/v2.0/authorize"));
    let issuer = format!("https://login.microsoftonline.com/{id}/v2.0");
    assert_eq!(body["issuer"], issuer);
    assert_eq!(body["msgraph_host"], "graph.microsoft.com");
    let keys = body["jwks_uri"].as_str().unwrap();
    let keys = tenant.http.get(keys).send().await.unwrap();
    let keys = keys.json::<Value>().await.unwrap();
    assert_eq!(keys["keys"][0]["kty"], "RSA", "{keys}");
    assert!(keys["keys"][0].get("d").is_none(), "only its public part");
}

#[tokio::test]
async fn configuration_names_the_public_url_if_there_is_one() {
    let tenant = Tenant::with(Settings {
        public_url: Some("https://login.test.example:8443/".to_owned()),
        ..Settings::default()
    })
    .await;

    let body = configuration(&tenant, "common").await;

    let url = "https://login.test.example:8443/common/oauth2/v2.0/token";
    assert_eq!(body["token_endpoint"], url);
    let issuer = "https://login.microsoftonline.com/{tenantid}/v2.0";
    assert_eq!(body["issuer"], issuer);
}

#[tokio::test]
async fn tenant_that_is_not_there_has_no_configuration() {
    let tenant = Tenant::new().await;

    let path = "/contoso.example/v2.0/.well-known/openid-configuration";
    let answer = complaint(tenant.page(path).await).await;

    assert_eq!(answer, complains(400, "invalid_tenant", 90_002));
}

#[tokio::test]
async fn instance_is_this_host_alone() {
    let tenant = Tenant::new().await;
    let host = tenant.sandbox.address().to_string();
    let path = format!(
        "/common/discovery/instance?api-version=1.1\
         &authorization_endpoint=https://{host}/common/oauth2/v2.0/authorize"
    );

    let body: Value = tenant.page(&path).await.json().await.unwrap();

    assert_eq!(
        body["tenant_discovery_endpoint"],
        tenant.url("/common/v2.0/.well-known/openid-configuration")
    );
    assert_eq!(body["metadata"][0]["aliases"], json!([host]));
    let bare = tenant.page("/common/discovery/instance").await;
    assert_eq!(
        complaint(bare).await,
        complains(400, "invalid_request", 900_144)
    );
}

async fn configuration(tenant: &Tenant, name: &str) -> Value {
    let path = format!("/{name}/v2.0/.well-known/openid-configuration");
    let answer = tenant.page(&path).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}
