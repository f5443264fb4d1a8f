//! The kernel's file with the boot ID is hidden, as the unit of the service hides it
//! (`ProcSubset=pid`): a variable that systemd fills takes its place.

use rusqlite::Connection;

use crate::common::Home;
use crate::common::Relay;
use crate::common::binary;
use crate::common::send_many;
use crate::common::stand_in;
use crate::faults::shim::Shim;

const BOOT: &str = "3f0c4d7b5f6e4a0f9a3f6c1d2e4b5a69";
const NEXT_BOOT: &str = "81d7c0a2a4d94c5e8e0b7f3a6d2c1b40";

/// How many times the relay says that the wall clock was set forward by ten days while it was
/// stopped.
fn notices(home: &Home, shim: &Shim, boot: &str) -> usize {
    let db = Connection::open(home.path("data/spool.db")).unwrap();
    let days = 10 * 24 * 60 * 60 * 1000;
    let rows = db.execute("UPDATE clock SET wall = wall - ?1", [days]);
    assert_eq!(rows, Ok(1));
    drop(db);
    let mut relay = start(home, shim, boot);
    send_many(&relay, "after", 1);
    relay.event("delivered", |_| true);
    relay.stop();
    relay.events("clock_changed").len()
}

fn start(home: &Home, shim: &Shim, boot: &str) -> Relay {
    let mut command = binary();
    command.arg("serve").arg("--config").arg(&home.config);
    shim.load(&mut command, home.config.parent().unwrap());
    command.env("FAULTS_HIDDEN", "/proc/sys/kernel/random/boot_id");
    command.env("GRAPH_RELAY_BOOT_ID", boot);
    Relay::start_by(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_boot_id_comes_from_a_variable() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let shim = Shim::compile();
    start(&home, &shim, BOOT).stop();

    assert_eq!(notices(&home, &shim, BOOT), 1);
    // After a reboot nothing tells a clock that was set forward from a long stop.
    assert_eq!(notices(&home, &shim, NEXT_BOOT), 0);
}
