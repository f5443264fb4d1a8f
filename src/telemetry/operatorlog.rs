//! What an operator has done, for the mail log: paused and resumed delivery,
//! sent messages again, and logged in to the admin page.
//! A line without a mailbox is about all delivery.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::Decision;
use crate::spool::Pause;
use crate::spool::Verdict;

/// An operator has paused delivery.
pub fn paused(pause: &Pause) {
    warn!(
        event = "paused",
        mailbox = mailbox(pause),
        uid = pause.uid,
        reason = reason(pause),
        remedy = pause.remedy(),
        "delivery paused by an operator: mail is accepted and waits"
    );
}

/// Delivery was paused before the relay started, or the relay has paused it.
pub fn still_paused(pause: &Pause) {
    if pause.by_relay {
        error!(
            event = "paused", reason = reason(pause), since = %pause.since,
            remedy = pause.remedy(),
            "the relay cannot read what an operator had paused, so all delivery is paused to be \
             safe: mail is accepted and waits"
        );
        return;
    }
    warn!(
        event = "paused", mailbox = mailbox(pause), uid = pause.uid, reason = reason(pause),
        since = %pause.since, remedy = pause.remedy(),
        "delivery is still paused by an operator: mail is accepted and waits"
    );
}

/// An operator has resumed delivery.
pub fn resumed(pause: &Pause, uid: u32) {
    info!(
        event = "resumed", mailbox = mailbox(pause), uid, since = %pause.since,
        "delivery resumed by an operator"
    );
}

/// An operator has sent a message again; `id` is that of the copy.
pub fn resent(id: SpoolId, of: SpoolId, uid: u32, envelope: &Envelope) {
    let to = envelope.recipients.iter().take(MOST_NAMED);
    let to: Vec<_> = to.map(Address::as_str).collect();
    info!(
        event = "resent", %id, resend_of = %of, uid, from = %envelope.reverse_path,
        recipients = envelope.recipients.len(), to = to.join(", "),
        "copy of a message accepted on an operator's order"
    );
}

/// An operator has a link to the admin page.
pub fn page_link(uid: u32, role: &str) {
    info!(
        event = "page_link",
        uid, role, "an operator was given a link to the admin page"
    );
}

/// Somebody has changed relay.toml on the admin page; its values are not logged.
pub fn configuration_changed(user: &str, keys: &[String]) {
    info!(
        event = "config_changed",
        user,
        keys = keys.join(", "),
        "relay.toml was changed on the admin page; the text before is in relay.toml.previous"
    );
}

/// Somebody has prepared a change of relay.toml that the relay may not write.
pub fn change_prepared(user: &str, change: &str, keys: &[String]) {
    info!(
        event = "config_prepared",
        user,
        keys = keys.join(", "),
        remedy = format!("sudo graph-relay apply {change}"),
        "a change of relay.toml was prepared on the admin page; nothing has changed yet"
    );
}

/// Somebody wants the relay to restart.
pub fn restart(user: &str) {
    info!(
        event = "restart",
        user, "the relay restarts on an operator's order"
    );
}

/// Somebody has logged in to the admin page.
pub fn logged_in(client: IpAddr, user: &str, role: &str) {
    info!(event = "page_log_in", %client, user, role, "log-in to the admin page");
}

/// Somebody gave an order on the admin page, about this number of messages.
pub fn page_action(client: IpAddr, user: &str, action: &str, messages: usize) {
    info!(
        event = "page_action", %client, user, action, messages,
        "order given on the admin page"
    );
}

/// Somebody did this with the sign-in of a mailbox on the admin page.
pub fn page_mailbox(client: IpAddr, user: &str, action: &str, mailbox: &Address) {
    info!(
        event = "page_action", %client, user, action, %mailbox,
        "order given on the admin page"
    );
}

/// An entry of the audit list; each field is empty where there is nothing to say.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// Who.
    pub user: &'a str,
    /// The role on the admin page.
    pub role: Option<&'a str>,
    /// The address of the browser.
    pub client: Option<IpAddr>,
    /// What was done.
    pub action: &'a str,
    /// On what.
    pub about: &'a str,
    /// What came of it.
    pub result: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// The audit list has another entry.
pub fn audited(entry: &Audited<'_>) {
    let client = entry.client.map(|client| client.to_string());
    let reason = Some(entry.reason).filter(|reason| !reason.is_empty());
    info!(
        event = "audit",
        user = entry.user,
        role = entry.role,
        client = client.as_deref(),
        action = entry.action,
        about = entry.about,
        result = entry.result,
        reason,
        "log-in, change or order, recorded in the audit list"
    );
}

/// An entry of the audit list is only in the log.
pub fn audit_failed(folder: &Path, error: &dyn Display) {
    error!(
        event = "audit_failed", folder = %folder.display(), %error,
        "cannot write the audit list: only the log has this entry"
    );
}

/// Recipients that a line of the log names.
const MOST_NAMED: usize = 100;

fn mailbox(pause: &Pause) -> Option<&str> {
    pause.mailbox.as_ref().map(Address::as_str)
}

fn reason(pause: &Pause) -> Option<&str> {
    pause.reason.as_deref()
}

/// An operator changed messages: one line for each, with who and what.
pub fn decided(action: Action, uid: u32, decisions: &[Decision]) {
    let done = |decision: &&Decision| decision.verdict == Verdict::Done;
    for Decision { id, remark, .. } in decisions.iter().filter(done) {
        match action {
            Action::Retry => {
                info!(event = "retried", %id, uid, "message retried by an operator");
            }
            Action::Hold => info!(event = "held", %id, uid, "message held by an operator"),
            Action::Release => {
                info!(event = "released", %id, uid, "message released by an operator");
            }
            Action::Drop => warn!(
                event = "dropped", %id, uid, remark = remark.as_deref(),
                "message dropped by an operator: it is not sent, and its content is deleted, now or \
                 after history.keep_content"
            ),
        }
    }
}
