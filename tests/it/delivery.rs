//! The keys of `[[account]]` that decide what Graph gets, from outside: the real relay,
//! and what arrives at the stand-in.

use std::collections::BTreeSet;

use graph_relay_sandbox::BccBy;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Route;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Station;

use crate::common::*;

/// A relay with one account that has these keys.
fn relay(graph: &Sandbox, keys: &str) -> Relay {
    Home::with(graph).account(MAILBOX, keys).start()
}

/// Sends header fields with a body; returns what arrived.
async fn sent(graph: &Sandbox, relay: &Relay, to: &[&str], fields: &str) -> String {
    let before = graph.arrivals().len();
    let content = format!(
        "Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app.example>\r\n{fields}\r\nx\r\n"
    );
    send_one(relay, to, &content);
    let arrivals = arrived(graph, before + 1).await;
    String::from_utf8(arrivals[before].raw.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_from_replaced_by_the_mailbox_sends_replies_to_the_author() {
    let graph = stand_in().await;
    let relay = relay(&graph, "from = \"mailbox\"");

    // Nobody may send as this address: the stand-in refuses it.
    let fields = "From: \"ERP, Bonn\" <erp@elsewhere.example>\r\nSender: x@elsewhere.example\r\n\
                  To: a@example.org\r\n";
    let raw = sent(&graph, &relay, &["a@example.org"], fields).await;

    assert!(
        raw.contains(&format!("\r\nFrom: \"ERP, Bonn\" <{MAILBOX}>\r\n")),
        "{raw}"
    );
    assert!(raw.contains("\r\nReply-To: \"ERP, Bonn\" <erp@elsewhere.example>\r\n"));
    assert!(raw.contains("\r\nX-Original-From: \"ERP, Bonn\" <erp@elsewhere.example>\r\n"));
    assert!(raw.contains("\r\nX-Original-Sender: x@elsewhere.example\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_reply_to_and_the_mailboxs_own_from_are_kept() {
    let graph = stand_in().await;
    let relay = relay(&graph, "from = \"mailbox\"");

    let fields =
        "From: erp@elsewhere.example\r\nReply-To: desk@contoso.com\r\nTo: a@example.org\r\n";
    let raw = sent(&graph, &relay, &["a@example.org"], fields).await;
    assert!(raw.contains(&format!("\r\nFrom: {MAILBOX}\r\n")), "{raw}");
    assert!(raw.contains("\r\nReply-To: desk@contoso.com\r\n"), "{raw}");
    assert_eq!(raw.matches("Reply-To").count(), 1, "{raw}");

    let own = format!("From: App <{MAILBOX}>\r\nTo: a@example.org\r\n");
    let other = format!("Sender: x@elsewhere.example\r\n{own}");
    let raw = sent(&graph, &relay, &["a@example.org"], &other).await;
    assert!(raw.contains(&own), "{raw}");
    assert!(!raw.contains("Reply-To"), "{raw}");
    assert!(raw.contains("\r\nX-Original-Sender: x@elsewhere.example\r\n"));
    assert!(!raw.contains("\r\nSender:"), "{raw}");

    let fields = "From: Cron <root@host>\r\nTo: a@example.org\r\n";
    let raw = sent(&graph, &relay, &["a@example.org"], fields).await;
    assert!(
        raw.contains(&format!("\r\nFrom: \"Cron\" <{MAILBOX}>\r\n")),
        "{raw}"
    );
    assert!(!raw.contains("Reply-To"), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_from_is_reported_with_mailbox_address_and_permission() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");

    let content = message("m", "a@example.org").replace(MAILBOX, "erp@elsewhere.example");
    let id = send_one(&relay, &["a@example.org"], &content);

    let fault = relay.event("fault", |line| line["id"] == *id);
    let remedy = fault["remedy"].as_str().unwrap();
    for word in [MAILBOX, "erp@elsewhere.example", "SendAs"] {
        assert!(remedy.contains(word), "{remedy}");
    }
    // Other authors' messages from this mailbox do not wait.
    let said = fault["message"].as_str().unwrap();
    assert!(said.starts_with("only this message"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_section_names_the_recipients_if_configured() {
    let graph = stand_in().await;
    let relay = relay(&graph, "recipients = \"headers\"");

    let fields = format!(
        "From: {MAILBOX}\r\nTo: a@example.org, b@example.org\r\nCc: c@example.org\r\n\
         Bcc: d@example.org\r\n"
    );
    sent(&graph, &relay, &["envelope@example.org"], &fields).await;
    let nobody = format!("From: {MAILBOX}\r\nTo: undisclosed-recipients:;\r\n");
    sent(&graph, &relay, &["envelope@example.org"], &nobody).await;

    let arrivals = graph.arrivals();
    let named = set(&[
        "a@example.org",
        "b@example.org",
        "c@example.org",
        "d@example.org",
    ]);
    assert_eq!(recipients(&arrivals[0]), named);
    assert_eq!(arrivals[0].bcc, ["d@example.org"]);
    assert_eq!(recipients(&arrivals[1]), set(&["envelope@example.org"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn blind_recipients_are_sent_as_a_property_and_in_no_field() {
    let graph = stand_in().await;
    let relay = relay(&graph, "blind = \"property\"");

    let fields = format!("From: {MAILBOX}\r\nTo: a@example.org\r\nBcc: x@example.org\r\n");
    let to = ["a@example.org", "blind@example.org"];
    let raw = sent(&graph, &relay, &to, &fields).await;
    let plain = format!("From: {MAILBOX}\r\nTo: a@example.org\r\n");
    sent(&graph, &relay, &["a@example.org"], &plain).await;

    let arrivals = graph.arrivals();
    assert!(!raw.contains("blind@"), "{raw}");
    assert_eq!(recipients(&arrivals[0]), set(&to));
    assert_eq!(arrivals[0].bcc_by, Some(BccBy::Patch));
    assert_eq!(relay.event("bcc_draft", |_| true)["count"], 1);
    assert_eq!(arrivals[1].route, Route::SendMail, "nobody is blind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_leaves_nothing_behind_but_the_message() {
    let graph = stand_in().await;
    let relay = relay(&graph, "submission = \"draft\"");

    let fields = format!("From: {MAILBOX}\r\nTo: a@example.org\r\n");
    let raw = sent(&graph, &relay, &["a@example.org", "b@example.org"], &fields).await;

    relay.event("delivered", |_| true);
    assert!(raw.contains("\r\nBcc: b@example.org\r\n"), "{raw}");
    assert_eq!(graph.drafts().len(), 0);
    let kinds: Vec<RequestKind> = graph.requests().iter().map(|it| it.kind).collect();
    let expected = [RequestKind::Token, RequestKind::Draft, RequestKind::Submit];
    assert_eq!(kinds, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_above_exchanges_limit_become_several_submissions() {
    let graph = stand_in().await;
    let home = Home::with(&graph).limits("recipients = 2000").build();
    let relay = Relay::start(&home);
    let to: Vec<String> = (0..1201).map(|n| format!("r{n}@example.org")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    // One message that is stored in the database, and one that is stored in a file.
    for (n, body) in ["x".to_owned(), "x\r\n".repeat(100_000)].iter().enumerate() {
        let content =
            format!("From: {MAILBOX}\r\nTo: r0@example.org\r\nSubject: m\r\n\r\n{body}\r\n");

        let first = send_one(&relay, &to, &content);

        let arrivals = arrived(&graph, 3 * (n + 1)).await.split_off(3 * n);
        let sizes: Vec<usize> = arrivals.iter().map(|it| recipients(it).len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 1201, "{sizes:?}");
        assert!(sizes.iter().all(|size| *size <= 500), "{sizes:?}");
        let all = arrivals.iter().flat_map(|arrival| recipients(arrival));
        assert_eq!(all.collect::<BTreeSet<_>>(), set(&to));
        let ids = arrivals.iter().map(|it| it.message_id.clone());
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), 1);
        relay.event("split", |line| line["first"] == *first);
    }
}

/// A newsletter of an old program, with everybody in To.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_recipients_in_to_get_one_message_in_four_submissions() {
    let graph = stand_in().await;
    let to: Vec<String> = (0..2000).map(|n| format!("r{n}@example.org")).collect();
    let all: Vec<&str> = to.iter().map(String::as_str).collect();
    let content = message("newsletter", &to.join(",\r\n "));
    for (n, keys) in ["", "format = \"json\""].iter().enumerate() {
        let sections = "recipients = 2000";
        let home = Home::with(&graph)
            .account(MAILBOX, keys)
            .limits(sections)
            .build();
        let relay = Relay::start(&home);

        send_one(&relay, &all, &content);

        let arrivals = arrived(&graph, 4 * (n + 1)).await.split_off(4 * n);
        let mut seen = BTreeSet::new();
        for arrival in &arrivals {
            assert_eq!(arrival.to.len(), 500, "{keys}");
            assert_eq!(recipients(arrival).len(), 500, "{keys}: one is there twice");
            assert_eq!(
                arrival.message_id.as_deref(),
                Some("<newsletter@app.example>")
            );
            let lines = arrival.raw.split(|byte| *byte == b'\n');
            let longest = lines.map(<[u8]>::len).max();
            assert!(!keys.is_empty() || longest < Some(1000), "{longest:?}");
            seen.extend(recipients(arrival));
        }
        assert_eq!(seen, set(&all), "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_keeps_coming_back_is_refused() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let fields = format!("From: {MAILBOX}\r\nTo: a@example.org\r\n");
    let once = sent(&graph, &relay, &["a@example.org"], &fields).await;
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let reply = smtp.send(MAILBOX, &["a@example.org"], once.as_bytes());
    assert!(reply.starts_with("250"), "{reply}");
    let twice = arrived(&graph, 2).await[1].raw.clone();

    let reply = smtp.send(MAILBOX, &["a@example.org"], &twice);

    assert_eq!(
        reply,
        "554 5.4.6 Message is looping: this relay has seen it 2 times before\r\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_leaves_no_copy_and_logs_dropped_fields() {
    let graph = stand_in().await;
    let relay = relay(&graph, "save_to_sent_items = false");

    let fields = format!(
        "From: App <{MAILBOX}>\r\nTo: a@example.org\r\nSubject: s\r\nList-Id: <l.example>\r\n"
    );
    let to = ["a@example.org", "blind@example.org"];
    let raw = sent(&graph, &relay, &to, &fields).await;

    let json: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(json["saveToSentItems"], false);
    assert_eq!(json["message"]["body"]["content"], "x\r\n");
    assert_eq!(recipients(&graph.arrivals()[0]), set(&to));
    let lost = relay.event("json", |_| true);
    assert!(lost["lost"].as_str().unwrap().contains("List-Id"), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_json_would_damage_are_sent_as_mime() {
    let graph = stand_in().await;
    let relay = relay(&graph, "format = \"json\"");

    let fields = format!(
        "From: {MAILBOX}\r\nTo: a@example.org\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n"
    );
    let raw = sent(&graph, &relay, &["a@example.org"], &fields).await;

    assert!(raw.contains(&fields), "{raw}");
    let told = relay.event("mime", |_| true);
    assert!(told["why"].as_str().unwrap().contains("signed"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_draft_carries_its_blind_recipients() {
    let graph = stand_in().await;
    let keys = "format = \"json\"\nsubmission = \"draft\"\nblind = \"property\"";
    let relay = relay(&graph, keys);

    let fields = format!("From: {MAILBOX}\r\nTo: a@example.org\r\n");
    let to = ["a@example.org", "blind@example.org"];
    sent(&graph, &relay, &to, &fields).await;

    let arrivals = graph.arrivals();
    assert_eq!(recipients(&arrivals[0]), set(&to));
    assert_eq!(arrivals[0].bcc_by, Some(BccBy::Property));
    assert_eq!(arrivals[0].route, Route::Draft);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stops_says_how_many_attempts_still_run() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    graph.inject(Fault {
        times: 2,
        // Longer than the relay waits for attempts when it stops.
        delay: std::time::Duration::from_secs(60),
        ..Fault::usual(Station::Send)
    });
    send_many(&relay, "m", 2);
    let claimed = ["queue", "list", "--filter", "state=claimed", "--json"];
    relay.wait_until(|| {
        let listed = run(&home, &claimed).stdout;
        String::from_utf8(listed).unwrap().lines().count() == 2
    });

    relay.stop();

    let lines = relay.events("draining");
    let first = lines.iter().find(|line| {
        let words = line["message"].as_str().unwrap_or_default();
        words.contains("delivery attempts")
    });
    assert_eq!(first.unwrap()["left"], 2, "{lines:?}");
}
