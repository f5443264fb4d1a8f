//! Sends due mail in fair turns until each entry is delivered or has failed.
//!
//! Begin to read at `attempt/mod.rs`, one attempt from top to bottom. One task, the
//! dispatcher below, decides who may go next (`dispatch/destinations.rs`). Each attempt is a
//! task of its own, which settles its entry in the spool whatever happens (promise 2) and
//! then reports to the dispatcher. `outcome/` has the table of what each failure means.
//! `attempt/recipients.rs` and `attempt/compose.rs` make the outgoing message,
//! `report/mod.rs` decides who gets a report of a failure or a delay. Uses neither HTTP
//! nor SMTP itself.

mod attempt;
mod dispatch;
#[cfg(any(test, fuzzing))]
pub mod oracle;
mod outcome;
mod report;
mod standing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::attempt::abandoned;
use self::dispatch::backoff::Failed;
use self::dispatch::backoff::Notice;
use self::dispatch::destinations::Change;
use self::dispatch::destinations::Destinations;
pub use self::dispatch::figures::Rates;
use self::dispatch::pace;
use self::dispatch::pace::Need;
use self::outcome::Kind;
use self::outcome::Outcome;
use self::outcome::Scope;
use self::outcome::faults::Faults;
use self::outcome::schedule;
use self::outcome::suspects::Verdict;
pub use self::standing::BackingOff;
pub use self::standing::BackoffCause;
pub use self::standing::Delivery;
pub use self::standing::Limited;
pub use self::standing::STALLED;
pub use self::standing::Standing;
pub use self::standing::Waits;
use crate::auth::Tokens;
use crate::clock::Beat;
use crate::clock::Clock;
use crate::clock::Pulse;
use crate::config::Account;
use crate::config::Config;
use crate::config::OnDoubt;
use crate::config::ReceivedClient;
use crate::config::Route;
use crate::config::Submission;
use crate::graph::Graph;
use crate::http::Http;
use crate::mail::Destination;
use crate::mail::Origin;
use crate::metrics::Metrics;
use crate::spool::Arrival;
use crate::spool::Claimed;
use crate::spool::Next;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Urgency;
use crate::telemetry::devices::Devices;
use crate::telemetry::maillog;
use crate::telemetry::operatorlog;

/// What all attempts share.
#[derive(Debug)]
struct Context {
    spool: Spool,
    clock: Clock,
    hostname: String,
    received_client: ReceivedClient,
    senders: crate::config::Senders,
    settings: crate::config::Delivery,
    notify: crate::config::Notify,
    /// How long a failed message is kept.
    keep: Duration,
    account_clients: HashMap<String, AccountClient>,
    metrics: Metrics,
    devices: Devices,
}

/// An account ready to send.
#[derive(Debug)]
struct AccountClient {
    account: Account,
    graph: Graph,
    /// See [`UPLOADS`].
    uploads: Semaphore,
}

/// An attempt was settled.
#[derive(Debug)]
struct Settled {
    entry: Claimed,
    outcome: Outcome,
    next: Next,
}

/// Pieces of attachments under way at once, for each account. Each has up to 4 MB in
/// memory.
const UPLOADS: usize = 8;
/// The pause before a spool that cannot be written (a full disk) is asked again.
const SPOOL_AGAIN: Duration = Duration::from_secs(1);

/// The shortest time between rounds in which attempts begin. The writer puts what comes while
/// it works into one transaction by itself, so a longer pause saves no fsync worth having, and
/// a mailbox whose requests are answered quickly would wait for the next round.
const ROUND: Duration = Duration::from_micros(300);
/// The same while mail is coming in: accepting a burst quickly, so that no client waits, matters
/// more than sending it a little sooner. Delivery still goes on. Until the next round the
/// dispatcher sleeps, because waking for each message would cost a part of accepting it.
const ROUND_IN_A_BURST: Duration = Duration::from_millis(50);

/// The end of delivery.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Cancelled when delivery has to end.
    pub asked: CancellationToken,
    /// The attempts that run, for whoever waits for them.
    pub attempts: TaskTracker,
}

/// Delivers through these accounts until `stop`, then waits for the running attempts. The
/// caller limits that wait; an attempt that is cut off is found again at the next start. `pulse`
/// hears from it while it runs.
///
/// # Errors
///
/// The spool could not be read at the start.
pub async fn run(
    config: &Config,
    spool: Spool,
    accounts: &[Tokens],
    standing: Standing,
    http: Http,
    pulse: &Pulse,
    stop: Stop,
) -> Result<(), SpoolError> {
    decide_again(config, &spool).await?;
    let account_client = |tokens: &Tokens| {
        let account = tokens.account().clone();
        let name = account.name.clone();
        let account_client = AccountClient {
            account,
            graph: Graph::new(http.clone(), tokens.clone())
                .counted_in(standing.metrics().requests.clone()),
            uploads: Semaphore::new(UPLOADS),
        };
        (name, account_client)
    };
    let pace = |account: &Account| (account.name.clone(), account.pace);
    let workers = u32::try_from(config.delivery.workers).unwrap_or(u32::MAX);
    let mut destinations = Destinations::new(
        config.accounts.iter().map(pace).collect(),
        workers,
        standing.clone(),
    );
    let now = Instant::now();
    destinations.set_pauses(spool.pauses(), now);
    spool.pauses().iter().for_each(operatorlog::still_paused);
    match spool.spent(pace::MEMORY).await {
        Ok(spent) => spent.iter().for_each(|it| destinations.remember(it, now)),
        // Graph's own limits still hold.
        Err(error) if error.is_damage() => maillog::spool_trouble(&error),
        Err(error) => return Err(error),
    }
    for (destination, due_in) in spool.destinations().await? {
        destinations.has_due(&destination, now + due_in, now);
    }
    let (report, reports) = mpsc::channel(config.delivery.workers);
    let dispatcher = Dispatcher {
        context: Arc::new(Context {
            clock: spool.clock(),
            spool,
            hostname: config.hostname.clone(),
            received_client: config.received_client,
            senders: config.senders.clone(),
            settings: config.delivery.clone(),
            notify: config.failure_notify.clone(),
            keep: config.failure_keep,
            account_clients: accounts.iter().map(account_client).collect(),
            metrics: standing.metrics().clone(),
            devices: standing.devices().clone(),
        }),
        destinations,
        faults: Faults::default(),
        attempts: stop.attempts,
        report,
        reports,
        standing,
    };
    let context = Arc::clone(&dispatcher.context);
    tokio::select! {
        () = dispatcher.run(stop.asked, pulse.beat("delivery")) => {}
        () = abandoned::run(&context) => {}
    }
    Ok(())
}

/// Applies a changed configuration, and the effects of a crash, to waiting mail.
async fn decide_again(config: &Config, spool: &Spool) -> Result<(), SpoolError> {
    spool
        .clamp_due(schedule::longest_wait(&config.delivery))
        .await?;
    let accounts = config.accounts.clone();
    let names = accounts
        .iter()
        .map(|account| account.name.clone())
        .collect();
    let senders = config.senders.clone();
    let route = move |origin: &Origin| crate::routing::route(&accounts, &senders, origin);
    let stranded = spool.reroute(names, route).await?;
    if stranded > 0 {
        maillog::no_account(stranded);
    }
    for account in &config.accounts {
        let Submission {
            on_doubt, route, ..
        } = account.submission;
        // A message that is sent by draft and has none on record was not sent.
        if on_doubt == OnDoubt::Hold && route == Route::Send {
            let held = spool.hold_interrupted(account.name.clone()).await?;
            held.iter().for_each(maillog::held_at_start);
        }
    }
    Ok(())
}

/// Decides what goes next. Owned by its task.
struct Dispatcher {
    context: Arc<Context>,
    destinations: Destinations,
    faults: Faults,
    attempts: TaskTracker,
    report: mpsc::Sender<Settled>,
    reports: mpsc::Receiver<Settled>,
    /// The state for `status` and metrics.
    standing: Standing,
}

impl Dispatcher {
    async fn run(mut self, stop: CancellationToken, mut beat: Beat) {
        let mut next_round = Instant::now();
        let (mut arriving, mut in_burst) = (false, false);
        while !stop.is_cancelled() {
            let mut wake = next_round.saturating_duration_since(Instant::now());
            if wake.is_zero() {
                arriving |= self.catch_up();
                let claimed = self.claim().await;
                if matches!(claimed, Err(SpoolError::Closed)) {
                    return; // the writer is gone: the service notices, and ends
                }
                wake = self.sleep_time(claimed.is_err());
                let has_begun = matches!(claimed, Ok(1..));
                in_burst = arriving && has_begun;
                if has_begun {
                    wake = if arriving { ROUND_IN_A_BURST } else { ROUND };
                    next_round = Instant::now() + wake;
                    arriving = false;
                }
            }
            tokio::select! {
                arrivals = self.context.spool.arrivals(), if !in_burst => {
                    arriving = true;
                    self.arrived(arrivals);
                }
                Some(settled) = self.reports.recv(), if !in_burst => self.settled(&settled),
                () = self.context.spool.pauses_changed() => {
                    self.destinations.set_pauses(self.context.spool.pauses(), Instant::now());
                }
                () = tokio::time::sleep(wake) => {}
                () = beat.answer() => {}
                () = stop.cancelled() => {}
            }
        }
        drop(beat);
        self.attempts.close();
        loop {
            tokio::select! {
                () = self.attempts.wait() => return,
                Some(settled) = self.reports.recv() => self.settled(&settled),
            }
        }
    }

    /// Takes in what has come up since. Returns whether mail has arrived.
    fn catch_up(&mut self) -> bool {
        while let Ok(settled) = self.reports.try_recv() {
            self.settled(&settled);
        }
        let arrivals = self.context.spool.arrivals_so_far();
        let has_arrived = !arrivals.is_empty();
        self.arrived(arrivals);
        has_arrived
    }

    fn arrived(&mut self, arrivals: Vec<Arrival>) {
        let now = Instant::now();
        for Arrival {
            destination,
            urgency,
        } in arrivals
        {
            match urgency {
                Urgency::Ordinary => {}
                Urgency::AtOnce => self.destinations.ease(&destination, now),
            }
            self.destinations.has_due(&destination, now, now);
        }
    }

    /// Begins every attempt that may begin now; returns their number.
    async fn claim(&mut self) -> Result<usize, SpoolError> {
        let now = Instant::now();
        for more in self.faults.counted(now) {
            maillog::more_faults(&more.account, &more.what, more.count);
        }
        let wants = self.destinations.wants(now);
        self.tell_changes();
        if wants.is_empty() {
            return Ok(0);
        }
        let asked: Vec<Destination> = wants.iter().map(|want| want.destination.clone()).collect();
        let claims = self.context.spool.claim(wants).await;
        let mut claims = claims.inspect_err(|error| maillog::spool_trouble(error))?;
        claims.quarantined.iter().for_each(maillog::quarantined);
        for destination in asked {
            let next = claims.upcoming.remove(&destination);
            let next = next.map(|next| (now + next.due_in, Need::of(next.size, next.recipients)));
            self.destinations.set_upcoming(&destination, next, now);
        }
        let count = claims.claimed.len();
        for entry in claims.claimed {
            let recipients = entry.envelope.recipients.len() as u64;
            let need = Need::of(entry.content.size(), recipients);
            let begun = self
                .destinations
                .begun(&entry.destination, Instant::now(), need);
            let context = Arc::clone(&self.context);
            let report = self.report.clone();
            // An attempt has some ten kilobytes, which would be copied at each layer.
            self.attempts.spawn(Box::pin(async move {
                let settled = context.work(entry, begun).await;
                // The dispatcher outlives its attempts, unless the relay ends.
                let _received = report.send(settled).await;
            }));
        }
        Ok(count)
    }

    fn sleep_time(&self, spool_trouble: bool) -> Duration {
        if spool_trouble {
            return SPOOL_AGAIN;
        }
        let idle = Duration::from_secs(60);
        let wakes = [self.destinations.wake_at(), self.faults.next()];
        let wake = wakes.into_iter().flatten().min();
        wake.map_or(idle, |at| {
            at.saturating_duration_since(Instant::now()).min(idle)
        })
    }

    fn settled(&mut self, settled: &Settled) {
        let Settled {
            entry,
            outcome,
            next,
        } = settled;
        let now = Instant::now();
        if let Next::Wait(due) = next {
            let due_in = due.since(self.context.spool.running());
            self.destinations
                .has_due(&entry.destination, now + due_in, now);
        }
        let failed = |cause, wait| Failed {
            id: entry.id,
            cause,
            wait,
        };
        match (outcome.verdict, schedule::backing_off(outcome.kind)) {
            (Some(Verdict::Own | Verdict::Open), _) | (_, None) => {}
            (_, Some((Scope::Account, cause, wait))) => {
                let failed = failed(cause, wait);
                self.destinations
                    .back_off_account(&entry.destination, now, failed);
            }
            (_, Some((_, cause, wait))) => {
                let failed = failed(cause, wait);
                self.destinations
                    .back_off_mailbox(&entry.destination, now, failed);
            }
        }
        let mailbox =
            outcome.shows_that_mailbox_works() && self.destinations.worked(&entry.destination, now);
        let account = outcome.shows_that_account_works()
            && self.destinations.account_worked(&entry.destination, now);
        if mailbox || account {
            maillog::recovered(&entry.destination);
        }
        if outcome.kind == Kind::Delivered {
            self.standing.delivered(now);
        }
        self.tell(entry, outcome, now);
        if outcome.is_over_quota()
            && let Some(code) = &outcome.code
        {
            // The remedy differs from that for a mailbox that sends too fast.
            self.destinations
                .tell_mailbox(&entry.destination, code, now);
        }
        let account_client = self.context.account_clients.get(&entry.destination.account);
        if let Some(owner) = account_client
            .and_then(|account_client| account_client.graph.owner(&entry.destination.mailbox))
        {
            self.destinations
                .shares_limits_with(&entry.destination, &owner, now);
        }
        self.tell_changes();
        self.destinations.ended(&entry.destination, now);
    }

    fn tell_changes(&mut self) {
        let (wall, now) = (self.context.clock.now(), Instant::now());
        let at = |until: Instant| wall + until.saturating_duration_since(now);
        for change in self.destinations.changes() {
            match change {
                Change::Held(destination, limit, until) => {
                    maillog::rate_limited(&destination, limit.key(), at(until));
                }
                Change::Narrowed(destination, at_once, until) => {
                    maillog::concurrency_reduced(&destination, at_once, at(until));
                }
                Change::Widened(destination, at_once) => {
                    maillog::concurrency_restored(&destination, at_once);
                }
            }
        }
    }

    /// Logs a configuration fault once, as an error, with its remedy.
    fn tell(&mut self, entry: &Claimed, outcome: &Outcome, now: Instant) {
        let (Kind::Deferred { scope, .. }, Some(remedy)) = (outcome.kind, outcome.remedy()) else {
            return;
        };
        let what = outcome.code.as_deref().unwrap_or(&outcome.reason);
        let scope = match outcome.verdict {
            // No other message waits for it.
            Some(Verdict::Own | Verdict::Open) => Scope::Message,
            Some(Verdict::Common) | None => scope,
        };
        let notice = match scope {
            Scope::Account => self.destinations.tell_account(&entry.destination, what),
            Scope::Mailbox => self
                .destinations
                .tell_mailbox(&entry.destination, what, now),
            Scope::Message => self.faults.of_message(entry),
        };
        if notice == Notice::New && self.faults.is_named(&entry.destination.account, what, now) {
            let words = outcome::named(remedy, entry, &self.context.goes_out_from(entry));
            let waits = match scope {
                Scope::Account => maillog::Waits::Account,
                Scope::Mailbox => maillog::Waits::Mailbox,
                Scope::Message => maillog::Waits::Message,
            };
            let code = outcome.code.as_deref();
            maillog::fault(entry, waits, code, &outcome.reason, &words);
        }
    }
}
