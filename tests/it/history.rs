//! `history` and `trace`, by the real binary: what became of messages, and how they are
//! found.

use graph_relay_sandbox::Sandbox;
use serde_json::Value;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::find;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";
/// Every message to it is deferred, and no other waits for it.
const DEFERRED: &str = "sendas@example.org";

/// Nothing is tried twice by itself, and nothing is reported.
const QUIET: &str = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";

async fn quiet() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(QUIET).build();
    (graph, home)
}

/// The rows that a command finds.
fn rows(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let output = run(home, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn field<'a>(rows: &'a [Value], name: &str) -> Vec<&'a str> {
    let values = rows.iter().map(|row| row[name].as_str().unwrap_or("-"));
    values.collect()
}

/// Sends a message and waits until this event of it is logged and on record.
fn send(relay: &Relay, home: &Home, to: &[&str], subject: &str, event: &str) -> String {
    let id = send_one(relay, to, &message(subject, to[0]));
    recorded(relay, home, event, |line| line["id"] == *id);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_found_by_everything_that_is_known_of_it() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    send(&relay, &home, &["b@example.org"], "Other", "delivered");
    let id = send(
        &relay,
        &home,
        &["Anna@example.org"],
        "Offer-88",
        "delivered",
    );
    let delivered = relay.event("delivered", |line| line["id"] == *id);
    // The log has it before the spool.
    relay.wait_until(|| field(&rows(&home, &["trace", &id]), "state") == ["delivered"]);

    for text in [
        id.as_str(),
        "anna@example.org",
        "anna@ex",
        "<Offer-88@app.example>",
        "Offer-88@app.example",
        "offer-",
    ] {
        let found = rows(&home, &["trace", text]);
        assert_eq!(field(&found, "id"), [id.as_str()], "{text}");
        assert_eq!(found[0]["recipient"], "Anna@example.org");
        assert_eq!(found[0]["request_id"], delivered["request_id"]);
    }
    for text in [MAILBOX, "relay@", "127.0.0.1", "client.example"] {
        assert_eq!(rows(&home, &["trace", text]).len(), 2, "{text}");
    }
    for text in ["nobody@example.org", "127.0.0.10", "100%"] {
        assert!(rows(&home, &["trace", text]).is_empty(), "{text}");
    }
    let shown = said(&run(&home, &["trace", &id]));
    let request = delivered["request_id"].as_str().unwrap();
    for words in [
        "  subject   Offer-88\n",
        "  client    127.0.0.1 (client.example)\n",
        &format!("Microsoft 365 accepted it from {MAILBOX} at 20"),
        &format!("(request-id {request})."),
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let all = rows(&home, &["history"]);
    assert_eq!(field(&all, "subject"), ["Offer-88", "Other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_says_what_happens_next_and_what_can_be_done() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let failed = send(&relay, &home, &[INVALID], "failed", "failed");
    let deferred = send(&relay, &home, &[DEFERRED], "deferred", "deferred");
    let held = send(&relay, &home, &[DEFERRED], "held", "deferred");
    run(&home, &["queue", "hold", &held]);
    let dropped = send(&relay, &home, &[DEFERRED], "dropped", "deferred");
    run(&home, &["queue", "drop", &dropped]);

    for (id, state, happened, next, action) in [
        (
            &failed,
            "failed",
            "after 1 attempt: Graph answered 400 ErrorInvalidRecipients",
            "does not try it again",
            "graph-relay queue resend ",
        ),
        (
            &deferred,
            "waiting",
            "Attempt 1 did not succeed: Graph answered 403 ErrorSendAsDenied",
            "The next attempt is in ",
            "try it at once: graph-relay queue retry ",
        ),
        (
            &held,
            "held",
            "Held by an operator",
            "until you release or drop it",
            "to send it: graph-relay queue release ",
        ),
        (
            &dropped,
            "dropped",
            "dropped by an operator",
            "never sent",
            "",
        ),
    ] {
        let row = rows(&home, &["trace", id]).remove(0);
        assert_eq!(row["state"], state);
        for (name, words) in [("happened", happened), ("next", next), ("action", action)] {
            let text = row[name].as_str().unwrap_or_default();
            assert!(text.contains(words), "{state}: {name}: {text}");
        }
    }
    let now = graph_relay::clock::Clock::System.now();
    let row = rows(&home, &["trace", &deferred]).remove(0);
    assert!(row["next_attempt_at"].as_str().unwrap() > now.rfc3339().as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_narrows_the_history_and_a_trace() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    send(
        &relay,
        &home,
        &["a@example.org", "b@example.org"],
        "one",
        "delivered",
    );
    send(&relay, &home, &[INVALID], "two", "failed");

    for (arguments, recipients) in [
        (
            vec!["history"],
            vec![INVALID, "a@example.org", "b@example.org"],
        ),
        (vec!["history", "--filter", "state=failed"], vec![INVALID]),
        (vec!["history", "--filter", "to=b@*"], vec!["b@example.org"]),
        (
            vec!["history", "--filter", "subject=on newer=1h"],
            vec!["a@example.org", "b@example.org"],
        ),
        (
            vec!["history", "--filter", "message-id=two@*"],
            vec![INVALID],
        ),
        (vec!["history", "--filter", "client=127.* user=*"], vec![]),
        (
            vec![
                "history",
                "--filter",
                "since=2026-01-01 until=2027-12-31 code=ErrorI*",
            ],
            vec![INVALID],
        ),
        (vec!["history", "--filter", "until=2026-01-01"], vec![]),
        (
            vec!["trace", "example.org", "--filter", "state=delivered to=a@*"],
            vec!["a@example.org"],
        ),
    ] {
        let found = rows(&home, &arguments);
        assert_eq!(field(&found, "recipient"), recipients, "{arguments:?}");
    }
    let wrong = run(&home, &["history", "--filter", "colour=red"]);
    assert_eq!(wrong.status.code(), Some(64));
    let queued = run(
        &home,
        &["queue", "list", "--filter", "subject=two", "--json"],
    );
    assert!(
        said(&queued).contains("\"state\":\"failed\""),
        "{}",
        said(&queued)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_comes_in_pages() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    for subject in ["one", "two", "three"] {
        send(
            &relay,
            &home,
            &["a@example.org", "b@example.org"],
            subject,
            "delivered",
        );
    }

    let first = run(&home, &["history", "--limit", "3"]);
    let words = String::from_utf8(first.stderr).unwrap();
    let place = words
        .split("--after ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let rest = rows(&home, &["history", "--after", place]);

    assert!(
        words.starts_with("3 rows shown; there may be older ones"),
        "{words}"
    );
    assert_eq!(field(&rest, "subject"), ["two", "one", "one"]);
    let all = run(&home, &["history", "--limit", "6"]);
    assert_eq!(String::from_utf8(all.stderr).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_message_is_found_whole_and_after_a_restart() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .limits("recipients = 1000")
        .sections(QUIET)
        .build();
    let mut relay = Relay::start(&home);
    let many: Vec<String> = (0..501).map(|n| format!("r{n}@example.org")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let id = send(&relay, &home, &many, "split", "delivered");
    relay.wait_until(|| relay.events("delivered").len() == 2);
    assert!(relay.stop().success());
    let _relay = Relay::start(&home);

    for text in [id.as_str(), "split@app.example"] {
        let found = rows(&home, &["trace", text, "--limit", "1000"]);
        assert_eq!(found.len(), 501, "{text}");
        assert!(found.iter().all(|row| row["state"] == "delivered"));
    }
    let last = rows(&home, &["trace", "r500@example.org"]);
    assert_eq!(last.len(), 1);
    assert_ne!(last[0]["id"], *id);
}

/// A listener that accepts mail to one domain only, and a user who may send as one address.
async fn strict() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let allowed = "recipients_allowed = [\"*@example.org\"]";
    let home = Home::with(&graph).listener(allowed).sections(QUIET).build();
    (graph, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_mail_is_in_the_history_with_its_reply_and_stays_there() {
    let (_graph, home) = strict().await;
    let mut relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO printer-2", "250");
    smtp.expect("MAIL FROM:<scanner@contoso.example>", "250");
    smtp.expect("RCPT TO:<Boss@elsewhere.example>", "550");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    smtp.expect("DATA", "354");
    let stray = message("Scan-17", "a@example.org").replace(MAILBOX, "stray@elsewhere.example");
    let reply = smtp.say(&format!("{}\r\n.", stray.trim_end()));
    assert!(
        reply.starts_with("250") || reply.starts_with("550"),
        "{reply}"
    );
    smtp.expect("MAIL FROM:<printer", "501");
    smtp.expect("QUIT", "221");
    smtp.rest();

    let row = rows(&home, &["trace", "boss@elsewhere.example"]).remove(0);
    assert_eq!(row["state"], "refused");
    assert_eq!(
        (&row["id"], &row["hello"]),
        (&Value::Null, &"printer-2".into())
    );
    assert_eq!(row["sender"], "scanner@contoso.example");
    let words = row["reply"].as_str().unwrap();
    assert!(
        words.starts_with("550 5.7.1 Mail to Boss@elsewhere.example is not"),
        "{words}"
    );
    assert!(
        row["action"]
            .as_str()
            .unwrap()
            .contains("recipients_allowed")
    );
    assert_eq!(
        rows(&home, &["history", "--filter", "state=refused code=501"]).len(),
        1
    );
    let before = rows(&home, &["history"]);
    assert!(relay.stop().success());
    relay = Relay::start(&home);

    assert_eq!(
        field(&rows(&home, &["history"]), "reply"),
        field(&before, "reply")
    );
    let shown = said(&run(
        &home,
        &["trace", "printer-2", "--filter", "state=refused"],
    ));
    assert!(
        shown.contains("  client    127.0.0.1 (printer-2)\n"),
        "{shown}"
    );
    assert!(
        shown.contains("  next      It is not in the queue."),
        "{shown}"
    );
    assert!(relay.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_content_is_found_by_its_subject() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .limits("received_headers = 2")
        .sections(QUIET)
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let received = "Received: from a by b; Sat, 21 Nov 2026 19:00:00 +0000\r\n".repeat(3);
    let content = format!("{received}{}", message("Loop-1", "a@example.org"));

    let reply = smtp.send(
        MAILBOX,
        &["a@example.org", "b@example.org"],
        content.as_bytes(),
    );

    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    let found = rows(&home, &["trace", "loop-1"]);
    let mut recipients = field(&found, "recipient");
    recipients.sort_unstable();
    assert_eq!(recipients, ["a@example.org", "b@example.org"]);
    assert_eq!(field(&found, "message_id"), ["<Loop-1@app.example>"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_is_counted_and_leaves_the_rest_of_the_history() {
    let (_graph, home) = strict().await;
    let relay = Relay::start(&home);
    send(&relay, &home, &["a@example.org"], "before", "delivered");
    let commits = || {
        let db = rusqlite::Connection::open(home.path("data/spool.db")).unwrap();
        db.query_row("SELECT commits FROM spool", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let before = commits();
    let mut smtp = relay.connect();
    smtp.expect("EHLO flood", "250");
    for round in 0..50 {
        smtp.expect(&format!("MAIL FROM:<flood{round}@contoso.example>"), "250");
        smtp.expect("RCPT TO:<same@elsewhere.example>", "550");
        smtp.expect("RSET", "250");
        if round % 15 == 14 {
            smtp.expect("QUIT", "221");
            smtp = relay.connect();
            smtp.expect("EHLO flood", "250");
        }
    }
    drop(smtp);

    let enough = || {
        let found = rows(&home, &["trace", "127.0.0.1", "--filter", "state=refused"]);
        let times = found.iter().map(|row| row["times"].as_u64().unwrap());
        (found.len(), times.sum::<u64>())
    };
    relay.wait_until(|| enough().1 == 50);

    assert_eq!(enough().0, 31);
    assert!(commits() - before < 40, "{}", commits() - before);
    let words = said(&run(&home, &["trace", "127.0.0.1"]));
    assert!(
        words.contains("The relay refused 20 more within a minute"),
        "{words}"
    );
    assert_eq!(rows(&home, &["trace", "before"]).len(), 1);
    send(&relay, &home, &["a@example.org"], "after", "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_breaks_off_is_in_the_history() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO camera", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    smtp.expect("DATA", "354");
    smtp.write(b"Subject: half\r\n");
    drop(smtp);

    relay.wait_until(|| !rows(&home, &["trace", "camera"]).is_empty());

    let row = rows(&home, &["trace", "camera"]).remove(0);
    assert_eq!(
        (&row["state"], &row["reply"]),
        (&"refused".into(), &Value::Null)
    );
    assert_eq!(row["recipient"], "a@example.org");
    let words = row["happened"].as_str().unwrap();
    assert_eq!(words, "The client disconnected before it had finished.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_in_the_history_without_the_password() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("authentication = \"required\"")
        .sections(QUIET)
        .sections(USERS)
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO mfp-3", "250");
    // scanner, wrong
    smtp.expect("AUTH PLAIN AHNjYW5uZXIAd3Jvbmc=", "535");
    smtp.expect("MAIL FROM:<relay@sandbox.example>", "530");
    smtp.expect("QUIT", "221");
    smtp.rest();

    relay.wait_until(|| rows(&home, &["trace", "mfp-3"]).len() == 2);

    let found = rows(&home, &["trace", "mfp-3", "--filter", "code=535"]);
    assert_eq!(field(&found, "client"), ["127.0.0.1"]);
    let action = found[0]["action"].as_str().unwrap();
    assert!(
        action.contains("name and password with the [[user]]"),
        "{action}"
    );
    let database = std::fs::read(home.path("data/spool.db-wal")).unwrap();
    assert!(find(&database, b"AHNjYW5u").is_none());

    // Asked for a password and then authenticated: nothing was wrong.
    let mut smtp = relay.connect();
    smtp.expect("EHLO mfp-4", "250");
    smtp.expect("MAIL FROM:<relay@sandbox.example>", "530");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    let content = message("Scan-4", "a@example.org");
    assert!(
        smtp.send(MAILBOX, &["a@example.org"], content.as_bytes())
            .starts_with("250")
    );
    smtp.expect("QUIT", "221");
    smtp.rest();
    relay.event("delivered", |_| true);
    assert_eq!(
        field(&rows(&home, &["trace", "mfp-4"]), "state"),
        ["delivered"]
    );
}
