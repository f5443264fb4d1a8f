//! `authentication = "any"`: every name and password is accepted, and none is read,
//! stored or shown.

use std::fs;
use std::path::Path;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::find;
use crate::common::id_of;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;

const ANY: &str = "authentication = \"any\"\nnetworks = [\"127.0.0.0/8\"]";

#[tokio::test(flavor = "multi_thread")]
async fn check_requires_networks_and_explains_any_password() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("authentication = \"any\"")
        .build();
    let refused = run(&home, &["check"]);
    assert_eq!(refused.status.code(), Some(78));
    let refused = said(&refused);
    assert!(
        refused.contains("networks alone decides who may send"),
        "{refused}"
    );

    let home = Home::with(&graph)
        .listener("authentication = \"any\"\nnetworks = [\"0.0.0.0/0\"]")
        .build();
    let refused = run(&home, &["check"]);
    assert_eq!(refused.status.code(), Some(78));
    let refused = said(&refused);
    assert!(refused.contains("everybody could send"), "{refused}");

    let home = Home::with(&graph).listener(ANY).build();
    let accepted = run(&home, &["check"]);
    assert!(accepted.status.success());
    let accepted = said(&accepted);
    for words in [
        "accepts every name and password without checking them",
        "every program in 127.0.0.0/8 may send, as without authentication",
        "with any name and password, none of which is checked",
    ] {
        assert!(accepted.contains(words), "{words} is not in {accepted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_a_password_accepted_without_checking_is_stored_nowhere() {
    let graph = stand_in().await;
    let home = Home::with(&graph).listener(ANY).build();
    let mut relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect("AUTH LOGIN", "334");
    smtp.expect("Q2FuYXJ5TmFtZQ==", "334");
    smtp.expect("Q2FuYXJ5UGFzc3dvcmQ=", "235");
    // Refused, so that the session's dialog is kept.
    smtp.expect("AUTH PLAIN AENhbmFyeU5hbWUAQ2FuYXJ5UGFzc3dvcmQ=", "503");
    let content = message("any", "a@example.org");
    let id = id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    smtp.expect("QUIT", "221");
    relay.event("delivered", |line| line["id"] == *id);
    relay.event("session", |_| true);
    let shown = said(&run(&home, &["sessions", "show", "1"]));
    let queue = said(&run(&home, &["queue", "show", &id]));
    assert!(relay.stop().success());

    let log: String = relay.all().iter().map(ToString::to_string).collect();
    let accepted = relay.event("accepted", |_| true);
    assert!(accepted["user"].is_null(), "{accepted}");
    for secret in ["CanaryName", "CanaryPassword", "Q2FuYXJ5", "AENhbmFyeU"] {
        for text in [&log, &shown, &queue] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(!is_in_a_file(home.folder.path(), secret.as_bytes()));
    }
}

/// Whether a file in the folder or below contains these bytes.
fn is_in_a_file(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match fs::metadata(&path) {
            Ok(it) if it.is_dir() => is_in_a_file(&path, bytes),
            Ok(it) if it.is_file() => find(&fs::read(&path).unwrap(), bytes).is_some(),
            _ => false,
        }
    })
}
