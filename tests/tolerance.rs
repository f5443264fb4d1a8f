//! What old applications send, and what of it arrives at Graph: the rules of
//! promise 5, against the real relay.

mod common;

use common::Home;
use common::MAILBOX;
use common::Relay;
use common::account;
use common::arrived;
use common::find;
use common::id_of;
use common::stand_in;
use common::without;

#[tokio::test(flavor = "multi_thread")]
async fn promise_5_a_field_in_latin_1_is_read_and_keeps_its_bytes() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph, ""));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let rest = "Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app>\r\n\r\nHello\r\n";
    let latin_1 = |text: String| -> Vec<u8> {
        let octets = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap());
        octets.collect()
    };

    let usable = latin_1(format!(
        "From: B\u{fc}ro <{MAILBOX}>\r\nTo: Z\u{fc}rich <a@example.org>\r\n{rest}"
    ));
    smtp.send(MAILBOX, &["a@example.org"], &usable);
    arrived(&graph, 1).await;
    let unusable = latin_1(format!(
        "From: B\u{fc}ro <root@localhost>\r\nTo: Z\u{fc}rich <a@example.org>, eve@example.org\r\n{rest}"
    ));
    smtp.send(MAILBOX, &["a@example.org"], &unusable);

    let arrivals = arrived(&graph, 2).await;
    assert!(without(&arrivals[0].raw, &["Received"]) == usable);
    let raw = &arrivals[1].raw;
    for part in [
        &b"\r\nX-Original-From: B\xfcro <root@localhost>\r\n"[..],
        b"\r\nTo: =?utf-8?b?WsO8cmljaA==?= <a@example.org>\r\n",
        b"\r\nX-Original-To: Z\xfcrich <a@example.org>, eve@example.org\r\n",
    ] {
        assert!(find(raw, part).is_some(), "{}", raw.escape_ascii());
    }
    for arrival in &arrivals {
        assert_eq!(arrival.to, ["a@example.org"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_usable_from_is_from_default_from_or_its_reverse_path() {
    let graph = stand_in().await;
    let by_path = Relay::start(&Home::with_accounts(&account(&graph, "from", ""), ""));
    let default_from = "default_from = \"reports@sandbox.example\"";
    let by_default = Relay::start(&Home::with_accounts(
        &account(&graph, "from", default_from),
        "",
    ));
    let content = b"From: root@localhost\r\nTo: a@example.org\r\n\r\nHello\r\n";

    for (at, (relay, path, from)) in [
        (&by_path, "Relay@Sandbox.example", "Relay@Sandbox.example"),
        (&by_default, MAILBOX, "reports@sandbox.example"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        let id = id_of(&smtp.send(path, &["a@example.org"], content));

        let delivered = relay.event("delivered", |line| line["id"] == *id);
        let arrivals = arrived(&graph, at + 1).await;
        let field = format!("\r\nFrom: {from}\r\n");
        assert!(find(&arrivals[at].raw, field.as_bytes()).is_some());
        assert_eq!(delivered["mailbox"], from.to_lowercase());
    }
    let mut smtp = by_path.connect();
    smtp.expect("EHLO client.example", "250");
    for unusable in ["root@localhost", ""] {
        let reply = smtp.send(unusable, &["a@example.org"], content);
        assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    }
}
