//! One function for each thing that can become of a message.
//!
//! The field `event` names it; `id` is the spool id of the reply to DATA.

use std::fmt::Display;
use std::net::IpAddr;

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::clock::Timestamp;
use crate::mail::Envelope;
use crate::mail::Lane;
use crate::mail::SpoolId;
use crate::spool::AttemptReport;
use crate::spool::Claimed;
use crate::spool::Next;
use crate::spool::Recovered;

/// A message is safe on disk.
pub fn accepted(id: SpoolId, client: IpAddr, envelope: &Envelope, size: u64, lane: &Lane) {
    info!(
        event = "accepted", %id, %client, from = %envelope.reverse_path,
        recipients = envelope.recipients.len(), size, mailbox = %lane.mailbox,
        account = %lane.account, "message accepted"
    );
}

/// A message was refused after DATA; the client was told why.
pub fn refused(client: IpAddr, envelope: &Envelope, size: u64, reply: &str, cause: &str) {
    warn!(
        event = "refused", %client, from = %envelope.reverse_path,
        recipients = envelope.recipients.len(), size, reply, cause, "message refused"
    );
}

/// An attempt has ended.
pub fn attempted(entry: &Claimed, report: &AttemptReport, now: Timestamp) {
    let Claimed {
        id,
        lane,
        attempt,
        client_request_id,
        ..
    } = entry;
    let age_ms = now.since(entry.accepted_at).as_millis();
    let request_id = report.request_id.as_deref().unwrap_or("-");
    let code = report.code.as_deref().unwrap_or("-");
    let status = report
        .http_status
        .map_or_else(|| "-".to_owned(), |status| status.to_string());
    let (mailbox, reason) = (&lane.mailbox, report.reason.as_str());
    match (report.next, report.outcome) {
        (Next::Delivered, _) => info!(
            event = "delivered", %id, %mailbox, attempt, age_ms, %request_id, %client_request_id,
            "message submitted to Graph"
        ),
        (Next::Failed, outcome) => error!(
            event = "failed", %id, %mailbox, attempt, age_ms, %status, %code, reason, outcome,
            %request_id, %client_request_id,
            "message failed; it is kept: graph-relay queue show {id}"
        ),
        (Next::Wait(due), "doubtful") => warn!(
            event = "doubtful", %id, %mailbox, attempt, age_ms, %status, %code, reason, %request_id,
            %client_request_id, %due,
            "it is not known whether Graph took the message; it is tried again and may arrive twice"
        ),
        (Next::Wait(due), _) => warn!(
            event = "deferred", %id, %mailbox, attempt, age_ms, %status, %code, reason, %request_id,
            %client_request_id, %due, "message deferred"
        ),
    }
}

/// Something is wrong that somebody has to change.
pub fn fault(entry: &Claimed, code: Option<&str>, reason: &str, remedy: &str) {
    let author = entry.author.as_ref().map_or("-", |author| author.as_str());
    error!(
        event = "fault", id = %entry.id, mailbox = %entry.lane.mailbox,
        account = %entry.lane.account, %author, code = %code.unwrap_or("-"), reason, remedy,
        "messages wait until this is mended"
    );
}

/// What was wrong is no longer.
pub fn recovered(lane: &Lane) {
    info!(event = "recovered", mailbox = %lane.mailbox, account = %lane.account, "sending again");
}

/// The disk or the database is in trouble.
pub fn spool_trouble(error: &dyn Display) {
    error!(event = "spool", reason = %error, "the spool cannot be written; trying again");
}

/// Waiting messages that no account sends.
pub fn stranded(count: usize) {
    error!(
        event = "stranded",
        count,
        remedy = "add an [[account]] whose senders match; see graph-relay queue list",
        "waiting messages have a From address that no [[account]] sends for"
    );
}

/// The entry cannot be read.
pub fn quarantined(id: &dyn Display) {
    error!(
        event = "quarantined", %id,
        "this message cannot be read from the spool and was put aside: graph-relay queue show {id}"
    );
}

/// What was put right at start.
pub fn opened(recovered: &Recovered) {
    for id in &recovered.interrupted {
        warn!(
            event = "doubtful", %id,
            "the relay stopped during an attempt; the message is tried again and may arrive twice"
        );
    }
    for id in &recovered.quarantined {
        quarantined(id);
    }
    info!(
        event = "opened",
        waiting = recovered.waiting,
        removed_files = recovered.removed_files,
        "spool opened"
    );
}

/// Failed messages whose time was over.
pub fn forgotten(ids: &[SpoolId]) {
    for id in ids {
        info!(event = "forgotten", %id, "failed message removed after failure.keep");
    }
}
