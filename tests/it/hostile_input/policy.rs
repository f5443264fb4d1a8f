//! No open relay (promise 6), and no looping mail.

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::message;
use crate::common::stand_in;
use crate::common::users::USERS;

/// The sixteen requests that nmap's smtp-open-relay tries.
const FORMS: [(&str, &str); 16] = [
    ("", "eve@example.org"),
    ("x@example.org", "eve@example.org"),
    ("x@[127.0.0.1]", "eve@example.org"),
    ("x@relay.test.example", "eve@example.org"),
    ("x@[127.0.0.1]", "eve%example.org@[127.0.0.1]"),
    ("x@[127.0.0.1]", "eve%example.org@relay.test.example"),
    ("x@[127.0.0.1]", "\"eve@example.org\""),
    ("x@[127.0.0.1]", "\"eve%example.org\""),
    ("x@[127.0.0.1]", "eve@example.org@[127.0.0.1]"),
    ("x@[127.0.0.1]", "\"eve@example.org\"@[127.0.0.1]"),
    ("x@[127.0.0.1]", "eve@example.org@relay.test.example"),
    ("x@[127.0.0.1]", "@[127.0.0.1]:eve@example.org"),
    ("x@[127.0.0.1]", "@relay.test.example:eve@example.org"),
    ("x@[127.0.0.1]", "example.org!eve"),
    ("x@[127.0.0.1]", "example.org!eve@[127.0.0.1]"),
    ("x@[127.0.0.1]", "example.org!eve@relay.test.example"),
];

#[tokio::test(flavor = "multi_thread")]
async fn promise_6_mail_is_refused_where_authentication_is_required() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections(USERS)
        .listener("authentication = \"required\"")
        .build();
    let relay = Relay::start(&home);
    for (from, to) in FORMS {
        for hello in ["EHLO client.example", "HELO relay.test.example"] {
            let mut smtp = relay.connect();
            smtp.expect(hello, "250");

            smtp.expect(&format!("MAIL FROM:<{from}>"), "530 5.7.0 ");

            smtp.expect(&format!("RCPT TO:<{to}>"), "5");
            smtp.expect("DATA", "5");
        }
    }
}

/// A message with this number of Received fields at the top.
fn hops(count: usize, message: &str) -> String {
    let hop = "Received: from a.example by b.example; Sat, 21 Nov 2026 19:00:00 +0000\r\n";
    format!("{}{message}", hop.repeat(count))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_looping_message_is_refused() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let content = message("circle", "a@example.org");

    let reply = smtp.send(MAILBOX, &["a@example.org"], hops(51, &content).as_bytes());
    assert!(reply.starts_with("554 5.4.6 "), "{reply}");
    let lower = hops(51, &content).replace("Received:", "received :");
    let reply = smtp.send(MAILBOX, &["a@example.org"], lower.as_bytes());
    assert!(reply.starts_with("554 5.4.6 "), "{reply}");

    id_of(&smtp.send(MAILBOX, &["a@example.org"], hops(50, &content).as_bytes()));
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hops_of_an_attached_message_do_not_count() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let inner = hops(60, &message("inner", "b@example.org"));
    let fields = "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n";
    let outer = message("outer", "a@example.org").replace("\r\n\r\n", &format!("\r\n{fields}"));
    // Fields whose name only begins like that do not count, nor do continuation lines.
    let decoys = "X-Received: x\r\nReceived-SPF: pass\r\n Received: folded\r\n".repeat(30);

    id_of(&smtp.send(
        MAILBOX,
        &["a@example.org"],
        format!("{decoys}{outer}{inner}").as_bytes(),
    ));

    arrived(&graph, 1).await;
}
