//! Drafts of messages that an operator has dropped: deleted as soon as that is
//! possible, because nobody will send them. What Graph refuses to delete stays.

use std::time::Duration;

use tracing::debug;
use uuid::Uuid;

use super::Context;
use super::draft;
use crate::graph::Caller;
use crate::graph::GraphError;
use crate::spool::Abandoned;
use crate::telemetry::maillog;

/// When Graph was out of reach, it is asked again after this.
const AGAIN: Duration = Duration::from_secs(60);
/// So many at once: few requests beside those of the mail.
const AT_ONCE: u32 = 20;

/// Runs until it is cancelled.
pub(super) async fn run(context: &Context) {
    loop {
        let some = match context.spool.abandoned(AT_ONCE).await {
            Ok(some) => some,
            Err(error) => {
                debug!(%error, "dropped messages cannot be read");
                Vec::new()
            }
        };
        for abandoned in some {
            delete(context, &abandoned).await;
        }
        tokio::select! {
            () = context.spool.dropped() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn delete(context: &Context, abandoned: &Abandoned) {
    let Abandoned { id, lane, draft } = abandoned;
    let Some(outlet) = context.outlets.get(&lane.account) else {
        return;
    };
    let caller = Caller {
        mailbox: &lane.mailbox,
        client_request_id: Uuid::new_v4(),
    };
    match draft::abandon(caller, &outlet.graph, draft).await {
        Ok(_) => {}
        Err(GraphError::Answered {
            status: 400 | 403..=407 | 409..=428 | 430..=499,
            ..
        }) => debug!(%id, "the draft of a dropped message stays in the mailbox"),
        Err(error) => {
            debug!(%id, %error, "the draft of a dropped message is still in the mailbox");
            return;
        }
    }
    let forgotten = context.spool.forget_draft(*id, draft.id.clone()).await;
    if let Err(error) = forgotten {
        maillog::spool_trouble(&error);
    }
}
