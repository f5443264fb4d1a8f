//! Removes the content of ended messages: what was kept for long enough, and what new mail
//! needs the room of.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::params;

use super::Extent;
use super::Removed;
use super::remove;
use crate::clock::RunningTime;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::columns;
use crate::spool::content;
use crate::spool::lock_mutex;

/// Contents removed in one transaction, so that accepting mail does not wait for long.
const AT_ONCE: u32 = 500;

/// A message counts as ended from before the transaction that says so. No transaction waits
/// for longer than this, so that what ended longer before the oldest kept content is not
/// searched again.
const SLACK: Duration = Duration::from_secs(10 * 60);

/// Kept content.
struct Old {
    id: SpoolId,
    cost: u64,
    ended: RunningTime,
}

/// The oldest content of messages that ended from `since` on and before `before`.
fn oldest(
    db: &Connection,
    since: RunningTime,
    before: RunningTime,
    only_files: bool,
) -> rusqlite::Result<Vec<Old>> {
    let of = |state: &str| {
        format!(
            "SELECT * FROM (SELECT id, -content_cost, ended_running FROM entry
             WHERE state = '{state}' AND ended_at IS NOT NULL
             AND ended_running >= ?1 AND ended_running < ?2
             AND content_cost < 0 AND in_file >= ?3 ORDER BY ended_running LIMIT ?4)"
        )
    };
    let mut oldest = db.prepare_cached(&format!(
        "{} UNION ALL {} ORDER BY 3 LIMIT ?4",
        of("delivered"),
        of("dropped")
    ))?;
    let bounds = params![since.millis(), before.millis(), only_files, AT_ONCE];
    let rows = oldest.query_map(bounds, |row| {
        Ok(Old {
            id: columns::id(row, 0)?,
            cost: columns::unsigned(row, 1)?,
            ended: RunningTime::from_millis(row.get(2)?),
        })
    })?;
    rows.collect()
}

impl Spool {
    /// Removes content that was kept for long enough. Call it every minute, and after
    /// [`Spool::keep_content`].
    ///
    /// # Errors
    ///
    /// Those of the database; a later call makes up for it.
    pub async fn purge_content(&self) -> Result<(), SpoolError> {
        loop {
            let keep_for = *lock_mutex(&self.shared.keeping.keep_for);
            let now = self.running();
            let before = match keep_for.ended {
                Some(length) => now - length,
                None => RunningTime::from_millis(i64::MAX),
            };
            let old = self.oldest(before, false).await?;
            if old.is_empty() || self.remove_kept(old).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Removes content until this many bytes are free, the oldest first. Returns how many
    /// bytes that were.
    pub(in crate::spool) async fn yield_kept(
        &self,
        bytes: u64,
        only_files: bool,
    ) -> Result<u64, SpoolError> {
        let never = RunningTime::from_millis(i64::MAX);
        let mut old = self.oldest(never, only_files).await?;
        let mut freed = 0;
        old.retain(|it| {
            let is_needed = freed < bytes;
            freed += it.cost;
            is_needed
        });
        self.remove_kept(old).await
    }

    async fn oldest(&self, before: RunningTime, only_files: bool) -> Result<Vec<Old>, SpoolError> {
        if !self.shared.room.has_kept() {
            return Ok(Vec::new());
        }
        let keeping = &self.shared.keeping;
        let (now, since) = (self.running(), *lock_mutex(&keeping.since));
        let old = self.read(move |db| oldest(db, since, before, only_files));
        let old = old.await?;
        if !only_files {
            let first = old
                .first()
                .map_or_else(|| before.min(now), |first| first.ended);
            let mut since = lock_mutex(&keeping.since);
            *since = (*since).max(first - SLACK);
        }
        Ok(old)
    }

    /// Returns the bytes of the content that could be removed.
    async fn remove_kept(&self, old: Vec<Old>) -> Result<u64, SpoolError> {
        let ids: Vec<SpoolId> = old.iter().map(|it| it.id).collect();
        let all = ids.clone();
        let together = self.shared.writer.write(move |db| {
            let removed = |id: &SpoolId| Ok((*id, remove(db, *id, Extent::Whole)?));
            all.iter().map(removed).collect::<rusqlite::Result<_>>()
        });
        let removed: Vec<(SpoolId, Option<Removed>)> = match together.await {
            Err(error) if error.is_damage() => self.remove_singly(ids).await?,
            removed => removed?,
        };
        let mut freed = 0;
        for (id, removed) in removed {
            let Some(Removed { in_file, cost }) = removed else {
                continue;
            };
            freed += cost.max(1);
            if in_file {
                // What cannot be removed now is removed at the next start.
                let path = content::path(&self.shared.settings.folder, id);
                let _left = tokio::fs::remove_file(path).await;
            }
        }
        Ok(freed)
    }

    /// Each in a transaction of its own; what is damaged stays.
    async fn remove_singly(
        &self,
        ids: Vec<SpoolId>,
    ) -> Result<Vec<(SpoolId, Option<Removed>)>, SpoolError> {
        let mut all = Vec::new();
        for id in ids {
            let extents = [Extent::Whole, Extent::KeepContent];
            let alone = move |db: &Connection, extent| remove(db, id, extent);
            match self.write_as_far_as_possible(&extents, alone).await {
                Ok((removed, _)) => all.push((id, removed)),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}
