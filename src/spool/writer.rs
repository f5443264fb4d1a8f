//! The one thread that writes to the database, with group commit.
//!
//! An operation is a closure that runs SQL and may run twice: first in one
//! transaction with all that waited, and again in one of its own if that
//! transaction failed. Its result is handed over after the commit.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use rusqlite::Connection;
use rusqlite::TransactionBehavior;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::SpoolError;

/// A handle to the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Message>,
    /// Bytes of the database that new rows can take without growing it.
    reclaimable: Arc<AtomicU64>,
}

enum Message {
    Run(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// Operations in one transaction: enough that the fsync no longer counts,
/// little enough that the first of them does not wait for long.
const LARGEST_GROUP: usize = 256;

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel(LARGEST_GROUP);
        let reclaimable = Arc::new(AtomicU64::new(free_bytes(&connection)));
        let published = Arc::clone(&reclaimable);
        thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || write_groups(connection, inbox, &published))?;
        Ok(Self { jobs, reclaimable })
    }

    /// Bytes of the database that new rows can take without growing it: what
    /// was delivered leaves its pages there, not on the disk.
    pub(super) fn reclaimable(&self) -> u64 {
        self.reclaimable.load(Ordering::Relaxed)
    }

    /// Runs an operation; its result is valid once this returns, because it is
    /// on stable storage by then.
    pub(super) async fn write<T, F>(&self, operation: F) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Operation {
            operation,
            result: None,
            reply,
        };
        self.jobs
            .send(Message::Run(Box::new(job)))
            .await
            .map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.jobs.send(Message::Close(done)).await.is_ok() {
            let _closed = closed.await;
        }
    }
}

/// The writer thread, until it is closed or no handle is left.
fn write_groups(
    mut connection: Connection,
    mut inbox: mpsc::Receiver<Message>,
    reclaimable: &AtomicU64,
) {
    while let Some(first) = inbox.blocking_recv() {
        let mut group = Vec::new();
        let mut closing = None;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Run(job) => group.push(job),
                Message::Close(done) => {
                    closing = Some(done);
                    break;
                }
            }
            if group.len() >= LARGEST_GROUP {
                break;
            }
            next = inbox.try_recv().ok();
        }
        run(&mut connection, group);
        reclaimable.store(free_bytes(&connection), Ordering::Relaxed);
        if let Some(done) = closing {
            drop(connection); // checkpoints the log into the database
            let _gone = done.send(());
            return;
        }
    }
}

fn free_bytes(connection: &Connection) -> u64 {
    let ask = |query: &str| {
        let answer: rusqlite::Result<i64> = connection
            .prepare_cached(query)
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
        // Unknown is none: then the disk's free space alone decides.
        answer.map_or(0, |number| u64::try_from(number).unwrap_or(0))
    };
    ask("PRAGMA freelist_count") * ask("PRAGMA page_size")
}

/// An operation without its result type.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: rusqlite::Error);
}

struct Operation<T, F> {
    operation: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, SpoolError>>,
}

impl<T, F> Job for Operation<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.operation)(connection)?);
        Ok(())
    }

    fn committed(self: Box<Self>) {
        let result = self.result.ok_or(SpoolError::Closed);
        // Nobody waits any more when the session was cut off meanwhile.
        let _unwanted = self.reply.send(result);
    }

    fn failed(self: Box<Self>, error: rusqlite::Error) {
        let _unwanted = self.reply.send(Err(error.into()));
    }
}

fn run(connection: &mut Connection, mut group: Vec<Box<dyn Job>>) {
    if transaction(connection, &mut group).is_ok() {
        group.into_iter().for_each(|job| job.committed());
        return;
    }
    for job in group {
        let mut alone = [job];
        let outcome = transaction(connection, &mut alone);
        let [job] = alone;
        match outcome {
            Ok(()) => job.committed(),
            Err(error) => job.failed(error),
        }
    }
}

fn transaction(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    // Dropping the transaction on an early return rolls it back.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group.iter_mut() {
        job.run(&transaction)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY)")
            .unwrap();
        Writer::start(connection).unwrap()
    }

    #[tokio::test]
    async fn one_failing_operation_fails_alone() {
        let writer = writer();
        let insert =
            |x: i64| writer.write(move |db| db.execute("INSERT INTO t VALUES (?1)", [x]).map(drop));

        let (first, twin, other) = tokio::join!(insert(1), insert(1), insert(2));

        assert!(first.is_ok() && other.is_ok());
        assert!(matches!(twin, Err(SpoolError::Database(_))));
        let count = |db: &Connection| db.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        assert_eq!(writer.write::<i64, _>(count).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn after_closing_nothing_is_taken() {
        let writer = writer();
        writer.close().await;

        assert!(matches!(
            writer.write(|_| Ok(())).await,
            Err(SpoolError::Closed)
        ));
    }
}
