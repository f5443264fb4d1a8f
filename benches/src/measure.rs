//! One measurement: a target started afresh, warmed up, loaded, and waited for until everything it
//! acknowledged has come out at its other end.

use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use serde::Serialize;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::failure::Result;
use crate::load;
use crate::load::Load;
use crate::targets::Ground;
use crate::targets::Outlet;
use crate::targets::Target;
use crate::usage::Usage;

/// What one measurement gave.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measurement {
    /// Messages answered by 250.
    pub(crate) acknowledged: u64,
    /// Messages that were not, with the first reason heard.
    pub(crate) refused: u64,
    pub(crate) refusal: Option<String>,
    /// Acknowledged a second, from the first connect to the last 250.
    pub(crate) acknowledged_rate: f64,
    /// Delivered a second, from the first connect to the last delivery.
    pub(crate) delivered_rate: Option<f64>,
    /// Delivered when the last 250 came.
    pub(crate) delivered_meanwhile: Option<u64>,
    /// Acknowledged and not delivered within the time allowed.
    pub(crate) undelivered: u64,
    /// From the last byte of a message to its 250.
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    /// VmHWM, summed over the processes of the target.
    pub(crate) peak_resident_mb: f64,
    /// The proportional set size when the load ended, summed.
    pub(crate) proportional_mb: f64,
    pub(crate) processes: usize,
    /// User and system time for each acknowledged message, its delivery included.
    pub(crate) cpu_ms_per_message: f64,
}

/// Starts the target in `folder` and measures it.
pub(crate) async fn measure(
    target: Target,
    ground: &Ground,
    load: &Load,
    folder: &Path,
) -> Result<Measurement> {
    let mut running = target.start(ground, folder).await?;
    let warm_up = warm_up(load, ground);
    let warm = load::send(running.address, &warm_up, 0).await;
    if let Some(refusal) = warm.refusal {
        return Err(Failure::new(format!("{}: {refusal}", target.name())));
    }
    drained(&mut running.outlet, warm.acknowledged, LONGEST_DRAIN).await?;
    let before = Usage::of_tree(running.server.id());

    let start = Instant::now();
    let tally = load::send(running.address, load, warm_up.messages).await;
    let at_end = Usage::of_tree(running.server.id());
    let meanwhile = running.outlet.delivered()?;

    let wanted = warm.acknowledged + tally.acknowledged;
    let delivered = drained(&mut running.outlet, wanted, LONGEST_DRAIN).await?;
    let draining = start.elapsed();
    let after = Usage::of_tree(running.server.id());

    let without_warm_up = |count: u64| count.saturating_sub(warm.acknowledged);
    let delivered = delivered.map(without_warm_up);
    Ok(Measurement {
        acknowledged: tally.acknowledged,
        refused: tally.refused,
        acknowledged_rate: tally.rate(),
        delivered_rate: delivered.map(|count| count as f64 / draining.as_secs_f64()),
        delivered_meanwhile: meanwhile.map(without_warm_up),
        undelivered: delivered.map_or(0, |count| tally.acknowledged.saturating_sub(count)),
        latency_p50_ms: milliseconds(tally.latency(50)),
        latency_p99_ms: milliseconds(tally.latency(99)),
        peak_resident_mb: megabytes(at_end.peak_resident_kib.max(after.peak_resident_kib)),
        proportional_mb: megabytes(at_end.proportional_kib),
        processes: at_end.processes,
        cpu_ms_per_message: milliseconds(after.cpu.saturating_sub(before.cpu))
            / tally.acknowledged.max(1) as f64,
        refusal: tally.refusal,
    })
}

/// A few messages on every connection and from every mailbox, so that processes are started, tokens
/// fetched and connections to the next hop open before the clock runs.
fn warm_up(load: &Load, ground: &Ground) -> Load {
    Load {
        messages: WARM_UP * load.connections.max(ground.mailboxes),
        ..load.clone()
    }
}

/// Waits until so many messages came out; gives how many did in the time.
async fn drained(outlet: &mut Outlet, wanted: u64, longest: Duration) -> Result<Option<u64>> {
    let start = Instant::now();
    loop {
        let Some(delivered) = outlet.delivered()? else {
            return Ok(None);
        };
        if delivered >= wanted || start.elapsed() > longest {
            return Ok(Some(delivered));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// With fewer for each connection Postfix is still starting processes when the clock runs, and gets
/// half of what it can do in the first second.
const WARM_UP: u64 = 10;

/// A target that takes longer than this to deliver what it took in a few seconds is reported as
/// such, with what is left over, rather than waited for.
const LONGEST_DRAIN: Duration = Duration::from_secs(20);
