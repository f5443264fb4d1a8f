//! One message, and what an operator does with messages, without any script.

use graph_relay_sandbox::Sandbox;

use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::Relay;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::shown;
use crate::common::stand_in;

/// Graph refuses every message to it.
pub(super) const INVALID: &str = "invalid@example.org";
/// Every message to it is deferred, and no other waits for it.
pub(super) const DEFERRED: &str = "sendas@example.org";

pub(super) async fn quiet() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let quiet = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";
    let home = with_page(&graph).sections(quiet).build();
    (graph, home)
}

/// Sends a message and waits until this event of it is logged and on record.
pub(super) fn send(relay: &Relay, home: &Home, to: &[&str], subject: &str, event: &str) -> String {
    let id = send_one(relay, to, &message(subject, to[0]));
    recorded(relay, home, event, |line| line["id"] == *id);
    id
}

pub(super) fn state(home: &Home, id: &str) -> String {
    shown(home, id)["state"].as_str().unwrap().to_owned()
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
    let attempted = |attempt: u64| {
        let is = |line: &serde_json::Value| line["id"] == *id && line["attempt"] == attempt;
        recorded(&relay, &home, "deferred", is);
    };
    let mut act = |action: &str| {
        let fields = [("action", action), ("id", &id), ("back", &back)];
        let (place, page) = browser.order("/messages/actions", &fields);
        (place, page.body)
    };

    let (_, page) = act("hold");
    assert!(page.contains("1 message held"), "{page}");
    assert!(page.contains(&format!("href=\"{back}\"")), "{page}");
    assert_eq!(state(&home, &id), "held");
    assert!(act("release").1.contains("1 message released"));
    attempted(2);
    assert!(act("retry").1.contains("1 message will be tried at once"));
    relay.event("page_action", |line| {
        line["action"] == "retry" && line["messages"] == 1
    });
    attempted(3);
    let (place, page) = act("drop");
    assert!(page.contains("<h1>Drop 1 message?</h1>"), "{page}");
    assert!(page.contains("Its content is deleted"), "{page}");
    assert_ne!(state(&home, &id), "dropped");
    let (_, page) = browser.order(&place, &[]);
    assert!(page.body.contains("1 message dropped"), "{}", page.body);
    assert_eq!(state(&home, &id), "dropped");

    let page = browser.get(&back).body;
    for words in [
        "Held, by order of link",
        "Released, by order of link",
        "Retried at once, by order of link",
        "Dropped, by order of link",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let orders = shown(&home, &id)["orders"].take();
    let orders = orders.as_array().unwrap().iter().map(|it| &it["order"]);
    assert!(orders.eq(["hold", "release", "retry", "drop"]));
    let shown = said(&run(&home, &["queue", "show", &id]));
    let mut rest = shown.as_str();
    for words in [
        "attempt 1: deferred",
        "held by link on the admin page",
        "released by link",
        "attempt 2: deferred",
        "retried by link",
        "attempt 3: deferred",
        "dropped by link",
    ] {
        let found = rest.split_once(words);
        rest = found.unwrap_or_else(|| panic!("{words}: {shown}")).1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_an_order_leads_to_a_page_that_repeats_nothing() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &[DEFERRED], "one", "deferred");
    let mut browser = Browser::logged_in(&relay, &home);
    let fields = [("action", "hold"), ("id", &*id), ("back", "/messages")];
    let (place, _) = browser.order("/messages/actions", &fields);
    assert!(run(&home, &["queue", "release", &id]).status.success());
    recorded(&relay, &home, "deferred", |line| {
        line["id"] == *id && line["attempt"] == 2
    });

    // Loaded again, and its form sent again.
    assert!(browser.get(&place).body.contains("1 message held"));
    browser.order(&place, &[]);

    assert_eq!(state(&home, &id), "waiting");
    let unknown = browser.get("/messages/orders/unknown");
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("no longer kept"), "{}", unknown.body);
    let mut viewer = Browser::logged_in_as(&relay, &home, "viewer");
    assert_eq!(viewer.get(&place).status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_messages_are_counted_and_their_recipients_named_in_the_question() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let others: Vec<String> = (0..12).map(|n| format!("r{n:02}@example.org")).collect();
    let others: Vec<&str> = [DEFERRED]
        .into_iter()
        .chain(others.iter().map(String::as_str))
        .collect();
    let a = send(&relay, &home, &others, "Offer-88", "deferred");
    let b = send(&relay, &home, &[DEFERRED], "b", "deferred");
    let c = send(&relay, &home, &[DEFERRED], "c", "deferred");
    let mut browser = Browser::logged_in(&relay, &home);
    let fields = [
        ("action", "hold"),
        ("id", &*a),
        ("id", &*b),
        ("id", &*a),
        ("back", "//evil"),
    ];

    let (place, page) = browser.order("/messages/actions", &fields);
    let page = page.body;
    assert!(page.contains("<h1>Hold 2 messages?</h1>"), "{page}");
    assert!(page.contains(">Hold 2 messages</button>"), "{page}");
    assert!(page.contains("This is about whole messages"), "{page}");
    assert!(!page.contains("evil"), "{page}");
    let (shown, folded) = page.split_once("<details").unwrap();
    let shown = shown.split_once("id=\"concerned\"").unwrap().1;
    assert_eq!(shown.matches("<li>").count(), 10);
    assert!(folded.contains("4 more recipients"), "{page}");
    for recipient in &others {
        assert!(
            page.contains(&format!("<li>{recipient} · Offer-88")),
            "{recipient}"
        );
    }
    assert_eq!(state(&home, &a), "waiting");

    let (_, page) = browser.order(&place, &[]);
    assert!(page.body.contains("2 messages held"), "{}", page.body);
    let states = [&a, &b, &c].map(|id| state(&home, id));
    assert_eq!(states, ["held", "held", "waiting"]);
    let (place, _) = browser.order("/messages/actions", &fields);
    let (_, page) = browser.order(&place, &[]);
    assert!(page.body.contains("0 messages held"), "{}", page.body);
    assert!(
        page.body.contains("2 messages not changed."),
        "{}",
        page.body
    );
    let nothing = browser.change("/messages/actions", &[("action", "hold")]);
    let place = nothing.header("location");
    assert_eq!((nothing.status, place), (303, "/messages?selected=none"));
    let page = browser.get(place).body;
    assert!(page.contains("No message is selected"), "{page}");
    assert!(page.contains("name=\"back\" value=\"/messages\""), "{page}");
    let fields = [("action", "drop"), ("back", "/messages?state=waiting")];
    let nothing = browser.change("/messages/actions", &fields);
    let place = "/messages?state=waiting&selected=none";
    assert_eq!(nothing.header("location"), place);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_list_asks_before_it_changes_a_message_with_other_recipients() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(
        &relay,
        &home,
        &[DEFERRED, "b@example.org"],
        "one",
        "deferred",
    );
    let mut browser = Browser::logged_in(&relay, &home);
    let list = format!("/messages?to={DEFERRED}");
    let fields = [("action", "hold"), ("id", &*id), ("back", &*list)];

    let (_, page) = browser.order("/messages/actions", &fields);

    assert!(
        page.body.contains("<h1>Hold 1 message?</h1>"),
        "{}",
        page.body
    );
    assert!(page.body.contains("<li>b@example.org"), "{}", page.body);
    assert_eq!(state(&home, &id), "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_for_all_that_match_changes_what_matched_when_it_was_asked() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let ids: Vec<String> = (0..3)
        .map(|_| send(&relay, &home, &[DEFERRED], "Offer-88", "deferred"))
        .collect();
    let other = send(&relay, &home, &[DEFERRED], "Other", "deferred");
    send(&relay, &home, &["a@example.org"], "Offer-88", "delivered");
    let mut browser = Browser::logged_in(&relay, &home);
    let list = "/messages?q=Offer-88";
    let page = browser.get(list).body;
    assert!(page.contains("All 4 that match, not only"), "{page}");
    assert!(!browser.get("/messages").body.contains("that match"));
    let fields = [
        ("action", "hold"),
        ("all", "1"),
        ("id", &*other),
        ("back", list),
    ];

    let (place, page) = browser.order("/messages/actions", &fields);
    assert!(
        page.body.contains("<h1>Hold 3 messages?</h1>"),
        "{}",
        page.body
    );
    let late = send(&relay, &home, &[DEFERRED], "Offer-88", "deferred");
    let (_, page) = browser.order(&place, &[]);

    assert!(page.body.contains("3 messages held"), "{}", page.body);
    assert!(ids.iter().all(|id| state(&home, id) == "held"));
    assert_eq!(
        [&other, &late].map(|id| state(&home, id)),
        ["waiting", "waiting"]
    );
    let fields = [
        ("action", "release"),
        ("all", "1"),
        ("back", "/messages?q=Other"),
    ];
    let (_, page) = browser.order("/messages/actions", &fields);
    assert!(
        page.body.contains("<h1>Nothing to do</h1>"),
        "{}",
        page.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_quotation_marks_is_found_by_its_link() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect("MAIL FROM:<relay@sandbox.example>", "250");
    smtp.expect("RCPT TO:<\"a b\"@example.org>", "553");
    smtp.expect("QUIT", "221");
    send(
        &relay,
        &home,
        &["other@example.org"],
        "Other-1",
        "delivered",
    );
    let mut browser = Browser::logged_in(&relay, &home);
    let link = "/messages?to=%22a%20b%22%40example.org";
    let shown = format!("href=\"{link}\"");
    relay.wait_until(|| browser.get("/messages").body.contains(&shown));

    let page = browser.get(link).body;

    assert!(page.contains("Refused</span>"), "{page}");
    assert_eq!(page.matches("<tr>").count(), 2, "{page}");
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
    let back = format!("/messages/{id}");
    let fields = [("action", "hold"), ("id", &*id), ("back", &back)];
    operator.order("/messages/actions", &fields);
    assert_eq!(state(&home, &id), "held");
}
