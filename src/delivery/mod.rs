//! What is due, in fair turns, until each entry is delivered or has failed.
//!
//! Begin to read at `attempt.rs`, one attempt from top to bottom. One task, the
//! dispatcher below, owns who may go next (`lanes.rs`); each attempt is a task
//! of its own, which settles its entry in the spool whatever happens (promise
//! 2) and then reports to the dispatcher. `outcome.rs` is the one table of what
//! a failure means, `schedule.rs` the times, `recipients.rs` and `compose.rs`
//! make what goes out, `report.rs` decides who is told of a failure or a delay.
//! Speaks no HTTP and no SMTP.

mod attempt;
mod compose;
mod draft;
mod dsn;
mod explain;
mod json;
mod lanes;
#[cfg(any(test, fuzzing))]
pub mod oracle;
mod outcome;
mod recipients;
mod remedy;
mod report;
mod schedule;

use std::collections::HashMap;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::attempt::Ended;
use self::attempt::Means;
use self::lanes::Lanes;
use self::lanes::News;
use self::outcome::Cause;
use self::outcome::Doubt;
use self::outcome::Kind;
use self::outcome::Outcome;
use self::outcome::Scope;
use self::report::Ending;
use crate::auth::Tokens;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::config::Account;
use crate::config::Config;
use crate::config::Mailbox;
use crate::config::OnDoubt;
use crate::config::Route;
use crate::config::Submission;
use crate::graph::Graph;
use crate::http::Http;
use crate::mail::Lane;
use crate::spool::Arrival;
use crate::spool::AttemptReport;
use crate::spool::Claimed;
use crate::spool::Next;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Stage;
use crate::spool::Urgency;
use crate::telemetry::maillog;

/// What all attempts share.
#[derive(Debug)]
struct Context {
    spool: Spool,
    clock: Clock,
    hostname: String,
    settings: crate::config::Delivery,
    notify: crate::config::Notify,
    /// A failed message is kept for so long.
    keep: Duration,
    outlets: HashMap<String, Outlet>,
}

/// An account ready to send.
#[derive(Debug)]
struct Outlet {
    account: Account,
    graph: Graph,
}

/// An attempt has been settled.
#[derive(Debug)]
struct Settled {
    entry: Claimed,
    outcome: Outcome,
    next: Next,
}

/// A spool that cannot be written now (a full disk) is asked again after this.
const SPOOL_AGAIN: Duration = Duration::from_secs(1);

/// Attempts begin in rounds, at least so far apart, so that what ends about
/// the same time is followed by one claim and one fsync. A message that comes
/// to an idle relay begins at once; Graph takes a hundred times longer.
const ROUND: Duration = Duration::from_millis(5);
/// The same while mail is coming in: to take a burst at once, so that no client
/// waits, counts more than to send it a little sooner.
const ROUND_IN_A_BURST: Duration = Duration::from_millis(50);

/// Delivers until `stop`, then waits for the attempts that are under way; the
/// caller bounds that wait, and what is cut off is found again at the next
/// start.
///
/// # Errors
///
/// The spool could not be read at the start.
pub async fn run(
    config: &Config,
    spool: Spool,
    http: Http,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), SpoolError> {
    let accounts = config.accounts.clone();
    let stranded = spool
        .reroute(move |origin| crate::routing::route(&accounts, origin))
        .await?;
    if stranded > 0 {
        maillog::stranded(stranded);
    }
    for account in &config.accounts {
        let Submission {
            on_doubt, route, ..
        } = account.submission;
        // Without its draft on record, what goes by draft was not sent.
        if on_doubt == OnDoubt::Hold && route == Route::Send {
            let held = spool.hold_doubtful(account.name.clone()).await?;
            held.iter().for_each(maillog::held_at_start);
        }
    }
    let outlet = |account: &Account| {
        let outlet = Outlet {
            account: account.clone(),
            graph: Graph::new(
                http.clone(),
                Tokens::new(account.clone(), http.clone()),
                account.graph_url.clone(),
            ),
        };
        (account.name.clone(), outlet)
    };
    let at_once = |account: &Account| {
        let concurrency = u32::try_from(account.concurrency).unwrap_or(u32::MAX);
        (account.name.clone(), concurrency)
    };
    let mut lanes = Lanes::new(config.accounts.iter().map(at_once).collect());
    for (lane, due) in spool.lanes().await? {
        lanes.has_due(lane, due);
    }
    let (report, reports) = mpsc::channel(config.delivery.workers);
    let dispatcher = Dispatcher {
        workers: u32::try_from(config.delivery.workers).unwrap_or(u32::MAX),
        context: Arc::new(Context {
            spool,
            clock,
            hostname: config.hostname.clone(),
            settings: config.delivery.clone(),
            notify: config.failure_notify.clone(),
            keep: config.failure_keep,
            outlets: config.accounts.iter().map(outlet).collect(),
        }),
        lanes,
        told: HashSet::new(),
        attempts: TaskTracker::new(),
        report,
        reports,
    };
    dispatcher.run(stop).await;
    Ok(())
}

/// Decides who goes next. Owned by its task.
struct Dispatcher {
    context: Arc<Context>,
    /// Attempts that may still begin.
    workers: u32,
    lanes: Lanes,
    /// Faults of single messages that were told: mailbox and author.
    told: HashSet<String>,
    attempts: TaskTracker,
    report: mpsc::Sender<Settled>,
    reports: mpsc::Receiver<Settled>,
}

/// So many faults of single messages are remembered as told.
const MOST_TOLD: usize = 1000;

impl Dispatcher {
    async fn run(mut self, stop: CancellationToken) {
        let mut next_round = Instant::now();
        let mut arriving = false;
        while !stop.is_cancelled() {
            let now = Instant::now();
            let wake = if now < next_round {
                next_round - now
            } else {
                let claimed = self.claim().await;
                if matches!(claimed, Err(SpoolError::Closed)) {
                    return; // the writer is gone: the service notices, and ends
                }
                if matches!(claimed, Ok(1..)) {
                    let round = if arriving { ROUND_IN_A_BURST } else { ROUND };
                    next_round = Instant::now() + round;
                    arriving = false;
                }
                self.sleep_time(claimed.is_err())
            };
            tokio::select! {
                arrivals = self.context.spool.arrivals() => {
                    arriving = true;
                    self.arrived(arrivals);
                }
                Some(settled) = self.reports.recv() => self.settled(&settled),
                () = tokio::time::sleep(wake) => {}
                () = stop.cancelled() => {}
            }
            while let Ok(settled) = self.reports.try_recv() {
                self.settled(&settled);
            }
        }
        self.attempts.close();
        loop {
            tokio::select! {
                () = self.attempts.wait() => return,
                Some(settled) = self.reports.recv() => self.settled(&settled),
            }
        }
    }

    fn arrived(&mut self, arrivals: Vec<Arrival>) {
        let now = self.context.clock.now();
        for Arrival { lane, urgency } in arrivals {
            match urgency {
                Urgency::Ordinary => {}
                Urgency::AtOnce => self.lanes.ease(&lane),
            }
            self.lanes.has_due(lane, now);
        }
    }

    /// Begins every attempt that may begin now; how many those are.
    async fn claim(&mut self) -> Result<usize, SpoolError> {
        let wants = self.lanes.wants(self.context.clock.now(), self.workers);
        if wants.is_empty() {
            return Ok(0);
        }
        let asked: Vec<Lane> = wants.iter().map(|want| want.lane.clone()).collect();
        let claims = self.context.spool.claim(wants).await;
        let mut claims = claims.inspect_err(|error| maillog::spool_trouble(error))?;
        for id in &claims.quarantined {
            maillog::quarantined(id);
        }
        for lane in asked {
            self.lanes.set_due(&lane, claims.next_due.remove(&lane));
        }
        let count = claims.claimed.len();
        for entry in claims.claimed {
            self.workers -= 1;
            self.lanes.begun(&entry.lane);
            let context = Arc::clone(&self.context);
            let report = self.report.clone();
            self.attempts.spawn(async move {
                let settled = context.work(entry).await;
                // The dispatcher outlives its attempts, or the relay is gone.
                let _received = report.send(settled).await;
            });
        }
        Ok(count)
    }

    fn sleep_time(&self, spool_trouble: bool) -> Duration {
        if spool_trouble {
            return SPOOL_AGAIN;
        }
        let idle = Duration::from_secs(60);
        match self.lanes.wake_at() {
            Some(at) if self.workers > 0 => at.since(self.context.clock.now()).min(idle),
            _ => idle,
        }
    }

    fn settled(&mut self, settled: &Settled) {
        let Settled {
            entry,
            outcome,
            next,
        } = settled;
        let now = self.context.clock.now();
        self.workers += 1;
        if let Next::Wait(due) = next {
            self.lanes.has_due(entry.lane.clone(), *due);
        }
        match schedule::braked(outcome.kind) {
            Some((Scope::Account, cause, wait)) => {
                self.lanes.brake_account(&entry.lane, now, cause, wait);
            }
            Some((_, cause, wait)) => self.lanes.brake_mailbox(&entry.lane, now, cause, wait),
            // Graph judged the message, so mailbox and account work.
            None if outcome.http_status.is_some() && self.lanes.worked(&entry.lane, now) => {
                maillog::recovered(&entry.lane);
            }
            None => {}
        }
        // Graph knows the token, whatever it says of the mailbox.
        let judged = outcome.http_status.is_some_and(|status| status < 500);
        let of_account = matches!(
            outcome.kind,
            Kind::Deferred {
                scope: Scope::Account,
                ..
            }
        );
        if judged && !of_account && self.lanes.account_worked(&entry.lane, now) {
            maillog::recovered(&entry.lane);
        }
        self.tell(entry, outcome);
        self.lanes.ended(&entry.lane);
    }

    /// A configuration fault is told once, loudly, with its remedy.
    fn tell(&mut self, entry: &Claimed, outcome: &Outcome) {
        let Kind::Deferred {
            cause: Cause::Configuration(remedy),
            scope,
            ..
        } = outcome.kind
        else {
            return;
        };
        let what = outcome.code.as_deref().unwrap_or(&outcome.reason);
        let news = match scope {
            Scope::Account => self.lanes.tell_account(&entry.lane, what),
            Scope::Mailbox => self.lanes.tell_mailbox(&entry.lane, what),
            Scope::Message => {
                if self.told.len() >= MOST_TOLD {
                    self.told.clear();
                }
                let new = self
                    .told
                    .insert(format!("{} {:?}", entry.lane, entry.author));
                if new { News::New } else { News::Known }
            }
        };
        if news == News::New {
            let words = remedy::named(remedy, entry);
            maillog::fault(entry, outcome.code.as_deref(), &outcome.reason, &words);
        }
    }
}

impl Context {
    /// One attempt and its settlement.
    async fn work(&self, entry: Claimed) -> Settled {
        let outlet = self.outlets.get(&entry.lane.account);
        let means = Means {
            outlet,
            spool: &self.spool,
            hostname: &self.hostname,
            now: self.clock.now(),
        };
        let attempt = attempt::attempt(&entry, means);
        // One message must not be able to stop the relay, nor keep its place.
        let ended = AssertUnwindSafe(attempt).catch_unwind().await;
        let Ended { outcome, draft } = ended.unwrap_or_else(|_| Ended {
            outcome: Outcome::panicked(),
            draft: None,
        });
        let now = self.clock.now();
        let trouble_since = self.trouble_since(&entry, &outcome, now);
        let next = self.next(&entry, &outcome, trouble_since);
        let ending = Ending {
            outcome: &outcome,
            next,
            trouble_since,
            now,
        };
        let report = AttemptReport {
            dsn: self.report(&entry, ending).await,
            outcome: name(outcome.kind, next),
            http_status: outcome.http_status,
            code: outcome.code.clone(),
            reason: outcome.in_words(&entry),
            request_id: outcome.request_id.clone(),
            next,
            trouble_since,
        };
        maillog::attempted(&entry, &report, now);
        // The outcome is known and must not be lost: a full disk passes.
        loop {
            match self.spool.settle(&entry, report.clone()).await {
                Ok(withdrawn) => {
                    maillog::reported(&entry, &report, &withdrawn);
                    break;
                }
                Err(error @ SpoolError::Closed) => {
                    maillog::spool_trouble(&error);
                    break;
                }
                Err(error) => maillog::spool_trouble(&error),
            }
            tokio::time::sleep(SPOOL_AGAIN).await;
        }
        if let (Next::Failed, Some(outlet), Some(draft)) = (next, outlet, &draft)
            && (outcome.kind == Kind::Failed || draft.stage == Stage::Filling)
        {
            draft::abandon(&entry, &outlet.graph, draft).await;
        }
        Settled {
            entry,
            outcome,
            next,
        }
    }

    fn on_doubt(&self, entry: &Claimed) -> OnDoubt {
        let outlet = self.outlets.get(&entry.lane.account);
        outlet.map_or(OnDoubt::Retry, |outlet| outlet.account.submission.on_doubt)
    }

    fn trouble_since(
        &self,
        entry: &Claimed,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Option<Timestamp> {
        // With mailbox = "from", a mailbox that is not there is the message's own fault.
        let outlet = self.outlets.get(&entry.lane.account);
        let by_author = outlet.is_some_and(|outlet| outlet.account.mailbox == Mailbox::From);
        if by_author && outcome.http_status == Some(404) {
            return Some(entry.trouble_since.unwrap_or(now));
        }
        schedule::trouble_since(outcome.kind, entry.trouble_since, now)
    }

    fn next(&self, entry: &Claimed, outcome: &Outcome, since: Option<Timestamp>) -> Next {
        if outcome.kind == Kind::Delivered {
            return Next::Delivered;
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
        let due: Timestamp = self.clock.now() + wait;
        if schedule::is_expired(since, due, &self.settings) {
            return Next::Failed;
        }
        Next::Wait(due)
    }
}

/// The outcome's name in spool and log.
fn name(kind: Kind, next: Next) -> &'static str {
    match (kind, next) {
        (Kind::Delivered, _) => "delivered",
        (Kind::Doubtful { .. }, _) => "doubtful",
        (Kind::Failed, _) | (Kind::Deferred { .. }, Next::Failed | Next::Delivered) => "failed",
        (Kind::Deferred { .. }, Next::Wait(_) | Next::Held) => "deferred",
    }
}
