//! The log, with the real binary: nobody has to read it, and a reader misses nothing.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::net::SocketAddr;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::run;
use crate::common::send_one;
use crate::common::stand_in;

/// Enough for several pipes full of log lines (pipe(7): 64 KiB each).
const BURST: usize = 250;

/// A relay whose log is a pipe that the test may or may not read; killed when dropped.
struct Unread {
    child: Child,
    log: Option<ChildStderr>,
}

impl Unread {
    fn start(home: &Home) -> Self {
        let mut command = binary();
        command.arg("serve").arg("--config").arg(&home.config);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take();
        Self { child, log }
    }

    /// Asked over the admin socket, because nobody reads the log.
    fn address(&self, home: &Home) -> SocketAddr {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = run(home, &["status", "--json"]);
            if let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) {
                return status["listeners"][0].as_str().unwrap().parse().unwrap();
            }
            assert!(Instant::now() < deadline, "{output:?}");
            std::thread::yield_now();
        }
    }

    fn terminate(&mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end within the common patience.
    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn send(address: SocketAddr, count: usize) {
    let mut smtp = Smtp::connect(address);
    smtp.expect("EHLO client.example", "250");
    for number in 0..count {
        let content = message(&format!("m{number}"), "a@example.org");
        let reply = smtp.send(MAILBOX, &["a@example.org"], content.as_bytes());
        assert!(reply.starts_with("250 "), "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_never_blocks_the_relay() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Unread::start(&home);
    let address = relay.address(&home);

    send(address, BURST);
    arrived(&graph, BURST).await;

    relay.terminate();
    assert!(relay.ended().success());
    // It was more than the pipe could hold.
    let mut log = String::new();
    relay.log.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(!log.contains("\"stopped\""), "{} bytes", log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_late_is_complete_and_in_order() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Unread::start(&home);
    let address = relay.address(&home);
    send(address, BURST);
    arrived(&graph, BURST).await;

    let log = BufReader::new(relay.log.take().unwrap());
    let reader = std::thread::spawn(move || {
        let parse = |line: std::io::Result<String>| -> Value {
            let line = line.unwrap();
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
        };
        log.lines().map(parse).collect::<Vec<_>>()
    });
    relay.terminate();
    assert!(relay.ended().success());

    let lines = reader.join().unwrap();
    let events: Vec<&str> = lines.iter().filter_map(|it| it["event"].as_str()).collect();
    let count = |event: &str| events.iter().filter(|it| **it == event).count();
    assert_eq!(count("accepted"), BURST);
    assert_eq!(count("delivered"), BURST);
    assert_eq!(events.last(), Some(&"stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_is_gone_does_not_stop_the_relay() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Unread::start(&home);
    let address = relay.address(&home);

    drop(relay.log.take());
    send(address, 20);
    arrived(&graph, 20).await;

    relay.terminate();
    assert!(relay.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_a_message_is_a_number_in_json() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));

    let delivered = relay.event("delivered", |_| true);
    assert!(delivered["age_ms"].is_u64(), "{delivered}");
}
