//! Whether clients can send mail now: the relay's loops run, those that accept connections
//! among them, and the spool can store a message.
//!
//! The spool is tested by a write that its disk confirms, at most once in [`AGAIN`],
//! however many visitors ask. Whether mail can be delivered does not matter here: it
//! waits in the spool, and another start of the relay would not help.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin::AdminState;
use crate::clock::Pulse;
use crate::spool::Spool;

/// For how long the result of a test is repeated.
const AGAIN: Duration = Duration::from_secs(1);
/// A disk that takes longer keeps clients waiting too. Less than the limit that
/// `bounded.rs` sets for a visit.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is tested.
#[derive(Debug)]
pub(super) struct Health {
    spool: Spool,
    pulse: Pulse,
    stopping: CancellationToken,
    last: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Health {
    pub(super) fn of(admin_state: &AdminState) -> Self {
        Self {
            spool: admin_state.spool.clone(),
            pulse: admin_state.pulse.clone(),
            stopping: admin_state.stopping.clone(),
            last: Mutex::new(None),
        }
    }

    /// Why clients cannot send mail, in a line each; empty if they can.
    pub(super) async fn problems(&self) -> Vec<String> {
        if self.stopping.is_cancelled() {
            return vec!["not ready: the relay is stopping".to_owned()];
        }
        // Whoever waits here gets the result of the test that is under way.
        let mut last = self.last.lock().await;
        if let Some((at, problems)) = &*last
            && at.elapsed() < AGAIN
        {
            return problems.clone();
        }
        let stored = tokio::time::timeout(PATIENCE, self.spool.probe());
        let (silent, stored) = tokio::join!(self.pulse.silent(PATIENCE), stored);
        let silent = silent
            .iter()
            .map(|name| format!("not ready: no answer from {name}"));
        let spool = match stored {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        let spool = spool.map(|error| format!("not ready: the spool cannot store mail: {error}"));
        let problems: Vec<String> = silent.chain(spool).collect();
        *last = Some((Instant::now(), problems.clone()));
        problems
    }
}
