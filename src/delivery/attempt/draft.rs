//! Sends a message by a draft: creates it, fills it, records it and sends it; and
//! continues with what an earlier attempt has left of it. Promise 4.
//!
//! | record | means | next attempt |
//! |---|---|---|
//! | none | nothing was sent | deletes drafts of its own that it finds, creates a draft |
//! | filling | nothing was sent | deletes it and creates another |
//! | sending | it is complete, and may have been sent | looks: an unsent draft is sent, a sent one is delivered |
//!
//! The record is on disk before the request that it describes is made. If a draft may
//! have been sent and cannot be found, the relay looks for it until [`LOOKED_FOR`] is
//! over; then `on_doubt` decides.
//!
//! A draft whose creation got no answer (the relay was killed, or the answer was lost) is
//! not on record. So after an attempt without an answer, and before it creates a draft,
//! the relay searches Drafts for the message's Message-ID. That alone proves nothing,
//! because a person may have a draft of the same message. The relay deletes a draft only
//! if its top field is the Received field of this entry: the id in it has 80 random bits,
//! and exists only in what the relay made. No field is added for this. The JSON form has
//! no Received field; there the draft has the entry's id in a property of the mailbox (a
//! MAPI property, which is not part of the message). Drafts that Graph does not show in
//! that way stay, unsent.

use std::time::Duration;

use tracing::debug;

use super::upload;
use super::upload::Large;
use crate::config::Format;
use crate::config::OnDoubt;
use crate::delivery::AccountClient;
use crate::delivery::dispatch::pace::Pace;
use crate::delivery::outcome::error;
use crate::delivery::outcome::error::AttemptError;
use crate::delivery::outcome::error::Step;
use crate::graph::Caller;
use crate::graph::DraftState;
use crate::graph::Form;
use crate::graph::Graph;
use crate::graph::GraphError;
use crate::graph::HeaderField;
use crate::graph::Submitted;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::spool::Claimed;
use crate::spool::Draft;
use crate::spool::Spool;
use crate::spool::Stage;
use crate::telemetry::maillog;

/// Sent Items has been seen to show a message some minutes late (Graph page "Obtain
/// immutable identifiers for Outlook resources"). Measured in running time, so that
/// setting the clock ends no search.
const LOOKED_FOR: Duration = Duration::from_secs(10 * 60);

/// Bytes of a request with a nearly empty body.
const SMALL: u64 = 1;

/// The draft of an entry.
#[derive(Debug)]
pub(in crate::delivery) struct Way<'a> {
    pub(in crate::delivery) entry: &'a Claimed,
    pub(in crate::delivery) account_client: &'a AccountClient,
    pub(in crate::delivery) spool: &'a Spool,
    pub(in crate::delivery) pace: &'a Pace,
    /// The draft on record.
    pub(in crate::delivery) draft: Option<Draft>,
    /// The Message-ID that goes out.
    pub(in crate::delivery) message_id: Option<String>,
    /// Whether there may be a draft of it that is not on record.
    pub(in crate::delivery) unrecorded: bool,
}

/// What a draft is made of.
#[derive(Debug)]
pub(in crate::delivery) struct Parts<'a> {
    /// The part that is created with the draft.
    pub(in crate::delivery) form: Form<'a>,
    /// Recipients that it does not name.
    pub(in crate::delivery) blind: &'a [Address],
    /// The attachments that follow.
    pub(in crate::delivery) large: &'a [Large],
}

impl<'a> Way<'a> {
    /// Finishes what an earlier attempt has begun; none if the message is still to be
    /// sent.
    pub(in crate::delivery) async fn resume(&mut self) -> Result<Option<Submitted>, AttemptError> {
        let Some(draft) = self.draft.clone() else {
            return Ok(None);
        };
        let since = match draft.stage {
            Stage::Filling => {
                self.pace.admit(SMALL).await;
                let deleted = self.graph().delete_draft(self.caller(), &draft.id).await;
                match deleted {
                    // Graph refuses the leftover draft, not the message, perhaps because the
                    // account has another mailbox now. The draft stays, unsent.
                    Err(error) if error::is_not_deletable(&error) => {
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
            DraftState::Absent => match self.account_client.account.submission.on_doubt {
                OnDoubt::Retry => {
                    self.note(None).await?;
                    Ok(None)
                }
                // The record is deleted when the message is held, and not before.
                OnDoubt::Hold => Err(AttemptError::DraftGone),
            },
        }
    }

    /// Creates a draft, fills it and sends it.
    pub(in crate::delivery) async fn submit(
        &mut self,
        parts: &Parts<'_>,
    ) -> Result<Submitted, AttemptError> {
        let graph = self.graph();
        self.sweep().await?;
        self.pace.admit(parts.form.size()).await;
        let created = graph.create_draft(self.caller(), parts.form).await;
        self.unrecorded |= created.as_ref().is_err_and(error::may_have_made_a_draft);
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

    /// Deletes drafts that earlier attempts created without getting an answer. An error
    /// that would also stop the creation ends the attempt; any other error only leaves a
    /// draft behind.
    async fn sweep(&mut self) -> Result<(), AttemptError> {
        let (true, Some(message_id)) = (self.unrecorded, &self.message_id) else {
            return Ok(());
        };
        self.pace.admit(SMALL).await;
        match sweep(self.entry, self.account_client, message_id).await {
            Ok(()) => {}
            Err(error) if error::may_leave_strays(&error) => {}
            Err(error) => return Err(Step::Prepare.failed()(error)),
        }
        self.unrecorded = false;
        Ok(())
    }

    async fn send(&mut self, id: &str) -> Result<Submitted, AttemptError> {
        self.pace.admit(SMALL).await;
        // Taken now, because filling the draft may have taken longer than the search
        // lasts.
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

    /// Records the draft that the mailbox has.
    async fn note(&mut self, draft: Option<Draft>) -> Result<(), AttemptError> {
        self.spool.note_draft(self.entry.id, draft.clone()).await?;
        self.draft = draft;
        Ok(())
    }

    pub(in crate::delivery) fn graph(&self) -> &'a Graph {
        &self.account_client.graph
    }

    pub(in crate::delivery) fn caller(&self) -> Caller<'a> {
        caller(self.entry)
    }
}

/// Deletes a draft that will never be sent, if that is possible now, and returns whether
/// it existed. An operator's retry then creates another. If the draft was sent after all,
/// it keeps its id, and its copy in Sent Items is the only evidence.
pub(in crate::delivery) async fn abandon(
    caller: Caller<'_>,
    graph: &Graph,
    draft: &Draft,
) -> Result<bool, GraphError> {
    let state = match draft.stage {
        Stage::Filling => DraftState::Unsent,
        Stage::Sending { .. } => graph.look(caller, &draft.id).await?,
    };
    match state {
        DraftState::Unsent => graph.delete_draft(caller, &draft.id).await.map(|()| true),
        DraftState::Sent(_) | DraftState::Absent => Ok(false),
    }
}

/// Deletes the drafts with the message's Message-ID that were created for this entry.
pub(in crate::delivery) async fn sweep(
    entry: &Claimed,
    account_client: &AccountClient,
    message_id: &str,
) -> Result<(), GraphError> {
    let (caller, graph) = (caller(entry), &account_client.graph);
    let marked = account_client.account.submission.format == Format::Json;
    for draft in graph.drafts_with(caller, message_id).await? {
        let origin = graph.draft_origin(caller, &draft, marked).await?;
        let is_marked = origin.entry == Some(entry.id.to_string());
        if is_marked || origin.fields.iter().any(|field| is_ours(field, entry.id)) {
            graph.delete_draft(caller, &draft).await?;
            maillog::draft_deleted(entry);
        }
    }
    Ok(())
}

/// Whether this is the Received field that the relay wrote for this entry (`compose.rs`).
fn is_ours(field: &HeaderField, id: SpoolId) -> bool {
    let id = id.to_string();
    let separates = |c: char| c.is_ascii_whitespace() || c == ';';
    let words: Vec<&str> = field.value.split(separates).collect();
    field.name.eq_ignore_ascii_case("Received")
        && words.contains(&"(graph-relay)")
        && words.windows(2).any(|pair| pair == ["id", &id])
}

pub(in crate::delivery) fn caller(entry: &Claimed) -> Caller<'_> {
    Caller {
        mailbox: &entry.destination.mailbox,
        client_request_id: entry.client_request_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_recognised_only_by_its_own_received_field() {
        let id = "01M7ZZDH4TKT6XKYKEMYK3N3EJ";
        let ours = |name: &str, value: &str| {
            let field = HeaderField {
                name: name.to_owned(),
                value: value.replace("ID", id),
            };
            is_ours(&field, id.parse().unwrap())
        };
        let client = "from app ([127.0.0.1]) by host (graph-relay) with ESMTP id ID; Sat, 21 Nov";

        assert!(ours("Received", client));
        assert!(ours("received", &client.replace(" with", "\r\n with")));
        assert!(ours("Received", "by host (graph-relay) id ID; Sat, 21 Nov"));
        let hidden = "from client.invalid (hidden) by host (graph-relay) with ESMTP id ID; Sat";
        assert!(ours("Received", hidden));
        for (name, value) in [
            ("X-Received", client),
            (
                "Received",
                "from app by host (Postfix) with ESMTP id ID; Sat",
            ),
            (
                "Received",
                "by host (graph-relay) id 01M7ZZDH4TKT6XKYKEMYK3N3EK; Sat",
            ),
            ("Received", "by host (graph-relay) with xID; Sat"),
            ("Received", ""),
        ] {
            assert!(!ours(name, value), "{name}: {value}");
        }
    }
}
