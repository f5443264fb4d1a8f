//! What became of alerts, and what the relay found when it examined itself. A line names
//! an alert by its host or address, never by its URL.

use std::fmt::Display;
use std::path::Path;

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::clock::Timestamp;

/// There is something to tell.
pub fn raised(alert: &str, id: &str, problems: &str) {
    warn!(
        event = "alert",
        alert, id, problems, "problems have begun or are over"
    );
}

/// It was sent; by mail it is in the queue.
pub fn sent(alert: &str, id: &str, tries: u32, mail: Option<&str>) {
    info!(event = "alert_sent", alert, id, tries, mail, "alert sent");
}

/// It could not be sent.
pub fn deferred(alert: &str, id: &str, tries: u32, reason: &str, due: Timestamp) {
    warn!(
        event = "alert_deferred", alert, id, tries, reason, %due,
        "an alert cannot be sent now; trying again"
    );
}

/// It is not tried any more.
pub fn given_up(alert: &str, id: &str, reason: &str) {
    error!(
        event = "alert_given_up",
        alert, id, reason, "an alert was never sent"
    );
}

/// What was told cannot be written down.
pub fn record_failed(alert: &str, path: &Path, error: &dyn Display) {
    error!(
        event = "alert_record_failed", alert, path = %path.display(), reason = %error,
        "the record of an alert cannot be read or written: after a restart it may be sent again"
    );
}

/// The relay has examined itself.
pub fn examined(failures: usize, warnings: usize, took_ms: u64) {
    info!(
        event = "doctor",
        failures, warnings, took_ms, "the relay has examined itself, as graph-relay doctor does"
    );
}

/// A failure that it found.
pub fn doctor_failure(check: &str, reason: &str, remedy: Option<&str>) {
    error!(
        event = "doctor_failure",
        check, reason, remedy, "the relay has found a failure when it examined itself"
    );
}

/// It could not examine itself.
pub fn not_examined(reason: &str) {
    warn!(
        event = "doctor_failure",
        reason, "the relay could not examine itself to the end"
    );
}
