//! When the next attempt is due, and when delivery is given up.

use std::time::Duration;

use super::Cause;
use super::Kind;
use super::Scope;
use super::table::LONGEST_WAIT;
use crate::clock::RunningTime;
use crate::config;

/// The largest share of a wait that is added to it at random, so that messages that
/// failed together do not come back together.
const JITTER: f64 = 0.25;

/// The wait after attempt number `attempt`, counted from 1.
pub(in crate::delivery) fn wait_after(attempt: u32, settings: &config::Delivery) -> Duration {
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = settings.retry.get(index).or_else(|| settings.retry.last());
    jittered(wait.copied().unwrap_or(Duration::from_secs(60)))
}

/// The longest wait of a message.
pub(in crate::delivery) fn longest_wait(settings: &config::Delivery) -> Duration {
    let longest = settings.retry.iter().max().copied().unwrap_or_default();
    longest.mul_f64(1.0 + JITTER).max(LONGEST_WAIT)
}

/// How long a message waits after this outcome; none if there is no next attempt. If the
/// mailbox or the account backs off, that delays the message already, and its own wait
/// need not be longer.
pub(in crate::delivery) fn next_wait(
    kind: Kind,
    attempt: u32,
    settings: &config::Delivery,
) -> Option<Duration> {
    let regular = wait_after(attempt, settings);
    let (own, asked) = match kind {
        Kind::Delivered | Kind::Failed => return None,
        Kind::Doubtful { wait, .. } => (regular, wait),
        Kind::Deferred { cause, scope, wait } => {
            let own = match (scope, cause) {
                (Scope::Message, _) => regular,
                (_, Cause::Throttled) => Duration::ZERO,
                (_, Cause::Unavailable) => regular.min(LONGEST_BACKOFF),
                (_, Cause::Configuration(_)) => regular.min(LONGEST_CONFIGURATION),
            };
            (own, wait)
        }
    };
    Some(own.max(asked.unwrap_or_default()))
}

/// Since when a message has had failures that count towards its expiry. A configuration
/// fault of mailbox or account does not count, however long it lasts, and failures after
/// it count from scratch.
pub(in crate::delivery) fn trouble_since(
    kind: Kind,
    before: Option<RunningTime>,
    now: RunningTime,
) -> Option<RunningTime> {
    match kind {
        Kind::Deferred {
            cause: Cause::Configuration(_),
            scope: Scope::Mailbox | Scope::Account,
            ..
        } => None,
        Kind::Delivered | Kind::Failed | Kind::Deferred { .. } | Kind::Doubtful { .. } => {
            Some(before.unwrap_or(now))
        }
    }
}

/// Whether delivery is given up instead of tried again at `due`. Both are running times,
/// so that neither a set clock nor a stopped relay fails a message.
pub(in crate::delivery) fn is_expired(
    trouble_since: Option<RunningTime>,
    due: RunningTime,
    settings: &config::Delivery,
) -> bool {
    trouble_since.is_some_and(|since| due.since(since) > settings.expire_after)
}

/// How long a mailbox or an account waits after `failures` in a row.
pub(in crate::delivery) fn backoff(
    cause: Cause,
    wait: Option<Duration>,
    failures: u32,
) -> Duration {
    let (first, longest) = match cause {
        Cause::Throttled | Cause::Unavailable => (FIRST_BACKOFF, LONGEST_BACKOFF),
        Cause::Configuration(_) => (FIRST_CONFIGURATION, LONGEST_CONFIGURATION),
    };
    let doubled = first.saturating_mul(1 << failures.min(16));
    // Never shorter than Graph asked for.
    wait.unwrap_or_default().max(jittered(doubled.min(longest)))
}

/// The end of an outage is noticed within this time.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// A corrected configuration is noticed within this time. One request in that time is no
/// burden for Entra.
const LONGEST_CONFIGURATION: Duration = Duration::from_secs(5 * 60);
/// It may be a problem of one message after all.
const FIRST_CONFIGURATION: Duration = Duration::from_secs(1);

/// What a backoff applies to; nothing if the problem is one message's. A doubtful answer
/// makes its mailbox back off, because each one may be a message that arrives twice.
pub(in crate::delivery) fn backing_off(kind: Kind) -> Option<(Scope, Cause, Option<Duration>)> {
    match kind {
        Kind::Deferred {
            scope: scope @ (Scope::Mailbox | Scope::Account),
            cause,
            wait,
        } => Some((scope, cause, wait)),
        Kind::Doubtful { wait, .. } => Some((Scope::Mailbox, Cause::Unavailable, wait)),
        Kind::Deferred {
            scope: Scope::Message,
            ..
        }
        | Kind::Delivered
        | Kind::Failed => None,
    }
}

fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + JITTER * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::outcome::Fault;

    fn settings() -> config::Delivery {
        config::Delivery {
            retry: vec![Duration::from_secs(10), Duration::from_secs(60)],
            expire_after: Duration::from_secs(1000),
            warn_after: None,
            workers: 1,
        }
    }

    fn deferred(cause: Cause, wait: Option<u64>) -> Kind {
        Kind::Deferred {
            cause,
            scope: Scope::Mailbox,
            wait: wait.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_grow_and_the_last_one_repeats() {
        let seconds = |attempt| wait_after(attempt, &settings()).as_secs_f64();

        assert!((10.0..=12.5).contains(&seconds(1)));
        assert!((60.0..=75.0).contains(&seconds(2)));
        assert!((60.0..=75.0).contains(&seconds(99)));
    }

    #[test]
    fn a_corrected_configuration_is_noticed_by_the_message_that_waits_alone() {
        let fault = deferred(Cause::Configuration(Fault::Access), None);
        let wait = next_wait(fault, 99, &settings()).unwrap();

        assert!(wait <= LONGEST_CONFIGURATION);
    }

    #[test]
    fn graph_is_never_called_before_it_said() {
        for failures in 0..5 {
            let wait = Some(Duration::from_secs(90));
            assert!(backoff(Cause::Throttled, wait, failures) >= Duration::from_secs(90));
        }
        let wait = next_wait(deferred(Cause::Unavailable, Some(30)), 1, &settings());
        assert!(wait.unwrap() >= Duration::from_secs(30));
    }

    #[test]
    fn a_configuration_fault_never_costs_a_message_even_when_it_is_corrected() {
        let at = |seconds: i64| RunningTime::from_millis(seconds * 1000);
        let expired = |since, due| is_expired(since, due, &settings());
        let fault = deferred(Cause::Configuration(Fault::Access), None);
        let throttled = deferred(Cause::Throttled, None);

        let after_a_week = trouble_since(fault, Some(at(0)), at(600_000));
        assert!(!expired(after_a_week, at(600_010)));
        let then_throttled = trouble_since(throttled, after_a_week, at(600_010));
        assert!(!expired(then_throttled, at(600_020)));
        let still = trouble_since(throttled, then_throttled, at(601_000));
        assert!(expired(still, at(601_011)));
    }
}
