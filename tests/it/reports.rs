//! Failure reports, with the real relay: who gets one, what it says, and that even kill
//! -9 cannot separate a failure from its report.

use std::sync::Arc;

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use mailparse::MailHeaderMap;
use mailparse::ParsedMail;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::id_of;
use crate::common::message;
use crate::common::recipients;
use crate::common::send_one;
use crate::common::set;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";
/// Every message to it is deferred, and delays no other.
const DEFERRED: &str = "sendas@example.org";

/// Sends a message that fails, with this reverse-path; returns its id.
fn fail(relay: &Relay, reverse_path: &str) -> String {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let content = message("doomed", INVALID);
    id_of(&smtp.send(reverse_path, &[INVALID], content.as_bytes()))
}

/// The recipient of the report about a failure, according to the log.
fn reported_to(relay: &Relay, id: &str) -> String {
    let failed = relay.event("failed", |line| line["id"] == *id);
    failed["reported_to"].as_str().unwrap().to_owned()
}

/// The only message that arrived, once the report about `id` is delivered.
async fn only_report(relay: &Relay, graph: &Sandbox, id: &str) -> Arc<Arrival> {
    let report = relay.event("report", |line| line["about"] == *id);
    relay.event("delivered", |line| line["id"] == report["id"]);
    let arrivals = arrived(graph, 1).await;
    assert_eq!(arrivals.len(), 1);
    Arc::clone(&arrivals[0])
}

/// Asserts that only this message, sent now, ever arrived.
async fn nothing_arrived(relay: &Relay, graph: &Sandbox) {
    let last = send_one(relay, &["a@example.org"], &message("last", "a@example.org"));
    relay.event("delivered", |line| line["id"] == *last);
    let subjects: Vec<_> = arrived(graph, 1).await;
    let subjects: Vec<_> = subjects.iter().map(|arrival| &arrival.subject).collect();
    assert_eq!(subjects, ["last"]);
}

/// The decoded body of a part.
fn body(mail: &ParsedMail<'_>, part: usize) -> String {
    let body = mail.subparts[part].get_body().unwrap();
    body.replace("\r\n", "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_the_recipients_who_would_have_received_the_message() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .account(MAILBOX, "recipients = \"headers\"")
        .start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");

    let content = message("doomed", INVALID);
    let id = id_of(&smtp.send(MAILBOX, &["other@example.org"], content.as_bytes()));

    let report = only_report(&relay, &graph, &id).await;
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    assert!(body(&mail, 0).contains(&format!("\n  Recipients  {INVALID}\n")));
    assert!(body(&mail, 1).contains(&format!("\nFinal-Recipient: rfc822; {INVALID}\n")));
    assert!(!body(&mail, 0).contains("other@example.org"));
    assert!(!body(&mail, 1).contains("other@example.org"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_is_reported_to_its_sender() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    let id = fail(&relay, MAILBOX);

    assert_eq!(reported_to(&relay, &id), MAILBOX);
    let report = only_report(&relay, &graph, &id).await;
    assert_eq!(recipients(&report), set(&[MAILBOX]));
    assert_eq!(report.subject, "Not delivered: doomed");
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    let types: Vec<_> = mail
        .subparts
        .iter()
        .map(|part| &part.ctype.mimetype)
        .collect();
    assert_eq!(mail.ctype.mimetype, "multipart/report");
    assert_eq!(mail.ctype.params["report-type"], "delivery-status");
    assert_eq!(
        types,
        [
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers"
        ]
    );
    for (name, value) in [
        ("Auto-Submitted", "auto-replied"),
        ("In-Reply-To", "<doomed@app.example>"),
        (
            "From",
            "\"Mail delivery (graph-relay)\" <relay@sandbox.example>",
        ),
    ] {
        assert_eq!(mail.headers.get_first_value(name).unwrap(), value);
    }
    let received = mail.headers.get_first_value("Received").unwrap();
    assert!(
        received.starts_with("by relay.test.example (graph-relay) id "),
        "{received}"
    );
    let text = body(&mail, 0);
    for said in [
        &id,
        INVALID,
        "What to do\n",
        "request-id ",
        &format!("queue retry {id}"),
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let status = body(&mail, 1);
    for line in [
        "Reporting-MTA: dns; relay.test.example\n",
        "Final-Recipient: rfc822; invalid@example.org\nAction: failed\nStatus: 5.1.0\n",
        "Diagnostic-Code: x-graph; Graph answered 400 ErrorInvalidRecipients",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert!(body(&mail, 2).contains("Subject: doomed\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_shows_a_report_as_a_report() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);

    let id = fail(&relay, MAILBOX);

    let report = relay.event("report", |line| line["about"] == *id);
    let shown = binary()
        .args(["queue", "show", report["id"].as_str().unwrap(), "--config"])
        .arg(&home.config)
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains(&format!("  created as the report about {id}\n")),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_about_an_expired_message_says_what_to_change() {
    let graph = stand_in().await;
    let delivery = "retry = [\"50ms\"]\nexpire_after = \"300ms\"";
    let relay = Home::with(&graph).delivery(delivery).start();

    let id = send_one(&relay, &[DEFERRED], &message("late", DEFERRED));

    let report = only_report(&relay, &graph, &id).await;
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    assert!(
        body(&mail, 0).contains("check in Exchange that"),
        "{}",
        body(&mail, 0)
    );
    assert!(body(&mail, 1).contains("Action: failed\nStatus: 5.4.7\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_message_is_warned_about_once_and_to_its_sender_only() {
    let graph = stand_in().await;
    let delivery = "retry = [\"50ms\"]\nwarn_after = \"100ms\"";
    let relay = Home::with(&graph).delivery(delivery).start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let content = message("strangers", DEFERRED);
    let strangers = id_of(&smtp.send("eve@elsewhere.example", &[DEFERRED], content.as_bytes()));
    let id = send_one(&relay, &[DEFERRED], &message("late", DEFERRED));

    let report = only_report(&relay, &graph, &id).await;

    assert_eq!(report.subject, "Delayed: late");
    assert_eq!(recipients(&report), set(&[MAILBOX]));
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    let status = body(&mail, 1);
    assert!(
        status.contains("Action: delayed\nStatus: 4.3.5\n"),
        "{status}"
    );
    assert!(status.contains("\nWill-Retry-Until: "), "{status}");
    for id in [&strangers, &id] {
        let tried = relay.event("deferred", |line| line["id"] == **id)["attempt"].as_u64();
        let later = |line: &serde_json::Value| line["attempt"].as_u64() >= tried.map(|n| n + 6);
        relay.event("deferred", |line| line["id"] == **id && later(line));
    }
    assert_eq!(relay.events("report").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsent_delay_notice_is_withdrawn_when_the_message_is_delivered() {
    let graph = stand_in().await;
    let delivery = "retry = [\"2s\"]\nwarn_after = \"1ms\"";
    let relay = Home::with(&graph).delivery(delivery).start();
    let conflict = Fault {
        code: Some("ErrorIrresolvableConflict".to_owned()),
        ..Fault::at_send(409)
    };
    graph.inject(conflict.clone()); // for the message
    graph.inject(Fault {
        retry_after: Some("3600".to_owned()),
        ..conflict
    }); // for the warning

    let id = send_one(
        &relay,
        &["a@example.org"],
        &message("late", "a@example.org"),
    );

    let warning = relay.event("report", |line| line["about"] == *id);
    relay.event("deferred", |line| line["id"] == warning["id"]);
    relay.event("report_withdrawn", |line| line["id"] == warning["id"]);
    relay.event("delivered", |line| line["id"] == *id);
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(arrivals[0].subject, "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_messages_are_not_reported() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let automatic = format!(
        "Auto-Submitted: auto-generated\r\n{}",
        message("m", INVALID)
    );

    let bounce = fail(&relay, "");
    let automatic = id_of(&smtp.send(MAILBOX, &[INVALID], automatic.as_bytes()));

    assert_eq!(reported_to(&relay, &bounce), "nobody");
    assert_eq!(reported_to(&relay, &automatic), "nobody");
    nothing_arrived(&relay, &graph).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_senders_get_reports_only_if_they_authenticated() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("authentication = \"optional\"")
        .sections(&USERS.replace("[\"relay@sandbox.example\"]", "[\"*\"]"))
        .build();
    let relay = Relay::start(&home);
    let foreign = "eve@elsewhere.example";

    let id = fail(&relay, foreign);

    assert_eq!(reported_to(&relay, &id), MAILBOX);
    let report = only_report(&relay, &graph, &id).await;
    assert_eq!(recipients(&report), set(&[MAILBOX]));
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    assert!(body(&mail, 0).contains("The sender has not been notified.\n"));
    graph.clear();
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    let content = message("doomed", INVALID);
    let id = id_of(&smtp.send(foreign, &[INVALID], content.as_bytes()));
    assert_eq!(reported_to(&relay, &id), foreign);
    let report = only_report(&relay, &graph, &id).await;
    assert_eq!(recipients(&report), set(&[foreign]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_want_all_reports_or_none() {
    let graph = stand_in().await;
    let notify = |who: &str| {
        Home::with(&graph)
            .sections(&format!("[failure]\nnotify = \"{who}\""))
            .build()
    };
    let off = Relay::start(&notify("off"));
    let id = fail(&off, MAILBOX);
    assert_eq!(reported_to(&off, &id), "nobody");
    nothing_arrived(&off, &graph).await;
    graph.clear();

    let relay = Relay::start(&notify("it@contoso.example"));
    let id = fail(&relay, MAILBOX);

    assert_eq!(reported_to(&relay, &id), "it@contoso.example");
    let report = only_report(&relay, &graph, &id).await;
    assert_eq!(recipients(&report), set(&["it@contoso.example"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_report_is_not_reported() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));

    let id = fail(&relay, "invalid@sandbox.example");

    let report = relay.event("report", |line| line["about"] == *id)["id"].clone();
    assert_eq!(reported_to(&relay, report.as_str().unwrap()), "nobody");
    assert_eq!(relay.events("report").len(), 1);
    nothing_arrived(&relay, &graph).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_without_a_mailbox_is_reported_through_default_from() {
    let graph = stand_in().await;
    let reports = "reports@sandbox.example";
    let more = format!("default_from = \"{reports}\"");
    let delivery = "retry = [\"50ms\"]\nexpire_after = \"1ms\"";
    let relay = Home::with(&graph)
        .account("from", &more)
        .delivery(delivery)
        .start();
    let nobody = "nobody@sandbox.example";
    let content = message("doomed", "a@example.org").replace(MAILBOX, nobody);

    let id = send_one(&relay, &["a@example.org"], &content);

    assert_eq!(reported_to(&relay, &id), MAILBOX, "the reverse-path");
    let report = only_report(&relay, &graph, &id).await;
    assert_eq!(report.mailbox, reports);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_2_a_kill_after_a_failure_loses_no_report_and_makes_no_second() {
    // The account serves an address that its mailbox may send as, not the mailbox's own.
    let scanner = "scanner@sandbox.example";
    let graph = stand_in_with(Settings {
        send_as: vec![scanner.to_owned()],
        ..Settings::default()
    })
    .await;
    let senders = format!("senders = [\"{scanner}\"]");
    let home = Home::with(&graph).account(MAILBOX, &senders).build();
    let mut relay = Relay::start(&home);
    graph.inject(Fault {
        code: Some("ErrorInvalidRecipients".to_owned()),
        ..Fault::at_send(400)
    });
    graph.inject(Fault {
        times: 1000,
        code: Some("ErrorServerBusy".to_owned()),
        ..Fault::at_send(503)
    });
    let content = message("doomed", "a@example.org").replace(MAILBOX, scanner);
    let id = send_one(&relay, &["a@example.org"], &content);
    let report = relay.event("report", |line| line["about"] == *id);

    relay.kill();
    graph.clear_faults();
    let relay = Relay::start(&home);

    relay.event("delivered", |line| line["id"] == report["id"]);
    let last = send_one(
        &relay,
        &["a@example.org"],
        &content.replace("doomed", "last"),
    );
    relay.event("delivered", |line| line["id"] == *last);
    let subjects: Vec<_> = arrived(&graph, 2).await;
    let subjects: Vec<_> = subjects.iter().map(|arrival| &arrival.subject).collect();
    assert_eq!(subjects, ["Not delivered: doomed", "last"]);
    assert!(relay.events("report").is_empty());
}

/// Asserts that the message "sent" has arrived, and a report that says so.
async fn reported_as_possibly_sent(graph: &Sandbox) {
    let arrivals = arrived(graph, 2).await;
    let report = arrivals.iter().find(|it| it.subject != "sent").unwrap();
    let mail = mailparse::parse_mail(&report.raw).unwrap();
    let text = body(&mail, 0);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("may have received it"), "{text}");
    assert!(
        !text.contains("None of the recipients has received it"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_if_the_message_may_have_been_sent() {
    let graph = stand_in().await;
    let delivery = "retry = [\"50ms\"]\nexpire_after = \"300ms\"";
    let relay = Home::with(&graph)
        .account(MAILBOX, "submission = \"draft\"")
        .delivery(delivery)
        .start();
    graph.inject(Fault {
        stored: Some(true),
        ..Fault::at(Station::Submit, 504)
    });
    graph.inject(Fault {
        times: 100,
        code: Some("ErrorServerBusy".to_owned()),
        ..Fault::at(Station::Look, 503)
    });

    let content = message("sent", "a@example.org");
    let id = send_one(&relay, &["a@example.org"], &content);

    let report = relay.event("report", |line| line["about"] == *id);
    relay.event("delivered", |line| line["id"] == report["id"]);
    reported_as_possibly_sent(&graph).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_a_doubtful_attempt_is_reported_as_possibly_sent() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    graph.inject(Fault {
        stored: Some(true),
        ..Fault::at_send(504)
    });
    graph.inject(Fault {
        code: Some("ErrorInvalidRecipients".to_owned()),
        ..Fault::at_send(400)
    });

    let content = message("sent", "a@example.org");
    let id = send_one(&relay, &["a@example.org"], &content);

    relay.event("failed", |line| line["id"] == *id);
    reported_as_possibly_sent(&graph).await;
}
