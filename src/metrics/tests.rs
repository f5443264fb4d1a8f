//! Which series there are, and what counts in which.

use super::*;

#[test]
fn every_series_is_0_from_the_start() {
    let text = Metrics::default().text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for sample in samples {
        let (_, value) = sample.rsplit_once(' ').unwrap();
        assert_eq!(value.parse::<f64>(), Ok(0.0), "{sample}");
        count += 1;
    }
    assert!(count > 200, "{count}");
    assert!(text.contains("\ngraphrelay_messages_failed_total 0\n"));
    assert!(text.contains("\ngraphrelay_messages_refused_total{reason=\"no_room\"} 0\n"));
}

#[test]
fn counting_creates_no_series() {
    let metrics = Metrics::default();
    let series = |text: String| text.lines().count();
    let before = series(metrics.text());

    Refusal::ALL.iter().for_each(|why| metrics.refused(*why));
    for operation in Operation::ALL {
        for status in (100..600).map(Some).chain([None]) {
            let took = Duration::from_millis(70);
            metrics.requests.count(operation, status, took);
        }
    }

    assert_eq!(series(metrics.text()), before);
    let text = metrics.text();
    assert!(text.contains("\ngraphrelay_graph_throttled_total 7\n"));
    let other = "graphrelay_graph_requests_total{operation=\"read\",status=\"other\"} 485\n";
    assert!(text.contains(other), "{text}");
}

#[test]
fn a_clone_counts_in_the_same_place() {
    let metrics = Metrics::default();
    metrics.clone().delivered(Duration::from_secs(3));
    let text = metrics.text();

    assert!(text.contains("\ngraphrelay_messages_delivered_total 1\n"));
    let bucket = "graphrelay_delivery_duration_seconds_bucket{le=\"5\"} 1\n";
    assert!(text.contains(bucket), "{text}");
}
