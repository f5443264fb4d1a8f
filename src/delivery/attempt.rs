//! ONE attempt, top to bottom: from a claimed entry to its outcome.
//!
//! The entry is on record as claimed before this runs (promise 4); the caller
//! settles it with the outcome. Nothing here waits for a retry time; the way of
//! a draft is in `draft.rs`.

use tracing::debug;

use super::Outlet;
use super::compose::Composed;
use super::compose::Rules;
use super::compose::compose;
use super::draft::Parts;
use super::draft::Way;
use super::draft::caller;
use super::fit::Fitted;
use super::fit::fit;
use super::json;
use super::outcome::AttemptError;
use super::outcome::Outcome;
use super::outcome::Step;
use super::pace::Pace;
use crate::clock::Clock;
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
use crate::telemetry::maillog;

/// What an attempt needs besides its entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means<'a> {
    pub(super) outlet: Option<&'a Outlet>,
    pub(super) spool: &'a Spool,
    pub(super) hostname: &'a str,
    pub(super) clock: &'a Clock,
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
        clock: means.clock,
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
        match submit_json(way, &json).await {
            // What Microsoft means by 4 MB is not documented.
            Err(AttemptError::Graph {
                step: Step::SendMail | Step::Prepare,
                error: GraphError::Answered { status: 413, .. },
            }) => maillog::not_json(entry.id, "Graph found it too large for one request"),
            submitted => return submitted,
        }
    }
    let Composed { message, blind, .. } = composed;
    let limit = rules.submission.largest_mime();
    let direct = rules.submission.route == Route::Send && blind.is_empty();
    let mut fitted = fit(entry.id, message, limit, rules.submission).await?;
    if direct && fitted.large.is_empty() {
        way.pace
            .admit(graph::encoded_size(fitted.message.size()))
            .await;
        let sent = outlet.graph.send_mail(caller(entry), &fitted.message).await;
        match sent {
            // What Microsoft means by 4 MB is not documented.
            Err(GraphError::Answered { status: 413, .. }) => {
                let size = fitted.message.size();
                maillog::request_too_large(entry.id, size);
                fitted = fit(entry.id, fitted.message, size / 2, rules.submission).await?;
            }
            sent => return sent.map_err(Step::SendMail.failed()),
        }
    }
    let Fitted { message, large } = fitted;
    debug!(id = %entry.id, size = message.size(), large = large.len(), "sending as a draft");
    if !blind.is_empty() {
        maillog::blind(entry.id, blind.len());
    }
    let parts = Parts {
        content: DraftContent::Mime(&message),
        blind: &blind,
        large: &large,
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
                large: &[],
            };
            way.submit(&parts).await
        }
    }
}
