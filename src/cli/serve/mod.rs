//! `serve`: runs the relay in the foreground, for a service manager. Says why a relay does not
//! start, and ends with the exit code for it; `lifetime.rs` does the rest.

pub(super) mod lifetime;

use std::io::ErrorKind;
use std::path::Path;

use tracing::error;
use tracing::info;

use self::lifetime::Lifetime;
use super::Exit;
use crate::auth::CredentialError;
use crate::auth::StoreError;
use crate::config::Config;
use crate::config::Origin;
use crate::config::Problem;
use crate::config::ProblemKind;
use crate::platform::errors;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::User;
use crate::service::ListenError;
use crate::service::Passed;
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
            return error.kind().into();
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
    let read = || Config::load(file);
    // Before systemd learns that it runs: an early reload must not end it.
    let Ok(mut lifetime) = Lifetime::new(file, &read, &passed) else {
        error!(
            event = "signals_failed",
            "the relay cannot receive signals and does not start"
        );
        return Exit::BrokeDown;
    };
    let service = match lifetime.begin(config).await {
        Ok(Some(service)) => service,
        Ok(None) => return Exit::Done,
        Err(error) => return ended(&error, file),
    };
    match lifetime.run(service).await {
        Ok(exit) => exit,
        Err(error) => ended(&error, file),
    }
}

/// Says why the relay does not start, and where the reason is.
fn ended(error: &StartError, file: &Path) -> Exit {
    let place = match error {
        StartError::Listen(error) => error.place().cloned(),
        StartError::Metrics(_) => Config::place_in_admin(file, "metrics"),
        StartError::Page(_) => Config::place_in_admin(file, "address"),
        StartError::Credential { .. }
        | StartError::SignIns(_)
        | StartError::Tls(_)
        | StartError::Spool(_)
        | StartError::Http(_)
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
    ProblemKind::of_file(is_unreadable).into()
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
