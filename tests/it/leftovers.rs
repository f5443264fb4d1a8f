//! Drafts whose creation got no answer: the relay finds and deletes its own, and touches
//! no draft of anybody else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Form;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::*;

const ID: &str = "<the-same@app.example>";

fn home(graph: &Sandbox, sections: &str) -> Home {
    let keys = "submission = \"draft\"";
    Home::with(graph)
        .account(MAILBOX, keys)
        .sections(sections)
        .build()
}

/// A creation that Graph carries out, with the answer lost.
fn lost(cut: Cut) -> Fault {
    Fault {
        cut: Some(cut),
        stored: Some(true),
        ..Fault::usual(Station::Draft)
    }
}

fn late() -> Fault {
    Fault {
        stored: Some(true),
        ..Fault::at(Station::Draft, 504)
    }
}

fn send(relay: &Relay) -> String {
    let content = message("x", "a@example.org").replace("<x@app.example>", ID);
    send_one(relay, &["a@example.org"], &content)
}

fn looks(graph: &Sandbox) -> usize {
    let requests = graph.requests();
    let looks = requests.iter().filter(|it| it.kind == RequestKind::Look);
    looks.count()
}

/// Creates a draft like another program that uses the mailbox.
async fn strange_draft(graph: &Sandbox, mime: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let settings = Settings::default();
    let encode = |text: &str| {
        let octets = text.bytes().map(|octet| format!("%{octet:02X}"));
        octets.collect::<String>()
    };
    let answer = http
        .post(format!(
            "{}/{}/oauth2/v2.0/token",
            graph.url(),
            settings.tenant
        ))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!(
            "grant_type=client_credentials&client_id={}&client_secret={}\
             &scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
            encode(&settings.client_id),
            encode(&settings.client_secret)
        ))
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let created = http
        .post(format!("{}/v1.0/users/{MAILBOX}/messages", graph.url()))
        .bearer_auth(answer["access_token"].as_str().unwrap())
        .header("content-type", "text/plain")
        .body(STANDARD.encode(mime))
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_created_without_an_answer_is_deleted_by_the_next_attempt() {
    for fault in [lost(Cut::Before), lost(Cut::During), late()] {
        let graph = stand_in().await;
        let relay = Relay::start(&home(&graph, ""));
        graph.inject(fault.clone());

        let id = send(&relay);

        relay.event("delivered", |line| line["id"] == *id);
        relay.event("draft_deleted", |line| line["id"] == *id);
        assert!(graph.drafts().is_empty(), "{fault:?}");
        assert_eq!(graph.arrivals().len(), 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_json_draft_with_the_relays_mark_is_deleted() {
    let graph = stand_in().await;
    let keys = "submission = \"draft\"\nformat = \"json\"";
    let relay = Home::with(&graph).account(MAILBOX, keys).start();
    let text = format!("Message-ID: {ID}\r\nTo: a@example.org\r\n\r\nx\r\n");
    strange_draft(&graph, &text).await;
    graph.inject(late());

    let id = send(&relay);

    relay.event("delivered", |line| line["id"] == *id);
    relay.event("draft_deleted", |line| line["id"] == *id);
    let left = graph.drafts();
    assert_eq!((left.len(), left[0].form), (1, Form::Mime));
    assert_eq!(graph.arrivals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_was_made_while_the_relay_was_killed_is_deleted() {
    let graph = stand_in().await;
    let home = home(&graph, "");
    let mut relay = Relay::start(&home);
    graph.inject(Fault {
        stored: Some(true),
        delay: PATIENCE,
        ..Fault::usual(Station::Draft)
    });
    let id = send(&relay);
    relay.wait_until(|| graph.drafts().len() == 1);

    relay.kill();
    let relay = Relay::start(&home);

    relay.event("delivered", |line| line["id"] == *id);
    assert!(graph.drafts().is_empty());
    assert_eq!(graph.arrivals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_of_others_with_the_same_message_id_are_not_touched() {
    let graph = stand_in().await;
    let relay = Relay::start(&home(&graph, ""));
    let other = "Received: by relay.test.example (graph-relay) with ESMTP id \
                 01M7ZZDH4TKT6XKYKEMYK3N3EJ;\r\n Sat, 21 Nov 2026 19:00:00 +0000\r\n";
    for received in ["", other] {
        let text = format!("{received}Message-ID: {ID}\r\nTo: a@example.org\r\n\r\nx\r\n");
        strange_draft(&graph, &text).await;
    }
    graph.inject(late());

    let id = send(&relay);

    relay.event("delivered", |line| line["id"] == *id);
    relay.event("draft_deleted", |line| line["id"] == *id);
    let left = graph.drafts();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|draft| draft.message_id == ID));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_expires_leaves_no_draft() {
    let graph = stand_in().await;
    let sections = "[delivery]\nretry = [\"50ms\"]\nexpire_after = \"1ms\"\n\
                    [failure]\nnotify = \"off\"";
    let relay = Relay::start(&home(&graph, sections));
    graph.inject(late());

    let id = send(&relay);

    relay.event("failed", |line| line["id"] == *id);
    relay.event("draft_deleted", |line| line["id"] == *id);
    relay.wait_until(|| graph.drafts().is_empty());
    assert!(graph.arrivals().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_search_for_drafts_is_made_if_every_creation_was_answered() {
    let graph = stand_in().await;
    let relay = Relay::start(&home(&graph, ""));
    graph.inject(Fault {
        retry_after: Some("0".to_owned()),
        ..Fault::at(Station::Draft, 429)
    });

    let id = send(&relay);

    relay.event("deferred", |line| line["id"] == *id);
    relay.event("delivered", |line| line["id"] == *id);
    assert_eq!(looks(&graph), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_search_for_drafts_does_not_delay_the_message() {
    let graph = stand_in().await;
    let relay = Relay::start(&home(&graph, ""));
    graph.inject(late());
    graph.inject(Fault::at(Station::Look, 400));

    let id = send(&relay);

    relay.event("delivered", |line| line["id"] == *id);
    assert_eq!(looks(&graph), 1);
    assert_eq!((graph.drafts().len(), graph.arrivals().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_draft_of_a_dropped_message_is_deleted() {
    let graph = stand_in().await;
    let keys = "submission = \"draft\"\nblind = \"property\"";
    let sections = "retry = [\"1h\"]";
    let home = Home::with(&graph)
        .account(MAILBOX, keys)
        .delivery(sections)
        .build();
    let relay = Relay::start(&home);
    graph.inject(Fault::at(Station::Patch, 503));
    let to = ["a@example.org", "b@example.org"];
    let id = send_one(&relay, &to, &message("x", "a@example.org"));
    recorded(&relay, &home, "deferred", |line| line["id"] == *id);
    assert_eq!(graph.drafts().len(), 1);

    let dropped = run(&home, &["queue", "drop", &id, "--yes"]);

    assert!(dropped.status.success(), "{}", said(&dropped));
    relay.wait_until(|| graph.drafts().is_empty());
    assert!(graph.arrivals().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_draft_of_a_message_that_failed_just_before_a_kill_is_deleted() {
    let graph = stand_in().await;
    let keys = "submission = \"draft\"";
    let home = Home::with(&graph).account(MAILBOX, keys).build();
    let mut relay = Relay::start(&home);
    graph.inject(Fault {
        stored: Some(false),
        delay: PATIENCE,
        ..Fault::usual(Station::Delete)
    });
    let to = ["invalid@example.org"];
    let id = send_one(&relay, &to, &message("x", "invalid@example.org"));
    relay.event("failed", |line| line["id"] == *id);
    let deletes = || {
        let requests = graph.requests();
        requests
            .iter()
            .any(|request| request.kind == RequestKind::Delete)
    };
    relay.wait_until(deletes);

    relay.kill();
    let relay = Relay::start(&home);

    // The report about it has arrived, and its draft is gone.
    relay.wait_until(|| graph.arrivals().len() == 1 && graph.drafts().is_empty());
}
