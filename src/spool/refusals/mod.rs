//! Refused mail, kept so that "why was it refused?" can be answered after a restart.
//!
//! - Nobody waits for it: a refusal is noted in memory (`pending.rs`) and written with
//!   those of the same moment, in one transaction. A crash loses the last seconds.
//! - No flood of refusals fills the disk or crowds out others: a refusal that repeats
//!   is one row with a number, each client has a number of rows a minute, beyond which
//!   its refusals are only counted, and rows and bytes have bounds (`store.rs`).
//! - The rows count as history in `spool_size`, and are the first to yield to new mail.

pub(super) mod find;
mod pending;
pub(super) mod store;

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::Connection;

pub(super) use self::pending::Pending;
use super::Spool;
use super::SpoolError;
use super::Subjects;
use super::lock_mutex;
use crate::clock::Timestamp;
use crate::mail::SpoolId;

/// A message, a recipient or a client that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The client; missing where refusals of many clients are counted together.
    pub client: Option<IpAddr>,
    /// What it called itself.
    pub hello: Option<String>,
    /// Who authenticated.
    pub user: Option<String>,
    /// Argument of MAIL.
    pub sender: Option<String>,
    /// Argument of RCPT.
    pub recipient: Option<String>,
    /// Further recipients of the same message that were refused with it.
    pub others: u32,
    /// The Subject, as far as the message came.
    pub subject: Option<String>,
    /// The Message-ID, as far as the message came.
    pub message_id: Option<String>,
    /// What the client was told; empty if it was not told anything.
    pub reply: String,
    /// What the client need not know.
    pub cause: String,
    /// What an operator can do.
    pub remedy: String,
}

/// A refusal on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Begins with the time of the first.
    pub id: SpoolId,
    /// When it happened last.
    pub last_at: Timestamp,
    /// How often the same happened within some minutes.
    pub times: u32,
    /// What was refused, and why.
    pub refusal: Refusal,
    /// Whether these were only counted, because there were too many.
    pub is_counted_only: bool,
}

/// How often refusals are written.
pub const WRITTEN_EVERY: Duration = Duration::from_secs(2);

impl Spool {
    /// Notes a refusal, to be written soon. Never waits.
    pub fn note_refusal(&self, mut refusal: Refusal) {
        if self.shared.settings.subjects == Subjects::NotKept {
            refusal.subject = None;
        }
        let now = self.moment();
        let mut pending = lock_mutex(&self.shared.refusals);
        pending.note(refusal, now, || self.new_id());
    }

    /// Writes the refusals that were noted. To be called every [`WRITTEN_EVERY`].
    ///
    /// # Errors
    ///
    /// Those of the database; a later call makes up for it.
    pub async fn write_refusals(&self) -> Result<(), SpoolError> {
        let now = self.running();
        let rows = lock_mutex(&self.shared.refusals).take(now);
        if rows.is_empty() {
            return Ok(());
        }
        let size = self.shared.settings.size;
        let failed: Vec<SpoolId> = rows.iter().map(|row| row.id).collect();
        let write = move |db: &Connection| store::write(db, &rows, now, size);
        let written = self.shared.writer.write(write).await;
        if written.is_err() {
            lock_mutex(&self.shared.refusals).take_back(&failed);
        }
        written
    }

    /// Forgets refusals that are older than this.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn purge_refusals(&self, keep: Duration) -> Result<(), SpoolError> {
        let oldest = self.running() - keep;
        let purge = move |db: &Connection| store::purge(db, oldest);
        self.shared.writer.write(purge).await
    }
}
