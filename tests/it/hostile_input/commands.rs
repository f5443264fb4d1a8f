//! Hostile commands: other protocols, binary data, lengths, parameters.

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::message;
use crate::common::stand_in;

/// A transaction within the body of an HTTP request.
fn smuggled() -> String {
    format!(
        "EHLO x\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_disconnected_at_once_with_a_reason() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let methods = [
        "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "get",
    ];
    let requests = methods.map(|method| format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned();
    for request in requests.into_iter().chain([preface]) {
        for first in ["", "EHLO client.example\r\n"] {
            let mut smtp = relay.connect();
            if !first.is_empty() {
                smtp.expect(first.trim_end(), "250");
            }

            smtp.write(format!("{request}{}", smuggled()).as_bytes());

            let reply = smtp.reply();
            assert!(reply.starts_with("421 "), "{request}: {reply}");
            assert_eq!(smtp.rest(), "", "{request}");
        }
    }
    assert!(relay.events("accepted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_client_on_a_plain_port_is_disconnected_at_once() {
    let graph = stand_in().await;
    let limits = "command_timeout = \"5s\"";
    let relay = Home::with(&graph).limits(limits).start();
    for version in [1, 3] {
        let mut smtp = relay.connect();
        // A ClientHello without a line feed, from a client that waits for an answer.
        let hello = [
            &[0x16, 3, version, 0, 200, 1, 0, 0, 196, 3, 3][..],
            &[0x55; 194],
        ]
        .concat();

        smtp.write(&hello);

        let rest = smtp.rest();
        let refused = rest.is_empty() || rest.starts_with(['4', '5']);
        assert!(refused && !rest.contains("Silent"), "{version}: {rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_lines_beyond_the_length_limit_are_refused() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    for length in [510, 511, 512, 1998, 2046] {
        let line = format!("NOOP {}", "x".repeat(length - 5));
        smtp.expect(&line, "250");
    }
    // The longest allowed line is that of RFC 4954 4, with 12,288 octets.
    for length in [12_289, 64 * 1024, 1024 * 1024] {
        let line = format!("NOOP {}", "x".repeat(length));
        smtp.expect(&line, "500 5.5.");
    }
    smtp.expect("NOOP", "250");

    let line = "x".repeat(64 * 1024);
    let mut replies = 0;
    while !smtp.say(&line).starts_with("421 ") {
        replies += 1;
        assert!(replies < 20, "it goes on for ever");
    }
    assert_eq!(smtp.rest(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_commands_are_refused_and_the_session_continues() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for line in [
        &b"\0"[..],
        b"NOOP\0",
        b"\0NOOP",
        b"MAIL FROM:<a\0@example.org>",
        b"MAIL FROM:<a@example.org>\rRCPT TO:<b@example.org>",
        b"EHLO a\rb",
        b"\r",
        b"\x1b[2J",
        b"\xff\xfb\x1f\xff\xfb\x20",
        b"\xfe\xff",
        b"NOOP\x7f",
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");

        smtp.write(&[line, b"\r\n"].concat());

        let reply = smtp.reply();
        assert!(reply.starts_with("50"), "{line:?}: {reply}");
        smtp.expect("NOOP", "250");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_mail_parameters_are_refused() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for (parameters, reply) in [
        ("SIZE=18446744073709551615", "552 5.3.4 "),
        ("SIZE=18446744073709551616", "552 5.3.4 "),
        ("SIZE=99999999999999999999", "552 5.3.4 "),
        ("SIZE=100000000000000000000", "501 5.5.4 "),
        ("SIZE=-1", "501 5.5.4 "),
        ("SIZE=+1", "501 5.5.4 "),
        ("SIZE=0x10", "501 5.5.4 "),
        ("SIZE=", "501 5.5.4 "),
        ("SIZE", "501 5.5.4 "),
        ("SIZE=1 SIZE=2", "501 5.5.4 "),
        ("SIZE=0", "250 2.1.0 "),
        ("BODY=x", "501 5.5.4 "),
        ("BODY=BINARYMIME", "501 5.5.4 "),
        ("FOO=BAR", "555 5.5.4 "),
        ("SMTPUTF8=1", "501 5.5.4 "),
        ("RET=FULL ENVID=x", "250 2.1.0 "),
        ("AUTH=<>", "250 2.1.0 "),
        ("AUTH=a+40b", "250 2.1.0 "),
        ("=", "555 5.5.4 "),
        ("SIZE=1\tBODY=7BIT", "250 2.1.0 "),
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");

        smtp.expect(&format!("MAIL FROM:<{MAILBOX}> {parameters}"), reply);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_ehlo_name_cannot_forge_received_or_log() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let names = [
        "x by mx.example.org; Sat, 21 Nov 2026 19:00:00 +0000",
        "x (trusted [192.0.2.1])",
        "<script>alert(1)</script>",
        "\"x\\",
        "{\"event\":\"delivered\"}",
        "x\u{2028}Received: from y",
        "%s%n${HOSTNAME}",
        &"x".repeat(2000),
    ];
    for name in names {
        let mut smtp = relay.connect();
        smtp.expect(&format!("EHLO {name}"), "250");
        let content = message("hello", "a@example.org");
        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
        smtp.expect("QUIT", "221");
    }

    for arrival in arrived(&graph, names.len()).await {
        let raw = String::from_utf8(arrival.raw.to_vec()).unwrap();
        let received = raw.lines().next().unwrap();
        let said = received.strip_prefix("Received: from ").unwrap();
        let said = said.strip_suffix(" ([127.0.0.1])").unwrap();
        let harmless = |c: char| c.is_ascii_alphanumeric() || "?.-_:[]".contains(c);
        assert!(
            said.len() <= 255 && said.chars().all(harmless),
            "{received}"
        );
        assert_eq!(raw.matches("\nReceived:").count(), 0, "{raw}");
    }
    relay.wait_until(|| relay.events("accepted").len() == names.len());
    assert!(relay.all().iter().all(|line| line.is_object()));
}
