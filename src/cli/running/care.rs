//! How `status` shows what the relay found when it examined itself, and its `[[alert]]`s.

use crate::admin::Status;
use crate::admin::attention::AlertView;
use crate::admin::attention::Checkup;
use crate::admin::attention::FindingState;
use crate::cli::ago;
use crate::cli::counted;
use crate::cli::when;
use crate::clock::Timestamp;

/// At most this many alerts are listed.
const LISTED: usize = 10;

/// The lines of the screen.
pub(super) fn lines(status: &Status, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(
        status
            .checkup
            .as_ref()
            .map(|checkup| examined(checkup, now)),
    );
    let alerts = status.alerts.iter().take(LISTED);
    lines.extend(alerts.map(|alert| told(alert, now)));
    if let more @ 1.. = status.alerts.len().saturating_sub(LISTED) {
        lines.push(format!("alerts     and {more} more"));
    }
    if let Some(first) = lines.first_mut() {
        first.insert(0, '\n');
    }
    lines
}

fn examined(checkup: &Checkup, now: Timestamp) -> String {
    let count = |state| {
        let findings = checkup.findings.iter();
        findings.filter(|finding| finding.state == state).count()
    };
    let found = match &checkup.error {
        Some(error) => error.clone(),
        None => format!(
            "{}, {}",
            counted(count(FindingState::Failure), "failure"),
            counted(count(FindingState::Warning), "warning")
        ),
    };
    format!("doctor     {found}, {}", ago(now.since(checkup.at)))
}

fn told(alert: &AlertView, now: Timestamp) -> String {
    let AlertView {
        name,
        open,
        waiting,
        ..
    } = alert;
    let last = match alert.last_sent_at {
        Some(at) => format!(", the last one sent at {}", when(at, now)),
        None => String::new(),
    };
    let trouble = alert.trouble.as_ref();
    let trouble = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
    let open = counted(*open, "problem");
    format!("alerts     {name}: {open} reported and not over, {waiting} waiting{last}{trouble}")
}
