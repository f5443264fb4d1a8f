//! Headers on the wire: whole, in pieces, broken, and from where none is believed.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use super::BEHIND;
use super::begun_with;
use super::behind;
use super::block;
use super::local;
use super::session;
use super::version_1;
use super::version_2;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::message;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::wire::wait_until_read;

/// Everything that the relay says to these bytes until it closes the connection.
fn answer(relay: &Relay, bytes: &[u8]) -> String {
    rest(begun_with(relay.address, bytes))
}

fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // The relay may reset a connection whose bytes it does not read.
    drop(stream.read_to_end(&mut all));
    String::from_utf8_lossy(&all).into_owned()
}

/// A whole dialog that is sent without waiting for replies.
fn pipelined(subject: &str) -> String {
    let content = message(subject, "a@example.org");
    format!(
        "EHLO client.example\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n\
         {content}.\r\nQUIT\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_received_field_and_the_log_have_the_client_of_every_form_of_header() {
    let graph = stand_in().await;
    let relay = Relay::start(&behind(&graph));
    let fields = [&[0x04, 0, 200][..], &[0; 200]].concat();
    let headers = [
        (version_1("192.0.2.7"), "192.0.2.7", "[192.0.2.7]"),
        (
            version_1("2001:db8::7"),
            "2001:db8::7",
            "[IPv6:2001:db8::7]",
        ),
        (version_1("::ffff:192.0.2.8"), "192.0.2.8", "[192.0.2.8]"),
        (version_2("192.0.2.9", b""), "192.0.2.9", "[192.0.2.9]"),
        (
            version_2("192.0.2.10", &fields),
            "192.0.2.10",
            "[192.0.2.10]",
        ),
        (
            version_2("2001:db8::8", &fields),
            "2001:db8::8",
            "[IPv6:2001:db8::8]",
        ),
        (
            version_2("::ffff:192.0.2.11", b""),
            "192.0.2.11",
            "[192.0.2.11]",
        ),
    ];
    for (at, (header, client, in_received)) in headers.iter().enumerate() {
        let dialog = pipelined(client);

        let said = answer(&relay, &[header, dialog.as_bytes()].concat());

        assert!(
            said.starts_with("220 ") && said.contains("\r\n221 "),
            "{client}: {said}"
        );
        let arrivals = arrived(&graph, at + 1).await;
        let raw = String::from_utf8_lossy(&arrivals[at].raw).into_owned();
        let received = raw.split("\r\nFrom").next().unwrap();
        assert!(received.contains(in_received), "{client}: {received}");
        assert!(!raw.contains("127.0.0.1"), "{client}: {raw}");
        relay.event("accepted", |line| line["client"] == *client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_in_small_pieces_is_read_like_a_whole_one_and_nothing_after_it() {
    let graph = stand_in().await;
    let relay = Relay::start(&behind(&graph));
    for (at, header) in [
        version_1("192.0.2.7"),
        version_2("192.0.2.7", &[4, 0, 1, 0]),
    ]
    .iter()
    .enumerate()
    {
        let mut stream = begun_with(relay.address, b"");
        // So few that a slow machine reads them all within the header's time.
        for piece in header.chunks(header.len().div_ceil(4)) {
            stream.write_all(piece).unwrap();
            wait_until_read(&stream);
        }
        stream.write_all(pipelined("slow").as_bytes()).unwrap();

        let said = rest(stream);

        assert!(said.contains("\r\n221 "), "{said}");
        arrived(&graph, at + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_follows_a_header_with_the_connection_or_after_starttls() {
    let graph = stand_in().await;
    let identity = Identity::new();
    for tls in ["implicit", "starttls", "auto"] {
        let keys = format!("{BEHIND}tls = \"{tls}\"");
        let home = Home::with(&graph).listener(&keys).tls(&identity).build();
        let relay = Relay::start(&home);
        for header in [version_1("192.0.2.7"), version_2("192.0.2.7", b"")] {
            let mut stream = begun_with(relay.address, &header);
            if tls == "starttls" {
                let mut plain = Smtp::over(stream.try_clone().unwrap());
                assert!(plain.reply().starts_with("220 "));
                plain.expect("EHLO client.example", "250");
                plain.expect("STARTTLS", "220");
            }
            stream.flush().unwrap();
            let mut smtp = Smtp::over(identity.handshake(stream).unwrap());
            if tls != "starttls" {
                assert!(smtp.reply().starts_with("220 "));
            }
            smtp.expect("EHLO client.example", "250");
            let reply = smtp.send(
                MAILBOX,
                &["a@example.org"],
                message(tls, "a@example.org").as_bytes(),
            );
            assert!(reply.starts_with("250 "), "{reply}");
        }
        assert!(
            relay
                .events("accepted")
                .iter()
                .all(|line| line["client"] == "192.0.2.7")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_header_is_refused_with_the_remedy_in_the_log() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener(BEHIND)
        .limits("pre_mail_timeout = \"300ms\"")
        .build();
    for begin in [
        &b""[..],
        b"EHLO client.example\r\n",
        b"PROX\r\n",
        b"\r\n\r\nQUIT\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        // The rest never comes.
        b"PROXY TCP4 192.0.2.7 ",
        &version_2("192.0.2.7", b"")[..20],
    ] {
        let relay = Relay::start(&home);

        let said = answer(&relay, begin);

        assert!(
            said.starts_with("421 4.7.0 This port expects the PROXY protocol from this address"),
            "{begin:?}: {said:?}"
        );
        assert_eq!(said.lines().count(), 1, "{begin:?}: {said:?}");
        let logged = relay.event("session", |line| line["client"] == "127.0.0.1");
        let remedy = logged["remedy"].as_str().unwrap();
        for word in ["proxy_protocol_from", "send-proxy-v2"] {
            assert!(remedy.contains(word), "{remedy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_header_is_refused_and_named() {
    let graph = stand_in().await;
    let relay = Relay::start(&behind(&graph));
    let whole = [&[192, 0, 2, 7, 192, 0, 2, 1][..], &[0; 4]].concat();
    let endless = [b"PROXY UNKNOWN ", &b"x".repeat(3_000)[..]].concat();
    for header in [
        b"PROXY TCP4 192.0.2.7 192.0.2.1 40000\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 65536\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 2001:db8::1 40000 25\r\n".to_vec(),
        b"PROXY TCP4 0.0.0.0 192.0.2.1 40000 25\r\n".to_vec(),
        endless,
        block(0x11, 0x11, &whole),
        block(0x22, 0x11, &whole),
        block(0x21, 0x41, &whole),
        block(0x21, 0x11, &whole[..11]),
        block(0x21, 0x11, &[0; 65_535]),
        block(0x20, 0x00, &[0; 65_535]),
    ] {
        let said = answer(&relay, &header);

        assert!(
            said.starts_with("421 4.7.0 The PROXY protocol header cannot be read, closing: "),
            "{:?}: {said:?}",
            &header[..header.len().min(60)]
        );
    }
    let truncated = begun_with(relay.address, b"PROXY TCP4 192.0.2.7 192.0.2.1 4");
    truncated.shutdown(std::net::Shutdown::Write).unwrap();
    let said = rest(truncated);
    assert!(
        said.contains("the connection was closed before its end"),
        "{said}"
    );
    let logged = relay.event("session", |_| true);
    assert!(
        logged["remedy"].as_str().unwrap().contains("send-proxy-v2"),
        "{logged}"
    );
    assert!(relay.events("accepted").is_empty());
    // The relay is none the worse for it.
    session(relay.address, "192.0.2.7").expect("EHLO client.example", "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_from_elsewhere_is_not_believed() {
    let graph = stand_in().await;
    let keys = "proxy_protocol_from = [\"127.0.0.5\"]\nnetworks = [\"127.0.0.0/8\"]";
    let relay = Home::with(&graph).listener(keys).start();
    for header in [version_1("127.0.0.2"), version_2("127.0.0.2", b""), local()] {
        let said = answer(&relay, &[&header, pipelined("forged").as_bytes()].concat());

        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("421 4.7.0 This port does not expect the PROXY protocol"),
            "{said}"
        );
    }
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect("PROXY TCP4 127.0.0.2 127.0.0.1 40000 25", "500");
    assert!(relay.events("accepted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_header_is_not_believed() {
    let graph = stand_in().await;
    let relay = Relay::start(&behind(&graph));
    for second in [
        version_1("192.0.2.99"),
        version_2("192.0.2.99", b""),
        local(),
    ] {
        let both = [
            &version_1("192.0.2.7"),
            &second,
            pipelined("forged").as_bytes(),
        ]
        .concat();

        let said = answer(&relay, &both);

        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("421 4.7.0 A second PROXY protocol header is not believed"),
            "{said}"
        );
    }
    let logged = relay.event("session", |line| line["client"] == "192.0.2.7");
    assert!(
        logged["remedy"].as_str().unwrap().contains("accept-proxy"),
        "{logged}"
    );
    assert!(relay.events("accepted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_get_a_session_and_fill_no_log() {
    let graph = stand_in().await;
    let relay = Relay::start(&behind(&graph));
    let checks = [
        local(),
        block(0x20, 0x11, &[1; 12]),
        block(0x21, 0x00, &[]),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        // As the definition advises: the addresses of the connection itself.
        version_1("127.0.0.1"),
    ];
    for header in checks.iter().cycle().take(60) {
        let mut check = Smtp::over(begun_with(relay.address, header));
        assert!(check.reply().starts_with("220 "));
        check.expect("EHLO balancer.example", "250");
        check.expect("QUIT", "221");
        // Gone after the greeting, after the header, and without a byte.
        let mut check = Smtp::over(begun_with(relay.address, header));
        assert!(check.reply().starts_with("220 "));
        drop(begun_with(relay.address, header));
        drop(begun_with(relay.address, b""));
    }

    // One that sends is a client that may not send.
    let mut own = Smtp::over(begun_with(relay.address, &local()));
    assert!(own.reply().starts_with("220 "));
    let hello = own.say("EHLO balancer.example");
    assert!(!hello.contains("AUTH"), "{hello}");
    own.expect(
        &format!("MAIL FROM:<{MAILBOX}>"),
        "550 5.7.1 No mail is accepted from the load",
    );
    own.expect("QUIT", "221");

    let remedy = "has opened this connection for itself";
    let is_this = |line: &serde_json::Value| line["remedy"].as_str().unwrap().contains(remedy);
    relay.event("session", is_this);
    let lines = relay.all();
    let loud = |line: &&serde_json::Value| line["level"] == "WARN" || line["level"] == "ERROR";
    assert_eq!(lines.iter().filter(loud).count(), 1, "{lines:#?}");
    let shown = lines.iter().filter(|line| line["level"] != "DEBUG");
    assert!(shown.count() < 10, "{lines:#?}");
}
