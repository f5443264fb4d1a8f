//! Damage to the spool's files: one bad sector harms one message, and content changed on
//! the disk is never sent. The damage is made by overwriting pages of the database.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::find;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stored::PAGE;
use crate::common::stored::damage_leaf;
use crate::common::stored::database;
use crate::common::stored::overwrite_page;
use crate::common::stored::waiting;

/// A message of some length that repeats its subject at its end.
fn marked(subject: &str, length: usize) -> String {
    let mut content = message(subject, "a@example.org");
    while content.len() < length {
        content.push_str(&format!("{:078}\r\n", 0));
    }
    content.push_str(&format!("end of {subject}.\r\n"));
    content
}

/// Moves everything from the log into the database.
fn checkpoint(home: &Home) {
    let db = Connection::open(database(home)).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
}

/// Overwrites the page of the database that contains this text.
fn damage_page(path: &Path, text: &str) {
    let bytes = fs::read(path).unwrap();
    let at = find(&bytes, text.as_bytes()).expect("the text is in the database");
    let page = at / PAGE + 1;
    assert!(page > 1, "the first page is the schema's");
    overwrite_page(path, page, 0xFF);
}

/// Changes one letter of this text in a file.
fn change(path: &Path, text: &str) {
    let mut bytes = fs::read(path).unwrap();
    let at = find(&bytes, text.as_bytes()).expect("the text is in the file");
    bytes[at] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

fn state(home: &Home, id: &str) -> String {
    let shown = run(home, &["queue", "show", id, "--json"]);
    assert!(shown.status.success(), "{}", said(&shown));
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    shown["state"].as_str().unwrap().to_owned()
}

/// The number of entries that match.
fn count(home: &Home, of: &str) -> u32 {
    let db = Connection::open(database(home)).unwrap();
    let query = format!("SELECT count(*) FROM entry WHERE {of}");
    db.query_row(&query, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_page_harms_one_message() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let mut ids = Vec::new();
    for n in 0..10 {
        let content = marked(&format!("number{n}x"), 3000);
        ids.push(send_one(&relay, &["a@example.org"], &content));
    }
    relay.kill();
    checkpoint(&home);
    damage_page(&database(&home), "end of number5x.");

    graph.clear_faults();
    let mut relay = Relay::start(&home);
    let quarantined = relay.event("quarantined", |_| true);
    send_many(&relay, "after", 3);

    assert_eq!(quarantined["id"], ids[5].as_str());
    assert!(
        quarantined["reason"]
            .as_str()
            .unwrap()
            .contains("malformed")
    );
    arrived(&graph, 12).await;
    // An outcome is logged before it is on record.
    relay.wait_until(|| count(&home, "state = 'delivered'") == 12);
    assert_eq!(state(&home, &ids[5]), "quarantined");
    let listed = run(&home, &["queue", "list"]);
    assert!(said(&listed).contains(&ids[5]), "{}", said(&listed));
    assert_eq!(run(&home, &["status"]).status.code(), Some(1));

    // Messages next to the bad page that were delivered stay delivered.
    for _ in 0..2 {
        // A kill just after a delivery may come before it is on record.
        assert!(relay.stop().success());
        relay = Relay::start(&home);
        send_many(&relay, "again", 1);
        relay.event("delivered", |_| true);
    }
    assert_eq!(graph.arrivals().len(), 14);
    let dropped = run(&home, &["queue", "drop", &ids[5], "--yes"]);
    assert!(dropped.status.success(), "{}", said(&dropped));
    assert_eq!(state(&home, &ids[5]), "dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_page_of_recipients_harms_the_messages_on_it() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let mut ids = Vec::new();
    for n in 0..6 {
        let to: Vec<String> = (0..20)
            .map(|k| format!("r{n}x{k}{}@example.org", "y".repeat(40)))
            .collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        ids.push(send_one(&relay, &to, &marked(&format!("number{n}x"), 100)));
    }
    relay.kill();
    checkpoint(&home);
    damage_leaf(&home, "recipient", 1);

    graph.clear_faults();
    let relay = Relay::start(&home);
    relay.wait_until(|| relay.delivered() + relay.events("quarantined").len() == 6);
    let after = send_many(&relay, "after", 1);
    relay.event("delivered", |line| line["id"] == after[0].as_str());

    let quarantined = relay.events("quarantined");
    assert!((1..=3).contains(&quarantined.len()), "{quarantined:?}");
    let id = quarantined[0]["id"].as_str().unwrap();
    assert!(ids.iter().any(|sent| sent == id));
    assert_eq!(state(&home, id), "quarantined");
    let listed = run(&home, &["queue", "list"]);
    assert!(said(&listed).contains("(unreadable)"), "{}", said(&listed));
    let retried = run(&home, &["queue", "retry", id, "--yes"]);
    assert!(said(&retried).contains("malformed"), "{}", said(&retried));
    let dropped = run(&home, &["queue", "drop", id, "--yes"]);
    assert!(dropped.status.success(), "{}", said(&dropped));
    assert_eq!(state(&home, id), "dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_changed_by_the_disk_is_never_sent() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    // In its row, on an overflow page, and in a file.
    let changed: Vec<String> = [100, 20_000, 300_000]
        .iter()
        .map(|length| {
            let content = marked(&format!("changed{length}x"), *length);
            send_one(&relay, &["a@example.org"], &content)
        })
        .collect();
    let sound = send_one(&relay, &["a@example.org"], &marked("sound", 300_000));
    relay.kill();
    checkpoint(&home);
    change(&database(&home), "end of changed100x.");
    change(&database(&home), "end of changed20000x.");
    let file = home.path("data/content").join(&changed[2]);
    change(&file, "end of changed300000x.");

    graph.clear_faults();
    let relay = Relay::start(&home);
    for id in &changed {
        relay.event("quarantined", |line| line["id"] == id.as_str());
    }
    relay.event("delivered", |line| line["id"] == sound.as_str());

    assert_eq!(graph.arrivals().len(), 1);
    for id in &changed {
        assert_eq!(state(&home, id), "quarantined");
    }
    assert!(file.exists(), "it is kept for the operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_changed_by_the_disk_receives_nothing() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let id = send_one(&relay, &["alice@example.org"], &marked("secret", 100));
    relay.kill();
    checkpoint(&home);
    let db = Connection::open(database(&home)).unwrap();
    db.execute("UPDATE recipient SET address = 'mlice@example.org'", [])
        .unwrap();
    drop(db);

    graph.clear_faults();
    let relay = Relay::start(&home);
    relay.event("quarantined", |line| line["id"] == id.as_str());

    assert!(graph.arrivals().is_empty());
    assert_eq!(state(&home, &id), "quarantined");
}
