//! Takes the large contents of a spool over into another folder, while messages end and
//! their files are removed: [`Contents::gather`].

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::Transaction;

use crate::disk;
use crate::mail::SpoolId;
use crate::platform::files;
use crate::spool::KEPT;
use crate::spool::OnStep;
use crate::spool::Phase;
use crate::spool::SpoolError;
use crate::spool::content;
use crate::spool::damage::recover;
use crate::spool::trouble::failed;

/// Messages whose content is in a file.
fn in_files(db: &Connection) -> rusqlite::Result<String> {
    // Formats before 4 lack the column, and keep no content of ended messages.
    let has_cost: bool = db.query_row(
        "SELECT count(*) > 0 FROM pragma_table_info('entry') WHERE name = 'content_cost'",
        [],
        |row| row.get(0),
    )?;
    let kept = if has_cost { KEPT } else { "0" };
    Ok(format!(
        "SELECT id FROM entry WHERE in_file = 1
         AND (state NOT IN ('delivered', 'dropped') OR ({kept}))"
    ))
}

/// Each is shorter than the one before; more than a few mean that something else is wrong.
const ROUNDS: usize = 100;

/// The large contents, on their way from one folder to another.
pub(super) struct Contents<'a> {
    from: &'a Path,
    to: &'a Path,
    /// Whether a file may be a link to the one that it comes from.
    may_link: bool,
    on_step: OnStep<'a>,
    kept: BTreeSet<SpoolId>,
    /// Copies by the device and inode that they are of: entries that were split share one.
    copies: HashMap<(u64, u64), PathBuf>,
    pub(super) linked: u64,
    pub(super) copied: u64,
}

impl<'a> Contents<'a> {
    pub(super) fn new(from: &'a Path, to: &'a Path, may_link: bool, on_step: OnStep<'a>) -> Self {
        Self {
            from,
            to,
            may_link,
            on_step,
            kept: BTreeSet::new(),
            copies: HashMap::new(),
            linked: 0,
            copied: 0,
        }
    }

    /// Takes over every content that the database knows at one instant, and returns that
    /// instant.
    ///
    /// A message may be delivered, and its file removed, after the instant and before its
    /// file is taken over. Then a later instant is tried, at which it has ended: only what
    /// is new has to be taken over by then. A file that is missing at two instants is
    /// missing in the spool too, and the check reports it.
    pub(super) fn gather<'db>(
        &mut self,
        db: &'db Connection,
    ) -> Result<Transaction<'db>, SpoolError> {
        self.gather_at(|| db.unchecked_transaction())
    }

    fn gather_at<'db>(
        &mut self,
        mut begin: impl FnMut() -> rusqlite::Result<Transaction<'db>>,
    ) -> Result<Transaction<'db>, SpoolError> {
        let mut before = BTreeSet::new();
        for _ in 0..ROUNDS {
            let instant = begin()?;
            let ids = recover::ids(&instant, &in_files(&instant)?)?;
            let mut missing = BTreeSet::new();
            for (at, id) in ids.iter().enumerate() {
                Phase::CopyingContents.passes(at, ids.len(), self.on_step);
                if !self.kept.contains(id) && !self.take(*id)? {
                    missing.insert(*id);
                }
            }
            if missing.is_subset(&before) {
                self.leave_only(&ids.into_iter().collect())?;
                return Ok(instant);
            }
            before = missing;
        }
        let words = "large messages come and go too quickly: try again";
        Err(failed(&content::folder(self.from))(io::Error::new(
            io::ErrorKind::WouldBlock,
            words,
        )))
    }

    /// Returns whether the file was there.
    fn take(&mut self, id: SpoolId) -> Result<bool, SpoolError> {
        let (from, to) = (content::path(self.from, id), content::path(self.to, id));
        let file = match fs::metadata(&from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(&from)(error)),
        };
        // Another file system, or one without links: copied.
        let linked = self.may_link && fs::hard_link(&from, &to).is_ok();
        let identity = files::identity(&file);
        let has_copy = self.copies.get(&identity);
        if linked {
            self.linked += 1;
        } else if has_copy.is_some_and(|copy| fs::hard_link(copy, &to).is_ok()) {
            self.copied += 1;
        } else {
            match disk::copy(&from, &to) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(failed(&to)(error)),
            }
            self.copies.insert(identity, to);
            self.copied += 1;
        }
        self.kept.insert(id);
        Ok(true)
    }

    /// Removes what has ended since it was taken over.
    fn leave_only(&self, ids: &BTreeSet<SpoolId>) -> Result<(), SpoolError> {
        for id in self.kept.difference(ids) {
            let path = content::path(self.to, *id);
            disk::remove(&path).map_err(failed(&path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 3] = [
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01ARZ3NDEKTSV4RRFFQ69G5FAW",
        "01ARZ3NDEKTSV4RRFFQ69G5FAX",
    ];

    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let both = ["from", "to"].map(|name| folder.path().join(name));
        for folder in &both {
            content::make_folders(folder).unwrap();
        }
        let [from, to] = both;
        (folder, from, to)
    }

    /// Waiting messages with these ids, whose content is in files.
    fn database(path: &Path, ids: &[&str]) -> Connection {
        let db = Connection::open(path).unwrap();
        db.execute_batch(
            "CREATE TABLE entry (id TEXT, state TEXT, in_file INTEGER, content_cost INTEGER)",
        )
        .unwrap();
        for id in ids {
            db.execute("INSERT INTO entry VALUES (?1, 'waiting', 1, 4096)", [id])
                .unwrap();
        }
        db
    }

    fn file(folder: &Path, id: &str) -> PathBuf {
        content::path(folder, id.parse().unwrap())
    }

    #[test]
    fn a_message_that_ends_while_contents_are_gathered_has_ended_in_the_backup() {
        let (folder, from, to) = folders();
        let path = folder.path().join("spool.db");
        let relay = database(&path, &IDS[..2]);
        // The other one was delivered right after the first instant, and its file is gone.
        fs::write(file(&from, IDS[0]), "x").unwrap();
        let db = Connection::open(&path).unwrap();
        let mut instants = 0;

        let mut contents = Contents::new(&from, &to, true, &|_| ());
        let instant = contents
            .gather_at(|| {
                instants += 1;
                if instants == 2 {
                    relay.execute("UPDATE entry SET state = 'delivered'", [])?;
                }
                db.unchecked_transaction()
            })
            .unwrap();

        let waits = recover::ids(&instant, &in_files(&instant).unwrap()).unwrap();
        assert_eq!((instants, waits), (2, Vec::new()));
        let left = fs::read_dir(content::folder(&to)).unwrap().count();
        assert_eq!(left, 0, "content of ended messages is left out");
    }

    #[test]
    fn a_content_that_stays_missing_ends_the_search_and_others_are_there() {
        let (_folder, from, to) = folders();
        let db = database(Path::new(":memory:"), &IDS);
        fs::write(file(&from, IDS[1]), "x").unwrap();
        // Two entries share a file.
        fs::hard_link(file(&from, IDS[1]), file(&from, IDS[2])).unwrap();

        for may_link in [true, false] {
            let mut contents = Contents::new(&from, &to, may_link, &|_| ());
            contents.gather(&db).unwrap();

            let inode = |path: PathBuf| files::identity(&fs::metadata(path).unwrap());
            let [one, other] = [1, 2].map(|n| inode(file(&to, IDS[n])));
            assert_eq!(one, other);
            assert_eq!(one == inode(file(&from, IDS[1])), may_link);
            fs::remove_dir_all(&to).unwrap();
            content::make_folders(&to).unwrap();
        }
    }
}
