//! One message, and what an operator does with messages, without any script.

use graph_relay_sandbox::Sandbox;

use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::message;
use crate::common::recipients;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::set;
use crate::common::stand_in;

/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";
/// Every message to it is deferred, and no other waits for it.
const DEFERRED: &str = "sendas@example.org";

async fn quiet() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let quiet = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";
    let home = with_page(&graph).sections(quiet).build();
    (graph, home)
}

/// Sends a message and waits until this event of it is logged and on record.
fn send(relay: &Relay, home: &Home, to: &[&str], subject: &str, event: &str) -> String {
    let id = send_one(relay, to, &message(subject, to[0]));
    relay.event(event, |line| line["id"] == *id);
    relay.wait_until(|| state(home, &id) != "claimed");
    id
}

fn state(home: &Home, id: &str) -> String {
    let shown = run(home, &["queue", "show", id, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&said(&shown)).unwrap();
    shown["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_message_says_what_happened_at_each_step() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(
        &relay,
        &home,
        &[DEFERRED, "b@example.org"],
        "Offer-88",
        "deferred",
    );
    let deferred = relay.event("deferred", |line| line["id"] == *id);
    let mut browser = Browser::logged_in(&relay, &home);

    let list = browser.get("/messages").body;
    assert!(
        list.contains(&format!("<a href=\"/messages/{id}\">Offer-88</a>")),
        "{list}"
    );
    let page = browser.get(&format!("/messages/{id}")).body;
    for words in [
        "<h1>Offer-88</h1>",
        "Attempt 1 did not succeed: Graph answered 403 ErrorSendAsDenied",
        "The next attempt is in ",
        &format!(">{DEFERRED}</a>"),
        ">b@example.org</a>",
        "Accepted from 127.0.0.1 (client.example), and safe on disk.",
        "Attempt 1: did not succeed.",
        "Attempt 2 is planned.",
        "HTTP: <span class=\"mono\">403</span>",
        deferred["request_id"].as_str().unwrap(),
        "&#60;Offer-88@app.example&#62;",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for path in ["/messages/01M8QX9M718C8Z8HZQF1FYFFTF", "/messages/nonsense"] {
        let answer = browser.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("No such message"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_held_released_and_retried_at_once_and_dropped_after_a_question() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &[DEFERRED], "one", "deferred");
    let mut browser = Browser::logged_in(&relay, &home);
    let back = format!("/messages/{id}");
    let mut act = |action: &str| {
        let fields = [("action", action), ("id", &id), ("back", &back)];
        browser.change("/messages/actions", &fields).body
    };

    let page = act("hold");
    assert!(page.contains("1 message held"), "{page}");
    assert!(page.contains(&format!("href=\"{back}\"")), "{page}");
    assert_eq!(state(&home, &id), "held");
    assert!(act("release").contains("1 message released"));
    relay.event("deferred", |line| line["id"] == *id && line["attempt"] == 2);
    relay.wait_until(|| state(&home, &id) != "claimed");
    assert!(act("retry").contains("1 message will be tried at once"));
    relay.event("page_action", |line| {
        line["action"] == "retry" && line["messages"] == 1
    });
    relay.event("deferred", |line| line["id"] == *id && line["attempt"] == 3);
    relay.wait_until(|| state(&home, &id) != "claimed");
    let page = act("drop");
    assert!(page.contains("<h1>Drop 1 message?</h1>"), "{page}");
    assert!(page.contains("Its content is deleted"), "{page}");
    assert_ne!(state(&home, &id), "dropped");
    let fields = [("action", "drop"), ("id", &*id), ("confirmed", "1")];
    let page = browser.change("/messages/actions", &fields).body;
    assert!(page.contains("1 message dropped"), "{page}");
    assert_eq!(state(&home, &id), "dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_messages_are_counted_in_the_question_and_in_the_button() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let ids = ["a", "b", "c"].map(|subject| send(&relay, &home, &[DEFERRED], subject, "deferred"));
    let mut browser = Browser::logged_in(&relay, &home);
    let [a, b, c] = &ids;
    let fields = [
        ("action", "hold"),
        ("id", &**a),
        ("id", b),
        ("id", a),
        ("back", "//evil"),
    ];

    let page = browser.change("/messages/actions", &fields);
    assert!(
        page.body.contains("<h1>Hold 2 messages?</h1>"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains(">Hold 2 messages</button>"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("evil"), "{}", page.body);
    assert_eq!(state(&home, a), "waiting");

    // As the form of the question sends it.
    let fields = [
        ("action", "hold"),
        ("confirmed", "1"),
        ("id", &**a),
        ("id", b),
    ];
    let page = browser.change("/messages/actions", &fields);
    assert!(page.body.contains("2 messages held"), "{}", page.body);
    assert_eq!(
        [a, b, c].map(|id| state(&home, id)),
        ["held", "held", "waiting"]
    );
    let page = browser.change("/messages/actions", &fields);
    assert!(page.body.contains("0 messages held"), "{}", page.body);
    assert!(
        page.body.contains("2 messages not changed."),
        "{}",
        page.body
    );
    let nothing = browser.change("/messages/actions", &[("action", "hold")]);
    assert_eq!(
        (nothing.status, nothing.header("location")),
        (303, "/messages")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_again_to_another_address_and_twice_only_after_a_question() {
    let (graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &[INVALID], "again", "failed");
    let mut browser = Browser::logged_in(&relay, &home);
    let path = format!("/messages/{id}/resend");

    let page = browser.change(&path, &[("to", "not an address")]).body;
    assert!(page.contains("This is not an address"), "{page}");
    let page = browser.change(&path, &[("to", "new@example.org")]).body;
    assert!(page.contains("A copy goes to new@example.org"), "{page}");
    let arrived = arrived(&graph, 1).await;
    assert_eq!(recipients(&arrived[0]), set(&["new@example.org"]));
    relay.event("resent", |line| line["resend_of"] == *id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_messages_and_changes_none() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &[DEFERRED], "one", "deferred");
    let mut browser = Browser::logged_in_as(&relay, &home, "viewer");

    let list = browser.get("/messages").body;
    assert!(list.contains(&id) && list.contains(">viewer<"), "{list}");
    let page = browser.get(&format!("/messages/{id}")).body;
    for body in [list, page] {
        assert!(!body.contains("type=\"checkbox\""), "{body}");
        assert!(!body.contains("action=\"/messages/"), "{body}");
        assert!(!body.contains("/resend\""), "{body}");
    }
    for action in ["retry", "hold", "release", "drop"] {
        let fields = [("action", action), ("id", &*id), ("confirmed", "1")];
        let answer = browser.change("/messages/actions", &fields);
        assert_eq!(answer.status, 403, "{action}");
        assert!(answer.body.contains("Not permitted"), "{}", answer.body);
    }
    assert_eq!(
        browser
            .change(&format!("/messages/{id}/resend"), &[])
            .status,
        403
    );
    assert_eq!(state(&home, &id), "waiting");
    let mut operator = Browser::logged_in_as(&relay, &home, "operator");
    let fields = [("action", "hold"), ("id", &*id)];
    assert_eq!(operator.change("/messages/actions", &fields).status, 200);
    assert_eq!(state(&home, &id), "held");
}
