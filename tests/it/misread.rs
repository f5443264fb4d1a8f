//! Clients and proxies that wait for an answer which never comes, or that speak another
//! protocol: what the relay reports to the administrator.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::wire::wait_until_read;

/// How long the relay waits for a client here.
const SOON: &str = "data_timeout = \"100ms\"\ncommand_timeout = \"5s\"\n\
                    pre_mail_timeout = \"2s\"";

/// Input of a client that gets no answer.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Waits,
    Leaves,
}

/// Sends these pieces, and returns the replies until the relay closes.
fn answer(relay: &Relay, pieces: &[&[u8]], then: Then) -> String {
    let mut stream = TcpStream::connect(relay.address).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).unwrap();
        wait_until_read(&stream);
    }
    if then == Then::Leaves {
        drop(stream.shutdown(std::net::Shutdown::Write));
    }
    let mut all = Vec::new();
    // The relay may reset a connection whose bytes it does not read.
    drop(stream.read_to_end(&mut all));
    String::from_utf8_lossy(&all).into_owned()
}

/// The replies to these pieces, and the dialog in `sessions show`.
async fn kept(listener: &str, pieces: &[&[u8]], then: Then) -> (String, String) {
    let graph = stand_in().await;
    // The client must not be silent for too long before it leaves.
    let limits = match then {
        Then::Waits => SOON,
        Then::Leaves => "",
    };
    let mut setup = Home::with(&graph).limits(limits).listener(listener);
    if listener.contains("tls") {
        setup = setup.tls(&Identity::new());
    }
    let home = setup.build();
    let relay = Relay::start(&home);
    let answer = answer(&relay, pieces, then);
    let logged = relay.event("session", |_| true);
    let shown = said(&run(&home, &["sessions", "show", "1"]));
    let remedy = logged["remedy"].as_str().unwrap();
    let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(folded(&shown).contains(&folded(remedy)), "{shown}");
    (answer, folded(&shown))
}

/// A message up to DATA, with these line ends.
fn begun(line_end: &str) -> String {
    let lines = [
        "EHLO client.example",
        "MAIL FROM:<relay@sandbox.example>",
        "RCPT TO:<a@example.org>",
        "DATA",
        "",
    ];
    lines.join(line_end)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_sends_a_valid_end_of_data_is_named_in_the_log() {
    let lf = "ends its message with LF . LF";
    let cr = "ends its lines with a carriage return alone";
    let other = "the client stopped responding";
    for (line_end, content, remedy) in [
        ("\n", "Subject: LF\n\nHello\n.\nQUIT\n", lf),
        ("\n", "Subject: LF\n\nHello\n.\n", lf),
        ("\r\n", "Subject: LF\n\nHello\n.\n", lf),
        ("\r\n", "Subject: LF\r\n\r\nHello\n.\r\n", lf),
        ("\r\n", "Subject: LF\r\n\r\nHello\r\n.\n", lf),
        ("\r\n", "Subject: CR\r\rHello\r.\r", cr),
        ("\r\n", "Subject: CR\r\rHello\r.\rQUIT\r", cr),
        ("\r\n", "Subject: CR\r\n\r\nHello\r\n.\r", cr),
        (
            "\r\n",
            "Subject: CRCRLF\r\r\nHello\r\r\n.\r\r\n",
            "ends its message with . CR CR LF",
        ),
        ("\r\n", "Subject: half\r\n\r\nHel", other),
        ("\r\n", "Subject: dots\r\n\r\n...\r\n.x\n", other),
    ] {
        let said = begun(line_end) + content;

        let (answer, shown) = kept("", &[said.as_bytes()], Then::Waits).await;

        assert!(answer.contains("\r\n354 "), "{content:?}: {answer}");
        assert!(answer.contains("\r\n421 4.4.2 "), "{content:?}: {answer}");
        assert!(shown.contains(remedy), "{content:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gives_up_waiting_for_354_is_named_in_the_log() {
    for (content, remedy) in [
        (
            "Subject: LF\n\nHello\n.\nQUIT\n",
            "ends its message with LF . LF",
        ),
        ("Subject: half\r\n\r\nHel", "see the client's own log"),
    ] {
        let said = begun("\n") + content;

        let (_, shown) = kept("", &[said.as_bytes()], Then::Leaves).await;

        assert!(
            shown.contains("the client disconnected before it had finished"),
            "{shown}"
        );
        assert!(shown.contains(remedy), "{content:?}: {shown}");
    }
}

/// The text after the dot is lost, and the relay cannot recognise it as text.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_dot_stuffing_is_named_in_the_log() {
    let dots = "does not double the dot at the beginning of a line";
    for (content, is_told) in [
        ("above\r\n.\r\nbelow the dot\r\n.\r\nQUIT\r\n", true),
        (
            "above\r\n.\r\n\r\nb\u{fc}low the dot\r\n.\r\nQUIT\r\n",
            true,
        ),
        (
            "all of it\r\n.\r\nNOOP\r\nMALL FROM:<a@b.example>\r\nQUIT\r\n",
            false,
        ),
    ] {
        let said = begun("\r\n") + "Subject: dots\r\n\r\n" + content;

        let (answer, shown) = kept("", &[said.as_bytes()], Then::Waits).await;

        assert!(answer.contains("\r\n250 2.0.0 Ok: queued as "), "{answer}");
        assert!(answer.contains("\r\n500 5.5."), "{answer}");
        assert_eq!(shown.contains(dots), is_told, "{content:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_line_ends_is_named_in_the_log() {
    let said = begun("\r") + "Subject: CR\r\rHello\r.\rQUIT\r";

    let (answer, shown) = kept("", &[said.as_bytes()], Then::Waits).await;

    assert!(answer.contains("\r\n421 4.4.2 "), "{answer}");
    assert!(
        shown.contains("ends its lines with a carriage return alone"),
        "{shown}"
    );
}

/// Version 2 of the PROXY protocol, with the addresses of a connection.
const VERSION_2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x30\x39\x09\xdd";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_preamble_is_named_and_ends_the_session() {
    let hello = [VERSION_2, b"EHLO client.example\r\n"].concat();
    let preambles: [&[&[u8]]; 7] = [
        &[b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n"],
        &[b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\nEHLO client.example\r\n"],
        &[b"PROXY UNKNOWN\r\n"],
        &[VERSION_2],
        &[&hello],
        &[&VERSION_2[..2], &VERSION_2[2..6], &VERSION_2[6..]],
        &[&VERSION_2[..7]],
    ];
    for pieces in preambles {
        let (answer, shown) = kept("", pieces, Then::Waits).await;

        let last = answer.lines().last().unwrap();
        assert!(last.starts_with("421 4.7.0 "), "{pieces:?}: {answer}");
        assert!(
            !answer.contains("221 ") && !answer.contains("\n250"),
            "{answer}"
        );
        assert!(
            shown.contains("PROXY protocol preamble"),
            "{pieces:?}: {shown}"
        );
        assert!(shown.contains("send-proxy"), "{pieces:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_preamble_is_named_where_tls_is_expected() {
    let tls = "tls = \"implicit\"\nnetworks = [\"127.0.0.0/8\"]";
    let version_1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 465\r\n";
    for preamble in [version_1, VERSION_2] {
        let (answer, shown) = kept(tls, &[preamble], Then::Leaves).await;

        assert_eq!(answer, "");
        assert!(shown.contains("PROXY protocol preamble"), "{shown}");
        assert!(shown.contains("send-proxy"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_beginning_of_a_connection_is_a_preamble() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("", "500");
    smtp.expect("EHLO client.example", "250");
    smtp.expect("", "500");
    smtp.expect("PROXY TCP4 192.0.2.7 192.0.2.1 4711 25", "500");
    smtp.expect("\0", "501");
    smtp.expect("NOOP", "250");
    smtp.expect("QUIT", "221");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_blindly_by_a_client_that_has_left_is_accepted() {
    const MESSAGES: usize = 40;
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for at in 0..MESSAGES {
        let mut stream = TcpStream::connect(relay.address).unwrap();
        let message = format!("From: {MAILBOX}\r\nSubject: blind {at}\r\n\r\nx\r\n.\r\nQUIT\r\n");
        stream
            .write_all((begun("\r\n") + &message).as_bytes())
            .unwrap();
        // Nothing was read, so closing may reset the connection.
        drop(stream);
    }

    let arrivals = arrived(&graph, MESSAGES).await;
    assert!(
        arrivals
            .iter()
            .all(|arrival| arrival.bcc == ["a@example.org"])
    );
}
