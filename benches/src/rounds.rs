//! The whole run: for each number of connections several rounds, in each round every target once.
//! So whatever else the machine does in these minutes strikes all of them alike.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::failure::Result;
use crate::failure::Trying;
use crate::load::Load;
use crate::measure::Measurement;
use crate::measure::measure;
use crate::message::Template;
use crate::options::Options;
use crate::targets::Ground;
use crate::targets::Target;

/// All rounds of one target at one number of connections.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) connections: u64,
    pub(crate) target: Target,
    pub(crate) rounds: Vec<Measurement>,
}

/// Runs everything in folders below `work`; gives one series for each number of connections and
/// target.
pub(crate) async fn run(options: &Options, targets: &[Target], work: &Path) -> Result<Vec<Series>> {
    let ground = Ground {
        relay: options.relay.clone(),
        mailboxes: options.mailboxes,
    };
    let mut all = Vec::new();
    for &connections in &options.connections {
        let load = load(options, connections);
        let mut series: Vec<Series> = targets
            .iter()
            .map(|&target| Series {
                connections,
                target,
                rounds: Vec::new(),
            })
            .collect();

        for round in 1..=options.rounds {
            for series in &mut series {
                let name = series.target.name();
                let folder = work.join(format!("{connections}-{round}-{name}"));
                fs::create_dir(&folder).trying(|| format!("make {}", folder.display()))?;
                // What the last target left to be written must not be this one's burden.
                rustix::fs::sync();
                let measurement = measure(series.target, &ground, &load, &folder).await?;
                progress(connections, round, name, &measurement);
                series.rounds.push(measurement);
                if !options.keep {
                    fs::remove_dir_all(&folder)
                        .trying(|| format!("remove {}", folder.display()))?;
                }
            }
        }
        all.append(&mut series);
    }
    Ok(all)
}

fn load(options: &Options, connections: u64) -> Load {
    Load {
        connections,
        messages: options.messages,
        messages_per_connection: options.messages_per_connection,
        time: Duration::from_secs_f64(options.seconds),
        manner: options.manner(),
        template: Arc::new(Template::new(
            &std::process::id().to_string(),
            options.size,
            options.mailboxes,
        )),
    }
}

fn progress(connections: u64, round: u32, name: &str, measurement: &Measurement) {
    eprintln!(
        "{connections:>3} connections, round {round}: {name:<15} {:>7.0} acknowledged/s",
        measurement.acknowledged_rate
    );
}
