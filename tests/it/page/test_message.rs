//! Test messages on the page.

use super::client::Browser;
use super::consent;
use super::no_consent;
use super::with_page;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::home::Credential;
use crate::common::stand_in;
use crate::common::stand_in_with_scope;

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_shows_how_long_each_step_took() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in_as(&relay, &home, "operator");
    assert_eq!(browser.get("/test").status, 200);

    let answer = browser.change("/test", &[("to", "anna at contoso")]);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(
        answer.body.contains("This is not an address."),
        "{}",
        answer.body
    );
    let answer = browser.change("/test", &[("to", "anna@contoso.com")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let path = answer.header("location").to_owned();
    // The log may be earlier than what the page reads.
    relay.wait_until(|| browser.get(&path).body.contains("Graph has answered"));

    let shown = browser.get(&path).body;
    for words in [
        "Entra has issued a token for the account relay@sandbox.example",
        "The relay has accepted the message",
        "Graph has answered",
        "HTTP 202, submitted to Graph, request-id ",
        "Not tested",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("http-equiv=\"refresh\""), "{shown}");
    assert_eq!(graph.arrivals().len(), 1);
    let mut viewer = Browser::logged_in_as(&relay, &home, "viewer");
    assert_eq!(viewer.get("/test").status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_without_a_token_says_what_to_do() {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .account_by(&Credential::SecretOf("wrong~Canary"), MAILBOX, "")
        .build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let answer = browser.change("/test", &[("to", "anna@contoso.com")]);

    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("AADSTS7000215"), "{}", answer.body);
    assert!(answer.body.contains("Not sent"), "{}", answer.body);
    assert!(!answer.body.contains("wrong~Canary"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_is_refused_with_the_answer_that_a_client_gets() {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .sections("[aliases]\nroot = \"it@contoso.com\"")
        .listener("recipients_allowed = [\"*@contoso.com\"]")
        .build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in_as(&relay, &home, "operator");

    for (to, words) in [
        ("mail@nas", "its domain is not public"),
        ("anna@example.org", "is not allowed here"),
        ("nobody", "has no domain and no alias"),
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        let reply = smtp.say(&format!("RCPT TO:<{to}>"));
        let answer = browser.change("/test", &[("to", to)]);
        assert_eq!(answer.status, 422, "{to}");
        assert!(reply.contains(words), "{reply}");
        assert!(answer.body.contains(words), "{to}: {}", answer.body);
        assert!(answer.body.contains("id=\"to-error\""), "{}", answer.body);
    }
    let answer = browser.change("/test", &[("to", "root")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    relay.event("delivered", |_| true);
    let arrivals = graph.arrivals();
    assert_eq!(arrivals.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_is_counted_as_accepted_and_stands_among_the_messages() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in_as(&relay, &home, "operator");
    let overview = browser.get("/").body;
    assert!(overview.contains("href=\"/test\""), "{overview}");

    let answer = browser.change("/test", &[("to", "anna@contoso.com")]);
    let id = answer.header("location").replace("/test/", "");
    relay.event("delivered", |line| line["id"] == *id);

    let accepted = "id=\"accepted-title\">Accepted</h2><div class=\"figure\">1<";
    relay.wait_until(|| browser.get("/").body.contains(accepted));
    let messages = browser.get("/messages").body;
    assert!(messages.contains(&format!("href=\"/messages/{id}\"")));
    assert!(browser.get("/devices").body.contains("No device has sent"));
    let mut viewer = Browser::logged_in_as(&relay, &home, "viewer");
    assert!(!viewer.get("/").body.contains("href=\"/test\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_test_message_that_waits_reloads_more_slowly_and_then_not_at_all() {
    let graph = stand_in().await;
    let home = with_page(&graph).delivery("retry = [\"1h\"]").build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let answer = browser.change("/test", &[("to", "unavailable@example.org")]);
    let path = answer.header("location").to_owned();
    relay.event("doubtful", |_| true);

    for (look, seconds) in [(0, 2), (5, 5), (11, 15)] {
        let page = browser.get(&format!("{path}?look={look}")).body;
        let next = look + 1;
        let refresh = format!("content=\"{seconds}; url={path}?look={next}\"");
        assert!(page.contains(&refresh), "{refresh}: {page}");
    }
    let page = browser.get(&format!("{path}?look=24")).body;
    assert!(!page.contains("http-equiv"), "{page}");
    assert!(page.contains("Look again"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_test_message_names_an_error_once_and_its_remedy() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let answer = browser.change("/test", &[("to", "invalid@example.org")]);
    let path = answer.header("location").to_owned();
    relay.event("failed", |_| true);
    relay.wait_until(|| !browser.get(&path).body.contains("http-equiv"));

    let page = browser.get(&path).body;
    let (_, main) = page.split_once("id=\"verdict\"").unwrap();
    assert_eq!(main.matches("ErrorInvalidRecipients").count(), 1, "{main}");
    assert!(main.contains("HTTP 400"), "{main}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_without_consent_says_where_an_administrator_grants_it() {
    let graph = stand_in().await;
    graph.inject(no_consent());
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let answer = browser.change("/test", &[("to", "anna@contoso.com")]);

    assert_eq!(answer.status, 422, "{}", answer.body);
    for words in [
        "Not sent",
        "AADSTS65001",
        "let an administrator grant admin consent to the app",
        &consent(&graph),
    ] {
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_from_a_mailbox_outside_the_scope_of_the_app_says_how_to_include_it() {
    let graph = stand_in_with_scope("reports@sandbox.example").await;
    let home = with_page(&graph).delivery("retry = [\"1h\"]").build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let answer = browser.change("/test", &[("to", "anna@contoso.com")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let path = answer.header("location").to_owned();
    relay.wait_until(|| browser.get(&path).body.contains("ErrorAccessDenied"));

    let page = browser.get(&path).body;
    let (_, main) = page.split_once("id=\"verdict\"").unwrap();
    let include = format!("include {MAILBOX} in its RBAC scope");
    for words in [
        "Entra has issued a token for the account",
        "give the app the application permission Mail.Send",
        &include,
        "Graph has answered",
        "HTTP 403",
    ] {
        assert!(main.contains(words), "{words}: {main}");
    }
    assert!(graph.arrivals().is_empty());
}
