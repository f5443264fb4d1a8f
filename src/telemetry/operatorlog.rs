//! What an operator has done, for the mail log: paused and resumed delivery.
//! A line without a mailbox is about all delivery.

use tracing::info;
use tracing::warn;

use crate::mail::Address;
use crate::spool::Pause;

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

/// Delivery was paused before the relay started.
pub fn still_paused(pause: &Pause) {
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

fn mailbox(pause: &Pause) -> Option<&str> {
    pause.mailbox.as_ref().map(Address::as_str)
}

fn reason(pause: &Pause) -> Option<&str> {
    pause.reason.as_deref()
}
