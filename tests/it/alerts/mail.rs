//! Alerts by mail: they go through the relay itself, cause no alerts, and wait where they
//! cannot be sent.

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Sandbox;

use super::Receiver;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::succeeds;

/// The address that every message fails for.
const INVALID: &str = "invalid@example.org";

fn alert(to: &str) -> String {
    format!("[[alert]]\nmail = \"{to}\"\nover_after = \"1s\"\n[failure]\nnotify = \"off\"\n")
}

fn fail_one(relay: &Relay) {
    let id = send_one(relay, &[INVALID], &message("m", INVALID));
    relay.event("failed", |line| line["id"] == *id);
}

fn text(arrival: &Arrival) -> String {
    String::from_utf8_lossy(&arrival.raw).into_owned()
}

async fn relay_with(sections: &str) -> (Sandbox, Home, Relay) {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(sections).build();
    let relay = Relay::start(&home);
    (graph, home, relay)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_is_reported_by_mail_from_the_accounts_mailbox() {
    let (graph, home, relay) = relay_with(&alert("it@example.org")).await;

    fail_one(&relay);
    let arrivals = arrived(&graph, 1).await;
    let mail = text(&arrivals[0]);
    let sent = relay.event("alert_sent", |_| true);

    assert_eq!(arrivals[0].to, ["it@example.org"]);
    assert_eq!(arrivals[0].mailbox, MAILBOX);
    assert!(
        arrivals[0].subject.contains("messages have failed"),
        "{}",
        arrivals[0].subject
    );
    for part in [
        "\r\nAuto-Submitted: auto-generated\r\n",
        "\r\nX-Auto-Response-Suppress: All\r\n",
        &format!("From: \"graph-relay on relay.test.example\" <{MAILBOX}>\r\n"),
        "ErrorInvalidRecipients",
        "graph-relay queue list",
    ] {
        assert!(mail.contains(part), "{part}\n{mail}");
    }
    let id = sent["mail"].as_str().unwrap();
    let shown = said(&run(&home, &["queue", "show", id]));
    assert!(
        shown.contains("created as an alert of the relay itself"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_fails_causes_no_other_by_mail_but_the_webhook_says_so() {
    let receiver = Receiver::start().await;
    let on = "on = [\"alert_failed\", \"message_failed\"]\nover_after";
    let sections = alert(INVALID).replace("over_after", on)
        + &receiver.alert("on = [\"alert_failed\", \"delivery_paused\"]");
    let (graph, home, relay) = relay_with(&sections).await;

    let tested = said(&run(&home, &["alert-test"]));
    assert!(
        tested.contains("the mail is in the queue: graph-relay queue show "),
        "{tested}"
    );
    relay.event("failed", |_| true);
    let failed = receiver.began(&relay, "alert_failed");
    assert_eq!(failed["sentence"], "an alert by mail has failed");
    succeeds(&home, &["pause"]);
    receiver.began(&relay, "delivery_paused");
    succeeds(&home, &["resume"]);
    receiver.ended(&relay, "delivery_paused");

    // Meanwhile every problem was looked at several times.
    assert_eq!(receiver.count("ended", "alert_failed"), 0);
    assert!(
        relay
            .events("alert")
            .iter()
            .all(|line| line["alert"] != format!("mail to {INVALID}"))
    );
    assert_eq!(relay.events("failed").len(), 1);
    assert!(graph.arrivals().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_its_own_account_cannot_send_waits_and_the_webhook_says_so() {
    let receiver = Receiver::start().await;
    let sections = alert("it@example.org") + &receiver.alert("");
    let (graph, home, relay) = relay_with(&sections).await;

    succeeds(&home, &["pause"]);
    let line = relay.event("alert_deferred", |_| true);
    let reason = line["reason"].as_str().unwrap();
    assert_eq!(reason, "it would wait in the queue: all delivery is paused");
    let failed = receiver.began(&relay, "alert_failed");
    assert_eq!(failed["subject"], "mail to it@example.org");
    assert_eq!(failed["detail"], reason);
    let queue = run(&home, &["queue", "list", "--json"]);
    assert!(
        queue.stdout.is_empty(),
        "it waits outside the queue: {}",
        said(&queue)
    );
    succeeds(&home, &["resume"]);

    let arrivals = arrived(&graph, 1).await;
    assert!(arrivals[0].subject.contains("all delivery has been paused"));
    receiver.ended(&relay, "alert_failed");
    assert_eq!(receiver.count("began", "alert_failed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_by_mail_is_limited_and_listed_like_other_mail() {
    let (graph, home, relay) = relay_with(&alert("it@example.org")).await;

    succeeds(&home, &["alert-test"]);
    arrived(&graph, 1).await;
    relay.event("delivered", |_| true);

    let trace = said(&run(&home, &["trace", "it@example.org"]));
    assert!(
        trace.contains("This is an alert of the relay itself."),
        "{trace}"
    );
}
