//! Pickup folders, for the mail log: what was taken from them, refused, or has to wait.

use std::path::Path;

use tracing::info;
use tracing::warn;

use crate::mail::SpoolId;

/// A message was taken from a file; `accepted` has the rest.
pub fn taken(id: SpoolId, file: &Path) {
    let path = shown(file);
    info!(event = "picked_up", %id, path, "a message was taken from a pickup folder");
}

/// A file was refused; it is there now.
pub fn refused(file: &Path, reason: &str) {
    let path = shown(file);
    warn!(
        event = "pickup_refused",
        path, reason, "a file in a pickup folder was refused and moved to bad/"
    );
}

/// The messages in a folder have to wait.
pub fn waits(folder: &Path, reason: &str) {
    warn!(
        event = "pickup_waits", path = %folder.display(), reason,
        "messages in a pickup folder wait; the relay tries again every two seconds"
    );
}

/// The messages in a folder no longer have to wait.
pub fn goes_on(folder: &Path) {
    info!(event = "pickup_goes_on", path = %folder.display(), "messages in a pickup folder are taken again");
}

/// A path in one line, fit for a terminal: others choose the names of files.
pub fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for c in path.to_string_lossy().chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}
