//! Clients that try to use up the page, while mail goes on.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use super::ON;
use super::client::Browser;
use super::client::encoded;
use super::with_page;
use crate::common::Home;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_clients_stop_neither_mail_nor_the_page() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let address = Browser::at(&relay).address;
    // More than the relay serves at once, and more than it serves for one client.
    let mut slow: Vec<_> = (0..100)
        .filter_map(|_| TcpStream::connect(address).ok())
        .collect();
    for stream in &mut slow {
        // It may have been closed already.
        drop(stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "));
    }

    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    relay.event("delivered", |line| line["id"] == *id);

    for stream in &mut slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let is_timeout = |kind| matches!(kind, std::io::ErrorKind::WouldBlock);
        assert!(
            !ended.is_err_and(|error| is_timeout(error.kind())),
            "it is still open"
        );
    }
    let mut browser = Browser::logged_in(&relay, &home);
    assert_eq!(browser.get("/").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_forms_and_heads_are_refused() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let token = browser.get("/").field("csrf");

    let large = "x".repeat(100_000);
    let answer = browser.post("/log-out", &[("csrf", &token), ("more", &large)]);
    assert_eq!(answer.status, 413);
    let answer = browser.send("GET", "/", &[("X-Large", &large)], "");
    assert!(matches!(answer.status, 0 | 431), "{answer:?}");
    let many: Vec<_> = (0..200).map(|_| ("X-Field", "x")).collect();
    let answer = browser.send("GET", "/", &many, "");
    assert!(matches!(answer.status, 0 | 431), "{answer:?}");
    assert_eq!(browser.get("/").status, 200);
}

/// It takes a second or more to verify a password with it.
const SLOW: &str = "$argon2id$v=19$m=131072,t=16,p=1$Y2FuYXJ5LW9mLXRlc3RzIQ$\
    V/92VkIC5wRQnE7B7skPtj0/7FXaDLQPYeTL4opKYlg";

#[tokio::test(flavor = "multi_thread")]
async fn strangers_at_the_log_in_do_not_delay_those_who_are_logged_in() {
    let graph = stand_in().await;
    let admin = format!("{ON}\npassword_hash = \"{SLOW}\"");
    let home = Home::with(&graph).sections(&admin).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let (address, body) = (browser.address, encoded(&[("password", "wrong")]));
    let request = format!(
        "POST /log-in HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n\
         Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut strangers: Vec<_> = (0..4)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for stranger in &mut strangers {
        stranger.write_all(request.as_bytes()).unwrap();
    }

    for path in ["/", "/messages", "/", "/messages", "/"] {
        assert_eq!(browser.get(path).status, 200);
    }

    let last = strangers.last_mut().unwrap();
    last.set_nonblocking(true).unwrap();
    let answered = last.read(&mut [0; 1]);
    let is_pending = answered.is_err_and(|it| it.kind() == std::io::ErrorKind::WouldBlock);
    assert!(is_pending, "all passwords were verified first");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_malformed_requests_are_in_words_and_in_the_visitors_language() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let token = browser.get("/").field("csrf");
    let large = "x".repeat(100_000);
    let origin = format!("http://{}", browser.host);

    for (language, malformed, not_a_page, too_large) in [
        (
            "en",
            "does not understand this request",
            "not a page",
            "form is too large",
        ),
        (
            "de",
            "versteht diese Anfrage nicht",
            "keine Seite",
            "Formular ist zu groß",
        ),
    ] {
        browser.language = language;
        let mut check = |method: &str, path: &str, body: &str, status: u16, words: &str| {
            let headers = [
                ("Origin", origin.as_str()),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ];
            let answer = browser.send(method, path, &headers, body);
            assert_eq!(answer.status, status, "{method} {path}");
            assert!(answer.body.contains(words), "{path}: {}", answer.body);
            assert!(answer.body.contains("<h1>"), "{path}: {}", answer.body);
        };
        check("POST", "/log-in", "link=a&link=b", 422, malformed);
        check("GET", "/log-out", "", 405, not_a_page);
        check("PUT", "/", "", 405, not_a_page);
        let form = encoded(&[("csrf", &token), ("more", &large)]);
        check("POST", "/log-out", &form, 413, too_large);
    }
    let get = browser.get("/log-out");
    assert_eq!(get.header("allow"), "POST");
}
