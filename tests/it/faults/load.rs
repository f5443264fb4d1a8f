//! Clients that send without a pause while the relay is killed and restarted.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Condvar;
use std::sync::Mutex;

use crate::common::PATIENCE;
use crate::faults::ledger::Letter;
use crate::faults::ledger::greet;

/// The number of clients.
const CLIENTS: usize = 4;

/// State that the clients and the test share.
pub(crate) struct Load {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The address of the relay while it runs.
    relay: Option<SocketAddr>,
    is_over: bool,
    letters: Vec<Letter>,
    acknowledged: BTreeSet<String>,
}

impl Load {
    /// Sends while `test` runs; returns the letters sent, and those accepted.
    pub(crate) fn during(test: impl FnOnce(&Self)) -> (Vec<Letter>, BTreeSet<String>) {
        let load = Self {
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| load.send());
            }
            // The clients end even if the test panics.
            let _end = End(&load);
            test(&load);
        });
        let state = load.state.into_inner().unwrap();
        (state.letters, state.acknowledged)
    }

    /// Sets the address of the relay, or that there is none.
    pub(crate) fn set_relay(&self, relay: Option<SocketAddr>) {
        self.state.lock().unwrap().relay = relay;
        self.changed.notify_all();
    }

    /// Waits until this number was acknowledged.
    pub(crate) fn wait_for(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let few = |state: &mut State| state.acknowledged.len() < count;
        let waited = self.changed.wait_timeout_while(state, PATIENCE, few);
        assert!(!waited.unwrap().1.timed_out(), "no mail is acknowledged");
    }

    /// One client. A failed message is not sent again, because its outcome is unknown.
    fn send(&self) {
        while let Some(relay) = self.living() {
            let Ok(mut smtp) = greet(relay) else { continue };
            loop {
                let letter = self.next();
                match letter.hand_over(&mut smtp) {
                    Ok(true) => {
                        let mut state = self.state.lock().unwrap();
                        state.acknowledged.insert(letter.subject);
                        self.changed.notify_all();
                        if state.is_over {
                            return;
                        }
                    }
                    Ok(false) => {}
                    Err(_) => break,
                }
            }
        }
    }

    fn next(&self) -> Letter {
        let mut state = self.state.lock().unwrap();
        let number = state.letters.len();
        let size = match number % 10 {
            3 => 100_000,
            6 => 140_000,
            9 => 400_000,
            _ => 4_000,
        };
        let letter = Letter::new(&format!("m{number}"), size);
        state.letters.push(letter.clone());
        letter
    }

    /// The relay, as soon as it runs; none when the test is over.
    fn living(&self) -> Option<SocketAddr> {
        let state = self.state.lock().unwrap();
        let dead = |state: &mut State| state.relay.is_none() && !state.is_over;
        let waited = self.changed.wait_timeout_while(state, PATIENCE, dead);
        let state = waited.unwrap().0;
        if state.is_over { None } else { state.relay }
    }
}

struct End<'a>(&'a Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.state.lock() {
            state.is_over = true;
        }
        self.0.changed.notify_all();
    }
}
