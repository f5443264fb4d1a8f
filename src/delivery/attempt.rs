//! ONE attempt, top to bottom: from a claimed entry to its outcome.
//!
//! The entry is on record as claimed before this runs (promise 4); the caller
//! settles it with the outcome. Nothing here waits for a retry time.

use tracing::debug;

use super::Outlet;
use super::compose::Composed;
use super::compose::Rules;
use super::compose::compose;
use super::draft::Parts;
use super::draft::Way;
use super::draft::caller;
use super::json;
use super::outcome::AttemptError;
use super::outcome::Outcome;
use super::outcome::Step;
use super::pace::Pace;
use crate::clock::Timestamp;
use crate::config::Format;
use crate::config::Route;
use crate::graph;
use crate::graph::DraftContent;
use crate::graph::GraphError;
use crate::graph::Json;
use crate::graph::Submitted;
use crate::routing::substitute;
use crate::spool::Claimed;
use crate::spool::Draft;
use crate::spool::Spool;

/// What an attempt needs besides its entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means<'a> {
    pub(super) outlet: Option<&'a Outlet>,
    pub(super) spool: &'a Spool,
    pub(super) hostname: &'a str,
    pub(super) now: Timestamp,
    pub(super) pace: &'a Pace,
}

/// How an attempt has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// What it leaves in the mailbox.
    pub(super) draft: Option<Draft>,
}

/// Tries to submit an entry through its account.
pub(super) async fn attempt(entry: &Claimed, means: Means<'_>) -> Ended {
    let Some(outlet) = means.outlet else {
        let gone = AttemptError::NoAccount(entry.lane.account.clone());
        return Ended {
            outcome: Outcome::of(Err(gone)),
            draft: None,
        };
    };
    let mut way = Way {
        entry,
        outlet,
        spool: means.spool,
        now: means.now,
        pace: means.pace,
        draft: entry.draft.clone(),
    };
    let result = submit(&mut way, means.hostname).await;
    Ended {
        outcome: Outcome::of(result),
        draft: way.draft,
    }
}

async fn submit(way: &mut Way<'_>, hostname: &str) -> Result<Submitted, AttemptError> {
    if let Some(submitted) = way.resume().await? {
        return Ok(submitted);
    }
    let (entry, outlet) = (way.entry, way.outlet);
    let content = entry.content.head().await;
    let head = content.map_err(|error| Step::Prepare.failed()(GraphError::Content(error)))?;
    // What the lane was chosen by.
    let from = substitute(&outlet.account, &entry.envelope.reverse_path);
    let rules = Rules {
        from: from.unwrap_or(&entry.lane.mailbox),
        mailbox: &entry.lane.mailbox,
        submission: &outlet.account.submission,
        hostname,
    };
    let composed = compose(entry, &head, rules)?;
    if rules.submission.format == Format::Json
        && let Some(json) = json::form(entry, &composed, rules.submission).await?
    {
        return submit_json(way, &json).await;
    }
    let Composed { message, blind, .. } = composed;
    let fits = message.size() <= rules.submission.largest_mime();
    if fits && blind.is_empty() && rules.submission.route == Route::Send {
        way.pace.admit(graph::encoded_size(message.size())).await;
        let sent = outlet.graph.send_mail(caller(entry), &message).await;
        return sent.map_err(Step::SendMail.failed());
    }
    debug!(id = %entry.id, size = message.size(), blind = blind.len(), "sending as a draft");
    let parts = Parts {
        content: DraftContent::Mime(&message),
        blind: &blind,
    };
    way.submit(&parts).await
}

async fn submit_json(way: &mut Way<'_>, json: &Json) -> Result<Submitted, AttemptError> {
    match way.outlet.account.submission.route {
        Route::Send => {
            let graph = &way.outlet.graph;
            way.pace.admit(json.body().len() as u64).await;
            let sent = graph.send_json(caller(way.entry), json).await;
            sent.map_err(Step::SendMail.failed())
        }
        Route::Draft => {
            let parts = Parts {
                content: DraftContent::Json(json),
                blind: &[],
            };
            way.submit(&parts).await
        }
    }
}
