//! kill -9 at any moment: every message that got its `250` is delivered, and
//! only what was under way at a kill more than once.

mod common;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use common::Home;
use common::MAILBOX;
use common::PATIENCE;
use common::Relay;
use common::Smtp;
use common::message;
use common::stand_in;

const MESSAGES: u32 = 1000;
const CLIENTS: u32 = 10;
/// The relay lives for so long, again and again.
const LIFE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_under_kill_9_are_all_delivered() {
    let graph = stand_in().await;
    let home = Home::new(&graph, "");
    let relay = Relay::start(&home);
    let address = Mutex::new(relay.address);
    let next = AtomicU32::new(0);
    let accepted: Mutex<BTreeSet<String>> = Mutex::default();

    let mut kills = 0_usize;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| client(&address, &next, &accepted)))
            .collect();
        let mut relay = relay;
        while !clients.iter().all(|client| client.is_finished()) {
            let born = Instant::now();
            while born.elapsed() < LIFE && !clients.iter().all(|client| client.is_finished()) {
                std::thread::yield_now();
            }
            relay.kill();
            kills += 1;
            relay = Relay::start(&home);
            *address.lock().unwrap() = relay.address;
        }
    });
    // The last one was killed too: what it left is for this one.
    let _relay = Relay::start(&home);

    let accepted = accepted.into_inner().unwrap();
    assert_eq!(accepted.len(), MESSAGES as usize);
    let deadline = Instant::now() + PATIENCE;
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    while Instant::now() < deadline {
        count.clear();
        for arrival in graph.arrivals() {
            *count.entry(arrival.subject.clone()).or_default() += 1;
        }
        if accepted.iter().all(|subject| count.contains_key(subject)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let missing: Vec<_> = accepted
        .iter()
        .filter(|s| !count.contains_key(*s))
        .collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    // At a kill at most four are under way, and a client whose reply was cut
    // off sends its message again.
    let twice: usize = count.values().map(|n| n - 1).sum();
    let most = (kills + 1) * (4 + CLIENTS as usize);
    assert!(kills >= 2, "the relay was killed {kills} times only");
    assert!(twice <= most, "{twice} more than once with {kills} kills");
}

/// Sends until all are accepted; on any trouble the same message again.
fn client(address: &Mutex<SocketAddr>, next: &AtomicU32, accepted: &Mutex<BTreeSet<String>>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= MESSAGES {
            return;
        }
        let subject = format!("m{number}");
        let content = message(&subject, "a@example.org");
        let deadline = Instant::now() + PATIENCE;
        while !send(*address.lock().unwrap(), &content) {
            assert!(Instant::now() < deadline, "{subject} is not taken");
            std::thread::yield_now();
        }
        accepted.lock().unwrap().insert(subject);
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
