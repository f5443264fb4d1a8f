//! Medians over the rounds, as a table or as JSON, and the project's aims held against them.
//!
//! A ratio is the median of the ratios within each round, not the ratio of two medians: the two
//! figures of one round were taken within seconds of each other.

use serde::Serialize;

use crate::machine::Machine;
use crate::measure::Measurement;
use crate::rounds::Series;
use crate::targets::Target;

/// Everything the run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    /// The load in words.
    load: String,
    /// Targets that could not be measured, with the reason.
    left_out: Vec<LeftOut>,
    results: Vec<Summary>,
}

/// A target that could not be measured.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) target: Target,
    pub(crate) reason: String,
}

/// One line of the table and the rounds behind it.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    series: Series,
    acknowledged_rate: f64,
    ratio_to_smtp_sink: Option<f64>,
    ratio_to_postfix: Option<f64>,
    delivered_rate: Option<f64>,
    latency_p50_ms: f64,
    latency_p99_ms: f64,
    peak_resident_mb: f64,
    proportional_mb: f64,
    cpu_ms_per_message: f64,
    refused: u64,
    undelivered: u64,
}

impl Report {
    /// Sums the rounds up.
    pub(crate) fn new(
        machine: Machine,
        load: String,
        left_out: Vec<LeftOut>,
        all: Vec<Series>,
    ) -> Self {
        let ratios: Vec<_> = all
            .iter()
            .map(|series| {
                let to = |target| ratio(series, beside(&all, series.connections, target)?);
                (to(Target::SmtpSink), to(Target::Postfix))
            })
            .collect();
        let results = all
            .into_iter()
            .zip(ratios)
            .map(|(series, (to_sink, to_postfix))| Summary::new(series, to_sink, to_postfix))
            .collect();
        Self {
            machine,
            load,
            left_out,
            results,
        }
    }

    /// The table, for people.
    pub(crate) fn print(&self) {
        println!("{}\nload:    {}", self.machine, self.load);
        let mut connections = None;
        for summary in &self.results {
            if connections.replace(summary.series.connections) != Some(summary.series.connections) {
                println!("\n{} connections", summary.series.connections);
                println!("{HEAD}");
            }
            summary.print();
        }
        println!();
        for LeftOut { target, reason } in &self.left_out {
            println!("{} left out: {reason}", target.name());
        }
        self.print_aims();
    }

    /// The same and every round, for programs.
    pub(crate) fn print_json(&self) -> serde_json::Result<()> {
        println!("{}", serde_json::to_string_pretty(self)?);
        Ok(())
    }

    fn print_aims(&self) {
        let relay = self.results.iter().find(|summary| {
            summary.series.target == Target::Relay
                && summary.series.connections == AIMED_CONNECTIONS
        });
        let Some(relay) = relay else { return };
        println!("Aims at {AIMED_CONNECTIONS} connections:");
        let print = |what: &str, value: Option<f64>, met: fn(f64) -> bool| match value {
            Some(value) if met(value) => println!("  met     {what}: {value:.2}"),
            Some(value) => println!("  missed  {what}: {value:.2}"),
            None => println!("  unknown {what}"),
        };
        print(
            "3 times Postfix's acknowledged rate",
            relay.ratio_to_postfix,
            |x| x >= 3.0,
        );
        print("0.6 of smtp-sink's", relay.ratio_to_smtp_sink, |x| x >= 0.6);
        print("under 30 MB resident", Some(relay.peak_resident_mb), |x| {
            x < 30.0
        });
        print(
            "under 0.5 ms of CPU a message",
            Some(relay.cpu_ms_per_message),
            |x| x < 0.5,
        );
    }
}

impl Summary {
    fn new(series: Series, ratio_to_smtp_sink: Option<f64>, ratio_to_postfix: Option<f64>) -> Self {
        let of = |figure: fn(&Measurement) -> f64| {
            median(series.rounds.iter().map(figure)).unwrap_or_default()
        };
        Self {
            acknowledged_rate: of(|round| round.acknowledged_rate),
            ratio_to_smtp_sink,
            ratio_to_postfix,
            delivered_rate: median(
                series
                    .rounds
                    .iter()
                    .filter_map(|round| round.delivered_rate),
            ),
            latency_p50_ms: of(|round| round.latency_p50_ms),
            latency_p99_ms: of(|round| round.latency_p99_ms),
            peak_resident_mb: of(|round| round.peak_resident_mb),
            proportional_mb: of(|round| round.proportional_mb),
            cpu_ms_per_message: of(|round| round.cpu_ms_per_message),
            refused: series.rounds.iter().map(|round| round.refused).sum(),
            undelivered: series.rounds.iter().map(|round| round.undelivered).sum(),
            series,
        }
    }

    fn print(&self) {
        let optional = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "{:<15} {:>8.0} {:>7} {:>9} {:>11} {:>8.2} {:>8.2} {:>8.1} {:>8.1} {:>8.3}{}",
            self.series.target.name(),
            self.acknowledged_rate,
            optional(self.ratio_to_smtp_sink, 2),
            optional(self.ratio_to_postfix, 2),
            optional(self.delivered_rate, 0),
            self.latency_p50_ms,
            self.latency_p99_ms,
            self.peak_resident_mb,
            self.proportional_mb,
            self.cpu_ms_per_message,
            self.remark(),
        );
    }

    fn remark(&self) -> String {
        let mut remark = String::new();
        if self.refused > 0 {
            let reason = self
                .series
                .rounds
                .iter()
                .find_map(|round| round.refusal.as_deref());
            remark += &format!("  {} refused ({})", self.refused, reason.unwrap_or("?"));
        }
        if self.undelivered > 0 {
            remark += &format!("  {} not delivered in time", self.undelivered);
        }
        remark
    }
}

/// The series of another target at the same number of connections.
fn beside(all: &[Series], connections: u64, target: Target) -> Option<&Series> {
    all.iter()
        .find(|series| series.connections == connections && series.target == target)
}

fn ratio(of: &Series, to: &Series) -> Option<f64> {
    let rounds = of.rounds.iter().zip(&to.rounds);
    median(rounds.map(|(of, to)| of.acknowledged_rate / to.acknowledged_rate))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values.get(middle).copied()
    } else {
        Some((values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0)
    }
}

const HEAD: &str = concat!(
    "                 acked/s  x sink x Postfix delivered/s   p50 ms   p99 ms",
    "  peak MB   PSS MB   CPU ms"
);

/// The number of connections that the aims speak of.
const AIMED_CONNECTIONS: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_or_between_the_two() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
