//! The one thread that writes to the database, with group commit.
//!
//! An operation is a closure that runs SQL and may run twice: first in one transaction
//! with everything that waits, and again in its own if that transaction failed. Its
//! result is handed over after the commit.
//!
//! A transaction that changes something counts itself in the table `spool`, and after its
//! commit in `spool.state` (`damage/mark.rs`). After an fsync error nothing more is
//! written, and the database is not touched again, see `damage/watch.rs`. New mail is
//! accepted only while database and log are in place, which is checked before a
//! transaction with new mail and after each transaction.
//!
//! The log is copied into the database's file here, and not by SQLite itself, which would
//! do it without telling anybody when the disk fails.

mod job;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::TransactionBehavior;
use rusqlite::config::DbConfig;
use rusqlite::ffi;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::job::Job;
use super::SpoolError;
use super::damage::mark;
use super::damage::mark::Mark;
use super::damage::watch;
use super::damage::watch::Watch;
use super::room::LARGEST_GROUP_BYTES;
use super::room::Room;

/// A handle to the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Message>,
}

enum Message {
    Run(Box<dyn Job>),
    Close(Closing),
}

/// How the thread should end.
struct Closing {
    /// Where to write the database, if its file was removed.
    rescue: Option<PathBuf>,
    /// Where it was written.
    done: oneshot::Sender<Option<PathBuf>>,
}

/// Operations in one transaction: enough that the fsync no longer matters, and few enough
/// that the first of them does not wait for long.
const LARGEST_GROUP: usize = 256;

/// The pages in the log at which they are copied into the database's file: SQLite's default.
const LONG_LOG: u64 = 1000;
/// The pause after copying them has failed. While the disk fails, each try copies most of a
/// growing log for nothing, and all mail waits for it.
const COPY_AGAIN: Duration = Duration::from_secs(60);

impl Writer {
    pub(super) fn start(
        connection: Connection,
        mark: Mark,
        watch: Arc<Watch>,
        room: Arc<Room>,
    ) -> Result<Self, SpoolError> {
        // See the module's doc.
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0")?;
        let path = watch.database().to_owned();
        let (jobs, inbox) = mpsc::channel(LARGEST_GROUP);
        let thread = WriterThread {
            connection,
            mark,
            watch,
            room,
            not_copied: None,
        };
        let builder = thread::Builder::new().name("spool".to_owned());
        builder
            .spawn(move || thread.run(inbox))
            .map_err(|error| SpoolError::File { path, error })?;
        Ok(Self { jobs })
    }

    /// Runs an operation. Its result is on stable storage once this returns.
    pub(super) async fn write<T, F>(&self, operation: F) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.write_then(operation, 0, || ()).await
    }

    /// The same for an operation that brings this number of bytes. `committed` runs on
    /// the writer's thread after the commit, even if the session no longer waits: from
    /// then on it is responsible for what the operation recorded. It is dropped if the
    /// operation fails.
    pub(super) async fn write_then<T, F>(
        &self,
        operation: F,
        bytes: u64,
        committed: impl FnOnce() + Send + 'static,
    ) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (job, answer) = job::new(operation, bytes, committed);
        self.jobs
            .send(Message::Run(job))
            .await
            .map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    /// Ends the thread with everything in the database's main file. Returns where the
    /// database was written, if its file had been removed.
    pub(super) async fn close(&self, rescue: Option<PathBuf>) -> Option<PathBuf> {
        let (done, closed) = oneshot::channel();
        let closing = Closing { rescue, done };
        if self.jobs.send(Message::Close(closing)).await.is_err() {
            return None;
        }
        closed.await.ok().flatten()
    }
}

struct WriterThread {
    connection: Connection,
    mark: Mark,
    watch: Arc<Watch>,
    room: Arc<Room>,
    /// When the log could not be copied.
    not_copied: Option<Instant>,
}

impl WriterThread {
    /// Runs until it is closed, no handle is left, or an fsync fails.
    fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(first) = inbox.blocking_recv() {
            let mut group: Vec<Box<dyn Job>> = Vec::new();
            let mut bytes = 0;
            let mut closing = None;
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Run(job) => {
                        bytes += job.bytes();
                        group.push(job);
                    }
                    Message::Close(how) => {
                        closing = Some(how);
                        break;
                    }
                }
                if group.len() >= LARGEST_GROUP || bytes >= LARGEST_GROUP_BYTES {
                    break;
                }
                next = inbox.try_recv().ok();
            }
            if let Err(error) = self.write(group).and_then(|()| self.shorten_log()) {
                self.room.troubles.note_database(&error);
                self.watch.not_synced(error.to_string());
                // Closing it must not write anything either.
                keep_log(&self.connection);
                return;
            }
            if let Some(closing) = closing {
                self.close(closing);
                return;
            }
        }
    }

    /// Everything goes into the database's main file, so that a copy of that file alone
    /// is complete.
    fn close(mut self, closing: Closing) {
        if self.watch.is_cut_short() {
            keep_log(&self.connection);
            drop(self.connection);
            let _gone = closing.done.send(None);
            return;
        }
        // On a full disk the log stays, and the next start reads it.
        if matches!(checkpoint(&self.connection, "TRUNCATE"), Ok(true)) {
            self.mark.checkpointed();
        }
        let _later = self.mark.sync();
        let Closing { rescue, done } = closing;
        if rescue.is_some() {
            // The log of that name belongs to another database now.
            keep_log(&self.connection);
        }
        let rescued = rescue.filter(|to| watch::write_out(&self.connection, to).is_ok());
        drop(self.connection);
        let _gone = done.send(rescued);
    }

    /// Returns the error of a failed fsync.
    fn write(&mut self, group: Vec<Box<dyn Job>>) -> rusqlite::Result<()> {
        let mut group = self.without_new_mail_if_gone(group);
        match self.transaction(&mut group) {
            Ok(is_safe) => {
                for job in group {
                    self.answer(job, is_safe);
                }
                return Ok(());
            }
            Err(error) if is_of_sync(&error) => {
                for job in group {
                    job.failed(once_more(&error));
                }
                return Err(error);
            }
            Err(_) => {}
        }
        for job in group {
            let mut alone = [job];
            let outcome = self.transaction(&mut alone);
            let [job] = alone;
            match outcome {
                Ok(is_safe) => self.answer(job, is_safe),
                Err(error) if is_of_sync(&error) => {
                    job.failed(once_more(&error));
                    return Err(error);
                }
                Err(error) => {
                    self.room.troubles.note_database(&error);
                    job.failed(error);
                }
            }
        }
        Ok(())
    }

    fn without_new_mail_if_gone(&self, group: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        if group.iter().all(|job| job.bytes() == 0) {
            return group;
        }
        let Some(lost) = self.watch.lost() else {
            return group;
        };
        let (new, others): (Vec<_>, Vec<_>) = group.into_iter().partition(|job| job.bytes() > 0);
        for job in new {
            job.refused(SpoolError::Gone(lost.to_owned()));
        }
        others
    }

    /// Mail that may be lost is not acknowledged, although it may be sent. Its client
    /// sends it again.
    fn answer(&self, job: Box<dyn Job>, is_safe: bool) {
        if is_safe || job.bytes() == 0 {
            job.committed();
            return;
        }
        let lost = self.watch.lost().map(Path::to_owned);
        let error = lost.map_or(SpoolError::Closed, SpoolError::Gone);
        job.committed_but(error);
    }

    /// Runs the operations. Returns whether the files on disk that received the writes
    /// are still in place.
    fn transaction(&mut self, group: &mut [Box<dyn Job>]) -> rusqlite::Result<bool> {
        let behaviour = TransactionBehavior::Immediate;
        // Dropping the transaction on an early return rolls it back.
        let transaction = self.connection.transaction_with_behavior(behaviour)?;
        let before = transaction.total_changes();
        for job in group.iter_mut() {
            job.run(&transaction)?;
        }
        let changed = transaction.total_changes() != before;
        let commits = changed.then(|| mark::count(&transaction)).transpose()?;
        let begun = Instant::now();
        transaction.commit()?;
        let took = begun.elapsed();
        let is_safe = self.save()?;
        if let Some(commits) = commits {
            self.mark.committed(commits);
            self.room.commit_times.observe(took.as_secs_f64());
            // Before any waiting session continues.
            self.room.publish(&self.connection);
        }
        Ok(is_safe)
    }

    /// Moves the contents of a removed log into the database's main file. Returns whether
    /// nothing was lost. An error is that of an fsync.
    fn save(&self) -> rusqlite::Result<bool> {
        if self.watch.lost().is_none() {
            return Ok(true);
        }
        if !self.watch.may_save() {
            return Ok(false);
        }
        match checkpoint(&self.connection, "FULL") {
            Err(error) if is_of_sync(&error) => Err(error),
            saved => Ok(saved.unwrap_or(false)),
        }
    }

    /// Copies a long log into the database's file; the next transaction begins the log
    /// again. If that fails, the log keeps everything and grows. An error is that of an
    /// fsync.
    fn shorten_log(&mut self) -> rusqlite::Result<()> {
        let is_long = uncopied(&self.connection).is_some_and(|pages| pages >= LONG_LOG);
        if is_long && self.not_copied.is_none_or(|at| at.elapsed() >= COPY_AGAIN) {
            self.not_copied = None;
            match checkpoint(&self.connection, "PASSIVE") {
                Err(error) if is_of_sync(&error) => return Err(error),
                Err(error) => {
                    self.not_copied = Some(Instant::now());
                    self.room.troubles.note(&format!(
                        "spool.db-wal cannot be copied into {}: {error}; nothing is lost, but it grows",
                        self.watch.database().display()
                    ));
                }
                Ok(_) => self.room.publish(&self.connection),
            }
        }
        if uncopied(&self.connection) == Some(0) {
            self.mark.checkpointed();
        }
        Ok(())
    }
}

/// When the database is closed, its log is not copied.
fn keep_log(db: &Connection) {
    let _kept = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// Copies the log into the database's file. Returns whether nothing was in the way.
fn checkpoint(db: &Connection, how: &str) -> rusqlite::Result<bool> {
    let copied = db.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| {
        row.get(0)
    });
    copied.map(|busy: i64| busy == 0)
}

/// The pages in the log that the database's file does not have, if that is known. Only
/// asks.
fn uncopied(db: &Connection) -> Option<u64> {
    let mut asked = db.prepare_cached("PRAGMA wal_checkpoint(NOOP)").ok()?;
    let (log, copied): (i64, i64) = asked
        .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
        .ok()?;
    // Both are -1 where there is no log.
    u64::try_from(log)
        .ok()?
        .checked_sub(u64::try_from(copied).ok()?)
}

pub(super) fn is_of_sync(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(code, _) = error else {
        return false;
    };
    [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC].contains(&code.extended_code)
}

/// The same for another waiting session.
fn once_more(error: &rusqlite::Error) -> rusqlite::Error {
    if let rusqlite::Error::SqliteFailure(code, words) = error {
        rusqlite::Error::SqliteFailure(*code, words.clone())
    } else {
        rusqlite::Error::InvalidQuery
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::spool::Settings;
    use crate::spool::damage::mark::State;

    fn writer(folder: &TempDir) -> Writer {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (x INTEGER PRIMARY KEY);
                 CREATE TABLE spool (commits INTEGER); INSERT INTO spool VALUES (0)",
            )
            .unwrap();
        let state = State {
            id: "a test's".to_owned(),
            commits: 0,
            checkpointed: 0,
        };
        let mark = Mark::write(folder.path(), state).unwrap();
        let watch = Watch::new(folder.path().join("spool.db"));
        let settings = Settings {
            folder: folder.path().to_owned(),
            size: 0,
            free_space: 0,
            subjects: crate::spool::Subjects::Kept,
        };
        let room = Room::new(&settings, &connection);
        Writer::start(connection, mark, Arc::new(watch), Arc::new(room)).unwrap()
    }

    #[tokio::test]
    async fn one_failing_operation_fails_alone() {
        let folder = TempDir::new().unwrap();
        let writer = writer(&folder);
        let insert =
            |x: i64| writer.write(move |db| db.execute("INSERT INTO t VALUES (?1)", [x]).map(drop));

        let (first, twin, other) = tokio::join!(insert(1), insert(1), insert(2));

        assert!(first.is_ok() && other.is_ok());
        assert!(matches!(twin, Err(SpoolError::Database(_))));
        let count = |db: &Connection| db.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        assert_eq!(writer.write::<i64, _>(count).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn after_a_failed_fsync_nothing_more_is_written() {
        let folder = TempDir::new().unwrap();
        let writer = writer(&folder);
        let failing = |_: &Connection| -> rusqlite::Result<()> {
            let code = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
            Err(rusqlite::Error::SqliteFailure(code, None))
        };

        let failed = writer.write(failing).await;

        assert!(matches!(failed, Err(SpoolError::NotSynced(_))));
        let later = writer.write(|_| Ok(())).await;
        assert!(matches!(later, Err(SpoolError::Closed)));
    }

    #[tokio::test]
    async fn a_commit_without_a_waiting_session_is_still_followed_up() {
        let folder = TempDir::new().unwrap();
        let writer = writer(&folder);
        let (committed, answer) = oneshot::channel();
        let committed = move || {
            let _unwanted = committed.send(());
        };
        {
            let insert = |db: &Connection| db.execute("INSERT INTO t VALUES (1)", []);
            let mut waiting = std::pin::pin!(writer.write_then(insert, 0, committed));
            // The first poll hands the operation to the writer; then the session is cut
            // off.
            std::future::poll_fn(|context| {
                let _unfinished = waiting.as_mut().poll(context);
                std::task::Poll::Ready(())
            })
            .await;
        }

        assert_eq!(answer.await, Ok(()));
    }

    #[tokio::test]
    async fn a_closed_writer_refuses_operations() {
        let folder = TempDir::new().unwrap();
        let writer = writer(&folder);
        writer.close(None).await;

        assert!(matches!(
            writer.write(|_| Ok(())).await,
            Err(SpoolError::Closed)
        ));
    }
}
