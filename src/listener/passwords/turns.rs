//! Decides whose password is verified next.
//!
//! Promises: a few verifications run at once, and only one for each client. Clients take
//! turns, so the wait of a client depends on the number of other clients, not on how much
//! each of them asks for. A client that stops waiting leaves the queue.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use crate::mail::Client;

/// A queue in which clients take turns; clones share it.
#[derive(Clone, Debug)]
pub(in crate::listener) struct Turns(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    /// Free turns.
    free: usize,
    /// Clients that have a turn or wait for one.
    clients: HashMap<Client, Waiting>,
    /// Clients that wait and have no turn, each once, the longest waiting first.
    next: VecDeque<Client>,
}

#[derive(Debug, Default)]
struct Waiting {
    has_turn: bool,
    /// In order of arrival.
    calls: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn of a client; it ends when this is dropped.
#[derive(Debug)]
pub(in crate::listener) struct Turn {
    turns: Turns,
    client: Client,
}

impl Turns {
    /// A queue with this number of turns at once.
    pub(in crate::listener) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: at_once,
            clients: HashMap::new(),
            next: VecDeque::new(),
        })))
    }

    /// Waits for a turn of this client. Dropping the future gives up the place.
    pub(in crate::listener) async fn take(&self, client: Client) -> Turn {
        loop {
            let (call, called) = oneshot::channel();
            self.queue().enter(client, call);
            self.give_out();
            // A turn is only lost with the queue itself, which `self` keeps alive.
            if let Ok(turn) = called.await {
                return turn;
            }
        }
    }

    /// Gives the free turns to the next clients.
    fn give_out(&self) {
        loop {
            let Some((client, call)) = self.queue().call_next() else {
                return;
            };
            let turn = Turn {
                turns: self.clone(),
                client,
            };
            // A client that has just left drops the turn, which passes it on.
            drop(call.send(turn));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn enter(&mut self, client: Client, call: oneshot::Sender<Turn>) {
        let waiting = self.clients.entry(client).or_default();
        // Abandoned places must not add up while their client waits.
        waiting.calls.retain(|call| !call.is_closed());
        waiting.calls.push_back(call);
        if !waiting.has_turn && !self.next.contains(&client) {
            self.next.push_back(client);
        }
    }

    /// Takes a free turn for the next client that still waits.
    fn call_next(&mut self) -> Option<(Client, oneshot::Sender<Turn>)> {
        if self.free == 0 {
            return None;
        }
        while let Some(client) = self.next.pop_front() {
            let Some(waiting) = self.clients.get_mut(&client) else {
                continue;
            };
            while let Some(call) = waiting.calls.pop_front() {
                if !call.is_closed() {
                    waiting.has_turn = true;
                    self.free -= 1;
                    return Some((client, call));
                }
            }
            self.clients.remove(&client);
        }
        None
    }

    fn end_turn(&mut self, client: Client) {
        self.free += 1;
        let Some(waiting) = self.clients.get_mut(&client) else {
            return;
        };
        waiting.has_turn = false;
        if waiting.calls.is_empty() {
            self.clients.remove(&client);
        } else {
            self.next.push_back(client);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.queue().end_turn(self.client);
        self.turns.give_out();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    fn client(last: u8) -> Client {
        Client::at([192, 0, 2, last].into())
    }

    type Taking = Pin<Box<dyn Future<Output = Turn>>>;

    /// Everybody in a queue, by the name of their client, and those served so far.
    struct Crowd {
        turns: Turns,
        waiting: Vec<(u8, Taking)>,
        served: Vec<(u8, Turn)>,
    }

    impl Crowd {
        fn new(at_once: usize) -> Self {
            Self {
                turns: Turns::new(at_once),
                waiting: Vec::new(),
                served: Vec::new(),
            }
        }

        async fn enter(&mut self, name: u8) {
            let turns = self.turns.clone();
            let take = Box::pin(async move { turns.take(client(name)).await });
            self.waiting.push((name, take));
            self.look().await;
        }

        async fn look(&mut self) {
            let mut still = Vec::new();
            for (name, mut waiting) in std::mem::take(&mut self.waiting) {
                match poll!(waiting.as_mut()) {
                    Poll::Ready(turn) => self.served.push((name, turn)),
                    Poll::Pending => still.push((name, waiting)),
                }
            }
            self.waiting = still;
        }

        /// Ends the oldest turn; returns its client.
        async fn end_turn(&mut self) -> u8 {
            let (name, turn) = self.served.remove(0);
            drop(turn);
            self.look().await;
            name
        }
    }

    #[tokio::test]
    async fn a_client_has_one_turn_at_a_time_and_clients_alternate() {
        let mut crowd = Crowd::new(2);
        for _ in 0..4 {
            crowd.enter(1).await;
        }
        assert_eq!(crowd.served.len(), 1);
        for name in [2, 3, 3, 2] {
            crowd.enter(name).await;
        }

        let mut order = Vec::new();
        while !crowd.served.is_empty() {
            let mut names: Vec<u8> = crowd.served.iter().map(|(name, _)| *name).collect();
            names.dedup();
            assert!(names.len() == crowd.served.len() && names.len() <= 2);
            order.push(crowd.end_turn().await);
        }
        assert_eq!(order, [1, 2, 3, 1, 2, 3, 1, 1]);
        assert!(crowd.turns.queue().clients.is_empty());
    }

    #[tokio::test]
    async fn a_newcomer_waits_for_clients_and_not_for_what_they_ask() {
        let mut crowd = Crowd::new(1);
        for n in 0..500_u16 {
            crowd.enter((n % 8).to_le_bytes()[0]).await;
        }
        crowd.enter(99).await;

        let mut before = 0;
        while crowd.end_turn().await != 99 {
            before += 1;
        }

        assert_eq!(before, 8);
    }

    #[tokio::test]
    async fn a_client_that_disconnects_leaves_the_queue() {
        let mut crowd = Crowd::new(1);
        crowd.enter(1).await;
        for n in 0..500_u16 {
            crowd.enter((n % 8).to_le_bytes()[0]).await;
        }
        crowd.waiting.clear();
        crowd.enter(9).await;
        assert_eq!(crowd.end_turn().await, 1);
        assert_eq!(crowd.served[0].0, 9);

        // Also one that has its turn and has not noticed it.
        crowd.enter(1).await;
        crowd.enter(2).await;
        let (_, turn) = crowd.served.remove(0);
        drop(turn);
        drop(crowd.waiting.remove(0));
        crowd.look().await;
        assert_eq!(crowd.served[0].0, 2);
    }

    #[tokio::test]
    async fn a_crowd_that_gave_up_is_not_remembered() {
        let mut crowd = Crowd::new(1);
        crowd.enter(1).await;
        for _ in 0..1000 {
            crowd.enter(2).await;
            crowd.waiting.clear();
        }

        let waiting = &crowd.turns.queue().clients[&client(2)];
        assert!(waiting.calls.len() <= 1);
    }
}
