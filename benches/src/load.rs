//! The load: the same for every target. A number of connections send messages as fast as they are
//! acknowledged, each connection is closed and opened again after so many messages, and the load
//! ends after a count of messages or a time, whichever comes first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::client::Connection;
use crate::client::Manner;
use crate::client::Refusal;
use crate::message::Template;

/// What to send.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) connections: u64,
    pub(crate) messages: u64,
    pub(crate) messages_per_connection: u64,
    pub(crate) time: Duration,
    pub(crate) manner: Manner,
    pub(crate) template: Arc<Template>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages answered by 250.
    pub(crate) acknowledged: u64,
    /// Messages that were not.
    pub(crate) refused: u64,
    /// From the first connect to the last reply.
    pub(crate) elapsed: Duration,
    /// From the last byte of a message to its 250, in ascending order.
    pub(crate) latencies: Vec<Duration>,
    /// The first reason heard.
    pub(crate) refusal: Option<String>,
}

/// Sends the load; message numbers begin at `first_number`.
pub(crate) async fn send(address: SocketAddr, load: &Load, first_number: u64) -> Tally {
    let next = Arc::new(AtomicU64::new(first_number));
    let end = first_number + load.messages;
    let start = Instant::now();

    let mut tasks = JoinSet::new();
    for _ in 0..load.connections {
        let sender = Sender {
            address,
            load: load.clone(),
            next: Arc::clone(&next),
            end,
            deadline: start + load.time,
            tally: Tally::default(),
        };
        tasks.spawn(sender.run());
    }

    let mut total = Tally::default();
    for tally in tasks.join_all().await {
        total.acknowledged += tally.acknowledged;
        total.refused += tally.refused;
        total.latencies.extend(tally.latencies);
        total.refusal = total.refusal.or(tally.refusal);
    }
    total.elapsed = start.elapsed();
    total.latencies.sort_unstable();
    total
}

impl Tally {
    /// Acknowledged messages a second.
    pub(crate) fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that so many of a hundred replies did not exceed.
    pub(crate) fn latency(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }
}

/// One connection after the other, until the load is sent.
struct Sender {
    address: SocketAddr,
    load: Load,
    next: Arc<AtomicU64>,
    end: u64,
    deadline: Instant,
    tally: Tally,
}

impl Sender {
    async fn run(mut self) -> Tally {
        while self.goes_on() {
            if let Err(refusal) = self.connection().await {
                self.tally.refused += 1;
                self.tally
                    .refusal
                    .get_or_insert_with(|| refusal.to_string());
                sleep(PAUSE_AFTER_REFUSAL).await;
            }
        }
        self.tally
    }

    /// One connection with its share of messages.
    async fn connection(&mut self) -> Result<(), Refusal> {
        let mut connection = limited(Connection::open(self.address)).await?;
        for _ in 0..self.load.messages_per_connection {
            if !self.goes_on() {
                break;
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.end {
                break;
            }
            let message = self.load.template.message(number);
            let latency = limited(connection.send(&message, self.load.manner)).await?;
            self.tally.acknowledged += 1;
            self.tally.latencies.push(latency);
        }
        limited(connection.quit()).await
    }

    fn goes_on(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.end && Instant::now() < self.deadline
    }
}

/// No server may hold the run up for ever.
async fn limited<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    match timeout(LONGEST_WAIT, work).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::Reply(format!(
            "no reply within {} s",
            LONGEST_WAIT.as_secs()
        ))),
    }
}

/// Long past any reply of a server that works, short enough to end a run with a server that hangs.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A server that refuses must not be met with a busy loop.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_read_at_their_place() {
        let tally = Tally {
            latencies: (0..=100).map(Duration::from_millis).collect(),
            ..Tally::default()
        };

        assert_eq!(tally.latency(50), Duration::from_millis(50));
        assert_eq!(tally.latency(99), Duration::from_millis(99));
        assert_eq!(Tally::default().latency(50), Duration::ZERO);
    }
}
