//! SMTP smuggling and similar attacks (CVE-2023-51764, -51765, -51766): only CRLF dot
//! CRLF ends a message, and no part of a message is run as a command.

use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::message;
use crate::common::stand_in;
use crate::common::wire::in_data;
use crate::common::wire::in_transaction;
use crate::common::wire::wait_until_read;
use crate::common::without;

/// What happens to a message that contains these bytes.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    /// It is one message.
    Accepted,
    /// It contains a bare CR or a NUL: one message if the listener normalises those, and
    /// refused if it does not.
    Refused,
}
use Verdict::Accepted;
use Verdict::Refused;

/// The listener of a relay that other machines can reach has these settings.
const STRICT: &str = "bare_cr = \"refuse\"\nnul = \"refuse\"\n";

/// Bytes that some server accepts as the end of data.
const VARIANTS: [(&[u8], Verdict); 23] = [
    (b"\n.\n", Accepted),
    (b"\n.\r\n", Accepted),
    (b"\r\n.\n", Accepted),
    (b"\r.\r", Refused),
    (b"\r.\n", Refused),
    (b"\n.\r", Refused),
    (b"\r.\r\n", Refused),
    (b"\r\n.\r", Refused),
    (b"\r\n.\r\r\n", Accepted),
    (b"\r\r\n.\r\r\n", Accepted),
    (b"\r\n.\0\r\n", Refused),
    (b"\r\n\0.\r\n", Refused),
    (b"\r\n..\r\n", Accepted),
    (b"\r\n. \r\n", Accepted),
    (b"\n\r.\n\r", Refused),
    (b"\r\n.\x0b\r\n", Accepted),
    (b"\r\n.\x85\r\n", Accepted),
    (b"\xc2\x85.\xc2\x85", Accepted),
    (b"\xe2\x80\xa8.\xe2\x80\xa8", Accepted),
    (b"\n.\n\r\n", Accepted),
    (b"\r\n\n.\r\n", Accepted),
    (b"\n\n.\n\n", Accepted),
    (b"\r\n.\t\r\n", Accepted),
];

/// A transaction, in case anybody runs it.
fn smuggled() -> String {
    format!(
        "MAIL FROM:<{MAILBOX}>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\nFrom: {MAILBOX}\r\n\r\nsmuggled\r\n"
    )
}

/// Asserts that only `a@example.org` received this number of messages.
async fn only_for_a(graph: &Sandbox, count: usize) {
    for arrival in arrived(graph, count).await {
        let raw = String::from_utf8_lossy(&arrival.raw);
        assert_eq!(arrival.to, ["a@example.org"], "{raw}");
        assert!(arrival.cc.is_empty() && arrival.bcc.is_empty(), "{raw}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_crlf_dot_crlf_ends_a_message_for_hostile_clients() {
    for listener in ["", STRICT] {
        let graph = stand_in().await;
        let home = Home::with(&graph).listener(listener).build();
        let relay = Relay::start(&home);
        let head = message("outer", "a@example.org");
        let mut accepted = 0;
        for (variant, verdict) in VARIANTS {
            let mut smtp = in_data(&relay, "a@example.org");
            let inside = smuggled();
            smtp.write(&[head.as_bytes(), variant, inside.as_bytes(), b".\r\n"].concat());

            let reply = smtp.reply();

            let expected = if verdict == Accepted || listener.is_empty() {
                accepted += 1;
                "250 2.0.0 "
            } else {
                "550 5.6.0 "
            };
            assert!(reply.starts_with(expected), "{variant:?}: {reply}");
            smtp.expect("NOOP", "250");
            smtp.expect("QUIT", "221");
        }

        only_for_a(&graph, accepted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_carriage_returns_before_the_end_are_tolerated() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = in_data(&relay, "a@example.org");

    // It contains a real CRLF . CRLF, so the message ends here for every server.
    let content = message("ended", "a@example.org");
    smtp.write(format!("{content}\r\r\n.\r\nNOOP\r\nQUIT\r\n").as_bytes());

    id_of(&smtp.reply());
    assert!(smtp.reply().starts_with("250 2.0.0 Ok\r\n"));
    assert!(smtp.reply().starts_with("221 "));
    only_for_a(&graph, 1).await;
}

/// A server that forwards a message to the relay ends DATA, and its own lines, with CRLF.
#[tokio::test(flavor = "multi_thread")]
async fn cr_cr_lf_is_accepted_only_from_clients_that_use_it_for_every_line() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let head = message("outer", "a@example.org");
    let odd = |text: &str| text.replace("\r\n", "\r\r\n");
    let inside = smuggled();
    let mut count = 0;
    for (data, content) in [
        ("DATA\r\n", odd(&format!("{head}.\r\n{inside}"))),
        ("DATA\n", odd(&format!("{head}.\r\n{inside}"))),
        ("DATA\r\r\n", format!("{head}.\r\r\n{}", odd(&inside))),
        ("DATA\r\r\n", odd(&head) + "x\n.\r\r\n" + &odd(&inside)),
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect("RCPT TO:<a@example.org>", "250");
        smtp.write(data.as_bytes());
        assert!(smtp.reply().starts_with("354"), "{data:?}");
        smtp.write(format!("{content}\r\n.\r\n").as_bytes());

        id_of(&smtp.reply());
        count += 1;
        smtp.expect("QUIT", "221");
    }

    only_for_a(&graph, count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_found_wherever_segments_are_cut() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let content = message("cut", "a@example.org");
    let end = b"\r\n.\r\n";
    let body = content.strip_suffix("\r\n").unwrap().as_bytes();
    let mut count = 0;
    // One cut at each position, then one segment for each byte.
    let cuts = (0..=end.len()).map(|at| vec![at]);
    for cuts in cuts.chain([(0..=end.len()).collect()]) {
        let mut smtp = in_data(&relay, "a@example.org");
        smtp.write(body);
        let mut from = 0;
        for cut in cuts.into_iter().chain([end.len()]) {
            wait_until_read(smtp.stream());
            smtp.write(&end[from..cut]);
            from = cut;
        }

        id_of(&smtp.reply());
        count += 1;
        smtp.expect("QUIT", "221");
    }

    for arrival in arrived(&graph, count).await {
        assert_eq!(without(&arrival.raw, &["Received"]), content.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_found_across_the_read_buffer() {
    /// The constant `READ` of the listener.
    const READ: usize = 16 * 1024;
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let head = message("buffer", "a@example.org");
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let sizes: Vec<usize> = (READ - 5..=READ + 1)
        .chain(2 * READ - 5..=2 * READ + 1)
        .collect();
    for size in &sizes {
        let filler = "x".repeat(size - head.len() - 2);
        let content = format!("{head}{filler}\r\n");
        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    }

    let arrivals = arrived(&graph, sizes.len()).await;
    let of = |raw: &[u8]| without(raw, &["Received"]).len();
    let mut arrived: Vec<usize> = arrivals.iter().map(|it| of(&it.raw)).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, sizes);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_found_across_the_size_limit_and_later_commands_work() {
    const LIMIT: usize = 10_000;
    let graph = stand_in().await;
    let limits = "message_size = \"10 kB\"";
    let relay = Home::with(&graph).limits(limits).start();
    let head = message("limit", "a@example.org");
    for size in LIMIT - 6..=LIMIT + 6 {
        let mut smtp = in_data(&relay, "a@example.org");
        let filler = "x".repeat(size - head.len() - 2);
        let group = format!("{head}{filler}\r\n.\r\nNOOP\r\nQUIT\r\n");
        smtp.write(group.as_bytes());

        let expected = if size <= LIMIT {
            "250 2.0.0 "
        } else {
            "552 5.3.4 "
        };
        let reply = smtp.reply();
        assert!(reply.starts_with(expected), "{size}: {reply}");
        assert_eq!(smtp.reply(), "250 2.0.0 Ok\r\n", "{size}");
        assert!(smtp.reply().starts_with("221 "), "{size}");
    }
    arrived(&graph, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dots_in_an_oversized_message_do_not_end_it() {
    let graph = stand_in().await;
    let limits = "message_size = \"10 kB\"";
    let relay = Home::with(&graph).limits(limits).start();
    let mut smtp = in_data(&relay, "a@example.org");
    let head = message("big", "a@example.org");
    let filler = format!("{:0998}\r\n", 0).repeat(20);

    smtp.write(
        format!(
            "{head}{filler}\n.\n{}..\r\n\n.\r\n{filler}.\r\n",
            smuggled()
        )
        .as_bytes(),
    );

    assert!(smtp.reply().starts_with("552 5.3.4 "));
    smtp.expect("NOOP", "250");
    id_of(&smtp.send(MAILBOX, &["a@example.org"], head.as_bytes()));
    only_for_a(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payload_of_a_bdat_that_was_not_offered_is_never_run() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let payload = format!("RSET\r\n{}.\r\nQUIT\r\n", smuggled());
    for size in [payload.len().to_string(), format!("{} LAST", payload.len())] {
        let mut smtp = in_transaction(&relay, "a@example.org");

        smtp.write(format!("BDAT {size}\r\n{payload}").as_bytes());

        let reply = smtp.reply();
        assert!(reply.starts_with("502 5.5.1 "), "{reply}");
        assert_eq!(smtp.rest(), "", "and closes");
    }
    assert!(graph.arrivals().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn content_without_a_354_is_never_run() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let head = message("unasked", "a@example.org");
    let content = format!("{head}{}.\r\nQUIT\r\n", smuggled());
    for before in [
        "DATA\r\n".to_owned(),
        format!("MAIL FROM:<{MAILBOX}>\r\nDATA\r\n"),
        format!("MAIL FROM:<{MAILBOX}>\r\nRCPT TO:<nobody>\r\nDATA\r\n"),
        format!("MAIL FROM:<{MAILBOX}>\r\nRCPT TO:<a@example.org>\r\nDATA now\r\n"),
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");

        smtp.write(format!("{before}{content}").as_bytes());

        let rest = smtp.rest();
        assert!(!rest.contains("354 "), "{before}{rest}");
        assert!(!rest.contains("queued as"), "{before}{rest}");
    }
    // If one had been accepted, it would arrive before this one.
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    id_of(&smtp.send(MAILBOX, &["a@example.org"], head.as_bytes()));
    only_for_a(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_cut_off_before_its_end_is_discarded() {
    let graph = stand_in().await;
    let limits = "data_timeout = \"10s\"";
    let relay = Home::with(&graph).limits(limits).start();
    let content = message("half", "a@example.org");
    for end in ["", "\r\n", ".", ".\r"] {
        let mut smtp = in_data(&relay, "a@example.org");
        smtp.write(format!("{content}{end}").as_bytes());
        drop(smtp);
    }
    relay.wait_until(|| relay.events("disconnected").len() == 4);

    assert!(relay.events("accepted").is_empty());
    assert!(graph.arrivals().is_empty(), "half a message arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lines_arrive_unchanged() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let lengths = [998, 999, 1000, 1001, 4097, 1024 * 1024];
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let contents = lengths.map(|length| {
        let head = message(&format!("long{length}"), "a@example.org");
        format!("{head}{}\r\nend\r\n", "x".repeat(length))
    });
    for content in &contents {
        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    }

    for arrival in arrived(&graph, lengths.len()).await {
        let raw = without(&arrival.raw, &["Received"]);
        assert!(contents.iter().any(|content| content.as_bytes() == raw));
    }
}
