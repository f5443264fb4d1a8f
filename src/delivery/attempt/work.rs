//! One attempt and its settlement: whatever happens, the entry is settled (promise 2),
//! with the report that the outcome requires.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::debug;

use super::Ended;
use super::Left;
use super::Means;
use super::draft;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::config::Mailbox;
use crate::config::OnDoubt;
use crate::delivery::Context;
use crate::delivery::SPOOL_AGAIN;
use crate::delivery::Settled;
use crate::delivery::attempt;
use crate::delivery::dispatch::destinations::Begun;
use crate::delivery::outcome::Doubt;
use crate::delivery::outcome::Kind;
use crate::delivery::outcome::Outcome;
use crate::delivery::outcome::explain;
use crate::delivery::outcome::schedule;
use crate::delivery::outcome::suspects::Verdict;
use crate::delivery::report::Ending;
use crate::mail::Trace;
use crate::metrics::Metrics;
use crate::spool::AttemptOutcome;
use crate::spool::AttemptReport;
use crate::spool::Claimed;
use crate::spool::Draft;
use crate::spool::Next;
use crate::spool::SpoolError;
use crate::spool::Stage;
use crate::telemetry::devices;
use crate::telemetry::maillog;

/// Whether an outcome is on record. The spool may be closed by now, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settlement {
    Recorded,
    Unrecorded,
}

impl Context {
    /// One attempt and its settlement.
    pub(in crate::delivery) async fn work(&self, entry: Claimed, begun: Begun) -> Settled {
        let Begun { pace, jury } = begun;
        let means = Means {
            account_client: self.account_clients.get(&entry.destination.account),
            spool: &self.spool,
            hostname: &self.hostname,
            client: self.received_client,
            senders: &self.senders,
            pace: &pace,
        };
        let attempt = attempt::attempt(&entry, means);
        // One message must not be able to stop the relay or occupy its worker for ever.
        let ended = AssertUnwindSafe(attempt).catch_unwind().await;
        let Ended { mut outcome, left } = ended.unwrap_or_else(|_| Ended {
            outcome: Outcome::panicked(),
            left: Left::default(),
        });
        let usage = pace.end(matches!(
            outcome.kind,
            Kind::Delivered | Kind::Doubtful { .. }
        ));
        jury.judge(entry.id, entry.own_trouble, &mut outcome);
        let now = self.spool.moment();
        let trouble_since = self.trouble_since(&entry, &outcome, now.running);
        let next = self.next(&entry, &outcome, trouble_since, now.running);
        let ending = Ending {
            outcome: &outcome,
            next,
            trouble_since,
            is_doubted: is_doubted(&entry, &left.draft),
            now,
        };
        let report = AttemptReport {
            dsn: self.report(&entry, ending).await,
            outcome: name(outcome.kind, next),
            http_status: outcome.http_status,
            code: outcome.code.clone(),
            reason: outcome.in_words(&entry, &self.goes_out_from(&entry)),
            status: explain::status(&outcome, next),
            request_id: outcome.request_id.clone(),
            retry_after: outcome.retry_after,
            next,
            trouble_since,
            own_trouble: match outcome.verdict {
                Some(Verdict::Own) => true,
                Some(Verdict::Common) => false,
                Some(Verdict::Open) | None => entry.own_trouble,
            },
            requests: usage.requests,
            uploaded: usage.uploaded,
        };
        self.record(&entry, &report, now);
        // The next start looks for drafts that are not on record.
        if self.settle(&entry, &report).await == Settlement::Recorded {
            self.clear_up(&entry, &outcome, next, left).await;
        }
        Settled {
            entry,
            outcome,
            next,
        }
    }

    /// Records an outcome. It must not be lost, so a full disk is waited for.
    async fn settle(&self, entry: &Claimed, report: &AttemptReport) -> Settlement {
        loop {
            match self.spool.settle(entry, report.clone()).await {
                Ok(withdrawn) => {
                    maillog::reported(entry, report, &withdrawn);
                    return Settlement::Recorded;
                }
                Err(error) => {
                    if error.is_damage() {
                        maillog::unrecorded(entry.id, report.outcome.name(), &error);
                        return Settlement::Unrecorded;
                    }
                    maillog::spool_trouble(&error);
                    if matches!(error, SpoolError::Closed) {
                        return Settlement::Unrecorded;
                    }
                }
            }
            tokio::time::sleep(SPOOL_AGAIN).await;
        }
    }

    /// Deletes the drafts of a failed message. For a message that is held because its
    /// draft is gone, forgets that draft, because whoever retries the message wants it
    /// sent.
    async fn clear_up(&self, entry: &Claimed, outcome: &Outcome, next: Next, left: Left) {
        let Some(account_client) = self.account_clients.get(&entry.destination.account) else {
            return;
        };
        if let (Next::Failed, Some(message_id)) = (next, left.unrecorded)
            && let Err(error) = draft::sweep(entry, account_client, &message_id).await
        {
            debug!(id = %entry.id, %error, "a draft may stay in the mailbox");
        }
        let Some(draft) = left.draft else {
            return;
        };
        let unsent = outcome.kind == Kind::Failed || draft.stage == Stage::Filling;
        let gone = match next {
            Next::Held => true,
            Next::Failed if unsent => {
                let abandoned =
                    draft::abandon(draft::caller(entry), &account_client.graph, &draft).await;
                abandoned.unwrap_or_else(|error| {
                    debug!(id = %entry.id, %error, "the draft stays in the mailbox");
                    false
                })
            }
            Next::Failed | Next::Delivered | Next::Quarantined | Next::Wait(_) => false,
        };
        if gone && let Err(error) = self.spool.forget_draft(entry.id, draft.id.clone()).await {
            maillog::spool_trouble(&error);
        }
    }

    /// Counts an attempt, and logs it.
    fn record(&self, entry: &Claimed, report: &AttemptReport, now: Moment) {
        self.count_for_device(entry, report.next, now);
        record(&self.metrics, entry, report, now);
    }

    /// Counts the end of a message for the device that sent it. A report came from none, nor
    /// did a test message of the admin page, and a part of a message does not count by itself.
    fn count_for_device(&self, entry: &Claimed, next: Next, now: Moment) {
        let settled = match next {
            Next::Delivered => devices::Settled::Delivered,
            Next::Failed => devices::Settled::Failed,
            Next::Wait(_) | Next::Held | Next::Quarantined => return,
        };
        let is_of_device = entry.about.is_none() && !entry.trace.is_of_page();
        if is_of_device && entry.part_of.is_none() {
            let Trace { client, user, .. } = &entry.trace;
            let devices = &self.devices;
            devices.settled(*client, user.as_deref(), settled, now.at);
        }
    }

    fn on_doubt(&self, entry: &Claimed) -> OnDoubt {
        let account_client = self.account_clients.get(&entry.destination.account);
        account_client.map_or(OnDoubt::Retry, |account_client| {
            account_client.account.submission.on_doubt
        })
    }

    fn trouble_since(
        &self,
        entry: &Claimed,
        outcome: &Outcome,
        now: RunningTime,
    ) -> Option<RunningTime> {
        // With mailbox = "from", a missing mailbox is the message's own fault.
        let account_client = self.account_clients.get(&entry.destination.account);
        let by_author = account_client
            .is_some_and(|account_client| account_client.account.mailbox == Mailbox::From);
        if by_author && outcome.is_mailbox_unknown() {
            return Some(entry.trouble_since.unwrap_or(now));
        }
        schedule::trouble_since(outcome.kind, entry.trouble_since, now)
    }

    fn next(
        &self,
        entry: &Claimed,
        outcome: &Outcome,
        since: Option<RunningTime>,
        now: RunningTime,
    ) -> Next {
        if outcome.kind == Kind::Delivered {
            return Next::Delivered;
        }
        if outcome.damaged {
            return Next::Quarantined;
        }
        if let Kind::Doubtful {
            doubt: Doubt::Blind,
            ..
        } = outcome.kind
            && self.on_doubt(entry) == OnDoubt::Hold
        {
            return Next::Held;
        }
        let Some(wait) = schedule::next_wait(outcome.kind, entry.attempt, &self.settings) else {
            return Next::Failed;
        };
        let due = now + wait;
        if schedule::is_expired(since, due, &self.settings) {
            return Next::Failed;
        }
        Next::Wait(due)
    }
}

/// Counts an attempt, and logs it. A failure after a doubtful attempt counts as both.
fn record(metrics: &Metrics, entry: &Claimed, report: &AttemptReport, now: Moment) {
    if report.outcome == AttemptOutcome::Doubtful {
        metrics.messages_doubtful.inc();
    }
    match report.next {
        Next::Delivered => metrics.delivered(now.running.since(entry.accepted_running)),
        Next::Failed => {
            metrics.messages_failed.inc();
        }
        Next::Wait(_) if report.outcome == AttemptOutcome::Deferred => {
            metrics.messages_deferred.inc();
        }
        // The gauge of messages by state shows these.
        Next::Wait(_) | Next::Held | Next::Quarantined => {}
    }
    maillog::attempted(entry, report, now);
}

/// Whether an earlier attempt may have submitted the message. If the draft changed during
/// this attempt, the old one was found unsent.
fn is_doubted(entry: &Claimed, left: &Option<Draft>) -> bool {
    match &entry.draft {
        Some(Draft {
            stage: Stage::Sending { .. },
            ..
        }) => entry.draft == *left,
        Some(_) | None => entry.doubted,
    }
}

/// The name of the outcome in spool and log.
fn name(kind: Kind, next: Next) -> AttemptOutcome {
    match (kind, next) {
        (Kind::Delivered, _) => AttemptOutcome::Delivered,
        (Kind::Doubtful { .. }, _) => AttemptOutcome::Doubtful,
        (Kind::Failed, _)
        | (Kind::Deferred { .. }, Next::Failed | Next::Delivered | Next::Quarantined) => {
            AttemptOutcome::Failed
        }
        (Kind::Deferred { .. }, Next::Wait(_) | Next::Held) => AttemptOutcome::Deferred,
    }
}
