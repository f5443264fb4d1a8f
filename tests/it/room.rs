//! Room for new mail: what counts, what yields when there is none, and that no client
//! takes it from others. Limits are small here; `full_disk.rs` has a disk that is really
//! full.

use std::fs;
use std::process::Output;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use serde_json::Value;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::shown;
use crate::common::stand_in;
use crate::common::wire::in_data;
use crate::common::wire::in_transaction;
use crate::common::wire::wait_until_read;

/// One megabyte of spool; nothing is retried by itself, nothing reported.
const SMALL: &str = "[limits]\nspool_size = \"1 MB\"\n\
                     [delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";

fn out_of_order(times: u32) -> Fault {
    Fault {
        times,
        ..Fault::at_token(503)
    }
}

fn refusal() -> Fault {
    Fault {
        code: Some("ErrorInvalidRecipients".to_owned()),
        ..Fault::at_send(400)
    }
}

/// A message of about this size.
fn sized(subject: &str, size: usize) -> String {
    let line = format!("{}\r\n", "x".repeat(76));
    message(subject, "a@example.org") + &line.repeat(size / 78)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The cause of the last refusal in the log.
fn cause(relay: &Relay) -> String {
    relay.event("refused", |_| true);
    let refused = relay.events("refused");
    refused.last().unwrap()["cause"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Enough recipients that their rows need 150 kB.
fn long_addresses() -> Vec<String> {
    let label = "d".repeat(60);
    let address = |number| {
        let name = "a".repeat(60);
        format!("{number:03}{name}@{label}.{label}.{label}.example")
    };
    (0..500).map(address).collect()
}

/// A message that fails at its account.
fn failed(relay: &Relay, home: &Home, graph: &Sandbox, content: &str) -> String {
    graph.inject(refusal());
    let id = send_one(relay, &["a@example.org"], content);
    recorded(relay, home, "failed", |line| line["id"] == *id);
    id
}

fn content_files(home: &Home) -> usize {
    fs::read_dir(home.path("data/content")).unwrap().count()
}

/// Sends the content of a message up to the byte before its end.
fn begin(relay: &Relay, content: &str) -> Smtp {
    let mut smtp = in_data(relay, "a@example.org");
    smtp.write(content.as_bytes());
    wait_until_read(smtp.stream());
    smtp
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_recipients_count_against_spool_size_and_history_yields() {
    let graph = stand_in().await;
    graph.inject(out_of_order(100_000));
    let home = Home::with(&graph).sections(SMALL).build();
    let relay = Relay::start(&home);
    let addresses = long_addresses();
    let to: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");

    let send_until_full = |smtp: &mut Smtp| {
        for accepted in 0..200 {
            let reply = smtp.send(MAILBOX, &to, b"m\r\n");
            if !reply.starts_with("250") {
                assert!(reply.starts_with("452 4.3.1 "), "{reply}");
                return accepted;
            }
        }
        200
    };
    let accepted = send_until_full(&mut smtp);
    assert!((3..=8).contains(&accepted), "{accepted} of 150 kB in 1 MB");
    let cause = cause(&relay);
    assert!(
        cause.contains("of limits.spool_size 1 MB: ") && cause.contains(" MB waiting, "),
        "{cause}"
    );

    // A dropped message is history, and history yields.
    // One that is just being sent is not dropped yet.
    let drop_all = || run(&home, &["queue", "drop", "--all", "--yes"]);
    relay.wait_until(|| drop_all().status.success());
    smtp.expect("RSET", "250");
    assert_eq!(send_until_full(&mut smtp), accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_content_yields_to_new_mail_the_oldest_first() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMALL).build();
    let relay = Relay::start(&home);
    let first = failed(&relay, &home, &graph, &sized("first", 450_000));
    let second = failed(&relay, &home, &graph, &sized("second", 450_000));
    assert_eq!(content_files(&home), 2);
    let status = run(&home, &["status", "--json"]);
    let status: Value = serde_json::from_str(&stdout(&status)).unwrap();
    assert_eq!(status["full"], Value::Null);

    send_one(&relay, &["a@example.org"], &sized("third", 300_000));

    relay.event("content_removed", |line| line["id"] == *first);
    assert_eq!(relay.events("content_removed").len(), 1);
    assert_eq!(arrived(&graph, 1).await[0].subject, "third");
    let entry = shown(&home, &first);
    assert_eq!(entry["state"], "failed");
    let reason = entry["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("; its content was removed to make room"),
        "{reason}"
    );
    let retried = run(&home, &["queue", "retry", &first]);
    assert!(!retried.status.success());
    let words = stdout(&retried) + &String::from_utf8(retried.stderr).unwrap();
    assert!(
        words.contains("its content was removed to make room for new mail"),
        "{words}"
    );
    // The other is kept completely.
    assert!(run(&home, &["queue", "retry", &second]).status.success());
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_waits_or_is_held_never_yields() {
    let graph = stand_in().await;
    graph.inject(out_of_order(100_000));
    let home = Home::with(&graph).sections(SMALL).build();
    let mut relay = Relay::start(&home);
    let waiting = send_one(&relay, &["a@example.org"], &sized("waiting", 450_000));
    relay.event("deferred", |_| true);
    let held = send_one(&relay, &["a@example.org"], &sized("held", 450_000));
    relay.wait_until(|| run(&home, &["queue", "hold", &held]).status.success());

    let mut smtp = in_transaction(&relay, "a@example.org");
    let reply = smtp.say("DATA");
    assert!(reply.starts_with("452 4.3.1 "), "{reply}");
    let words = cause(&relay);
    assert!(words.contains("0.5 MB waiting, 0.5 MB held"), "{words}");
    let status = run(&home, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(
        stdout(&status).contains("0.5 MB waiting"),
        "{}",
        stdout(&status)
    );
    assert_eq!(content_files(&home), 2);

    // The same count after a restart.
    relay.kill();
    let relay = Relay::start(&home);
    let mut smtp = in_transaction(&relay, "a@example.org");
    let reply = smtp.say("DATA");
    assert!(reply.starts_with("452 4.3.1 "), "{reply}");
    assert!(cause(&relay).contains("0.5 MB waiting, 0.5 MB held"));
    graph.clear_faults();
    for id in [&waiting, &held] {
        assert!(run(&home, &["queue", "retry", id]).status.success());
    }
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_message_gets_room_before_incomplete_ones() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMALL).build();
    let relay = Relay::start(&home);
    let mut endless: Vec<Smtp> = (0..3)
        .map(|number| begin(&relay, &sized(&format!("endless {number}"), 310_000)))
        .collect();
    assert_eq!(content_files(&home), 3);

    send_one(&relay, &["a@example.org"], &sized("small", 100_000));

    assert_eq!(arrived(&graph, 1).await[0].subject, "small");
    // The oldest has made room; its client is told at the end of its message.
    assert_eq!(content_files(&home), 2);
    let reply = endless[0].say(".");
    assert!(reply.starts_with("452 4.3.1 "), "{reply}");
    endless[0].expect("NOOP", "250");
    for smtp in &mut endless[1..] {
        let reply = smtp.say(".");
        assert!(reply.starts_with("250 "), "{reply}");
    }
    arrived(&graph, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_sends_nothing_takes_no_room() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMALL).build();
    let relay = Relay::start(&home);
    let _silent: Vec<Smtp> = (0..40)
        .map(|_| {
            let mut smtp = relay.connect();
            smtp.expect("EHLO c", "250");
            smtp.expect(&format!("MAIL FROM:<{MAILBOX}> SIZE=900000"), "250");
            smtp.expect("RCPT TO:<a@example.org>", "250");
            smtp.expect("DATA", "354");
            smtp
        })
        .collect();

    send_one(&relay, &["a@example.org"], &sized("large", 800_000));

    assert_eq!(arrived(&graph, 1).await[0].subject, "large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_announced_larger_than_the_free_room_is_refused_before_data() {
    let graph = stand_in().await;
    graph.inject(out_of_order(100_000));
    let home = Home::with(&graph).sections(SMALL).build();
    let relay = Relay::start(&home);
    send_one(&relay, &["a@example.org"], &sized("waits", 600_000));
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}> SIZE=600000"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    let reply = smtp.say("DATA");

    assert!(reply.starts_with("452 4.3.1 "), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_never_fit_into_the_spool_is_refused_for_good() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMALL).build();
    let checked = run(&home, &["check"]);
    assert!(
        said(&checked)
            .contains("warning: limits.message_size is larger than limits.spool_size can hold"),
        "{}",
        said(&checked)
    );
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    let offered = smtp.say("EHLO c");
    assert!(offered.contains("-SIZE 991808\r\n"), "{offered}");
    let too_big = "552 5.3.4 Message too big: at most 991808 bytes";
    for size in [34_000_000, 991_809] {
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}> SIZE={size}"), too_big);
    }
    let mut grows = begin(&relay, &sized("grows", 1_100_000));
    grows.expect(".", too_big);
    let refused = relay.event("refused", |_| true);
    assert!(refused.get("size").is_none(), "{refused}");
    grows.expect("QUIT", "221 ");
    let session = relay.event("session", |_| true);
    let remedy = session["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("raise limits.spool_size"), "{remedy}");
    assert!(!remedy.contains("message_size"), "{remedy}");

    let addresses = long_addresses();
    let to: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let reply = smtp.send(MAILBOX, &to, sized("many", 900_000).as_bytes());
    assert!(
        reply.starts_with("552 5.3.4 Message too big for the spool with this many recipients"),
        "{reply}"
    );
    assert_eq!(content_files(&home), 0);

    // A larger spool requires a restart; until then it holds no more.
    home.change("\"1 MB\"", "\"50 MB\"");
    relay.signal("HUP");
    relay.event("reloaded", |_| true);
    let offered = smtp.say("EHLO c");
    assert!(offered.contains("-SIZE 991808\r\n"), "{offered}");

    let mut fits = sized("fits", 991_000);
    while fits.len() <= 991_808 - 78 {
        fits.push_str(&format!("{}\r\n", "x".repeat(76)));
    }
    send_one(&relay, &["a@example.org"], &fits);
    assert_eq!(arrived(&graph, 1).await[0].subject, "fits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_removed_while_its_client_still_sends() {
    let graph = stand_in().await;
    let limits = "spool_size = \"1 MB\"\nmessage_size = \"700 kB\"";
    let home = Home::with(&graph).limits(limits).build();
    let relay = Relay::start(&home);
    let mut too_big = begin(&relay, &sized("too big", 750_000));
    assert_eq!(content_files(&home), 0);
    let mut first = begin(&relay, &sized("first", 600_000));
    let mut no_room = begin(&relay, &sized("no room", 600_000));
    assert_eq!(content_files(&home), 1);

    // The rest of them is read and discarded.
    for smtp in [&mut too_big, &mut no_room] {
        smtp.write(sized("more", 2_000_000).as_bytes());
        wait_until_read(smtp.stream());
    }
    assert_eq!(content_files(&home), 1);
    assert!(first.say(".").starts_with("250 "));
    assert!(no_room.say(".").starts_with("452 4.3.1 "));
    assert!(cause(&relay).contains("of limits.spool_size 1 MB: "));
    assert!(too_big.say(".").starts_with("552 5.3.4 "));
    for smtp in [&mut too_big, &mut no_room] {
        smtp.expect("NOOP", "250");
    }
    assert_eq!(arrived(&graph, 1).await[0].subject, "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_doctor_and_metrics_show_the_last_error_of_the_spool() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let ok = run(&home, &["status", "--json"]);
    let status: Value = serde_json::from_str(&stdout(&ok)).unwrap();
    assert_eq!(status["spool_error"], Value::Null);
    // The folder of large messages is removed.
    fs::remove_dir(home.path("data/content")).unwrap();
    let mut smtp = in_data(&relay, "a@example.org");
    smtp.write(sized("large", 300_000).as_bytes());
    let reply = smtp.say(".");
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");

    let status = run(&home, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    let words = "cannot write or read the spool (last error ";
    assert!(stdout(&status).contains(words), "{}", stdout(&status));
    let doctor = stdout(&run(&home, &["doctor", "--json"]));
    let findings = doctor
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut failures = findings.filter(|finding| finding["state"] == "failure");
    assert!(failures.any(|it| it["check"] == "spool"), "{doctor}");
    let client = reqwest::Client::builder()
        .unix_socket(home.path("data/admin.sock"))
        .build()
        .unwrap();
    let answer = client.get("http://relay/metrics").send().await.unwrap();
    let metrics = answer.text().await.unwrap();
    assert!(
        metrics.contains("\ngraphrelay_spool_errors 1\n"),
        "{metrics}"
    );
    let waiting = "\ngraphrelay_spool_bytes{state=\"waiting\"} 0\n";
    assert!(metrics.contains(waiting), "{metrics}");
}
