//! The rules on statuses made up for them.

use super::*;
use crate::mail::SpoolId;

#[test]
fn a_mailbox_that_must_sign_in_is_named_once_though_the_doctor_found_it_too() {
    let at = Timestamp::from_millis(0);
    let finding = |check: &str, words: &str| Finding {
        check: check.to_owned(),
        state: FindingState::Failure,
        words: words.to_owned(),
        remedy: None,
        place: None,
        cause: None,
        key: None,
    };
    let mut checkup = Checkup {
        at,
        took_ms: 1,
        ok: 1,
        findings: vec![finding("token people", "anna@contoso.com not signed in")],
        passed: Vec::new(),
        error: None,
    };
    let known = [Condition::new(Kind::SignInNeeded, "").of("anna@contoso.com")];

    assert_eq!(of_doctor(&checkup, at, &known), None);
    assert!(of_doctor(&checkup, at, &[]).is_some());
    checkup
        .findings
        .push(finding("token more", "bert@contoso.com not signed in"));
    let found = of_doctor(&checkup, at, &known).unwrap();
    assert!(found.sentence.contains("a failure"), "{found}");
    assert!(found.sentence.contains("bert@contoso.com"), "{found}");
}

#[test]
fn mail_that_waits_while_nothing_leaves_is_trouble_after_a_quarter_of_an_hour() {
    let stalled = |seconds| {
        let delivery = Delivery {
            stalled_seconds: seconds,
            last_delivery_seconds: 100_000,
            ..Delivery::default()
        };
        let found = of_delivery(&delivery);
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        words
    };

    assert!(stalled(None).is_empty());
    assert!(stalled(Some(899)).is_empty());
    assert_eq!(
        stalled(Some(900)),
        ["nothing has been sent for 15m although mail is waiting"]
    );
}

#[test]
fn paused_mail_never_waits_for_too_long() {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let hour = 60 * 60 * 1000;
    let queue = |unpaused| Overview {
        oldest_waiting_ms: Some(7 * hour),
        oldest_unpaused_ms: unpaused,
        ..Overview::default()
    };

    assert_eq!(waits_for_long(&queue(None), now, LONG), None);
    assert_eq!(waits_for_long(&queue(Some(0)), now, LONG), None);
    let waits = waits_for_long(&queue(Some(hour)), now, LONG).unwrap();
    assert_eq!(waits.kind, Kind::MailWaits);
    assert_eq!(waits.since, Some(Timestamp::from_millis(1_799_996_400_000)));
}

#[test]
fn a_failure_has_the_time_of_the_wall_clock_at_which_it_happened() {
    let ended = Timestamp::from_millis(1_800_000_000_000);
    let failure = Failure {
        id: SpoolId::first_of(ended),
        ended_at: Some(ended),
        ended_ago_ms: Some(1000),
        reason: None,
        is_alert: false,
    };

    assert_eq!(failed(&failure).unwrap().since, Some(ended));
}

#[test]
fn all_failing_messages_are_counted_although_some_fail_while_others_get_through() {
    let queue = Overview {
        failing: 2,
        own_trouble: 1,
        failing_because: Some("Graph answered 403".to_owned()),
        ..Overview::default()
    };

    let found = stuck(&queue);

    assert!(found[0].sentence.starts_with("2 messages keep failing"));
    assert_eq!(found[0].detail, queue.failing_because);
}

#[test]
fn held_and_quarantined_messages_are_reported_in_whole_sentences() {
    let queue = Overview {
        states: [(State::Held, 1), (State::Quarantined, 2)].into(),
        ..Overview::default()
    };

    let found = of_queue(&queue);
    let sentences: Vec<&str> = found.iter().map(|it| it.sentence.as_str()).collect();

    assert_eq!(
        sentences,
        ["1 message is held", "2 messages are in quarantine"]
    );
}
