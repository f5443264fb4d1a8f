//! Tells the dispatcher in which destinations something became due. It lasts only until it is
//! asked for: after a start the dispatcher looks at every destination.

use super::Spool;
use super::lock_mutex;
use crate::mail::Destination;

/// A destination in which something became due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// The destination.
    pub destination: Destination,
    /// How urgent it is.
    pub urgency: Urgency,
}

/// How urgent something due is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It waits for its turn.
    Ordinary,
    /// An operator wants to know now whether it can be sent.
    AtOnce,
}

/// The number of the last arrivals that a new one is compared with, so that a burst does not
/// list each of its messages.
const COMPARED: usize = 16;

impl Spool {
    /// Waits for destinations in which something became due since the last call, and returns
    /// each once for each urgency.
    pub async fn arrivals(&self) -> Vec<Arrival> {
        loop {
            let arrived = self.shared.arrived.notified();
            let taken = self.arrivals_so_far();
            if !taken.is_empty() {
                return taken;
            }
            arrived.await;
        }
    }

    /// The same without waiting.
    pub fn arrivals_so_far(&self) -> Vec<Arrival> {
        let mut taken = std::mem::take(&mut *lock_mutex(&self.shared.arrivals));
        taken.sort();
        taken.dedup();
        taken
    }

    pub(super) fn announce(&self, destination: Destination, urgency: Urgency) {
        let arrival = Arrival {
            destination,
            urgency,
        };
        let mut arrivals = lock_mutex(&self.shared.arrivals);
        // Many messages of a few destinations are the usual case.
        if !arrivals
            .iter()
            .rev()
            .take(COMPARED)
            .any(|it| *it == arrival)
        {
            arrivals.push(arrival);
        }
        drop(arrivals);
        self.shared.arrived.notify_one();
    }
}
