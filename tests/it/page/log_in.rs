//! Logging in and out.

use std::io::Write;
use std::process::Stdio;

use super::ON;
use super::client::Browser;
use super::link;
use super::with_page;
use crate::common::Home;
use crate::common::Relay;
use crate::common::binary;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_in_there_is_nothing_but_the_log_in() {
    let graph = stand_in().await;
    let relay = with_page(&graph).start();
    let mut browser = Browser::at(&relay);

    for path in [
        "/",
        "/messages",
        "/messages?q=a",
        "/nothing",
        "/language/de",
    ] {
        let answer = browser.get(path);
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, "/log-in"),
            "{path}"
        );
        assert_eq!(answer.body, "", "{path}");
    }
    let page = browser.get("/log-in");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<code>sudo graph-relay page</code>"));
    assert!(!page.body.contains("type=\"password\""), "{}", page.body);
    assert!(!page.body.contains("relay@"), "{}", page.body);
    for file in ["page.css", "page.js", "htmx.js"] {
        assert_eq!(
            browser.get(&format!("/static/{file}")).status,
            200,
            "{file}"
        );
    }
    let update = browser.send("GET", "/messages", &[("HX-Request", "true")], "");
    assert_eq!(
        (update.status, update.header("hx-redirect")),
        (401, "/log-in")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_logs_in_once_and_opening_it_does_not_use_it_up() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let link = link(&home);
    let mut browser = Browser::at(&relay);

    for _ in 0..3 {
        let page = browser.get(&link);
        assert_eq!(page.status, 200);
        assert!(page.header("set-cookie").is_empty(), "{page:?}");
    }
    let secret = browser.get(&link).field("link");
    let answer = browser.post("/log-in", &[("link", &secret)]);
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    let cookie = answer.header("set-cookie");
    let (cookie, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
    );
    assert!(!cookie.contains(&secret));
    assert_eq!(browser.get("/").status, 200);
    relay.event("page_log_in", |line| {
        line["user"] == "link" && line["client"] == "127.0.0.1"
    });

    let mut other = Browser::at(&relay);
    let answer = other.post("/log-in", &[("link", &secret)]);
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("This link does not work"),
        "{}",
        answer.body
    );
    assert_eq!(other.get("/").status, 303);
    relay.event("page_log_in_failed", |_| true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_ends_the_session_and_not_only_the_cookie() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let mut copy = Browser::at(&relay);
    copy.cookies = browser.cookies.clone();
    assert_eq!(copy.get("/").status, 200);

    let answer = browser.change("/log-out", &[]);

    assert_eq!((answer.status, answer.header("location")), (303, "/log-in"));
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
    assert_eq!(copy.get("/").status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_logs_in_and_guesses_have_to_wait() {
    let graph = stand_in().await;
    let hash = hash_of("correct horse");
    let home = with_page(&graph)
        .sections(&format!("[admin]\npassword_hash = \"{hash}\""))
        .build();
    let relay = Relay::start(&home);
    let mut browser = Browser::at(&relay);
    let mut log_in = |password: &str| browser.post("/log-in", &[("password", password)]);

    for _ in 0..4 {
        let answer = log_in("wrong");
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("This password is wrong."));
        assert!(!answer.body.contains("value=\"wrong\""));
    }
    let answer = log_in("correct horse");
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    assert_eq!(log_in("").status, 403);
    let answer = log_in("correct horse");
    assert_eq!(answer.status, 429);
    assert!(answer.body.contains("Too many wrong attempts"));
    // Whoever has a link need not wait.
    Browser::logged_in(&relay, &home);
}

/// The hash of a password, as `hash-password` prints it.
fn hash_of(password: &str) -> String {
    let mut child = binary()
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{password}").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_off_until_it_has_an_address() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);

    let output = run(&home, &["page"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("the admin page is off: set address"),
        "{}",
        said(&output)
    );
    assert!(relay.events("page").is_empty());

    home.append(ON);
    relay.signal("HUP");
    relay.event("reloaded", |line| line["needs_restart"] == "[admin]");
    assert!(relay.stop().success());
    let relay = Relay::start(&home);
    Browser::logged_in(&relay, &home);
}
