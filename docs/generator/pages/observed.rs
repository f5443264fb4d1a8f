//! What a running relay gave in a test, from the snapshots of that test: `tests/it/outside.rs`
//! holds them equal to what the relay gives today.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Problem;
use super::code;
use super::configuration;
use super::linked;
use super::plain;
use super::row;
use super::source;

/// The table of all metrics.
pub(super) fn metrics() -> Result<String, Problem> {
    let exposition = snapshot("metrics")?;
    let mut metrics: BTreeMap<&str, Metric<'_>> = BTreeMap::new();
    let mut samples = Vec::new();
    for line in exposition.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                metrics.entry(name).or_default().help = help;
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                metrics.entry(name).or_default().kind = kind;
            }
            (Some("#"), ..) => {}
            _ => samples.push(line),
        }
    }
    for sample in samples {
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        // The samples of a histogram are name_bucket, name_sum and name_count.
        let owner = metrics
            .iter_mut()
            .rev()
            .find(|(metric, _)| name.starts_with(**metric));
        let (_, metric) = owner.ok_or_else(|| format!("no metric has the sample {sample:?}"))?;
        metric.samples.insert(name);
        for label in labels.trim_end_matches('}').split("\",") {
            let (label, value) = label.split_once("=\"").unwrap_or_default();
            let value = value.trim_end_matches('"');
            metric.labels.entry(label).or_default().insert(value);
        }
    }
    if metrics.is_empty() {
        return Err("the snapshot of the metrics is empty".to_owned());
    }
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, metric) in &metrics {
        // A counter's samples may have an ending that its name has not.
        let name = match metric.samples.first() {
            Some(sample) if metric.samples.len() == 1 => sample,
            _ => name,
        };
        table.push_str(&row(&[
            &code(name),
            metric.kind,
            &metric.labels(),
            &linked(metric.help, configuration::link),
        ]));
    }
    Ok(table)
}

#[derive(Default)]
struct Metric<'t> {
    help: &'t str,
    kind: &'t str,
    samples: BTreeSet<&'t str>,
    /// Each label with the values that it had.
    labels: BTreeMap<&'t str, BTreeSet<&'t str>>,
}

impl Metric<'_> {
    /// A label with several values has no others; that of one value names something of the site.
    fn labels(&self) -> String {
        let labels = self
            .labels
            .iter()
            .filter(|(label, _)| !["", "le"].contains(label));
        let shown = labels.map(|(label, values)| {
            let values: Vec<&str> = values.iter().copied().collect();
            match values.as_slice() {
                [] | [_] => code(label),
                values => format!("{} ({})", code(label), plain(&values.join(", "))),
            }
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// An answer of the admin socket, as a command with `--json` prints it; of several the first.
pub(super) fn answer(name: &str) -> Result<String, Problem> {
    let lines = snapshot(&format!("{name}.json"))?;
    let mut values = serde_json::Deserializer::from_str(&lines).into_iter::<serde_json::Value>();
    let first = values.next().ok_or_else(|| format!("{name} is empty"))?;
    let first = first.and_then(|first| serde_json::to_string_pretty(&first));
    let first = first.map_err(|error| format!("{name}: {error}"))?;
    Ok(format!("```json\n{first}\n```\n"))
}

/// The text of a snapshot, without the lines about where it came from.
fn snapshot(name: &str) -> Result<String, Problem> {
    let text = source(&format!("tests/snapshots/{name}.snap"))?;
    let text = text.splitn(3, "---\n").nth(2);
    text.map(str::to_owned)
        .ok_or_else(|| format!("the snapshot {name} is damaged"))
}
