//! What goes wrong on purpose.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use reqwest::header;
use serde_json::Value;
use serde_json::json;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::message;
use crate::tenant::refused;

#[tokio::test]
async fn recipients_address_chooses_the_fault() {
    // Address, the statuses of three tries, Retry-After of the first, messages taken in the end.
    let cases: [(&str, [u16; 3], Option<&str>, usize); 12] = [
        ("throttle@a.example", [429, 429, 202], Some("2"), 1),
        ("busy+1@a.example", [503, 202, 202], None, 2),
        ("unavailable@a.example", [503, 202, 202], None, 2),
        ("html@a.example", [502, 202, 202], None, 2),
        ("timeout@a.example", [504, 202, 202], None, 3),
        ("accepted@a.example", [202, 202, 202], Some("2"), 3),
        ("Expired@a.example", [401, 202, 202], None, 2),
        ("invalid@a.example", [400, 400, 400], None, 0),
        ("denied@a.example", [403, 403, 403], None, 0),
        ("sendas@a.example", [403, 403, 403], None, 0),
        ("quota@a.example", [429, 429, 429], Some("3600"), 0),
        ("toolarge@a.example", [413, 413, 413], None, 0),
    ];
    let tenant = Tenant::new().await;
    for (address, statuses, retry_after, taken) in cases {
        let mime = message(&format!("a@example.org, {address}"));
        for (index, status) in statuses.into_iter().enumerate() {
            let answer = tenant.send(&mime).await;

            assert_eq!(answer.status(), status, "{address}, try {index}");
            if index == 0 {
                let header = answer.headers().get(header::RETRY_AFTER);
                assert_eq!(
                    header.map(|it| it.to_str().unwrap()),
                    retry_after,
                    "{address}"
                );
            }
        }
        assert_eq!(tenant.sandbox.arrivals().len(), taken, "{address}");
        tenant.sandbox.clear();
    }
}

#[tokio::test]
async fn connection_is_cut_with_or_without_the_message_taken() {
    let tenant = Tenant::new().await;
    for (address, taken) in [("reset", 0), ("lost", 1), ("partial", 1)] {
        let mime = message(&format!("{address}@example.org"));

        let cut = tenant.try_send(&mime).await.unwrap_err();

        assert!(cut.is_request() && !cut.is_connect(), "{address}: {cut:?}");
        assert_eq!(tenant.sandbox.arrivals().len(), taken, "{address}");
        assert_eq!(tenant.sandbox.requests().last().unwrap().status, None);
        assert_eq!(tenant.send(&mime).await.status(), 202);
        assert_eq!(tenant.sandbox.arrivals().len(), taken + 1, "{address}");
        tenant.sandbox.clear();
    }
}

#[tokio::test]
async fn answer_cut_within_its_body_has_a_head() {
    let tenant = Tenant::new().await;
    tenant.sandbox.inject(Fault {
        cut: Some(Cut::During),
        ..Fault::at_send(503)
    });

    let answer = tenant.send(&message("a@example.org")).await;

    assert_eq!(answer.status(), 503);
    assert!(answer.bytes().await.is_err());
    assert!(tenant.sandbox.arrivals().is_empty());
}

#[tokio::test]
async fn fault_by_api_happens_as_often_and_where_requested() {
    let tenant = Tenant::new().await;
    let post = async |fault: Value| {
        let request = tenant.http.post(tenant.url("/sandbox/faults"));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        request
            .body(fault.to_string())
            .send()
            .await
            .unwrap()
            .status()
    };
    let date = "Sat, 21 Nov 2026 19:00:00 GMT";
    let fault = json!({"at": "send", "mailbox": MAILBOX, "times": 2, "status": 503,
        "code": "ErrorServerBusy", "message": "Busy.", "retry_after": date, "stored": true});
    assert_eq!(post(fault).await, 204);
    assert_eq!(post(json!({"at": "send", "status": 99})).await, 400);
    assert_eq!(post(json!({"at": "send", "statsu": 503})).await, 422);

    let other = tenant
        .request("reports@sandbox.example", "text/plain")
        .body(STANDARD.encode("To: a@example.org\r\n\r\n"))
        .send();
    assert_eq!(other.await.unwrap().status(), 202);
    let first = tenant.send(&message("a@example.org")).await;
    assert_eq!(first.headers()[header::RETRY_AFTER], date);
    assert_eq!(code(first).await, refused(503, "ErrorServerBusy"));
    let waiting: Value = tenant.page("/sandbox/faults").await.json().await.unwrap();
    assert_eq!(waiting[0]["times"], 1);
    assert_eq!(tenant.send(&message("a@example.org")).await.status(), 503);
    assert_eq!(tenant.send(&message("a@example.org")).await.status(), 202);
    assert_eq!(tenant.sandbox.arrivals().len(), 4);
}
