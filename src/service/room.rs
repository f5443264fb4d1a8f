//! A start on a full disk: what failed because the disk is full may be tried again, and
//! any other failure ends the start.

use std::io;
use std::path::Path;

use super::StartError;
use crate::auth::StoreError;
use crate::platform::files;
use crate::spool::SpoolError;

/// A start that fails while less than this is free has failed because the disk is full,
/// whatever the error says: SQLite and the kernel have several names for it.
const NO_ROOM: u64 = 1024 * 1024;

impl StartError {
    /// Whether it failed because the disk of `data_dir` is full.
    pub fn lacks_room(&self, data_dir: &Path) -> bool {
        match self {
            Self::Spool(SpoolError::File { error, .. })
            | Self::SignIns(StoreError::File { error, .. })
            | Self::Admin { error, .. } => is_full(error) || is_disk_full(data_dir),
            Self::Spool(error @ SpoolError::Database(_)) => {
                error.is_full() || is_disk_full(data_dir)
            }
            Self::Spool(
                SpoolError::Damaged(_)
                | SpoolError::InUse(_)
                | SpoolError::Format { .. }
                | SpoolError::NotKept { .. }
                | SpoolError::Refused(_)
                | SpoolError::NotSynced(_)
                | SpoolError::Gone(_)
                | SpoolError::Closed,
            )
            | Self::SignIns(_)
            | Self::Credential { .. }
            | Self::Tls(_)
            | Self::Metrics(_)
            | Self::Http(_)
            | Self::Listen { .. }
            | Self::Page(_) => false,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Looks at the folder, or at the one in which it will be.
fn is_disk_full(folder: &Path) -> bool {
    let mut there = folder.ancestors().filter(|path| path.exists());
    let Some(Ok(free)) = there.next().map(files::free) else {
        return false;
    };
    free.bytes < NO_ROOM || !free.has_inodes
}
