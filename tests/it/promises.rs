//! The promises of `src/lib.rs`, each with its number, against the real relay.

use std::collections::BTreeMap;
use std::time::Duration;

use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Framing;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::load::peak;
use crate::common::message;
use crate::common::recipients;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::set;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::common::without;

#[tokio::test(flavor = "multi_thread")]
async fn promise_1_after_250_a_message_is_safe() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    // Graph is unreachable, so the message can only be where the relay stored it.
    graph.inject(Fault {
        times: 1000,
        ..Fault::at_token(503)
    });
    let mut relay = Relay::start(&home);
    let id = send_one(
        &relay,
        &["a@example.org"],
        &message("safe", "a@example.org"),
    );

    relay.kill();
    graph.clear_faults();
    let relay = Relay::start(&home);

    let arrivals = arrived(&graph, 1).await;
    assert_eq!(arrivals[0].subject, "safe");
    relay.event("delivered", |line| line["id"] == *id);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_2_five_messages_on_one_connection_are_five_delivered() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let ids = send_many(&relay, "m", 5);

    let arrivals = arrived(&graph, 5).await;
    let mut subjects: Vec<_> = arrivals.iter().map(|a| a.subject.clone()).collect();
    subjects.sort();
    assert_eq!(subjects, ["m0", "m1", "m2", "m3", "m4"]);
    for id in ids {
        let delivered = relay.event("delivered", |line| line["id"] == *id);
        let arrival = arrivals
            .iter()
            .find(|arrival| delivered["request_id"] == *arrival.request_id)
            .unwrap();
        let ours = arrival.client_request_id.as_deref().unwrap();
        assert_eq!(delivered["client_request_id"], *ours);
    }
    assert_eq!(graph.arrivals().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_2_a_thousand_messages_on_fifty_connections_arrive_once_each() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    std::thread::scope(|scope| {
        for connection in 0..50 {
            let relay = &relay;
            scope.spawn(move || send_many(relay, &format!("{connection}-"), 20));
        }
    });

    let arrivals = arrived(&graph, 1000).await;
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    for arrival in &arrivals {
        *count.entry(arrival.subject.clone()).or_default() += 1;
    }
    assert_eq!(count.len(), 1000);
    assert!(count.values().all(|n| *n == 1));
    assert!(graph.peak_concurrency(MAILBOX) <= 4);
}

/// Header fields, and the only envelope that may count.
const ENVELOPES: &[(&str, &[&str])] = &[
    // blind, only in the envelope
    (
        "To: a@example.org\r\n",
        &["a@example.org", "blind@example.org"],
    ),
    // an incoming Bcc field, in odd spellings, naming somebody else
    (
        "To: a@example.org\r\nBcc: eve@example.org\r\n",
        &["a@example.org"],
    ),
    (
        "BCC : eve@example.org,\r\n mallory@example.org\r\n",
        &["a@example.org"],
    ),
    (
        "bcc\t: eve@example.org\r\nBcc: eve@example.org\r\n",
        &["a@example.org"],
    ),
    // strays in To and Cc
    (
        "To: a@example.org, eve@example.org\r\nCc: b@example.org\r\n",
        &["a@example.org"],
    ),
    ("To: Eve <eve@example.org>\r\n", &["a@example.org"]),
    (
        "To: team: a@example.org, eve@example.org;\r\n",
        &["a@example.org"],
    ),
    (
        "To: eve@example.org: a@example.org; b@example.org\r\n",
        &["a@example.org", "b@example.org"],
    ),
    (
        "To: \"x\" eve@example.org <a@example.org>\r\n",
        &["a@example.org"],
    ),
    // two To fields
    (
        "To: a@example.org\r\nTo: b@example.org\r\n",
        &["a@example.org", "b@example.org"],
    ),
    // text that another reader could take for another address
    (
        "To: a@example.org <eve@example.org>\r\n",
        &["a@example.org"],
    ),
    ("To: \"unclosed <eve@example.org>\r\n", &["a@example.org"]),
    (
        "To: eve@example.org\r\n \r\nCc: eve@example.org\r\n",
        &["a@example.org"],
    ),
    // an earlier resending
    (
        "To: a@example.org\r\nResent-To: eve@example.org\r\nResent-Bcc: eve@example.org\r\n",
        &["a@example.org"],
    ),
    // without recipients
    ("To: undisclosed-recipients:;\r\n", &["a@example.org"]),
    ("", &["a@example.org", "b@example.org"]),
    // in another spelling
    ("To: A@Example.ORG\r\n", &["a@example.org"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn promise_3_the_envelope_alone_says_who_receives_a_message() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let with = |fields: &str| format!("From: {MAILBOX}\r\n{fields}Subject: x\r\n\r\nHello\r\n");
    for (at, (fields, envelope)) in ENVELOPES.iter().enumerate() {
        send_one(&relay, envelope, &with(fields));
        let arrivals = arrived(&graph, at + 1).await;

        let raw = String::from_utf8_lossy(&arrivals[at].raw).into_owned();
        assert_eq!(recipients(&arrivals[at]), set(envelope), "{fields}: {raw}");
        let eve_by_bcc = arrivals[at].bcc.iter().any(|bcc| bcc.contains("eve"));
        assert!(!eve_by_bcc && !raw.contains("X-Original-Bcc"), "{raw}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_3_strays_stay_visible_and_blind_recipients_do_not() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let content = format!(
        "From: {MAILBOX}\r\nTo: \"A, B\" <a@example.org>,\r\n Eve <eve@example.org>\r\n\
         Cc: carol@example.org\r\n\r\nHello\r\n"
    );

    send_one(&relay, &["a@example.org", "blind@example.org"], &content);

    let arrivals = arrived(&graph, 1).await;
    let raw = String::from_utf8(arrivals[0].raw.to_vec()).unwrap();
    assert!(
        raw.contains("\r\nTo: \"A, B\" <a@example.org>\r\n"),
        "{raw}"
    );
    assert!(raw.contains("X-Original-To: \"A, B\" <a@example.org>,\r\n Eve <eve@example.org>\r\n"));
    assert!(raw.contains("X-Original-Cc: carol@example.org\r\n"));
    assert!(raw.contains("Bcc: blind@example.org\r\n"));
    assert_eq!(raw.matches("blind@example.org").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_a_doubtful_attempt_is_reported_as_doubtful() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    graph.inject(Fault {
        stored: Some(true),
        cut: Some(Cut::Before),
        ..Fault::usual(Station::Send)
    });

    let id = send_one(
        &relay,
        &["a@example.org"],
        &message("doubt", "a@example.org"),
    );

    let doubtful = relay.event("doubtful", |line| line["id"] == *id);
    assert_eq!(doubtful["attempt"], 1);
    relay.event("delivered", |line| {
        line["id"] == *id && line["attempt"] == 2
    });
    let arrivals = arrived(&graph, 2).await;
    assert_eq!(arrivals[0].message_id, arrivals[1].message_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_a_202_is_believed_whatever_else_it_says() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    let id = send_one(
        &relay,
        &["accepted@example.org"],
        &message("m", "accepted@example.org"),
    );

    relay.event("delivered", |line| {
        line["id"] == *id && line["attempt"] == 1
    });
    assert_eq!(graph.arrivals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_5_content_is_not_rewritten() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let body: Vec<u8> = (0..=255_u8)
        .filter(|b| !matches!(b, 0 | b'\r' | b'\n'))
        .collect();
    let mut content = format!(
        "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nX-Odd:  kept \t\r\n  as it is\r\nFrom: Relay <{MAILBOX}>\r\n\
         to: a@example.org\r\nDate: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app>\r\n\r\n"
    )
    .into_bytes();
    content.extend_from_slice(b"..dots\r\n.\r\n");
    content.extend_from_slice(&body);
    content.extend_from_slice(b"\r\n");

    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    id_of(&smtp.send(MAILBOX, &["a@example.org", "blind@example.org"], &content));

    let arrivals = arrived(&graph, 1).await;
    let kept = without(&arrivals[0].raw, &["Received", "Bcc"]);
    assert_eq!(kept, content);
    let raw = String::from_utf8_lossy(&arrivals[0].raw).into_owned();
    assert!(
        raw.starts_with("Received: from client.example ([127.0.0.1])\r\n by relay.test.example")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_5_missing_fields_are_added() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    let id = send_one(&relay, &["a@example.org"], "Hello without any header\r\n");

    let arrivals = arrived(&graph, 1).await;
    let raw = String::from_utf8(arrivals[0].raw.to_vec()).unwrap();
    assert!(
        raw.contains(&format!("\r\nMessage-ID: <{id}@relay.test.example>\r\n")),
        "{raw}"
    );
    assert!(raw.contains("\r\nDate: "));
    assert!(raw.contains(&format!("\r\nFrom: {MAILBOX}\r\n")));
    assert!(raw.ends_with("\r\n\r\nHello without any header\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_5_a_large_message_arrives_as_it_was() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut content = message("large", "a@example.org");
    while content.len() < 2_990_000 {
        content.push_str(&format!("{:076}\r\n", content.len()));
    }

    send_one(&relay, &["a@example.org"], &content);

    let arrivals = arrived(&graph, 1).await;
    assert!(without(&arrivals[0].raw, &["Received"]) == content.as_bytes());
    let sent = graph
        .requests()
        .into_iter()
        .find(|r| r.kind == RequestKind::SendMail);
    let encoded = arrivals[0].raw.len().div_ceil(3) * 4;
    assert_eq!(
        sent.unwrap().framing,
        Framing::ContentLength(encoded as u64)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_1_a_large_message_survives_a_kill_and_unknown_files_are_moved_away() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    graph.inject(Fault {
        times: 1000,
        ..Fault::at_token(503)
    });
    let mut relay = Relay::start(&home);
    let mut content = message("large", "a@example.org");
    content.push_str(&format!("{:0998}\r\n", 0).repeat(1000));
    let id = send_one(&relay, &["a@example.org"], &content);
    relay.kill();
    let own = home.path("data/content").join(&id);
    let stranger = home.path("data/content/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    std::fs::write(&stranger, "a message that was never accepted").unwrap();
    assert!(own.exists());

    graph.clear_faults();
    let relay = Relay::start(&home);

    let arrivals = arrived(&graph, 1).await;
    assert!(without(&arrivals[0].raw, &["Received"]) == content.as_bytes());
    relay.wait_until(|| !own.exists());
    assert!(!stranger.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_size_of_a_message() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    send_many(&relay, "m", 20);
    let mut content = message("large", "a@example.org");
    content.push_str(&format!("{:0998}\r\n", 0).repeat(300));
    send_one(&relay, &["a@example.org"], &content);
    arrived(&graph, 21).await;
    let before = peak(&relay);

    content.push_str(&format!("{:0998}\r\n", 0).repeat(2600));
    send_one(&relay, &["a@example.org"], &content);
    arrived(&graph, 22).await;

    // The kernel counts roughly: the peak that it shows can also become a little less.
    let grown = peak(&relay).saturating_sub(before);
    assert!(
        grown < 2000,
        "{grown} kB more for 2,600 kB more of a message"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_expires() {
    let settings = Settings {
        token_life: Duration::from_secs(6),
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = Relay::start(&Home::new(&graph));

    let mut count = 0;
    relay.wait_until(|| {
        send_one(
            &relay,
            &["a@example.org"],
            &message(&format!("m{count}"), "a@example.org"),
        );
        count += 1;
        graph.totals().token_requests >= 3
    });

    arrived(&graph, count).await;
    assert!(
        graph
            .requests()
            .iter()
            .all(|request| request.status != Some(401))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_the_secret_and_the_tokens_are_in_no_log() {
    let graph = stand_in().await;
    let home = Home::with(&graph).account(MAILBOX, "").build();
    let text = std::fs::read_to_string(&home.config).unwrap();
    std::fs::write(
        &home.config,
        text.replace("level = \"debug\"", "level = \"trace\""),
    )
    .unwrap();
    let mut relay = Relay::start(&home);
    graph.inject(Fault::at_token(401));

    let id = send_one(
        &relay,
        &["expired@example.org"],
        &message("m", "expired@example.org"),
    );
    relay.event("delivered", |line| line["id"] == *id);
    relay.stop();

    let log = format!("{:?}", relay.all());
    let secret = Settings::default().client_secret;
    assert!(!log.contains(&secret));
    assert!(!log.contains("eyJ"), "a token is in the log");
    assert!(log.contains("delivered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_mailbox_is_not_called_before_retry_after() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    graph.inject(Fault {
        retry_after: Some("2".to_owned()),
        ..Fault::at_send(429)
    });

    send_many(&relay, "m", 8);

    arrived(&graph, 8).await;
    let requests = graph.requests();
    let throttled = requests.iter().find(|r| r.status == Some(429)).unwrap();
    let at = throttled.received;
    for request in requests.iter().filter(|r| r.kind == RequestKind::SendMail) {
        let after = request.received.saturating_duration_since(at);
        // Messages that were under way together with it had been sent before the answer.
        let together = after < Duration::from_millis(1500);
        assert!(together || after >= Duration::from_secs(2), "{after:?}");
    }
    let early = requests.iter().filter(|r| {
        let after = r.received.saturating_duration_since(at);
        r.received > at && after < Duration::from_secs(2)
    });
    assert!(early.count() <= 3, "more than the four that were under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_503_ends_with_all_delivered() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    graph.inject(Fault {
        times: 4,
        code: Some("ErrorServerBusy".to_owned()),
        ..Fault::at_send(503)
    });

    send_many(&relay, "m", 50);

    let arrivals = arrived(&graph, 50).await;
    assert_eq!(arrivals.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_between_deliveries_costs_one_token_request() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    send_one(
        &relay,
        &["a@example.org"],
        &message("first", "a@example.org"),
    );
    arrived(&graph, 1).await;
    assert_eq!(graph.totals().token_requests, 1);

    graph.revoke_tokens();
    send_many(&relay, "m", 6);

    arrived(&graph, 7).await;
    assert_eq!(graph.totals().token_requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_messages_that_wait_for_a_token_cost_one_token_request() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    graph.inject(Fault {
        delay: Duration::from_millis(500),
        ..Fault::usual(Station::Token)
    });

    std::thread::scope(|scope| {
        for n in 0..50 {
            let relay = &relay;
            scope.spawn(move || {
                let content = message(&format!("m{n}"), "a@example.org");
                send_one(relay, &["a@example.org"], &content)
            });
        }
    });

    arrived(&graph, 50).await;
    assert_eq!(graph.totals().token_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_secret_is_logged_once_and_never_costs_a_message() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .delivery("retry = [\"50ms\"]\nexpire_after = \"1s\"")
        .build();
    let secret = home.path("client-secret");
    common::write_private(&secret, "an-old-secret");
    let relay = Relay::start(&home);

    send_many(&relay, "m", 20);
    let fault = relay.event("fault", |_| true);
    assert_eq!(fault["code"], "AADSTS7000215");
    assert!(
        fault["remedy"]
            .as_str()
            .unwrap()
            .contains("Value (not its Secret ID)")
    );
    // A second refusal more than a second later must neither be logged nor expire
    // anything.
    relay.wait_until(|| graph.totals().token_requests >= 2);
    common::write_private(&secret, &Settings::default().client_secret);

    arrived(&graph, 20).await;
    relay.event("fault", |_| true);
    assert_eq!(relay.events("fault").len(), 1);
    assert_eq!(relay.events("failed").len(), 0);
    relay.event("recovered", |_| true);
    assert!(graph.totals().token_requests <= 5, "one probe at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mailboxs_trouble_does_not_hold_up_another() {
    let graph = stand_in().await;
    let other = "reports@sandbox.example";
    let relay = Home::with(&graph)
        .account(MAILBOX, &format!("senders = [\"{MAILBOX}\"]"))
        .account(other, "")
        .start();
    graph.inject(Fault {
        times: 1000,
        mailbox: Some(MAILBOX.to_owned()),
        code: Some("ErrorAccessDenied".to_owned()),
        ..Fault::at_send(403)
    });

    for n in 0..10 {
        send_one(
            &relay,
            &["a@example.org"],
            &message(&format!("stuck{n}"), "a@example.org"),
        );
        let content = message(&format!("free{n}"), "a@example.org").replace(MAILBOX, other);
        send_one(&relay, &["a@example.org"], &content);
    }

    let arrivals = arrived(&graph, 10).await;
    assert!(arrivals.iter().all(|arrival| arrival.mailbox == other));
    relay.event("fault", |_| true);
    assert_eq!(relay.events("fault").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_graph_refuses_fails_and_is_kept() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    let id = send_one(
        &relay,
        &["invalid@example.org"],
        &message("m", "invalid@example.org"),
    );

    let failed = relay.event("failed", |line| line["id"] == *id);
    assert_eq!(failed["status"], "400");
    assert_eq!(failed["code"], "ErrorInvalidRecipients");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_address_that_passes_ends_in_delivery() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    for name in [
        "busy",
        "unavailable",
        "html",
        "reset",
        "lost",
        "partial",
        "timeout",
        "expired",
    ] {
        let to = format!("{name}@example.org");
        let id = send_one(&relay, &[&to], &message(name, &to));
        relay.event("delivered", |line| line["id"] == *id);
    }
}
