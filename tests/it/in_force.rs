//! The running configuration compared with relay.toml, by `status`, `doctor` and metrics.

use std::fs;

use graph_relay_sandbox::Sandbox;
use serde_json::Value;

use crate::common;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::users::USERS;

fn home(graph: &Sandbox, sections: &str) -> Home {
    Home::with(graph)
        .account(MAILBOX, "client_secret_expires = 2099-12-31")
        .limits("message_size = \"3 MB\"")
        .sections(sections)
        .build()
}

/// Reloads, and returns the log line with the result.
fn reload(relay: &Relay, event: &str) -> Value {
    let before = relay.events(event).len();
    relay.signal("HUP");
    relay.wait_until(|| relay.events(event).len() > before);
    relay.events(event).pop().unwrap()
}

/// `status` and `doctor` have nothing to report.
fn is_the_same(home: &Home) {
    for command in ["status", "doctor"] {
        let output = run(home, &[command]);
        assert!(output.status.success(), "{output:?}");
        assert!(!said(&output).contains("differs"), "{output:?}");
    }
    assert_eq!(configuration(home)["needs_restart"], Value::Array(vec![]));
    assert_eq!(configuration(home)["needs_reload"], Value::Array(vec![]));
}

/// Both report this; `doctor` counts it as a warning.
fn differs(home: &Home, sections: &str, remedy: &str) {
    let file = home.config.display();
    let words = format!("{file} differs from the running configuration ({sections})");
    let status = run(home, &["status"]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    let line = format!("{words}; run: {remedy}");
    assert!(said(&status).contains(&line), "{line}: {status:?}");
    let doctor = run(home, &["doctor"]);
    let lines = format!("warning  configuration: {words}\n         -> {remedy}\n");
    assert!(said(&doctor).contains(&lines), "{lines}: {doctor:?}");
}

fn configuration(home: &Home) -> Value {
    let status = run(home, &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["configuration"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_how_to_apply_a_changed_configuration() {
    let graph = stand_in().await;
    let home = home(&graph, "[limits]\nrecipients = 100");
    let mut relay = Relay::start(&home);
    is_the_same(&home);
    let text = fs::read_to_string(&home.config).unwrap();
    fs::write(
        &home.config,
        format!("# A comment moves every line.\n{text}"),
    )
    .unwrap();
    is_the_same(&home);

    home.change("recipients = 100", "recipients = 200");
    differs(&home, "[limits]", "systemctl reload graph-relay");
    reload(&relay, "reloaded");
    is_the_same(&home);

    home.change("mailbox =", "save_to_sent_items = false\nmailbox =");
    home.change("recipients = 200", "recipients = 300");
    let restart = "systemctl restart graph-relay";
    differs(&home, "[[account]], [limits]", restart);
    reload(&relay, "reloaded");
    differs(&home, "[[account]]", restart);

    relay.stop();
    let _relay = Relay::start(&home);
    is_the_same(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_reports_an_invalid_configuration_before_a_restart() {
    let graph = stand_in().await;
    let home = home(&graph, "");
    let relay = Relay::start(&home);
    let secret = home.path("client-secret");
    let good = fs::read_to_string(&home.config).unwrap();

    home.change("message_size", "mesage_size");
    let failed = reload(&relay, "reload_failed");
    let status = run(&home, &["status"]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    let text = said(&status);
    assert!(
        text.contains("has errors: the relay keeps its old configuration"),
        "{text}"
    );
    assert!(
        text.contains("did you mean \"message_size\"?; run: graph-relay check"),
        "{text}"
    );
    let last = &configuration(&home)["last_reload"];
    assert_eq!(last["error"], failed["reason"], "{last}");

    fs::write(&home.config, good).unwrap();
    is_the_same(&home);
    // A file that it names can also become unusable.
    common::write_private(&secret, "a secret of two words");
    let status = run(&home, &["status"]);
    assert!(said(&status).contains("contains a space"), "{status:?}");
    assert!(!said(&status).contains("two words"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_reports_a_refused_reload_with_its_reason() {
    let graph = stand_in().await;
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nauthentication = \"optional\"";
    let home = home(&graph, listener);
    home.append(USERS);
    let relay = Relay::start(&home);
    let users = fs::read_to_string(&home.config).unwrap();
    assert!(users.contains(USERS));

    home.change(USERS, "");
    home.change("authentication = \"optional\"\n", "");
    home.change("127.0.0.1:0", "127.0.0.2:0");
    let reason = reload(&relay, "reload_failed")["reason"].clone();

    let status = run(&home, &["status"]);
    let text = said(&status);
    let sections = "[[listener]] address, [[listener]], [[user]]";
    assert!(text.contains(sections), "{text}");
    let failed = format!("; the last reload failed: {}", reason.as_str().unwrap());
    assert!(text.contains(&failed), "{text}");
    assert!(!text.contains("$argon2id"), "{text}");
}

/// The Received field of the newest message that arrived, on one line.
async fn received(graph: &Sandbox, relay: &Relay, count: usize) -> String {
    send_one(relay, &["a@example.org"], &message("a", "a@example.org"));
    let arrival = arrived(graph, count).await.pop().unwrap();
    let raw = String::from_utf8(arrival.raw.to_vec()).unwrap();
    let field = raw.strip_prefix("Received: ").unwrap();
    let end = field.find("\r\nFrom: ").unwrap();
    field[..end].replace("\r\n", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn received_names_or_hides_the_client_as_configured() {
    let graph = stand_in().await;
    let home = home(&graph, "[received]\nclient = \"full\"\n");
    let mut relay = Relay::start(&home);
    let full = received(&graph, &relay, 1).await;
    let by = " by relay.test.example (graph-relay) with ESMTP id ";
    assert!(
        full.starts_with(&format!("from client.example ([127.0.0.1]){by}")),
        "{full}"
    );

    home.change("client = \"full\"", "client = \"hidden\"");
    differs(&home, "[received]", "systemctl restart graph-relay");
    relay.stop();
    let relay = Relay::start(&home);

    is_the_same(&home);
    let hidden = received(&graph, &relay, 2).await;
    assert!(
        hidden.starts_with(&format!("from client.invalid (hidden){by}")),
        "{hidden}"
    );
    assert!(!hidden.contains("127.0.0.1"), "{hidden}");
    assert!(!hidden.contains("client.example"), "{hidden}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_message_size_needs_no_restart() {
    let graph = stand_in().await;
    let home = home(&graph, "");
    let relay = Relay::start(&home);

    home.change("3 MB", "30 MB");

    assert_eq!(reload(&relay, "reloaded").get("needs_restart"), None);
    is_the_same(&home);
}
