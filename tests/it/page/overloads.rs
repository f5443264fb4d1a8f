//! Clients that try to use up the page, while mail goes on.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use super::client::Browser;
use super::with_page;
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
