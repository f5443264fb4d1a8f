//! What a test or an operator sees of it all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Framing;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Totals;
use reqwest::header;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::message;

#[tokio::test]
async fn request_record_tells_when_what_and_how() {
    let tenant = Tenant::new().await;
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(
        STANDARD.encode(message("a@example.org")),
    )]);

    let chunked = tenant
        .request(MAILBOX, "text/plain")
        .body(reqwest::Body::wrap_stream(chunks))
        .send()
        .await
        .unwrap();

    assert_eq!(chunked.status(), 202);
    let records = tenant.sandbox.requests();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].kind, RequestKind::Token);
    assert!(matches!(records[0].framing, Framing::ContentLength(1..)));
    assert_eq!(records[1].kind, RequestKind::SendMail);
    assert_eq!(records[1].framing, Framing::Chunked);
    assert_eq!(records[1].status, Some(202));
    assert_eq!(records[1].mailbox.as_deref(), Some(MAILBOX));
    assert_eq!(records[1].recipients, ["a@example.org"]);
    assert!(records[1].received >= records[0].received);
}

#[tokio::test]
async fn page_shows_what_arrived_and_runs_none_of_it() {
    let tenant = Tenant::new().await;
    let empty = tenant.page("/").await.text().await.unwrap();
    assert!(empty.contains("No messages yet") && empty.contains("throttle@"));

    let mime = message("<a@example.org>").replace("Hi\r\nM", "<script>alert(1)</script>\r\nM");
    assert_eq!(tenant.send(&mime).await.status(), 202);

    let answer = tenant.page("/").await;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"));
    let page = answer.text().await.unwrap();
    assert!(page.contains("alert(1)") && !page.contains("<script"));
    assert!(page.contains("/sandbox/messages/1/raw"));
    assert!(page.contains("SANDBOX"));
    assert_eq!(tenant.page("/sandbox/page.css").await.status(), 200);
}

#[tokio::test]
async fn memory_is_bounded_while_counts_go_on() {
    let tenant = Tenant::with(Settings {
        keep_messages: 2,
        keep_requests: 3,
        ..Settings::default()
    })
    .await;

    for _ in 0..5 {
        assert_eq!(tenant.send(&message("a@example.org")).await.status(), 202);
    }

    let ids: Vec<u64> = tenant.sandbox.arrivals().iter().map(|it| it.id).collect();
    assert_eq!(ids, [4, 5]);
    assert_eq!(tenant.sandbox.requests().len(), 3);
    assert_eq!(tenant.sandbox.totals().send_requests, 5);
    assert_eq!(tenant.page("/sandbox/messages/3/raw").await.status(), 404);
    let delete = tenant.http.delete(tenant.url("/sandbox/messages"));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert!(tenant.sandbox.arrivals().is_empty());
    assert_eq!(tenant.sandbox.totals(), Totals::default());
}

#[tokio::test]
async fn stopped_sandbox_frees_its_address() {
    let tenant = Tenant::new().await;
    let address = tenant.sandbox.address();
    let request = tenant.http.post(tenant.url("/v1.0/me/sendMail"));

    tenant.sandbox.stop().await;

    assert!(request.send().await.unwrap_err().is_connect());
    let again = Sandbox::start(address, Settings::default()).await.unwrap();
    assert_eq!(again.address(), address);
}
