//! Deletes drafts that will never be sent: those of messages that an operator has
//! dropped, and those of messages that failed just before the relay was killed, so that
//! the attempt (`work.rs`) could not delete its draft. They are deleted as soon as
//! possible; what Graph refuses to delete stays.

use std::collections::HashSet;
use std::time::Duration;

use tracing::debug;
use uuid::Uuid;

use super::draft;
use crate::delivery::Context;
use crate::delivery::outcome::error::is_beyond_deletion;
use crate::graph::Caller;
use crate::mail::SpoolId;
use crate::spool::Abandoned;
use crate::telemetry::maillog;

/// The pause before Graph is asked again after it was unreachable.
const AGAIN: Duration = Duration::from_secs(60);
/// How many at once: few requests compared with those for mail.
const AT_ONCE: u32 = 20;

/// Runs until it is cancelled.
pub(in crate::delivery) async fn run(context: &Context) {
    let start = context.spool.running();
    // Failed messages whose draft is gone, was sent, or cannot be deleted.
    let mut done: HashSet<SpoolId> = HashSet::new();
    loop {
        let some = match context.spool.abandoned(start, AT_ONCE).await {
            Ok(some) => some,
            Err(error) => {
                debug!(%error, "abandoned drafts cannot be read");
                Vec::new()
            }
        };
        for abandoned in some {
            if !done.contains(&abandoned.id) && delete(context, &abandoned).await {
                done.insert(abandoned.id);
            }
        }
        tokio::select! {
            () = context.spool.dropped() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// Deletes a draft, or finds that there is none to delete. Returns whether Graph
/// answered.
async fn delete(context: &Context, abandoned: &Abandoned) -> bool {
    let Abandoned {
        id,
        may_be_retried,
        destination,
        draft,
    } = abandoned;
    let Some(account_client) = context.account_clients.get(&destination.account) else {
        return false;
    };
    let caller = Caller {
        mailbox: &destination.mailbox,
        client_request_id: Uuid::new_v4(),
    };
    let deleted = match draft::abandon(caller, &account_client.graph, draft).await {
        Ok(deleted) => deleted,
        Err(error) if is_beyond_deletion(&error) => {
            debug!(%id, "the draft of an abandoned message stays in the mailbox");
            false
        }
        Err(error) => {
            debug!(%id, %error, "the draft of an abandoned message could not be deleted yet");
            return false;
        }
    };
    // If the message may be tried again, a draft that was sent after all stays on record,
    // because the next attempt looks for it before it sends.
    if (deleted || !may_be_retried)
        && let Err(error) = context.spool.forget_draft(*id, draft.id.clone()).await
    {
        maillog::spool_trouble(&error);
    }
    true
}
