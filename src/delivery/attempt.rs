//! ONE attempt, top to bottom: from a claimed entry to its outcome.
//!
//! The entry is on record as claimed before this runs (promise 4); the caller
//! settles it with the outcome. Nothing here waits for a retry time.

use tracing::debug;

use super::Outlet;
use super::compose::compose;
use super::outcome::AttemptError;
use super::outcome::Outcome;
use crate::auth::Token;
use crate::graph::GraphError;
use crate::graph::Submitted;
use crate::mime::Outgoing;
use crate::routing::substitute;
use crate::spool::Claimed;

/// Tries to submit an entry through its account.
pub(super) async fn attempt(entry: &Claimed, outlet: Option<&Outlet>, hostname: &str) -> Outcome {
    let result = match outlet {
        Some(outlet) => submit(entry, outlet, hostname).await,
        None => Err(AttemptError::NoAccount(entry.lane.account.clone())),
    };
    Outcome::of(result)
}

async fn submit(
    entry: &Claimed,
    outlet: &Outlet,
    hostname: &str,
) -> Result<Submitted, AttemptError> {
    let head = entry.content.head().await.map_err(GraphError::Content)?;
    // What the lane was chosen by.
    let from = substitute(&outlet.account, &entry.envelope.reverse_path);
    let message = compose(entry, &head, from.unwrap_or(&entry.lane.mailbox), hostname)?;
    let token = outlet.tokens.token().await.map_err(AttemptError::Token)?;
    match send(entry, outlet, &token, &message).await {
        // The token may have been revoked, or ended on its way: once more with a new one.
        Err(GraphError::Answered { status: 401, .. }) => {
            debug!(id = %entry.id, "Graph refused the token, asking for a new one");
            outlet.tokens.refuse(&token);
            let token = outlet.tokens.token().await.map_err(AttemptError::Token)?;
            let again = send(entry, outlet, &token, &message).await;
            if let Err(GraphError::Answered { status: 401, .. }) = again {
                // What is wrong is not this token's age: the next attempt asks anew.
                outlet.tokens.refuse(&token);
            }
            Ok(again?)
        }
        sent => Ok(sent?),
    }
}

async fn send(
    entry: &Claimed,
    outlet: &Outlet,
    token: &Token,
    message: &Outgoing,
) -> Result<Submitted, GraphError> {
    let mailbox = &entry.lane.mailbox;
    let name = entry.client_request_id;
    outlet.graph.send_mail(mailbox, token, message, name).await
}
