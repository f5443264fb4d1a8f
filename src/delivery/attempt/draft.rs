//! The way of a message through a draft: made, filled, recorded, sent; and what
//! an earlier attempt has left of it. Promise 4.
//!
//! | record | means | next attempt |
//! |---|---|---|
//! | none | nothing was sent | deletes what it finds of its own, makes a draft |
//! | filling | nothing was sent | deletes it and makes another |
//! | sending | it is complete, and may have been sent | looks: unsent is sent, sent is delivered |
//!
//! The record is on disk before the request that it speaks of leaves. A draft
//! that cannot be found after it may have been sent is looked for until
//! [`LOOKED_FOR`] is over; then `on_doubt` decides.
//!
//! A draft whose creation had no answer (the relay was killed, or the answer was
//! lost) is on no record. So after an attempt without an answer, and before it
//! makes a draft, the relay looks in Drafts for the message's Message-ID. That alone
//! proves nothing: the message may have come from a person who has a draft of it.
//! It deletes a draft only if that has the Received field that the relay puts
//! at the top, with the entry's id: 80 bits of it are random, and it was never
//! anywhere but in what the relay made. No field is added for this. The JSON form
//! has no Received field; a draft in that form has the entry's id in a property of
//! the mailbox (a MAPI property, no part of the message). Whatever Graph does not
//! show in that way stays, unsent.

use std::time::Duration;

use tracing::debug;

use super::upload;
use super::upload::Large;
use crate::config::Format;
use crate::config::OnDoubt;
use crate::delivery::Outlet;
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

/// Sent Items has been seen to show a message some minutes late (Graph page
/// "Obtain immutable identifiers for Outlook resources"). In running time: a clock
/// that is set ends no search.
const LOOKED_FOR: Duration = Duration::from_secs(10 * 60);

/// Bytes of a request that carries next to nothing.
const SMALL: u64 = 1;

/// The draft of an entry.
#[derive(Debug)]
pub(in crate::delivery) struct Way<'a> {
    pub(in crate::delivery) entry: &'a Claimed,
    pub(in crate::delivery) outlet: &'a Outlet,
    pub(in crate::delivery) spool: &'a Spool,
    pub(in crate::delivery) pace: &'a Pace,
    /// As it is on record.
    pub(in crate::delivery) draft: Option<Draft>,
    /// The message's, as it goes out.
    pub(in crate::delivery) message_id: Option<String>,
    /// Whether there may be a draft of it that is on no record.
    pub(in crate::delivery) unrecorded: bool,
}

/// What a draft is made of.
#[derive(Debug)]
pub(in crate::delivery) struct Parts<'a> {
    /// What goes into the draft at once.
    pub(in crate::delivery) form: Form<'a>,
    /// Recipients whom it does not name.
    pub(in crate::delivery) blind: &'a [Address],
    /// What follows.
    pub(in crate::delivery) large: &'a [Large],
}

impl<'a> Way<'a> {
    /// Brings to an end what an earlier attempt has begun; nothing if the message
    /// is still to be sent.
    pub(in crate::delivery) async fn resume(&mut self) -> Result<Option<Submitted>, AttemptError> {
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

    /// Deletes what earlier attempts have made and got no answer about. An answer
    /// that a creation would get too ends the attempt; what else goes wrong costs no
    /// more than a draft that stays.
    async fn sweep(&mut self) -> Result<(), AttemptError> {
        let (true, Some(message_id)) = (self.unrecorded, &self.message_id) else {
            return Ok(());
        };
        self.pace.admit(SMALL).await;
        match sweep(self.entry, self.outlet, message_id).await {
            Ok(()) => {}
            Err(error) if error::may_leave_strays(&error) => {}
            Err(error) => return Err(Step::Prepare.failed()(error)),
        }
        self.unrecorded = false;
        Ok(())
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

    pub(in crate::delivery) fn graph(&self) -> &'a Graph {
        &self.outlet.graph
    }

    pub(in crate::delivery) fn caller(&self) -> Caller<'a> {
        caller(self.entry)
    }
}

/// Takes a draft that will never be sent out of the mailbox, if that is possible
/// now; whether it was there. An operator's retry then makes another. What was
/// sent after all keeps its id, and its copy in Sent Items is the only trace.
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

/// Deletes the drafts that have the message's Message-ID and were made for this
/// entry.
pub(in crate::delivery) async fn sweep(
    entry: &Claimed,
    outlet: &Outlet,
    message_id: &str,
) -> Result<(), GraphError> {
    let (caller, graph) = (caller(entry), &outlet.graph);
    let marked = outlet.account.submission.format == Format::Json;
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

/// Whether this is the Received field that the relay has put on this entry
/// (`compose.rs`).
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
        mailbox: &entry.lane.mailbox,
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
