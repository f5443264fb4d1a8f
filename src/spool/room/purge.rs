//! Removing what the history has kept for long enough (`[history] keep`, `[failure] keep`), with its
//! content. Running time decides, so that a wrong clock removes nothing. What has to go before,
//! because new mail needs the room: `yields.rs`.

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use crate::clock::RunningTime;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::State;
use crate::spool::columns;
use crate::spool::content;
use crate::spool::operator::orders;
use crate::spool::operator::orders::Extent;

impl Spool {
    /// Removes entries that were delivered before `delivered`, and those that failed
    /// before `failed`, with their content. Returns the failed ones. Both are running
    /// times, so that a wrong clock purges nothing.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn purge(
        &self,
        delivered: RunningTime,
        failed: RunningTime,
    ) -> Result<Vec<SpoolId>, SpoolError> {
        let folder = self.shared.settings.folder.clone();
        let mut forgotten = Vec::new();
        let mut kept = HashSet::new();
        loop {
            let gone = self.purge_some(delivered, failed, &mut kept).await?;
            let Some(gone) = gone else {
                return Ok(forgotten);
            };
            for entry in gone {
                if entry.has_file {
                    // What cannot be removed now is removed at the next start.
                    let _left = tokio::fs::remove_file(content::path(&folder, entry.id)).await;
                }
                forgotten.extend(entry.had_failed.then_some(entry.id));
            }
        }
    }

    /// Does it in one transaction. If damage stops that, each entry gets its own, and
    /// entries that cannot be removed are `kept`.
    async fn purge_some(
        &self,
        delivered: RunningTime,
        failed: RunningTime,
        kept: &mut HashSet<SpoolId>,
    ) -> Result<Purged, SpoolError> {
        let writer = &self.shared.writer;
        let left: Vec<SpoolId> = kept.iter().copied().collect();
        let found = self.read(move |db| ended(db, delivered, failed, left.len()));
        let mut ids = found.await?;
        ids.retain(|id| !kept.contains(id));
        if ids.is_empty() {
            return Ok(None);
        }
        let all = ids.clone();
        match writer
            .write(move |db| forget(db, &all, delivered, failed, Extent::Whole))
            .await
        {
            Err(SpoolError::Damaged(_)) => {}
            gone => return Ok(Some(gone?)),
        }
        let mut gone = Vec::new();
        for id in ids {
            let one = move |db: &Connection, extent| forget(db, &[id], delivered, failed, extent);
            match self.write_as_far_as_possible(&Extent::ALL, one).await {
                Ok((one, _)) => gone.extend(one),
                Err(SpoolError::Damaged(_)) => {
                    kept.insert(id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(gone))
    }
}

/// The number of entries removed in one transaction, so that accepting mail does not wait
/// for long.
const PURGED_AT_ONCE: u32 = 500;

/// The entries of one batch that were removed; none if nothing is left.
type Purged = Option<Vec<Gone>>;

/// An entry that was removed.
struct Gone {
    id: SpoolId,
    had_failed: bool,
    has_file: bool,
}

/// The entries to remove now, and `more` that cannot be removed.
fn ended(
    db: &Connection,
    delivered: RunningTime,
    failed: RunningTime,
    more: usize,
) -> rusqlite::Result<Vec<SpoolId>> {
    let mut statement = db.prepare(
        "SELECT id FROM entry WHERE state IN ('delivered', 'dropped')
         AND ended_at IS NOT NULL AND ended_running < ?1
         UNION ALL
         SELECT id FROM entry WHERE state IN ('failed', 'quarantined')
         AND ended_at IS NOT NULL AND ended_running < ?2
         LIMIT ?3",
    )?;
    let limit = PURGED_AT_ONCE.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
    let bounds = params![delivered.millis(), failed.millis(), limit];
    let rows = statement.query_map(bounds, |row| columns::id(row, 0))?;
    rows.collect()
}

fn forget(
    db: &Connection,
    ids: &[SpoolId],
    delivered: RunningTime,
    failed: RunningTime,
    extent: Extent,
) -> rusqlite::Result<Vec<Gone>> {
    let mut statement = db.prepare_cached(
        "DELETE FROM entry WHERE id = ?1
         AND ((state IN ('delivered', 'dropped') AND ended_running < ?2)
         OR (state IN ('failed', 'quarantined') AND ended_running < ?3))
         RETURNING state, in_file, content_cost < 0",
    )?;
    let mut gone = Vec::new();
    for id in ids {
        let bounds = params![id.to_string(), delivered.millis(), failed.millis()];
        let row = statement.query_row(bounds, |row| {
            let (state, in_file): (State, bool) = (row.get(0)?, row.get(1)?);
            Ok(Gone {
                id: *id,
                had_failed: state.is_open(),
                has_file: in_file && (state.is_open() || row.get(2)?),
            })
        });
        // An operator may have sent it again meanwhile.
        let Some(entry) = row.optional()? else {
            continue;
        };
        orders::forget(db, &id.to_string(), extent)?;
        gone.push(entry);
    }
    Ok(gone)
}
