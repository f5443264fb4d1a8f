//! A relay within its process, from its first start to its end: it reloads relay.toml, starts
//! again where somebody wants that, and waits for room on a full disk.
//!
//! Promise: a restart that does not work goes on with the configuration that has worked.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::admin::AuditAct;
use crate::cli::Exit;
use crate::config::Config;
use crate::config::ConfigError;
use crate::platform::signals;
use crate::platform::signals::Signal;
use crate::platform::systemd::State;
use crate::service::Carried;
use crate::service::Passed;
use crate::service::Service;
use crate::service::StartError;
use crate::service::notify;
use crate::service::notify_reloading;
use crate::telemetry::maillog;

/// What all starts of a relay have in common.
pub(in crate::cli) struct Lifetime<'a> {
    file: &'a Path,
    /// Reads the configuration again.
    read: &'a (dyn Fn() -> Result<Config, ConfigError> + Sync),
    passed: &'a Passed,
    signals: Signals,
}

/// What a start begins with.
struct Start {
    config: Config,
    carried: Carried,
}

impl<'a> Lifetime<'a> {
    /// That of a relay with this file; `read` reads it.
    ///
    /// # Errors
    ///
    /// The process cannot receive signals.
    pub(in crate::cli) fn new(
        file: &'a Path,
        read: &'a (dyn Fn() -> Result<Config, ConfigError> + Sync),
        passed: &'a Passed,
    ) -> std::io::Result<Self> {
        let signals = Signals::new()?;
        Ok(Self {
            file,
            read,
            passed,
            signals,
        })
    }

    /// The first start. Returns `None` if it is stopped while it waits for room on the disk.
    ///
    /// # Errors
    ///
    /// The relay cannot start.
    pub(in crate::cli) async fn begin(
        &mut self,
        config: Config,
    ) -> Result<Option<Service>, StartError> {
        let carried = Carried::default();
        self.start(&Start { config, carried }).await
    }

    /// Lets the relay run until somebody stops it, or until it fails.
    ///
    /// # Errors
    ///
    /// The relay cannot start again, not even with the configuration that has worked.
    pub(in crate::cli) async fn run(mut self, mut service: Service) -> Result<Exit, StartError> {
        let exit = loop {
            notify(&[State::Ready]);
            service.report_to_systemd();
            let wanted = match self.until_ended(&mut service).await {
                Ended::Stopped(exit) => break exit,
                Ended::Restarts(wanted) => wanted.map(|it| *it),
            };
            service = match self.restarted(service, wanted).await? {
                Some(service) => service,
                None => return Ok(Exit::Done),
            };
        };
        notify(&[State::Stopping]);
        service.stop().await;
        Ok(exit)
    }

    /// Stops the relay and starts it with the current file. If that does not work, it starts with
    /// the configuration that has worked.
    async fn restarted(
        &mut self,
        service: Service,
        wanted: Option<AuditAct>,
    ) -> Result<Option<Service>, StartError> {
        notify_reloading();
        let (old, carried) = service.to_carry();
        service.stop().await;
        let reason = match (self.read)() {
            Ok(config) => {
                // The log is set up once for the process.
                let log = old.log.clone();
                let carried = carried.between(&old, &config);
                let carried = carried.restarted(wanted.clone(), None);
                let config = Config { log, ..config };
                match self.start(&Start { config, carried }).await {
                    Ok(service) => return Ok(service),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        not_restarted(&reason);
        let start_with = Start {
            config: old,
            carried: carried.restarted(wanted, Some(&reason)),
        };
        self.start(&start_with).await
    }

    /// Starts the relay. On a full disk it waits for free space, without an open port at which
    /// clients would wait; returns `None` if it is stopped meanwhile.
    async fn start(&mut self, with: &Start) -> Result<Option<Service>, StartError> {
        let mut said: Option<Instant> = None;
        let config = &with.config;
        loop {
            let carried = with.carried.clone();
            let starting = Service::start(config.clone(), Some(self.file), self.passed, carried);
            let attempt = Box::pin(starting);
            let error = match with_patience(attempt).await {
                Ok(service) => {
                    if said.is_some() {
                        notify(&[State::Status("")]);
                    }
                    return Ok(Some(service));
                }
                Err(error) if error.lacks_room(&config.data_dir) => error,
                Err(error) => return Err(error),
            };
            // Each attempt opens it again.
            with.carried.close_page();
            if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                said = Some(Instant::now());
                maillog::waits_for_room(&config.data_dir, &error);
            }
            let status = format!(
                "waiting for free space on the disk of {}",
                config.data_dir.display()
            );
            notify(&[
                State::ExtendTimeoutUsec(EXTENSION_USEC),
                State::Status(&status),
            ]);
            tokio::select! {
                () = tokio::time::sleep(TRY_AGAIN) => {}
                _ = self.signals.terminate.recv() => return Ok(None),
                _ = self.signals.interrupt.recv() => return Ok(None),
            }
        }
    }

    /// Waits for SIGTERM or SIGINT, or until somebody wants a restart, or until the relay fails.
    async fn until_ended(&mut self, service: &mut Service) -> Ended {
        loop {
            tokio::select! {
                _ = self.signals.terminate.recv() => return Ended::Stopped(Exit::Done),
                _ = self.signals.interrupt.recv() => return Ended::Stopped(Exit::Done),
                _ = self.signals.hangup.recv() => self.reload(service),
                () = service.reload_wanted() => self.reload(service),
                wanted = service.restart_wanted() => return Ended::Restarts(wanted.map(Box::new)),
                reason = service.broken() => {
                    error!(event = "relay_failed", reason, "the relay cannot work any more and stops; systemd starts it again");
                    return Ended::Stopped(Exit::BrokeDown);
                }
            }
        }
    }

    /// Handles SIGHUP, and the same wish from the admin page: a wrong file leaves the old configuration in force.
    fn reload(&self, service: &mut Service) {
        notify_reloading();
        let read = (self.read)();
        let is_fixed = read
            .as_ref()
            .is_ok_and(|config| !config.origin.variables.is_empty());
        let warnings = read
            .as_ref()
            .map_or(Vec::new(), |config| config.warnings.clone());
        for warning in warnings {
            maillog::config_warning(&warning.in_file(self.file));
        }
        match service.reload(read) {
            Ok(restart) if restart.is_empty() && is_fixed => info!(
                event = "reloaded",
                "relay.toml was reloaded; values of environment variables stay as they were at the start"
            ),
            Ok(restart) if restart.is_empty() => {
                info!(event = "reloaded", "relay.toml was reloaded");
            }
            Ok(restart) => warn!(
                event = "reloaded",
                needs_restart = restart.join(", "),
                "relay.toml was reloaded; some changes take effect at a restart"
            ),
            Err(error) => error!(
                event = "reload_failed",
                reason = error.to_string(),
                "relay.toml was not reloaded: the old configuration stays in force"
            ),
        }
        notify(&[State::Ready]);
    }
}

fn not_restarted(reason: &str) {
    error!(
        event = "restart_failed",
        reason,
        "the relay cannot start with the new relay.toml: it goes on with the old configuration"
    );
}

/// How often a start on a full disk is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// How often the log says that the relay waits for free space.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// How much more time the service manager gets each time: far more than [`TRY_AGAIN`] and a
/// start need.
const EXTENSION_USEC: u32 = 60_000_000;

/// How often a slow start asks for more time, and at most how many times: a start that hangs
/// is ended after an hour.
const MORE_TIME: (Duration, u32) = (Duration::from_secs(20), 180);

/// Makes the service manager wait for a start that upgrades a large spool to a new format.
async fn with_patience<T>(mut start: impl Future<Output = T> + Unpin) -> T {
    let (each, most) = MORE_TIME;
    for _ in 0..most {
        match tokio::time::timeout(each, &mut start).await {
            Ok(started) => return started,
            Err(_) => notify(&[State::ExtendTimeoutUsec(EXTENSION_USEC)]),
        }
    }
    start.await
}

/// What the relay tells the service manager.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signals::terminate()?,
            interrupt: signals::interrupt()?,
            hangup: signals::hangup()?,
        })
    }
}

/// Why a relay that runs does so no longer.
enum Ended {
    Stopped(Exit),
    /// Somebody wants it to start again: the entry of the audit list.
    Restarts(Option<Box<AuditAct>>),
}
