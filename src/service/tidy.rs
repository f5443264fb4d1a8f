//! Regular work of the relay, every minute and every hour: recording its running time,
//! noticing that the machine's clock was set, and deleting old history and content.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::clock::ClockWatch;
use crate::config::Config;
use crate::spool::Spool;
use crate::spool::WRITTEN_EVERY;
use crate::telemetry::maillog;

/// A crash loses no more of the running time than this.
const MINUTE: Duration = Duration::from_secs(60);
/// The history is tidied once in this many intervals.
const MINUTES: u32 = 60;

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
