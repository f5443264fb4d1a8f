//! Whether mail that the relay writes itself would leave now, or get stuck in the very
//! trouble that it is about.

use crate::admin::AdminState;
use crate::delivery::BackoffCause;
use crate::delivery::Waits;
use crate::mail::Destination;

impl AdminState {
    /// Checks whether mail of this destination leaves now: nothing is paused, nothing backs
    /// off after an error, and there is a token. A rate limit is no obstacle.
    ///
    /// # Errors
    ///
    /// What is in the way, in one line.
    pub async fn check_way(&self, destination: &Destination) -> Result<(), String> {
        if let Some(pause) = self.spool.paused(&destination.mailbox) {
            return Err(format!("{} is paused{}", pause.what(), pause.why()));
        }
        let waits = self.standing.waits(destination, self.means.clock.now());
        if let Some(Waits::Backoff(backoff)) = waits
            && backoff.cause != BackoffCause::Throttled
        {
            return Err(format!("{destination} is backing off: {}", backoff.why()));
        }
        let mut accounts = self.sign_ins.accounts().iter();
        let tokens = accounts.find(|tokens| tokens.account().name == destination.account);
        let Some(tokens) = tokens else {
            return Err(format!("there is no account {}", destination.account));
        };
        let token = tokens.token(&destination.mailbox).await;
        token
            .map(drop)
            .map_err(|error| format!("{destination} gets no token: {error}"))
    }
}
