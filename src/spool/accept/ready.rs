//! Whether the spool can take a message now, and how long its commits take: for health
//! checks and metrics.

use prometheus_client::metrics::histogram::Histogram;

use super::error::AcceptError;
use crate::platform::files;
use crate::spool::Spool;
use crate::spool::trouble::failed;

impl Spool {
    /// Tests whether a message could be stored now: there is room, the files are in place,
    /// and a row can be written and is confirmed by the disk.
    ///
    /// # Errors
    ///
    /// Says why clients get 451 or 452.
    pub async fn probe(&self) -> Result<(), AcceptError> {
        self.look_for_database()?;
        self.check_room(None)?;
        let folder = self.shared.settings.folder.join("content");
        files::may_create_in(&folder).map_err(failed(&folder))?;
        self.note_running().await?;
        Ok(())
    }

    /// How long commits take, with their fsync.
    pub fn commit_times(&self) -> &Histogram {
        &self.shared.room.commit_times
    }
}
