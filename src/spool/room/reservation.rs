//! Room that is reserved for a message while it comes in; given back when dropped.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Purpose;
use super::Reception;
use super::Room;

/// The room of a message that is being received; given back when dropped.
#[derive(Debug)]
pub(in crate::spool) struct Reservation {
    room: Arc<Room>,
    number: u64,
    /// Bytes reserved by the last step and not used yet.
    left: u64,
    taken_back: CancellationToken,
}

impl Reservation {
    pub(in crate::spool) fn begin(room: &Arc<Room>, client: Option<IpAddr>) -> Self {
        let taken_back = CancellationToken::new();
        let mut ledger = room.ledger();
        ledger.last += 1;
        let number = ledger.last;
        let reception = Reception {
            client,
            reserved: 0,
            written: 0,
            step: Instant::now(),
            is_whole: false,
            taken_back: taken_back.clone(),
        };
        ledger.receptions.insert(number, reception);
        drop(ledger);
        Self {
            room: Arc::clone(room),
            number,
            left: 0,
            taken_back,
        }
    }

    pub(in crate::spool) fn purpose(&self) -> Purpose {
        Purpose::Step(self.number)
    }

    /// Cancelled when its room was given to another.
    pub(in crate::spool) fn taken_back(&self) -> &CancellationToken {
        &self.taken_back
    }

    /// The number of bytes still to be reserved before this many more bytes fit.
    pub(in crate::spool) fn lacks(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.left)
    }

    /// Adds bytes that were reserved.
    pub(in crate::spool) fn extend(&mut self, bytes: u64) {
        self.left += bytes;
    }

    /// Counts bytes as written.
    pub(in crate::spool) fn wrote(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
        if let Some(reception) = self.room.ledger().receptions.get_mut(&self.number) {
            reception.written += bytes;
        }
    }

    /// Marks the message as complete. Returns false if its room was taken back before.
    pub(in crate::spool) fn is_whole(&self) -> bool {
        let mut ledger = self.room.ledger();
        let reception = ledger.receptions.get_mut(&self.number);
        let Some(reception) = reception.filter(|it| !it.taken_back.is_cancelled()) else {
            return false;
        };
        reception.is_whole = true;
        // Gives the unused rest of the last step back.
        reception.reserved = reception.written;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.room.ledger().receptions.remove(&self.number);
        self.room.ended.notify_waiters();
    }
}

/// Room for rows that the writer has not committed yet; given back when dropped.
#[derive(Debug)]
pub(in crate::spool) struct Hold {
    room: Arc<Room>,
    bytes: u64,
}

impl Hold {
    /// Bytes that [`Room::try_take`] has reserved.
    pub(in crate::spool) fn of(room: &Arc<Room>, bytes: u64) -> Self {
        Self {
            room: Arc::clone(room),
            bytes,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut ledger = self.room.ledger();
        ledger.committing = ledger.committing.saturating_sub(self.bytes);
    }
}
