//! The users of devices on the page: removing one, and giving it a new password.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Sandbox;

use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::stand_in;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

/// The pages of a user.
const USER: &str = "/devices/user/scanner";

async fn with_users(authentication: &str) -> (Sandbox, Home) {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .sections(USERS)
        .listener(&format!("authentication = \"{authentication}\""))
        .build();
    (graph, home)
}

/// A session of the user `scanner`.
fn logged_in(relay: &Relay) -> Smtp {
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp
}

fn removed(browser: &mut Browser, user: &str) {
    let path = format!("/devices/user/{user}/remove");
    let question = browser.get(&path);
    assert!(question.body.contains("- [[user]]"), "{}", question.body);
    let version = question.field("version");
    let answer = browser.change(&path, &[("version", &version)]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header("location"), "/devices");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_device_is_refused_and_its_session_ends() {
    let (_graph, home) = with_users("optional").await;
    let relay = Relay::start(&home);
    let mut smtp = logged_in(&relay);
    let mut browser = Browser::logged_in(&relay, &home);
    assert!(browser.get(USER).body.contains("Remove this device"));
    let stale = browser.change(&format!("{USER}/remove"), &[("version", "another")]);
    assert!(stale.body.contains("changed meanwhile"), "{}", stale.body);

    removed(&mut browser, "scanner");

    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "421");
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "535");
    assert_eq!(browser.get(USER).status, 404);
    let file = fs::read_to_string(&home.config).unwrap();
    assert!(!file.contains("name = \"scanner\""), "{file}");
    assert!(file.contains("scanner@sandbox.example"), "{file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_device_is_removed_with_the_log_in_of_its_listener_and_another_can_be_added() {
    let (_graph, home) = with_users("optional").await;
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    removed(&mut browser, "scanner");
    removed(&mut browser, "scanner%40sandbox%2Eexample");

    let file = fs::read_to_string(&home.config).unwrap();
    assert!(!file.contains("authentication"), "{file}");
    let card = browser.change("/devices/add", &[("name", "copier"), ("senders", MAILBOX)]);
    assert_eq!(card.status, 200, "{}", card.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_device_stays_where_its_listener_would_be_open_without_it() {
    let (_graph, home) = with_users("required").await;
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    removed(&mut browser, "scanner%40sandbox%2Eexample");
    let before = fs::read_to_string(&home.config).unwrap();

    let question = browser.get(&format!("{USER}/remove")).body;
    assert!(question.contains("is the last [[user]]"), "{question}");
    assert!(!question.contains("name=\"version\""), "{question}");
    let answer = browser.change(&format!("{USER}/remove"), &[("version", "x")]);
    assert!(
        answer.body.contains("Nothing was changed"),
        "{}",
        answer.body
    );
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_replaces_the_old_one_and_is_shown_once() {
    let (_graph, home) = with_users("optional").await;
    let relay = Relay::start(&home);
    let mut smtp = logged_in(&relay);
    let mut browser = Browser::logged_in(&relay, &home);
    let path = format!("{USER}/password");
    let question = browser.get(&path).body;
    assert!(
        question.contains("stops working as soon as the change is in relay.toml"),
        "{question}"
    );

    let card = browser.change(&path, &[]);

    assert_eq!(card.status, 200, "{}", card.body);
    assert_eq!(card.header("cache-control"), "no-store");
    let old = "Until then the old password still works.";
    assert!(!card.body.contains(old), "{}", card.body);
    let (_, rest) = card.body.split_once("id=\"password\">").unwrap();
    let password = rest.split('<').next().unwrap();
    assert_eq!(password.len(), 18);
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "421");
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "535");
    let plain = STANDARD.encode(format!("\0scanner\0{password}"));
    smtp.expect(&format!("AUTH PLAIN {plain}"), "235");
    for page in ["/devices", USER, &path] {
        assert!(!browser.get(page).body.contains(password), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_removes_a_device_or_gives_it_a_password() {
    let (_graph, home) = with_users("optional").await;
    let relay = Relay::start(&home);
    let before = fs::read_to_string(&home.config).unwrap();
    let mut browser = Browser::logged_in_as(&relay, &home, "operator");

    let page = browser.get(USER);
    assert_eq!(page.status, 200);
    assert!(!page.body.contains(&format!("{USER}/")), "{}", page.body);
    for path in [format!("{USER}/remove"), format!("{USER}/password")] {
        assert_eq!(browser.get(&path).status, 403);
        assert_eq!(browser.change(&path, &[]).status, 403);
    }
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);
    assert_eq!(browser.get("/devices/user/nobody").status, 404);
}
