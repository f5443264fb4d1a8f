//! Alerts by webhook: their content and signature, retries, restarts, and the command that
//! tests them.

use std::process::Command;

use graph_relay::clock::Clock;
use serde_json::Value;

use super::Receiver;
use crate::common::Home;
use crate::common::Relay;
use crate::common::binary;
use crate::common::find;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;
use crate::common::succeeds;
use crate::common::terminal::Screen;
use crate::common::write_private;

const SECRET: &str = "canary-secret-of-the-webhook";

/// A home with an alert to this receiver.
async fn home_with(receiver: &Receiver, keys: &str) -> (graph_relay_sandbox::Sandbox, Home) {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(&receiver.alert(keys)).build();
    (graph, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_one_alert_and_its_end_another_with_how_long_it_lasted() {
    let receiver = Receiver::start().await;
    let (_graph, home) = home_with(&receiver, "").await;
    let relay = Relay::start(&home);

    succeeds(&home, &["pause", "--reason", "maintenance"]);
    let began = receiver.began(&relay, "delivery_paused");
    succeeds(&home, &["resume"]);
    let ended = receiver.ended(&relay, "delivery_paused");

    let sentence = began["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("all delivery has been paused since "));
    assert!(sentence.ends_with("(maintenance)"), "{sentence}");
    assert_eq!(began["command"], "graph-relay resume");
    assert!(began["ended"].is_null());
    assert_eq!(ended["began"], began["began"]);
    assert!(ended["lasted_seconds"].is_u64(), "{ended}");
    let alerts = receiver.alerts();
    let states: Vec<&Value> = alerts.iter().map(|alert| &alert["state"]).collect();
    assert_eq!(states, ["began", "ended"]);
    let text = alerts[0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("graph-relay on relay.test.example: all delivery has been paused"),
        "{text}"
    );
    assert!(text.contains("\n  run: graph-relay resume"), "{text}");
    let text = alerts[1]["text"].as_str().unwrap();
    assert!(
        text.starts_with("graph-relay on relay.test.example: over: all delivery"),
        "{text}"
    );
    assert!(text.contains("\n- over after "), "{text}");
    assert_eq!(alerts[0]["relay"], "relay.test.example");
    relay.wait_until(|| relay.events("alert_sent").len() == 2);
    let sent = &relay.events("alert_sent")[0];
    assert_eq!(sent["alert"], format!("webhook {}", receiver.address));
    assert_eq!(sent["id"], alerts[0]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_signed_and_openssl_verifies_the_signature() {
    let receiver = Receiver::start().await;
    let graph = stand_in().await;
    let setup = Home::with(&graph);
    let file = setup.path("webhook-secret");
    write_private(&file, &format!("{SECRET}\n"));
    let keys = format!("secret_file = \"{}\"", file.display());
    let home = setup.sections(&receiver.alert(&keys)).build();
    let relay = Relay::start(&home);

    succeeds(&home, &["alert-test"]);
    // The secret is read again for each request.
    write_private(&file, "whsec_Y2FuYXJ5LWtleQ==");
    succeeds(&home, &["alert-test"]);

    for (got, key) in receiver.got().iter().zip([SECRET, "canary-key"]) {
        let (id, time) = (got.header("webhook-id"), got.header("webhook-timestamp"));
        let mut signed = format!("{id}.{time}.").into_bytes();
        signed.extend_from_slice(&got.body);
        let path = home.path("signed");
        std::fs::write(&path, signed).unwrap();
        let line = format!(
            "openssl dgst -sha256 -hmac {key} -binary {} | openssl base64",
            path.display()
        );
        let computed = Command::new("sh").args(["-c", &line]).output().unwrap();
        let computed = String::from_utf8(computed.stdout).unwrap();
        assert_eq!(
            got.header("webhook-signature"),
            format!("v1,{}", computed.trim()),
        );
        assert!(!computed.trim().is_empty());
        assert_eq!(id, got.json()["id"].as_str().unwrap());
        let now = Clock::System.now().millis() / 1000;
        assert!(now.abs_diff(time.parse().unwrap()) < 300);
        assert_eq!(got.header("content-type"), "application/json");
    }
    assert_eq!(receiver.got().len(), 2);
    let log = format!("{:?}", relay.all());
    let accounts = succeeds(&home, &["accounts", "--json"]);
    let status = accounts + &said(&run(&home, &["status", "--json"]));
    for canary in [SECRET, "canary-key", "canary-path", "Y2FuYXJ5"] {
        assert!(
            find(log.as_bytes(), canary.as_bytes()).is_none(),
            "{canary}"
        );
        assert!(!status.contains(canary), "{canary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_waits_for_its_receiver_and_survives_a_restart_on_both_sides() {
    let receiver = Receiver::start().await;
    receiver.answer(503);
    let (_graph, home) = home_with(&receiver, "").await;
    let mut relay = Relay::start(&home);

    succeeds(&home, &["pause"]);
    let line = relay.event("alert_deferred", |_| true);
    let reason = line["reason"].as_str().unwrap();
    // An answer may repeat the URL, which may be a secret.
    assert!(
        reason.contains("answers 503: canary-answer to /hook/..."),
        "{reason}"
    );
    let id = line["id"].clone();
    relay.kill();
    let relay = Relay::start(&home);
    relay.event("alert_deferred", |line| {
        line["id"] == id && line["tries"].as_u64() > Some(1)
    });
    let status = said(&run(&home, &["status"]));
    assert!(
        status.contains("cannot be sent; run: graph-relay alert-test"),
        "{status}"
    );
    receiver.answer(200);
    receiver.began(&relay, "delivery_paused");
    relay.wait_until(|| {
        let status: Value =
            serde_json::from_str(&said(&run(&home, &["status", "--json"]))).unwrap();
        status["alerts"][0]["waiting"] == 0
    });
    drop(relay);
    let relay = Relay::start(&home);
    succeeds(&home, &["resume"]);
    receiver.ended(&relay, "delivery_paused");

    let alerts = receiver.alerts();
    assert_eq!(alerts.len(), 2, "{alerts:#?}");
    assert_eq!(alerts[0]["id"], id);
    receiver.answer(500);
    run(&home, &["alert-test"]);
    let socket = home.path("data/admin.sock");
    let client = reqwest::Client::builder().unix_socket(socket);
    let request = client.build().unwrap().get("http://relay/metrics");
    let metrics = request.send().await.unwrap().text().await.unwrap();
    for sample in [
        "graphrelay_alerts_sent_total{kind=\"webhook\"} 1\n",
        "graphrelay_alert_failures_total{kind=\"webhook\"} 1\n",
        "graphrelay_alerts_sent_total{kind=\"mail\"} 0\n",
        "graphrelay_alerts_waiting{kind=\"webhook\"} 0\n",
    ] {
        assert!(metrics.contains(sample), "{sample}{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_the_error_says_so() {
    let receiver = Receiver::start().await;
    receiver.answer(302);
    let (_graph, home) = home_with(&receiver, "").await;
    let relay = Relay::start(&home);

    let tested = run(&home, &["alert-test"]);

    assert_eq!(tested.status.code(), Some(1));
    let text = said(&tested);
    assert!(text.contains("FAILED: "), "{text}");
    assert!(
        text.contains("answers 302 (the relay follows no redirect"),
        "{text}"
    );
    assert!(receiver.got().is_empty());
    let audit = relay.event("audit", |line| line["action"] == "test alerts");
    assert_eq!(audit["result"], "failed");
    assert!(audit["reason"].as_str().unwrap().contains("answers 302"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_text_has_nothing_but_a_text() {
    let receiver = Receiver::start().await;
    let (_graph, home) = home_with(&receiver, "format = \"text\"").await;
    let _relay = Relay::start(&home);

    let tested = succeeds(&home, &["alert-test"]);

    let name = format!("webhook {}", receiver.address);
    assert_eq!(tested, format!("{name}: the receiver has accepted it\n"));
    let alert = receiver.alerts().remove(0);
    let keys: Vec<&String> = alert.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["text"]);
    assert!(alert["text"].as_str().unwrap().contains("test alert"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_webhooks_of_one_host_have_names_that_differ_and_show_no_path() {
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let first = receiver.alert("");
    let second = first.replace("canary-path", "canary-other");
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections(&format!("{first}{}{second}", other.alert("")))
        .build();
    let relay = Relay::start(&home);

    let tested = succeeds(&home, &["alert-test"]);

    let (host, other) = (receiver.address, other.address);
    let names = [
        format!("webhook {host} (1)"),
        format!("webhook {other}"),
        format!("webhook {host} (2)"),
    ];
    let lines = names
        .iter()
        .map(|name| format!("{name}: the receiver has accepted it\n"));
    assert_eq!(tested, lines.collect::<String>());
    let status = said(&run(&home, &["status", "--json"]));
    let status: Value = serde_json::from_str(&status).unwrap();
    for (number, name) in names.iter().enumerate() {
        relay.event("alert_sent", |line| line["alert"] == name.as_str());
        assert_eq!(status["alerts"][number]["name"], name.as_str());
    }
}

#[test]
fn alert_test_shows_on_a_terminal_that_it_waits() {
    let home = Home::empty();
    let data = home.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&home.config, format!("data_dir = {data:?}\n")).unwrap();
    // The system accepts connections for it, and nobody answers.
    let _socket = std::os::unix::net::UnixListener::bind(data.join("admin.sock")).unwrap();
    let mut command = binary();
    command.args(["alert-test", "--config"]).arg(&home.config);

    let mut screen = Screen::start(80, command);

    screen.wait_for("sending test alerts: ");
    let (code, text) = screen.end();
    assert_eq!(code, 69);
    assert!(text.contains("no answer within 10 seconds"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alert_test_without_any_alert_says_what_to_do() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let _relay = Relay::start(&home);

    let tested = run(&home, &["alert-test"]);

    assert_eq!(tested.status.code(), Some(1));
    assert!(
        said(&tested).contains("has no [[alert]]"),
        "{}",
        said(&tested)
    );
}
