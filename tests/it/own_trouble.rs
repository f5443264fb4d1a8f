//! Problems of one message do not affect others: a message that fails while others get
//! through delays none and expires alone, and a failure that affects everything makes the
//! account back off.

use std::time::Instant;

use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stand_in_with;

/// The text that the proxy below looks for.
const MARKER: &str = "EICAR";

/// A proxy that inspects requests, and answers forbidden ones with its own page.
fn block(graph: &Sandbox, status: u16, content: Option<&str>) {
    graph.inject(Fault {
        times: u32::MAX,
        content: content.map(str::to_owned),
        body: Some("<html>blocked by policy</html>".to_owned()),
        content_type: Some("text/html".to_owned()),
        ..Fault::at_send(status)
    });
}

/// The same, with a reset connection.
fn cut(graph: &Sandbox, content: &str) {
    graph.inject(Fault {
        times: u32::MAX,
        content: Some(content.to_owned()),
        cut: Some(Cut::Before),
        ..Fault::usual(Station::Send)
    });
}

fn poison(name: &str) -> String {
    message(name, "a@example.org").replace("Hello", MARKER)
}

fn send(relay: &Relay, content: &str) -> String {
    send_one(relay, &["a@example.org"], content)
}

/// A failed message is tried once within the time of a test.
const ONCE: &str = "[delivery]\nretry = [\"10m\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_a_proxy_blocks_do_not_hold_up_the_others_of_their_mailbox() {
    for (status, count) in [(403, 4), (400, 20)] {
        let graph = stand_in().await;
        block(&graph, status, Some(MARKER));
        let relay = Home::with(&graph).sections(ONCE).start();
        for n in 0..count {
            send(&relay, &poison(&format!("poison{n}")));
        }

        for n in 0..5 {
            send(&relay, &message(&format!("good{n}"), "a@example.org"));
        }

        let arrivals = arrived(&graph, 5).await;
        assert!(arrivals.iter().all(|it| it.subject.starts_with("good")));
        let deferred = relay.event("deferred", |_| true);
        let reason = deferred["reason"].as_str().unwrap();
        assert!(
            reason.contains("not Graph's: a proxy or gateway"),
            "{reason}"
        );
        assert!(!reason.contains("permission"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_a_proxy_blocks_do_not_hold_up_the_other_mailboxes() {
    let mailbox = |n: usize| format!("box{n}@sandbox.example");
    let mut mailboxes: Vec<String> = (0..20).map(mailbox).collect();
    mailboxes.push(MAILBOX.to_owned());
    let graph = stand_in_with(Settings {
        mailboxes,
        ..Settings::default()
    })
    .await;
    block(&graph, 400, Some(MARKER));
    let home = Home::with(&graph)
        .account("from", "")
        .sections(ONCE)
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    for n in 0..20 {
        let content = poison("poison").replace(MAILBOX, &mailbox(n));
        smtp.send(&mailbox(n), &["a@example.org"], content.as_bytes());
    }

    for n in 0..5 {
        send(&relay, &message(&format!("good{n}"), "a@example.org"));
    }

    let arrivals = arrived(&graph, 5).await;
    assert!(arrivals.iter().all(|it| it.subject.starts_with("good")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_answers_every_request_costs_no_message() {
    for status in [403, 407] {
        let graph = stand_in().await;
        let sections = "retry = [\"50ms\"]\nexpire_after = \"1s\"";
        let relay = Home::with(&graph).delivery(sections).start();
        send(&relay, &message("first", "a@example.org"));
        arrived(&graph, 1).await;
        block(&graph, status, None);

        for n in 0..40 {
            send(&relay, &message(&format!("m{n}"), "a@example.org"));
        }
        let deferred = || relay.events("deferred").len();
        // The last of them is older than `expire_after`.
        relay.wait_until(|| deferred() >= 6);
        assert!(deferred() < 20, "{}", deferred());
        graph.clear_faults();

        arrived(&graph, 41).await;
        assert_eq!(relay.events("failed").len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fails_while_others_get_through_expires_with_a_report() {
    let graph = stand_in().await;
    // Long enough for the message that gets through meanwhile.
    let sections = "retry = [\"100ms\"]\nexpire_after = \"5s\"";
    let home = Home::with(&graph).delivery(sections).build();
    let relay = Relay::start(&home);
    block(&graph, 403, Some(MARKER));
    send(&relay, &message("good0", "a@example.org"));
    arrived(&graph, 1).await;

    let id = send(&relay, &poison("poison"));
    relay.event("deferred", |line| line["id"] == *id);
    send(&relay, &message("good1", "a@example.org"));
    arrived(&graph, 2).await;

    relay.event("deferred", |line| {
        line["reason"]
            .as_str()
            .unwrap()
            .contains("only this message is affected")
    });
    let failed = relay.event("failed", |line| line["id"] == *id);
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("only this message is affected"), "{reason}");
    assert_ne!(failed["reported_to"], "nobody");
    let shown = said(&run(&home, &["queue", "show", &id]));
    assert!(shown.contains("only this message is affected"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_graph_denies_holds_up_no_other_where_mail_got_through_before() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(ONCE).build();
    let relay = Relay::start(&home);
    send(&relay, &message("good0", "a@example.org"));
    arrived(&graph, 1).await;

    let to = "denied@example.org";
    send_one(&relay, &[to], &message("denied", to));
    relay.event("deferred", |_| true);

    let status = said(&run(&home, &["status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["braked"], serde_json::json!([]), "{status}");
    send(&relay, &message("good1", "a@example.org"));
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_a_clear_answer_do_not_hold_up_the_others_of_their_mailbox() {
    for is_cut in [false, true] {
        let graph = stand_in().await;
        match is_cut {
            true => cut(&graph, MARKER),
            false => block(&graph, 503, Some(MARKER)),
        }
        let relay = Home::with(&graph).sections(ONCE).start();
        for n in 0..20 {
            send(&relay, &poison(&format!("poison{n}")));
        }

        for n in 0..5 {
            send(&relay, &message(&format!("good{n}"), "a@example.org"));
        }

        let arrivals = arrived(&graph, 5).await;
        assert!(arrivals.iter().all(|it| it.subject.starts_with("good")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_a_clear_answer_expire_while_others_get_through() {
    for is_cut in [false, true] {
        let graph = stand_in().await;
        match is_cut {
            true => cut(&graph, MARKER),
            false => block(&graph, 503, Some(MARKER)),
        }
        let sections = "retry = [\"200ms\"]\nexpire_after = \"2s\"";
        let relay = Home::with(&graph).delivery(sections).start();
        let ids: Vec<String> = (0..8)
            .map(|n| send(&relay, &poison(&format!("poison{n}"))))
            .collect();

        let deadline = Instant::now() + PATIENCE;
        let mut good = 0;
        while relay.events("failed").len() < ids.len() {
            let id = send(&relay, &message(&format!("good{good}"), "a@example.org"));
            relay.event("delivered", |line| line["id"] == *id);
            good += 1;
            assert!(Instant::now() < deadline, "{good} got through");
        }

        for failed in relay.events("failed") {
            assert!(ids.iter().any(|id| failed["id"] == **id), "{failed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_over_its_quota_is_shown_with_graphs_code() {
    let graph = stand_in().await;
    graph.inject(Fault {
        code: Some("ErrorSubmissionQuotaExceeded".to_owned()),
        ..Fault::at_send(429)
    });
    let home = Home::with(&graph).sections(ONCE).build();
    let relay = Relay::start(&home);
    send(&relay, &message("m", "a@example.org"));
    relay.event("deferred", |_| true);

    let status = || said(&run(&home, &["status"]));
    relay.wait_until(|| status().contains("for now (ErrorSubmissionQuotaExceeded)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_problems_have_a_line_each_in_the_status() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(ONCE).build();
    let relay = Relay::start(&home);
    send_one(
        &relay,
        &["invalid@example.org"],
        &message("m", "invalid@example.org"),
    );
    relay.event("failed", |_| true);

    let first = |status: &str| status.lines().next().unwrap_or_default().to_owned();
    let one = first(&said(&run(&home, &["status"])));
    let failed = "messages have failed in the last 24 hours";
    assert!(one.ends_with(&format!(": {failed}")), "{one}");

    graph.inject(Fault {
        code: Some("ErrorSubmissionQuotaExceeded".to_owned()),
        ..Fault::at_send(429)
    });
    send(&relay, &message("m", "a@example.org"));
    relay.event("deferred", |_| true);
    let status = || said(&run(&home, &["status"]));
    relay.wait_until(|| first(&status()).ends_with(": 2 problems"));
    let several = status();
    assert!(several.contains(&format!("\n  - {failed}\n")), "{several}");
    assert!(
        several.contains(&format!("\n  - {MAILBOX} is backing off: ")),
        "{several}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_reports_mail_that_is_refused_again_although_nothing_backs_off() {
    let graph = stand_in().await;
    let home = Home::with(&graph).delivery("retry = [\"50ms\"]").build();
    let relay = Relay::start(&home);
    assert!(said(&run(&home, &["status"])).contains("OK"));

    // The mailbox may not send as this author.
    let content = message("refused", "a@example.org").replace(MAILBOX, "erp@elsewhere.example");
    send(&relay, &content);

    let mut told = String::new();
    relay.wait_until(|| {
        told = said(&run(&home, &["status"]));
        told.contains("1 message keeps failing")
    });
    // While an attempt is under way, the message does not wait.
    relay.wait_until(|| {
        let json = said(&run(&home, &["status", "--json"]));
        let status: serde_json::Value = serde_json::from_str(&json).unwrap();
        let reason = status["queue"]["failing_because"].as_str();
        reason.is_some_and(|it| it.contains("403 ErrorSendAsDenied"))
    });
    assert!(!told.contains("other mail is delivered"), "{told}");
}
