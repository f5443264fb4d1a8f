//! Managed identities on a virtual machine, in App Service and on an Arc server.

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use reqwest::Response;
use reqwest::header;
use serde_json::Value;

use crate::sign_in::as_user;
use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::claims;

const MACHINE: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";
const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01";
const ARC: &str = "/arc/metadata/identity/oauth2/token?api-version=2020-06-01";
const GRAPH: &str = "&resource=https%3A%2F%2Fgraph.microsoft.com%2F";
const METADATA: (&str, &str) = ("Metadata", "true");

#[tokio::test]
async fn machine_gets_a_token_of_its_identity() {
    let tenant = Tenant::new().await;

    let answer = ask(&tenant, &format!("{MACHINE}{GRAPH}"), &[METADATA]).await;

    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["expires_in"], "3599");
    assert_eq!(body["refresh_token"], "");
    assert_eq!(body["resource"], "https://graph.microsoft.com/");
    assert!(body["expires_on"].is_string() && body["not_before"].is_string());
    let claims = claims(&body["access_token"]);
    assert_eq!(claims["idtyp"], "app");
    assert_eq!(claims["aud"], "https://graph.microsoft.com");
    assert_eq!(claims["appid"], body["client_id"]);
    assert_eq!(claims["roles"][0], "Mail.Send");
    let sent = as_user(&tenant, &body, &format!("users/{MAILBOX}")).await;
    assert_eq!(sent.status(), 202);
    let records = tenant.sandbox.requests();
    assert!(records.iter().any(|it| it.kind == RequestKind::Identity));
}

#[tokio::test]
async fn machine_is_refused_for_what_is_wrong() {
    let tenant = Tenant::new().await;
    let good = format!("{MACHINE}{GRAPH}");
    let cases = [
        (good.clone(), None, "bad_request_102"),
        (
            good.replace("2018", "2017"),
            Some(METADATA),
            "invalid_request",
        ),
        (MACHINE.to_owned(), Some(METADATA), "invalid_request"),
        (format!("{good}x"), Some(METADATA), "invalid_resource"),
        (
            format!("{good}&client_id=other"),
            Some(METADATA),
            "invalid_request",
        ),
    ];
    for (path, header, error) in cases {
        let answer = ask(&tenant, &path, header.as_slice()).await;

        assert_eq!(answer.status(), 400, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], error);
    }
}

#[tokio::test]
async fn identity_is_chosen_by_its_client_id() {
    let with = |identities| {
        Tenant::with(Settings {
            identities,
            ..Settings::default()
        })
    };
    let own = || Some("11111111-0000-4000-8000-000000000001".to_owned());
    let path = format!("{MACHINE}{GRAPH}");
    let named = format!("{path}&client_id={}", own().unwrap());

    let none = with(Vec::new()).await;
    let answer = ask(&none, &path, &[METADATA]).await;
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "invalid_request");
    assert_eq!(body["error_description"], "Identity not found");

    let both = with(vec![None, own()]).await;
    let system: Value = ask(&both, &path, &[METADATA]).await.json().await.unwrap();
    let user: Value = ask(&both, &named, &[METADATA]).await.json().await.unwrap();
    assert_ne!(system["client_id"], user["client_id"]);
    assert_eq!(user["client_id"].as_str(), own().as_deref());
}

#[tokio::test]
async fn app_service_wants_its_header() {
    let tenant = Tenant::new().await;
    let path = format!("{APP_SERVICE}{GRAPH}");
    let secret = Settings::default().identity_header;

    let bare = ask(&tenant, &path, &[]).await;
    let good = ask(&tenant, &path, &[("X-IDENTITY-HEADER", &secret)]).await;

    assert_eq!(bare.status(), 401);
    assert_eq!(bare.json::<Value>().await.unwrap()["statusCode"], 401);
    assert_eq!(good.status(), 200);
    let body: Value = good.json().await.unwrap();
    assert!(body["expires_on"].is_string());
    assert!(body["expires_in"].is_null());
    assert!(!format!("{:?}", Settings::default()).contains(&secret));
}

#[tokio::test]
async fn arc_wants_what_is_in_a_file_of_its_folder_once() {
    let folder = tempfile::TempDir::new().unwrap();
    let tenant = Tenant::with(Settings {
        arc_folder: Some(folder.path().to_owned()),
        ..Settings::default()
    })
    .await;
    let path = format!("{ARC}{GRAPH}");

    let first = ask(&tenant, &path, &[METADATA]).await;
    assert_eq!(first.status(), 401);
    let challenge = first.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    let file = challenge.strip_prefix("Basic realm=").unwrap();
    assert!(file.starts_with(folder.path().to_str().unwrap()) && file.ends_with(".key"));
    let basic = format!("Basic {}", std::fs::read_to_string(file).unwrap());
    let second = ask(&tenant, &path, &[METADATA, ("Authorization", &basic)]).await;
    let third = ask(&tenant, &path, &[METADATA, ("Authorization", &basic)]).await;

    assert_eq!(second.status(), 200);
    assert_eq!(second.json::<Value>().await.unwrap()["expires_in"], "3599");
    assert_eq!(third.status(), 401);
    let nowhere = ask(&Tenant::new().await, &path, &[METADATA]).await;
    assert_eq!(nowhere.status(), 404);
}

#[tokio::test]
async fn identity_fails_on_demand() {
    let tenant = Tenant::new().await;
    tenant.sandbox.inject(Fault::at(Station::Identity, 410));
    let path = format!("{MACHINE}{GRAPH}");

    let gone = ask(&tenant, &path, &[METADATA]).await;

    assert_eq!(gone.status(), 410);
    assert!(gone.json::<Value>().await.unwrap()["error"].is_string());
    assert_eq!(ask(&tenant, &path, &[METADATA]).await.status(), 200);
}

async fn ask(tenant: &Tenant, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = tenant.http.get(tenant.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}
