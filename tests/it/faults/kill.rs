//! kill -9 under load, at any moment: in the middle of a message, of a commit, or of a
//! request to Graph.

use crate::common::Relay;
use crate::faults::ledger::Figures;
use crate::faults::ledger::Mode;
use crate::faults::ledger::is_drained;
use crate::faults::load::Load;
use crate::faults::power::stand_in;

/// The most messages that are acknowledged during the life of one relay.
const LONGEST_LIFE: usize = 60;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: takes a minute or two"]
async fn many_kills_under_load_lose_nothing() {
    tokio::task::block_in_place(|| {
        for mode in [Mode::Send, Mode::Draft] {
            kills(mode, 30, "");
        }
        // What is kept after its end stays ended.
        kills(Mode::Send, 15, "[history]\nkeep_content = \"1d\"");
    });
}

fn kills(mode: Mode, kills: usize, sections: &str) {
    let graph = stand_in();
    let home = mode.home(&graph, sections);
    let mut random = fastrand::Rng::with_seed(2);
    let mut interrupted = 0;
    let (letters, acknowledged) = Load::during(|load| {
        let mut wanted = 0;
        for _ in 0..kills {
            let mut relay = Relay::start(&home);
            load.set_relay(Some(relay.address));
            wanted += random.usize(1..LONGEST_LIFE);
            load.wait_for(wanted);
            relay.kill();
            load.set_relay(None);
            interrupted += relay.events("doubtful").len();
        }
    });
    let mut relay = Relay::start(&home);
    relay.wait_until(|| is_drained(&home));
    // Drafts that a killed relay has created and not recorded.
    relay.wait_until(|| graph.drafts().is_empty());
    relay.stop();
    interrupted += relay.events("doubtful").len();
    let mut figures = Figures::of(&letters, &acknowledged, &graph.arrivals());
    figures.runs = kills;
    println!("{mode:?}, kill -9 under load: {figures}, no drafts left");
    let most = match mode {
        Mode::Send => interrupted,
        Mode::Draft => 0,
    };
    assert_eq!((figures.lost, figures.half), (0, 0), "{mode:?}: {figures}");
    assert!(figures.twice <= most, "{mode:?}: {figures}, not {most}");
}
