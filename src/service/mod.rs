//! The whole relay: starting everything, and stopping it in order.
//!
//! The relay has started when the spool is open and it listens on every address. It does
//! not wait for a token, because an outage of Entra must not keep it from accepting mail.
//! Stopping: it accepts no new connections, ends sessions, lets running attempts end within
//! a time limit, and closes the spool. The next start finds everything that was cut off.

mod checkup;
mod drain;
mod error;
mod identities;
mod page;
mod reload;
mod restart;
mod room;
mod sockets;
mod systemd;
mod tidy;

pub use self::error::StartError;
pub use self::reload::ReloadError;
pub use self::restart::Carried;
pub use self::sockets::ListenError;
pub use self::sockets::Passed;
pub use self::systemd::notify;
pub use self::systemd::notify_reloading;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;
use tracing::info;

use crate::admin;
use crate::admin::attention::AlertDesks;
use crate::admin::attention::LastCheckup;
use crate::admin::monitoring;
use crate::alerts::Alerts;
use crate::auth;
use crate::auth::SignIns;
use crate::auth::Tokens;
use crate::clock::Clock;
use crate::clock::Pulse;
use crate::config;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Limits;
use crate::config::PageUrl;
use crate::credentials::CertificateError;
use crate::delivery;
use crate::delivery::Standing;
use crate::http::Http;
use crate::listener;
use crate::metrics::Metrics;
use crate::platform::sockets::LocalListener;
use crate::session;
use crate::spool;
use crate::spool::KeepFor;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::telemetry::complaints;
use crate::telemetry::maillog;
use crate::telemetry::transcripts::Transcripts;

/// A running relay.
#[derive(Debug)]
pub struct Service {
    /// The configuration at the start.
    config: Config,
    /// The configuration in force.
    configuration: admin::Configuration,
    shared: Arc<listener::Shared>,
    addresses: Vec<SocketAddr>,
    page: Option<PageUrl>,
    spool: Spool,
    stop_listening: CancellationToken,
    stop_delivery: CancellationToken,
    connections: TaskTracker,
    workers: TaskTracker,
    /// The delivery attempts, which one of the workers runs.
    attempts: TaskTracker,
    /// Cancelled when delivery has ended by itself.
    broken: CancellationToken,
    /// Whether the loops run.
    pulse: Pulse,
    /// Cancelled when systemd has been told that the relay has started.
    ready: CancellationToken,
    carried: Carried,
}

/// How long running attempts may take to end. Together with [`listener::DRAIN`] it stays
/// well below systemd's 90 seconds.
const DRAIN_ATTEMPTS: Duration = Duration::from_secs(20);

impl Service {
    /// Starts the relay. `file` is the file that its configuration was read from, `passed`
    /// what systemd passed to this process, `carried` what a restart keeps.
    ///
    /// # Errors
    ///
    /// Says which part could not be started, and what to do.
    pub async fn start(
        config: Config,
        file: Option<&Path>,
        passed: &Passed,
        carried: Carried,
    ) -> Result<Self, StartError> {
        let clock = Clock::System;
        let mut means = identities::means(&config, &clock)?;
        let alerts = Alerts::new(&config)?;
        let (sockets, listeners) = sockets::open(&config, passed)?;
        let rules = rules(&config, listeners)?;
        let monitoring = config.admin.metrics.map(bind_metrics).transpose()?;
        let page = page::open(&config, &carried)?;
        let spool = open_spool(&config, clock.clone()).await?;
        means.store = identities::store(&config)?;
        let path = config.data_dir.join("admin.sock");
        let admin = admin::bind(&path).map_err(|error| StartError::Admin { path, error })?;

        let transcripts = Transcripts::default();
        let metrics = Metrics::new(spool.commit_times());
        let stop_listening = CancellationToken::new();
        let shared = listener::Shared::new(
            spool.clone(),
            rules,
            transcripts.clone(),
            tidy::devices(&config).await,
            metrics.clone(),
            clock,
            stop_listening.clone(),
        );
        let mut service = Self {
            configuration: carried.configuration(&config, file),
            config,
            shared: Arc::new(shared),
            addresses: Vec::new(),
            page: page.as_ref().map(page::Opened::url),
            spool,
            stop_listening,
            stop_delivery: CancellationToken::new(),
            connections: TaskTracker::new(),
            workers: TaskTracker::new(),
            attempts: TaskTracker::new(),
            broken: CancellationToken::new(),
            pulse: Pulse::default(),
            ready: CancellationToken::new(),
            carried,
        };
        service.listen(sockets);
        let admin_state = service.work(admin, transcripts, metrics, means, alerts.desks());
        service.look_after(&admin_state, alerts, file);
        if let Some(page) = page {
            let stop = service.stop_delivery.clone();
            let serving = page.serve(admin_state.clone(), stop);
            service.workers.spawn(serving);
        }
        if let Some(socket) = monitoring {
            service.monitor(socket, admin_state);
        }
        info!(
            event = "started",
            version = env!("CARGO_PKG_VERSION"),
            "the relay has started"
        );
        Ok(service)
    }

    /// Puts into force what can change while the relay runs: see `reload.rs`. Returns what
    /// needs a restart.
    ///
    /// # Errors
    ///
    /// The configuration cannot be put into force while the relay runs; nothing has changed
    /// then.
    pub fn reload(
        &mut self,
        read: Result<Config, ConfigError>,
    ) -> Result<Vec<&'static str>, ReloadError> {
        let at = Clock::System.now();
        let applied = read
            .map_err(ReloadError::File)
            .and_then(|config| self.put_in_force(&config).map(|()| config));
        if let Ok(config) = &applied {
            self.spool.keep_content(self.keep_for(config));
            let spool = self.spool.clone();
            self.workers
                .spawn(async move { tidy::purge_content(&spool).await });
        }
        match applied {
            Ok(config) => {
                let needs_restart = self.config.needs_restart(&config);
                self.configuration.reloaded(at, Ok(config));
                Ok(needs_restart)
            }
            Err(error) => {
                self.configuration.reloaded(at, Err(error.to_string()));
                Err(error)
            }
        }
    }

    fn put_in_force(&self, config: &Config) -> Result<(), ReloadError> {
        let in_force = self.shared.rules();
        reload::check(&in_force, config)?;
        let listeners = reload::listeners(&in_force.listeners, config);
        let mut rules = rules(config, listeners)?;
        rules
            .session
            .hostname
            .clone_from(&in_force.session.hostname);
        // The spool keeps its size until a restart.
        let limits = Limits {
            spool_size: self.config.limits.spool_size,
            ..config.limits.clone()
        };
        rules.session.message_size = limits.largest_message();
        rules.accounts.clone_from(&in_force.accounts);
        rules.senders.clone_from(&in_force.senders);
        self.shared.set_rules(rules);
        Ok(())
    }

    /// Returns for how long content is kept: that of failed messages as at the start.
    fn keep_for(&self, config: &Config) -> KeepFor {
        KeepFor {
            ended: config.history_content,
            failed: self.config.failure_keep,
        }
    }

    /// Returns the addresses of the listeners, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The beginning of the addresses of the admin page, if it is served.
    pub fn page(&self) -> Option<&PageUrl> {
        self.page.as_ref()
    }

    /// From now on systemd is told regularly that the relay works, and its status. Call it
    /// after `READY=1`.
    pub fn report_to_systemd(&self) {
        self.ready.cancel();
    }

    /// Returns when the relay can no longer work, with the reason.
    pub async fn broken(&self) -> String {
        tokio::select! {
            // Delivery also ends because of a failed fsync: then that is the reason.
            biased;
            why = self.spool.not_synced() => format!("{}", SpoolError::NotSynced(why)),
            () = self.broken.cancelled() => "delivery has ended unexpectedly".to_owned(),
        }
    }

    /// Stops in order. Everything that was accepted is in the spool.
    pub async fn stop(self) {
        info!(
            event = "stopping",
            "the relay is stopping: it accepts no more connections"
        );
        self.stop_listening.cancel();
        self.connections.close();
        let (sessions, limit) = (&self.connections, listener::DRAIN + Duration::from_secs(5));
        if !drain::ended(sessions, sessions, "sessions", limit).await {
            error!(
                event = "stop_timeout",
                "some sessions did not end in time and were cut off"
            );
        }
        self.stop_delivery.cancel();
        self.workers.close();
        let (attempts, limit) = (&self.attempts, DRAIN_ATTEMPTS);
        if !drain::ended(&self.workers, attempts, "delivery attempts", limit).await {
            error!(
                event = "stop_timeout",
                "some delivery attempts did not end in time: the next start treats them as doubtful"
            );
        }
        self.shared.devices().save(true, Clock::System.now()).await;
        if let Some(path) = self.spool.close().await {
            maillog::database_rewritten(&path);
        }
        info!(event = "stopped", "the relay has stopped");
    }

    fn listen(&mut self, sockets: Vec<TcpListener>) {
        let complaints = complaints::run(self.stop_listening.clone());
        self.connections.spawn(complaints);
        let pickup = listener::pick_up(Arc::clone(&self.shared));
        self.connections.spawn(pickup);
        for (number, socket) in sockets.into_iter().enumerate() {
            if let Ok(address) = socket.local_addr() {
                info!(event = "listening", %address, "accepting mail");
                self.addresses.push(address);
            }
            let connections = self.connections.clone();
            let shared = Arc::clone(&self.shared);
            let beat = self.pulse.beat("a listener");
            let accepting = listener::run(socket, number, shared, connections, beat);
            self.connections.spawn(accepting);
        }
    }

    /// Starts everything except the listeners.
    fn work(
        &self,
        admin: LocalListener,
        transcripts: Transcripts,
        metrics: Metrics,
        means: auth::Means,
        alerts: AlertDesks,
    ) -> admin::AdminState {
        let (config, spool, stop) = (&self.config, &self.spool, &self.stop_delivery);
        let tokens = |account: &config::Account| Tokens::new(account.clone(), means.clone());
        let sign_ins = SignIns::new(config.accounts.iter().map(tokens).collect());
        let devices = self.shared.devices().clone();
        let standing = Standing::new(metrics.clone(), devices.clone());
        self.deliver(
            sign_ins.accounts().to_vec(),
            standing.clone(),
            means.http.clone(),
        );
        let admin_state = admin::AdminState {
            spool: spool.clone(),
            transcripts,
            sign_ins: sign_ins.clone(),
            standing,
            means: means.clone(),
            clients: Arc::clone(&self.shared),
            listeners: self.addresses.clone(),
            certificate: config.tls.clone(),
            configuration: self.configuration.clone(),
            metrics,
            page_links: admin::PageLinks::default(),
            pulse: self.pulse.clone(),
            alerts,
            checkup: LastCheckup::default(),
            audit: admin::Audit::new(&config.data_dir, means.clock.clone()),
            stopping: self.stop_listening.clone(),
        };
        let clock = means.clock.clone();
        let watch = identities::watch(sign_ins, means, config.tls.clone(), stop.clone());
        let tidy = tidy::run(spool.clone(), clock, config.clone(), stop.clone());
        let ready = self.ready.clone();
        let systemd = systemd::run(admin_state.clone(), self.pulse.clone(), ready, stop.clone());
        self.workers.spawn(systemd);
        self.workers
            .spawn(admin::run(admin, admin_state.clone(), stop.clone()));
        self.workers
            .spawn(tidy::tell_removed(spool.clone(), stop.clone()));
        self.workers
            .spawn(devices.keep(Clock::System, stop.clone()));
        self.workers.spawn(watch);
        self.workers
            .spawn(tidy::watch_database(spool.clone(), stop.clone()));
        self.workers.spawn(tidy);
        self.workers
            .spawn(tidy::write_refusals(spool.clone(), stop.clone()));
        admin_state
    }

    /// Starts the alerts, and the examination of the relay by itself; records the restart that
    /// has led here, if one has.
    fn look_after(&self, admin_state: &admin::AdminState, alerts: Alerts, file: Option<&Path>) {
        let access = |config| -> admin::Findings { Box::pin(checkup::accounts(config)) };
        self.configuration.check_access_by(access);
        let stop = &self.stop_delivery;
        alerts.start(admin_state, &self.workers, stop);
        if let Some(restart) = self.carried.restart.clone() {
            let audit = admin_state.audit.clone();
            self.workers
                .spawn(async move { audit.record(restart).await });
        }
        // Without a file there is nothing to examine.
        if let Some(file) = file {
            let (every, admin_state) = (self.config.doctor_every, admin_state.clone());
            admin_state.checkup.serve(every);
            let examined = checkup::run(every, file.to_owned(), admin_state, stop.clone());
            self.workers.spawn(examined);
        }
    }

    /// Serves metrics and health checks over TCP.
    fn monitor(&self, socket: TcpListener, admin_state: admin::AdminState) {
        if let Ok(address) = socket.local_addr() {
            info!(event = "monitoring", %address, "serving metrics and health checks");
        }
        let stop = self.stop_delivery.clone();
        self.workers
            .spawn(monitoring::run(socket, admin_state, stop));
    }

    fn deliver(&self, accounts: Vec<Tokens>, standing: Standing, http: Http) {
        let (config, spool) = (self.config.clone(), self.spool.clone());
        let (pulse, asked) = (self.pulse.clone(), self.stop_delivery.clone());
        let stop = delivery::Stop {
            asked: asked.clone(),
            attempts: self.attempts.clone(),
        };
        // Also cancelled if the task panics.
        let broken = self.broken.clone().drop_guard();
        self.workers.spawn(async move {
            let delivery = delivery::run(&config, spool, &accounts, standing, http, &pulse, stop);
            if let Err(error) = delivery.await {
                error!(event = "delivery_failed", reason = %error, "delivery could not start");
            }
            if asked.is_cancelled() {
                // It ended because it was asked to.
                let _not_broken = broken.disarm();
            }
        });
    }
}

/// Opens the spool, and logs what was found in it.
async fn open_spool(config: &Config, clock: Clock) -> Result<Spool, SpoolError> {
    let settings = spool::Settings {
        folder: config.data_dir.clone(),
        size: config.limits.spool_size,
        free_space: config.limits.free_space,
        subjects: match config.history_subjects {
            true => spool::Subjects::Kept,
            false => spool::Subjects::NotKept,
        },
    };
    let ahead = spool::upgrade_ahead(&settings.folder, settings.free_space);
    if let Ok(Some(upgrade)) = ahead {
        maillog::upgrading(&upgrade);
    }
    let opened = tokio::task::spawn_blocking(move || Spool::open(settings, clock)).await;
    let (spool, recovered) = opened.map_err(|_| SpoolError::Closed)??;
    maillog::spool_opened(&recovered);
    spool.keep_content(KeepFor {
        ended: config.history_content,
        failed: config.failure_keep,
    });
    Ok(spool)
}

/// Listens for whoever asks for metrics.
fn bind_metrics(address: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |error| ListenError::Open {
        address,
        place: None,
        error,
    };
    listener::bind(address).map_err(|error| StartError::Metrics(failed(error)))
}

/// Returns the rules of sessions, for these listeners of the configuration.
fn rules(
    config: &Config,
    listeners: Vec<Arc<config::Listener>>,
) -> Result<listener::Rules, CertificateError> {
    Ok(listener::Rules {
        session: session_settings(config),
        limits: config.limits.clone(),
        accounts: config.accounts.clone(),
        senders: config.senders.clone(),
        users: config.users.clone(),
        listeners,
        pickups: config.pickups.clone(),
        history_keep: config.history_keep,
        tls: config.tls.clone().map(listener::tls_server).transpose()?,
    })
}

fn session_settings(config: &Config) -> session::Settings {
    session::Settings {
        hostname: config.hostname.clone(),
        message_size: config.limits.largest_message(),
        size_in_config: config.limits.message_size,
        recipients: config.limits.recipients,
        errors: config.limits.errors_per_session,
        aliases: Arc::clone(&config.aliases),
    }
}
