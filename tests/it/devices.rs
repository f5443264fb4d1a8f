//! Who sends mail through the relay: `graph-relay devices`.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::TcpStream;

use graph_relay_sandbox::Sandbox;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::users::PLAIN;
use crate::common::users::USERS;
use crate::common::wire::connect_from;

/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";
/// Nothing is tried twice by itself, and nothing is reported.
const QUIET: &str = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";

async fn home() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections(USERS)
        .sections(QUIET)
        .listener("authentication = \"optional\"\nnetworks = [\"127.0.0.1\"]")
        .build();
    (graph, home)
}

/// What the command prints of devices that have come.
fn devices(home: &Home) -> Vec<Value> {
    let mut all = all(home);
    all.retain(|it| it["state"] != "added");
    all
}

/// What the command prints.
fn all(home: &Home) -> Vec<Value> {
    let output = run(home, &["devices", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The one of these devices with this user.
fn device(home: &Home, user: Option<&str>, of: impl Fn(&Home) -> Vec<Value>) -> Value {
    let devices = of(home).into_iter();
    let mut of_user = devices.filter(|it| it["user"].as_str() == user);
    let device = of_user.next().expect("a device of this user");
    assert_eq!(of_user.count(), 0);
    device
}

/// A device that authenticates, and writes an address without brackets.
fn scans(relay: &Relay, to: &str) {
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner-2", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp.expect(&format!("MAIL FROM:{MAILBOX}"), "250");
    smtp.expect(&format!("RCPT TO:<{to}>"), "250");
    smtp.expect("DATA", "354");
    smtp.write(message("scan", to).as_bytes());
    smtp.expect(".", "250");
    smtp.expect("QUIT", "221");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_listed_with_how_they_connect_and_with_the_fate_of_their_messages() {
    let (_graph, home) = home().await;
    let relay = Relay::start(&home);
    scans(&relay, "a@example.org");
    relay.event("delivered", |_| true);
    scans(&relay, INVALID);
    relay.event("failed", |_| true);
    send_one(&relay, &["b@example.org"], &message("b", "b@example.org"));
    relay.wait_until(|| device(&home, None, devices)["messages"]["delivered"] == 1);

    let scanner = device(&home, Some("scanner"), devices);
    assert_eq!(scanner["client"], "127.0.0.1");
    assert_eq!(scanner["hello"], "scanner-2");
    assert_eq!(scanner["state"], "sending");
    assert_eq!(scanner["authentication"], "PLAIN");
    assert_eq!(scanner["tls"], Value::Null);
    assert_eq!(scanner["senders"][0], MAILBOX);
    let quirks = scanner["quirks"].as_array().unwrap();
    assert!(quirks.contains(&"no-angle-brackets".into()), "{quirks:?}");
    for counts in [&scanner["messages"], &scanner["today"]] {
        assert_eq!(
            *counts,
            serde_json::json!({"accepted": 2, "delivered": 1, "failed": 1, "refused": 0})
        );
    }

    let table = said(&run(&home, &["devices"]));
    assert!(table.contains("127.0.0.1"), "{table}");
    assert!(table.contains(&format!("sends as {MAILBOX}")), "{table}");
    assert!(table.contains("no-angle-brackets"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_has_not_sent_yet_is_listed_until_it_comes() {
    let (_graph, home) = home().await;
    let relay = Relay::start(&home);

    let added = device(&home, Some("scanner"), all);
    assert_eq!(added["state"], "added");
    assert_eq!(added["client"], Value::Null);
    assert_eq!(added["last_seen_at"], Value::Null);
    let table = said(&run(&home, &["devices"]));
    assert!(table.contains("added, has not sent yet"), "{table}");

    scans(&relay, "a@example.org");
    let scanner = device(&home, Some("scanner"), all);
    assert_eq!(scanner["state"], "sending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_user_was_removed_is_listed_as_removed() {
    let (_graph, home) = home().await;
    let mut relay = Relay::start(&home);
    scans(&relay, "a@example.org");
    assert!(relay.stop().success());
    home.change("name = \"scanner\"", "name = \"another\"");

    let _relay = Relay::start(&home);

    assert_eq!(device(&home, Some("scanner"), all)["state"], "removed");
    assert_eq!(device(&home, Some("another"), all)["state"], "added");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_devices() {
    let (_graph, home) = home().await;
    let mut relay = Relay::start(&home);
    scans(&relay, "a@example.org");
    relay.event("delivered", |_| true);
    relay.wait_until(|| device(&home, Some("scanner"), devices)["messages"]["delivered"] == 1);
    let before = devices(&home);
    assert!(relay.stop().success());

    let _relay = Relay::start(&home);

    assert_eq!(devices(&home), before);
    assert_eq!(before.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_list_of_devices_does_not_stop_the_relay() {
    let (_graph, home) = home().await;
    let mut relay = Relay::start(&home);
    scans(&relay, "a@example.org");
    assert!(relay.stop().success());
    fs::write(home.path("data/devices.json"), "{\"format\":1,\"dev").unwrap();

    let relay = Relay::start(&home);

    relay.event("devices_set_aside", |line| {
        let path = line["path"].as_str().unwrap_or_default();
        path.ends_with("devices.json.damaged")
    });
    assert!(devices(&home).is_empty());
    scans(&relay, "a@example.org");
    assert_eq!(
        device(&home, Some("scanner"), devices)["messages"]["accepted"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_user_name_is_named_as_the_reason_and_not_repeated() {
    let (_graph, home) = home().await;
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner-2", "250");
    // "scaner" with the password of the user scanner.
    smtp.expect("AUTH PLAIN AHNjYW5lcgBQcmludGVyMTIzU2NhbjQ1Ng==", "535");
    smtp.expect("QUIT", "221");

    relay.wait_until(|| devices(&home).len() == 1);
    let refusal = &device(&home, None, devices)["last_refusal"];
    let cause = refusal["cause"].as_str().unwrap();
    assert!(cause.contains("did you mean \"scanner\"?"), "{cause}");
    assert!(!refusal.to_string().contains("scaner"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_begin_tls_is_listed_with_what_to_set() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .tls(&Identity::new())
        .listener("tls = \"implicit\"")
        .build();
    let relay = Relay::start(&home);
    let mut stream = TcpStream::connect(relay.address).unwrap();
    stream.write_all(b"EHLO scanner\r\n").unwrap();

    relay.wait_until(|| devices(&home).len() == 1);

    let refusal = &device(&home, None, devices)["last_refusal"];
    let cause = refusal["cause"].as_str().unwrap();
    assert!(cause.starts_with("TLS handshake failed"), "{refusal}");
    let remedy = refusal["remedy"].as_str().unwrap();
    assert!(remedy.contains("set it to SSL/TLS"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_is_listed_with_the_reason_until_a_message_is_accepted() {
    let (_graph, home) = home().await;
    let relay = Relay::start(&home);
    let (to, runtime) = (relay.address, Handle::current());
    let from = IpAddr::from(Ipv4Addr::new(127, 0, 0, 2));
    let refused = move || {
        let stream = connect_from(&runtime, from, to).unwrap();
        Smtp::over(stream).reply()
    };
    let reply = tokio::task::spawn_blocking(refused).await.unwrap();
    assert!(reply.starts_with("554 5.7.1 "), "{reply}");
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner-2", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp.expect("MAIL FROM:<boss@contoso.com>", "553");
    smtp.expect("QUIT", "221");

    relay.wait_until(|| devices(&home).len() == 2);
    let stranger = device(&home, None, devices);
    assert_eq!(stranger["client"], "127.0.0.2");
    assert_eq!(stranger["state"], "refused");
    let why = &stranger["last_refusal"];
    assert!(why["reply"].as_str().unwrap().contains("networks"), "{why}");
    assert!(!why["remedy"].as_str().unwrap().is_empty(), "{why}");
    let scanner = device(&home, Some("scanner"), devices);
    assert_eq!(scanner["state"], "refused");
    assert_eq!(scanner["last_refusal"]["sender"], "boss@contoso.com");
    assert_eq!(scanner["messages"]["refused"], 1);

    scans(&relay, "a@example.org");

    let scanner = device(&home, Some("scanner"), devices);
    assert_eq!(scanner["state"], "sending");
    assert_eq!(scanner["messages"]["refused"], 1);
}
