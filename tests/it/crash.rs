//! Repeated kill -9: every message that got its `250` is delivered, and only messages
//! that were under way at a kill are delivered twice.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Condvar;
use std::sync::Mutex;

use graph_relay_sandbox::Sandbox;

use crate::common;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::message;
use crate::common::said;
use crate::common::stand_in;

const CLIENTS: usize = 10;

/// At least so many.
const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_messages_under_kill_9_are_all_delivered() {
    all_are_delivered_under_kill_9(200, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_messages_under_kill_9_are_kept_and_not_sent_again() {
    let keep = "[history]\nkeep_content = \"1d\"";
    all_are_delivered_under_kill_9(200, keep).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: five thousand messages"]
async fn five_thousand_messages_under_kill_9_are_all_delivered() {
    all_are_delivered_under_kill_9(5000, "").await;
}

/// At least this number of messages. Each relay is killed when it has accepted its share of them.
async fn all_are_delivered_under_kill_9(messages: usize, sections: &str) {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(sections).build();
    let run = Run {
        messages,
        state: Mutex::new(State::default()),
        changed: Condvar::new(),
    };

    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| run.client());
        }
        while run.clients_at_work() {
            let mut relay = Relay::start(&home);
            run.has_relay(relay.address);
            relay.kill();
        }
    });

    // The last one was killed too, and this relay delivers what it left.
    let mut relay = Relay::start(&home);
    let state = run.state.into_inner().unwrap();
    let count = delivered(&graph, &state.accepted).await;
    assert!(state.accepted.len() >= messages);
    assert!(state.kills >= KILLS);
    // At a kill at most four are under way, and a client whose reply was cut off sends
    // its message again.
    let twice: usize = count.values().map(|n| n - 1).sum();
    let most = state.kills * (4 + CLIENTS);
    assert!(
        twice <= most,
        "{twice} more than once with {} kills",
        state.kills
    );

    // What has ended has ended: after another kill only the new message goes out.
    let listed = || common::run(&home, &["queue", "list", "--json"]).stdout;
    relay.wait_until(|| listed().is_empty());
    let before = graph.arrivals().len();
    relay.kill();
    let relay = Relay::start(&home);
    while !send(relay.address, &message("last", "a@example.org")) {}
    relay.event("delivered", |_| true);
    assert_eq!(graph.arrivals().len(), before + 1);
    let checked = common::run(&home, &["spool", "check"]);
    assert!(checked.status.success(), "{}", said(&checked));
}

struct Run {
    /// The smallest number.
    messages: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The address of the relay while it runs.
    relay: Option<SocketAddr>,
    kills: usize,
    begun: usize,
    accepted: BTreeSet<String>,
    /// Clients that have sent all of theirs.
    finished: usize,
}

impl Run {
    fn clients_at_work(&self) -> bool {
        self.state.lock().unwrap().finished < CLIENTS
    }

    /// Shows a relay to the clients until it has accepted its share, or all is sent.
    fn has_relay(&self, address: SocketAddr) {
        let mut state = self.state.lock().unwrap();
        state.relay = Some(address);
        self.changed.notify_all();
        let share = state.accepted.len() + self.messages / KILLS;
        let lives = |state: &mut State| state.accepted.len() < share && state.finished < CLIENTS;
        let waited = self.changed.wait_timeout_while(state, PATIENCE, lives);
        let (mut state, late) = waited.unwrap();
        assert!(!late.timed_out(), "{} accepted", state.accepted.len());
        state.relay = None;
        state.kills += 1;
    }

    /// Sends until there are enough; after any error the same message again.
    fn client(&self) {
        loop {
            let subject = {
                let mut state = self.state.lock().unwrap();
                if state.begun >= self.messages && state.kills >= KILLS {
                    state.finished += 1;
                    break;
                }
                state.begun += 1;
                format!("m{}", state.begun)
            };
            let content = message(&subject, "a@example.org");
            while !send(self.living(), &content) {}
            self.state.lock().unwrap().accepted.insert(subject);
            self.changed.notify_all();
        }
        self.changed.notify_all();
    }

    /// The relay, as soon as it runs.
    fn living(&self) -> SocketAddr {
        let state = self.state.lock().unwrap();
        let dead = |state: &mut State| state.relay.is_none();
        let waited = self.changed.wait_timeout_while(state, PATIENCE, dead);
        waited.unwrap().0.relay.expect("no relay came up")
    }
}

/// Waits until all of these have arrived; returns how often each has.
async fn delivered(graph: &Sandbox, accepted: &BTreeSet<String>) -> BTreeMap<String, usize> {
    loop {
        let arrivals = graph.arrivals();
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for arrival in &arrivals {
            *count.entry(arrival.subject.clone()).or_default() += 1;
        }
        let missing: Vec<_> = accepted
            .iter()
            .filter(|s| !count.contains_key(*s))
            .collect();
        if missing.is_empty() {
            return count;
        }
        // Looking at all of them again for each one would take longer than their delivery.
        let next = arrivals.len() + 1 + missing.len() / 50;
        let more = tokio::time::timeout(PATIENCE, graph.arrived(next)).await;
        assert!(more.is_ok(), "lost: {missing:?}");
    }
}

/// Whether the message got its `250`.
fn send(address: SocketAddr, content: &str) -> bool {
    let attempt = || -> std::io::Result<String> {
        let mut smtp = Smtp::try_connect(address)?;
        smtp.try_reply()?;
        smtp.try_say("EHLO client.example")?;
        smtp.try_send(MAILBOX, &["a@example.org"], content.as_bytes())
    };
    attempt().is_ok_and(|reply| reply.starts_with("250"))
}
