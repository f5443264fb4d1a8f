//! `[[sender]]`, from outside: the address that a message goes out as, and its mailbox.

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;

use crate::common::author::OTHER;
use crate::common::author::sent;
use crate::common::users::PLAIN;
use crate::common::users::USERS;
use crate::common::*;

/// A relay with one account that has these keys, and these sections.
fn relay(graph: &Sandbox, mailbox: &str, keys: &str, sections: &str) -> Relay {
    Home::with(graph)
        .account(mailbox, keys)
        .sections(sections)
        .start()
}

const MAP: &str = "[[sender]]\nmatch = \"@old.example\"\nfrom = \"@sandbox.example\"\n\
    [[sender]]\nmatch = \"root@nas.local\"\nfrom = \"relay@sandbox.example\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_author_still_receives_the_replies() {
    let graph = stand_in().await;
    let relay = relay(&graph, "from", "", MAP);

    let (mailbox, raw) = sent(&graph, &relay, "From: The Boss <Reports@old.example>\r\n").await;
    assert_eq!(mailbox, OTHER);
    assert!(
        raw.contains(
            "\r\nFrom: \"The Boss\" <reports@sandbox.example>\r\n\
             Reply-To: The Boss <Reports@old.example>\r\n"
        ),
        "{raw}"
    );
    assert!(raw.contains("\r\nX-Original-From: The Boss <Reports@old.example>\r\n"));
    let line = relay.event("sender_replaced", |_| true);
    assert_eq!(line["author"], "Reports@old.example");
    assert_eq!(line["from"], OTHER);

    let fields = "From: reports@old.example\r\nReply-To: desk@old.example\r\n";
    let (_, raw) = sent(&graph, &relay, fields).await;
    assert!(
        raw.contains("\r\nFrom: reports@sandbox.example\r\n"),
        "{raw}"
    );
    assert!(raw.contains("\r\nReply-To: desk@old.example\r\n"), "{raw}");
    assert_eq!(raw.matches("Reply-To").count(), 1, "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_author_is_replaced_too() {
    let graph = stand_in().await;
    let relay = relay(&graph, "from", "", MAP);

    let fields = "From: \"Cron Daemon\" <root@nas.local>\r\nSender: www@web01\r\n";
    let (mailbox, raw) = sent(&graph, &relay, fields).await;

    assert_eq!(mailbox, MAILBOX);
    assert!(
        raw.contains(&format!("\r\nFrom: \"Cron Daemon\" <{MAILBOX}>\r\n")),
        "{raw}"
    );
    // Nobody could reply to that address.
    assert!(!raw.contains("Reply-To"), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_sender_field_is_not_added_twice() {
    let graph = stand_in().await;
    let relay = relay(&graph, "from", "", MAP);

    let fields = "From: reports@old.example\r\nSender: Scan <reports@old.example>\r\n";
    let (_, raw) = sent(&graph, &relay, fields).await;
    assert!(!raw.contains("\r\nSender:"), "{raw}");
    assert!(
        raw.contains("\r\nX-Original-Sender: Scan <reports@old.example>\r\n"),
        "{raw}"
    );

    let fields = format!("From: {MAILBOX}\r\nSender: Scan <reports@old.example>\r\n");
    let settings = Settings {
        send_as: vec![OTHER.to_owned()],
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = self::relay(&graph, "from", "", MAP);
    let (_, raw) = sent(&graph, &relay, &fields).await;
    assert!(
        raw.contains("\r\nSender: \"Scan\" <reports@sandbox.example>\r\n"),
        "{raw}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_mailbox_sends_for_its_alias() {
    // The stand-in knows no mailbox by an alias; the mailbox may send as this one.
    let settings = Settings {
        send_as: vec!["sales@sandbox.example".to_owned()],
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let map = format!("[[sender]]\nmatch = \"sales@sandbox.example\"\nmailbox = \"{OTHER}\"\n");
    let relay = relay(&graph, "from", "", &map);

    let fields = "From: Sales <sales@sandbox.example>\r\n";
    let (mailbox, raw) = sent(&graph, &relay, fields).await;

    assert_eq!(mailbox, OTHER);
    assert!(raw.contains(&format!("\r\n{fields}")), "{raw}");
    assert!(!raw.contains("Reply-To"), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_use_the_map_only_for_its_own_addresses() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .account("from", "")
        .sections(&format!(
            "{MAP}{}",
            USERS.replacen("relay@sandbox.example", "reports@old.example", 1)
        ))
        .listener("authentication = \"required\"")
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");

    let mut send = |from: &str| {
        let content = format!("From: {from}\r\nTo: a@example.org\r\n\r\nx\r\n");
        smtp.send(
            "reports@old.example",
            &["a@example.org"],
            content.as_bytes(),
        )
    };
    assert!(send("reports@old.example").starts_with("250"));
    assert!(send("relay@old.example").starts_with("550 5.7.1"));
    // The map knows it, so it counts as a From.
    assert!(send("root@nas.local").starts_with("550 5.7.1"));

    let arrivals = arrived(&graph, 1).await;
    assert_eq!(arrivals[0].mailbox, OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remedy_names_a_refused_default_from() {
    let graph = stand_in().await;
    let keys = "default_from = \"noreply@sandbox.example\"";
    let relay = relay(&graph, MAILBOX, keys, "");

    let content = "From: root@nas\r\nTo: a@example.org\r\n\r\nx\r\n";
    let id = send_one(&relay, &["a@example.org"], content);

    let line = relay.event("deferred", |line| line["id"] == *id);
    let words = line["reason"].as_str().unwrap();
    let command = format!("'noreply@sandbox.example' -Trustee '{MAILBOX}'");
    assert!(words.contains(&command), "{words}");
}
