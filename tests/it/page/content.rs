//! The content of a message: who may read it, that HTML in it can do nothing, and that a
//! large one is sent as it is.

use super::client::Answer;
use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::Relay;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in;

/// Graph refuses every message to it, so that its content stays.
const INVALID: &str = "invalid@example.org";

const QUIET: &str = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";

async fn failed(content: &str) -> (graph_relay_sandbox::Sandbox, Home, Relay, String) {
    let graph = stand_in().await;
    let home = with_page(&graph).sections(QUIET).build();
    let relay = Relay::start(&home);
    let id = send_one(&relay, &[INVALID], content);
    relay.event("failed", |line| line["id"] == *id);
    (graph, home, relay, id)
}

fn with_parts() -> String {
    "From: relay@sandbox.example\r\nTo: invalid@example.org\r\nSubject: parts\r\n\
     X-Odd: a\u{7}b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
     --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n<script>alert(1)</script> text\r\n\
     --b\r\nContent-Type: text/html\r\n\r\n<p>hi<script>alert(2)</script>\
     <img src=\"http://evil.example/x\">\r\n\
     --b\r\nContent-Type: application/pdf; name=\"../../<b>.pdf\"\r\n\
     Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n"
        .to_owned()
}

fn policy(answer: &Answer) -> &str {
    answer.header("content-security-policy")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_reads_header_texts_and_attachments_and_the_log_says_so() {
    let (_graph, home, relay, id) = failed(&with_parts()).await;
    let mut browser = Browser::logged_in(&relay, &home);
    let path = format!("/messages/{id}/content");
    let message = browser.get(&format!("/messages/{id}")).body;
    assert!(message.contains(&format!("href=\"{path}\"")), "{message}");

    let page = browser.get(&path).body;

    for words in [
        "X-Odd: a␇b",
        "Subject: parts",
        "&#60;script&#62;alert(1)&#60;/script&#62; text",
        &format!(
            "<iframe class=\"message\" sandbox referrerpolicy=\"no-referrer\" src=\"/messages/{id}/html\""
        ),
        "application/pdf",
        &format!("href=\"/messages/{id}/raw\""),
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("alert(2)"), "HTML is in its frame only");
    assert!(!page.contains("<b>.pdf"), "{page}");
    relay.event("page_action", |line| line["action"] == "read");
}

#[tokio::test(flavor = "multi_thread")]
async fn html_of_a_message_is_served_where_it_can_do_nothing() {
    let (_graph, home, relay, id) = failed(&with_parts()).await;
    let mut browser = Browser::logged_in(&relay, &home);

    let frame = browser.get(&format!("/messages/{id}/html"));

    assert_eq!(frame.status, 200);
    assert!(frame.body.contains("alert(2)"), "{}", frame.body);
    assert_eq!(frame.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(frame.header("x-content-type-options"), "nosniff");
    assert_eq!(frame.header("x-frame-options"), "SAMEORIGIN");
    let directives: Vec<&str> = policy(&frame).split("; ").collect();
    for directive in [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "sandbox",
        "frame-ancestors 'self'",
    ] {
        assert!(directives.contains(&directive), "{directives:?}");
    }
    assert!(!policy(&frame).contains("script"), "{directives:?}");
    // A link within the frame cannot lead it to another site.
    let page = browser.get(&format!("/messages/{id}/content"));
    assert!(
        policy(&page).contains("frame-src 'self'"),
        "{}",
        policy(&page)
    );
    assert_eq!(page.header("x-frame-options"), "DENY");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_message_is_a_file_byte_for_byte() {
    let long = "0123456789abcdef".repeat(4) + "\r\n";
    let content = message("large", INVALID) + &long.repeat(40_000);
    let (_graph, home, relay, id) = failed(&content).await;
    let mut browser = Browser::logged_in(&relay, &home);

    let file = browser.get(&format!("/messages/{id}/raw"));

    assert_eq!(file.header("content-type"), "message/rfc822");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    let name = format!("attachment; filename=\"{id}.eml\"");
    assert_eq!(file.header("content-disposition"), name);
    assert_eq!(file.header("content-length"), file.body.len().to_string());
    assert!(file.body.ends_with(&long.repeat(40_000)));
    relay.event("page_action", |line| line["action"] == "download");
    // Of its text only the beginning is shown.
    let page = browser.get(&format!("/messages/{id}/content")).body;
    assert!(page.len() < 400_000, "{}", page.len());
    assert!(page.contains("This is only the beginning"));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_the_header_section_only_and_viewers_nothing() {
    let (_graph, home, relay, id) = failed(&with_parts()).await;
    let paths = ["content", "html", "raw"].map(|it| format!("/messages/{id}/{it}"));
    let [content, html, raw] = &paths;

    let mut operator = Browser::logged_in_as(&relay, &home, "operator");
    let page = operator.get(content).body;
    assert!(page.contains("Subject: parts"), "{page}");
    for hidden in ["alert(1)", "application/pdf", "<iframe", "/raw"] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    assert_eq!(operator.get(html).status, 403);
    assert_eq!(operator.get(raw).status, 403);
    let mut viewer = Browser::logged_in_as(&relay, &home, "viewer");
    for path in &paths {
        let answer = viewer.get(path);
        assert_eq!(answer.status, 403, "{path}");
        assert!(!answer.body.contains("alert("), "{path}");
    }
    let message = viewer.get(&format!("/messages/{id}")).body;
    assert!(!message.contains("/content\""), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_message_has_content_only_where_it_is_kept() {
    let graph = stand_in().await;
    for (sections, status) in [("", 404), ("[history]\nkeep_content = \"7d\"", 200)] {
        let home = with_page(&graph).sections(sections).build();
        let relay = Relay::start(&home);
        let id = send_one(
            &relay,
            &["a@example.org"],
            &message("kept", "a@example.org"),
        );
        relay.event("delivered", |line| line["id"] == *id);
        let mut browser = Browser::logged_in(&relay, &home);

        for end in ["content", "raw"] {
            let path = format!("/messages/{id}/{end}");
            relay.wait_until(|| browser.get(&path).status == status);
        }
        let page = browser.get(&format!("/messages/{id}")).body;
        assert_eq!(page.contains("/content\""), status == 200, "{page}");
    }
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let unknown = browser.get("/messages/01M8QX9M718C8Z8HZQF1FYFFTF/raw");
    assert_eq!(unknown.status, 404);
}
