//! Slow clients: every phase of a session times out, however often they send a byte.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::load::assert_bounded;
use crate::common::load::bystander;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::wire::in_data;

/// A session may last this long; a silence, much longer.
const LIMITS: &str = "session_timeout = \"3s\"";

/// Sends a byte at regular intervals until the relay closes the connection; returns the
/// relay's replies.
fn drip(mut stream: &TcpStream, byte: u8) -> String {
    let moment = Duration::from_millis(20);
    stream.set_read_timeout(Some(moment)).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    let mut piece = [0; 1024];
    while Instant::now() < deadline {
        match stream.read(&mut piece) {
            Ok(0) => return String::from_utf8_lossy(&heard).into_owned(),
            Ok(length) => heard.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // It may have been closed since.
                drop(stream.write_all(&[byte]));
            }
            Err(_) => return String::from_utf8_lossy(&heard).into_owned(),
        }
    }
    panic!("it listens for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_never_ends_times_out() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).limits(LIMITS).start();
    let slow = relay.connect();
    bystander(&relay);

    let said = drip(slow.stream(), b'N');

    assert!(said.starts_with("421 4.4.2 "), "{said}");
    arrived(&graph, 1).await;
    assert_bounded(&relay, "a slow command");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_never_ends_times_out() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).limits(LIMITS).start();
    for byte in [b'X', b'\n', b'.'] {
        let slow = in_data(&relay, "a@example.org");
        bystander(&relay);

        let said = drip(slow.stream(), byte);

        assert!(said.starts_with("421 4.4.2 "), "{said}");
    }
    arrived(&graph, 3).await;
    relay.wait_until(|| relay.events("accepted").len() == 3);
    assert_bounded(&relay, "slow messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_never_ends_times_out() {
    let graph = stand_in().await;
    let identity = Identity::new();
    for tls in ["implicit", "starttls"] {
        let home = Home::with(&graph)
            .limits(LIMITS)
            .listener(&format!("tls = \"{tls}\""))
            .tls(&identity)
            .build();
        let relay = Relay::start(&home);
        let mut slow = Smtp::connect_only(relay.address);
        if tls == "starttls" {
            assert!(slow.reply().starts_with("220 "));
            slow.expect("EHLO client.example", "250");
            slow.expect("STARTTLS", "220");
        }
        // The beginning of a ClientHello of 16 KB.
        slow.write(&[0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3]);

        drip(slow.stream(), 0x55);

        assert_bounded(&relay, "a slow handshake");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_times_out_in_every_phase() {
    let graph = stand_in().await;
    let limits = "command_timeout = \"300ms\"\ndata_timeout = \"300ms\"";
    let relay = Home::with(&graph).limits(limits).start();
    for said in [
        String::new(),
        "EHL".to_owned(),
        "EHLO c\r\n".to_owned(),
        format!("EHLO c\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@example.org>\r\n"),
        format!("EHLO c\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n"),
        format!("EHLO c\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nx\r\n."),
    ] {
        let mut silent = relay.connect();
        silent.write(said.as_bytes());

        let rest = silent.rest();

        let last = rest.lines().last().unwrap_or_default();
        assert!(last.starts_with("421 4.4.2 "), "{said}{rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_replies_is_disconnected() {
    let graph = stand_in().await;
    let limits = "command_timeout = \"3s\"";
    let relay = Home::with(&graph).limits(limits).start();
    let deaf = relay.connect();
    let mut stream = deaf.stream();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let group = "HELP\r\n".repeat(1000);
    bystander(&relay);

    let mut said = 0;
    let error = loop {
        match stream.write_all(group.as_bytes()) {
            Ok(()) => said += group.len(),
            Err(error) => break error,
        }
        assert!(said < 1_000_000_000, "it answers for ever");
    };

    assert_ne!(error.kind(), ErrorKind::WouldBlock, "it waits for ever");
    arrived(&graph, 1).await;
    assert_bounded(&relay, "a deaf client");
}
