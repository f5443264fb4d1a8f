//! What somebody may try through the browser of an administrator, or without one.

use super::client::Browser;
use super::client::encoded;
use super::client::raw;
use super::with_page;
use crate::common::Relay;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_another_site_that_leads_here_gets_nothing() {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .sections("[admin]\nhosts = [\"Mail.Example\"]")
        .build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let port = browser.address.port();

    for host in ["localhost", "mail.example", "relay.test.example"] {
        browser.host = format!("{host}:{port}");
        assert_eq!(browser.get("/").status, 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.2", "[::1]", "x.mail.example"] {
        browser.host = format!("{host}:{port}");
        for path in ["/", "/log-in", "/static/page.css"] {
            let answer = browser.get(path);
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(!answer.body.contains('<'), "{}", answer.body);
        }
    }
    let address = browser.address;
    for (target, hosts) in [
        (
            "/log-in",
            format!("Host: {address}\r\nHost: evil.example\r\n"),
        ),
        ("/log-in", String::new()),
        ("http://evil.example/log-in", format!("Host: {address}\r\n")),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        assert!(raw(address, &request).status >= 400, "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_the_origin_of_the_page_and_the_token_of_the_session() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let token = browser.get("/").field("csrf");
    let own = format!("http://{}", browser.host);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let named = encoded(&[("csrf", &token)]);

    for origin in [
        "http://evil.example",
        "null",
        "http://127.0.0.1",
        "http://localhost",
    ] {
        let answer = browser.send("POST", "/log-out", &[("Origin", origin), form], &named);
        assert_eq!(answer.status, 403, "{origin}");
        assert!(
            answer.body.contains("came from another site"),
            "{}",
            answer.body
        );
    }
    assert_eq!(
        browser.send("POST", "/log-out", &[form], &named).status,
        403
    );
    let other = Browser::logged_in(&relay, &home).get("/").field("csrf");
    for body in ["", "csrf=", "csrf=x", &encoded(&[("csrf", &other)])] {
        let answer = browser.send("POST", "/log-out", &[("Origin", &own), form], body);
        assert_eq!(answer.status, 403, "{body}");
        assert!(
            answer.body.contains("This form is out of date"),
            "{}",
            answer.body
        );
    }
    let plain = ("Content-Type", "text/plain");
    let answer = browser.send("POST", "/log-out", &[("Origin", &own), plain], &named);
    assert_eq!(answer.status, 403);
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS"] {
        let answer = browser.send(method, "/log-out", &[("Origin", &own)], "");
        assert!(answer.status >= 400, "{method}");
    }
    assert_eq!(browser.get("/log-out").status, 405);
    assert_eq!(browser.get("/").status, 200, "it is still logged in");

    let answer = browser.send("POST", "/log-out", &[("Origin", &own), form], &named);
    assert_eq!(answer.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_scripts_from_elsewhere_frames_and_copies() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    for path in ["/", "/messages", "/nothing", "/static/page.js", "/log-in"] {
        let answer = browser.get(path);
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        // With "no-referrer" a browser would send `Origin: null` with each form.
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        let cached = match path.starts_with("/static/") {
            true => "private, max-age=3600",
            false => "no-store",
        };
        assert_eq!(answer.header("cache-control"), cached, "{path}");
        // The policy would forbid them.
        for inline in ["<script>", " style=", " onclick=", "javascript:"] {
            assert!(!answer.body.contains(inline), "{path} {inline}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_message_stays_text() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let evil = "<script>alert(1)</script>\"'&";
    let content = message("S", "a@example.org").replace("Subject: S", &format!("Subject: {evil}"));
    send_one(&relay, &["a@example.org"], &content);
    let mut browser = Browser::logged_in(&relay, &home);

    for path in [
        "/messages",
        "/messages?q=%3Cscript%3E",
        "/messages?to=%22%3E%3Cb%3E",
    ] {
        let page = browser.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("<script>"), "{}", page.body);
        assert!(!page.body.contains("<b>"), "{}", page.body);
    }
    let page = browser.get("/messages").body;
    assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_link_leads_to_no_other_site() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    for back in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "evil.example",
        "/\t/evil.example",
        "/\r\nSet-Cookie: a=b",
    ] {
        let query = encoded(&[("back", back)]);
        let answer = browser.get(&format!("/language/de?{query}"));
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, "/"),
            "{back}"
        );
    }
    let answer = browser.get("/language/de?back=%2Fmessages%3Fq%3Da");
    assert_eq!(answer.header("location"), "/messages?q=a");
    assert!(browser.get("/").body.contains("<html lang=\"de\">"));
}
