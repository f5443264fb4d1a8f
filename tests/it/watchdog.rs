//! What systemd hears from a running relay: `WATCHDOG=1` and `STATUS=`.

use std::os::unix::net::UnixDatagram;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;

use rusqlite::Connection;

use crate::common::Home;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::binary;
use crate::common::message;
use crate::common::run;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stored::database;
use graph_relay_sandbox::Fault;

/// A relay with a watchdog of this many microseconds, and what it tells systemd.
fn watched(home: &Home, usec: &str) -> (Relay, Receiver<String>) {
    let path = home.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let (heard, hears) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = [0; 4096];
        while let Ok(length) = socket.recv(&mut text) {
            let said = String::from_utf8_lossy(&text[..length]).trim().to_owned();
            if heard.send(said).is_err() {
                return;
            }
        }
    });
    let mut command = binary();
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", usec)
        .arg("serve")
        .arg("--config")
        .arg(&home.config);
    (Relay::start_by(&mut command), hears)
}

fn wait_for(hears: &Receiver<String>, is: impl Fn(&str) -> bool) -> String {
    loop {
        let said = hears.recv_timeout(PATIENCE).expect("it is not said");
        if is(&said) {
            return said;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_that_the_relay_works_after_it_has_started() {
    let graph = stand_in().await;
    let home = Home::new(&graph);

    let (_relay, hears) = watched(&home, "300000");

    assert_eq!(hears.recv_timeout(PATIENCE).unwrap(), "READY=1");
    for _ in 0..5 {
        wait_for(&hears, |said| said == "WATCHDOG=1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_nothing_while_the_spool_cannot_be_written() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let (relay, hears) = watched(&home, "600000");
    wait_for(&hears, |said| said == "WATCHDOG=1");

    let db = Connection::open(database(&home)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let withheld = relay.event("watchdog_withheld", |_| true);

    assert!(
        withheld["reason"].as_str().unwrap().contains("spool"),
        "{withheld}"
    );
    // What was said before.
    while hears.try_recv().is_ok() {}
    db.execute_batch("ROLLBACK").unwrap();
    relay.event("watchdog_resumed", |_| true);
    wait_for(&hears, |said| said == "WATCHDOG=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_has_the_queue_the_oldest_message_and_the_token() {
    let graph = stand_in().await;
    graph.inject(Fault {
        times: u32::MAX,
        ..Fault::at_send(503)
    });
    let home = Home::with(&graph).delivery("retry = [\"1h\"]").build();
    let mut relay = Relay::start(&home);
    let id = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));
    relay.event("doubtful", |line| line["id"] == *id);
    assert!(relay.stop().success());

    let (_relay, hears) = watched(&home, "60000000");

    let status = wait_for(&hears, |said| said.starts_with("STATUS="));
    assert!(
        status.starts_with("STATUS=1 waiting (the oldest for "),
        "{status}"
    );
    let token = "; token of relay@sandbox.example: ";
    assert!(status.contains(token), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_that_delivery_is_paused() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    let paused = run(&home, &["pause", "--reason", "maintenance"]);
    assert!(paused.status.success(), "{paused:?}");
    assert!(relay.stop().success());

    let (_relay, hears) = watched(&home, "60000000");

    let status = wait_for(&hears, |said| said.starts_with("STATUS="));
    let words = "STATUS=all delivery is paused (maintenance); 0 waiting; ";
    assert!(status.starts_with(words), "{status}");
}
