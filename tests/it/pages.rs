//! Damages the pages of the database one by one: whatever the disk loses, no message
//! arrives changed or twice, none disappears without being reported, and the relay either
//! continues or says how to go on.

use std::collections::BTreeSet;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stored::PAGE;
use crate::common::stored::copy_folder;
use crate::common::stored::database;
use crate::common::stored::overwrite_page;
use crate::common::stored::waiting;

/// A sample of the pages: the header of the database, the schema, and one of every few.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_of_a_sample_never_loses_a_message_silently_or_sends_it_twice() {
    damage_each(5).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: two relays for every page of a database"]
async fn any_damaged_page_never_loses_a_message_silently_or_sends_it_twice() {
    damage_each(1).await;
}

/// Pages 1, 1 + `step`, and so on.
async fn damage_each(step: usize) {
    let graph = stand_in().await;
    let base = Home::new(&graph);
    let ids = prepare(&graph, &base);
    let pages = fs::read(database(&base)).unwrap().len() / PAGE;
    graph.clear_faults();
    for page in (1..=pages).step_by(step) {
        // Not a valid page any more, or zeros.
        for byte in [0xFF, 0] {
            let home = Home::new(&graph);
            copy_folder(&base.path("data"), &home.path("data"));
            overwrite_page(&database(&home), page, byte);
            sound_after(&graph, &home, &ids, &format!("page {page}, {byte:#x}"));
        }
    }
}

/// A spool with waiting messages, delivered ones, and a failed one.
fn prepare(graph: &Sandbox, home: &Home) -> BTreeSet<String> {
    let mut relay = Relay::start(home);
    for n in 0..3 {
        let content = message(&format!("before{n}"), "a@example.org");
        send_one(&relay, &["a@example.org"], &content);
    }
    relay.wait_until(|| relay.delivered() == 3);
    assert!(relay.stop().success());
    let mut relay = waiting(graph, home);
    let ids = (0..12).map(|n| {
        let mut content = message(&format!("waits{n}"), "a@example.org");
        let size = [100, 3000, 9000][n % 3];
        while content.len() < size {
            content.push_str(&format!("line of message {n} {:060}\r\n", content.len()));
        }
        send_one(&relay, &["a@example.org", "b@example.org"], &content)
    });
    let ids = ids.collect();
    assert!(relay.stop().success());
    ids
}

fn sound_after(graph: &Sandbox, home: &Home, ids: &BTreeSet<String>, what: &str) {
    let before = graph.arrivals().len();
    let mut named = String::new();
    let relay = catch_unwind(AssertUnwindSafe(|| Relay::start(home)));
    let mut relay = relay.unwrap_or_else(|_| {
        let salvaged = run(home, &["spool", "salvage"]);
        named = said(&salvaged);
        assert!(
            matches!(salvaged.status.code(), Some(0 | 1)),
            "{what}: {named}"
        );
        Relay::start(home)
    });
    resume_if_paused(home);
    relay.wait_until(|| {
        ids.iter()
            .all(|id| named.contains(id) || is_settled(&relay, id))
    });
    let new = accepts(&relay);
    if let Some(id) = &new {
        relay.wait_until(|| is_settled(&relay, id));
        let sent = delivered(&relay).contains(id);
        assert!(sent, "{what}: accepted and not sent: {:#?}", relay.all());
    }
    let first: BTreeSet<String> = delivered(&relay);
    eprintln!(
        "{what}: {} delivered, salvage {}, new {}",
        first.len(),
        !named.is_empty(),
        new.is_some()
    );

    relay.stop();
    let relay = Relay::start(home);
    resume_if_paused(home);
    if let Some(id) = accepts(&relay) {
        relay.wait_until(|| is_settled(&relay, &id));
        let second = delivered(&relay);
        assert!(second.is_disjoint(&first), "{what}: sent again: {second:?}");
    }
    for arrival in graph.arrivals().iter().skip(before) {
        let text = String::from_utf8_lossy(&arrival.raw).into_owned();
        let whole = text
            .lines()
            .filter(|line| line.starts_with("line of message"));
        let lengths: BTreeSet<usize> = whole.map(str::len).collect();
        assert!(lengths.len() <= 1, "{what}: {text}");
    }
}

/// A relay that cannot read what was paused, or a salvage that has lost it, waits for an
/// operator.
fn resume_if_paused(home: &Home) {
    let status = said(&run(home, &["status"]));
    if status.contains("all delivery has been paused since ") {
        assert!(status.contains("what was paused before "), "{status}");
        let resumed = run(home, &["resume"]);
        assert!(resumed.status.success(), "{}", said(&resumed));
    }
}

/// The id of a new message, if the relay accepts one.
fn accepts(relay: &Relay) -> Option<String> {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let content = message("new", "a@example.org");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    let reply = smtp.say("DATA");
    if !reply.starts_with("354") {
        return None;
    }
    smtp.write(content.as_bytes());
    let reply = smtp.say(".");
    let id = reply.trim_end().strip_prefix("250 2.0.0 Ok: queued as ");
    id.map(str::to_owned)
}

fn delivered(relay: &Relay) -> BTreeSet<String> {
    let events = relay.events("delivered");
    let ids = events
        .iter()
        .map(|line| line["id"].as_str().unwrap().to_owned());
    ids.collect()
}

fn is_settled(relay: &Relay, id: &str) -> bool {
    ["delivered", "quarantined", "held"]
        .iter()
        .any(|event| relay.events(event).iter().any(|line| line["id"] == id))
}
