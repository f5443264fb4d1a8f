//! Regular work of the relay, every minute and every hour: recording its running time,
//! noticing that the machine's clock was set or the database removed, and deleting old
//! history and content.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::clock::ClockWatch;
use crate::config::Config;
use crate::spool::Spool;
use crate::spool::WRITTEN_EVERY;
use crate::telemetry::devices::Devices;
use crate::telemetry::maillog;

/// A crash loses no more of the running time than this.
const MINUTE: Duration = Duration::from_secs(60);
/// The history is tidied once in this many intervals.
const MINUTES: u32 = 60;

/// The devices that the last run knew.
pub(super) async fn devices(config: &Config) -> Devices {
    let folder = config.data_dir.clone();
    let loaded =
        tokio::task::spawn_blocking(move || Devices::load(&folder, Clock::System.now())).await;
    loaded.unwrap_or_default()
}

/// Runs until `stop`.
pub(super) async fn run(spool: Spool, clock: Clock, config: Config, stop: CancellationToken) {
    let mut watch = ClockWatch::begin(clock);
    loop {
        purge(&spool, &config).await;
        for _ in 0..MINUTES {
            purge_content(&spool).await;
            tokio::select! {
                () = tokio::time::sleep(MINUTE) => {}
                () = stop.cancelled() => return,
            }
            if let Some(jump) = watch.look() {
                maillog::clock_changed(jump);
            }
            if let Err(error) = spool.note_running().await {
                maillog::spool_trouble(&error);
            }
        }
    }
}

/// Writes refused mail down until `stop`. What is left then is written when the spool is
/// closed.
pub(super) async fn write_refusals(spool: Spool, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(WRITTEN_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = spool.write_refusals().await {
            maillog::spool_trouble(&error);
        }
    }
}

/// Deletes the content of delivered and dropped messages that was kept for long enough.
pub(super) async fn purge_content(spool: &Spool) {
    if let Err(error) = spool.purge_content().await {
        maillog::spool_trouble(&error);
    }
}

async fn purge(spool: &Spool, config: &Config) {
    let now = spool.running();
    let purged = spool
        .purge(now - config.history_keep, now - config.failure_keep)
        .await;
    match purged {
        Ok(ids) => maillog::purged(&ids),
        Err(error) => maillog::spool_trouble(&error),
    }
    if let Err(error) = spool.purge_refusals(config.history_keep).await {
        maillog::spool_trouble(&error);
    }
}

/// Logs what was removed to make room.
pub(super) async fn tell_removed(spool: Spool, stop: CancellationToken) {
    loop {
        tokio::select! {
            removed = spool.removed() => maillog::content_removed(&removed),
            () = stop.cancelled() => return,
        }
    }
}

/// How often the relay checks that the database's files exist, in addition to a check for
/// each message: what is only in a log that was removed is lost if the relay is killed
/// before the next check.
const LOOK: Duration = Duration::from_secs(5);

/// Logs it when somebody removes the database.
pub(super) async fn watch_database(spool: Spool, stop: CancellationToken) {
    let gone = async {
        loop {
            tokio::select! {
                path = spool.gone() => return path,
                () = tokio::time::sleep(LOOK) => {
                    // If it finds something, the other branch ends.
                    let _noticed = spool.look_for_database();
                }
            }
        }
    };
    tokio::select! {
        path = gone => maillog::database_gone(&path),
        () = stop.cancelled() => {}
    }
}
