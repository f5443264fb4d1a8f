//! Which mailbox may send next: destinations, their rate limits and workers, with a time that
//! the test sets.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Failed;
use super::backoff::Notice;
use super::destinations::Change;
use super::destinations::Destinations;
use super::pace::Limit;
use super::pace::Need;
use super::pace::Pace;
use crate::config;
use crate::delivery::outcome::Cause;
use crate::delivery::outcome::Fault;
use crate::delivery::standing::Standing;
use crate::mail::Destination;

const SECOND: Duration = Duration::from_secs(1);

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(seconds: u64) -> Instant {
    *ORIGIN + Duration::from_secs(seconds)
}

fn destination(account: &str, mailbox: &str) -> Destination {
    Destination {
        account: account.to_owned(),
        mailbox: format!("{mailbox}@contoso.com").parse().unwrap(),
    }
}

fn destinations(due: &[&Destination]) -> Destinations {
    destinations_with(PACE, 32, due)
}

fn destinations_with(pace: config::Pace, workers: u32, due: &[&Destination]) -> Destinations {
    let mut destinations = Destinations::new(
        HashMap::from([("a".into(), pace), ("b".into(), pace)]),
        workers,
        Standing::default(),
    );
    for destination in due {
        destinations.has_due(destination, at(0), at(0));
    }
    destinations
}

const PACE: config::Pace = config::Pace {
    concurrency: 4,
    messages_per_minute: None,
    requests_per_10_minutes: None,
    upload_per_5_minutes: None,
    recipients_per_day: None,
};

/// An attempt with a message of 100 bytes to one recipient.
fn begin(destinations: &mut Destinations, destination: &Destination, now: Instant) -> Pace {
    destinations.begun(destination, now, Need::of(100, 1)).pace
}

fn failed(cause: Cause, wait: Option<Duration>) -> Failed {
    let id = format!("{:026}", 1).parse().unwrap();
    Failed { id, cause, wait }
}

/// Claims what may be claimed: (mailbox, count).
fn claim(destinations: &mut Destinations, now: Instant) -> Vec<(String, u32)> {
    let wants = destinations.wants(now);
    for want in &wants {
        (0..want.count).for_each(|_| drop(begin(destinations, &want.destination, now)));
    }
    wants
        .into_iter()
        .map(|want| (want.destination.mailbox.local_part().to_owned(), want.count))
        .collect()
}

#[test]
fn an_alias_and_its_mailbox_share_the_limits_of_the_mailbox() {
    let (alias, owner) = (destination("a", "alias"), destination("a", "owner"));
    let limits = config::Pace {
        recipients_per_day: Some(5),
        ..PACE
    };
    let mut destinations = destinations_with(limits, 32, &[&alias]);
    let spend = |destinations: &mut Destinations, destination: &Destination, seconds| {
        begin(destinations, destination, at(seconds)).end(true);
        destinations.shares_limits_with(&alias, &owner.mailbox, at(seconds));
        destinations.ended(destination, at(seconds));
    };
    for seconds in 1..=2 {
        spend(&mut destinations, &alias, seconds);
    }
    destinations.has_due(&owner, at(3), at(3));
    for seconds in 3..=5 {
        spend(&mut destinations, &owner, seconds);
    }

    assert_eq!(claim(&mut destinations, at(6)), []);
    assert_eq!(claim(&mut destinations, at(6 + 25 * 3600)).len(), 2);
}

#[test]
fn a_mailbox_never_gets_more_than_its_requests_at_once() {
    let one = destination("a", "one");
    let mut destinations = destinations(&[&one]);

    assert_eq!(claim(&mut destinations, at(1)), [("one".into(), 4)]);
    assert_eq!(claim(&mut destinations, at(1)), []);
    destinations.ended(&one, at(1));
    assert_eq!(claim(&mut destinations, at(1)), [("one".into(), 1)]);
}

#[test]
fn workers_are_shared_in_turn() {
    let names: Vec<Destination> = ["1", "2", "3"].map(|name| destination("a", name)).into();
    let mut destinations =
        Destinations::new(HashMap::from([("a".into(), PACE)]), 2, Standing::default());
    names
        .iter()
        .for_each(|destination| destinations.has_due(destination, at(0), at(0)));

    assert_eq!(
        claim(&mut destinations, at(1)),
        [("1".into(), 1), ("2".into(), 1)]
    );
    names
        .iter()
        .take(2)
        .for_each(|destination| destinations.ended(destination, at(1)));
    assert_eq!(
        claim(&mut destinations, at(1)),
        [("3".into(), 1), ("1".into(), 1)]
    );
}

#[test]
fn a_throttled_mailbox_waits_alone_and_then_probes() {
    let (one, two) = (destination("a", "one"), destination("a", "two"));
    let mut destinations = destinations(&[&one, &two]);
    drop(begin(&mut destinations, &one, at(0)));
    destinations.back_off_mailbox(&one, at(10), failed(Cause::Throttled, Some(20 * SECOND)));
    destinations.ended(&one, at(1));

    assert_eq!(claim(&mut destinations, at(29)), [("two".into(), 4)]);
    assert_eq!(destinations.wake_at(), Some(at(30)));
    assert_eq!(claim(&mut destinations, at(30)), [("one".into(), 1)]);
    assert_eq!(claim(&mut destinations, at(31)), []);

    destinations.worked(&one, at(32));
    destinations.ended(&one, at(1));
    // Half as many as before.
    assert_eq!(claim(&mut destinations, at(32)), [("one".into(), 2)]);
}

#[test]
fn concurrency_is_reduced_once_and_restored_by_deliveries() {
    let one = destination("a", "one");
    let mut destinations = destinations(&[&one]);
    for _ in 0..4 {
        destinations.back_off_mailbox(&one, at(0), failed(Cause::Throttled, Some(SECOND)));
    }

    let narrowed = destinations.changes();
    assert!(matches!(narrowed[..], [Change::Narrowed(_, 2, _)]));
    for _ in 0..39 {
        destinations.worked(&one, at(10));
        assert_eq!(destinations.changes(), []);
    }
    destinations.worked(&one, at(10));
    assert_eq!(destinations.changes(), [Change::Widened(one.clone(), 4)]);
    assert_eq!(claim(&mut destinations, at(10)), [("one".into(), 4)]);
}

#[test]
fn a_full_window_delays_only_its_mailbox_and_is_logged_once() {
    let (one, two) = (destination("a", "one"), destination("a", "two"));
    let pace = config::Pace {
        messages_per_minute: Some(2),
        ..PACE
    };
    let mut destinations = destinations_with(pace, 32, &[&one]);

    assert_eq!(claim(&mut destinations, at(0)), [("one".into(), 2)]);
    destinations.has_due(&two, at(1), at(1));
    assert_eq!(claim(&mut destinations, at(1)), [("two".into(), 2)]);
    let free = at(60) + Duration::from_millis(500);
    let held = Change::Held(one.clone(), Limit::Messages, free);
    assert_eq!(destinations.changes(), [held]);
    assert_eq!(
        destinations.wake_at(),
        Some(at(1)),
        "two was not looked at again"
    );
    assert_eq!(claim(&mut destinations, at(1)), []);
    assert_eq!(destinations.wake_at(), Some(free));
    assert_eq!(claim(&mut destinations, free), [("one".into(), 2)]);
    assert_eq!(destinations.changes().len(), 1, "only the other's");
}

#[test]
fn an_account_without_answers_leaves_workers_to_the_others() {
    let holes: Vec<Destination> = (0..30)
        .map(|n| destination("a", &format!("hole{n}")))
        .collect();
    let mut destinations = destinations(&holes.iter().collect::<Vec<_>>());
    let taken: u32 = claim(&mut destinations, at(0)).iter().map(|(_, n)| n).sum();

    assert_eq!(taken, 24, "all but the other's reserve");
    assert_eq!(destinations.wake_at(), None, "the end of an attempt wakes");
    destinations.has_due(&destination("b", "late"), at(1), at(1));
    assert_eq!(claim(&mut destinations, at(1)), [("late".into(), 4)]);
}

#[test]
fn mailboxes_without_answers_leave_workers_to_the_next() {
    let mut destinations =
        Destinations::new(HashMap::from([("a".into(), PACE)]), 32, Standing::default());
    for hole in 0..10 {
        destinations.has_due(&destination("a", &format!("hole{hole}")), at(0), at(0));
        claim(&mut destinations, at(0));
    }

    destinations.has_due(&destination("a", "late"), at(1), at(1));
    assert_eq!(claim(&mut destinations, at(1)), [("late".into(), 1)]);
}

#[test]
fn a_round_over_two_hundred_mailboxes_is_cheap() {
    let names: Vec<Destination> = (0..200)
        .map(|n| destination("a", &format!("box{n}")))
        .collect();
    let mut destinations = destinations(&names.iter().collect::<Vec<_>>());
    claim(&mut destinations, at(0));

    let rounds = 1000;
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        // A worker is free, and taking it does not shorten another destination's turn.
        destinations.ended(&names[0], at(1));
        std::hint::black_box(destinations.wants(at(1)));
        std::hint::black_box(destinations.wake_at());
        drop(begin(&mut destinations, &names[0], at(1)));
    }
    let round = begun.elapsed() / rounds;
    println!("{round:?} a round");
    assert!(round < Duration::from_millis(5), "{round:?}");
}

#[test]
fn a_failing_account_makes_one_probe_for_all_its_mailboxes() {
    let (one, two, other) = (
        destination("a", "one"),
        destination("a", "two"),
        destination("b", "other"),
    );
    let mut destinations = destinations(&[&one, &two, &other]);
    destinations.back_off_account(&one, at(0), failed(Cause::Unavailable, None));

    let claimed = claim(&mut destinations, at(100));

    assert_eq!(
        destinations.wake_at(),
        None,
        "a probe's end wakes, no time does"
    );
    assert_eq!(claimed.len(), 2, "{claimed:?}");
    assert_eq!(claimed.iter().map(|(_, count)| count).sum::<u32>(), 5);
    assert!(claimed.contains(&("other".into(), 4)));
}

#[test]
fn an_operator_retry_skips_the_relays_backoff_and_respects_retry_after() {
    let (one, two, slow) = (
        destination("a", "one"),
        destination("a", "two"),
        destination("b", "slow"),
    );
    let mut destinations = destinations(&[&one, &two, &slow]);
    destinations.back_off_account(
        &one,
        at(1),
        failed(Cause::Configuration(Fault::Access), None),
    );
    destinations.back_off_mailbox(&one, at(1), failed(Cause::Unavailable, None));
    destinations.back_off_mailbox(&slow, at(1), failed(Cause::Throttled, Some(20 * SECOND)));
    assert_eq!(claim(&mut destinations, at(1)), []);

    destinations.ease(&one, at(1));
    destinations.ease(&slow, at(1));

    assert_eq!(claim(&mut destinations, at(1)), [("one".into(), 1)]);
    assert_eq!(claim(&mut destinations, at(20)), []);
}

#[test]
fn every_second_probe_is_the_newest_message_unless_graph_throttles() {
    for (cause, expected) in [
        (Cause::Unavailable, [true, false, true]),
        (Cause::Configuration(Fault::Access), [true, false, true]),
        (Cause::Throttled, [false, false, false]),
    ] {
        let one = destination("a", "one");
        let mut destinations = destinations(&[&one]);
        let newest = [1000, 2000, 3000].map(|seconds| {
            destinations.back_off_mailbox(&one, at(seconds), failed(cause, None));
            destinations.wants(at(seconds + 900))[0].newest_first
        });
        assert_eq!(newest, expected, "{cause:?}");
    }
}

#[test]
fn failures_under_way_together_count_once() {
    let one = destination("a", "one");
    let mut destinations = destinations(&[&one]);
    for _ in 0..4 {
        destinations.back_off_mailbox(&one, at(0), failed(Cause::Unavailable, None));
    }

    let wake = destinations.wake_at().unwrap();
    assert!(wake <= at(2), "{wake:?}");
}

#[test]
fn a_fault_is_logged_once_until_it_is_over() {
    let one = destination("a", "one");
    let mut destinations = destinations(&[&one]);

    assert_eq!(
        destinations.tell_mailbox(&one, "denied", at(0)),
        Notice::New
    );
    assert_eq!(
        destinations.tell_mailbox(&one, "denied", at(0)),
        Notice::Known
    );
    assert_eq!(destinations.tell_mailbox(&one, "full", at(0)), Notice::New);
    assert!(destinations.worked(&one, at(1)));
    assert!(!destinations.worked(&one, at(1)));
    assert_eq!(
        destinations.tell_mailbox(&one, "denied", at(0)),
        Notice::New
    );
}

#[test]
fn a_mailbox_without_mail_is_forgotten_when_its_backoff_is_over() {
    let one = destination("a", "one");
    let mut destinations = destinations(&[&one]);
    drop(begin(&mut destinations, &one, at(0)));
    destinations.back_off_mailbox(&one, at(0), failed(Cause::Unavailable, Some(20 * SECOND)));
    destinations.ended(&one, at(0));

    destinations.set_upcoming(&one, None, at(0));
    assert_eq!(claim(&mut destinations, at(19)), []);
    assert_eq!(destinations.count(), 1);

    assert_eq!(claim(&mut destinations, at(20)), []);
    assert_eq!((destinations.count(), destinations.wake_at()), (0, None));
}

#[test]
fn a_round_looks_at_no_mailbox_that_waits_for_its_time() {
    let names: Vec<Destination> = (0..20_000)
        .map(|n| destination("a", &format!("box{n}")))
        .collect();
    let mut destinations = destinations(&names.iter().collect::<Vec<_>>());
    for name in &names {
        destinations.back_off_mailbox(name, at(0), failed(Cause::Unavailable, Some(60 * SECOND)));
    }
    let good = destination("a", "good");
    destinations.has_due(&good, at(1), at(1));
    claim(&mut destinations, at(1));
    let before = destinations.visited;

    for _ in 0..100 {
        destinations.ended(&good, at(1));
        assert_eq!(claim(&mut destinations, at(1)), [("good".into(), 1)]);
    }

    assert!(
        destinations.visited - before <= 200,
        "{}",
        destinations.visited - before
    );
}

#[test]
fn an_account_is_probed_with_the_mail_that_came_last_then_with_the_first() {
    let (one, two, three) = (
        destination("a", "one"),
        destination("a", "two"),
        destination("a", "three"),
    );
    let mut destinations = destinations(&[]);
    for (number, destination) in [&one, &two, &three].into_iter().enumerate() {
        destinations.has_due(destination, at(number as u64), at(5));
    }
    let fault = || failed(Cause::Configuration(Fault::Access), None);
    destinations.back_off_account(&one, at(5), fault());

    assert_eq!(claim(&mut destinations, at(100)), [("three".into(), 1)]);
    destinations.set_upcoming(&three, None, at(100));
    destinations.back_off_account(&three, at(100), fault());
    destinations.ended(&three, at(100));

    assert_eq!(claim(&mut destinations, at(200)), [("two".into(), 1)]);
}

#[test]
fn the_probe_is_not_the_message_that_failed_last() {
    let one = destination("a", "one");
    let mut destinations = destinations(&[&one]);
    let failed = failed(Cause::Throttled, None);
    destinations.back_off_mailbox(&one, at(0), failed);

    let wants = destinations.wants(at(100));

    assert_eq!(wants[0].behind, [failed.id]);
    // Except when an operator has asked for it.
    destinations.ease(&one, at(100));
    assert_eq!(destinations.wants(at(100))[0].behind, []);
}
