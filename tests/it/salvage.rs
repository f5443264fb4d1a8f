//! `graph-relay spool check` and `spool salvage`: readable messages of a damaged spool
//! continue, unreadable ones are named, and nothing is sent twice.

use std::collections::BTreeSet;
use std::fs;

use rusqlite::Connection;

use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stored::all_arrive;
use crate::common::stored::damage_leaf;
use crate::common::stored::database;
use crate::common::stored::newest_forgotten;
use crate::common::stored::overwrite_page;
use crate::common::stored::refused;
use crate::common::stored::rename;
use crate::common::stored::send_large;
use crate::common::stored::stopped_with;
use crate::common::stored::waiting;
use crate::common::succeeds;

/// The ids that a command prints after this word.
fn named(words: &str, word: &str) -> BTreeSet<String> {
    let lines = words.lines().filter_map(|line| line.strip_prefix(word));
    let ids = lines.map(|line| line.trim_start_matches(": ")[..26].to_owned());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn spool_check_reads_every_message_running_or_stopped() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let small = send_many(&relay, "small", 5);
    let large = send_large(&relay);

    let running = run(&home, &["spool", "check"]);
    assert!(relay.stop().success());
    let stopped = run(&home, &["spool", "check"]);

    for whole in [&running, &stopped] {
        assert_eq!(whole.status.code(), Some(0), "{}", said(whole));
        assert!(said(whole).contains("6 messages"), "{}", said(whole));
    }
    let db = Connection::open(database(&home)).unwrap();
    let change = "UPDATE content SET bytes = x'00' WHERE entry = ?1";
    db.execute(change, [&small[2]]).unwrap();
    drop(db);
    let file = home.path("data/content").join(&large);
    fs::write(&file, "shorter").unwrap();
    let damaged = run(&home, &["spool", "check"]);
    assert_eq!(damaged.status.code(), Some(1));
    for id in [&small[2], &large] {
        let words = said(&damaged);
        assert!(
            words.contains(&format!("message {id}: its content")),
            "{words}"
        );
        assert!(!words.contains("salvage"), "{words}");
    }
    let _relay = waiting(&graph, &home);
    let running = run(&home, &["spool", "check"]);
    assert_eq!(running.status.code(), Some(1), "{}", said(&running));
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_sends_intact_messages_and_holds_those_possibly_delivered() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let ids: BTreeSet<String> = send_many(&relay, "small", 60).into_iter().collect();
    let large = send_large(&relay);
    assert!(relay.stop().success());
    damage_leaf(&home, "entry", 1);
    let words = refused(&home);
    assert!(words.contains("graph-relay spool salvage"), "{words}");
    let damaged = fs::read(database(&home)).unwrap();

    let salvaged = run(&home, &["spool", "salvage"]);

    let words = said(&salvaged);
    assert_eq!(salvaged.status.code(), Some(1), "{words}");
    let held = named(&words, "held");
    assert!((1..40).contains(&held.len()), "{words}");
    assert!(held.is_subset(&ids), "{words}");
    let kept = fs::read_dir(home.path("data")).unwrap();
    let kept = kept.map(|file| file.unwrap().path());
    let kept: Vec<_> = kept.filter(|path| path.join("spool.db").exists()).collect();
    assert!(fs::read(kept[0].join("spool.db")).unwrap() == damaged);
    graph.clear_faults();
    let relay = Relay::start(&home);
    relay.event("delivered", |line| line["id"] == large.as_str());
    let sent = 61 - held.len();
    arrived(&graph, sent).await;
    let listed = said(&run(&home, &["queue", "list", "--filter", "state=held"]));
    assert!(held.iter().all(|id| listed.contains(id)), "{listed}");
    let one = held.first().unwrap();
    let released = run(&home, &["queue", "release", one]);
    assert!(released.status.success(), "{}", said(&released));
    relay.event("delivered", |line| line["id"] == one.as_str());
    assert_eq!(graph.arrivals().len(), sent + 1, "nobody else's was sent");
    let whole = run(&home, &["spool", "check"]);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_messages_whose_content_made_room_are_not_damaged() {
    let graph = stand_in().await;
    let sections = "[limits]\nspool_size = \"1 MB\"\n[failure]\nnotify = \"off\"";
    let home = Home::with(&graph).sections(sections).build();
    let mut relay = Relay::start(&home);
    let failing = |size: usize| {
        let line = format!("{}\r\n", "x".repeat(76));
        let content = message("bad", "invalid@example.org") + &line.repeat(size / 78);
        send_one(&relay, &["invalid@example.org"], &content)
    };
    // The second makes room for the third, in the database and in a file.
    let ids = [100_000, 400_000, 800_000].map(|size| {
        let id = failing(size);
        recorded(&relay, &home, "failed", |line| line["id"] == *id);
        id
    });
    for id in &ids[..2] {
        relay.event("content_removed", |line| line["id"] == *id);
    }

    let running = run(&home, &["spool", "check"]);
    assert!(relay.stop().success());
    let stopped = run(&home, &["spool", "check"]);
    let salvaged = run(&home, &["spool", "salvage"]);

    for whole in [&running, &stopped, &salvaged] {
        assert_eq!(whole.status.code(), Some(0), "{}", said(whole));
    }
    assert!(said(&running).contains("1 message"), "{}", said(&running));
    let _relay = Relay::start(&home);
    let failed = said(&run(&home, &["queue", "list", "--filter", "state=failed"]));
    // The record of the first has made room too.
    assert!(ids[1..].iter().all(|id| failed.contains(id)), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_reads_a_log_whose_database_is_gone() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "small", 3);
    send_large(&relay);
    relay.kill();
    fs::remove_file(database(&home)).unwrap();
    assert!(refused(&home).contains("graph-relay spool salvage"));

    succeeds(&home, &["spool", "salvage"]);

    all_arrive(&graph, &home, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_works_without_the_first_page() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    stopped_with(&graph, &home, "small", 30);
    overwrite_page(&database(&home), 1, 0xFF);
    assert!(refused(&home).contains("graph-relay spool salvage"));

    succeeds(&home, &["spool", "salvage"]);

    all_arrive(&graph, &home, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_into_another_folder_leaves_the_damaged_one_alone() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "small", 2);
    let large = send_large(&relay);
    let to = home.path("new");
    let arguments = ["spool", "salvage", "--to", to.to_str().unwrap()];
    let running = run(&home, &arguments);
    assert_eq!(running.status.code(), Some(75), "{}", said(&running));
    assert!(relay.stop().success());
    let before = fs::read(database(&home)).unwrap();

    let salvaged = run(&home, &arguments);

    assert_eq!(salvaged.status.code(), Some(0), "{}", said(&salvaged));
    assert!(fs::read(database(&home)).unwrap() == before);
    assert!(to.join("content").join(&large).exists());
    home.change("/data\"", "/new\"");
    all_arrive(&graph, &home, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salvage_that_fails_leaves_no_copy_of_the_database() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    stopped_with(&graph, &home, "small", 2);
    let names = || -> BTreeSet<_> {
        let files = fs::read_dir(home.path("data")).unwrap();
        files.map(|file| file.unwrap().file_name()).collect()
    };
    let before = names();
    // It cannot write its last file.
    let to = home.path("new");
    fs::create_dir_all(to.join("spool.state")).unwrap();

    let salvaged = run(&home, &["spool", "salvage", "--to", to.to_str().unwrap()]);

    assert_eq!(salvaged.status.code(), Some(73), "{}", said(&salvaged));
    assert_eq!(names(), before);
    assert!(!to.join("spool.db.new").exists());
}

#[test]
fn the_help_says_where_the_damaged_files_are_kept() {
    let help = binary()
        .args(["spool", "salvage", "--help"])
        .output()
        .unwrap();

    assert!(
        said(&help).contains("nothing is deleted"),
        "{}",
        said(&help)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_reads_content_whose_index_is_damaged() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let ids = stopped_with(&graph, &home, "small", 3);
    damage_leaf(&home, "sqlite_autoindex_content_1", 0);
    graph.clear_faults();
    let mut relay = Relay::start(&home);
    relay.wait_until(|| relay.events("quarantined").len() == 3);
    assert!(relay.stop().success());

    let salvaged = run(&home, &["spool", "salvage"]);

    assert_eq!(salvaged.status.code(), Some(0), "{}", said(&salvaged));
    let _relay = Relay::start(&home);
    let retried = run(&home, &["queue", "retry", "--all", "--yes"]);
    assert!(retried.status.success(), "{}", said(&retried));
    assert_eq!(arrived(&graph, ids.len()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salvage_that_was_interrupted_is_refused_by_a_start_and_finished_by_the_next() {
    let graph = stand_in().await;
    for (has_new, has_state) in [(true, false), (true, true), (false, false), (false, true)] {
        let home = Home::new(&graph);
        let mut relay = waiting(&graph, &home);
        send_many(&relay, "small", 3);
        relay.kill();
        let salvaged = run(&home, &["spool", "salvage"]);
        assert_eq!(salvaged.status.code(), Some(0), "{}", said(&salvaged));
        let new = home.path("data/spool.db.new");
        rename(database(&home), new.clone());
        if !has_new {
            fs::remove_file(&new).unwrap();
        }
        if !has_state {
            // Like a spool of an earlier version.
            fs::remove_file(home.path("data/spool.state")).unwrap();
        }

        let words = refused(&home);

        assert!(words.contains("a salvage was interrupted"), "{words}");
        assert!(!database(&home).exists());
        let again = run(&home, &["spool", "salvage"]);
        assert_eq!(again.status.code(), Some(0), "{}", said(&again));
        graph.clear_faults();
        let before = graph.arrivals().len();
        let mut relay = Relay::start(&home);
        arrived(&graph, before + 3).await;
        relay.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_of_an_older_database_holds_waiting_mail() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let old: BTreeSet<String> = send_many(&relay, "before", 2).into_iter().collect();
    assert!(relay.stop().success());
    let backup = fs::read(database(&home)).unwrap();
    graph.clear_faults();
    let mut relay = Relay::start(&home);
    arrived(&graph, 2).await;
    let lost = send_many(&relay, "after", 2);
    arrived(&graph, 4).await;
    assert!(relay.stop().success());
    fs::write(database(&home), backup).unwrap();
    assert!(refused(&home).contains("or the folder was copied while the relay ran"));

    let salvaged = run(&home, &["spool", "salvage"]);

    let words = said(&salvaged);
    assert_eq!(salvaged.status.code(), Some(1), "{words}");
    assert!(words.contains("transactions are missing"), "{words}");
    assert!(words.contains("go out twice"), "{words}");
    assert_eq!(named(&words, "held"), old, "{words}");
    assert!(newest_forgotten(&home) > lost[1]);
    let _relay = Relay::start(&home);
    let listed = said(&run(&home, &["queue", "list", "--filter", "state=held"]));
    assert!(old.iter().all(|id| listed.contains(id)), "{listed}");
    assert_eq!(graph.arrivals().len(), 4, "nothing went out twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_without_a_database_explains_losses_and_orphans() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "small", 1);
    let large = send_large(&relay);
    assert!(relay.stop().success());
    fs::remove_file(database(&home)).unwrap();

    let salvaged = run(&home, &["spool", "salvage"]);

    let words = said(&salvaged);
    assert_eq!(salvaged.status.code(), Some(1), "{words}");
    assert!(words.contains("transactions were recorded"), "{words}");
    assert!(words.contains("lost unless it is restored"), "{words}");
    assert!(named(&words, "orphan").contains(&large), "{words}");
    assert!(words.contains("without its envelope"), "{words}");
    assert!(words.contains("To send it to the recipients"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn salvage_of_a_folder_without_a_spool_creates_no_files() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let empty = home.path("empty");
    fs::create_dir(&empty).unwrap();

    let salvaged = run(
        &home,
        &["spool", "salvage", "--from", empty.to_str().unwrap()],
    );

    let words = said(&salvaged);
    assert_eq!(salvaged.status.code(), Some(73), "{words}");
    assert!(words.contains("there is no spool here"), "{words}");
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}
