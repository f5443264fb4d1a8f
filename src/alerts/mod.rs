//! Alerts: tells people, by webhook or by mail, when a problem begins and when it is over.
//!
//! `admin/attention/` decides what a problem is. For each `[[alert]]` of relay.toml a task
//! of its own looks at the list of problems every few seconds, and nothing that it waits
//! for (a receiver that does not answer) delays another alert or mail.
//!
//! # Promises
//!
//! - An alert reports a problem once when it begins and once when it is over, with how long
//!   it lasted; an event, such as a message that has failed, only when it happens. What begins
//!   or ends at the same time is one alert, and the consequences of a reported problem are not
//!   reported by themselves (`incidents.rs` has the rules).
//! - An alert that could not be sent is sent again, with growing waits, for a day; the
//!   order stays. What was reported and what waits survives a restart: it is on disk, in a file
//!   for each alert (`record.rs`), before anything is sent. So an alert can arrive twice
//!   after a crash, with the same id, and is never forgotten. These files are not in the
//!   spool, so that a spool that cannot be written can be reported.
//! - An alert about mail never causes another by itself: mail that alerts is not among the
//!   failures that are reported, it has a null reverse-path, so it is never reported on, and it is
//!   marked as automatic. If the account that would send it is broken, it waits here and
//!   not in the queue, and the log and the other alerts say so.
//! - No secret is logged: neither the one that signs, nor the path of a URL.

mod incidents;
mod mail;
mod notice;
mod outbox;
mod record;
mod sender;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::notice::Notice;
use self::outbox::Outcome;
use self::record::Store;
use self::sender::Sender;
use crate::admin::AdminState;
use crate::admin::Status;
use crate::admin::attention::AlertDesk;
use crate::admin::attention::AlertDesks;
use crate::admin::attention::AlertTested;
use crate::admin::attention::AlertView;
use crate::config::Alert;
use crate::config::Config;
use crate::config::alerts::AlertTarget;
use crate::http::HttpError;
use crate::telemetry::alertlog;

/// How often the list of problems is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Looking takes no more than one part in so many of the time, however full the spool is.
const SHARE: u32 = 50;

type Tests = mpsc::Receiver<oneshot::Sender<AlertTested>>;

/// All alerts of a configuration, not started yet.
#[derive(Debug)]
pub struct Alerts {
    desks: AlertDesks,
    tellers: Vec<Teller>,
}

/// What tells one receiver.
#[derive(Debug)]
struct Teller {
    alert: Alert,
    sender: Sender,
    store: Store,
    desk: AlertDesk,
    tests: Tests,
}

impl Alerts {
    /// Those of the configuration.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be set up.
    pub fn new(config: &Config) -> Result<Self, HttpError> {
        let (mut desks, mut tellers) = (Vec::new(), Vec::new());
        for alert in &config.alerts {
            let kind = match alert.target {
                AlertTarget::Webhook(_) => "webhook",
                AlertTarget::Mail(_) => "mail",
            };
            let (desk, tests) = AlertDesk::new(AlertView {
                kind: kind.to_owned(),
                name: alert.name.clone(),
                ..AlertView::default()
            });
            desks.push(desk.clone());
            tellers.push(Teller {
                sender: Sender::new(alert, config)?,
                store: Store::of(alert, &config.data_dir),
                alert: alert.clone(),
                desk,
                tests,
            });
        }
        let desks = AlertDesks::new(desks);
        Ok(Self { desks, tellers })
    }

    /// How it stands with each.
    pub fn desks(&self) -> AlertDesks {
        self.desks.clone()
    }

    /// Starts them; they run until `stop`.
    pub fn start(self, admin_state: &AdminState, workers: &TaskTracker, stop: &CancellationToken) {
        if self.tellers.is_empty() {
            return;
        }
        let (looked, look) = watch::channel(None);
        for teller in self.tellers {
            let telling = teller.run(admin_state.clone(), look.clone());
            let stop = stop.clone();
            workers.spawn(async move {
                tokio::select! {
                    () = telling => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        let (admin_state, stop) = (admin_state.clone(), stop.clone());
        workers.spawn(async move {
            tokio::select! {
                () = watch(&admin_state, looked) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Looks at the status again and again.
async fn watch(admin_state: &AdminState, looked: watch::Sender<Option<Arc<Status>>>) {
    loop {
        let begun = Instant::now();
        let status = admin_state.live_status().await;
        let took = begun.elapsed();
        looked.send_replace(Some(Arc::new(status)));
        tokio::time::sleep(LOOK.max(took * SHARE)).await;
    }
}

impl Teller {
    async fn run(
        mut self,
        admin_state: AdminState,
        mut look: watch::Receiver<Option<Arc<Status>>>,
    ) {
        let mut record = self.store.load(admin_state.spool.moment()).await;
        self.show(&record);
        loop {
            let wait = record.outbox.wait(admin_state.spool.running());
            tokio::select! {
                changed = look.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let status = look.borrow_and_update().clone();
                    if let Some(status) = status {
                        self.look(&mut record, &status, &admin_state).await;
                    }
                }
                () = until(wait) => self.send(&mut record, &admin_state).await,
                Some(answer) = self.tests.recv() => {
                    let tested = self.test(&admin_state).await;
                    // Whoever asked may have gone.
                    let _gone = answer.send(tested);
                }
            }
            self.show(&record);
        }
    }

    /// Compares what is wrong now with what was reported.
    async fn look(&self, record: &mut record::Record, status: &Status, admin_state: &AdminState) {
        let now = admin_state.spool.moment();
        let seen = incidents::concerning(&self.alert, status);
        let before = record.incidents.clone();
        let changes = record.incidents.compare(seen, now, self.alert.over_after);
        if let Some(changes) = changes {
            let id = admin_state.spool.new_id().to_string();
            let notice = Notice::new(id, now.at, changes);
            alertlog::raised(&self.alert.name, &notice.id, &notice.log_words());
            let dropped = record.outbox.push(notice, now.running);
            dropped
                .iter()
                .for_each(|it| self.gave_up(&it.notice.id, "too many alerts wait"));
        } else if !record.incidents.differs(&before) {
            return;
        }
        self.store.save(record).await;
    }

    /// Sends what has waited for longest.
    async fn send(&self, record: &mut record::Record, admin_state: &AdminState) {
        let Some(notice) = record.outbox.first() else {
            return;
        };
        let (name, id) = (self.alert.name.as_str(), notice.id.clone());
        let sent = self.sender.send(&notice, admin_state).await;
        let now = admin_state.spool.moment();
        let error = sent.as_ref().err().map(ToString::to_string);
        let (outcome, tries) = record.outbox.tried(sent.is_ok(), now.running);
        self.desk.record(|view| {
            view.trouble.clone_from(&error);
            view.failing = if error.is_some() { tries } else { 0 };
        });
        match (outcome, &error) {
            (Outcome::Sent, _) | (_, None) => {
                alertlog::sent(name, &id, tries, sent.unwrap_or_default().as_deref());
                self.desk.record(|view| {
                    view.sent += 1;
                    view.last_sent_at = Some(now.at);
                });
            }
            (Outcome::Again(wait), Some(error)) => {
                self.desk.record(|view| view.failures += 1);
                alertlog::deferred(name, &id, tries, error, now.at + wait);
            }
            (Outcome::GivenUp, Some(error)) => {
                self.desk.record(|view| view.failures += 1);
                self.gave_up(&id, error);
            }
        }
        self.store.save(record).await;
    }

    fn gave_up(&self, id: &str, reason: &str) {
        self.desk.record(|view| view.given_up += 1);
        alertlog::given_up(&self.alert.name, id, reason);
    }

    async fn test(&self, admin_state: &AdminState) -> AlertTested {
        let now = admin_state.spool.moment();
        let notice = Notice::test(admin_state.spool.new_id().to_string(), now.at);
        let sent = self.sender.send(&notice, admin_state).await;
        let name = self.alert.name.clone();
        match sent {
            Ok(id) => {
                alertlog::sent(&name, &notice.id, 1, id.as_deref());
                self.desk.record(|view| {
                    view.sent += 1;
                    view.last_sent_at = Some(now.at);
                });
                let done = id.map_or_else(
                    || "the receiver has accepted it".to_owned(),
                    |id| format!("the mail is in the queue: graph-relay queue show {id}"),
                );
                AlertTested {
                    name,
                    done: Some(done),
                    error: None,
                }
            }
            Err(error) => {
                self.desk.record(|view| view.failures += 1);
                let error = Some(error.to_string());
                AlertTested {
                    name,
                    done: None,
                    error,
                }
            }
        }
    }

    fn show(&self, record: &record::Record) {
        self.desk.record(|view| {
            view.open = record.incidents.reported();
            view.waiting = record.outbox.len();
        });
    }
}

/// Waits for this long; for ever without a time.
async fn until(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
