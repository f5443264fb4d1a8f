//! Log events of the spool itself: damage, moved files, disk errors.
//!
//! `maillog.rs` exports these functions, so that all log events are in one place.

use std::fmt::Display;
use std::path::Path;

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::mail::SpoolId;
use crate::spool::FILE_GONE;
use crate::spool::Quarantined;
use crate::spool::Recovered;
use crate::spool::Removed;
use crate::spool::Upgrade;
use crate::spool::Upgraded;
use crate::telemetry::maillog::clock_changed;

/// The disk or the database has a problem.
pub fn spool_trouble(error: &dyn Display) {
    error!(event = "spool", reason = %error, "the spool cannot be read or written; trying again");
}

/// The outcome of a message cannot be recorded.
pub fn unrecorded(id: SpoolId, outcome: &str, error: &dyn Display) {
    error!(
        event = "spool", %id, outcome, reason = %error,
        "the outcome of this message cannot be recorded; the next start may send it again"
    );
}

/// An entry cannot be read.
pub fn quarantined(entry: &Quarantined) {
    let Quarantined {
        id,
        reason,
        recorded,
    } = entry;
    if *recorded {
        error!(
            event = "quarantined", %id, reason,
            "message quarantined: it cannot be read from the spool and was not sent; \
             graph-relay queue show {id}"
        );
    } else {
        error!(
            event = "quarantined", %id, reason,
            remedy = "systemctl stop graph-relay, then graph-relay spool salvage",
            "this message cannot be read from the spool, and its entry cannot be changed; the \
             relay does not send it"
        );
    }
}

/// Somebody has removed the database, or its log.
pub fn database_gone(path: &Path) {
    error!(
        event = "database_gone", path = %path.display(),
        remedy = "move the file back, or restart the relay: it writes a complete database when it \
                  stops",
        "a database file was removed, replaced or truncated while the relay was running; no mail \
         is accepted"
    );
}

/// A database without a file name was written to a new file.
pub fn database_rewritten(path: &Path) {
    warn!(
        event = "database_rewritten", path = %path.display(),
        "the database had been removed or replaced; the relay has written it again in full"
    );
}

/// At most this many orphans are named in one line.
const MOST_NAMED: usize = 20;

/// The spool will be upgraded to this version's format.
pub fn upgrading(upgrade: &Upgrade) {
    let Upgrade { from, to, .. } = upgrade;
    info!(
        event = "spool_upgrading",
        from,
        to,
        size = upgrade.size,
        "upgrading the spool to a new format; the old database is copied first, which may take a \
         while"
    );
}

/// Recovery at the start: what was repaired.
pub fn spool_opened(recovered: &Recovered) {
    if let Some(Upgraded { from, to, kept }) = &recovered.upgraded {
        info!(
            event = "spool_upgraded", from, to, kept = %kept.display(),
            "spool upgraded to a new format; the old database is kept: delete it once nobody will \
             go back to the earlier version"
        );
    }
    for id in &recovered.interrupted {
        warn!(
            event = "doubtful", %id,
            "the relay stopped during an attempt and tries the message again: unless it is sent \
             as a draft, it may arrive twice"
        );
    }
    for id in &recovered.quarantined {
        quarantined(&Quarantined {
            id: id.to_string(),
            reason: FILE_GONE.to_owned(),
            recorded: true,
        });
    }
    if let Some(jump) = recovered.clock {
        clock_changed(jump);
    }
    if let Some(first) = recovered.orphans.first() {
        let named = recovered.orphans.iter().take(MOST_NAMED);
        let ids: Vec<String> = named.map(SpoolId::to_string).collect();
        warn!(
            event = "orphaned_files",
            count = recovered.orphans.len(),
            ids = ids.join(" "),
            "files without a queue entry were moved to orphans/ in data_dir, for example \
             orphans/{first}: after a crash these are messages that no client got a 250 for, and \
             safe to delete; after a restore they may be lost mail"
        );
    }
    info!(
        event = "spool_opened",
        waiting = recovered.waiting,
        removed_files = recovered.removed_files,
        "spool opened"
    );
}

/// Content was removed to make room for new mail.
pub fn content_removed(removed: &Removed) {
    if removed.kept > 0 {
        info!(
            event = "kept_content_removed",
            bytes = removed.kept,
            "content of delivered or dropped messages was removed to make room for new mail, \
             before history.keep_content had passed: these messages cannot be sent again"
        );
    }
    for id in &removed.failed {
        error!(
            event = "content_removed", %id,
            "the content of a failed message was removed to make room for new mail; \
             graph-relay queue show {id} shows what happened to it"
        );
    }
}

/// The relay cannot start because the disk is full.
pub fn waits_for_room(data_dir: &Path, error: &dyn Display) {
    error!(
        event = "disk_full", data_dir = %data_dir.display(), reason = %error,
        "the disk is full: the relay starts when there is room, and accepts no mail until then"
    );
}
