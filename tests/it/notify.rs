//! A client's requests for reports (RFC 3461), with the real relay: NOTIFY, RET, ENVID
//! and ORCPT decide what is reported, and are as safe on disk as the rest of the
//! envelope.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Sandbox;
use mailparse::MailHeaderMap;
use mailparse::ParsedMail;
use rusqlite::Connection;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::find;
use crate::common::id_of;
use crate::common::message;
use crate::common::recipients;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::set;
use crate::common::stand_in;
use crate::common::stored::database;
use crate::common::stored::waiting;
use crate::common::stuffed;

/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";
/// Every message to it is deferred, and delays no other.
const DEFERRED: &str = "sendas@example.org";

/// Sends a message with these arguments of MAIL and of each RCPT; returns its id.
fn send_as(relay: &Relay, mail: &str, rcpts: &[&str], content: &[u8]) -> String {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect(&format!("MAIL FROM:{mail}"), "250");
    for rcpt in rcpts {
        smtp.expect(&format!("RCPT TO:{rcpt}"), "250");
    }
    smtp.expect("DATA", "354");
    smtp.write(&stuffed(content));
    id_of(&smtp.say("."))
}

/// The same from the mailbox, with these parameters of MAIL.
fn send(relay: &Relay, parameters: &str, rcpts: &[&str], content: &str) -> String {
    let mail = format!("<{MAILBOX}> {parameters}");
    send_as(relay, &mail, rcpts, content.as_bytes())
}

/// The report about a message, once it is delivered.
async fn report_about(relay: &Relay, graph: &Sandbox, id: &str) -> Arc<Arrival> {
    let report = relay.event("report", |line| line["about"] == *id);
    relay.event("delivered", |line| line["id"] == report["id"]);
    let received = format!(" id {};", report["id"].as_str().unwrap());
    let arrivals = graph.arrivals();
    let ours = |it: &&Arc<Arrival>| find(&it.raw, received.as_bytes()).is_some();
    Arc::clone(arrivals.iter().find(ours).unwrap())
}

/// Asserts that no report was made, after another message has been delivered.
fn no_reports(relay: &Relay) {
    let last = send_one(relay, &["z@example.org"], &message("last", "z@example.org"));
    relay.event("delivered", |line| line["id"] == *last);
    assert_eq!(relay.events("report").len(), 0);
}

/// The decoded body of a part.
fn body(mail: &ParsedMail<'_>, part: usize) -> String {
    let body = mail.subparts[part].get_body().unwrap();
    body.replace("\r\n", "\n")
}

/// The fields of the delivery-status with these beginnings, each once.
fn status(mail: &ParsedMail<'_>, name: &str) -> BTreeSet<String> {
    let body = body(mail, 1);
    let lines = body.lines().filter_map(|line| line.strip_prefix(name));
    lines.map(|value| value.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_not_reported_if_notify_excludes_it() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    for notify in ["NEVER", "SUCCESS", "DELAY", "success,delay"] {
        let rcpt = format!("<{INVALID}> NOTIFY={notify}");
        let id = send(&relay, "", &[&rcpt], &message("doomed", INVALID));

        let failed = relay.event("failed", |line| line["id"] == *id);
        assert_eq!(failed["reported_to"], "nobody", "{notify}");
        relay.event("report_not_wanted", |line| line["about"] == *id);
    }

    no_reports(&relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_only_the_recipients_that_want_it() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let rcpts = [
        format!("<{INVALID}> NOTIFY=FAILURE ORCPT=rfc822;Old+2Bname@Example.org"),
        "<b@example.org> NOTIFY=NEVER ORCPT=rfc822;secret@example.org".to_owned(),
        "<c@example.org>".to_owned(),
        "<late@example.org> notify=Delay".to_owned(),
        "<e@example.org> ORCPT=utf-8;j\\x{FC}rgen@example.org NOTIFY=failure,success".to_owned(),
    ];
    let rcpts: Vec<&str> = rcpts.iter().map(String::as_str).collect();

    let id = send(
        &relay,
        "ENVID=QQ+20314159+2B",
        &rcpts,
        &message("doomed", INVALID),
    );

    let report = report_about(&relay, &graph, &id).await;
    assert_eq!(recipients(&report), set(&[MAILBOX]));
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    assert!(
        body(&mail, 1).starts_with(
            "Original-Envelope-Id: QQ 314159+\nReporting-MTA: dns; relay.test.example\n"
        )
    );
    assert!(body(&mail, 1).contains(
        "\n\nOriginal-Recipient: rfc822; Old+name@Example.org\n\
         Final-Recipient: rfc822; invalid@example.org\nAction: failed\n"
    ));
    assert!(body(&mail, 1).contains(
        "\n\nOriginal-Recipient: utf-8; j\\x{FC}rgen@example.org\n\
         Final-Recipient: rfc822; e@example.org\nAction: failed\n"
    ));
    assert_eq!(
        status(&mail, "Final-Recipient: rfc822;"),
        set(&[INVALID, "c@example.org", "e@example.org"])
    );
    let text = body(&mail, 0);
    assert!(text.contains("\n  Envelope ID QQ 314159+\n"), "{text}");
    assert!(text.contains("The message has 2 more recipients, for whom no such report"));
    for unnamed in ["b@example.org", "late@example.org", "secret"] {
        assert!(!body(&mail, 0).contains(unnamed), "{unnamed}");
        assert!(!body(&mail, 1).contains(unnamed), "{unnamed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_reported_only_to_those_who_want_it() {
    let graph = stand_in().await;
    let delivery = "retry = [\"50ms\"]\nwarn_after = \"100ms\"";
    let relay = Home::with(&graph).delivery(delivery).start();
    let late = message("late", DEFERRED);
    let mut unwanted = Vec::new();
    for notify in ["FAILURE", "NEVER", "SUCCESS,FAILURE"] {
        let rcpt = format!("<{DEFERRED}> NOTIFY={notify}");
        unwanted.push(send(&relay, "", &[&rcpt], &late));
    }
    let rcpts = [
        format!("<{DEFERRED}> NOTIFY=DELAY"),
        "<f@example.org> NOTIFY=FAILURE".to_owned(),
    ];
    let id = send(
        &relay,
        "RET=FULL ENVID=late",
        &[&rcpts[0], &rcpts[1]],
        &late,
    );

    let report = report_about(&relay, &graph, &id).await;

    let mail = mailparse::parse_mail(&report.raw).unwrap();
    assert_eq!(report.subject, "Delayed: late");
    assert_eq!(status(&mail, "Final-Recipient: rfc822;"), set(&[DEFERRED]));
    assert_eq!(status(&mail, "Original-Envelope-Id:"), set(&["late"]));
    // RFC 3461 4.3: only failure reports return the whole message.
    assert_eq!(mail.subparts[2].ctype.mimetype, "text/rfc822-headers");
    assert!(!body(&mail, 0).contains("you get another report"));
    for id in &unwanted {
        let tried = relay.event("deferred", |line| line["id"] == **id)["attempt"].as_u64();
        let later = |line: &serde_json::Value| line["attempt"].as_u64() >= tried.map(|n| n + 6);
        relay.event("deferred", |line| line["id"] == **id && later(line));
    }
    assert_eq!(relay.events("report").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_message_is_reported_as_relayed_on_request() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let rcpts = [
        "<a@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@example.org",
        "<b@example.org>",
        "<c@example.org> NOTIFY=NEVER",
    ];

    let id = send(
        &relay,
        "RET=FULL ENVID=1",
        &rcpts,
        &message("fine", "a@example.org"),
    );

    let report = report_about(&relay, &graph, &id).await;
    assert_eq!(
        relay.event("report", |line| line["about"] == *id)["kind"],
        "relayed"
    );
    assert_eq!(report.subject, "Relayed: fine");
    assert_eq!(recipients(&report), set(&[MAILBOX]));
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    let status = body(&mail, 1);
    assert!(status.contains(
        "\n\nOriginal-Recipient: rfc822; a@example.org\nFinal-Recipient: rfc822; a@example.org\n\
         Action: relayed\nStatus: 2.0.0\nLast-Attempt-Date: "
    ));
    assert_eq!(status.matches("Final-Recipient").count(), 1, "{status}");
    assert!(!status.contains("Diagnostic-Code"), "{status}");
    let text = body(&mail, 0);
    for said in [
        "You get this report because you asked",
        "The relay cannot",
        "request-id ",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_eq!(mail.subparts[2].ctype.mimetype, "text/rfc822-headers");
    no_second_report(&relay, &graph, 3).await;
}

/// Asserts that one report was made, and that this number of messages arrived in all.
async fn no_second_report(relay: &Relay, graph: &Sandbox, count: usize) {
    let last = send_one(relay, &["z@example.org"], &message("last", "z@example.org"));
    relay.event("delivered", |line| line["id"] == *last);
    assert_eq!(arrived(graph, count).await.len(), count);
    let reports = graph.arrivals();
    let reports = reports.iter().filter(|it| it.subject.contains(": "));
    assert_eq!(reports.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_reported_only_to_senders_who_may_get_reports() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let answer = format!(
        "In-Reply-To: <01M7ZZDH4TKT6XKYKEMYK3N3EK@relay.test.example>\r\n{}",
        message("m", "a@example.org")
    );
    let automatic = format!(
        "Auto-Submitted: auto-replied\r\n{}",
        message("m", "a@example.org")
    );
    for (mail, content) in [
        ("<>", message("m", "a@example.org")),
        ("<eve@elsewhere.example>", message("m", "a@example.org")),
        ("<root@nas.local>", message("m", "a@example.org")),
        (&format!("<{MAILBOX}>"), automatic),
        (&format!("<{MAILBOX}>"), answer),
    ] {
        let id = send_as(
            &relay,
            mail,
            &["<a@example.org> NOTIFY=SUCCESS"],
            content.as_bytes(),
        );
        relay.event("delivered", |line| line["id"] == *id);
    }
    no_reports(&relay);

    for notify in ["off", "it@contoso.example"] {
        let home = Home::with(&graph)
            .sections(&format!("[failure]\nnotify = \"{notify}\""))
            .build();
        let relay = Relay::start(&home);
        let id = send(
            &relay,
            "",
            &["<a@example.org> NOTIFY=SUCCESS"],
            &message("m", "a@b.example"),
        );
        relay.event("delivered", |line| line["id"] == *id);
        no_reports(&relay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_2_a_kill_loses_no_relayed_report_and_makes_no_second() {
    let graph = stand_in().await;
    let home = Home::with(&graph).delivery("retry = [\"1s\"]").build();
    let mut relay = Relay::start(&home);
    let id = send(
        &relay,
        "ENVID=killed",
        &["<a@example.org> NOTIFY=SUCCESS"],
        &message("fine", "a@example.org"),
    );
    let report = relay.event("report", |line| line["about"] == *id);
    relay.kill();

    let relay = Relay::start(&home);

    // It may have been sent once before the kill.
    let text = |arrival: &Arc<Arrival>| arrival.subject == "Relayed: fine";
    relay.wait_until(|| graph.arrivals().iter().any(text));
    let last = send_one(
        &relay,
        &["z@example.org"],
        &message("last", "z@example.org"),
    );
    relay.event("delivered", |line| line["id"] == *last);
    assert!(relay.events("report").is_empty(), "{report}");
    let arrivals = graph.arrivals();
    let fine = arrivals.iter().filter(|it| it.subject == "fine").count();
    assert_eq!(fine, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ret_decides_whether_a_failure_report_has_the_whole_message() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let short = message("doomed", INVALID);
    let eight_bit = short.replace("Hello", "Gr\u{fc}\u{df}e, and .\r\n.a line");
    // More than the spool keeps in its database, and less than the limit for returned
    // messages.
    let in_file = format!("{short}{}", format!("{:0990}\r\n", 1).repeat(300));
    let too_large = format!("{short}{}", format!("{:0990}\r\n", 1).repeat(1100));
    for (parameters, content, whole) in [
        ("RET=FULL", &short, true),
        ("ret=full", &eight_bit, true),
        ("RET=FULL", &in_file, true),
        ("RET=FULL", &too_large, false),
        ("RET=HDRS", &short, false),
        ("", &short, false),
        ("RET=ALL", &short, false),
    ] {
        let id = send(&relay, parameters, &[&format!("<{INVALID}>")], content);

        let report = report_about(&relay, &graph, &id).await;

        let mail = mailparse::parse_mail(&report.raw).unwrap();
        let last = &mail.subparts[2];
        if whole {
            assert_eq!(last.ctype.mimetype, "message/rfc822");
            assert_eq!(
                last.get_body_raw().unwrap().trim_ascii_end(),
                content.trim_end().as_bytes()
            );
            let encoding = if content.is_ascii() { "7bit" } else { "8bit" };
            for headers in [&mail.headers, &last.headers] {
                let said = headers.get_first_value("Content-Transfer-Encoding");
                assert_eq!(said.as_deref(), Some(encoding));
            }
        } else {
            assert_eq!(last.ctype.mimetype, "text/rfc822-headers");
            assert!(!last.get_body().unwrap().contains("Hello"));
            let note = "too large to be returned whole: its header section follows";
            assert_eq!(body(&mail, 0).contains(note), content.len() > 1_000_000);
            assert!(report.raw.len() < 10_000);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_every_failure_whatever_the_sender_asked() {
    let graph = stand_in().await;
    let operator = "it@contoso.example";
    let relay = Home::with(&graph)
        .sections(&format!("[failure]\nnotify = \"{operator}\""))
        .start();
    let rcpts = [
        format!("<{INVALID}> NOTIFY=NEVER"),
        "<b@example.org> NOTIFY=SUCCESS".to_owned(),
    ];

    let id = send(
        &relay,
        "RET=FULL",
        &[&rcpts[0], &rcpts[1]],
        &message("doomed", INVALID),
    );

    let report = report_about(&relay, &graph, &id).await;
    assert_eq!(recipients(&report), set(&[operator]));
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    assert_eq!(
        status(&mail, "Final-Recipient: rfc822;"),
        set(&[INVALID, "b@example.org"])
    );
    assert_eq!(mail.subparts[2].ctype.mimetype, "text/rfc822-headers");
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_applies_if_the_header_section_names_the_recipients() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .account(MAILBOX, "recipients = \"headers\"")
        .start();

    let rcpts = [
        "<x@example.org> NOTIFY=NEVER",
        "<y@example.org> NOTIFY=NEVER",
    ];
    let id = send(&relay, "", &rcpts, &message("doomed", INVALID));

    relay.event("report_not_wanted", |line| line["about"] == *id);
    no_reports(&relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_add_fields_to_the_report() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let long = "x".repeat(5000);
    let hostile = [
        "rfc822;a+0D+0AAction:+20delivered",
        "rfc822;a+0AFinal-Recipient:+20rfc822;eve@example.org",
        "rfc822;+C3+BC",
        "x+0D+0ABcc:eve@example.org;a",
        "rfc822;a+00",
        "utf-8;\u{85}a",
        "utf-8;\u{2028}Action:delivered",
        &format!("rfc822;{long}"),
    ];
    for original in hostile {
        let rcpt = format!("<{INVALID}> ORCPT={original}");
        if original.contains('\u{85}') {
            // A control character does not end a line here, and is never part of a
            // command.
            let mut smtp = relay.connect();
            smtp.expect("EHLO client.example", "250");
            smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
            smtp.expect(&format!("RCPT TO:{rcpt}"), "501");
            continue;
        }
        let mail = format!("ENVID={}", original.replace(';', "+0D+0A"));

        let id = send(&relay, &mail, &[&rcpt], &message("doomed", INVALID));

        let report = report_about(&relay, &graph, &id).await;
        let mail = mailparse::parse_mail(&report.raw).unwrap();
        assert!(report.raw.is_ascii(), "{original}");
        assert_eq!(recipients(&report), set(&[MAILBOX]));
        assert_eq!(status(&mail, "Action:"), set(&["failed"]));
        assert_eq!(status(&mail, "Final-Recipient: rfc822;"), set(&[INVALID]));
        assert_eq!(status(&mail, "Original-Envelope-Id:"), set(&[]));
        for original in status(&mail, "Original-Recipient:") {
            assert_eq!(original, "utf-8; \\x{2028}Action:delivered");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_message_each_keep_what_was_asked_for_their_recipients() {
    let graph = stand_in().await;
    let limits = "recipients = 1000";
    let relay = Home::with(&graph).limits(limits).start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}> ENVID=many"), "250");
    for n in 0..502 {
        let notify = match n {
            3 | 501 => "SUCCESS",
            _ => "NEVER",
        };
        let rcpt = format!("<r{n}@example.org> NOTIFY={notify} ORCPT=rfc822;o{n}@example.org");
        smtp.expect(&format!("RCPT TO:{rcpt}"), "250");
    }
    smtp.expect("DATA", "354");
    smtp.write(message("many", "r0@example.org").as_bytes());
    let first = id_of(&smtp.say("."));

    let second = relay.event("split", |line| line["first"] == *first)["id"].clone();
    for (id, original, last) in [
        (first.as_str(), "rfc822; o3@example.org", "r3@example.org"),
        (
            second.as_str().unwrap(),
            "rfc822; o501@example.org",
            "r501@example.org",
        ),
    ] {
        let report = report_about(&relay, &graph, id).await;
        let mail = mailparse::parse_mail(&report.raw).unwrap();
        assert_eq!(status(&mail, "Final-Recipient: rfc822;"), set(&[last]));
        assert_eq!(status(&mail, "Original-Recipient:"), set(&[original]));
        assert_eq!(status(&mail, "Original-Envelope-Id:"), set(&["many"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_show_has_the_requests_for_reports() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = waiting(&graph, &home);
    let rcpts = [
        "<a@example.org> NOTIFY=delay,FAILURE ORCPT=rfc822;o+2B@example.org",
        "<b@example.org>",
    ];
    let id = send(
        &relay,
        "ENVID=QQ+20314 RET=FULL",
        &rcpts,
        &message("m", "a@example.org"),
    );
    let plain = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));

    let shown = said(&run(&home, &["queue", "show", &id]));
    let json = said(&run(&home, &["queue", "show", &id, "--json"]));
    let other = said(&run(&home, &["queue", "show", &plain]));

    assert!(
        shown.contains(
            "            to   <a@example.org>  NOTIFY=FAILURE,DELAY  ORCPT=rfc822;o+@example.org\n            \
             to   <b@example.org>\n            \
             RET=FULL: a failure report returns the whole message\n            ENVID=QQ 314\n"
        ),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["ret"], &json["envid"]),
        (&"FULL".into(), &"QQ 314".into())
    );
    assert_eq!(json["requested"][0]["notify"], "FAILURE,DELAY");
    assert!(
        !other.contains("RET=") && !other.contains("NOTIFY="),
        "{other}"
    );
    assert_eq!(
        relay.event("accepted", |line| line["id"] == *id)["envid"],
        "QQ 314"
    );
}

/// Removes the columns of formats 5 and 6 from the database.
fn as_format_4(home: &Home) {
    let db = Connection::open(database(home)).unwrap();
    db.execute_batch(
        "ALTER TABLE entry DROP COLUMN ret; ALTER TABLE entry DROP COLUMN envid;
         ALTER TABLE entry DROP COLUMN barred;
         ALTER TABLE recipient DROP COLUMN notify; ALTER TABLE recipient DROP COLUMN orcpt;
         DROP INDEX recipient_key; DROP INDEX entry_message_id; DROP INDEX asked_original;
         ALTER TABLE entry DROP COLUMN message_id; ALTER TABLE entry DROP COLUMN subject;
         ALTER TABLE entry DROP COLUMN status; ALTER TABLE entry DROP COLUMN changed_at;
         ALTER TABLE recipient DROP COLUMN key; ALTER TABLE recipient DROP COLUMN state;
         ALTER TABLE recipient DROP COLUMN status; ALTER TABLE recipient DROP COLUMN reason;
         ALTER TABLE recipient DROP COLUMN changed_at; ALTER TABLE spool DROP COLUMN program;
         PRAGMA user_version = 4;",
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_spool_of_format_4_are_sent_and_reported_as_before() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let doomed = send_one(&relay, &[INVALID], &message("doomed", INVALID));
    send_one(
        &relay,
        &["a@example.org"],
        &message("fine", "a@example.org"),
    );
    assert!(relay.stop().success());
    as_format_4(&home);

    graph.clear_faults();
    let relay = Relay::start(&home);

    let report = report_about(&relay, &graph, &doomed).await;
    assert_eq!(report.subject, "Not delivered: doomed");
    let subjects: BTreeSet<_> = arrived(&graph, 2)
        .await
        .iter()
        .map(|it| it.subject.clone())
        .collect();
    assert_eq!(subjects, set(&["Not delivered: doomed", "fine"]));
    let version = Connection::open(database(&home)).unwrap();
    let version: i64 = version
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 7);
    // Its tables accept the requests of a new client.
    let id = send(
        &relay,
        "RET=FULL",
        &[&format!("<{INVALID}> NOTIFY=NEVER")],
        &message("m", INVALID),
    );
    relay.event("report_not_wanted", |line| line["about"] == *id);
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_keeps_requests_for_reports_and_reads_format_4_too() {
    for format_4 in [false, true] {
        let graph = stand_in().await;
        let home = Home::new(&graph);
        let mut relay = waiting(&graph, &home);
        let rcpt = format!("<{INVALID}> NOTIFY=FAILURE ORCPT=rfc822;o@example.org");
        let rcpt = if format_4 {
            format!("<{INVALID}>")
        } else {
            rcpt
        };
        let parameters = if format_4 { "" } else { "ENVID=saved" };
        let id = send(&relay, parameters, &[&rcpt], &message("doomed", INVALID));
        assert!(relay.stop().success());
        if format_4 {
            as_format_4(&home);
        }
        let mut bytes = fs::read(database(&home)).unwrap();
        bytes[..4096].fill(0xFF);
        fs::write(database(&home), bytes).unwrap();

        let salvaged = run(&home, &["spool", "salvage"]);

        assert_eq!(salvaged.status.code(), Some(0), "{}", said(&salvaged));
        graph.clear_faults();
        let relay = Relay::start(&home);
        let report = report_about(&relay, &graph, &id).await;
        let mail = mailparse::parse_mail(&report.raw).unwrap();
        let (envelope_id, original): (&[&str], &[&str]) = match format_4 {
            true => (&[], &[]),
            false => (&["saved"], &["rfc822; o@example.org"]),
        };
        assert_eq!(status(&mail, "Original-Envelope-Id:"), set(envelope_id));
        assert_eq!(status(&mail, "Original-Recipient:"), set(original));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_reports_changed_by_the_disk_are_noticed() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let changes = [
        "UPDATE recipient SET notify = 'NEVER' WHERE entry = ?1",
        "UPDATE recipient SET notify = NULL WHERE entry = ?1",
        "UPDATE recipient SET notify = 'ALWAYS' WHERE entry = ?1",
        "UPDATE recipient SET orcpt = 'rfc822;eve@example.org' WHERE entry = ?1",
        "UPDATE entry SET envid = 'other' WHERE id = ?1",
        "UPDATE entry SET ret = 'HDRS' WHERE id = ?1",
        "UPDATE entry SET ret = NULL, envid = NULL WHERE id = ?1",
        "UPDATE entry SET barred = 1 WHERE id = ?1",
    ];
    let rcpt = "<a@example.org> NOTIFY=FAILURE ORCPT=rfc822;o@example.org";
    let ask = || {
        send(
            &relay,
            "RET=FULL ENVID=mine",
            &[rcpt],
            &message("m", "a@example.org"),
        )
    };
    let ids = changes.map(|_| ask());
    let plain = send_one(&relay, &["b@example.org"], &message("b", "b@example.org"));
    assert!(relay.stop().success());
    let db = Connection::open(database(&home)).unwrap();
    for (change, id) in changes.iter().zip(&ids) {
        assert_eq!(db.execute(change, [id]).unwrap(), 1);
    }
    let forged = "UPDATE recipient SET notify = 'NEVER' WHERE entry = ?1";
    assert_eq!(db.execute(forged, [&plain]).unwrap(), 1);
    drop(db);

    let checked = run(&home, &["spool", "check"]);

    let words = said(&checked);
    for id in ids.iter().chain([&plain]) {
        assert!(words.contains(&format!("message {id}: ")), "{words}");
    }
    graph.clear_faults();
    let relay = Relay::start(&home);
    for id in ids.iter().chain([&plain]) {
        relay.event("quarantined", |line| line["id"] == **id);
    }
    assert!(graph.arrivals().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_stays_machine_readable_if_mail_is_sent_as_json() {
    let graph = stand_in().await;
    let keys = "format = \"json\"\nsave_to_sent_items = false";
    let home = Home::with(&graph).account(MAILBOX, keys).build();
    let relay = Relay::start(&home);

    for (rcpt, action) in [
        (format!("<{INVALID}> NOTIFY=FAILURE"), "failed"),
        ("<a@example.org> NOTIFY=SUCCESS".to_owned(), "relayed"),
    ] {
        let id = send(
            &relay,
            "ENVID=mine",
            &[&rcpt],
            &message("m", "a@example.org"),
        );

        let report = report_about(&relay, &graph, &id).await;
        let mail = mailparse::parse_mail(&report.raw).unwrap();
        assert_eq!(mail.ctype.mimetype, "multipart/report");
        assert_eq!(status(&mail, "Original-Envelope-Id:"), set(&["mine"]));
        assert_eq!(status(&mail, "Action:"), set(&[action]));
        let automatic = mail.headers.get_first_value("Auto-Submitted");
        assert_eq!(automatic.as_deref(), Some("auto-replied"));
    }
}
