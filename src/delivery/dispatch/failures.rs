//! What a failure and a success change for a destination and for its account: their
//! backoff, the number of requests at once, and whether a fault was logged already.
//!
//! Decides nothing about turns: that is `destinations.rs`.

use tokio::time::Instant;

use super::backoff::Failed;
use super::backoff::Notice;
use super::destinations::Change;
use super::destinations::Destinations;
use crate::delivery::outcome::Cause;
use crate::mail::Destination;

impl Destinations {
    /// Graph accepted a message of this destination. Returns whether a fault that was logged is
    /// over.
    pub(in crate::delivery) fn worked(&mut self, destination: &Destination, now: Instant) -> bool {
        let mut over = false;
        if let Some(state) = self.known(destination) {
            let was_in_trouble = state.backoff.failures > 0;
            over |= state.backoff.release(now);
            let widened = state.pace.widen();
            self.changes
                .extend(widened.map(|at_once| Change::Widened(destination.clone(), at_once)));
            if was_in_trouble {
                self.publish(destination);
            }
            if was_in_trouble || widened.is_some() {
                self.place(destination, now);
            }
        }
        over | self.account_worked(destination, now)
    }

    /// Graph accepted the token of this destination's account. Returns whether a fault that was
    /// logged is over.
    pub(in crate::delivery) fn account_worked(
        &mut self,
        destination: &Destination,
        now: Instant,
    ) -> bool {
        let account = self.account(destination);
        if account.backoff.failures == 0 {
            return false;
        }
        let over = account.backoff.release(now);
        self.publish_account(destination);
        over
    }

    /// The mailbox of this destination backs off.
    pub(in crate::delivery) fn back_off_mailbox(
        &mut self,
        destination: &Destination,
        now: Instant,
        failed: Failed,
    ) {
        let state = self.state(destination, now);
        // Requests that were under way together are throttled together, which counts as
        // one sign.
        let narrows = failed.cause == Cause::Throttled && !state.backoff.holds(now);
        state.backoff.engage(now, failed);
        if narrows && let Some(at_once) = state.pace.narrow() {
            let until = state.backoff.until.unwrap_or(now);
            self.changes
                .push(Change::Narrowed(destination.clone(), at_once, until));
        }
        self.publish(destination);
        self.place(destination, now);
    }

    /// The account of this destination backs off.
    pub(in crate::delivery) fn back_off_account(
        &mut self,
        destination: &Destination,
        now: Instant,
        failed: Failed,
    ) {
        self.account(destination).backoff.engage(now, failed);
        self.publish_account(destination);
    }

    /// An operator wants to know whether this destination works now: the next attempt is a
    /// probe, and does not wait for the relay's own backoff.
    pub(in crate::delivery) fn ease(&mut self, destination: &Destination, now: Instant) {
        let account = self.account(destination);
        account.backoff.ease();
        account.first = Some(destination.mailbox.clone());
        self.publish_account(destination);
        if let Some(state) = self.known(destination) {
            state.backoff.ease();
            self.publish(destination);
            self.place(destination, now);
        }
    }

    /// Whether a fault of the mailbox is new.
    pub(in crate::delivery) fn tell_mailbox(
        &mut self,
        destination: &Destination,
        what: &str,
        now: Instant,
    ) -> Notice {
        let notice = self.state(destination, now).backoff.tell(what);
        self.publish(destination);
        self.place(destination, now);
        notice
    }

    /// Whether a fault of the account is new.
    pub(in crate::delivery) fn tell_account(
        &mut self,
        destination: &Destination,
        what: &str,
    ) -> Notice {
        let notice = self.account(destination).backoff.tell(what);
        self.publish_account(destination);
        notice
    }
}
