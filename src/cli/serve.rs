//! `serve`: runs the relay in the foreground, for a service manager.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use tracing::error;
use tracing::info;
use tracing::warn;

use super::Exit;
use crate::admin::AuditAct;
use crate::auth::CredentialError;
use crate::auth::StoreError;
use crate::config::Config;
use crate::config::Origin;
use crate::config::Problem;
use crate::config::ProblemKind;
use crate::platform::errors;
use crate::platform::files;
use crate::platform::signals;
use crate::platform::signals::Signal;
use crate::platform::users;
use crate::platform::users::User;
use crate::service::Carried;
use crate::service::ListenError;
use crate::service::Passed;
use crate::service::Service;
use crate::service::StartError;
use crate::spool::SpoolError;
use crate::telemetry;
use crate::telemetry::maillog;

pub(super) async fn run(file: &Path, passed: std::io::Result<Passed>) -> Exit {
    let passed = match passed {
        Ok(passed) => passed,
        Err(error) => {
            telemetry::error(&format!(
                "graph-relay: cannot use the sockets that systemd passes (LISTEN_FDS, LISTEN_FDNAMES): \
                 {error}"
            ));
            return Exit::Configuration;
        }
    };
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => {
            telemetry::error(&error.to_string());
            return of_kind(error.kind());
        }
    };
    telemetry::start(&config.log);
    log_environment(&config.origin);
    for warning in &config.warnings {
        maillog::config_warning(&warning.in_file(file));
    }
    let others = passed.warnings(&config).into_iter();
    for warning in others.chain(foreign_folder(&config)) {
        maillog::config_warning(&warning);
    }
    // Before systemd learns that it runs: an early reload must not end it.
    let Ok(mut signals) = Signals::new() else {
        error!(
            event = "signals_failed",
            "the relay cannot receive signals and does not start"
        );
        return Exit::BrokeDown;
    };
    let first = Start {
        config,
        carried: Carried::default(),
    };
    let mut service = match start(&first, file, &passed, &mut signals).await {
        Ok(Some(service)) => service,
        Ok(None) => return Exit::Done,
        Err(error) => return ended(&error, file),
    };
    let exit = loop {
        notify(&[NotifyState::Ready]);
        service.report_to_systemd();
        let again = match until_ended(&mut signals, &mut service, file).await {
            Ended::Stopped(exit) => break exit,
            Ended::Restarts(wanted) => {
                restarted(service, wanted.map(|it| *it), file, &passed, &mut signals).await
            }
        };
        service = match again {
            Ok(Some(service)) => service,
            Ok(None) => return Exit::Done,
            Err(error) => return ended(&error, file),
        };
    };
    notify(&[NotifyState::Stopping]);
    service.stop().await;
    exit
}

/// What a start begins with.
struct Start {
    config: Config,
    carried: Carried,
}

/// Stops the relay and starts it with the current file. If that does not work, it starts with
/// the configuration that has worked.
async fn restarted(
    service: Service,
    wanted: Option<AuditAct>,
    file: &Path,
    passed: &Passed,
    signals: &mut Signals,
) -> Result<Option<Service>, StartError> {
    notify_reloading();
    let (old, carried) = service.to_carry();
    service.stop().await;
    let reason = match Config::load(file) {
        Ok(config) => {
            // The log is set up once for the process.
            let log = old.log.clone();
            let carried = carried.between(&old, &config);
            let carried = carried.restarted(wanted.clone(), None);
            let config = Config { log, ..config };
            match start(&Start { config, carried }, file, passed, signals).await {
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
    start(&start_with, file, passed, signals).await
}

fn not_restarted(reason: &str) {
    error!(
        event = "restart_failed",
        reason,
        "the relay cannot start with the new relay.toml: it goes on with the old configuration"
    );
}

/// Says why the relay does not start, and where the reason is.
fn ended(error: &StartError, file: &Path) -> Exit {
    let place = match error {
        StartError::Listen(error) => error.place().cloned(),
        StartError::Credential { .. }
        | StartError::SignIns(_)
        | StartError::Tls(_)
        | StartError::Spool(_)
        | StartError::Http(_)
        | StartError::Metrics(_)
        | StartError::Page(_)
        | StartError::Admin { .. } => None,
    };
    let problem = Problem {
        place,
        message: error.to_string(),
        kind: ProblemKind::Wrong,
    };
    telemetry::error(&problem.in_file(file));
    exit_of(error)
}

/// Logs which values come from environment variables, by their names.
fn log_environment(origin: &Origin) {
    let names: Vec<&str> = origin.variables.iter().map(|it| it.name.as_str()).collect();
    if !names.is_empty() {
        info!(
            event = "config_environment",
            variables = names.join(", "),
            "these environment variables take precedence over relay.toml"
        );
    }
}

/// A relay that root starts by hand creates files that the service cannot read.
fn foreign_folder(config: &Config) -> Option<String> {
    let folder = std::fs::metadata(&config.data_dir).ok()?;
    if !users::is_root() || files::owner(&folder).uid == 0 {
        return None;
    }
    let owner = User::owning(&folder);
    let (name, shown) = (&owner.name, config.data_dir.display());
    Some(format!(
        "{shown} belongs to user {name}, but this relay runs as root: {name} will not be able to \
         read the files that it writes. Stop this relay, run chown -R {} {shown}, and start it \
         with systemctl start graph-relay",
        owner.as_owner()
    ))
}

/// How often a start on a full disk is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// How often the log says that the relay waits for free space.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// How much more time the service manager gets each time: far more than [`TRY_AGAIN`] and a
/// start need.
const EXTENSION_USEC: u32 = 60_000_000;

/// Starts the relay. On a full disk it waits for free space, without an open port at which
/// clients would wait; returns `None` if it is stopped meanwhile.
async fn start(
    with: &Start,
    file: &Path,
    passed: &Passed,
    signals: &mut Signals,
) -> Result<Option<Service>, StartError> {
    let mut said: Option<Instant> = None;
    let config = &with.config;
    loop {
        let carried = with.carried.clone();
        let starting = Service::start(config.clone(), Some(file), passed, carried);
        let attempt = Box::pin(starting);
        let error = match with_patience(attempt).await {
            Ok(service) => {
                if said.is_some() {
                    notify(&[NotifyState::Status("")]);
                }
                return Ok(Some(service));
            }
            Err(error) if error.lacks_room(&config.data_dir) => error,
            Err(error) => return Err(error),
        };
        if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
            said = Some(Instant::now());
            maillog::waits_for_room(&config.data_dir, &error);
        }
        let status = format!(
            "waiting for free space on the disk of {}",
            config.data_dir.display()
        );
        notify(&[
            NotifyState::ExtendTimeoutUsec(EXTENSION_USEC),
            NotifyState::Status(&status),
        ]);
        tokio::select! {
            () = tokio::time::sleep(TRY_AGAIN) => {}
            _ = signals.terminate.recv() => return Ok(None),
            _ = signals.interrupt.recv() => return Ok(None),
        }
    }
}

/// How often a slow start asks for more time, and at most how many times: a start that hangs
/// is ended after an hour.
const MORE_TIME: (Duration, u32) = (Duration::from_secs(20), 180);

/// Makes the service manager wait for a start that upgrades a large spool to a new format.
async fn with_patience<T>(mut start: impl Future<Output = T> + Unpin) -> T {
    let (each, most) = MORE_TIME;
    for _ in 0..most {
        match tokio::time::timeout(each, &mut start).await {
            Ok(started) => return started,
            Err(_) => notify(&[NotifyState::ExtendTimeoutUsec(EXTENSION_USEC)]),
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

/// Waits for SIGTERM or SIGINT, or until somebody wants a restart, or until the relay fails.
async fn until_ended(signals: &mut Signals, service: &mut Service, file: &Path) -> Ended {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ended::Stopped(Exit::Done),
            _ = signals.interrupt.recv() => return Ended::Stopped(Exit::Done),
            _ = signals.hangup.recv() => reload(service, file),
            () = service.reload_wanted() => reload(service, file),
            wanted = service.restart_wanted() => return Ended::Restarts(wanted.map(Box::new)),
            reason = service.broken() => {
                error!(event = "relay_failed", reason, "the relay cannot work any more and stops; systemd starts it again");
                return Ended::Stopped(Exit::BrokeDown);
            }
        }
    }
}

/// Handles SIGHUP, and the same wish from the admin page: a wrong file leaves the old configuration in force.
fn reload(service: &mut Service, file: &Path) {
    notify_reloading();
    let read = Config::load(file);
    let is_fixed = read
        .as_ref()
        .is_ok_and(|config| !config.origin.variables.is_empty());
    let warnings = read
        .as_ref()
        .map_or(Vec::new(), |config| config.warnings.clone());
    for warning in warnings {
        maillog::config_warning(&warning.in_file(file));
    }
    match service.reload(read) {
        Ok(restart) if restart.is_empty() && is_fixed => info!(
            event = "reloaded",
            "relay.toml was reloaded; values of environment variables stay as they were at the start"
        ),
        Ok(restart) if restart.is_empty() => info!(event = "reloaded", "relay.toml was reloaded"),
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
    notify(&[NotifyState::Ready]);
}

/// sd_notify(3): a reload begins; `READY=1` ends it.
fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(event = "systemd_notify_failed", %error, "could not notify systemd"),
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(event = "systemd_notify_failed", %error, "could not notify systemd");
    }
}

/// Returns the exit code: configuration errors stay until somebody changes the file; a file
/// that it names may be on a disk that is mounted later, and the service manager tries again.
fn of_kind(kind: ProblemKind) -> Exit {
    match kind {
        ProblemKind::NotPermitted => Exit::NotPermitted,
        ProblemKind::Unreadable => Exit::TryLater,
        ProblemKind::Wrong => Exit::Configuration,
    }
}

fn exit_of(error: &StartError) -> Exit {
    match error {
        // Another program may end soon, and DHCP, VRRP or a VPN may add an address later: the
        // service manager tries again.
        StartError::Listen(ListenError::Open { error, .. })
        | StartError::Metrics(ListenError::Open { error, .. })
        | StartError::Page(ListenError::Open { error, .. })
            if matches!(
                error.kind(),
                ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable
            ) =>
        {
            Exit::TryLater
        }
        StartError::Credential { error, .. } => of_file(match error {
            CredentialError::Secret(error) => error.is_unreadable(),
            CredentialError::Certificate(error) => error.is_unreadable(),
            CredentialError::Key => false,
            CredentialError::FederatedToken { .. } => true,
        }),
        StartError::Tls(error) => of_file(error.is_unreadable()),
        StartError::SignIns(StoreError::File { error, .. }) => by_io(error),
        StartError::SignIns(_)
        | StartError::Http(_)
        | StartError::Listen(_)
        | StartError::Metrics(_)
        | StartError::Page(_) => Exit::Configuration,
        StartError::Admin { error, .. } | StartError::Spool(SpoolError::File { error, .. }) => {
            by_io(error)
        }
        StartError::Spool(SpoolError::InUse(_)) => Exit::TryLater,
        StartError::Spool(SpoolError::NotSynced(_)) => Exit::BrokeDown,
        StartError::Spool(
            SpoolError::Database(_)
            | SpoolError::Damaged(_)
            | SpoolError::Format { .. }
            | SpoolError::NotKept { .. }
            | SpoolError::Refused(_)
            | SpoolError::Gone(_)
            | SpoolError::Closed,
        ) => Exit::CannotCreate,
    }
}

/// For a file that relay.toml names.
fn of_file(is_unreadable: bool) -> Exit {
    of_kind(ProblemKind::of_file(is_unreadable))
}

/// For a file or folder below data_dir.
fn by_io(error: &std::io::Error) -> Exit {
    if error.kind() == ErrorKind::PermissionDenied {
        Exit::NotPermitted
    } else if errors::is_disk_absent(error)
        || matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::ReadOnlyFilesystem
        )
    {
        // The disk may not be mounted yet, or only for reading.
        Exit::TryLater
    } else {
        Exit::CannotCreate
    }
}
