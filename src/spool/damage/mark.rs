//! `spool.state`: how far the spool was, kept next to the database, so that an older or a
//! different database in its place is noticed.
//!
//! The database counts its transactions in the table `spool`. After each commit the same
//! number is written here, in place and without an fsync. The database is durable first,
//! so after a crash this file is never ahead of it. A database with fewer transactions
//! than this file says is older: mail accepted since is not in it, and mail delivered
//! since would be sent again.
//!
//! The second number says how many of those transactions the database's file has without
//! its log. It is compared before SQLite opens the database, because SQLite would apply
//! today's log to yesterday's database and damage it for good.
//!
//! Nothing is compared if this file is missing or cannot be read: the spool of an older
//! version has none, a folder that was restored as a whole has the right one, and an
//! operator who wants an older database removes it.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::disk;
use crate::platform::files;

/// How far a spool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::spool) struct State {
    /// Which spool it is.
    pub(in crate::spool) id: String,
    /// The transactions that it has had.
    pub(in crate::spool) commits: u64,
    /// How many of those the database's file has without its log.
    pub(in crate::spool) checkpointed: u64,
}

/// The open file.
#[derive(Debug)]
pub(in crate::spool) struct Mark {
    file: File,
    state: State,
}

const FIRST_LINE: &str = "graph-relay spool state, written by the relay: do not edit";

pub(in crate::spool) fn path(folder: &Path) -> PathBuf {
    folder.join("spool.state")
}

/// The contents of the file, if it can be read.
pub(in crate::spool) fn read(folder: &Path) -> Option<State> {
    let text = fs::read_to_string(path(folder)).ok()?;
    let mut lines = text.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    Some(State {
        id: field("id")?.to_owned(),
        commits: field("commits")?.parse().ok()?,
        checkpointed: field("checkpointed")?.parse().ok()?,
    })
}

impl Mark {
    /// Writes the file, durable with its name.
    pub(in crate::spool) fn write(folder: &Path, state: State) -> io::Result<Self> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        let file = files::with_mode(&mut options, files::PRIVATE).open(path(folder))?;
        let mark = Self { file, state };
        let text = mark.text();
        files::write_all_at(&mark.file, text.as_bytes(), 0)?;
        mark.file.set_len(text.len() as u64)?;
        mark.sync()?;
        disk::sync(folder)?;
        Ok(mark)
    }

    /// Records a durable transaction.
    pub(in crate::spool) fn committed(&mut self, commits: u64) {
        self.state.commits = commits;
        self.overwrite();
    }

    /// The database has everything without its log.
    pub(in crate::spool) fn checkpointed(&mut self) {
        if self.state.checkpointed != self.state.commits {
            self.state.checkpointed = self.state.commits;
            self.overwrite();
        }
    }

    /// A file that falls behind notices less, and never causes a wrong refusal.
    fn overwrite(&self) {
        let _behind = files::write_all_at(&self.file, self.text().as_bytes(), 0);
    }

    pub(in crate::spool) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Always of the same length, so that it can be overwritten in place.
    fn text(&self) -> String {
        let State {
            id,
            commits,
            checkpointed,
        } = &self.state;
        format!("{FIRST_LINE}\nid {id}\ncommits {commits:020}\ncheckpointed {checkpointed:020}\n")
    }
}

/// Counts the present transaction in the table `spool`.
pub(in crate::spool) fn count(db: &Connection) -> rusqlite::Result<u64> {
    db.prepare_cached("UPDATE spool SET commits = commits + 1")?
        .execute([])?;
    // Not with RETURNING, for which SQLite would make a table in memory for the one row.
    let commits: i64 = db
        .prepare_cached("SELECT commits FROM spool")?
        .query_row([], |row| row.get(0))?;
    Ok(u64::try_from(commits).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_as_it_was_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let state = State {
            id: "an id".to_owned(),
            commits: 7,
            checkpointed: 3,
        };
        let mut mark = Mark::write(folder.path(), state.clone()).unwrap();
        assert_eq!(read(folder.path()), Some(state.clone()));

        mark.committed(1_000_000);
        mark.checkpointed();

        let further = State {
            commits: 1_000_000,
            checkpointed: 1_000_000,
            ..state
        };
        assert_eq!(read(folder.path()), Some(further));
    }

    #[test]
    fn an_unreadable_state_file_counts_as_missing() {
        let folder = tempfile::TempDir::new().unwrap();
        for text in ["", "graph-relay spool state", "x\nid a\ncommits 1\n"] {
            fs::write(path(folder.path()), text).unwrap();
            assert_eq!(read(folder.path()), None);
        }
    }
}
