//! A wall clock that is wrong at start or is set while the relay runs, in either
//! direction and by years: no message waits longer, fails or is removed because of it,
//! and none is sent twice.
//!
//! libfaketime stands between the relay and the wall clock. The monotonic clocks stay as
//! they are, as on a real machine.

use std::fs;
use std::path::PathBuf;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::faults::ledger::count;

/// No test here takes this long, in days.
const LONG: u32 = 30;

/// The wall clock for the relays of one home.
struct WallClock<'a> {
    home: &'a Home,
}

impl<'a> WallClock<'a> {
    /// A clock that is off by this much, in libfaketime's notation.
    fn off_by(home: &'a Home, offset: &str) -> Self {
        let clock = Self { home };
        clock.set(offset);
        clock
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the relay reads the file at any time, and nobody needs it after a crash"
    )]
    fn set(&self, offset: &str) {
        let new = self.home.path("clock.new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, self.home.path("clock")).unwrap();
    }

    fn start(&self) -> Relay {
        let mut command = binary();
        command
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_TIMESTAMP_FILE", self.home.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        command.arg("serve").arg("--config").arg(&self.home.config);
        Relay::start_by(&mut command)
    }
}

/// In the folder of each architecture, as on Debian and others.
fn libfaketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let libraries = folders.map(|folder| {
        let folder = folder.unwrap().path();
        folder.join("faketime/libfaketimeMT.so.1")
    });
    let found = libraries.into_iter().find(|library| library.exists());
    found.expect("libfaketime is not installed")
}

/// A stand-in whose Entra does not answer, until its faults are cleared.
pub(crate) async fn silent_entra() -> Sandbox {
    let graph = stand_in().await;
    graph.inject(Fault {
        times: 100_000,
        ..Fault::at_token(503)
    });
    graph
}

fn send(relay: &Relay, subject: &str) -> String {
    let content = message(subject, "a@example.org");
    send_one(relay, &["a@example.org"], &content)
}

/// Waits until this number of attempts has been deferred.
fn deferred(relay: &Relay, count: usize) {
    relay.wait_until(|| relay.events("deferred").len() >= count);
}

/// Waits until these are delivered.
fn delivered(relay: &Relay, ids: &[String]) {
    for id in ids {
        relay.event("delivered", |line| line["id"] == **id);
    }
}

/// Asserts that messages wait, and that no command shows a wait that is longer than the test. It
/// reads `due_in_ms` and not the table: the age there follows the wall clock and may be years.
fn assert_no_long_wait(home: &Home) {
    let listed = said(&run(home, &["queue", "list", "--json"]));
    let waits = listed.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry["due_in_ms"].as_u64().unwrap()
    });
    let waits: Vec<u64> = waits.collect();
    let long = u64::from(LONG) * 24 * 60 * 60 * 1000;
    assert!(!waits.is_empty(), "no message is in the queue");
    assert!(waits.iter().all(|it| *it < long), "{waits:?}");
    assert_status_shows_no_long_time(home);
}

fn assert_status_shows_no_long_time(home: &Home) {
    let text = said(&run(home, &["status"]));
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '-');
    let days = words.filter_map(|word| word.strip_suffix('d')?.parse().ok());
    let long = days.filter(|days: &i32| days.unsigned_abs() >= LONG);
    assert_eq!(long.count(), 0, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime: .ci/run installs it"]
async fn mail_accepted_with_the_clock_years_ahead_is_sent_after_a_correction() {
    let graph = silent_entra().await;
    let home = Home::new(&graph);
    let clock = WallClock::off_by(&home, "+3650d");
    let relay = clock.start();
    let ahead = send(&relay, "ahead");
    deferred(&relay, 1);

    clock.set("+0");

    let right = send(&relay, "right");
    assert_no_long_wait(&home);
    deferred(&relay, 2);
    assert_no_long_wait(&home);
    graph.clear_faults();
    delivered(&relay, &[ahead, right]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime: .ci/run installs it"]
async fn mail_accepted_with_the_clock_years_behind_does_not_expire_after_a_correction() {
    let graph = silent_entra().await;
    let home = Home::new(&graph);
    let clock = WallClock::off_by(&home, "-8900d");
    let relay = clock.start();
    let behind = send(&relay, "behind");
    deferred(&relay, 1);

    clock.set("+0");

    deferred(&relay, 2);
    assert_no_long_wait(&home);
    graph.clear_faults();
    delivered(&relay, &[behind]);
    assert_eq!(relay.events("failed"), [] as [serde_json::Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime: .ci/run installs it"]
async fn a_start_with_the_clock_a_month_ahead_keeps_failed_mail() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let clock = WallClock::off_by(&home, "+0");
    let mut relay = clock.start();
    let content = message("refused", "invalid@example.org");
    let id = send_one(&relay, &["invalid@example.org"], &content);
    relay.event("failed", |line| line["id"] == *id);
    relay.stop();

    clock.set("+31d");
    let relay = clock.start();

    // Each start purges at once, and this is written afterwards.
    let next = send(&relay, "next");
    delivered(&relay, &[next]);
    let kept = "state = 'failed' AND id IN (SELECT entry FROM content)";
    assert_eq!(count(&home, kept), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime: .ci/run installs it"]
async fn promise_4_a_clock_that_jumps_does_not_send_a_draft_again() {
    let settings = Settings {
        sent_item_lookups: 2,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let home = Home::with(&graph)
        .account(MAILBOX, "submission = \"draft\"")
        .build();
    let clock = WallClock::off_by(&home, "+0");
    let relay = clock.start();
    graph.inject(Fault {
        stored: Some(true),
        ..Fault::at(Station::Submit, 504)
    });
    let id = send(&relay, "late");
    relay.event("doubtful", |line| line["id"] == *id);

    clock.set("+11m");

    delivered(&relay, &[id]);
    assert_eq!(graph.arrivals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime: .ci/run installs it"]
async fn queue_commands_for_all_reach_mail_accepted_with_the_clock_ahead() {
    let graph = silent_entra().await;
    let home = Home::new(&graph);
    let clock = WallClock::off_by(&home, "+730d");
    let relay = clock.start();
    let ids = send_many(&relay, "ahead", 2);
    deferred(&relay, 1);

    clock.set("+0");

    for command in ["hold", "release", "retry"] {
        // A message with a running attempt is not included, and is found the next time.
        relay.wait_until(|| {
            let output = run(&home, &["queue", command, "--all", "--yes"]);
            let text = said(&output);
            assert!(output.status.success(), "{text}");
            // `1 held, 1 unchanged, 0 not held`
            let counts = text.lines().last().unwrap().split(", ").take(2);
            let counts = counts.map(|count| count.split(' ').next().unwrap().parse::<u32>());
            counts.map(Result::unwrap).sum::<u32>() == 2
        });
    }
    graph.clear_faults();
    delivered(&relay, &ids);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime: .ci/run installs it"]
async fn mail_is_sent_although_the_clock_is_behind_at_the_next_start() {
    let graph = silent_entra().await;
    let home = Home::new(&graph);
    let clock = WallClock::off_by(&home, "+0");
    let mut relay = clock.start();
    let ids = send_many(&relay, "before", 2);
    deferred(&relay, 1);
    relay.stop();

    clock.set("-215d");
    let relay = clock.start();

    assert_no_long_wait(&home);
    graph.clear_faults();
    delivered(&relay, &ids);
    assert_status_shows_no_long_time(&home);
}
