//! An alias of a mailbox as From, from outside: the mailbox that the relay finds for it.

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;

use crate::common::author::OTHER;
use crate::common::author::sent;
use crate::common::*;

/// A relay with one account that has these keys.
fn relay(graph: &Sandbox, mailbox: &str, keys: &str) -> Relay {
    Home::with(graph).account(mailbox, keys).start()
}

/// A stand-in with an alias of a mailbox. An app that may look up users has this role
/// too.
async fn with_alias(may_look: bool) -> Sandbox {
    let alias = ("sales@sandbox.example".to_owned(), OTHER.to_owned());
    let mut settings = Settings {
        proxy_addresses: [alias].into(),
        ..Settings::default()
    };
    if may_look {
        settings.roles.push("User.Read.All".to_owned());
    }
    stand_in_with(settings).await
}

/// The number of look-ups of users.
fn looks(graph: &Sandbox) -> usize {
    let requests = graph.requests();
    requests
        .iter()
        .filter(|request| request.path == "/v1.0/users")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_sent_as_from_the_mailbox_that_owns_it() {
    let graph = with_alias(true).await;
    let relay = relay(&graph, "from", "");

    let fields = "From: Sales <Sales@sandbox.example>\r\n";
    for _ in 0..3 {
        let (mailbox, raw) = sent(&graph, &relay, fields).await;
        assert_eq!(mailbox, OTHER);
        assert!(raw.contains(&format!("\r\n{fields}")), "{raw}");
    }

    assert_eq!(looks(&graph), 1, "the owner is looked for once");
    let line = relay.event("alias", |_| true);
    assert_eq!(line["mailbox"], "sales@sandbox.example");
    assert_eq!(line["owner"], OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_a_fixed_mailbox_and_by_a_draft_is_found_too() {
    let graph = with_alias(true).await;
    let relay = relay(&graph, "sales@sandbox.example", "submission = \"draft\"");

    let (mailbox, raw) = sent(&graph, &relay, "From: sales@sandbox.example\r\n").await;

    assert_eq!(mailbox, OTHER);
    assert!(raw.contains("\r\nFrom: sales@sandbox.example\r\n"), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_permission_to_look_up_users_is_reported_and_mail_waits() {
    let graph = with_alias(false).await;
    let relay = relay(&graph, "from", "");

    let content = "From: sales@sandbox.example\r\nTo: a@example.org\r\n\r\nx\r\n";
    let id = send_one(&relay, &["a@example.org"], content);

    let line = relay.event("alias", |_| true);
    let remedy = line["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("[[sender]]") && remedy.contains("User.Read.All"),
        "{line}"
    );
    relay.event("deferred", |line| line["id"] == *id);
    relay.wait_until(|| relay.events("deferred").len() > 2);
    assert_eq!(looks(&graph), 1, "a refusal is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_from_an_unknown_address_waits_as_before() {
    let graph = with_alias(true).await;
    let relay = relay(&graph, "from", "");

    let content = "From: nobody@sandbox.example\r\nTo: a@example.org\r\n\r\nx\r\n";
    let id = send_one(&relay, &["a@example.org"], content);

    let line = relay.event("deferred", |line| line["id"] == *id);
    assert_eq!(line["code"], "ErrorInvalidUser");
    relay.wait_until(|| relay.events("deferred").len() > 2);
    assert_eq!(looks(&graph), 1);
}
