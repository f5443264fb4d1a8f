//! A client with repeated errors causes one log line a minute, and hides no other client.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use crate::common::Home;
use crate::common::Relay;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;
use crate::common::tls::Identity;

/// Sends something on a new connection, and waits until that is closed.
fn once(relay: &Relay, says: &[u8]) {
    let mut stream = TcpStream::connect(relay.address).unwrap();
    // The relay may have closed or reset it already.
    drop(stream.write_all(says));
    drop(stream.shutdown(std::net::Shutdown::Write));
    drop(stream.read_to_end(&mut Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_repeated_errors_is_logged_once_a_minute_with_a_count() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    once(&relay, b"EHLO printer.example\r\nSTARTTLS\r\nQUIT\r\n");
    let device = relay.event("session", |_| true);
    for _ in 0..600 {
        once(&relay, b"GET / HTTP/1.1\r\n\r\n");
    }
    for _ in 0..20 {
        let long = [b'x'; 20_000];
        once(&relay, &[&long[..], b"\r\nQUIT\r\n"].concat());
    }

    let number = device["number"].as_u64().unwrap().to_string();
    let shown = said(&run(&home, &["sessions", "show", &number]));
    assert!(shown.contains("printer.example"), "{shown}");
    // Each session that the log names is still there, after hundreds of the same kind.
    for named in relay.events("session") {
        let number = named["number"].as_u64().unwrap().to_string();
        let shown = run(&home, &["sessions", "show", &number]);
        assert!(shown.status.success(), "{shown:?}");
    }
    relay.stop();
    let warnings = relay
        .all()
        .into_iter()
        .filter(|line| line["level"] == "WARN");
    let warnings: Vec<_> = warnings.collect();
    let singly = warnings.iter().filter(|line| line["event"] == "session");
    assert_eq!(singly.count(), 3, "{warnings:#?}");
    let repeated = warnings.iter().filter(|line| line["event"] == "repeated");
    let times = |line: &serde_json::Value| line["times"].as_u64().unwrap();
    assert_eq!(repeated.map(times).sum::<u64>(), 599 + 19, "{warnings:#?}");
    assert!(warnings.len() < 10, "{warnings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_handshakes_are_counted_too() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("tls = \"implicit\"")
        .tls(&Identity::new())
        .build();
    let mut relay = Relay::start(&home);
    for _ in 0..100 {
        once(&relay, b"EHLO printer.example\r\n");
    }

    relay.stop();
    assert_eq!(relay.events("tls").len(), 1);
    let counted = relay.events("repeated");
    let of_tls = counted.iter().find(|line| line["kind"] == "tls").unwrap();
    assert_eq!(of_tls["times"], 99, "{counted:#?}");
    assert_eq!(of_tls["client"], "127.0.0.1");
}
