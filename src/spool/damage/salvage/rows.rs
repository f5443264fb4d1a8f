//! The rows of a damaged database, each read by itself.
//!
//! Ids are collected from every table and index that has them, from both ends, so that a
//! bad page in one of them hides nothing that another still has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::params;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::Salvaged;
use crate::clock::Timestamp;
use crate::disk;
use crate::mail::SpoolId;
use crate::spool::Content;
use crate::spool::KEPT;
use crate::spool::SpoolError;
use crate::spool::attempts;
use crate::spool::content;
use crate::spool::damage;
use crate::spool::operator::pauses;
use crate::spool::room::forgotten;
use crate::spool::room::yields::YIELDED;
use crate::spool::state::State;
use crate::spool::trouble::failed;

/// Where ids are found, with the column that has them.
const SOURCES: [(&str, &str); 9] = [
    ("entry", "id"),
    (
        "entry INDEXED BY entry_open WHERE state NOT IN ('delivered', 'dropped')",
        "id",
    ),
    ("entry INDEXED BY entry_due WHERE state = 'waiting'", "id"),
    (
        "entry INDEXED BY entry_ended WHERE ended_at IS NOT NULL",
        "id",
    ),
    ("recipient NOT INDEXED", "entry"),
    ("recipient INDEXED BY recipient_key", "entry"),
    ("content INDEXED BY sqlite_autoindex_content_1", "entry"),
    ("content NOT INDEXED", "entry"),
    ("attempt", "entry"),
];

/// Columns that an older format lacks, and their values then.
const LATER: [(&str, i64); 1] = [("due_running", 0)];

const STATE_LOST: &str = "salvaged: its state and sender are lost; it may have been delivered";
const ENTRY_LOST: &str = "salvaged: it was delivered; its sender is lost";
const OLDER: &str = "salvaged from an older database; it may have been delivered";
const ATTEMPTS_LOST: &str = "salvaged: its attempts are lost; it may have been delivered";

/// From where, to where.
pub(super) struct Rows<'a> {
    pub(super) source: &'a Connection,
    pub(super) target: &'a Connection,
    /// The folders of both.
    pub(super) from: &'a Path,
    pub(super) to: &'a Path,
    pub(super) now: Timestamp,
}

impl Rows<'_> {
    /// Copies everything that can be read.
    pub(super) fn copy(&self, salvaged: &mut Salvaged) -> Result<(), SpoolError> {
        // Without these two the relay would count from zero.
        let _begins_again = self.copy_rows("clock", "1", "")?;
        let _copied = self.copy_rows("refusal", "1", "")?;
        // What was paused before may not go out.
        if self.copy_rows("ordered", "1", "")?.is_err() && self.has_table("ordered") {
            pauses::insert_lost(self.target, self.now)?;
            salvaged.are_pauses_lost = true;
        }
        // Any message until now may be missing, and the note of what was removed too.
        let until = SpoolId::first_of(self.now).to_string();
        forgotten::note(self.target, &until)?;
        for id in self.ids() {
            self.message(&id, salvaged)?;
        }
        self.content_files(salvaged)
    }

    /// For an older database, after [`Rows::copy`]: waiting mail may have been delivered
    /// since, so it is held.
    pub(super) fn hold_what_waits(&self, salvaged: &mut Salvaged) -> Result<(), SpoolError> {
        let mut held = self.target.prepare(
            "UPDATE entry SET state = 'held', reason = ?1, status = NULL, changed_at = ?2
             WHERE state IN ('waiting', 'claimed') RETURNING id",
        )?;
        for id in held.query_map(params![OLDER, self.now.millis()], |row| {
            row.get::<_, String>(0)
        })? {
            salvaged.held.push((id?, OLDER.to_owned()));
        }
        salvaged.saved.remove(&State::Waiting);
        salvaged.saved.remove(&State::Claimed);
        Ok(())
    }

    /// Whether the damaged database has a table, which one of an earlier version may lack.
    fn has_table(&self, name: &str) -> bool {
        let query = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?1";
        let found = self.source.query_row(query, [name], |row| row.get(0));
        found.unwrap_or(true)
    }

    fn ids(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for (source, column) in SOURCES {
            for order in ["ASC", "DESC"] {
                let query = format!("SELECT {column} FROM {source} ORDER BY {column} {order}");
                // As far as it can be read, forwards and backwards through the tree.
                for query in [query, format!("SELECT {column} FROM {source}")] {
                    self.read_ids(&query, &mut ids);
                }
            }
        }
        ids
    }

    fn read_ids(&self, query: &str, ids: &mut BTreeSet<String>) {
        let Ok(mut statement) = self.source.prepare(query) else {
            return;
        };
        let Ok(mut rows) = statement.query([]) else {
            return;
        };
        while let Ok(Some(row)) = rows.next() {
            let id: Option<String> = row.get(0).ok();
            ids.extend(id.filter(|id| id.parse::<SpoolId>().is_ok()));
        }
    }

    fn message(&self, id: &str, salvaged: &mut Salvaged) -> Result<(), SpoolError> {
        let state = self
            .source
            .query_row("SELECT state FROM entry WHERE id = ?1", [id], |row| {
                row.get::<_, State>(0)
            });
        let copied = state.is_ok() && matches!(self.copy_rows("entry", "id = ?1", id)?, Ok(1));
        let Some(state) = state.ok().filter(|_| copied) else {
            return self.without_entry(id, salvaged);
        };
        let recipients = self.copy_rows("recipient", "entry = ?1", id)?;
        // The seal does not match without them.
        let _copied = self.copy_rows("asked", "entry = ?1", id)?;
        let attempts = self.copy_rows("attempt", "entry = ?1", id)?;
        let content = match self.copy_rows("content", "entry = ?1", id)? {
            // Only its index may be damaged.
            Err(_) => self.copy_rows("content", "+entry = ?1", id)?,
            copied => copied,
        };
        if !state.is_open() {
            let is_whole = recipients.is_ok() && content.is_ok();
            self.kept_content(id, is_whole)?;
            *salvaged.saved.entry(state).or_default() += 1;
            return Ok(());
        }
        let why = match (recipients, content) {
            (Err(error), _) => Some(format!("its recipients cannot be read: {error}")),
            (_, Err(error)) => Some(format!("its content cannot be read: {error}")),
            (Ok(_), Ok(_)) if self.has_yielded(id)? => None,
            (Ok(_), Ok(_)) => self.unsound(id)?,
        };
        if let Some(why) = why {
            let reason = format!("salvaged: {why}");
            self.set_state(id, State::Quarantined, &reason)?;
            salvaged.quarantined.push((id.to_owned(), why));
        } else if attempts.is_err() && matches!(state, State::Waiting | State::Claimed) {
            self.set_state(id, State::Held, ATTEMPTS_LOST)?;
            salvaged
                .held
                .push((id.to_owned(), ATTEMPTS_LOST.to_owned()));
        } else {
            *salvaged.saved.entry(state).or_default() += 1;
        }
        Ok(())
    }

    /// Leaves a message that has ended the content that is kept for it, if that is sound.
    fn kept_content(&self, id: &str, is_whole: bool) -> Result<(), SpoolError> {
        let query = format!("SELECT 1 FROM entry WHERE id = ?1 AND {KEPT}");
        let is_kept = self.target.prepare(&query)?.exists([id])?;
        if is_kept && is_whole && self.unsound(id)?.is_none() {
            return Ok(());
        }
        self.target
            .execute("DELETE FROM content WHERE entry = ?1", [id])?;
        if is_kept {
            let lost = "UPDATE entry SET content_cost = 0 WHERE id = ?1";
            self.target.execute(lost, [id])?;
        }
        Ok(())
    }

    /// Whether the content of a copied message was removed to make room for new mail.
    fn has_yielded(&self, id: &str) -> Result<bool, SpoolError> {
        let query = format!("SELECT 1 FROM entry WHERE id = ?1 AND {YIELDED}");
        Ok(self.target.prepare(&query)?.exists([id])?)
    }

    /// Why a copied message cannot be sent as it is.
    fn unsound(&self, id: &str) -> Result<Option<String>, SpoolError> {
        let entry = match attempts::read(self.target, id, self.from) {
            Ok(entry) => entry,
            Err(error) if damage::is_of_the_entry(&error) => return Ok(Some(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = entry.content.verify_now(entry.digest) {
            return Ok(Some(error.to_string()));
        }
        if let Content::File { path, .. } = &entry.content {
            self.link(path, entry.id)?;
        }
        Ok(None)
    }

    /// Handles a message whose entry is lost; it is held if it can be sent at all.
    fn without_entry(&self, id: &str, salvaged: &mut Salvaged) -> Result<(), SpoolError> {
        let Ok(parsed) = id.parse::<SpoolId>() else {
            return Ok(());
        };
        if self.was_delivered(id) {
            return self.delivered(id, salvaged);
        }
        let bytes =
            self.source
                .query_row("SELECT bytes FROM content WHERE entry = ?1", [id], |row| {
                    row.get::<_, Vec<u8>>(0)
                });
        let file = content::path(self.from, parsed);
        let size = match &bytes {
            Ok(bytes) => Some(bytes.len() as u64),
            Err(_) => fs::metadata(&file).ok().map(|file| file.len()),
        };
        let Some(size) = size else {
            let what = "only its ID is left: either it was delivered or it is lost";
            salvaged.lost.push((id.to_owned(), what.to_owned()));
            return Ok(());
        };
        self.target.execute(
            "INSERT INTO entry (id, state, accepted_at, due_running, reverse_path, utf8, client,
             hello, protocol, size, in_file, reason)
             VALUES (?1, 'held', ?2, 0, '', 0, '0.0.0.0', '', '', ?3, ?4, ?5)",
            params![
                id,
                self.now.millis(),
                i64::try_from(size).unwrap_or(i64::MAX),
                bytes.is_err(),
                STATE_LOST
            ],
        )?;
        let recipients = self.copy_rows("recipient", "entry = ?1", id)?;
        let _copied = self.copy_rows("asked", "entry = ?1", id)?;
        if let Ok(bytes) = &bytes {
            let row = params![id, bytes];
            self.target
                .execute("INSERT INTO content (entry, bytes) VALUES (?1, ?2)", row)?;
        } else {
            self.link(&file, parsed)?;
        }
        if matches!(recipients, Ok(1..)) {
            salvaged.held.push((id.to_owned(), STATE_LOST.to_owned()));
        } else {
            let why = "its state and its recipients are lost";
            self.set_state(id, State::Quarantined, &format!("salvaged: {why}"))?;
            salvaged.quarantined.push((id.to_owned(), why.to_owned()));
        }
        Ok(())
    }

    /// Whether the record of a message's attempts says that one has delivered it.
    fn was_delivered(&self, id: &str) -> bool {
        let query = "SELECT count(*) > 0 FROM attempt WHERE entry = ?1 AND outcome = 'delivered'";
        self.source
            .query_row(query, [id], |row| row.get(0))
            .unwrap_or(false)
    }

    /// Handles a delivered message whose entry is lost: it stays in the history, and what was
    /// kept of its content does not.
    fn delivered(&self, id: &str, salvaged: &mut Salvaged) -> Result<(), SpoolError> {
        self.target.execute(
            "INSERT INTO entry (id, state, accepted_at, due_running, ended_at, reverse_path, utf8,
             client, hello, protocol, size, in_file, reason, status, changed_at)
             VALUES (?1, 'delivered', ?2, 0, ?2, '', 0, '0.0.0.0', '', '', 0, 1, ?3, '2.0.0', ?2)",
            params![id, self.now.millis(), ENTRY_LOST],
        )?;
        for table in ["recipient", "attempt"] {
            let _copied = self.copy_rows(table, "entry = ?1", id)?;
        }
        *salvaged.saved.entry(State::Delivered).or_default() += 1;
        Ok(())
    }

    fn set_state(&self, id: &str, state: State, reason: &str) -> Result<(), SpoolError> {
        let ended = (state == State::Quarantined).then(|| self.now.millis());
        self.target.execute(
            "UPDATE entry SET state = ?2, reason = ?3, ended_at = ?4, status = NULL, changed_at = ?5
             WHERE id = ?1",
            params![id, state, reason, ended, self.now.millis()],
        )?;
        Ok(())
    }

    /// Copies the rows of a table that match a condition, as far as they can be read.
    /// Returns how many those are, or why not all could be read. An error is one of
    /// writing.
    fn copy_rows(
        &self,
        table: &str,
        condition: &str,
        id: &str,
    ) -> Result<rusqlite::Result<usize>, SpoolError> {
        let mut trouble = None;
        let copied = self.copy_readable(table, condition, id, &mut trouble);
        match trouble {
            Some(error) => Err(error),
            None => Ok(copied),
        }
    }

    fn copy_readable(
        &self,
        table: &str,
        condition: &str,
        id: &str,
        trouble: &mut Option<SpoolError>,
    ) -> rusqlite::Result<usize> {
        let target = self
            .target
            .prepare(&format!("SELECT * FROM {table} LIMIT 0"))?;
        let known: Vec<String> = target.column_names().map(str::to_owned).collect();
        let query = format!("SELECT * FROM {table} WHERE {condition}");
        let mut statement = self.source.prepare(&query)?;
        let found: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let both: Vec<(usize, &String)> = found
            .iter()
            .enumerate()
            .filter(|(_, name)| known.contains(name))
            .collect();
        let mut names: Vec<&str> = both.iter().map(|(_, name)| name.as_str()).collect();
        let later = LATER.iter().filter(|(name, _)| {
            known.iter().any(|it| it == name) && !found.iter().any(|it| it == name)
        });
        let later: Vec<_> = later.collect();
        names.extend(later.iter().map(|(name, _)| *name));
        let places = vec!["?"; names.len()].join(", ");
        let insert = format!(
            "INSERT INTO {table} ({}) VALUES ({places})",
            names.join(", ")
        );
        let mut insert = self.target.prepare_cached(&insert)?;
        let mut rows = if condition == "1" {
            statement.query([])?
        } else {
            statement.query([id])?
        };
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let mut values = Vec::new();
            for (column, _) in &both {
                values.push(row.get::<_, Value>(*column)?);
            }
            values.extend(later.iter().map(|(_, value)| Value::Integer(*value)));
            match insert.execute(params_from_iter(values)) {
                // No row of this table can look like this, so it was not read correctly.
                Err(error) if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) => {
                    *trouble = Some(error.into());
                    return Ok(count);
                }
                inserted => count += inserted?,
            }
        }
        Ok(count)
    }

    /// Moves the file of a message to the new spool, if that is in another folder.
    fn link(&self, file: &Path, id: SpoolId) -> Result<(), SpoolError> {
        let to = content::path(self.to, id);
        if to.exists() {
            return Ok(());
        }
        if fs::hard_link(file, &to).is_ok() {
            return Ok(());
        }
        // Under another name until it is whole: the next salvage takes what it finds for the whole.
        let part = to.with_extension("part");
        let copied = disk::remove(&part)
            .and_then(|()| disk::copy(file, &part))
            .and_then(|()| disk::move_if_there(&part, &to));
        copied
            .map_err(failed(&to))
            .inspect_err(|_| drop(disk::remove(&part)))
    }

    /// Content files that no entry refers to.
    fn content_files(&self, salvaged: &mut Salvaged) -> Result<(), SpoolError> {
        let folder = content::folder(self.from);
        let mut known = self.target.prepare("SELECT 1 FROM entry WHERE id = ?1")?;
        for file in fs::read_dir(&folder).map_err(failed(&folder))? {
            let file = file.map_err(failed(&folder))?;
            let Some(id) = content::id_of(&file) else {
                continue;
            };
            if !known.exists([id.to_string()])? {
                self.link(&file.path(), id)?;
                salvaged.orphans.push(id.to_string());
            }
        }
        salvaged.orphans.sort();
        Ok(())
    }
}
