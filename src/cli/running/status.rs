//! `status`: the overall status on one screen; exit code 0 if all is OK, 1 if
//! something needs attention.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Failure;
use super::Relay;
use super::accounts;
use super::care;
use super::connections;
use super::pause;
use crate::admin::Delivery;
use crate::admin::Status;
use crate::admin::attention::Condition;
use crate::admin::attention::Kind;
use crate::admin::attention::LONG;
use crate::admin::attention::conditions;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::ago;
use crate::cli::say_json;
use crate::cli::say_styled;
use crate::cli::terminal;
use crate::cli::terminal::Style;
use crate::cli::when;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::clock::span;
use crate::spool::Overview;
use crate::spool::State;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Refresh every two seconds
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

/// At most this many mailboxes are listed,
const LISTED: usize = 10;
/// and this many of a kind among the problems.
const NAMED: usize = 3;
const EVERY: Duration = Duration::from_secs(2);
/// Whoever asks for the status often does so because the relay hangs. `/readyz` also calls a
/// relay unhealthy that is silent for this long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    if options.watch {
        return watch(options).await;
    }
    let shown = async {
        let status = ask(options).await?;
        let troubles = troubles(&status);
        if options.json {
            say_json(&status);
        } else {
            say_styled(&styled(&screen(&status, &troubles, status.now)));
        }
        Ok(exit(&troubles))
    };
    shown.await.unwrap_or_else(Failure::tell)
}

/// Shows the screen again and again, also while the relay restarts.
async fn watch(options: &Options) -> Exit {
    loop {
        let time = format!("Every {}, last at {}\n\n", span(EVERY), Clock::System.now());
        let mut shown = match ask(options).await {
            Ok(status) => screen(&status, &troubles(&status), status.now),
            Err(failure) if failure.exit == Exit::Unreachable => {
                vec![(Style::Bad, format!("graph-relay: {}", failure.words))]
            }
            Err(failure) => return failure.tell(),
        };
        shown.insert(0, (Style::Plain, time));
        terminal::show_screen(&styled(&shown));
        tokio::time::sleep(EVERY).await;
    }
}

async fn ask(options: &Options) -> Result<Status, Failure> {
    let relay = Relay::within(PATIENCE, &options.file)?;
    let status = relay.ask("/status").await?;
    status.ok_or_else(Failure::another_version)
}

fn exit(troubles: &[String]) -> Exit {
    match troubles {
        [] => Exit::Done,
        _ => Exit::CheckFailed,
    }
}

fn styled(parts: &[(Style, String)]) -> Vec<(Style, &str)> {
    let parts = parts.iter();
    parts.map(|(style, text)| (*style, text.as_str())).collect()
}

/// The problems that somebody has to look at, the first few of each kind.
fn troubles(status: &Status) -> Vec<String> {
    lines_of(&conditions(status, LONG))
}

fn lines_of(conditions: &[Condition]) -> Vec<String> {
    let mut seen: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for (number, condition) in conditions.iter().enumerate() {
        let before = seen.entry(condition.kind).or_default();
        *before += 1;
        if *before <= NAMED {
            lines.push(condition.to_string());
        } else if *before == NAMED + 1 {
            let rest = conditions.iter().skip(number);
            let rest = rest.filter(|it| it.kind == condition.kind);
            let count: u64 = rest.map(|it| it.count).sum();
            lines.push(format!("and {count} {}", condition.kind.of_more()));
        }
    }
    lines
}

/// The verdict and everything else, as parts of one text.
fn screen(status: &Status, troubles: &[String], now: Timestamp) -> Vec<(Style, String)> {
    let verdict = match troubles {
        [] => (Style::Good, "OK".to_owned()),
        [one] => (Style::Bad, one.clone()),
        some => (Style::Bad, format!("{} problems", some.len())),
    };
    let mut rest = String::new();
    if troubles.len() > 1 {
        rest = format!("\n  - {}", troubles.join("\n  - "));
    }
    for line in facts(status, now) {
        rest.push('\n');
        rest.push_str(&line);
    }
    let program = format!("graph-relay {}: ", status.version);
    vec![(Style::Plain, program), verdict, (Style::Plain, rest)]
}

fn facts(status: &Status, now: Timestamp) -> Vec<String> {
    let listeners: Vec<String> = status.listeners.iter().map(ToString::to_string).collect();
    let queue = &status.queue;
    let oldest = queue.oldest_waiting_ms.map_or_else(String::new, |waits| {
        format!(", the oldest for {}", span(Duration::from_millis(waits)))
    });
    let mut lines = vec![
        format!("\nlisteners  {}", listeners.join(" ")),
        connections::line(&status.connections),
    ];
    let certificate = status.certificate.as_ref();
    lines.extend(certificate.map(|ends| accounts::ending(ends, now)));
    lines.push(format!(
        "\nqueue      {} waiting{oldest}, {} being sent, {} held, {} failed",
        queue.count(State::Waiting),
        queue.count(State::Claimed),
        queue.count(State::Held),
        queue.count(State::Failed),
    ));
    lines.push(format!("spool      {}", status.spool.words()));
    lines.extend(status.spool_error.as_ref().map(|error| {
        let ago = ago(Duration::from_millis(error.ago_ms));
        let (count, reason) = (error.count, &error.reason);
        format!("  errors   {count} since the start, the last one {ago}: {reason}")
    }));
    lines.extend(failures(queue, now));
    for paused in status.paused.iter().take(LISTED) {
        lines.push(format!("  paused     {}", pause::words(paused, now)));
    }
    if let more @ 1.. = status.paused.len().saturating_sub(LISTED) {
        lines.push(format!("  paused     and {more} more"));
    }
    lines.extend(delivery(&status.delivery, now));
    lines.extend(care::lines(status, now));
    lines.push("\naccounts".to_owned());
    for account in &status.accounts {
        lines.extend(accounts::lines(account, now));
    }
    lines
}

fn failures(queue: &Overview, now: Timestamp) -> Vec<String> {
    let lines = queue.failures.iter().map(|failure| {
        let ended = failure
            .ended_at
            .map(|at| format!(" {}", ago(now.since(at))));
        let ago = ended.unwrap_or_default();
        let reason = failure.reason.as_deref().unwrap_or_default();
        format!("  failed{ago}  {}  {reason}", failure.id)
    });
    lines.collect()
}

fn delivery(delivery: &Delivery, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for backing_off in delivery.backing_off.iter().take(LISTED) {
        let whose = match &backing_off.mailbox {
            Some(mailbox) => format!("{mailbox} ({})", backing_off.account),
            None => format!("account {}", backing_off.account),
        };
        let left = backing_off.until.since(now);
        let next = match left.as_secs() {
            // Without mail that is due there is no attempt, and nothing ends the backoff.
            0 => "when its next message is due".to_owned(),
            _ => format!("in {}", span(left)),
        };
        lines.push(format!(
            "  backoff    {whose}: {}, next attempt {next}",
            backing_off.why()
        ));
    }
    if let more @ 1.. = delivery.backing_off_count.saturating_sub(LISTED) {
        lines.push(format!("  backoff    and {more} more"));
    }
    for limited in delivery.limited.iter().take(LISTED) {
        let until = when(limited.until, now);
        lines.push(format!(
            "  limited    {} ({}): {} reached, mail waits until {until}",
            limited.mailbox, limited.account, limited.limit
        ));
    }
    if let more @ 1.. = delivery.limited_count.saturating_sub(LISTED) {
        lines.push(format!("  limited    and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::BackingOff;
    use crate::admin::BackoffCause;
    use crate::admin::Limited;
    use crate::admin::attention::of_delivery;
    use crate::mail::SpoolId;
    use crate::spool;

    #[test]
    fn a_message_failed_as_long_ago_as_the_wall_clock_says() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let failure = spool::Failure {
            id: SpoolId::first_of(now),
            ended_at: Some(now - Duration::from_secs(60 * 60)),
            ended_ago_ms: Some(5 * 60_000),
            reason: Some("no".to_owned()),
            is_alert: false,
        };
        let queue = Overview {
            failures: vec![failure],
            ..Overview::default()
        };

        let lines = failures(&queue, now);

        assert!(
            lines[0].starts_with("  failed 60 minutes ago  "),
            "{lines:?}"
        );
    }

    #[test]
    fn backoff_is_explained_and_a_time_that_is_over_is_left_out() {
        let now = Timestamp::from_millis(0);
        let with = |cause, until| {
            let backing_off = BackingOff {
                account: "contoso".to_owned(),
                mailbox: None,
                until,
                asked_until: None,
                cause,
                reported: Some("AADSTS7000222".to_owned()),
            };
            delivery(
                &Delivery {
                    backing_off: vec![backing_off],
                    backing_off_count: 1,
                    ..Delivery::default()
                },
                now,
            )
        };

        assert_eq!(
            with(BackoffCause::Configuration, now),
            [
                "  backoff    account contoso: a configuration error (AADSTS7000222), next attempt when \
                 its next message is due"
            ]
        );
        let later = with(BackoffCause::Throttled, now + Duration::from_secs(90)).join("");
        assert!(later.ends_with("next attempt in 90s"), "{later}");
    }

    #[test]
    fn very_many_mailboxes_in_trouble_fit_on_a_screen() {
        let (now, mailbox) = (Timestamp::from_millis(0), "a@contoso.com");
        let backing_off = BackingOff {
            account: "contoso".to_owned(),
            mailbox: mailbox.parse().ok(),
            until: now,
            asked_until: None,
            cause: BackoffCause::Configuration,
            reported: None,
        };
        let limited = Limited {
            account: "contoso".to_owned(),
            mailbox: mailbox.parse().unwrap(),
            limit: "recipients_per_day".to_owned(),
            daily: true,
            until: now,
        };
        let many = Delivery {
            backing_off: vec![backing_off; 100],
            backing_off_count: 1255,
            limited: vec![limited; 100],
            limited_count: 300,
            limited_for_a_day: 200,
            ..Delivery::default()
        };

        let lines = delivery(&many, now).join("\n");
        let troubles = lines_of(&of_delivery(&many)).join("; ");

        assert!(lines.contains("backoff    and 1245 more"), "{lines}");
        assert!(lines.contains("limited    and 290 more"), "{lines}");
        assert!(
            troubles.contains("and 1252 more are backing off"),
            "{troubles}"
        );
        assert!(troubles.contains("and 197 more have reached"), "{troubles}");
    }
}
