//! The disk fails where the database's file lies. A sector that cannot be read harms one
//! message. When the file cannot be written or synced, accepted mail is safe in the
//! database's log, and the relay says so.

use std::collections::BTreeSet;
use std::fs;

use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::find;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::send_one;
use crate::faults::clock::silent_entra;
use crate::faults::ledger::Letter;
use crate::faults::ledger::hand_over_all;
use crate::faults::ledger::is_drained;
use crate::faults::ledger::patient_stand_in;
use crate::faults::shim::Fault;
use crate::faults::shim::Shim;

/// SQLite's default.
const PAGE: usize = 4096;

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_sector_harms_one_message() {
    let graph = silent_entra().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    let ids: Vec<String> = (0..10)
        .map(|number| {
            let content = Letter::new(&format!("m{number}"), 3_000).content();
            send_one(
                &relay,
                &["a@example.org"],
                &String::from_utf8(content).unwrap(),
            )
        })
        .collect();
    // Now the database has everything without its log.
    relay.stop();
    let database = fs::read(home.path("data/spool.db")).unwrap();
    let bad = find(&database, b"filename=m5").unwrap() / PAGE * PAGE;
    let shim = Shim::compile();
    let start = || {
        let mut command = binary();
        command.arg("serve").arg("--config").arg(&home.config);
        shim.load(&mut command, &home.path("data"));
        command.env("FAULTS_UNREADABLE", format!("spool.db:{bad}:{PAGE}"));
        Relay::start_by(&mut command)
    };

    graph.clear_faults();
    let mut relay = start();

    let quarantined = relay.event("quarantined", |_| true);
    assert_eq!(quarantined["id"], ids[5].as_str());
    send_many(&relay, "after", 3);
    arrived(&graph, 12).await;
    // An outcome is logged before it is on record.
    relay.wait_until(|| is_drained(&home));
    // Messages next to it that were delivered stay delivered.
    relay.kill();
    let relay = start();
    send_many(&relay, "again", 1);
    relay.event("delivered", |_| true);
    assert_eq!(graph.arrivals().len(), 13);
    for command in ["show", "drop"] {
        let mut arguments = vec!["queue", command, &ids[5]];
        if command == "drop" {
            arguments.push("--yes");
        }
        let output = run(&home, &arguments);
        assert!(output.status.success(), "{command}: {}", said(&output));
    }
}

/// A relay that has taken in more than its database's log is meant to hold, and whose disk
/// fails when that goes into the database's file; its home, and the subjects that it accepted.
async fn with_a_long_log(fault: Fault, graph: &Sandbox) -> (Relay, Home, BTreeSet<String>) {
    let home = Home::new(graph);
    Relay::start(&home).stop();
    let shim = Shim::compile();
    let mut command = binary();
    command.arg("serve").arg("--config").arg(&home.config);
    shim.load(&mut command, &home.path("data"));
    fault.ask(&mut command, &home.path("report"));
    let relay = Relay::start_by(&mut command);
    let letters: Vec<_> = (0..200)
        .map(|number| Letter::new(&format!("m{number}"), 30_000))
        .collect();
    let taken = hand_over_all(relay.address, &letters);
    (relay, home, taken)
}

/// The subjects that arrived, once the relay has sent everything.
fn sent(relay: &Relay, home: &Home, graph: &Sandbox) -> BTreeSet<String> {
    relay.wait_until(|| is_drained(home));
    let arrivals = graph.arrivals();
    arrivals.iter().map(|it| it.subject.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_of_the_database_ends_the_relay() {
    let graph = patient_stand_in().await;
    let (mut relay, home, taken) = with_a_long_log(Fault::SyncsOfDatabase, &graph).await;

    let words = relay.event("relay_failed", |_| true)["reason"].to_string();
    assert_eq!(relay.wait().code(), Some(70));
    assert!(
        words.contains("the disk did not confirm a write"),
        "{words}"
    );
    let relay = Relay::start(&home);
    assert!(sent(&relay, &home, &graph).is_superset(&taken));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_written_is_told_of_and_loses_nothing() {
    let graph = patient_stand_in().await;
    let (mut relay, home, taken) = with_a_long_log(Fault::ChangesOfDatabase, &graph).await;

    assert_eq!(taken.len(), 200);
    assert_eq!(sent(&relay, &home, &graph), taken);
    let status = said(&run(&home, &["status"]));
    assert!(
        status.contains("data/spool.db: disk I/O error; nothing is lost"),
        "{status}"
    );

    // Each try would copy the whole log for nothing, so there are few.
    let tries = fs::read_to_string(home.path("report")).unwrap();
    assert!(tries.lines().count() < 5, "{tries}");

    relay.stop();
    let relay = Relay::start(&home);
    send_many(&relay, "after", 1);
    relay.event("delivered", |_| true);
    assert_eq!(graph.arrivals().len(), 201);
}
