//! Recipients that relay.toml replaces, limits or refuses, from outside: the real relay,
//! and the recipients at the stand-in.

use graph_relay_sandbox::Sandbox;

use crate::common::users::PLAIN;
use crate::common::users::USERS;
use crate::common::*;

const ALIASES: &str = "[aliases]\nroot = \"it@example.org\"\npostmaster = \"root\"\n\
    team = [\"anna@example.org\", \"ben@example.org\"]\n\"@old.example\" = \"new@example.org\"\n\
    \"*@older.example\" = \"new@example.org\"\n";

/// A relay with these lines: keys of the listener, keys of the account, the rest.
fn relay(graph: &Sandbox, listener: &str, keys: &str, sections: &str) -> (Home, Relay) {
    let home = Home::with(graph)
        .account(MAILBOX, keys)
        .sections(sections)
        .listener(listener)
        .build();
    let relay = Relay::start(&home);
    (home, relay)
}

/// Applies the configuration with a reload.
fn reload(relay: &Relay) {
    let before = relay.events("reloaded").len();
    relay.signal("HUP");
    relay.wait_until(|| relay.events("reloaded").len() > before);
}

/// Sends header fields with a body; returns what arrived, in MIME form.
async fn sent(graph: &Sandbox, relay: &Relay, to: &[&str], fields: &str) -> String {
    let before = graph.arrivals().len();
    let content = format!(
        "Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app.example>\r\n\
         From: {MAILBOX}\r\n{fields}\r\nx\r\n"
    );
    send_one(relay, to, &content);
    let arrivals = arrived(graph, before + 1).await;
    String::from_utf8(arrivals[before].raw.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_an_alias_reaches_its_members() {
    let graph = stand_in().await;
    let (home, relay) = relay(&graph, "", "", ALIASES);

    for (at, (to, expected)) in [
        ("root@nas.local", &["it@example.org"][..]),
        ("root", &["it@example.org"]),
        ("Postmaster", &["it@example.org"]),
        ("team@localhost", &["anna@example.org", "ben@example.org"]),
        ("anybody@old.example", &["new@example.org"]),
        ("anybody@older.example", &["new@example.org"]),
        ("x@example.org", &["x@example.org"]),
    ]
    .into_iter()
    .enumerate()
    {
        let raw = sent(&graph, &relay, &[to], "Subject: x\r\n").await;

        assert_eq!(
            recipients(&graph.arrivals()[at]),
            set(expected),
            "{to}: {raw}"
        );
    }
    let raw = sent(
        &graph,
        &relay,
        &["root@nas.local", "root", "it@example.org", "x@example.org"],
        "Subject: x\r\n",
    )
    .await;
    assert_eq!(
        recipients(&graph.arrivals()[7]),
        set(&["it@example.org", "x@example.org"])
    );
    // Blind recipients stay hidden from the others.
    assert!(!raw.contains("nas.local"), "{raw}");

    let id = relay.event("recipients_replaced", |_| true)["id"].clone();
    let line = relay.event("recipients_replaced", |line| line["id"] == id);
    assert_eq!(line["recipients"], "root@nas.local to it@example.org");
    let shown = said(&run(&home, &["queue", "show", id.as_str().unwrap()]));
    assert!(
        shown.contains("\n            to   <it@example.org>, for <root@nas.local>\n"),
        "{shown}"
    );
    let listed = said(&run(
        &home,
        &["queue", "list", "--filter", "state=delivered to=root@nas.*"],
    ));
    assert!(listed.contains(id.as_str().unwrap()), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_in_a_header_field_is_replaced_by_its_members() {
    let graph = stand_in().await;
    let (_home, relay) = relay(&graph, "", "", ALIASES);

    for (to, fields, expected) in [
        (
            &["root@nas.local"][..],
            "To: root@nas.local\r\n",
            "To: it@example.org\r\nX-Original-To: root@nas.local\r\n",
        ),
        (
            &["root"],
            "To: root (Cron Daemon)\r\n",
            "To: \"Cron Daemon\" <it@example.org>\r\nX-Original-To: root (Cron Daemon)\r\n",
        ),
        (
            &["root@web01"],
            "To: root\r\n",
            "To: \"root\" <it@example.org>\r\nX-Original-To: root\r\n",
        ),
        (
            &["team@nas", "x@example.org"],
            "To: X <x@example.org>, The Team <team@nas>, eve@example.org\r\nCc: anna@example.org\r\n",
            "To: X <x@example.org>,\r\n \"The Team\" <anna@example.org>,\r\n \
             \"The Team\" <ben@example.org>\r\n\
             X-Original-To: X <x@example.org>, The Team <team@nas>, eve@example.org\r\n",
        ),
        (
            &["root@nas.local"],
            "To: somebody@example.org\r\n",
            "X-Original-To: root@nas.local\r\n",
        ),
    ] {
        let before = graph.arrivals().len();
        let raw = sent(&graph, &relay, to, fields).await;

        assert!(raw.contains(expected), "{fields}{raw}");
        let arrived = recipients(&graph.arrivals()[before]);
        assert!(!arrived.contains("eve@example.org"), "{raw}");
        assert!(!arrived.contains("somebody@example.org"), "{raw}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_recipients_are_refused_at_rcpt() {
    let graph = stand_in().await;
    let (_home, relay) = relay(&graph, "", "", ALIASES);
    let mut smtp = relay.connect();
    smtp.expect("EHLO client", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");

    for to in [
        "backup@nas.local",
        "backup@nas",
        "backup@localhost",
        "backup@localhost.localdomain",
        "backup@nas.lan",
        "backup@nas.internal",
        "backup@nas.home.arpa",
        "backup@nas.invalid",
        "backup@192.168.1.5",
        "backup",
    ] {
        smtp.expect(&format!("RCPT TO:<{to}>"), "550 5.1.2");
    }
    smtp.expect("RCPT TO:<backup@[192.0.2.1]>", "553 5.1.3");
    smtp.expect("DATA", "554");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_get_the_default_domain_and_internal_domains_are_accepted() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .sections("default_recipient_domain = \"example.org\"\ninternal_domains = [\"corp.local\"]")
        .start();

    for (to, expected) in [
        ("anna", "anna@example.org"),
        ("postmaster", "postmaster@example.org"),
        ("ben@corp.local", "ben@corp.local"),
    ] {
        let before = graph.arrivals().len();
        sent(&graph, &relay, &[to], "Subject: x\r\n").await;
        assert_eq!(recipients(&graph.arrivals()[before]), set(&[expected]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postmaster_without_an_alias_is_the_mailbox_that_sends() {
    let graph = stand_in().await;
    let (_home, relay) = relay(&graph, "", "", "");

    sent(&graph, &relay, &["Postmaster"], "Subject: x\r\n").await;

    assert_eq!(recipients(&graph.arrivals()[0]), set(&[MAILBOX]));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirected_mail_reaches_nobody_else_by_any_field() {
    let graph = stand_in().await;
    let fields = "To: Anna <anna@customer.example>, carl@customer.example\r\n\
                  Cc: ben@customer.example\r\nBcc: dora@customer.example\r\n\
                  Resent-To: emil@customer.example\r\n";
    let to = [
        "anna@customer.example",
        "ben@customer.example",
        "root@nas",
        "secret@customer.example",
    ];
    for keys in [
        "",
        "recipients = \"headers\"",
        "blind = \"property\"",
        "format = \"json\"",
        "submission = \"draft\"",
    ] {
        let (_home, relay) = relay(
            &graph,
            "redirect_all_to = \"tests@example.org\"",
            keys,
            ALIASES,
        );
        let before = graph.arrivals().len();

        let raw = sent(&graph, &relay, &to, fields).await;

        let arrival = &graph.arrivals()[before];
        assert_eq!(
            recipients(arrival),
            set(&["tests@example.org"]),
            "{keys}: {raw}"
        );
        for original in to {
            assert!(raw.contains(original), "{keys} {original}: {raw}");
        }
        let line = relay.event("recipients_replaced", |_| true);
        let said = line["recipients"].as_str().unwrap();
        assert!(
            said.contains("secret@customer.example to tests@example.org"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_message_that_waits_stays_redirected_after_a_restart() {
    let graph = stand_in().await;
    let (home, relay) = relay(
        &graph,
        "redirect_all_to = \"busy@example.org\"",
        "recipients = \"headers\"",
        "[delivery]\nretry = [\"1h\"]\n",
    );
    let fields = format!("From: {MAILBOX}\r\nTo: anna@customer.example\r\n");
    let id = send_one(
        &relay,
        &["anna@customer.example"],
        &format!("{fields}\r\nx\r\n"),
    );
    recorded(&relay, &home, "deferred", |line| line["id"] == *id);
    drop(relay);

    home.change("redirect_all_to = \"busy@example.org\"\n", "");
    let _relay = Relay::start(&home);
    run(&home, &["queue", "retry", &id]);

    let arrivals = arrived(&graph, 1).await;
    assert_eq!(recipients(&arrivals[0]), set(&["busy@example.org"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_and_users_can_limit_allowed_recipients() {
    let graph = stand_in().await;
    let users = USERS.replacen(
        "name = \"scanner\"",
        "recipients_allowed = [\"it@example.org\", \"@sandbox.example\"]\nname = \"scanner\"",
        1,
    );
    let (_home, relay) = relay(
        &graph,
        "authentication = \"optional\"\nrecipients_allowed = [\"*@example.org\"]",
        "recipients = \"headers\"",
        &format!("{ALIASES}{users}"),
    );
    let mut smtp = relay.connect();
    smtp.expect("EHLO client", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<root@nas>", "250");
    smtp.expect("RCPT TO:<anna@example.org>", "250");
    smtp.expect("RCPT TO:<anna@customer.example>", "550 5.7.1");
    smtp.expect("RSET", "250");

    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp.expect("MAIL FROM:<relay@sandbox.example>", "250");
    smtp.expect("RCPT TO:<it@example.org>", "250");
    smtp.expect("RCPT TO:<team>", "550 5.7.1");
    smtp.expect("RCPT TO:<boss@sandbox.example>", "550 5.7.1");

    // The header of a message cannot bypass it either.
    let before = graph.arrivals().len();
    let fields = "To: anna@example.org, eve@customer.example\r\n";
    sent(&graph, &relay, &["anna@example.org"], fields).await;
    assert_eq!(
        recipients(&graph.arrivals()[before]),
        set(&["anna@example.org"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_applies_aliases_and_allowed_recipients() {
    let graph = stand_in().await;
    let (home, relay) = relay(&graph, "", "", "");
    let mut smtp = relay.connect();
    smtp.expect("EHLO client", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<root@nas>", "550 5.1.2");

    home.append(ALIASES);
    reload(&relay);
    smtp.expect("RCPT TO:<root@nas>", "250");
    smtp.expect("RSET", "250");

    let address = "address = \"127.0.0.1:0\"\n";
    let allowed = "recipients_allowed = [\"*@sandbox.example\"]\n";
    home.change(address, &format!("{address}{allowed}"));
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    reload(&relay);
    smtp.expect("DATA", "421");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_the_recipient_that_the_sender_named() {
    let graph = stand_in().await;
    let aliases = "[aliases]\nroot = \"invalid@example.org\"\n";
    let (_home, relay) = relay(&graph, "", "", aliases);

    let content = format!("From: {MAILBOX}\r\nTo: root@nas.local\r\n\r\nx\r\n");
    send_one(&relay, &["root@nas.local"], &content);

    let arrivals = arrived(&graph, 1).await;
    let report = String::from_utf8(arrivals[0].raw.to_vec()).unwrap();
    assert!(
        report.contains("Original-Recipient: rfc822; root@nas.local\r\n"),
        "{report}"
    );
    assert!(report.contains("(for root@nas.local)"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_go_only_to_allowed_recipients() {
    let graph = stand_in().await;
    let allowed = "authentication = \"optional\"\n\
                   recipients_allowed = [\"*@example.org\", \"anna@sandbox.example\"]";
    let redirected = "authentication = \"optional\"\nredirect_all_to = \"invalid@example.org\"";
    let users = USERS.replace("\"*@sandbox.example\"", "\"*\"");
    let user = "AHNjYW5uZXJAc2FuZGJveC5leGFtcGxlAFByaW50ZXIxMjNTY2FuNDU2";

    for (rules, sender, to, reported_to) in [
        (
            allowed,
            "anna@sandbox.example",
            "invalid@example.org",
            Some("anna@sandbox.example"),
        ),
        (
            allowed,
            "boss@sandbox.example",
            "invalid@example.org",
            Some(MAILBOX),
        ),
        (
            allowed,
            "eve@customer.example",
            "invalid@example.org",
            Some(MAILBOX),
        ),
        (allowed, "boss@sandbox.example", "x@example.org", None),
        (allowed, "eve@customer.example", "x@example.org", None),
        (
            redirected,
            "boss@sandbox.example",
            "x@customer.example",
            Some(MAILBOX),
        ),
    ] {
        let (_home, relay) = relay(&graph, rules, "", &users);
        let mut smtp = relay.connect();
        smtp.expect("EHLO client", "250");
        smtp.expect(&format!("AUTH PLAIN {user}"), "235");
        smtp.expect(&format!("MAIL FROM:<{sender}> RET=FULL"), "250");
        let notify = "NOTIFY=SUCCESS,FAILURE";
        smtp.expect(&format!("RCPT TO:<{to}> {notify}"), "250");
        smtp.expect("DATA", "354");
        smtp.write(format!("From: {MAILBOX}\r\nSubject: secret\r\n\r\nx\r\n").as_bytes());
        smtp.expect(".", "250");

        match reported_to {
            Some(to) => {
                let report = relay.event("report", |_| true);
                assert_eq!(report["to"], *to, "{sender}");
            }
            None => {
                relay.event("delivered", |_| true);
                let last = send_one(&relay, &["z@example.org"], &message("last", "z"));
                relay.event("delivered", |line| line["id"] == *last);
                assert_eq!(relay.events("report").len(), 0, "{sender}");
            }
        }
    }
}
