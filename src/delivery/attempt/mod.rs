//! One attempt from top to bottom: from a claimed entry to its outcome.
//!
//! The entry is on record as claimed before this runs (promise 4), and the caller settles
//! it with the outcome. Nothing here waits for a retry time. `draft.rs` sends drafts.

pub(super) mod abandoned;
mod author_fields;
pub(super) mod compose;
mod draft;
mod fit;
mod json;
pub(super) mod recipients;
mod upload;
mod work;

use tracing::debug;

use self::compose::Composed;
use self::compose::Rules;
use self::compose::compose;
use self::draft::Parts;
use self::draft::Way;
use self::fit::fit;
use super::AccountClient;
use super::dispatch::pace::Pace;
use super::outcome::Outcome;
use super::outcome::error::AttemptError;
use super::outcome::error::Step;
use crate::config::Format;
use crate::config::ReceivedClient;
use crate::config::Route;
use crate::config::Senders;
use crate::config::SignIn;
use crate::graph::Form;
use crate::graph::Submitted;
use crate::routing::substitute;
use crate::spool::Claimed;
use crate::spool::Draft;
use crate::spool::Spool;
use crate::telemetry::maillog;

/// What an attempt needs in addition to its entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means<'a> {
    pub(super) account_client: Option<&'a AccountClient>,
    pub(super) spool: &'a Spool,
    pub(super) hostname: &'a str,
    /// What the Received field says about the client.
    pub(super) client: ReceivedClient,
    pub(super) senders: &'a Senders,
    pub(super) pace: &'a Pace,
}

/// The result of an attempt.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) left: Left,
}

/// What an attempt leaves in the mailbox.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// The draft on record.
    pub(super) draft: Option<Draft>,
    /// The message's Message-ID, if the attempt may leave a draft that is not on record.
    pub(super) unrecorded: Option<String>,
}

/// Tries to submit an entry through its account.
pub(super) async fn attempt(entry: &Claimed, means: Means<'_>) -> Ended {
    let Some(account_client) = means.account_client else {
        let gone = AttemptError::NoAccount(entry.destination.account.clone());
        return Ended {
            outcome: Outcome::of(Err(gone), SignIn::Application),
            left: Left::default(),
        };
    };
    let mut way = Way {
        entry,
        account_client,
        spool: means.spool,
        pace: means.pace,
        draft: entry.draft.clone(),
        message_id: None,
        unrecorded: entry.unanswered,
    };
    let result = submit(&mut way, means).await;
    Ended {
        outcome: Outcome::of(result, account_client.account.sign_in),
        left: Left {
            draft: way.draft,
            unrecorded: way.message_id.filter(|_| way.unrecorded),
        },
    }
}

async fn submit(way: &mut Way<'_>, means: Means<'_>) -> Result<Submitted, AttemptError> {
    if let Some(submitted) = way.resume().await? {
        return Ok(submitted);
    }
    let (entry, account_client) = (way.entry, way.account_client);
    // Checked before the first byte leaves, so that wrong bytes are never sent.
    let verified = entry.content.verify(entry.digest).await;
    verified.map_err(AttemptError::unverified)?;
    let head = entry.content.head().await;
    let head = head.map_err(AttemptError::unread)?;
    // The address that the destination was chosen by.
    let from = substitute(&account_client.account, &entry.envelope.reverse_path);
    let rules = Rules {
        from: from.unwrap_or(&entry.destination.mailbox),
        mailbox: &entry.destination.mailbox,
        submission: &account_client.account.submission,
        hostname: means.hostname,
        client: means.client,
        senders: means.senders,
    };
    let composed = compose(entry, &head, rules)?;
    way.message_id.clone_from(&composed.message_id);
    if rules.submission.format == Format::Json
        && let Some(json) = json::form(entry, &composed, rules.submission).await?
    {
        let parts = Parts {
            form: Form::Json(&json),
            blind: &[],
            large: &[],
        };
        match hand_over(way, &parts).await {
            Err(error) if error.is_too_large() && way.draft.is_none() => {
                maillog::not_json(entry.id, "Graph found it too large for one request");
            }
            submitted => return submitted,
        }
    }
    submit_mime(way, composed).await
}

/// Sends in MIME form, made smaller until Graph accepts it or it cannot get smaller.
async fn submit_mime(way: &mut Way<'_>, composed: Composed) -> Result<Submitted, AttemptError> {
    let Composed { message, blind, .. } = composed;
    let (id, submission) = (way.entry.id, &way.account_client.account.submission);
    let mut fitted = fit(id, message, submission.largest_mime(), submission).await?;
    if !blind.is_empty() {
        maillog::bcc_draft(id, blind.len());
    }
    loop {
        let error = match hand_over(way, &fitted.parts(&blind)).await {
            Err(error) if error.is_too_large() || error.is_too_small() => error,
            submitted => return submitted,
        };
        let smaller = if way.draft.is_none() {
            fitted.halved(id, submission).await?
        } else {
            fitted.covered(id, submission, &error).await?
        };
        fitted = smaller.ok_or(error)?;
        // The incomplete draft is deleted.
        if let Some(submitted) = way.resume().await? {
            return Ok(submitted);
        }
    }
}

/// Sends in one request, if that is enough and no draft is required.
async fn hand_over(way: &mut Way<'_>, parts: &Parts<'_>) -> Result<Submitted, AttemptError> {
    let Parts { form, blind, large } = *parts;
    let is_all = blind.is_empty() && large.is_empty();
    if way.account_client.account.submission.route == Route::Draft || !is_all {
        let (id, size) = (way.entry.id, form.size());
        debug!(%id, size, large = large.len(), "sending as a draft");
        return way.submit(parts).await;
    }
    way.pace.admit(form.size()).await;
    let sent = way.graph().send_mail(way.caller(), form).await;
    sent.map_err(Step::SendMail.failed())
}
