//! Why a message was not accepted.

use std::io;
use std::path::Path;

use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::room::usage::megabytes;

/// Why a message was not accepted; nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The disk or the spool is full.
    #[error("no room: {0}")]
    Full(String),
    /// It needs more room than the spool has, even if everything that may yield did so.
    #[error("it needs {}, and limits.spool_size is {}", megabytes(*needs), megabytes(*size))]
    NeverFits {
        /// Bytes that it would occupy, rows included.
        needs: u64,
        /// `spool_size`.
        size: u64,
    },
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] SpoolError),
}

impl Spool {
    /// What a failed write means.
    pub(in crate::spool) fn not_written(&self, path: &Path, error: io::Error) -> AcceptError {
        let noted = format!("{}: {error}", path.display());
        self.shared.room.troubles.note(&noted);
        if is_full(&error) {
            let fills = self.shared.room.fills();
            return AcceptError::Full(format!("the disk is full ({error}); {fills}"));
        }
        if NotSynced::is(&error) {
            return AcceptError::Failed(SpoolError::NotSynced(error.to_string()));
        }
        AcceptError::Failed(SpoolError::File {
            path: path.to_owned(),
            error,
        })
    }
}

/// A failed fsync, distinguished from other errors of the same file.
#[derive(Debug, thiserror::Error)]
#[error("fsync: {0}")]
pub(super) struct NotSynced(io::Error);

impl NotSynced {
    /// A full disk is a reason to refuse mail, not a fault of the disk.
    pub(super) fn error(error: io::Error) -> io::Error {
        if is_full(&error) {
            return error;
        }
        io::Error::other(Self(error))
    }

    fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// Whether a write failed because there is no room.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
