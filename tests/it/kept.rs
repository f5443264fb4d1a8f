//! `[history] keep_content`, with the real binary: a delivered or dropped message can be sent
//! again while its content is kept, and nothing else sends it. What is kept makes room for
//! new mail before anything else, and goes when its time has passed.

use std::fs;
use std::process::Output;
use std::time::Duration;

use graph_relay::clock::Clock;
use graph_relay::clock::Timestamp;
use graph_relay::spool::KeepFor;
use graph_relay::spool::Next;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use rusqlite::Connection;
use serde_json::Value;

use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::entries;
use crate::common::message;
use crate::common::recipients;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::set;
use crate::common::shown;
use crate::common::stand_in;
use crate::common::stored::damage_leaf;
use crate::common::stored::database;
use crate::common::stored::rename;
use crate::common::stored::send_large;
use crate::common::succeeds;

/// Content is kept; nothing is retried by itself, and nobody gets a report.
const KEEP: &str = "[history]\nkeep_content = \"7d\"\n[delivery]\nretry = [\"1h\"]\n\
                    [failure]\nnotify = \"off\"";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn keeping(graph: &Sandbox) -> Home {
    Home::with(graph).sections(KEEP).build()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn is_kept(home: &Home, id: &str) -> bool {
    !shown(home, id)["kept_until_at"].is_null()
}

fn delivered(relay: &Relay, home: &Home, subject: &str) -> String {
    sized(relay, home, subject, 0)
}

/// A message of about this size that was delivered or has failed.
fn sized(relay: &Relay, home: &Home, subject: &str, size: usize) -> String {
    let id = sent(relay, subject, size);
    relay.wait_until(|| {
        ["delivered", "failed"]
            .iter()
            .any(|it| shown(home, &id)["state"] == *it)
    });
    id
}

fn sent(relay: &Relay, subject: &str, size: usize) -> String {
    let line = format!("{}\r\n", "x".repeat(76));
    let content = message(subject, "a@example.org") + &line.repeat(size / 78);
    send_one(relay, &["a@example.org"], &content)
}

/// One whose content is in a file.
fn large(relay: &Relay, home: &Home) -> String {
    let id = send_large(relay);
    relay.wait_until(|| shown(home, &id)["state"] == "delivered");
    id
}

fn resend(home: &Home, id: &str, options: &[&str]) -> Output {
    run(home, &[&["queue", "resend", id], options].concat())
}

/// The id of the copy.
fn copy_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    stdout(output).split(' ').next().unwrap().to_owned()
}

fn content_files(home: &Home) -> usize {
    fs::read_dir(home.path("data/content")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_message_is_sent_again_and_says_until_when_that_is_possible() {
    let graph = stand_in().await;
    let home = keeping(&graph);
    let relay = Relay::start(&home);
    let small = delivered(&relay, &home, "small");
    let large = large(&relay, &home);
    let show = succeeds(&home, &["queue", "show", &small]);
    let words = format!("; to send it again: graph-relay queue resend {small}");
    assert!(show.contains("content     kept until "), "{show}");
    assert!(show.contains(&words), "{show}");
    let trace = succeeds(&home, &["trace", &large]);
    assert!(trace.contains("to send it again, until "), "{trace}");
    let status = succeeds(&home, &["status"]);
    let words = " of it kept for sending again (history.keep_content)";
    assert!(status.contains(words), "{status}");
    let words = "the content of delivered and dropped messages is kept for 7 days";
    assert!(said(&run(&home, &["doctor"])).contains(words));
    let words = "keeps the content of delivered and dropped messages for 7 days";
    assert!(succeeds(&home, &["check"]).contains(words));
    let status = succeeds(&home, &["status", "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert!(status["spool"]["states"]["kept"].as_u64().unwrap() > 250_000);

    let asks = resend(&home, &small, &[]);
    let words = "was delivered: a@example.org would receive it twice";
    assert!(said(&asks).contains(words), "{}", said(&asks));
    let words = "twice. There is no terminal to confirm that: add --yes";
    assert!(said(&asks).contains(words), "{}", said(&asks));
    assert_eq!(asks.status.code(), Some(64));
    let copy = copy_of(&resend(&home, &small, &["--yes"]));
    arrived(&graph, 3).await;
    let other = copy_of(&resend(&home, &large, &["--to", "ada@example.org"]));

    let seen = arrived(&graph, 4).await;
    assert_eq!(seen[2].subject, "small");
    assert_eq!(recipients(&seen[2]), set(&["a@example.org"]));
    assert_eq!(seen[3].subject, "large");
    assert_eq!(recipients(&seen[3]), set(&["ada@example.org"]));
    assert!(seen[3].raw.len() > 250_000);
    for (copy, of) in [(&copy, &small), (&other, &large)] {
        let words = format!("This is a copy of message {of}, on an operator's order. ");
        let trace = succeeds(&home, &["trace", copy]);
        assert!(trace.contains(&words), "{trace}");
        let line = succeeds(&home, &["trace", copy, "--json"]);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["resend_of"], **of);
        assert_eq!(shown(&home, of)["state"], "delivered");
    }
    assert!(succeeds(&home, &["history"]).contains("This is a copy of "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_message_is_sent_after_all_and_a_second_drop_deletes_it() {
    let graph = stand_in().await;
    let home = keeping(&graph);
    let relay = Relay::start(&home);
    let deferred = |subject: &str| {
        graph.inject(Fault {
            code: Some("ErrorMessageThrottled".to_owned()),
            ..Fault::at_send(409)
        });
        let id = sent(&relay, subject, 200_000);
        recorded(&relay, &home, "deferred", |line| line["id"] == *id);
        id
    };
    let [first, second] = ["first", "second"].map(deferred);
    let dropped = succeeds(&home, &["queue", "drop", &first, &second]);
    assert_eq!(dropped.matches("its content is kept until ").count(), 2);
    assert_eq!(content_files(&home), 2);
    let trace = succeeds(&home, &["trace", &first]);
    assert!(trace.contains("Its content is kept until "), "{trace}");

    let deleted = succeeds(&home, &["queue", "drop", &second]);

    let words = "it stays dropped, and its content is deleted";
    assert!(deleted.contains(words), "{deleted}");
    assert_eq!(content_files(&home), 1);
    let gone = resend(&home, &second, &["--to", "ada@example.org"]);
    let words = "it was dropped, and its content is gone: history.keep_content keeps it for 7 days";
    assert!(said(&gone).contains(words), "{}", said(&gone));
    assert_eq!(gone.status.code(), Some(1));
    copy_of(&resend(&home, &first, &["--yes"]));
    assert_eq!(arrived(&graph, 1).await[0].subject, "first");
    let again = run(&home, &["queue", "retry", &first]);
    let words = format!("it was dropped; to send it again: graph-relay queue resend {first}");
    assert!(said(&again).contains(&words), "{}", said(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_kept_content_is_neither_sent_nor_orphaned_nor_lost() {
    let graph = stand_in().await;
    let home = keeping(&graph);
    let mut relay = Relay::start(&home);
    let small = delivered(&relay, &home, "small");
    let large = large(&relay, &home);
    let file = home.path("data/content").join(&large);
    for starts in 1..=2 {
        relay.kill();
        relay = Relay::start(&home);
        delivered(&relay, &home, "new");
        assert_eq!(graph.arrivals().len(), 2 + starts);
        assert!(file.exists());
        assert!(relay.events("orphaned_files").is_empty());
    }
    succeeds(&home, &["spool", "check"]);

    copy_of(&resend(&home, &small, &["--yes"]));
    copy_of(&resend(&home, &large, &["--yes"]));
    arrived(&graph, 6).await;

    // As an earlier version leaves it, which removes the files of messages that have ended.
    relay.kill();
    fs::remove_file(&file).unwrap();
    let relay = Relay::start(&home);
    assert!(!is_kept(&home, &large));
    assert!(is_kept(&home, &small));
    assert_eq!(shown(&home, &large)["state"], "delivered");
    assert!(relay.events("quarantined").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_with_a_shorter_time_or_off_deletes_content_at_once() {
    let graph = stand_in().await;
    let home = keeping(&graph);
    let relay = Relay::start(&home);
    let first = large(&relay, &home);
    home.change("\"7d\"", "\"1s\"");
    relay.wait_until(|| {
        relay.signal("HUP");
        content_files(&home) == 0
    });
    assert!(!is_kept(&home, &first));
    home.change("\"1s\"", "\"7d\"");
    let before = relay.events("reloaded").len();
    relay.signal("HUP");
    relay.wait_until(|| relay.events("reloaded").len() > before);
    let small = delivered(&relay, &home, "small");
    let second = large(&relay, &home);
    assert!(is_kept(&home, &small) && is_kept(&home, &second));

    home.change("\"7d\"", "\"off\"");
    relay.signal("HUP");

    relay.wait_until(|| content_files(&home) == 0);
    relay.wait_until(|| !is_kept(&home, &small));
    for id in [&small, &second] {
        let gone = resend(&home, id, &["--yes"]);
        let words = "its content is gone: history.keep_content is \"off\"";
        assert!(said(&gone).contains(words), "{}", said(&gone));
    }
    let stored = Connection::open(database(&home)).unwrap();
    let count = "SELECT count(*) FROM content";
    let left = stored.query_row(count, [], |row| row.get::<_, i64>(0));
    assert_eq!(left.unwrap(), 0);
    assert!(!succeeds(&home, &["status"]).contains("keep_content"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_content_yields_to_new_mail_the_oldest_first_and_before_failed_mail() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections(KEEP)
        .limits("spool_size = \"1 MB\"")
        .build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        code: Some("ErrorInvalidRecipients".to_owned()),
        ..Fault::at_send(400)
    });
    let failed = sized(&relay, &home, "failed", 100_000);
    assert_eq!(shown(&home, &failed)["state"], "failed");
    let kept = ["1", "2", "3"].map(|name| sized(&relay, &home, name, 200_000));
    assert!(kept.iter().all(|id| is_kept(&home, id)));

    sized(&relay, &home, "new", 350_000);

    let removed = relay.event("kept_content_removed", |_| true);
    assert!(removed["bytes"].as_u64().unwrap() >= 200_000, "{removed}");
    relay.wait_until(|| relay.events("delivered").len() == 4);
    assert!(!is_kept(&home, &kept[0]));
    assert!(is_kept(&home, &kept[2]));
    assert!(relay.events("content_removed").is_empty());
    let gone = resend(&home, &kept[0], &["--yes"]);
    assert!(said(&gone).contains("or until new mail needs the room"));
    assert_eq!(shown(&home, &kept[0])["state"], "delivered");
    succeeds(&home, &["queue", "retry", &failed]);
    arrived(&graph, 5).await;
    succeeds(&home, &["spool", "check"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mail_is_refused_because_of_kept_content() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections(KEEP)
        .limits("spool_size = \"1 MB\"")
        .build();
    let relay = Relay::start(&home);
    for size in [100, 700_000, 2_000, 100_000, 700_000] {
        for name in ["a", "b", "c", "d"] {
            sized(&relay, &home, name, size);
        }
    }
    arrived(&graph, 20).await;
    assert!(relay.events("refused").is_empty());
    assert_eq!(run(&home, &["status"]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_has_the_kept_content_and_sends_none_of_it() {
    let graph = stand_in().await;
    let home = keeping(&graph);
    let mut relay = Relay::start(&home);
    let small = delivered(&relay, &home, "small");
    let large = large(&relay, &home);
    let folder = home.path("backup").display().to_string();
    succeeds(&home, &["backup", &folder]);
    relay.kill();
    rename(home.path("data"), home.path("before"));

    succeeds(&home, &["restore", &folder]);

    let relay = Relay::start(&home);
    delivered(&relay, &home, "new");
    assert_eq!(graph.arrivals().len(), 3);
    copy_of(&resend(&home, &small, &["--yes"]));
    copy_of(&resend(&home, &large, &["--yes"]));
    arrived(&graph, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salvage_keeps_content_and_makes_nothing_delivered_wait_or_held() {
    let graph = stand_in().await;
    let home = keeping(&graph);
    let mut relay = Relay::start(&home);
    send_many(&relay, "small", 60);
    let large = large(&relay, &home);
    relay.wait_until(|| relay.delivered() == 61);
    assert!(relay.stop().success());
    damage_leaf(&home, "entry", 1);

    let salvaged = said(&run(&home, &["spool", "salvage"]));

    for word in ["held: ", "quarantined: ", "orphan: ", "waiting"] {
        assert!(!salvaged.contains(word), "{word}: {salvaged}");
    }
    let relay = Relay::start(&home);
    assert!(relay.events("orphaned_files").is_empty());
    let last = delivered(&relay, &home, "new");
    assert!(is_kept(&home, &last));
    assert_eq!(graph.arrivals().len(), 62);
    copy_of(&resend(&home, &large, &["--yes"]));
    arrived(&graph, 63).await;
    succeeds(&home, &["spool", "check"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn spool_check_and_salvage_find_damaged_kept_content() {
    let graph = stand_in().await;
    let home = keeping(&graph);
    let mut relay = Relay::start(&home);
    let [first, second] = ["1", "2"].map(|name| delivered(&relay, &home, name));
    assert!(succeeds(&home, &["spool", "check"]).contains("2 messages"));
    assert!(relay.stop().success());
    let stored = Connection::open(database(&home)).unwrap();
    let change = "UPDATE content SET bytes = x'00'";
    stored.execute(change, []).unwrap();
    drop(stored);

    let mut relay = Relay::start(&home);
    let checked = run(&home, &["spool", "check"]);
    let resent = resend(&home, &first, &["--yes"]);

    for id in [&first, &second] {
        let words = format!("message {id}: its content");
        assert!(said(&checked).contains(&words), "{}", said(&checked));
    }
    assert_eq!(resent.status.code(), Some(1), "{}", said(&resent));
    succeeds(&home, &["queue", "drop", &first]);
    assert!(relay.stop().success());
    succeeds(&home, &["spool", "salvage"]);
    succeeds(&home, &["spool", "check"]);
    let _relay = Relay::start(&home);
    assert_eq!(shown(&home, &second)["state"], "delivered");
    assert!(!is_kept(&home, &second));
    assert_eq!(graph.arrivals().len(), 2);
}

/// Sat, 21 Nov 2026 19:00:00 GMT.
const TODAY: i64 = 1_795_287_600_000;

#[tokio::test(start_paused = true)]
async fn content_goes_by_the_time_that_the_relay_has_run_and_by_no_wrong_clock() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Clock::starting_at(Timestamp::from_millis(TODAY));
    let (spool, _) = entries::open(folder.path(), clock.clone());
    let keep_for = |days: u32| KeepFor {
        ended: Some(DAY * days),
        failed: DAY * 30,
    };
    spool.keep_content(keep_for(7));
    let mut ids = Vec::new();
    for size in [10, 300_000] {
        entries::accept(&spool, &vec![b'x'; size]).await;
        let entry = entries::claim(&spool).await.remove(0);
        let report = entries::report(Next::Delivered);
        spool.settle(&entry, report).await.unwrap();
        ids.push(entry.id);
    }
    let until = clock.now() + 7 * DAY;
    let files = || fs::read_dir(folder.path().join("content")).unwrap().count();
    for id in &ids {
        let shown = spool.show(*id).await.unwrap().unwrap();
        assert_eq!(shown.kept_until_at, Some(until));
    }

    clock.set(Timestamp::from_millis(TODAY) + 3650 * DAY);
    spool.purge_content().await.unwrap();
    tokio::time::advance(DAY * 6).await;
    spool.purge_content().await.unwrap();
    for id in &ids {
        assert!(spool.original(*id).await.is_ok());
    }
    // A time that is longer saves what is still there, and a shorter one ends it.
    spool.keep_content(keep_for(20));
    tokio::time::advance(DAY * 10).await;
    spool.purge_content().await.unwrap();
    assert_eq!(files(), 1);

    spool.keep_content(keep_for(16));
    tokio::time::advance(Duration::from_secs(1)).await;
    spool.purge_content().await.unwrap();

    assert_eq!(files(), 0);
    for id in &ids {
        assert!(spool.original(*id).await.is_err());
        let shown = spool.show(*id).await.unwrap().unwrap();
        assert_eq!(shown.kept_until_at, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_leaves_the_history_takes_its_content_with_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Clock::starting_at(Timestamp::from_millis(TODAY));
    let (spool, _) = entries::open(folder.path(), clock);
    spool.keep_content(KeepFor {
        ended: Some(7 * DAY),
        failed: DAY,
    });
    entries::accept(&spool, &vec![b'x'; 300_000]).await;
    let entry = entries::claim(&spool).await.remove(0);
    let report = entries::report(Next::Delivered);
    spool.settle(&entry, report).await.unwrap();
    tokio::time::advance(DAY * 2).await;

    let now = spool.running();
    let forgotten = spool.purge(now - DAY, now - DAY).await.unwrap();

    assert!(forgotten.is_empty(), "only failed messages are named");
    assert!(spool.show(entry.id).await.unwrap().is_none());
    let files = fs::read_dir(folder.path().join("content")).unwrap();
    assert_eq!(files.count(), 0);
}
