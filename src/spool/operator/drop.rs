//! Dropping: a message is never sent, and its content is deleted, or kept for a while
//! (`kept/`). Dropping it again deletes what is kept.

use rusqlite::params;

use super::Change;
use super::Changes;
use super::Extent;
use super::Found;
use crate::spool::Verdict;
use crate::spool::kept;
use crate::spool::state::State;

const HAS_NONE: &str = "it was delivered, and has no content to delete";

impl Change<'_> {
    /// Never sends a message.
    pub(super) fn drop_it(&self, changes: &mut Changes) -> rusqlite::Result<()> {
        let Found { id, in_file, .. } = self.found;
        self.db
            .prepare_cached(
                "UPDATE entry SET state = 'dropped', ended_at = ?2, reason = ?3, ended_running = ?4,
                 status = NULL, changed_at = ?2 WHERE id = ?1",
            )?
            .execute(params![
                id.to_string(),
                self.now.at.millis(),
                self.reason("dropped"),
                self.now.running.millis()
            ])?;
        let may_keep = self.extent == Extent::Whole
            && self.keeping.keeps(*in_file)
            && self.found.state != State::Quarantined.name();
        let is_kept = may_keep && kept::keep(self.db, &id.to_string())?;
        if self.extent == Extent::Whole && !is_kept {
            self.db
                .prepare_cached("DELETE FROM content WHERE entry = ?1")?
                .execute([id.to_string()])?;
        }
        changes.dropped.push((*id, *in_file && !is_kept));
        let until = self.keeping.until(self.now).filter(|_| is_kept);
        let remark = until.map(|until| {
            format!("its content is kept until {until} (history.keep_content); to delete it now, drop it again")
        });
        changes.say(*id, Verdict::Done, remark.as_deref());
        Ok(())
    }

    /// Deletes the content of a message that has ended.
    pub(super) fn drop_content(&self, state: State, changes: &mut Changes) -> rusqlite::Result<()> {
        let id = self.found.id;
        let extent = match self.extent {
            Extent::Whole => kept::Extent::Whole,
            Extent::KeepContent => kept::Extent::KeepContent,
        };
        match (kept::remove(self.db, id, extent)?, state) {
            (Some(removed), _) => {
                changes.dropped.push((id, removed.in_file));
                let remark = format!("it stays {state}, and its content is deleted");
                changes.say(id, Verdict::Done, Some(&remark));
            }
            (None, State::Dropped) => changes.say(id, Verdict::Already, Some("it was dropped")),
            (None, _) => changes.say(id, Verdict::Refused, Some(HAS_NONE)),
        }
        Ok(())
    }
}
