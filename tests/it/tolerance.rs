//! Messages of old applications, and what of them arrives at Graph: the rules of promise
//! 5, against the real relay.

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::find;
use crate::common::id_of;
use crate::common::recipients;
use crate::common::set;
use crate::common::stand_in;
use crate::common::without;

/// Incoming header fields, and what goes out after Received. `{id}` is the entry's,
/// `{mailbox}` the account's.
const ROWS: &[(&str, &str)] = &[
    // without anything that RFC 5322 3.6 requires
    (
        "Subject: none\r\n",
        "Date: {date}\r\nMessage-ID: <{id}@relay.test.example>\r\nFrom: {mailbox}\r\n\
         To: undisclosed-recipients:;\r\nBcc: a@example.org\r\nSubject: none\r\n",
    ),
    // a From that no mailbox can have
    (
        "From: Zabbix HQ\r\nTo: a@example.org\r\nDate: Sat, 21 Nov 2026 19:00:00 +0000\r\n\
         Message-ID: <1@app>\r\n",
        "From: \"Zabbix HQ\" <{mailbox}>\r\nX-Original-From: Zabbix HQ\r\nTo: a@example.org\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app>\r\n",
    ),
    (
        "From: root@host (Cron Daemon)\r\nReply-To: ops@example.org\r\nTo: a@example.org\r\n\
         Date: Sat, 21 Nov 26 19:00 GMT\r\nMessage-ID: <1@app>\r\n",
        "From: \"Cron Daemon\" <{mailbox}>\r\nX-Original-From: root@host (Cron Daemon)\r\n\
         Reply-To: ops@example.org\r\nTo: a@example.org\r\n\
         Date: Sat, 21 Nov 26 19:00 GMT\r\nMessage-ID: <1@app>\r\n",
    ),
    (
        "From: \"UPS\" <user@[192.0.2.1]>\r\nTo: a@example.org\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app>\r\n",
        "From: \"UPS\" <{mailbox}>\r\nX-Original-From: \"UPS\" <user@[192.0.2.1]>\r\n\
         To: a@example.org\r\nDate: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app>\r\n",
    ),
    // fields that may appear once, twice
    (
        "From: {mailbox}\r\nFrom: Eve <eve@example.org>\r\nTo: a@example.org\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nSubject: one\r\nSubject: two\r\n\
         Message-ID: none\r\nMessage-ID: <1@app>\r\n",
        "From: {mailbox}\r\nX-Original-From: Eve <eve@example.org>\r\nTo: a@example.org\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nSubject: one\r\nX-Original-Subject: two\r\n\
         X-Original-Message-ID: none\r\nMessage-ID: <1@app>\r\n",
    ),
    // malformed ones
    (
        "From: {mailbox}\r\nTo: a@example.org\r\nDate: 2026-11-21 19:00:00\r\n\
         Message-ID: 4711:1@app\r\n",
        "Date: {date}\r\nMessage-ID: <{id}@relay.test.example>\r\nFrom: {mailbox}\r\n\
         To: a@example.org\r\nX-Original-Date: 2026-11-21 19:00:00\r\n\
         X-Original-Message-ID: 4711:1@app\r\n",
    ),
    // a To that names nobody
    (
        "From: {mailbox}\r\nTo: All\r\nCc:\r\nDate: Sat, 21 Nov 2026 19:00:00 +0000\r\n\
         Message-ID: <1@app>\r\n",
        "Bcc: a@example.org\r\nFrom: {mailbox}\r\nTo: undisclosed-recipients:;\r\n\
         X-Original-To: All\r\nX-Original-Cc:\r\nDate: Sat, 21 Nov 2026 19:00:00 +0000\r\n\
         Message-ID: <1@app>\r\n",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn promise_5_mail_of_old_applications_arrives_in_a_valid_form() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    for (at, (sent, expected)) in ROWS.iter().enumerate() {
        let content = format!("{sent}\r\nHello\r\n").replace("{mailbox}", MAILBOX);

        let id = id_of(&smtp.send("root@host", &["a@example.org"], content.as_bytes()));

        let arrival = &arrived(&graph, at + 1).await[at];
        let raw = String::from_utf8(without(&arrival.raw, &["Received"])).unwrap();
        let whole = String::from_utf8(arrival.raw.to_vec()).unwrap();
        let (_, date) = whole.split_once(";\r\n ").unwrap();
        let expected = format!("{expected}\r\nHello\r\n")
            .replace("{mailbox}", MAILBOX)
            .replace("{id}", &id)
            .replace("{date}", date.split_once('\r').unwrap().0);
        assert_eq!(raw, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_5_a_field_in_latin_1_is_read_and_goes_out_in_ascii() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
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
    let in_ascii = format!(
        "From: =?utf-8?b?QsO8cm8=?= <{MAILBOX}>\r\n\
         To: =?utf-8?b?WsO8cmljaA==?= <a@example.org>\r\n{rest}"
    );
    let raw = String::from_utf8(without(&arrivals[0].raw, &["Received"])).unwrap();
    assert_eq!(raw, in_ascii);
    let raw = &arrivals[1].raw;
    for part in [
        &b"\r\nFrom: =?utf-8?b?QsO8cm8=?= <relay@sandbox.example>\r\n"[..],
        b"\r\nX-Original-From: =?utf-8?b?QsO8cm8=?= <root@localhost>\r\n",
        b"\r\nTo: =?utf-8?b?WsO8cmljaA==?= <a@example.org>\r\n",
        b"\r\nX-Original-To: =?utf-8?b?WsO8cmljaA==?= <a@example.org>, eve@example.org\r\n",
    ] {
        assert!(find(raw, part).is_some(), "{}", raw.escape_ascii());
    }
    for arrival in &arrivals {
        assert_eq!(arrival.to, ["a@example.org"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_usable_from_the_author_is_default_from_or_the_reverse_path() {
    let graph = stand_in().await;
    let by_path = Home::with(&graph).account("from", "").start();
    let default_from = "default_from = \"reports@sandbox.example\"";
    let by_default = Home::with(&graph).account("from", default_from).start();
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

#[tokio::test(flavor = "multi_thread")]
async fn promise_3_a_display_name_that_looks_like_addresses_reaches_nobody_else() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let lists = [
        "a \"b@c.example, eve@example.org, f@g.example\" <x@example.org>",
        "a \"<eve@example.org>, f\" <x@example.org>",
        "\"a\" \"<eve@example.org>, f\" <x@example.org>",
        "Doe \"Doe, J\" <x@example.org>",
        "\"Doe, J\" <x@example.org>",
        "John \"Jack\" Smith <x@example.org>",
    ];

    for list in lists {
        for field in ["To:", "Cc:", "To :", "Cc\t:"] {
            let content = format!(
                "From: a \"<eve@example.org>, f\" <{MAILBOX}>\r\n{field} {list}\r\nSubject: x\r\n\r\nx\r\n"
            );
            let reply = smtp.send(MAILBOX, &["x@example.org"], content.as_bytes());
            assert!(reply.starts_with("250 "), "{reply}");
        }
    }

    for arrival in arrived(&graph, lists.len() * 4).await {
        let raw = String::from_utf8_lossy(&arrival.raw).into_owned();
        assert_eq!(recipients(&arrival), set(&["x@example.org"]), "{raw}");
        assert!(
            raw.contains(&format!("\r\nFrom: {MAILBOX}\r\n"))
                || raw.contains(&format!("<{MAILBOX}>\r\n")),
            "{raw}"
        );
    }
}

/// Fields that a signature covers, or that say how a message came here, in spellings that
/// another program might change.
const SIGNED: [&str; 4] = [
    // DKIM, over the unchanged fields, with odd spacing.
    "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=sandbox.example; s=k;\r\n\
     \th=From:To:Subject:Date:Message-ID;\r\n\x20bh=abc=;\r\n  b=def=\r\nFROM:  App  <{mailbox}>\r\n\
     to:\ta@example.org \r\nSubject: two  blanks\r\n",
    // Fields listed more often than they appear: adding one breaks the signature.
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sandbox.example; s=k;\r\n\
     \x20h=From:From:To:To:Cc:Sender:Reply-To:Subject:Subject; bh=abc=; b=def=\r\n\
     From: App <{mailbox}>\r\nTo: a@example.org\r\nSubject: oversigned\r\n",
    // Results of a filter before this relay.
    "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=filter.example; s=k; b=abc=\r\n\
     ARC-Message-Signature: i=1; a=rsa-sha256; d=filter.example; s=k; h=From; bh=abc=; b=def=\r\n\
     ARC-Authentication-Results: i=1; filter.example; dkim=pass\r\n\
     Authentication-Results: filter.example; spf=pass smtp.mailfrom=sandbox.example\r\n\
     From: App <{mailbox}>\r\nTo: a@example.org\r\nSubject: checked\r\n",
    // A newsletter.
    "List-Unsubscribe: <mailto:u@sandbox.example>, <https://sandbox.example/u?a=1>\r\n\
     List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: Notice <notice.sandbox.example>\r\n\
     Feedback-ID: a:b:c\r\nReturn-Path: <bounce@sandbox.example>\r\nAuto-Submitted: auto-generated\r\n\
     From: App <{mailbox}>\r\nTo: a@example.org\r\nSubject: notice\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn promise_5_signed_fields_stay_unchanged_with_blind_recipients() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    for (at, fields) in SIGNED.iter().enumerate() {
        let content = format!(
            "{fields}Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app>\r\n\r\nHello\r\n"
        )
        .replace("{mailbox}", MAILBOX);

        let to = ["a@example.org", "blind@example.org"];
        smtp.send(MAILBOX, &to, content.as_bytes());

        let arrival = &arrived(&graph, at + 1).await[at];
        let raw = String::from_utf8(without(&arrival.raw, &["Received", "Bcc"])).unwrap();
        assert_eq!(raw, content);
        assert_eq!(recipients(arrival), set(&to));
    }
}
