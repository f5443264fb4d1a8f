//! When the next attempt is due, and when delivery is given up.

use std::time::Duration;

use super::outcome::Cause;
use super::outcome::Kind;
use super::outcome::Scope;
use crate::clock::Timestamp;
use crate::config;

/// Up to so much is added to every wait, as a share of it, so that messages
/// that failed together do not come back together.
const JITTER: f64 = 0.25;

/// The wait after attempt number `attempt`, from 1.
pub(super) fn wait_after(attempt: u32, settings: &config::Delivery) -> Duration {
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = settings.retry.get(index).or_else(|| settings.retry.last());
    jittered(wait.copied().unwrap_or(Duration::from_secs(60)))
}

/// How long a message waits whose attempt had this outcome; nothing if there is
/// no next attempt.
pub(super) fn next_wait(kind: Kind, attempt: u32, settings: &config::Delivery) -> Option<Duration> {
    let regular = || wait_after(attempt, settings);
    match kind {
        Kind::Delivered | Kind::Failed => None,
        Kind::Doubtful { wait } => Some(wait.unwrap_or_default().max(regular())),
        // The mailbox waits as long as Graph says; the message need not wait longer.
        Kind::Deferred {
            cause: Cause::Throttled,
            wait: Some(wait),
            ..
        } => Some(wait),
        Kind::Deferred { wait, .. } => Some(wait.unwrap_or_default().max(regular())),
    }
}

/// Whether delivery is given up rather than tried again at `due`. A
/// configuration fault burns no message: somebody may be away for a week.
pub(super) fn is_expired(
    kind: Kind,
    accepted_at: Timestamp,
    due: Timestamp,
    settings: &config::Delivery,
) -> bool {
    let configuration = matches!(
        kind,
        Kind::Deferred {
            cause: Cause::Configuration(_),
            ..
        }
    );
    !configuration && due.since(accepted_at) > settings.expire_after
}

/// How long a mailbox or an account waits after `failures` in a row.
pub(super) fn brake(cause: Cause, wait: Option<Duration>, failures: u32) -> Duration {
    let (first, longest) = match cause {
        Cause::Throttled | Cause::Unavailable => (FIRST_BRAKE, LONGEST_BRAKE),
        Cause::Configuration(_) => (FIRST_CONFIGURATION, LONGEST_CONFIGURATION),
    };
    let doubled = first.saturating_mul(1 << failures.min(16));
    // Never shorter than what Graph asked for.
    wait.unwrap_or_default().max(jittered(doubled.min(longest)))
}

/// An outage is noticed to be over within this time.
const LONGEST_BRAKE: Duration = Duration::from_secs(60);
const FIRST_BRAKE: Duration = Duration::from_secs(1);
/// A mended configuration is noticed within this time; one request in that time
/// is no burden for Entra.
const LONGEST_CONFIGURATION: Duration = Duration::from_secs(5 * 60);
const FIRST_CONFIGURATION: Duration = Duration::from_secs(5);

/// What a brake concerns: nothing for trouble of one message.
pub(super) fn braked(kind: Kind) -> Option<(Scope, Cause, Option<Duration>)> {
    match kind {
        Kind::Deferred {
            scope: scope @ (Scope::Mailbox | Scope::Account),
            cause,
            wait,
        } => Some((scope, cause, wait)),
        Kind::Deferred {
            scope: Scope::Message,
            ..
        }
        | Kind::Delivered
        | Kind::Failed
        | Kind::Doubtful { .. } => None,
    }
}

fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + JITTER * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> config::Delivery {
        config::Delivery {
            retry: vec![Duration::from_secs(10), Duration::from_secs(60)],
            expire_after: Duration::from_secs(1000),
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
    fn graph_is_never_called_before_it_said() {
        for failures in 0..5 {
            let wait = Some(Duration::from_secs(90));
            assert!(brake(Cause::Throttled, wait, failures) >= Duration::from_secs(90));
        }
        let wait = next_wait(deferred(Cause::Unavailable, Some(30)), 1, &settings());
        assert!(wait.unwrap() >= Duration::from_secs(30));
    }

    #[test]
    fn a_configuration_fault_burns_no_message() {
        let (accepted, due) = (Timestamp::from_millis(0), Timestamp::from_millis(2_000_000));
        let expired = |kind| is_expired(kind, accepted, due, &settings());

        assert!(expired(deferred(Cause::Unavailable, None)));
        assert!(expired(Kind::Doubtful { wait: None }));
        assert!(!expired(deferred(Cause::Configuration("mend it"), None)));
    }
}
