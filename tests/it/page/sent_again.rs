//! A message is sent again from its page, and what the page says where that cannot be.

use super::client::Browser;
use super::messages::DEFERRED;
use super::messages::INVALID;
use super::messages::quiet;
use super::messages::send;
use super::with_page;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::recipients;
use crate::common::run;
use crate::common::said;
use crate::common::set;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_again_to_the_original_the_mailbox_or_another_address() {
    let (graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &[INVALID], "again", "failed");
    let mut browser = Browser::logged_in(&relay, &home);
    let message = format!("/messages/{id}");
    let path = format!("{message}/resend");
    let page = browser.get(&message).body;
    assert!(page.contains("until then it can be sent again"), "{page}");
    assert!(
        page.contains(&format!("original recipients: {INVALID}")),
        "{page}"
    );
    assert!(page.contains(&format!("sends it: {MAILBOX}")), "{page}");

    let (place, page) = browser.order(&path, &[("whom", "other"), ("to", "not an address")]);
    assert!(place.starts_with(&format!("{message}?wrong=")), "{place}");
    assert!(
        page.body.contains("This is not an address"),
        "{}",
        page.body
    );
    let (_, page) = browser.order(&path, &[("whom", "other"), ("to", "new@example.org")]);
    assert!(
        page.body.contains("A copy goes to new@example.org"),
        "{}",
        page.body
    );
    let (place, page) = browser.order(&path, &[("whom", "mailbox"), ("to", "unused@example.org")]);
    assert!(
        page.body.contains(&format!("A copy goes to {MAILBOX}")),
        "{}",
        page.body
    );
    let arrived = arrived(&graph, 2).await;
    let to: Vec<_> = arrived.iter().map(|it| recipients(it)).collect();
    assert!(
        to.contains(&set(&["new@example.org"])) && to.contains(&set(&[MAILBOX])),
        "{to:?}"
    );
    relay.event("resent", |line| line["resend_of"] == *id);
    // Loading the result again sends nothing.
    browser.order(&place, &[]);
    let page = browser.get(&message).body;
    assert_eq!(
        page.matches("Sent again as a copy, by order of link")
            .count(),
        2,
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_names_buttons_and_no_commands_where_a_message_cannot_be_sent_again() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &[DEFERRED], "one", "deferred");
    let delivered = send(&relay, &home, &["a@example.org"], "two", "delivered");
    let mut browser = Browser::logged_in(&relay, &home);
    let message = format!("/messages/{id}");

    let page = browser.get(&message).body;
    let (_, resend) = page.split_once("id=\"resend-title\"").unwrap();
    let words = "to try it now: <strong lang=\"en\">Retry</strong>; to send it to somebody else, \
                 hold it first: <strong lang=\"en\">Hold</strong>";
    assert!(resend.contains(words), "{resend}");
    assert!(!resend.contains("graph-relay queue"), "{resend}");
    // From a page that was loaded while it was possible.
    let (_, page) = browser.order(&format!("{message}/resend"), &[("whom", "original")]);
    let link = format!("hold it first: <a href=\"{message}\" lang=\"en\">Hold</a>");
    assert!(page.body.contains(&link), "{}", page.body);
    assert!(!page.body.contains("queue hold"), "{}", page.body);
    let fields = [
        ("action", "retry"),
        ("id", &*delivered),
        ("back", "/messages"),
    ];
    let (_, page) = browser.order("/messages/actions", &fields);
    let words = "delivered, and its content is gone";
    assert!(page.body.contains(words), "{}", page.body);
    assert!(!page.body.contains("Send again</a>"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_dropped_message_has_a_button_that_deletes_its_content() {
    let graph = stand_in().await;
    let kept = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"\n\
                [history]\nkeep_content = \"7d\"";
    let home = with_page(&graph).sections(kept).build();
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &[DEFERRED], "one", "deferred");
    assert!(run(&home, &["queue", "drop", &id]).status.success());
    let mut browser = Browser::logged_in(&relay, &home);
    let back = format!("/messages/{id}");
    let page = browser.get(&back).body;
    assert!(page.contains("value=\"drop\""), "{page}");

    let fields = [("action", "drop"), ("id", &*id), ("back", &*back)];
    let (place, _) = browser.order("/messages/actions", &fields);
    let (_, page) = browser.order(&place, &[]);

    let words = "it stays dropped, and its content is deleted";
    assert!(page.body.contains(words), "{}", page.body);
    let page = browser.get(&back).body;
    assert!(!page.contains("value=\"drop\""));
    let (_, steps) = page.split_once("Dropped, by order of ").unwrap();
    assert!(steps.contains("Content deleted, by order of "), "{page}");
    let shown = said(&run(&home, &["queue", "show", &id]));
    assert!(shown.contains("content deleted by link"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_again_is_not_offered_where_the_content_is_gone() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let id = send(&relay, &home, &["a@example.org"], "gone", "delivered");
    let mut browser = Browser::logged_in(&relay, &home);

    let page = browser.get(&format!("/messages/{id}")).body;

    assert!(page.contains("It cannot be sent again:"), "{page}");
    assert!(page.contains("history.keep_content is"), "{page}");
    assert!(!page.contains("action=\"/messages/"), "{page}");
}
