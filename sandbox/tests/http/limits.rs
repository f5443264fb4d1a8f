//! A mailbox's limits, which all its requests share.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Rate;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use reqwest::Response;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::message;
use crate::tenant::refused;

const SPAN: Duration = Duration::from_secs(600);

#[tokio::test]
async fn requests_of_every_kind_count_as_one_at_once() {
    let tenant = Tenant::with(small()).await;
    let mime = message("a@example.org");
    let id = tenant.draft_id(&mime).await;
    let url = tenant.session(&id, 10).await;
    for at in [
        Station::Send,
        Station::Draft,
        Station::Look,
        Station::Upload,
    ] {
        tenant.sandbox.inject(Fault {
            delay: Duration::from_secs(1),
            times: 2,
            ..Fault::usual(at)
        });
    }
    let send = async { tenant.send(&mime).await };
    let draft = async { tenant.try_draft(&mime).await.unwrap() };
    let look = async { tenant.get("messages").await };
    let upload = async { tenant.put(&url, 0, b"abc", 10).await };
    let again = async { tenant.get("messages").await };

    let (one, two, three, four, five) = tokio::join!(send, draft, look, upload, again);

    let answers = [one, two, three, four, five];
    let mut throttled = Vec::new();
    for answer in answers {
        if !answer.status().is_success() {
            throttled.push(code(answer).await);
        }
    }
    assert_eq!(throttled, [refused(429, "ApplicationThrottled")]);
    assert_eq!(tenant.sandbox.peak_concurrency(MAILBOX), 5);
    tenant.sandbox.clear();
    assert_eq!(tenant.sandbox.peak_concurrency(MAILBOX), 0);
}

#[tokio::test]
async fn requests_of_every_kind_are_counted_in_the_span() {
    let tenant = Tenant::with(Settings {
        request_rate: Some(Rate {
            amount: 4,
            span: SPAN,
        }),
        ..small()
    })
    .await;
    let id = tenant.draft_id(&message("a@example.org")).await;
    let url = tenant.session(&id, 10).await;
    assert_eq!(tenant.put(&url, 0, b"abc", 10).await.status(), 200);
    assert_eq!(tenant.get("messages").await.status(), 200);

    let over = tenant.put(&url, 3, b"def", 10).await;

    assert_eq!(code(over).await, refused(429, "TooManyRequests"));
    assert_eq!(tenant.submit(&id).await.status(), 429);
    assert_eq!(tenant.send(&message("a@example.org")).await.status(), 429);
}

#[tokio::test]
async fn octets_of_uploads_are_counted_with_those_of_graph() {
    let mime = message("a@example.org");
    let octets = STANDARD.encode(&mime).len() as u64;
    let tenant = Tenant::with(Settings {
        upload_rate: Some(Rate {
            amount: octets * 2 + 500,
            span: SPAN,
        }),
        ..small()
    })
    .await;
    let id = tenant.draft_id(&mime).await;
    let url = tenant.session(&id, 1000).await;
    assert_eq!(tenant.put(&url, 0, &[0; 300], 1000).await.status(), 200);

    let over = tenant.put(&url, 300, &[0; 300], 1000).await;

    assert_eq!(code(over).await, refused(429, "TooManyRequests"));
    // What carries nothing is not counted.
    assert_eq!(tenant.get("messages").await.status(), 200);
    assert_eq!(tenant.submit(&id).await.status(), 202);
}

#[tokio::test]
async fn messages_are_counted_by_either_route_and_once_sent_only() {
    let tenant = Tenant::with(Settings {
        message_rate: Some(Rate {
            amount: 2,
            span: SPAN,
        }),
        ..small()
    })
    .await;
    let mime = message("a@example.org");
    let id = tenant.draft_id(&mime).await;
    let other = tenant.draft_id(&mime).await;

    assert_eq!(tenant.send(&mime).await.status(), 202);
    assert_eq!(tenant.send("Subject: nobody\r\n\r\n").await.status(), 400);
    assert_eq!(tenant.submit(&id).await.status(), 202);
    let over: Vec<Response> = vec![tenant.submit(&other).await, tenant.send(&mime).await];

    for answer in over {
        assert_eq!(code(answer).await, refused(429, "TooManyRequests"));
    }
    assert_eq!(tenant.sandbox.arrivals().len(), 2);
    assert_eq!(tenant.sandbox.drafts().len(), 1);
}

#[tokio::test]
async fn recipients_of_a_draft_are_counted_when_it_is_sent() {
    let tenant = Tenant::with(Settings {
        recipient_limit: 2,
        ..Settings::default()
    })
    .await;
    let id = tenant.draft_id(&message("a@b.c, d@e.f, g@h.i")).await;

    let answer = tenant.submit(&id).await;

    assert_eq!(
        code(answer).await,
        refused(400, "ErrorRecipientLimitExceeded")
    );
}

#[tokio::test]
async fn draft_sent_by_several_at_once_arrives_once() {
    let tenant = Tenant::new().await;
    let id = tenant.draft_id(&message("a@example.org")).await;

    let answers = join_all((0..4).map(|_| tenant.submit(&id))).await;

    let taken = answers.iter().filter(|answer| answer.status() == 202);
    assert_eq!(taken.count(), 1);
    assert_eq!(tenant.sandbox.arrivals().len(), 1);
}

fn small() -> Settings {
    Settings {
        session_minimum: 10,
        ..Settings::default()
    }
}
