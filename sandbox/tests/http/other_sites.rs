//! What web pages of others may do here: nothing.

use reqwest::Method;
use reqwest::header;

use crate::tenant::Tenant;

const EVIL: &str = "https://evil.example";

#[tokio::test]
async fn a_name_that_was_pointed_at_this_machine_opens_nothing() {
    let tenant = Tenant::new().await;
    let client = reqwest::Client::new();
    for path in [
        "/",
        "/sandbox/messages",
        "/sandbox/messages/1/raw",
        "/sandbox/nothing",
        "/common/v2.0/.well-known/openid-configuration",
        "/v1.0/me",
    ] {
        for host in ["evil.example", "evil.example:8025", "192.0.2.1"] {
            let request = client.get(tenant.url(path)).header(header::HOST, host);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 421, "{path} {host}");
        }
        let request = client
            .get(tenant.url(path))
            .header(header::HOST, "LocalHost:1");
        assert_ne!(request.send().await.unwrap().status(), 421, "{path}");
    }
    let uploads = format!("http://{}/", tenant.sandbox.upload_address());
    let request = client.get(uploads).header(header::HOST, "evil.example");
    assert_eq!(request.send().await.unwrap().status(), 421);
}

#[tokio::test]
async fn another_origin_changes_nothing_and_reads_nothing() {
    let tenant = Tenant::new().await;
    let client = reqwest::Client::new();
    let ask = |method: Method, path: &str, origin: &str| {
        let request = client.request(method, tenant.url(path));
        request.header(header::ORIGIN, origin).send()
    };
    for (method, path) in [
        (Method::POST, "/sandbox/tokens/revoke"),
        (Method::DELETE, "/sandbox/messages"),
        (Method::POST, "/sandbox/faults"),
        (Method::POST, "/sandbox/device"),
        (Method::OPTIONS, "/sandbox/faults"),
        (Method::POST, "/common/oauth2/v2.0/token"),
    ] {
        for origin in [EVIL, "null"] {
            let answer = ask(method.clone(), path, origin).await.unwrap();
            assert_eq!(answer.status(), 403, "{method} {path} {origin}");
        }
    }
    let own = tenant.url("");
    let answer = ask(Method::POST, "/sandbox/tokens/revoke", &own).await;
    assert_eq!(answer.unwrap().status(), 204);

    let answer = ask(Method::GET, "/sandbox/messages", EVIL).await.unwrap();
    assert_eq!(answer.status(), 200);
    let headers = answer.headers();
    assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
}

/// A browser says `Origin: null` for a form of a page that names no referrer.
#[tokio::test]
async fn forms_of_its_own_pages_name_their_origin() {
    let tenant = Tenant::new().await;

    let page = reqwest::get(tenant.url("/sandbox/device")).await.unwrap();

    assert_eq!(page.headers()[header::REFERRER_POLICY], "same-origin");
}
