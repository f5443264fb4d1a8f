//! SMTP from outside: raw bytes to the real relay, raw bytes back.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use graph_relay_sandbox::Fault;

use crate::common;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::message;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn ehlo_lists_the_extensions_in_one_segment() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut stream = TcpStream::connect(relay.address).unwrap();
    let mut read = [0; 4096];
    let greeting = stream.read(&mut read).unwrap();
    assert_eq!(
        &read[..greeting],
        b"220 relay.test.example ESMTP graph-relay\r\n"
    );

    stream.write_all(b"EHLO client.example\r\n").unwrap();
    let length = stream.read(&mut read).unwrap();

    assert_eq!(
        String::from_utf8_lossy(&read[..length]),
        "250-relay.test.example\r\n250-PIPELINING\r\n250-SIZE 35000000\r\n250-8BITMIME\r\n\
         250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 HELP\r\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_commands_get_their_replies_in_order_and_together() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut stream = TcpStream::connect(relay.address).unwrap();
    let mut read = [0; 4096];
    let _greeting = stream.read(&mut read).unwrap();

    let group = format!(
        "EHLO c\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<bad@>\r\nNOOP\r\nDATA\r\n"
    );
    stream.write_all(group.as_bytes()).unwrap();
    let length = stream.read(&mut read).unwrap();

    let replies = String::from_utf8_lossy(&read[..length]);
    let codes: Vec<&str> = replies
        .lines()
        .filter(|l| &l[3..4] == " ")
        .map(|l| &l[..3])
        .collect();
    assert_eq!(
        codes,
        ["250", "250", "250", "501", "250", "354"],
        "{replies}"
    );

    // The end of DATA, another transaction and QUIT in one segment.
    let content = message("one", "a@b.example");
    let group = format!("{content}.\r\nMAIL FROM:<{MAILBOX}>\r\nRSET\r\nQUIT\r\n");
    stream.write_all(group.as_bytes()).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    let codes: Vec<&str> = rest.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "250", "221"], "{rest}");
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_crlf_dot_crlf_ends_data_and_nothing_inside_is_a_command() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let smuggled = format!(
        "MAIL FROM:<{MAILBOX}>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\nFrom: {MAILBOX}\r\n\r\nsmuggled\r\n"
    );
    let mut accepted = 0;
    for end in [
        &b"\n.\n"[..],
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r\r\n",
        b"\r\n.\0\r\n",
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO c", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect("RCPT TO:<a@b.example>", "250");
        smtp.expect("DATA", "354");
        let head = format!("From: {MAILBOX}\r\nTo: a@b.example\r\n\r\nbody");
        smtp.write(&[head.as_bytes(), end, smuggled.as_bytes(), b".\r\n"].concat());

        let reply = smtp.reply();
        accepted += usize::from(reply.starts_with("250"));
        smtp.expect("NOOP", "250");
        smtp.expect("QUIT", "221");
    }

    assert_eq!(
        accepted, 6,
        "on an address of this machine all are normalised"
    );
    let arrivals = arrived(&graph, accepted).await;
    assert!(arrivals.iter().all(|arrival| arrival.to == ["a@b.example"]));
    assert!(arrivals.iter().all(|arrival| arrival.bcc.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_the_same_however_it_is_cut_into_segments() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let content = format!(
        "{}..\r\n.\r\n...x\r\nlast\r\n",
        message("cut", "a@b.example")
    );
    let stuffed = [&common::stuffed(content.as_bytes())[..], b".\r\n"].concat();
    for pieces in [1, 2, 3, stuffed.len()] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO c", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect("RCPT TO:<a@b.example>", "250");
        smtp.expect("DATA", "354");
        for piece in stuffed.chunks(stuffed.len().div_ceil(pieces)) {
            smtp.write(piece);
        }
        id_of(&smtp.reply());
    }

    for arrival in arrived(&graph, 4).await {
        assert_eq!(
            common::without(&arrival.raw, &["Received"]),
            content.as_bytes()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_the_limit_is_refused_with_the_limit() {
    let graph = stand_in().await;
    let limits = "message_size = \"3 MB\"";
    let relay = Home::with(&graph).limits(limits).start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    let reply = smtp.say(&format!("MAIL FROM:<{MAILBOX}> SIZE=3000001"));
    assert_eq!(
        reply,
        "552 5.3.4 Message too big: at most 3000000 bytes\r\n"
    );

    let mut content = message("big", "a@example.org");
    while content.len() <= 3_000_000 {
        content.push_str(&format!("{:0998}\r\n", 0));
    }
    let reply = smtp.send(MAILBOX, &["a@example.org"], content.as_bytes());
    assert!(reply.starts_with("552 5.3.4 "), "{reply}");

    let small = message("small", "a@example.org");
    id_of(&smtp.send(MAILBOX, &["a@example.org"], small.as_bytes()));
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(arrivals[0].subject, "small");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_errors_and_recipients_are_bounded() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).limits("recipients = 3").start();

    let mut smtp = relay.connect();
    smtp.expect(&format!("NOOP {}", "x".repeat(20_000)), "500 5.5.2");
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    for n in 0..3 {
        smtp.expect(&format!("RCPT TO:<r{n}@example.org>"), "250");
    }
    smtp.expect("RCPT TO:<r3@example.org>", "452 4.5.3");

    let mut wrong = relay.connect();
    for _ in 0..19 {
        wrong.expect("WHAT", "500");
    }
    wrong.expect("WHAT", "421");
    assert_eq!(wrong.rest(), "");

    let mut endless = Smtp::connect(relay.address);
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..20 {
        endless.write(&piece);
    }
    endless.expect("", "500");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_without_an_account_is_refused_at_once() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .account(MAILBOX, "senders = [\"*@sandbox.example\"]")
        .start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");

    let content = message("m", "a@example.org").replace(MAILBOX, "eve@elsewhere.example");
    let reply = smtp.send("any@example.org", &["a@example.org"], content.as_bytes());

    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    assert!(reply.contains("eve@elsewhere.example"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_beyond_ascii_is_accepted_only_with_smtputf8() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<jürgen@example.org>", "553 5.6.7");
    smtp.expect("RSET", "250");

    smtp.expect(
        &format!("mail from: {MAILBOX} BODY=8BITMIME smtputf8 SIZE=300"),
        "250",
    );
    smtp.expect("RCPT TO:<jürgen@example.org>", "250");
    smtp.expect("DATA", "354");
    smtp.write(message("utf8", "jürgen@example.org").as_bytes());
    id_of(&smtp.say("."));

    let arrivals = arrived(&graph, 1).await;
    assert_eq!(
        common::recipients(&arrivals[0]),
        common::set(&["jürgen@example.org"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_outside_the_networks_is_refused() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .listener("networks = [\"192.0.2.0/24\"]")
        .start();

    let mut smtp = Smtp::connect_only(relay.address);

    assert!(smtp.reply().starts_with("554 5.7.1 "));
    assert_eq!(smtp.rest(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_cannot_take_every_connection() {
    let graph = stand_in().await;
    let limits = "connections_per_client = 2";
    let relay = Home::with(&graph).limits(limits).start();
    let first = relay.connect();
    let _second = relay.connect();

    let mut third = Smtp::connect_only(relay.address);
    assert!(third.reply().starts_with("421 4.7.0 "));

    drop(first);
    let mut patience = 10_000;
    loop {
        let mut next = Smtp::connect_only(relay.address);
        if next.reply().starts_with("220 ") {
            break;
        }
        patience -= 1;
        assert!(patience > 0, "the place was not freed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_gets_421_and_is_disconnected() {
    let graph = stand_in().await;
    let limits = "command_timeout = \"100ms\"";
    let relay = Home::with(&graph).limits(limits).start();
    let mut silent = relay.connect();
    assert!(silent.reply().starts_with("421 4.4.2 "));

    let limits = "data_timeout = \"100ms\"";
    let relay = Home::with(&graph).limits(limits).start();

    let mut in_data = relay.connect();
    in_data.write(
        format!("EHLO c\r\nMAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n").as_bytes(),
    );
    in_data.write(b"From: x@y\r\n");
    let rest = in_data.rest();
    assert!(
        rest.contains("354 ") && rest.ends_with("closing\r\n"),
        "{rest}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_messages_in_data_and_answers_421_to_the_rest() {
    let graph = stand_in().await;
    let mut relay = Relay::start(&Home::new(&graph));
    let mut idle = relay.connect();
    let mut busy = relay.connect();
    busy.expect("EHLO c", "250");
    busy.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    busy.expect("RCPT TO:<a@example.org>", "250");
    busy.expect("DATA", "354");

    relay.signal("TERM");
    assert!(idle.reply().starts_with("421 4.3.2 "));
    assert_eq!(idle.rest(), "");
    let waits = relay.event("draining", |_| true);
    assert!(waits["left"].as_u64() >= Some(1), "{waits}");
    busy.write(format!("{}.\r\n", message("drained", "a@example.org")).as_bytes());
    let queued = busy.reply();
    id_of(&queued);
    assert!(busy.reply().starts_with("421 4.3.2 "));

    assert!(relay.wait().success());
    assert!(TcpStream::connect(relay.address).is_err());
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(arrivals[0].subject, "drained");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_answers_452_and_accepted_mail_is_delivered() {
    let graph = stand_in().await;
    graph.inject(Fault {
        times: 1000,
        ..Fault::at_token(503)
    });
    let limits = "spool_size = \"1 MB\"";
    let relay = Home::with(&graph).limits(limits).start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    let mut content = message("filler", "a@example.org");
    content.push_str(&format!("{:0998}\r\n", 0).repeat(300));

    let mut accepted = 0;
    loop {
        let reply = smtp.send(MAILBOX, &["a@example.org"], content.as_bytes());
        if !reply.starts_with("250") {
            assert!(reply.starts_with("452 4.3.1 "), "{reply}");
            break;
        }
        accepted += 1;
    }
    assert_eq!(accepted, 3);

    graph.clear_faults();
    arrived(&graph, 3).await;
    // There is room again once they are settled; the reply shows when.
    relay.wait_until(|| relay.delivered() == 3);
    relay.wait_until(|| {
        let reply = smtp.send(MAILBOX, &["a@example.org"], content.as_bytes());
        reply.starts_with("250")
    });
}
