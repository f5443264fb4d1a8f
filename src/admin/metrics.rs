//! How it stands, in numbers, as Prometheus reads them (its page "Exposition
//! formats"). What a name means stands in its HELP line.

use std::fmt::Write;
use std::time::Duration;

use super::Status;
use crate::clock::Timestamp;
use crate::spool::State;

/// A metric: its name, what it says, and its samples.
struct Gauge {
    name: &'static str,
    help: &'static str,
    /// Labels and value.
    samples: Vec<(String, f64)>,
}

/// All numbers.
pub(super) fn text(status: &Status) -> String {
    let mut text = String::new();
    for gauge in gauges(status) {
        let Gauge {
            name,
            help,
            samples,
        } = gauge;
        // A String takes whatever is written.
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
            help: "When a credential or certificate ends, in seconds since 1970.",
            samples: endings
                .map(|(owner, ending)| {
                    let labels = labels(&[("owner", owner), ("kind", &ending.what)]);
                    (labels, seconds(ending.at))
                })
                .collect(),
        },
        Gauge {
            name: "graphrelay_token_expiry_timestamp_seconds",
            help: "When the access token in hand ends, in seconds since 1970.",
            samples: until,
        },
        Gauge {
            name: "graphrelay_token_trouble",
            help: "Whether no token can be had, or a mailbox has to sign in.",
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
            help: "Connections of clients that are open.",
            samples: one(connections.open as u64),
        },
        Gauge {
            name: "graphrelay_connections_limit",
            help: "The most connections that may be open: limits.connections.",
            samples: one(connections.limit as u64),
        },
        Gauge {
            name: "graphrelay_connections_turned_away_total",
            help: "Clients turned away because all connections were taken, or because they had as \
                   many as one client may.",
            samples: vec![
                reason("all_taken", connections.turned_away),
                reason("client_limit", connections.over_client_limit),
            ],
        },
        Gauge {
            name: "graphrelay_sessions_made_room_total",
            help: "Sessions that were closed to make room for other clients.",
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
            help: "Messages that are not done with, by state.",
            samples: State::OPEN.map(state).into(),
        },
        Gauge {
            name: "graphrelay_queue_oldest_age_seconds",
            help: "For how long the oldest message that waits has waited.",
            samples: vec![(
                String::new(),
                waits.map_or(0.0, |waits| waits.as_secs_f64()),
            )],
        },
    ]
}

fn delivery(status: &Status) -> [Gauge; 6] {
    let delivery = &status.delivery;
    let single = |name, help, value| Gauge {
        name,
        help,
        samples: vec![(String::new(), value)],
    };
    [
        single(
            "graphrelay_held_back",
            "Mailboxes and accounts that are held back because they are in trouble.",
            delivery.braked_count as f64,
        ),
        single(
            "graphrelay_limited_mailboxes",
            "Mailboxes whose mail waits because a limit of [account.rate_limits] is reached.",
            delivery.limited_count as f64,
        ),
        single(
            "graphrelay_daily_limited_mailboxes",
            "Those of them that wait for a limit for a day.",
            delivery.limited_for_a_day as f64,
        ),
        single(
            "graphrelay_queue_own_trouble",
            "Messages that fail while others of their mailbox or account get through.",
            status.queue.own_trouble as f64,
        ),
        single(
            "graphrelay_seconds_since_last_delivery",
            "Seconds since Graph took a message, or since the start.",
            delivery.last_delivery_seconds as f64,
        ),
        single(
            "graphrelay_delivery_stalled_seconds",
            "For how long mail has waited and nothing has left; 0 if no mail waits.",
            delivery.stalled_seconds.unwrap_or(0) as f64,
        ),
    ]
}

/// The relay's own file and log.
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
            help: "Whether relay.toml differs from what runs, or cannot be used.",
            samples: one(view.trouble().is_some()),
        },
        Gauge {
            name: "graphrelay_config_last_reload_failed",
            help: "Whether the last reload changed nothing because relay.toml was wrong.",
            samples: one(failed),
        },
        Gauge {
            name: "graphrelay_log_lines_dropped",
            help: "Lines of the log dropped since the start because nobody read it.",
            samples: vec![(String::new(), status.log.dropped as f64)],
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
            help: "What messages take up on disk, by state; history is what has ended.",
            samples: bytes
                .into_iter()
                .map(|(state, bytes)| (labels(&[("state", state)]), bytes as f64))
                .collect(),
        },
        Gauge {
            name: "graphrelay_spool_limit_bytes",
            help: "limits.spool_size.",
            samples: one(held.limit as f64),
        },
        Gauge {
            name: "graphrelay_spool_errors",
            help: "Errors of writing or reading the spool since the relay has started.",
            samples: one(error.map_or(0.0, |error| error.count as f64)),
        },
        Gauge {
            name: "graphrelay_spool_last_error_timestamp_seconds",
            help: "When the last of them was, in seconds since 1970; 0 if there was none.",
            samples: one(error.map_or(0.0, |error| seconds(error.at))),
        },
    ]
}

fn seconds(moment: Timestamp) -> f64 {
    moment.millis() as f64 / 1000.0
}

/// Label values are quoted as the page says.
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
