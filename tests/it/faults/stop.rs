//! The n-th change of a file or name fails, for every n until a run has fewer changes:
//! the relay is killed before it or within it, or the operation fails.
//!
//! A run accepts, splits, delivers, fails, reports and stops once. Then the relay is
//! started again as systemd would, without faults.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use graph_relay_sandbox::Sandbox;
use tokio::runtime::Handle;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::faults::ledger::Figures;
use crate::faults::ledger::Letter;
use crate::faults::ledger::Mode;
use crate::faults::ledger::count;
use crate::faults::ledger::hand_over_all;
use crate::faults::ledger::is_drained;
use crate::faults::ledger::patient_stand_in;
use crate::faults::record::Disk;
use crate::faults::shim::Fault;
use crate::faults::shim::How;
use crate::faults::shim::Shim;
use crate::faults::shim::Syncs;

/// Parallel runs: one works while the other waits.
const AT_ONCE: usize = 3;
/// A sample of all n, for the shorter test.
const SAMPLE: u32 = 101;
/// Recipients of a message that is split in two.
const MANY: usize = 501;
/// The message whose only recipient the stand-in always refuses.
const REFUSED: &str = "refused";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_or_power_cut_at_any_of_a_sample_of_writes_loses_nothing() {
    let shim = Shim::compile();
    for mode in [Mode::Send, Mode::Draft] {
        for (how, then) in [(How::Short, Then::Restart), (How::Kill, Then::PowerCut)] {
            every_stop(&shim, mode, how, then, SAMPLE);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: takes a minute or two"]
async fn a_kill_at_any_write_or_sync_loses_nothing() {
    let shim = Shim::compile();
    for mode in [Mode::Send, Mode::Draft] {
        every_stop(&shim, mode, How::Short, Then::Restart, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: takes a minute or two"]
async fn a_power_cut_at_any_write_or_sync_loses_nothing() {
    let shim = Shim::compile();
    for mode in [Mode::Send, Mode::Draft] {
        every_stop(&shim, mode, How::Kill, Then::PowerCut, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: takes a minute or two"]
async fn a_failure_of_any_write_or_sync_loses_nothing() {
    let shim = Shim::compile();
    for (mode, how) in [
        (Mode::Send, How::Eio),
        (Mode::Draft, How::Eio),
        (Mode::Draft, How::NoSpace),
    ] {
        every_stop(&shim, mode, how, Then::Restart, 1);
    }
}

/// What happens between the fault and the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Restart,
    /// All or part of what was not synced is lost.
    PowerCut,
}

/// Runs with the fault at every `step`-th n until a run ends before it.
fn every_stop(shim: &Shim, mode: Mode, how: How, then: Then, step: u32) {
    let next = AtomicU32::new(1);
    let figures = Mutex::new(Figures::default());
    let runtime = Handle::current();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(step, Ordering::Relaxed);
                        let stop = Stop {
                            number,
                            mode,
                            how,
                            then,
                        };
                        let Some(of_run) = stop.run(shim, &runtime) else {
                            break;
                        };
                        figures.lock().unwrap().add(&of_run);
                    }
                });
            }
        });
    });
    let figures = figures.into_inner().unwrap();
    println!("{mode:?} {how:?} {then:?}, every {step}: {figures}");
    assert!(figures.runs > 3, "{figures}");
}

/// One fault.
#[derive(Clone, Copy, Debug)]
struct Stop {
    number: u32,
    mode: Mode,
    how: How,
    then: Then,
}

impl Stop {
    /// None if the run ended before the fault.
    fn run(self, shim: &Shim, runtime: &Handle) -> Option<Figures> {
        let graph = runtime.block_on(patient_stand_in());
        let home = self.mode.home(&graph, "");
        let data = home.path("data");
        let disk = Disk::of(&data, u64::from(self.number));
        let (report, record) = (home.path("report"), home.path("record"));
        let mut command = binary();
        command.arg("serve").arg("--config").arg(&home.config);
        shim.load(&mut command, &data);
        Fault::At(self.number, self.how).ask(&mut command, &report);
        if self.then == Then::PowerCut {
            Syncs::Recorded.ask(&mut command);
            command.env("FAULTS_RECORD", &record);
        }
        let letters = letters();

        let acknowledged = work(&home, &mut command, &letters);

        let report = fs::read_to_string(&report).unwrap();
        if report.is_empty() {
            return None;
        }
        if self.then == Then::PowerCut {
            let mut disk = disk;
            disk.replay(&record);
            disk.cut(&data);
        }
        let mut relay = Relay::start(&home);
        relay.wait_until(|| is_drained(&home));
        relay.wait_until(|| graph.drafts().is_empty());
        let failed = count(&home, "state = 'failed'");
        relay.stop();
        let fault = format!("{self:?}: {report}{:#?}", relay.all());
        let wanted = letters.iter().filter(|letter| letter.subject != REFUSED);
        let figures = Figures::of(wanted, &acknowledged, &graph.arrivals());
        assert_eq!((figures.lost, figures.half), (0, 0), "{fault}");
        // In one request, messages under way may arrive twice, and are reported as
        // doubtful.
        let most = match self.mode {
            Mode::Send => relay.events("doubtful").len(),
            Mode::Draft => 0,
        };
        assert!(figures.twice <= most, "{} twice, {fault}", figures.twice);
        if acknowledged.contains(REFUSED) {
            assert_eq!(failed, Some(1), "{fault}");
            assert!((1..=1 + most).contains(&reports(&graph)), "{fault}");
        }
        Some(figures)
    }
}

/// The life of a relay up to the fault or to its end; returns the accepted messages.
fn work(home: &Home, command: &mut std::process::Command, letters: &[Letter]) -> BTreeSet<String> {
    let Ok(mut relay) = Relay::try_start_by(command) else {
        return BTreeSet::new();
    };
    let taken = hand_over_all(relay.address, letters);
    if relay.wait_until_or_ended(|| is_drained(home)).is_none() {
        relay.stop();
    }
    taken
}

/// One message of each kind that takes a different path through the spool. The refused
/// one has a mailbox's own address as its sender, which gets the report.
fn letters() -> Vec<Letter> {
    let many = (0..MANY).map(|number| format!("r{number}@example.org"));
    vec![
        Letter::new("small", 2_000),
        Letter::new("large", 140_000),
        Letter::new("many", 3_000).to(many),
        Letter::new(REFUSED, 2_000).to(["invalid@example.org".to_owned()]),
    ]
}

/// The number of reports that arrived.
fn reports(graph: &Sandbox) -> usize {
    let arrivals = graph.arrivals();
    let to_sender = arrivals.iter().filter(|arrival| arrival.to == [MAILBOX]);
    to_sender.count()
}
