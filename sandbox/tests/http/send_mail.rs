//! sendMail: what is taken as MIME and what is refused in either form.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Form;
use graph_relay_sandbox::Rate;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use reqwest::header;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::tenant::MAILBOX;
use crate::tenant::Tenant;
use crate::tenant::code;
use crate::tenant::message;
use crate::tenant::refused;

#[tokio::test]
async fn mime_message_arrives_byte_for_byte() {
    let tenant = Tenant::new().await;
    let mut raw =
        b"From: relay@sandbox.example\r\nTo: \"A, B\" <a@example.org>, Team: c@example.org;\
        \r\nCC: d@example.org\r\nBcc:\r\n e@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Message-ID: <7@app>\r\n\r\n"
            .to_vec();
    raw.extend((0..=255_u8).cycle().take(3000));
    let folded = STANDARD
        .encode(&raw)
        .as_bytes()
        .chunks(76)
        .map(|line| [line, b"\r\n"].concat())
        .collect::<Vec<_>>()
        .concat();

    let answer = tenant
        .request("relay%40sandbox.example", "text/plain; charset=utf-8")
        .header("client-request-id", "0f6d2d0e-8f0a-4b61-9a37-3b7b1f1f0c11")
        .body(folded)
        .send()
        .await
        .unwrap();

    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()[header::CONTENT_LENGTH], "0");
    assert_eq!(
        answer.headers()["client-request-id"],
        "0f6d2d0e-8f0a-4b61-9a37-3b7b1f1f0c11"
    );
    assert!(answer.headers().contains_key("x-ms-ags-diagnostic"));
    assert!(answer.headers().contains_key(header::DATE));
    tenant.sandbox.arrived(1).await;
    let arrivals = tenant.sandbox.arrivals();
    let arrival = &arrivals[0];
    assert_eq!(arrival.raw, raw);
    assert_eq!((arrival.id, arrival.form), (1, Form::Mime));
    assert_eq!(arrival.to, ["a@example.org", "c@example.org"]);
    assert_eq!(arrival.cc, ["d@example.org"]);
    assert_eq!(arrival.bcc, ["e@example.org"]);
    assert_eq!(arrival.subject, "Grüße");
    assert_eq!(arrival.message_id.as_deref(), Some("<7@app>"));
    let stored = tenant.page("/sandbox/messages/1/raw").await;
    assert_eq!(stored.headers()[header::CONTENT_TYPE], "message/rfc822");
    assert_eq!(stored.bytes().await.unwrap(), raw);
}

#[tokio::test]
async fn app_without_role_sends_only_from_the_mailboxes_of_its_scope() {
    let tenant = Tenant::with(Settings {
        roles: Vec::new(),
        rbac_mailboxes: vec!["reports@sandbox.example".to_owned()],
        ..Settings::default()
    })
    .await;

    let outside = tenant.send(&message("a@example.org")).await;
    let within = tenant
        .request("Reports@sandbox.example", "text/plain")
        .body(STANDARD.encode("From: reports@sandbox.example\r\nTo: a@example.org\r\n\r\n"))
        .send()
        .await
        .unwrap();

    assert_eq!(code(outside).await, refused(403, "ErrorAccessDenied"));
    assert_eq!(within.status(), 202);
}

#[tokio::test]
async fn mailbox_is_found_by_upn_and_object_id_alone() {
    let id = "5a4db0c5-0000-4000-8000-00000000000a";
    let tenant = Tenant::with(Settings {
        object_ids: [(id.to_owned(), MAILBOX.to_owned())].into(),
        unlicensed: vec!["guest@sandbox.example".to_owned()],
        ..Settings::default()
    })
    .await;
    let body = STANDARD.encode(message("a@example.org"));
    let send = async |user: &str| {
        let request = tenant.request(user, "text/plain").body(body.clone());
        request.send().await.unwrap()
    };

    assert_eq!(send(id).await.status(), 202);
    assert_eq!(
        code(send("alias@sandbox.example").await).await,
        refused(404, "ErrorInvalidUser")
    );
    // One segment, whatever is encoded within it.
    assert_eq!(
        code(send("a%2Fb%23EXT%23@x").await).await,
        refused(404, "ErrorInvalidUser")
    );
    assert_eq!(
        code(send("guest@sandbox.example").await).await,
        refused(404, "MailboxNotEnabledForRESTAPI")
    );
    assert_eq!(tenant.sandbox.arrivals()[0].mailbox, MAILBOX);
}

#[tokio::test]
async fn me_is_refused_for_an_application() {
    let tenant = Tenant::new().await;
    let request = tenant.http.post(tenant.url("/v1.0/me/sendMail"));

    let answer = request.bearer_auth(&tenant.token).send().await.unwrap();

    assert_eq!(code(answer).await, refused(400, "BadRequest"));
}

#[tokio::test]
async fn mailbox_over_its_rate_is_throttled_until_the_span_is_over() {
    let rate = |amount| {
        let span = Duration::from_secs(600);
        Some(Rate { amount, span })
    };
    let mime = message("a@example.org");
    let octets = STANDARD.encode(&mime).len() as u64;
    let by_requests = Settings {
        request_rate: rate(2),
        ..Settings::default()
    };
    let by_octets = Settings {
        upload_rate: rate(octets * 2),
        ..Settings::default()
    };
    for settings in [by_requests, by_octets] {
        let tenant = Tenant::with(settings).await;

        assert_eq!(tenant.send(&mime).await.status(), 202);
        assert_eq!(tenant.send(&mime).await.status(), 202);
        let over = tenant.send(&mime).await;

        let wait = over.headers()[header::RETRY_AFTER].to_str().unwrap();
        assert!((500..=600).contains(&wait.parse().unwrap()), "{wait}");
        assert_eq!(code(over).await, refused(429, "TooManyRequests"));
        assert_eq!(tenant.sandbox.arrivals().len(), 2);
    }
}

#[tokio::test]
async fn requests_that_the_sandbox_does_not_support_are_refused_and_recorded() {
    let tenant = Tenant::new().await;
    let ask = |path: &str| tenant.http.get(tenant.url(path));

    let unknown = ask("/v1.0/groups").bearer_auth(&tenant.token);
    assert_eq!(
        code(unknown.send().await.unwrap()).await,
        refused(400, "BadRequest")
    );
    assert_eq!(
        code(ask("/v1.0/groups").send().await.unwrap()).await,
        refused(401, "InvalidAuthenticationToken")
    );
    assert_eq!(ask("/beta/users").send().await.unwrap().status(), 404);
    assert_eq!(tenant.sandbox.totals().other_requests, 3);
}

/// RFC 9110 10.1.1: a client that asks first is told before it sends the body.
#[tokio::test]
async fn expect_100_continue_is_answered_before_the_body() {
    let tenant = Tenant::new().await;
    let body = STANDARD.encode(message("a@example.org"));
    let head = |length: usize| {
        format!(
            "POST /v1.0/users/{MAILBOX}/sendMail HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {}\r\nContent-Type: text/plain\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n",
            tenant.token
        )
    };
    let mut fits = TcpStream::connect(tenant.sandbox.address()).await.unwrap();
    let mut answer = [0; 25];

    fits.write_all(head(body.len()).as_bytes()).await.unwrap();
    fits.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    fits.write_all(body.as_bytes()).await.unwrap();
    fits.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer[..23], b"HTTP/1.1 202 Accepted\r\n");

    let mut too_much = TcpStream::connect(tenant.sandbox.address()).await.unwrap();
    too_much
        .write_all(head(5_000_000).as_bytes())
        .await
        .unwrap();
    too_much.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer[..13], b"HTTP/1.1 413 ");
}

#[tokio::test]
async fn messages_that_cannot_be_sent_are_refused() {
    let tenant = Tenant::new().await;
    let from = "From: relay@sandbox.example\r\n";
    let cases = [
        (
            "text/plain",
            "not base64!".to_owned(),
            400,
            "ErrorMimeContentInvalidBase64String",
        ),
        (
            "text/plain",
            "SGk".to_owned(),
            400,
            "ErrorMimeContentInvalidBase64String",
        ),
        ("text/plain", String::new(), 400, "ErrorMimeContentInvalid"),
        (
            "text/plain",
            STANDARD.encode("no header here\r\n"),
            400,
            "ErrorMimeContentInvalid",
        ),
        (
            "text/plain",
            STANDARD.encode(format!("{from}\r\nTo: a@b\r\n")),
            400,
            "ErrorInvalidRecipients",
        ),
        (
            "text/plain",
            STANDARD.encode(message("undisclosed-recipients:;")),
            400,
            "ErrorInvalidRecipients",
        ),
        (
            "text/plain",
            STANDARD.encode(message("nobody")),
            400,
            "ErrorInvalidRecipients",
        ),
        (
            "message/rfc822",
            message("a@example.org"),
            415,
            "UnsupportedMediaType",
        ),
    ];
    for (media_type, body, status, expected) in cases {
        let request = tenant.request(MAILBOX, media_type).body(body.clone());

        let answer = request.send().await.unwrap();

        assert_eq!(code(answer).await, refused(status, expected), "{body}");
    }
    assert!(tenant.sandbox.arrivals().is_empty());
}

#[tokio::test]
async fn author_is_the_mailbox_or_an_address_it_may_send_as() {
    let tenant = Tenant::with(Settings {
        send_as: vec!["list@sandbox.example".to_owned()],
        ..Settings::default()
    })
    .await;
    let by = |author: &str| format!("From: X <{author}>\r\nTo: a@example.org\r\n\r\n");

    assert_eq!(
        tenant.send(&by("RELAY@sandbox.example")).await.status(),
        202
    );
    assert_eq!(tenant.send(&by("list@sandbox.example")).await.status(), 202);
    assert_eq!(tenant.send("To: a@example.org\r\n\r\n").await.status(), 202);
    let answer = tenant.send(&by("boss@sandbox.example")).await;
    assert_eq!(code(answer).await, refused(403, "ErrorSendAsDenied"));
}

#[tokio::test]
async fn request_over_the_limit_is_refused_in_graphs_words() {
    let tenant = Tenant::new().await;
    let size = Settings::default().request_limit;
    let fits = message("a@example.org");
    let fill = |octets: usize| {
        let mime = format!("{fits}{}", "x".repeat(octets / 4 * 3 - fits.len()));
        tenant
            .request(MAILBOX, "text/plain")
            .body(STANDARD.encode(mime))
            .send()
    };

    assert_eq!(fill(size).await.unwrap().status(), 202);
    let answer = fill(size + 4).await.unwrap();

    assert_eq!(answer.status(), 413);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["code"], "BadRequest");
    assert_eq!(
        body["error"]["message"],
        "The maximum request length supported is 4MB."
    );
}

#[tokio::test]
async fn fifth_parallel_request_of_a_mailbox_is_throttled() {
    let tenant = Tenant::new().await;
    tenant.sandbox.inject(Fault {
        times: 5,
        delay: Duration::from_secs(1),
        ..Fault::usual(Station::Send)
    });
    let mime = message("a@example.org");

    let answers = join_all((0..5).map(|_| tenant.send(&mime))).await;

    let mut throttled = answers.into_iter().filter(|answer| answer.status() != 202);
    let one = throttled.next().unwrap();
    assert!(throttled.next().is_none());
    assert_eq!(one.headers()[header::RETRY_AFTER], "10");
    assert_eq!(code(one).await, refused(429, "ApplicationThrottled"));
    assert_eq!(tenant.sandbox.arrivals().len(), 4);
    assert_eq!(tenant.sandbox.peak_concurrency(MAILBOX), 5);
}
