//! An operation on the database, with the session that waits for its result. The writer
//! decides when it runs, and says what came of it.

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::spool::SpoolError;

/// An operation without its result type.
pub(super) trait Job: Send {
    fn bytes(&self) -> u64;
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn committed(self: Box<Self>);
    /// It is in the database, and the waiting session gets an error.
    fn committed_but(self: Box<Self>, error: SpoolError);
    fn failed(self: Box<Self>, error: rusqlite::Error);
    fn refused(self: Box<Self>, error: SpoolError);
}

struct Operation<T, F, C> {
    operation: F,
    result: Option<T>,
    bytes: u64,
    committed: C,
    reply: oneshot::Sender<Result<T, SpoolError>>,
}

/// An operation that brings this number of bytes, and where its result will be. `committed`
/// runs after the commit.
pub(super) fn new<T, F, C>(
    operation: F,
    bytes: u64,
    committed: C,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T, SpoolError>>)
where
    T: Send + 'static,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    C: FnOnce() + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job = Operation {
        operation,
        result: None,
        bytes,
        committed,
        reply,
    };
    (Box::new(job), answer)
}

impl<T, F, C> Job for Operation<T, F, C>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    C: FnOnce() + Send,
{
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.operation)(connection)?);
        Ok(())
    }

    fn committed(self: Box<Self>) {
        (self.committed)();
        let result = self.result.ok_or(SpoolError::Closed);
        // Nobody waits if the session was cut off meanwhile.
        let _unwanted = self.reply.send(result);
    }

    fn committed_but(self: Box<Self>, error: SpoolError) {
        (self.committed)();
        let _unwanted = self.reply.send(Err(error));
    }

    fn failed(self: Box<Self>, error: rusqlite::Error) {
        self.refused(error.into());
    }

    fn refused(self: Box<Self>, error: SpoolError) {
        let _unwanted = self.reply.send(Err(error));
    }
}
