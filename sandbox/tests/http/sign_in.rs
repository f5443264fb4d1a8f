//! Sign-in in a browser: the page, the way back, the code, and what its token may do.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use reqwest::Response;
use reqwest::Url;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::claims;
use crate::tenant::code;
use crate::tenant::complains;
use crate::tenant::message;
use crate::tenant::refused;

pub(crate) const CLIENT: &str = "5a4db0c5-0000-4000-8000-000000000002";
pub(crate) const SEND: &str = "https://graph.microsoft.com/Mail.Send offline_access";
pub(crate) const BACK: &str = "http://localhost:43210";
/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[tokio::test]
async fn code_from_the_page_brings_tokens_of_the_user() {
    let tenant = public().await;
    let scope = "Mail.Send openid profile offline_access";
    let asked = but(but(good(), "scope", Some(scope)), "nonce", Some("n-1"));

    let page = authorize(&tenant, &asked).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    let back = follow(&tenant, &link(&page, MAILBOX)).await;
    assert!(back.as_str().starts_with("http://localhost:43210/?code="));
    let pairs: HashMap<_, _> = back.query_pairs().collect();
    assert_eq!(pairs["state"], "s-1");
    assert!(pairs.contains_key("session_state"));
    let answer = tenant.granted(&redeem(&pairs["code"])).await;

    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(
        answer["scope"],
        "https://graph.microsoft.com/Mail.Send openid profile"
    );
    assert_eq!(answer["expires_in"], 3599);
    assert_eq!(answer["ext_expires_in"], 3599);
    assert!(answer["refresh_token"].is_string());
    let access = claims(&answer["access_token"]);
    assert_eq!(access["scp"], "Mail.Send openid profile");
    assert_eq!(access["upn"], MAILBOX);
    assert_eq!(access["idtyp"], "user");
    assert_eq!(access["appidacr"], "0");
    assert!(access["roles"].is_null());
    let id = claims(&answer["id_token"]);
    assert_eq!(id["aud"], CLIENT);
    assert_eq!(id["preferred_username"], MAILBOX);
    assert_eq!(id["nonce"], "n-1");
    assert_eq!(id["oid"], access["oid"]);
    let grants = tenant.sandbox.requests();
    assert_eq!(
        grants.last().unwrap().grant.as_deref(),
        Some("authorization_code")
    );
}

#[tokio::test]
async fn code_is_good_once_for_its_redirect_uri_and_verifier() {
    let tenant = public().await;
    let given = code_for(&tenant, MAILBOX).await;
    let cases = [
        (
            "code_verifier",
            Some("wrong"),
            complains(400, "invalid_grant", 501_481),
        ),
        (
            "code_verifier",
            None,
            complains(400, "invalid_grant", 501_481),
        ),
        (
            "redirect_uri",
            Some("http://localhost:1"),
            complains(401, "invalid_client", 500_112),
        ),
        (
            "code",
            Some("other"),
            complains(400, "invalid_grant", 70_000),
        ),
        (
            "client_secret",
            Some("a"),
            complains(401, "invalid_client", 700_025),
        ),
        (
            "client_id",
            Some("other"),
            complains(400, "unauthorized_client", 700_016),
        ),
        (
            "scope",
            Some("Files.Read"),
            complains(400, "invalid_grant", 65_001),
        ),
    ];
    for (name, value, refusal) in cases {
        let request = but(redeem(&given), name, value);
        assert_eq!(tenant.complaint(&request).await, refusal, "{name}");
    }

    tenant.granted(&redeem(&given)).await;

    let again = tenant.complaint(&redeem(&given)).await;
    assert_eq!(again, complains(400, "invalid_grant", 54_005));
}

#[tokio::test]
async fn code_expires() {
    let tenant = Tenant::with(Settings {
        public_client: true,
        code_life: Duration::ZERO,
        ..Settings::default()
    })
    .await;
    let given = code_for(&tenant, MAILBOX).await;

    let late = tenant.complaint(&redeem(&given)).await;

    assert_eq!(late, complains(400, "invalid_grant", 70_008));
}

#[tokio::test]
async fn confidential_client_proves_itself_when_it_redeems_a_code() {
    let tenant = Tenant::new().await;
    let given = code_for(&tenant, MAILBOX).await;
    let secret = Settings::default().client_secret;

    let bare = tenant.complaint(&redeem(&given)).await;
    let proven = but(redeem(&given), "client_secret", Some(&secret));
    let answer = tenant.granted(&proven).await;

    assert_eq!(bare, complains(401, "invalid_client", 7_000_218));
    assert_eq!(claims(&answer["access_token"])["appidacr"], "1");
}

#[tokio::test]
async fn client_or_redirect_uri_that_is_not_known_gets_a_page_and_no_redirect() {
    let tenant = public().await;
    let cases = [
        ("client_id", Some("other"), "AADSTS700016"),
        ("redirect_uri", Some("http://localhost/path"), "AADSTS50011"),
        ("redirect_uri", Some("http://127.0.0.1"), "AADSTS50011"),
        ("redirect_uri", Some("https://localhost"), "AADSTS50011"),
        ("redirect_uri", None, "AADSTS900144"),
    ];
    for (name, value, number) in cases {
        let answer = authorize(&tenant, &but(good(), name, value)).await;

        assert_eq!(answer.status(), 400, "{name}={value:?}");
        assert!(!answer.headers().contains_key(header::LOCATION));
        assert!(answer.text().await.unwrap().contains(number), "{value:?}");
    }
    let url = tenant.url("/common/oauth2/v2.0/authorize");
    let url = Url::parse_with_params(&url, good()).unwrap();
    let common = tenant.http.get(url).send().await.unwrap();
    assert!(common.text().await.unwrap().contains("AADSTS50194"));
}

#[tokio::test]
async fn redirect_uri_is_compared_without_the_port_of_loopback_and_with_its_path() {
    let tenant = Tenant::with(Settings {
        redirect_uris: vec![
            "http://localhost/Back".to_owned(),
            "https://app.example/back".to_owned(),
        ],
        ..Settings::default()
    })
    .await;
    let cases = [
        ("http://localhost:1/Back", 200),
        ("http://localhost:1/back", 400),
        ("http://localhost:1", 400),
        ("https://app.example/back", 200),
        ("https://app.example:8443/back", 400),
    ];
    for (uri, status) in cases {
        let answer = authorize(&tenant, &but(good(), "redirect_uri", Some(uri))).await;
        assert_eq!(answer.status(), status, "{uri}");
    }
}

#[tokio::test]
async fn other_errors_are_returned_to_the_client() {
    let tenant = public().await;
    let cases = [
        (
            "scope",
            Some("Files.Read"),
            "consent_required",
            "AADSTS65001",
        ),
        ("scope", None, "invalid_request", "AADSTS900144"),
        (
            "scope",
            Some("https://graph.microsoft.us/Mail.Send"),
            "invalid_resource",
            "AADSTS500011",
        ),
        (
            "response_type",
            Some("token"),
            "unsupported_response_type",
            "AADSTS700051",
        ),
        (
            "response_mode",
            Some("fragment"),
            "invalid_request",
            "AADSTS70007",
        ),
        (
            "code_challenge",
            Some("short"),
            "invalid_request",
            "AADSTS501491",
        ),
        (
            "code_challenge_method",
            Some("plain"),
            "invalid_request",
            "AADSTS9002313",
        ),
    ];
    for (name, value, error, number) in cases {
        let answer = authorize(&tenant, &but(good(), name, value)).await;

        let pairs = pairs(&location(&answer));
        assert_eq!(pairs["error"], error, "{name}={value:?}");
        assert!(pairs["error_description"].starts_with(number), "{pairs:?}");
        assert_eq!(pairs["state"], "s-1");
    }
    let bare = but(
        but(good(), "code_challenge", None),
        "code_challenge_method",
        None,
    );
    let bare = authorize(&tenant, &bare).await;
    assert_eq!(pairs(&location(&bare))["error"], "invalid_request");
}

#[tokio::test]
async fn user_may_decline() {
    let tenant = public().await;
    let page = authorize(&tenant, &good()).await.text().await.unwrap();

    let back = follow(&tenant, &link(&page, "Decline")).await;

    let pairs = pairs(&back);
    assert_eq!(pairs["error"], "access_denied");
    assert!(pairs["error_description"].starts_with("AADSTS65004: "));
    assert_eq!(pairs["state"], "s-1");
}

#[tokio::test]
async fn page_lists_everybody_and_first_whom_the_client_has_in_mind() {
    let guest = "guest_example.org#EXT#@sandbox.example";
    let tenant = Tenant::with(Settings {
        public_client: true,
        unlicensed: vec!["nobox@sandbox.example".to_owned()],
        guests: vec![guest.to_owned()],
        ..Settings::default()
    })
    .await;
    let asked = but(good(), "login_hint", Some("nobox@sandbox.example"));

    let page = authorize(&tenant, &asked).await.text().await.unwrap();

    let at = |upn: &str| page.find(&format!("{upn}</a>")).unwrap();
    assert!(at("nobox@sandbox.example") < at(MAILBOX));
    assert!(at(MAILBOX) < page.find("EXT").unwrap());
    let given = code_for(&tenant, guest).await;
    let answer = tenant.granted(&redeem(&given)).await;
    assert_eq!(claims(&answer["access_token"])["upn"], guest);
    let sent = as_user(&tenant, &answer, "me").await;
    assert_eq!(
        code(sent).await,
        refused(404, "MailboxNotEnabledForRESTAPI")
    );
}

#[tokio::test]
async fn delegated_token_sends_from_the_own_mailbox_alone() {
    let tenant = public().await;
    let given = code_for(&tenant, MAILBOX).await;
    let answer = tenant.granted(&redeem(&given)).await;
    let access = claims(&answer["access_token"]);
    let own = [
        "me".to_owned(),
        format!("users/{MAILBOX}"),
        format!("users/{}", access["oid"].as_str().unwrap()),
    ];
    for path in &own {
        assert_eq!(
            as_user(&tenant, &answer, path).await.status(),
            202,
            "{path}"
        );
    }

    let other = as_user(&tenant, &answer, "users/reports@sandbox.example").await;
    assert_eq!(code(other).await, refused(403, "ErrorAccessDenied"));
    let draft = draft_as_user(&tenant, &answer, "me").await;
    assert_eq!(code(draft).await, refused(403, "ErrorAccessDenied"));

    assert_eq!(tenant.sandbox.arrivals().len(), 3);
    let senders = tenant.sandbox.arrivals();
    assert!(senders.iter().all(|arrival| arrival.mailbox == MAILBOX));
}

#[tokio::test]
async fn delegated_token_with_read_write_has_the_draft_route_too() {
    let tenant = public().await;
    let scope = "Mail.Send Mail.ReadWrite";
    let page = authorize(&tenant, &but(good(), "scope", Some(scope))).await;
    let page = page.text().await.unwrap();
    let back = follow(&tenant, &link(&page, MAILBOX)).await;
    let answer = tenant.granted(&redeem(&pairs(&back)["code"])).await;
    assert!(answer["refresh_token"].is_null());

    for path in ["me".to_owned(), format!("users/{MAILBOX}")] {
        let draft = draft_as_user(&tenant, &answer, &path).await;
        assert_eq!(draft.status(), 201);
        let draft: Value = draft.json().await.unwrap();
        let id = draft["id"].as_str().unwrap();
        let url = tenant.url(&format!("/v1.0/{path}/messages/{id}/send"));
        let request = tenant.http.post(url).header(header::CONTENT_LENGTH, "0");
        let token = answer["access_token"].as_str().unwrap();
        let sent = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(sent.status(), 202, "{path}");
    }
    assert_eq!(tenant.sandbox.arrivals().len(), 2);
}

#[tokio::test]
async fn app_that_is_there_for_all_tenants_signs_in_at_common() {
    let tenant = Tenant::with(Settings {
        public_client: true,
        multi_tenant: true,
        ..Settings::default()
    })
    .await;
    let given = code_for(&tenant, MAILBOX).await;

    let path = "/common/oauth2/v2.0/token";
    let answer = tenant.ask_at(path, &redeem(&given)).await;
    let alone = tenant.ask_at(path, &crate::tenant::good()).await;

    assert_eq!(answer.status(), 200);
    assert_eq!(
        alone.json::<Value>().await.unwrap()["error_codes"],
        json!([9_001_023])
    );
    let single = public().await.ask_at(path, &redeem("any")).await;
    assert_eq!(
        single.json::<Value>().await.unwrap()["error_codes"],
        json!([50_194])
    );
}

#[tokio::test]
async fn other_cloud_has_its_own_scopes() {
    let resource = "https://graph.microsoft.us";
    let tenant = Tenant::with(Settings {
        public_client: true,
        resource: resource.to_owned(),
        ..Settings::default()
    })
    .await;
    let scope = format!("{resource}/Mail.Send");

    let page = authorize(&tenant, &but(good(), "scope", Some(&scope))).await;
    let back = follow(&tenant, &link(&page.text().await.unwrap(), MAILBOX)).await;
    let answer = tenant.granted(&redeem(&pairs(&back)["code"])).await;
    let global = authorize(&tenant, &good()).await;

    assert_eq!(answer["scope"], scope);
    assert_eq!(claims(&answer["access_token"])["aud"], resource);
    assert_eq!(as_user(&tenant, &answer, "me").await.status(), 202);
    assert_eq!(pairs(&location(&global))["error"], "invalid_resource");
}

#[tokio::test]
async fn page_to_sign_in_fails_on_demand() {
    let tenant = public().await;
    tenant.sandbox.inject(Fault {
        code: Some("access_denied".to_owned()),
        message: Some("AADSTS53003: Access has been blocked.".to_owned()),
        ..Fault::at(Station::Authorize, 302)
    });
    tenant.sandbox.inject(Fault::at(Station::Authorize, 503));

    let blocked = authorize(&tenant, &good()).await;
    let down = authorize(&tenant, &good()).await;

    let pairs = pairs(&location(&blocked));
    assert_eq!(pairs["error"], "access_denied");
    assert_eq!(
        pairs["error_description"],
        "AADSTS53003: Access has been blocked."
    );
    assert_eq!(down.status(), 503);
    assert_eq!(authorize(&tenant, &good()).await.status(), 200);
}

#[tokio::test]
async fn fault_that_refuses_leaves_a_code_good() {
    let tenant = public().await;
    let given = code_for(&tenant, MAILBOX).await;
    tenant.sandbox.inject(Fault::at_token(503));

    assert_eq!(tenant.ask(&redeem(&given)).await.status(), 503);
    tenant.granted(&redeem(&given)).await;
}

/// A tenant whose app allows public client flows.
pub(crate) async fn public() -> Tenant {
    Tenant::with(Settings {
        public_client: true,
        ..Settings::default()
    })
    .await
}

/// A code for that user.
pub(crate) async fn code_for(tenant: &Tenant, upn: &str) -> String {
    let page = authorize(tenant, &good()).await.text().await.unwrap();
    let back = follow(tenant, &link(&page, upn)).await;
    pairs(&back)["code"].clone()
}

/// The request that takes tokens for a code.
pub(crate) fn redeem(code: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ]
}

/// A request with one parameter changed, or left out.
pub(crate) fn but<'a>(
    mut request: Vec<(&'static str, &'a str)>,
    name: &'static str,
    value: Option<&'a str>,
) -> Vec<(&'static str, &'a str)> {
    request.retain(|(given, _)| *given != name);
    request.extend(value.map(|value| (name, value)));
    request
}

fn good() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", CLIENT),
        ("response_type", "code"),
        ("redirect_uri", BACK),
        ("response_mode", "query"),
        ("scope", SEND),
        ("state", "s-1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

async fn authorize(tenant: &Tenant, parameters: &[(&str, &str)]) -> Response {
    let path = format!("/{}/oauth2/v2.0/authorize", Settings::default().tenant);
    let url = Url::parse_with_params(&tenant.url(&path), parameters).unwrap();
    tenant.http.get(url).send().await.unwrap()
}

/// The path behind a link of the page.
fn link(page: &str, text: &str) -> String {
    let links = page.split("<a href=\"").skip(1);
    let unescaped = |text: &str| text.replace("&#35;", "#").replace("&#38;", "&");
    let mut found = links.filter_map(|link| {
        let (href, rest) = link.split_once("\">")?;
        let (shown, _) = rest.split_once("</a>")?;
        (unescaped(shown) == text).then(|| unescaped(href))
    });
    found.next().unwrap()
}

/// Where a link of the page leads to.
async fn follow(tenant: &Tenant, path: &str) -> Url {
    location(&tenant.page(path).await)
}

fn location(answer: &Response) -> Url {
    assert_eq!(answer.status(), 302);
    let location = answer.headers()[header::LOCATION].to_str().unwrap();
    assert!(location.starts_with(&format!("{BACK}/?")), "{location}");
    location.parse().unwrap()
}

fn pairs(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}

/// Sends a message with the token of an answer; `owner` is `me` or `users/...`.
pub(crate) async fn as_user(tenant: &Tenant, answer: &Value, owner: &str) -> Response {
    let url = tenant.url(&format!("/v1.0/{owner}/sendMail"));
    posted(tenant, answer, &url).await
}

async fn draft_as_user(tenant: &Tenant, answer: &Value, owner: &str) -> Response {
    let url = tenant.url(&format!("/v1.0/{owner}/messages"));
    posted(tenant, answer, &url).await
}

async fn posted(tenant: &Tenant, answer: &Value, url: &str) -> Response {
    let token = answer["access_token"].as_str().unwrap();
    let request = tenant.http.post(url).bearer_auth(token);
    let request = request.header(header::CONTENT_TYPE, "text/plain");
    let body = STANDARD.encode(message("a@example.org"));
    request.body(body).send().await.unwrap()
}
