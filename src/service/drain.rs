//! Waiting for what still runs when the relay stops.

use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::info;

/// Whether all tasks end within `limit`. If it takes more than a second, the log says so, less
/// and less often, with the number of `counted` tasks that still run.
pub(super) async fn ended(
    tasks: &TaskTracker,
    counted: &TaskTracker,
    what: &'static str,
    limit: Duration,
) -> bool {
    let mut ending = std::pin::pin!(tokio::time::timeout(limit, tasks.wait()));
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::select! {
            ended = &mut ending => return ended.is_ok(),
            () = tokio::time::sleep(pause) => info!(
                event = "draining",
                left = counted.len(),
                limit_s = limit.as_secs(),
                "the relay is stopping and waits for {what} to end"
            ),
        }
        pause *= 2;
    }
}
