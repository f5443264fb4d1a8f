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

impl Spool {
    /// Waits for destinations in which something became due since the last call, and returns
    /// each once for each urgency.
    pub async fn arrivals(&self) -> Vec<Arrival> {
        loop {
            let arrived = self.shared.arrived.notified();
            let mut taken = {
                let mut arrivals = lock_mutex(&self.shared.arrivals);
                std::mem::take(&mut *arrivals)
            };
            if !taken.is_empty() {
                taken.sort();
                taken.dedup();
                return taken;
            }
            arrived.await;
        }
    }

    pub(super) fn announce(&self, destination: Destination, urgency: Urgency) {
        let arrival = Arrival {
            destination,
            urgency,
        };
        let mut arrivals = lock_mutex(&self.shared.arrivals);
        // Many messages of one destination in a row are the usual case.
        if arrivals.last() != Some(&arrival) {
            arrivals.push(arrival);
        }
        drop(arrivals);
        self.shared.arrived.notify_one();
    }
}
