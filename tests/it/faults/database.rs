//! An unreadable sector of the database: the disk returns EIO each time. One message is
//! quarantined, the others are sent.

use std::fs;

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
use crate::faults::ledger::is_drained;
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
