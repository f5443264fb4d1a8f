//! The overall status of the relay, on one screen.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use serde::Serialize;

use super::AccountView;
use super::AdminState;
use super::ConfigurationView;
use super::EndingView;
use super::attention::AlertView;
use super::attention::Checkup;
use super::identity;
use crate::auth::Ending;
use crate::clock::Timestamp;
use crate::clock::span;
use crate::credentials::CertificateFiles;
use crate::delivery::Delivery;
use crate::disk;
use crate::listener::Connections;
use crate::listener::PickupTrouble;
use crate::spool::Holdings;
use crate::spool::Overview;
use crate::spool::Pause;
use crate::spool::State as Queued;
use crate::spool::Trouble;
use crate::telemetry;

/// The overall status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The relay's.
    pub version: String,
    /// The time of the relay's clock.
    pub now: Timestamp,
    /// The addresses of the listeners.
    pub listeners: Vec<SocketAddr>,
    /// When the listeners' certificate expires.
    pub certificate: Option<EndingView>,
    /// Accounts and their tokens.
    pub accounts: Vec<AccountView>,
    /// Clients that are connected.
    pub connections: Connections,
    /// Pickup folders from which no messages can be taken.
    #[serde(default)]
    pub pickups: Vec<PickupTrouble>,
    /// The queue.
    pub queue: Overview,
    /// What is backing off and why, and for how long nothing has been sent.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// What an operator has paused.
    #[serde(default)]
    pub paused: Vec<Pause>,
    /// Why the relay accepts no mail, if the spool is full.
    pub full: Option<String>,
    /// Whether that is because the database was removed.
    #[serde(default)]
    pub is_database_gone: bool,
    /// What the spool holds.
    pub spool: Holdings,
    /// The last error of writing or reading the spool, since the relay has started.
    pub spool_error: Option<Trouble>,
    /// Whether the file says what is in force.
    pub configuration: ConfigurationView,
    /// The log.
    pub log: LogView,
    /// Free space on the disk of the spool, if it is known.
    #[serde(default)]
    pub disk: Option<DiskView>,
    /// How it stands with each `[[alert]]`.
    #[serde(default)]
    pub alerts: Vec<AlertView>,
    /// What the relay found when it last examined itself.
    #[serde(default)]
    pub checkup: Option<Checkup>,
}

/// Free space on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskView {
    /// Free bytes.
    pub free: u64,
    /// `limits.free_space`: with less, no mail is accepted.
    pub least: u64,
}

/// Log lines that were dropped because nobody read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// Since the relay started.
    pub dropped: u64,
    /// Of these, since somebody last read the log: if there are any, nobody reads it now.
    pub unread: u64,
}

pub(super) fn router(admin_state: AdminState) -> Router {
    Router::new()
        .route("/status", get(status))
        .with_state(admin_state)
}

/// As many accounts, and as many pauses, as fit on a line.
const SHOWN: usize = 3;

impl AdminState {
    /// Returns the state of the queue and of the tokens in one line.
    pub async fn summary(&self) -> String {
        let mut parts = Vec::new();
        if let Err(error) = self.spool.check_room(None) {
            parts.push(format!("no mail is accepted: {error}"));
        }
        let pauses = self.spool.pauses();
        let paused = |pause: &Pause| format!("{} is paused{}", pause.what(), pause.why());
        parts.extend(pauses.iter().take(SHOWN).map(paused));
        parts.push(match self.spool.overview().await {
            Ok(overview) => queue(&overview),
            Err(error) => format!("the queue cannot be read: {error}"),
        });
        let accounts = identity::views(self);
        let shown = accounts.iter().take(SHOWN);
        parts.extend(shown.map(token));
        if let more @ 1.. = accounts.len().saturating_sub(SHOWN) {
            parts.push(format!("{more} more accounts"));
        }
        // A line ends the status.
        parts.join("; ").replace(['\n', '\r'], " ")
    }
}

fn queue(overview: &Overview) -> String {
    let waiting = overview.count(Queued::Waiting);
    let mut words = format!("{waiting} waiting");
    if let Some(oldest) = overview.oldest_waiting_ms {
        let oldest = span(Duration::from_millis(oldest));
        words.push_str(&format!(" (the oldest for {oldest})"));
    }
    for state in [Queued::Held, Queued::Failed, Queued::Quarantined] {
        if let count @ 1.. = overview.count(state) {
            words.push_str(&format!(", {count} {state}"));
        }
    }
    words
}

/// The state of an account's token; of several, one that keeps mail from being sent.
fn token(account: &AccountView) -> String {
    let tokens = &account.tokens;
    let worst = tokens.iter().find(|it| it.state.is_trouble());
    let Some(token) = worst.or_else(|| tokens.first()) else {
        return format!("{}: not signed in", account.name);
    };
    let whose = match &token.mailbox {
        Some(mailbox) => format!(", {mailbox}"),
        None => String::new(),
    };
    format!("token of {}{whose}: {}", account.name, token.state)
}

async fn status(State(admin_state): State<AdminState>) -> Json<Status> {
    Json(admin_state.status().await)
}

impl AdminState {
    /// The status of the relay now.
    pub async fn status(&self) -> Status {
        let configuration = self.configuration.view().await;
        Status {
            configuration,
            ..of(self).await
        }
    }

    /// The same without a look at the configuration file, for whoever asks often.
    pub async fn live_status(&self) -> Status {
        of(self).await
    }
}

/// When the certificate ends. Doctor and the log report one that cannot be read.
async fn certificate(files: Option<CertificateFiles>, now: Timestamp) -> Option<EndingView> {
    let files = files?;
    // The disk may be slow, or on the network.
    let ends = tokio::task::spawn_blocking(move || files.ends())
        .await
        .ok()?;
    let what = "certificate";
    ends.ok().map(|at| EndingView {
        what: what.to_owned(),
        at,
        is_near: Ending { what, at }.is_near(now),
    })
}

async fn of(admin_state: &AdminState) -> Status {
    let now = admin_state.means.clock.now();
    let dropped = telemetry::dropped();
    let certificate = certificate(admin_state.certificate.clone(), now).await;
    let (folder, least) = admin_state.configuration.disk();
    let accounts = identity::views(admin_state);
    // If it cannot be read, the error of the spool says so.
    let mut queue = admin_state.spool.overview().await.unwrap_or_default();
    queue.leave_out_failing(|destination| {
        let mut accounts = accounts.iter();
        admin_state.standing.backs_off(destination)
            || accounts.any(|account| account.gets_no_token(destination))
    });
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        listeners: admin_state.listeners.clone(),
        configuration: ConfigurationView::default(),
        log: LogView {
            dropped: dropped.all,
            unread: dropped.now,
        },
        certificate,
        accounts,
        connections: admin_state.clients.connections(),
        pickups: admin_state.clients.pickup_troubles(),
        queue,
        delivery: admin_state.standing.delivery(now),
        paused: admin_state.spool.pauses().iter().cloned().collect(),
        full: admin_state
            .spool
            .check_room(None)
            .err()
            .map(|error| error.to_string()),
        is_database_gone: admin_state.spool.look_for_database().is_err(),
        spool: admin_state.spool.holdings(),
        spool_error: admin_state.spool.trouble(),
        disk: disk::free_space(&folder)
            .ok()
            .map(|free| DiskView { free, least }),
        alerts: admin_state.alerts.views(),
        checkup: admin_state.checkup.get(),
    }
}
