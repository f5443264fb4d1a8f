//! One function for each event in the life of a message.
//!
//! The field `event` names the event; `id` is the spool ID from the reply to DATA.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;

use tracing::debug;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::clock::ClockJump;
use crate::clock::Moment;
use crate::clock::Timestamp;
use crate::clock::span;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::EnvelopeId;
use crate::mail::SpoolId;
use crate::mail::Trace;
use crate::spool::Accepted;
use crate::spool::AttemptOutcome;
use crate::spool::AttemptReport;
use crate::spool::Claimed;
use crate::spool::Dsn;
use crate::spool::DsnKind;
use crate::spool::Next;

pub use crate::telemetry::operatorlog::decided;
pub use crate::telemetry::spoollog::content_removed;
pub use crate::telemetry::spoollog::database_gone;
pub use crate::telemetry::spoollog::database_rewritten;
pub use crate::telemetry::spoollog::quarantined;
pub use crate::telemetry::spoollog::spool_opened;
pub use crate::telemetry::spoollog::spool_trouble;
pub use crate::telemetry::spoollog::unrecorded;
pub use crate::telemetry::spoollog::upgrading;
pub use crate::telemetry::spoollog::waits_for_room;

/// A message is safe on disk.
pub fn accepted(
    id: SpoolId,
    trace: &Trace,
    envelope: &Envelope,
    size: u64,
    destination: &Destination,
) {
    let envid = envelope.reports.envelope_id.as_ref();
    info!(
        event = "accepted", %id, client = %trace.client, user = trace.user,
        from = %envelope.reverse_path, recipients = envelope.recipients.len(), size,
        envid = envid.map(EnvelopeId::as_str), mailbox = %destination.mailbox, account = %destination.account, "message accepted"
    );
}

/// How many replaced recipients a log line names.
const MOST_READDRESSED: usize = 100;

/// The configuration replaced recipients that the client named.
pub fn recipients_replaced(id: SpoolId, envelope: &Envelope) {
    let count = envelope.replaced().count();
    if count == 0 {
        return;
    }
    let shown = envelope.replaced().take(MOST_READDRESSED);
    let shown = shown.map(|it| format!("{} to {}", it.original, it.recipient));
    let mut recipients = shown.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = count.checked_sub(MOST_READDRESSED) {
        recipients.push_str(&format!(", and {more} more: graph-relay queue show {id}"));
    }
    info!(
        event = "recipients_replaced", %id, recipients,
        "recipients replaced as relay.toml says"
    );
}

/// `[[sender]]` has an entry for a message's From.
pub fn sender_replaced(
    id: SpoolId,
    author: &Address,
    from: Option<&Address>,
    mailbox: Option<&Address>,
) {
    let from = from.map(Address::as_str);
    let through = mailbox.map(Address::as_str);
    info!(
        event = "sender_replaced", %id, author = %author, from, through,
        "a [[sender]] entry sets the From address or the mailbox of this message"
    );
}

/// A message had more recipients than one submission may have.
pub fn split(accepted: &Accepted) {
    let first = accepted.id;
    for id in &accepted.parts {
        info!(event = "split", %id, %first, "too many recipients for one submission: the \
            remaining ones have a queue entry of their own");
    }
}

/// A client has used half of the recipients that a mailbox may have in a day.
pub fn quota_half_used(
    client: &dyn Display,
    destination: &Destination,
    recipients: u64,
    per_day: u32,
) {
    warn!(
        event = "quota_half_used", %client, mailbox = %destination.mailbox, account = %destination.account,
        recipients, recipients_per_day = per_day,
        remedy = "find out what the client sends; limits.recipients_per_hour_per_client can limit \
            it",
        "one client has used half of the recipients that this mailbox may send to in 24 hours"
    );
}

/// All connections are in use; the line names the clients.
pub fn all_taken(taken: usize, limit: usize, holders: &str, listeners: &str) {
    warn!(
        event = "connections_full",
        taken,
        limit,
        holders,
        listeners,
        remedy = "if all these clients are yours, raise limits.connections; otherwise remove the \
            unknown ones from networks",
        "all connections are in use: sessions that send no mail are closed to make room"
    );
}

/// A client authenticated.
pub fn authenticated(client: IpAddr, user: &str, mechanism: &dyn Display) {
    debug!(event = "authenticated", %client, user, %mechanism, "a client has authenticated");
}

/// The certificate's files have changed, and the new certificate is in use.
pub fn certificate_renewed(file: &Path) {
    info!(event = "certificate", file = %file.display(), "a new certificate is in use");
}

/// The certificate's files have changed, and the new certificate cannot be used.
pub fn certificate_unusable(reason: &dyn Display) {
    error!(
        event = "certificate", %reason,
        "the new certificate cannot be used; the relay keeps using the previous one"
    );
}

/// An attempt has ended.
pub fn attempted(entry: &Claimed, report: &AttemptReport, now: Moment) {
    let Claimed {
        id,
        destination,
        attempt,
        client_request_id,
        ..
    } = entry;
    // JSON has no number of 128 bits.
    let age = now.running.since(entry.accepted_running).as_millis();
    let age_ms = u64::try_from(age).unwrap_or(u64::MAX);
    let request_id = report.request_id.as_deref().unwrap_or("-");
    let code = report.code.as_deref().unwrap_or("-");
    let status = report
        .http_status
        .map_or_else(|| "-".to_owned(), |status| status.to_string());
    let (mailbox, reason) = (&destination.mailbox, report.reason.as_str());
    let dsn = report.dsn.as_ref();
    let reported_to = dsn.map_or("nobody", |dsn| dsn.recipient.as_str());
    let due = match report.next {
        Next::Wait(due) => now.wall(due),
        Next::Delivered | Next::Failed | Next::Held | Next::Quarantined => now.at,
    };
    let outcome = report.outcome.name();
    match (report.next, report.outcome) {
        (Next::Delivered, _) => info!(
            event = "delivered", %id, %mailbox, attempt, age_ms, %request_id, %client_request_id,
            "message submitted to Graph"
        ),
        (Next::Failed, _) => error!(
            event = "failed", %id, %mailbox, attempt, age_ms, %status, %code, reason, outcome,
            %request_id, %client_request_id, reported_to,
            "message failed; it is kept: graph-relay queue show {id}"
        ),
        (Next::Quarantined, _) => error!(
            event = "quarantined", %id, %mailbox, attempt, age_ms, reason,
            "message quarantined: its content is damaged and it was not sent; it is kept: \
             graph-relay queue show {id}"
        ),
        (Next::Held, _) => warn!(
            event = "held", %id, %mailbox, attempt, age_ms, %status, %code, reason, outcome,
            %request_id, %client_request_id,
            "message held: graph-relay queue show {id}, then queue release or queue drop"
        ),
        (Next::Wait(_), AttemptOutcome::Doubtful) => warn!(
            event = "doubtful", %id, %mailbox, attempt, age_ms, %status, %code, reason, %request_id,
            %client_request_id, %due,
            "unknown whether Graph accepted the message: the relay tries again, and unless a \
             draft shows that it was sent, it may arrive twice"
        ),
        (Next::Wait(_), _) => warn!(
            event = "deferred", %id, %mailbox, attempt, age_ms, %status, %code, reason, %request_id,
            %client_request_id, %due, "message deferred"
        ),
    }
}

/// An attempt is recorded, with the report that it caused and the reports that it made
/// obsolete.
pub fn reported(entry: &Claimed, report: &AttemptReport, withdrawn: &[SpoolId]) {
    let about = entry.id;
    for id in withdrawn {
        info!(
            event = "report_withdrawn", %id, %about,
            "unsent delay notice withdrawn: the message has been delivered or has failed"
        );
    }
    if let Some(dsn) = &report.dsn {
        let kind = match dsn.kind {
            DsnKind::Failure => "failure",
            DsnKind::Delay => "delay",
            DsnKind::Relayed => "relayed",
        };
        let Dsn {
            id,
            recipient,
            destination,
            ..
        } = dsn;
        info!(
            event = "report", %id, %about, kind, to = %recipient, mailbox = %destination.mailbox,
            account = %destination.account, "report queued"
        );
    }
}

/// A message has failed, and its sender requested no report.
pub fn report_not_wanted(about: SpoolId) {
    info!(
        event = "report_not_wanted", %about,
        "no failure report: the client requested none (NOTIFY of each recipient)"
    );
}

/// The draft of an earlier attempt is deleted: its creation got no answer.
pub fn draft_deleted(entry: &Claimed) {
    info!(
        event = "draft_deleted", id = %entry.id, mailbox = %entry.destination.mailbox,
        "deleted an unsent draft of this message, left in Drafts by an earlier attempt that got \
         no answer"
    );
}

/// The relay could not create a report: a bug.
pub fn report_panicked(about: SpoolId) {
    error!(
        event = "panic", %about,
        "could not create the report about this message; this is a bug, please report it"
    );
}

/// A message is sent in MIME form although its account asks for JSON.
pub fn not_json(id: SpoolId, why: &str) {
    info!(event = "mime", %id, why, "sent in MIME form, with a copy in Sent Items");
}

/// The JSON form cannot express everything in the message.
pub fn lost_in_json(id: SpoolId, lost: &str) {
    info!(event = "json", %id, lost, "sent in JSON form");
}

/// Text parts in quoted-printable were rewritten, or should have been.
pub fn reencoded(id: SpoolId, fits: bool) {
    if fits {
        info!(event = "quoted_printable", %id, "quoted-printable text encoded as base64");
    } else {
        info!(
            event = "quoted_printable", %id,
            "quoted-printable text kept: as base64 the message would not fit into one request"
        );
    }
}

/// Blind recipients are set on a draft.
pub fn bcc_draft(id: SpoolId, count: usize) {
    info!(event = "bcc_draft", %id, count, "blind recipients are set on a draft");
}

/// A message travels as an attachment.
pub fn attached_whole(id: SpoolId, why: &dyn Display) {
    warn!(
        event = "oversize", %id, %why,
        "the message is too large and cannot be split: sent as an attached message.eml"
    );
}

/// Graph refused an attachment because of its size; the relay tries the other way.
pub fn other_way(id: SpoolId, size: u64, why: &dyn Display) {
    info!(
        event = "attachment", %id, size, %why,
        "Graph refused an attachment because of its size: trying the other way to upload it"
    );
}

/// Graph accepts less in one request than `request_limit` allows.
pub fn request_too_large(id: SpoolId, size: u64) {
    warn!(
        event = "request_limit", %id, size,
        "Graph or a proxy refused a request as too large although request_limit allows it: \
         sending the message in smaller requests"
    );
}

/// Which messages wait because of a fault.
#[derive(Clone, Copy, Debug)]
pub enum Waits {
    /// All messages of the account.
    Account,
    /// All messages of the mailbox.
    Mailbox,
    /// This message, and others like it.
    Message,
}

impl Waits {
    fn words(self) -> &'static str {
        match self {
            Self::Account => "messages of this account wait",
            Self::Mailbox => "messages of this mailbox wait",
            Self::Message => "only this message and others like it wait",
        }
    }
}

/// Somebody has to change a setting or a permission.
pub fn fault(entry: &Claimed, waits: Waits, code: Option<&str>, reason: &str, remedy: &str) {
    let author = entry.author.as_ref().map_or("-", |author| author.as_str());
    let which_messages_wait = waits.words();
    error!(
        event = "fault", id = %entry.id, mailbox = %entry.destination.mailbox,
        account = %entry.destination.account, %author, code = %code.unwrap_or("-"), reason, remedy,
        "{which_messages_wait} until this is fixed"
    );
}

/// A fault of more mailboxes than are logged one by one.
pub fn more_faults(account: &str, what: &str, count: u64) {
    error!(
        event = "fault",
        account,
        code = what,
        count,
        "{count} more mailboxes or messages of this account have the same fault: graph-relay status"
    );
}

/// A mailbox has signed in.
pub fn signed_in(account: &str, mailbox: &Address, uid: u32) {
    info!(event = "signed_in", account, %mailbox, uid, "a mailbox has signed in");
}

/// A mailbox was signed out by an operator.
pub fn logged_out(account: &str, mailbox: &Address, uid: u32) {
    warn!(
        event = "logged_out", account, %mailbox, uid,
        "a mailbox was signed out by an operator: its mail waits until it signs in again"
    );
}

/// Entra no longer accepts the sign-in of a mailbox.
pub fn signed_out(account: &str, mailbox: &Address, code: &str, reason: &str) {
    error!(
        event = "signed_out", account, %mailbox, code, reason,
        remedy = %format_args!("graph-relay login {mailbox}"),
        "a mailbox has to sign in again; its mail waits until then"
    );
}

/// A sign-in cannot be read or stored.
pub fn sign_in_lost(error: &dyn Display) {
    error!(event = "sign_in", reason = %error, "a saved sign-in cannot be read, or a new one \
        cannot be saved");
}

/// A sign-in whose account no longer exists.
pub fn sign_in_orphaned(account: &str, mailbox: &Address) {
    warn!(
        event = "sign_in", account, %mailbox,
        "this sign-in belongs to an [[account]] that no longer exists: restore the name of the \
         account, or sign in again"
    );
}

/// A credential or certificate expires soon or has expired.
pub fn ends(owner: &str, what: &str, at: Timestamp, now: Timestamp) {
    let days = at.since(now).as_secs() / (24 * 60 * 60);
    if at <= now {
        error!(event = "expired", owner, what, %at, "a credential or certificate has expired: \
            replace it");
    } else {
        warn!(event = "expires", owner, what, %at, days, "a credential or certificate expires \
            soon: replace it");
    }
}

/// A certificate whose expiry date cannot be read.
pub fn certificate_unreadable(owner: &str, error: &dyn Display) {
    error!(event = "certificate", owner, reason = %error, "the certificate cannot be read");
}

/// A setting is probably wrong.
pub fn config_warning(what: &str) {
    warn!(event = "config_warning", what, "configuration warning");
}

/// A mailbox sends again after a problem.
pub fn recovered(destination: &Destination) {
    info!(event = "recovered", mailbox = %destination.mailbox, account = %destination.account, "sending again");
}

/// A limit of the relay's own delays due messages.
pub fn rate_limited(destination: &Destination, limit: &str, until: Timestamp) {
    info!(
        event = "rate_limited", mailbox = %destination.mailbox, account = %destination.account, limit, %until,
        "messages wait: this mailbox has reached a limit of [account.rate_limits]"
    );
}

/// Graph throttles a mailbox.
pub fn concurrency_reduced(destination: &Destination, at_once: u32, until: Timestamp) {
    warn!(
        event = "concurrency_reduced", mailbox = %destination.mailbox, account = %destination.account, at_once,
        %until, "Graph throttles this mailbox: no requests until then, after that at most {at_once} at \
         once until Graph accepts more"
    );
}

/// A mailbox that was throttled has its full concurrency again.
pub fn concurrency_restored(destination: &Destination, at_once: u32) {
    info!(
        event = "concurrency_restored", mailbox = %destination.mailbox, account = %destination.account, at_once,
        "Graph no longer throttles this mailbox: full concurrency restored"
    );
}

/// Somebody has set the machine's clock. No mail depends on it.
pub fn clock_changed(jump: ClockJump) {
    let ClockJump { from, to } = jump;
    let direction = if jump.is_forward() { "forward" } else { "back" };
    let by = format!("{direction} {}", span(jump.by()));
    warn!(
        event = "clock_changed", %from, %to, by,
        remedy = "run timedatectl: it shows whether NTP is active and whether the hardware clock \
            (RTC) is in local time; to set that to UTC: timedatectl set-local-rtc 0",
        "the system clock was changed: no message waits longer, expires or is removed because of \
         it, but tokens, certificates and dates in messages depend on the clock"
    );
}

/// Waiting messages that no account sends.
pub fn no_account(count: usize) {
    error!(
        event = "no_account",
        count,
        remedy = "add an [[account]] whose senders match; see graph-relay queue list",
        "waiting messages have a From address that no [[account]] sends for"
    );
}

/// A message that may have been sent before the relay stopped; the account holds such
/// messages.
pub fn held_at_start(id: &SpoolId) {
    warn!(
        event = "held", %id,
        "message held because it may already have been sent: graph-relay queue show {id}, then \
         queue release or \
         queue drop"
    );
}

/// Failed messages were removed after `failure.keep`.
pub fn purged(ids: &[SpoolId]) {
    for id in ids {
        info!(event = "purged", %id, "failed message removed after failure.keep");
    }
}
