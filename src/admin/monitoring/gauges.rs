//! The status in numbers, in the format of Prometheus (its page "Exposition formats"). The
//! HELP line of a metric explains its name. What is counted over time, and how long
//! things take, is in `metrics/`.

use std::fmt::Write;
use std::time::Duration;

use crate::admin::Status;
use crate::admin::attention::AlertView;
use crate::admin::attention::FindingState;
use crate::clock::Timestamp;
use crate::spool::State;

/// A metric: its name, its explanation, and its samples.
struct Gauge {
    name: &'static str,
    help: &'static str,
    /// Labels and value.
    samples: Vec<(String, f64)>,
}

/// Returns all metrics.
pub(super) fn text(status: &Status) -> String {
    let mut text = String::new();
    for gauge in gauges(status) {
        let Gauge {
            name,
            help,
            samples,
        } = gauge;
        // Writing to a String cannot fail.
        let _taken = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind(name));
        for (labels, value) in samples {
            let _taken = match labels.as_str() {
                "" => writeln!(text, "{name} {value}"),
                labels => writeln!(text, "{name}{{{labels}}} {value}"),
            };
        }
    }
    text
}

/// A name that ends in `_total` is a counter (Prometheus, "Metric and label naming").
fn kind(name: &str) -> &'static str {
    if name.ends_with("_total") {
        "counter"
    } else {
        "gauge"
    }
}

fn gauges(status: &Status) -> Vec<Gauge> {
    let build = Gauge {
        name: "graphrelay_build_info",
        help: "The version that runs.",
        samples: vec![(labels(&[("version", &status.version)]), 1.0)],
    };
    let mut gauges = vec![build];
    gauges.extend(identities(status));
    gauges.extend(connections(status));
    gauges.extend(queue(status));
    gauges.extend(itself(status));
    gauges.extend(spool(status));
    gauges.extend(delivery(status));
    gauges.extend(alerts(status));
    gauges
}

fn identities(status: &Status) -> [Gauge; 3] {
    let accounts = &status.accounts;
    let endings = accounts.iter().filter_map(|account| {
        let ending = account.ends.as_ref()?;
        Some((account.name.as_str(), ending))
    });
    let endings = endings.chain(status.certificate.iter().map(|ending| ("[tls]", ending)));
    let (mut until, mut trouble) = (Vec::new(), Vec::new());
    for account in accounts {
        for token in &account.tokens {
            let mailbox = token.mailbox.as_ref().map_or("", |it| it.as_str());
            let labels = labels(&[("account", &account.name), ("mailbox", mailbox)]);
            let is_bad = token.state.is_trouble();
            trouble.push((labels.clone(), f64::from(u8::from(is_bad))));
            until.extend(token.good_until.map(|until| (labels, seconds(until))));
        }
    }
    [
        Gauge {
            name: "graphrelay_credential_expiry_timestamp_seconds",
            help: "When a credential or certificate expires, in seconds since 1970.",
            samples: endings
                .map(|(owner, ending)| {
                    let labels = labels(&[("owner", owner), ("kind", &ending.what)]);
                    (labels, seconds(ending.at))
                })
                .collect(),
        },
        Gauge {
            name: "graphrelay_token_expiry_timestamp_seconds",
            help: "When the current access token expires, in seconds since 1970.",
            samples: until,
        },
        Gauge {
            name: "graphrelay_token_trouble",
            help: "1 if the relay gets no token or a mailbox needs to sign in, otherwise 0.",
            samples: trouble,
        },
    ]
}

fn connections(status: &Status) -> [Gauge; 4] {
    let connections = &status.connections;
    let one = |value: u64| vec![(String::new(), value as f64)];
    let reason = |reason, value: u64| (labels(&[("reason", reason)]), value as f64);
    [
        Gauge {
            name: "graphrelay_connections",
            help: "Open connections of clients.",
            samples: one(connections.open as u64),
        },
        Gauge {
            name: "graphrelay_connections_limit",
            help: "The most connections that may be open: limits.connections.",
            samples: one(connections.limit as u64),
        },
        Gauge {
            name: "graphrelay_connections_turned_away_total",
            help: "Connections refused because all were in use, or because the client had reached \
                   its limit.",
            samples: vec![
                reason("all_taken", connections.turned_away),
                reason("client_limit", connections.over_client_limit),
            ],
        },
        Gauge {
            name: "graphrelay_sessions_made_room_total",
            help: "Sessions closed to make room for other clients.",
            samples: one(connections.made_room),
        },
    ]
}

fn queue(status: &Status) -> [Gauge; 2] {
    let waits = status.queue.oldest_waiting_ms.map(Duration::from_millis);
    let state = |state: State| {
        let count = status.queue.count(state);
        // Exact to 2^53.
        (labels(&[("state", state.name())]), count as f64)
    };
    [
        Gauge {
            name: "graphrelay_queue_messages",
            help: "Messages that are not delivered or dropped, by state.",
            samples: State::OPEN.map(state).into(),
        },
        Gauge {
            name: "graphrelay_queue_oldest_age_seconds",
            help: "How long the oldest waiting message has waited.",
            samples: vec![(
                String::new(),
                waits.map_or(0.0, |waits| waits.as_secs_f64()),
            )],
        },
    ]
}

fn delivery(status: &Status) -> [Gauge; 8] {
    let delivery = &status.delivery;
    let of_mailbox = status.paused.iter().filter(|it| it.mailbox.is_some());
    let of_mailbox = of_mailbox.count();
    let single = |name, help, value| Gauge {
        name,
        help,
        samples: vec![(String::new(), value)],
    };
    [
        single(
            "graphrelay_delivery_paused",
            "1 if an operator has paused all delivery, otherwise 0.",
            f64::from(u8::from(status.paused.len() > of_mailbox)),
        ),
        single(
            "graphrelay_paused_mailboxes",
            "Mailboxes whose delivery an operator has paused.",
            of_mailbox as f64,
        ),
        single(
            "graphrelay_held_back",
            "Mailboxes and accounts that are backing off after errors.",
            delivery.backing_off_count as f64,
        ),
        single(
            "graphrelay_limited_mailboxes",
            "Mailboxes whose mail waits because a limit in [account.rate_limits] is reached.",
            delivery.limited_count as f64,
        ),
        single(
            "graphrelay_daily_limited_mailboxes",
            "Mailboxes whose mail waits because a daily limit is reached.",
            delivery.limited_for_a_day as f64,
        ),
        single(
            "graphrelay_queue_own_trouble",
            "Messages that keep failing while other mail of their mailbox or account is delivered.",
            status.queue.own_trouble as f64,
        ),
        single(
            "graphrelay_seconds_since_last_delivery",
            "Seconds since Graph last accepted a message, or since the start.",
            delivery.last_delivery_seconds as f64,
        ),
        single(
            "graphrelay_delivery_stalled_seconds",
            "How long nothing has been sent although mail is waiting; 0 if no mail is waiting.",
            delivery.stalled_seconds.unwrap_or(0) as f64,
        ),
    ]
}

/// Returns the metrics of the relay's own file and log.
fn itself(status: &Status) -> [Gauge; 3] {
    let view = &status.configuration;
    let failed = view
        .last_reload
        .as_ref()
        .is_some_and(|it| it.error.is_some());
    let one = |is: bool| vec![(String::new(), f64::from(u8::from(is)))];
    [
        Gauge {
            name: "graphrelay_config_differs",
            help: "1 if relay.toml differs from the running configuration or has errors, otherwise 0.",
            samples: one(view.trouble().is_some()),
        },
        Gauge {
            name: "graphrelay_config_last_reload_failed",
            help: "1 if the last reload failed because relay.toml has errors, otherwise 0.",
            samples: one(failed),
        },
        Gauge {
            name: "graphrelay_log_lines_dropped",
            help: "Log lines lost since the start because nothing read the log.",
            samples: vec![(String::new(), status.log.dropped as f64)],
        },
    ]
}

fn alerts(status: &Status) -> [Gauge; 5] {
    let of_kind = |count: fn(&AlertView) -> u64| {
        let of = |kind: &'static str| {
            let alerts = status.alerts.iter().filter(|alert| alert.kind == kind);
            let sum: u64 = alerts.map(count).sum();
            (labels(&[("kind", kind)]), sum as f64)
        };
        vec![of("webhook"), of("mail")]
    };
    let failures = status.checkup.as_ref().map(|checkup| {
        let findings = checkup.findings.iter();
        let failures = findings.filter(|it| it.state == FindingState::Failure);
        (String::new(), failures.count() as f64)
    });
    [
        Gauge {
            name: "graphrelay_alerts_sent_total",
            help: "Alerts that a webhook has accepted or that were put into the queue as mail.",
            samples: of_kind(|alert| alert.sent),
        },
        Gauge {
            name: "graphrelay_alert_failures_total",
            help: "Attempts to send an alert that failed.",
            samples: of_kind(|alert| alert.failures),
        },
        Gauge {
            name: "graphrelay_alerts_given_up_total",
            help: "Alerts that were never sent.",
            samples: of_kind(|alert| alert.given_up),
        },
        Gauge {
            name: "graphrelay_alerts_waiting",
            help: "Alerts that wait to be sent.",
            samples: of_kind(|alert| alert.waiting as u64),
        },
        Gauge {
            name: "graphrelay_doctor_failures",
            help: "Failures that the relay found when it last examined itself.",
            samples: failures.into_iter().collect(),
        },
    ]
}

fn spool(status: &Status) -> [Gauge; 4] {
    let (held, error) = (&status.spool, status.spool_error.as_ref());
    let mut bytes: Vec<_> = held
        .states
        .iter()
        .map(|(name, it)| (&**name, *it))
        .collect();
    bytes.push(("receiving", held.receiving));
    let one = |value: f64| vec![(String::new(), value)];
    [
        Gauge {
            name: "graphrelay_spool_bytes",
            help: "Disk space that messages use, by state; history is what remains of delivered, dropped and refused messages, and kept their content.",
            samples: bytes
                .into_iter()
                .map(|(state, bytes)| (labels(&[("state", state)]), bytes as f64))
                .collect(),
        },
        Gauge {
            name: "graphrelay_spool_limit_bytes",
            help: "The configured limit, limits.spool_size.",
            samples: one(held.limit as f64),
        },
        Gauge {
            name: "graphrelay_spool_errors",
            help: "Errors while writing or reading the spool, since the start.",
            samples: one(error.map_or(0.0, |error| error.count as f64)),
        },
        Gauge {
            name: "graphrelay_spool_last_error_timestamp_seconds",
            help: "When the last such error happened, in seconds since 1970; 0 if there was none.",
            samples: one(error.map_or(0.0, |error| seconds(error.at))),
        },
    ]
}

fn seconds(moment: Timestamp) -> f64 {
    moment.millis() as f64 / 1000.0
}

/// Quotes a label value as the page says.
fn labels(pairs: &[(&str, &str)]) -> String {
    let label = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{name}=\"{}\"", value.replace('\n', "\\n"))
    };
    pairs.iter().map(label).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        assert_eq!(labels(&[("a", "x\"y\\z\n")]), r#"a="x\"y\\z\n""#);
    }
}
