//! Paths that could be read as two, as a header field, or as another person.

use std::collections::BTreeSet;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::message;
use crate::common::recipients;
use crate::common::send_one;
use crate::common::stand_in;

/// Arguments of RCPT, and the expected reply.
const PATHS: &[(&str, &str)] = &[
    ("<>", "501 5.1.3 "),
    ("< >", "501 5.1.3 "),
    // An address that nobody has.
    ("<root>", "550 5.1.2 "),
    ("<a@example.org <eve@example.org>>", "501 5.1.3 "),
    ("<<a@example.org>,<eve@example.org>>", "501 5.1.3 "),
    ("<a@example.org> <eve@example.org>", "501 5.1.3 "),
    ("<a@example.org> eve@example.org", "501 5.1.3 "),
    ("a@example.org <eve@example.org>", "501 5.1.3 "),
    ("<a@example.org>BCC", "501 5.1.3 "),
    ("<a@example.org>X=y", "555 5.5.4 "),
    ("", "501 5.1.3 "),
    ("<a@example.org\rX>", "501 5."),
    ("<a\0@example.org>", "501 5."),
    ("<a@example.org\x0b>", "501 5."),
    ("<\"a\r b\"@example.org>", "501 5."),
    ("<a@example.org>\tBCC:", "555 5.5.4 "),
    ("<a@example.org> BCC:<eve@example.org>", "555 5.5.4 "),
    (
        "<a@example.org> NOTIFY=NEVER <eve@example.org>",
        "555 5.5.4 ",
    ),
    (
        "<a@example.org> ORCPT=rfc822; <eve@example.org>",
        "555 5.5.4 ",
    ),
    ("<a@example.org><eve@example.org>", "501 5.1.3 "),
    ("<a@example.org>,<eve@example.org>", "501 5.1.3 "),
    ("<a@example.org,eve@example.org>", "501 5.1.3 "),
    ("<a@example.org;eve@example.org>", "501 5.1.3 "),
    ("<a@example.org eve@example.org>", "501 5.1.3 "),
    ("a@example.org,eve@example.org", "501 5.1.3 "),
    ("<a@eve.example@example.org>", "501 5.1.3 "),
    ("<a@example.org", "501 5.1.3 "),
    ("<\"quoted@at\"@example.org>", "553 5.1.3 "),
    ("<\"a b\"@example.org>", "553 5.1.3 "),
    ("<\"a\\\"> NOTIFY=x <b\"@example.org>", "553 5.1.3 "),
    ("<\"a@example.org>", "501 5.1.3 "),
    ("<a@[127.0.0.1]>", "553 5.1.3 "),
    ("<a@[IPv6:::1]>", "553 5.1.3 "),
    ("<a@[300.0.0.1]>", "501 5.1.3 "),
    ("<a@.example.org>", "501 5.1.3 "),
    ("<a..b@example.org>", "501 5.1.3 "),
    ("<=?utf-8?q?a=40example.org=2C?=@example.org>", "5"),
    ("<\u{e4}@example.org>", "553 5.6.7 "),
    ("<@relay.example@example.org>", "501 5.1.3 "),
];

/// Addresses in which other systems see more than one; here each is exactly one
/// recipient.
const ODD: &[(&str, &str)] = &[
    ("<a%eve.example@example.org>", "a%eve.example@example.org"),
    ("<eve.example!a@example.org>", "eve.example!a@example.org"),
    ("<|cmd@example.org>", "|cmd@example.org"),
    ("</dev/null@example.org>", "/dev/null@example.org"),
    ("<o'brien+x@example.org>", "o'brien+x@example.org"),
    ("<$a{b}`c^d@example.org>", "$a{b}`c^d@example.org"),
    ("<@eve.example:a@example.org>", "a@example.org"),
    ("<@eve.example,@eva.example:b@example.org>", "b@example.org"),
    ("<me@example.org>", "me@example.org"),
    ("<<b1@example.org>>", "b1@example.org"),
    ("b2@example.org>", "b2@example.org"),
    ("Eve <b3@example.org>", "b3@example.org"),
    ("\"eve@example.org\" <b4@example.org>", "b4@example.org"),
    ("<b5@example.org> (eve@example.org)", "b5@example.org"),
    ("<b6@example.org (eve@example.org)>", "b6@example.org"),
    ("<b7@example.org.>", "b7@example.org"),
    ("<b8 @ example.org >", "b8@example.org"),
    (
        "<o@example.org> NOTIFY=NEVER ORCPT=rfc822;eve@example.org",
        "o@example.org",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_one_plain_address_is_refused() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for (path, expected) in PATHS {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");

        smtp.expect(&format!("RCPT TO:{path}"), expected);

        smtp.expect("DATA", "554 5.5.1 ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_address_reaches_exactly_one_recipient() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for (path, _) in ODD {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect(&format!("RCPT TO:{path}"), "250");
        smtp.expect("DATA", "354");
        smtp.write(message("odd", "undisclosed-recipients:;").as_bytes());
        id_of(&smtp.say("."));
    }

    let arrivals = arrived(&graph, ODD.len()).await;
    let got: BTreeSet<Vec<String>> = arrivals
        .iter()
        .map(|arrival| recipients(arrival).into_iter().collect())
        .collect();
    let wanted = ODD.iter().map(|(_, address)| vec![(*address).to_owned()]);
    assert_eq!(got, wanted.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_and_look_alike_characters_are_refused_with_smtputf8_too() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for c in [
        '\u{202e}', '\u{200b}', '\u{feff}', '\u{ff20}', '\u{ff0c}', '\u{ff1e}', '\u{2028}',
        '\u{85}', '\u{a0}', '\u{fffd}',
    ] {
        for path in [
            format!("<a{c}b@example.org>"),
            format!("<a@exam{c}ple.org>"),
        ] {
            let mut smtp = relay.connect();
            smtp.expect("EHLO client.example", "250");
            smtp.expect(&format!("MAIL FROM:<{MAILBOX}> SMTPUTF8"), "250");

            smtp.expect(&format!("RCPT TO:{path}"), "501 5.");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lengths_of_rfc_5321_are_exact() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let whole = |length: usize| {
        let label = "d".repeat(60);
        let domain = format!("{label}.{label}.{label}.");
        let rest = length - "a@".len() - domain.len();
        format!("a@{domain}{}", "e".repeat(rest))
    };
    let local = |length: usize| format!("{}@example.org", "a".repeat(length));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    for (address, expected) in [
        (local(64), "250"),
        (local(65), "501 5.1.3 "),
        (whole(245), "250"),
        (whole(255), "501 5.1.3 "),
        (format!("a@{}.org", "d".repeat(63)), "250"),
        (format!("a@{}.org", "d".repeat(64)), "501 5.1.3 "),
    ] {
        smtp.expect(&format!("RCPT TO:<{address}>"), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_sender_is_refused_or_receives_no_report() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for (path, expected) in [
        ("<a@example.org><b@example.org>", "501 5.1.7 "),
        ("<a@example.org,b@example.org>", "501 5.1.7 "),
        ("<a@example.org\r\tb>", "501 5."),
        ("<a@example.org> RCPT TO:<b@example.org>", "555 5.5.4 "),
        (
            "<a@example.org> NOTIFY=NEVER RCPT TO:<b@example.org>",
            "555 5.5.4 ",
        ),
        ("<\u{e4}@example.org>", "553 5.6.7 "),
        ("<\"a\\\" b\"@example.org>", "250 2.1.0 "),
        ("<a@[192.0.2.1]>", "250 2.1.0 "),
        ("<..%2f@example.org>", "501 5.1.7 "),
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");

        smtp.expect(&format!("MAIL FROM:{path}"), expected);
    }
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let content = message("sender", "a@example.org");
    let from = "../../users/eve?x=y#z%2f@example.org";
    let reply = smtp.say(&format!("MAIL FROM:<{from}>"));
    if reply.starts_with("250") {
        smtp.expect("RSET", "250");
        id_of(&smtp.send(from, &["a@example.org"], content.as_bytes()));
    } else {
        send_one(&relay, &["a@example.org"], &content);
    }

    // The mailbox is the configured one, whatever sender the client names.
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(arrivals[0].mailbox, MAILBOX);
}
