//! The way of a message through a draft: made, filled, recorded, sent; and what
//! an earlier attempt has left of it. Promise 4.
//!
//! | record | means | next attempt |
//! |---|---|---|
//! | none | nothing was sent | makes a draft |
//! | filling | nothing was sent | deletes it and makes another |
//! | sending | it is complete, and may have been sent | looks: unsent is sent, sent is delivered |
//!
//! The record is on disk before the request that it speaks of leaves. A draft
//! that cannot be found after it may have been sent is looked for until
//! [`LOOKED_FOR`] is over; then `on_doubt` decides. A draft whose creation had no
//! answer is not known: it stays in the mailbox's Drafts, unsent.

use std::time::Duration;

use tracing::debug;

use super::Outlet;
use super::error::AttemptError;
use super::error::Step;
use super::pace::Pace;
use super::upload;
use super::upload::Large;
use crate::config::OnDoubt;
use crate::graph::Caller;
use crate::graph::DraftState;
use crate::graph::Form;
use crate::graph::Graph;
use crate::graph::GraphError;
use crate::graph::Submitted;
use crate::mail::Address;
use crate::spool::Claimed;
use crate::spool::Draft;
use crate::spool::Spool;
use crate::spool::Stage;

/// Sent Items has been seen to show a message some minutes late (Graph page
/// "Obtain immutable identifiers for Outlook resources"). In running time: a clock
/// that is set ends no search.
const LOOKED_FOR: Duration = Duration::from_secs(10 * 60);

/// Bytes of a request that carries next to nothing.
const SMALL: u64 = 1;

/// The draft of an entry.
#[derive(Debug)]
pub(super) struct Way<'a> {
    pub(super) entry: &'a Claimed,
    pub(super) outlet: &'a Outlet,
    pub(super) spool: &'a Spool,
    pub(super) pace: &'a Pace,
    /// As it is on record.
    pub(super) draft: Option<Draft>,
}

/// What a draft is made of.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// What goes into the draft at once.
    pub(super) form: Form<'a>,
    /// Recipients whom it does not name.
    pub(super) blind: &'a [Address],
    /// What follows.
    pub(super) large: &'a [Large],
}

impl<'a> Way<'a> {
    /// Brings to an end what an earlier attempt has begun; nothing if the message
    /// is still to be sent.
    pub(super) async fn resume(&mut self) -> Result<Option<Submitted>, AttemptError> {
        let Some(draft) = self.draft.clone() else {
            return Ok(None);
        };
        let since = match draft.stage {
            Stage::Filling => {
                self.pace.admit(SMALL).await;
                let deleted = self.graph().delete_draft(self.caller(), &draft.id).await;
                match deleted {
                    // Not the message is refused but its remains, perhaps because the
                    // account has another mailbox now: they stay, unsent.
                    Err(error @ GraphError::Answered { status: 400, .. }) => {
                        debug!(id = %self.entry.id, %error, "the draft stays in the mailbox");
                    }
                    deleted => deleted.map_err(Step::Prepare.failed())?,
                }
                self.note(None).await?;
                return Ok(None);
            }
            Stage::Sending { since } => since,
        };
        self.pace.admit(SMALL).await;
        let looked = self.graph().look(self.caller(), &draft.id).await;
        let state = looked.map_err(Step::Look.failed())?;
        debug!(id = %self.entry.id, ?state, "looked for the draft");
        match state {
            DraftState::Sent(submitted) => Ok(Some(submitted)),
            DraftState::Unsent => self.send(&draft.id).await.map(Some),
            DraftState::Absent if self.spool.running().since(since) < LOOKED_FOR => {
                Err(AttemptError::DraftNotFound)
            }
            DraftState::Absent => match self.outlet.account.submission.on_doubt {
                OnDoubt::Retry => {
                    self.note(None).await?;
                    Ok(None)
                }
                // The record goes when the message is held, and not before.
                OnDoubt::Hold => Err(AttemptError::DraftGone),
            },
        }
    }

    /// Makes a draft, fills it and sends it.
    pub(super) async fn submit(&mut self, parts: &Parts<'_>) -> Result<Submitted, AttemptError> {
        let graph = self.graph();
        self.pace.admit(parts.form.size()).await;
        let created = graph.create_draft(self.caller(), parts.form).await;
        let id = created.map_err(Step::Prepare.failed())?;
        let stage = Stage::Filling;
        let draft = Some(Draft {
            id: id.clone(),
            stage,
        });
        self.note(draft).await?;
        if !parts.blind.is_empty() {
            self.pace.admit(SMALL).await;
            let set = graph.set_blind(self.caller(), &id, parts.blind).await;
            set.map_err(Step::Prepare.failed())?;
        }
        for large in parts.large {
            upload::attach(self, &id, large).await?;
        }
        self.send(&id).await
    }

    async fn send(&mut self, id: &str) -> Result<Submitted, AttemptError> {
        self.pace.admit(SMALL).await;
        // Now: filling it may have taken longer than it is looked for.
        let since = self.spool.running();
        let stage = Stage::Sending { since };
        let draft = Some(Draft {
            id: id.to_owned(),
            stage,
        });
        self.note(draft).await?;
        let sent = self.graph().send_draft(self.caller(), id).await;
        sent.map_err(Step::SendDraft.failed())
    }

    /// Puts on record what the mailbox has.
    async fn note(&mut self, draft: Option<Draft>) -> Result<(), AttemptError> {
        self.spool.note_draft(self.entry.id, draft.clone()).await?;
        self.draft = draft;
        Ok(())
    }

    pub(super) fn graph(&self) -> &'a Graph {
        &self.outlet.graph
    }

    pub(super) fn caller(&self) -> Caller<'a> {
        caller(self.entry)
    }
}

/// Takes a draft that will never be sent out of the mailbox, if that is possible
/// now; whether it is gone. An operator's retry then makes another. What was
/// sent after all keeps its id, and its copy in Sent Items is the only trace.
pub(super) async fn abandon(entry: &Claimed, graph: &Graph, draft: &Draft) -> bool {
    let looked = match draft.stage {
        Stage::Filling => Ok(DraftState::Unsent),
        Stage::Sending { .. } => graph.look(caller(entry), &draft.id).await,
    };
    let deleted: Result<(), GraphError> = match looked {
        Ok(DraftState::Unsent) => graph.delete_draft(caller(entry), &draft.id).await,
        Ok(DraftState::Sent(_) | DraftState::Absent) => return false,
        Err(error) => Err(error),
    };
    if let Err(error) = &deleted {
        debug!(id = %entry.id, %error, "the draft stays in the mailbox");
    }
    deleted.is_ok()
}

pub(super) fn caller(entry: &Claimed) -> Caller<'_> {
    Caller {
        mailbox: &entry.lane.mailbox,
        client_request_id: entry.client_request_id,
    }
}
