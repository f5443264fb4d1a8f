//! The devices on the page.

use graph_relay_sandbox::Sandbox;

use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

async fn with_users() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .sections(USERS)
        .listener("authentication = \"optional\"")
        .build();
    (graph, home)
}

/// A user is refused, because it sends as somebody else.
fn is_refused(relay: &Relay) {
    let mut smtp = relay.connect();
    smtp.expect("EHLO <b>scanner</b>", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp.expect("MAIL FROM:<boss@contoso.com>", "553");
    smtp.expect("QUIT", "221");
    relay.event("session", |_| true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_every_device_with_its_state_and_links_to_its_page() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in_as(&relay, &home, "viewer");
    let page = browser.get("/devices").body;
    assert!(page.contains("href=\"/devices/user/scanner\""), "{page}");
    assert!(page.contains("Added, has not sent yet"), "{page}");

    send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    is_refused(&relay);
    relay.event("delivered", |_| true);
    relay.wait_until(|| browser.get("/devices").body.contains("1 delivered"));

    let page = browser.get("/devices").body;
    assert!(page.contains("href=\"/devices\" aria-current=\"page\""));
    assert!(
        page.contains("href=\"/devices/127%2E0%2E0%2E1?user=scanner\""),
        "{page}"
    );
    assert!(page.contains("<span class=\"badge ok\">Accepted</span>"));
    assert!(page.contains("<span class=\"badge bad\">Refused</span>"));
    assert!(page.contains("&#60;b&#62;scanner"), "{page}");
    browser.language = "de";
    let page = browser.get("/devices").body;
    assert!(page.contains("1 zugestellt"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_shown_a_page_at_a_time_and_can_be_searched() {
    let graph = stand_in().await;
    let hash = USERS
        .split('"')
        .find(|it| it.starts_with("$argon2id"))
        .unwrap();
    let user = |n| {
        format!("[[user]]\nname = \"unit{n}\"\npassword_hash = \"{hash}\"\nsenders = [\"*\"]\n")
    };
    let users: String = (100..350).map(user).collect();
    let home = with_page(&graph)
        .sections(&users)
        .listener("authentication = \"optional\"")
        .build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in_as(&relay, &home, "viewer");
    let rows = |page: &str| page.matches("/devices/user/unit").count();

    let first = browser.get("/devices").body;
    assert_eq!(rows(&first), 100);
    assert!(first.contains("1 to 100 of 250"), "{first}");
    assert!(first.contains("data-live"));
    let last = browser.get("/devices?page=3").body;
    assert_eq!(rows(&last), 50);
    assert!(
        last.contains("href=\"/devices?page=2\" rel=\"prev\""),
        "{last}"
    );
    assert!(!last.contains("data-live"), "{last}");
    assert_eq!(rows(&browser.get("/devices?page=99").body), 50);
    assert_eq!(rows(&browser.get("/devices?page=x").body), 100);

    let found = browser.get("/devices?q=UNIT12&state=added").body;
    assert_eq!(rows(&found), 10);
    assert!(found.contains("value=\"UNIT12\""), "{found}");
    let found = browser.get("/devices?q=UNIT&page=2").body;
    assert!(found.contains("/devices?q=UNIT&#38;page=3"), "{found}");
    let none = browser.get("/devices?q=nobody").body;
    assert!(none.contains("No device matches."), "{none}");
    assert_eq!(rows(&browser.get("/devices?state=refused").body), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_device_shows_its_messages_its_refusal_and_the_session_without_password() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    is_refused(&relay);
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    let mut browser = Browser::logged_in_as(&relay, &home, "viewer");

    let page = browser.get("/devices/127.0.0.1?user=scanner").body;
    assert!(page.contains("553 5.7.1 scanner may not send as"), "{page}");
    assert!(page.contains("add the address to senders of the [[user]]"));
    assert!(page.contains("AUTH PLAIN ***"), "{page}");
    assert!(!page.contains(PLAIN), "{page}");
    let page = browser.get("/devices/127.0.0.1").body;
    assert!(page.contains(&format!("href=\"/messages/{id}\"")), "{page}");
    let sender = MAILBOX.replace('@', "%40");
    assert!(page.contains(&format!("href=\"/messages?from={sender}\"")));
    assert!(page.contains("href=\"/messages?client=127.0.0.1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_forgotten_after_a_question_until_it_sends_again() {
    let (_graph, home) = with_users().await;
    let mut relay = Relay::start(&home);
    send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    is_refused(&relay);
    let mut browser = Browser::logged_in(&relay, &home);
    let (one, scanner) = ("/devices/127.0.0.1", "/devices/127.0.0.1?user=scanner");
    let (forget, of_scanner) = (
        "/devices/127.0.0.1/forget",
        "/devices/127.0.0.1/forget?user=scanner",
    );
    let link = "href=\"/devices/127%2E0%2E0%2E1/forget";
    assert!(browser.get(one).body.contains(link));
    let question = browser.get(forget).body;
    assert!(question.contains("if the device sends again"), "{question}");

    let answer = browser.change(forget, &[]);

    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header("location"), "/devices");
    assert_eq!(browser.get(one).status, 404);
    assert_eq!(browser.get(scanner).status, 200);
    let audit = browser
        .get("/audit.jsonl?q=%22forget%20device%22%20done")
        .body;
    assert_eq!(audit.lines().count(), 1, "{audit}");
    assert!(audit.contains("\"about\":\"127.0.0.1\""), "{audit}");

    // It stays away over a restart. One that logs in is forgotten too, and its user stays.
    assert!(relay.stop().success());
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    assert_eq!(browser.get(one).status, 404);
    assert!(browser.get(scanner).body.contains(link));
    assert_eq!(browser.change(of_scanner, &[]).status, 303);
    assert_eq!(browser.get(scanner).status, 404);
    assert_eq!(browser.get("/devices/user/scanner").status, 200);

    send_one(&relay, &["a@example.org"], &message("b", "a@example.org"));
    assert_eq!(browser.get(one).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_forgets_a_device() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    let mut browser = Browser::logged_in_as(&relay, &home, "operator");
    let (one, forget) = ("/devices/127.0.0.1", "/devices/127.0.0.1/forget");

    let page = browser.get(one);
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("/forget"), "{}", page.body);
    assert_eq!(browser.get(forget).status, 403);
    assert_eq!(browser.change(forget, &[]).status, 403);
    assert_eq!(browser.get(one).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_unknown_or_no_address_is_not_found() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    for path in [
        "/devices/192.0.2.1",
        "/devices/127.0.0.1?user=nobody",
        "/devices/printer",
        "/devices/%3Cb%3E",
    ] {
        let answer = browser.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("No such device"), "{}", answer.body);
    }
}
