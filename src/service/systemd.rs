//! What the relay reports to systemd: that it starts, reloads and stops, that it works (`WatchdogSec=`), and
//! its status in one line.
//!
//! A process that has hung can still run a timer. So `WATCHDOG=1` is sent only after every
//! listener and delivery have answered, and a write to the spool has come back, each within
//! a third of `WatchdogSec`. A relay that hangs is then ended and started again, which loses
//! nothing: what was accepted is in the spool.
//!
//! A write that comes back with an error that a restart cannot fix counts as one that works:
//! a full disk, a damaged or a removed database. Clients are refused then, and the log, `status`
//! and `doctor` report it. With a removed database only an orderly stop saves the mail.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::admin::AdminState;
use crate::clock::Pulse;
use crate::platform::systemd;
use crate::platform::systemd::State;
use crate::spool::Spool;
use crate::spool::SpoolError;

/// How often the status is renewed.
const STATUS: Duration = Duration::from_secs(10);

/// Reports until `stop`, once the relay is `ready`.
pub(super) async fn run(
    admin_state: AdminState,
    pulse: Pulse,
    ready: CancellationToken,
    stop: CancellationToken,
) {
    let spool = admin_state.spool.clone();
    let reports = async {
        ready.cancelled().await;
        if !systemd::listens() {
            return;
        }
        // Apart, because the status waits for a query of the database.
        let feed = async {
            if let Some(watchdog) = systemd::watchdog() {
                feed(watchdog / 3, &spool, &pulse).await;
            }
        };
        tokio::join!(feed, show(&admin_state));
    };
    tokio::select! {
        () = reports => {}
        () = stop.cancelled() => {}
    }
}

/// Tells systemd three times in `WatchdogSec` that the relay works, if it does.
async fn feed(each: Duration, spool: &Spool, pulse: &Pulse) {
    let mut is_withheld = false;
    loop {
        match works(each, spool, pulse).await {
            Ok(()) => {
                notify(&[State::Watchdog]);
                if std::mem::take(&mut is_withheld) {
                    info!(event = "watchdog_resumed", "the relay works again");
                }
            }
            Err(reason) => {
                if !std::mem::replace(&mut is_withheld, true) {
                    error!(
                        event = "watchdog_withheld",
                        reason, "the relay does not work; unless it recovers, systemd restarts it"
                    );
                }
            }
        }
        tokio::time::sleep(each).await;
    }
}

/// Whether connections are accepted, mail is scheduled and the spool is written.
async fn works(patience: Duration, spool: &Spool, pulse: &Pulse) -> Result<(), String> {
    let written = tokio::time::timeout(patience, spool.note_running());
    let (silent, written) = tokio::join!(pulse.silent(patience), written);
    if !silent.is_empty() {
        return Err(format!("no answer from {}", silent.join(", ")));
    }
    match written {
        Err(_) => Err("a write to the spool does not come back".to_owned()),
        Ok(Err(error)) if is_for_a_restart(&error) => {
            Err(format!("the spool cannot be written: {error}"))
        }
        Ok(Ok(()) | Err(_)) => Ok(()),
    }
}

/// Whether a new process may succeed where this one fails.
fn is_for_a_restart(error: &SpoolError) -> bool {
    match error {
        SpoolError::Database(_) => !error.is_full() && !error.is_damage(),
        SpoolError::Closed => true,
        SpoolError::Damaged(_)
        | SpoolError::File { .. }
        | SpoolError::InUse(_)
        | SpoolError::Format { .. }
        | SpoolError::NotKept { .. }
        | SpoolError::Refused(_)
        | SpoolError::NotSynced(_)
        | SpoolError::Gone(_) => false,
    }
}

/// Tells systemd the status whenever it changes.
async fn show(admin_state: &AdminState) {
    let mut shown = String::new();
    loop {
        let status = admin_state.summary().await;
        if status != shown {
            notify(&[State::Status(&status)]);
            shown = status;
        }
        tokio::time::sleep(STATUS).await;
    }
}

/// Tells systemd these states at once.
pub fn notify(states: &[State<'_>]) {
    log(systemd::notify(states));
}

/// Tells systemd that a reload begins. [`State::Ready`] ends it.
pub fn notify_reloading() {
    log(systemd::notify_reloading());
}

fn log(result: io::Result<()>) {
    if let Err(error) = result {
        warn!(event = "systemd_notify_failed", %error, "could not notify systemd");
    }
}
