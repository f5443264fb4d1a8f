//! Problems and events, minute by minute.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const OVER: Duration = Duration::from_secs(5 * 60);

fn at(minutes: u32) -> Moment {
    let millis = i64::from(minutes) * 60_000;
    Moment {
        at: Timestamp::from_millis(1_800_000_000_000 + millis),
        running: RunningTime::from_millis(millis),
    }
}

fn condition(kind: Kind, subject: &str) -> Condition {
    let json = serde_json::json!({"kind": kind, "subject": subject, "sentence": "it is wrong"});
    serde_json::from_value(json).unwrap()
}

/// What is reported in this minute: begun, and over.
fn reported(
    incidents: &mut Incidents,
    minute: u32,
    seen: &[(Kind, &str)],
) -> (Vec<Kind>, Vec<Kind>) {
    let seen = seen.iter().map(|(kind, of)| condition(*kind, of)).collect();
    let changes = incidents.compare(seen, at(minute), OVER);
    let kinds = |incidents: &[Incident]| incidents.iter().map(|it| it.condition.kind).collect();
    changes.map_or_else(Default::default, |changes| {
        (kinds(&changes.began), kinds(&changes.ended))
    })
}

#[test]
fn an_outage_that_comes_and_goes_begins_once_and_ends_once() {
    let mut incidents = Incidents::default();
    let waits = [(Kind::MailWaits, "")];

    assert_eq!(
        reported(&mut incidents, 0, &waits),
        (vec![Kind::MailWaits], vec![])
    );
    for minute in [1, 2, 6] {
        assert_eq!(reported(&mut incidents, minute, &waits), (vec![], vec![]));
        assert_eq!(reported(&mut incidents, minute + 1, &[]), (vec![], vec![]));
    }
    let changes = incidents.compare(vec![], at(11), OVER).unwrap();

    assert!(changes.began.is_empty());
    let lasted = changes.ended[0].seen_at.since(changes.ended[0].began);
    assert_eq!(lasted, 6 * MINUTE);
    assert_eq!(reported(&mut incidents, 20, &[]), (vec![], vec![]));
    assert_eq!(
        reported(&mut incidents, 21, &waits),
        (vec![Kind::MailWaits], vec![])
    );
}

#[test]
fn a_problem_that_begins_long_after_a_lasting_one_is_reported_by_itself() {
    let mut incidents = Incidents::default();
    let (token, waits) = ((Kind::NoToken, "contoso"), (Kind::MailWaits, ""));

    assert_eq!(reported(&mut incidents, 0, &[token]).0, [Kind::NoToken]);
    assert_eq!(
        reported(&mut incidents, 24 * 60, &[token, waits]).0,
        [Kind::MailWaits]
    );
}

#[test]
fn a_pause_of_one_mailbox_does_not_hide_that_the_mail_of_others_waits() {
    let mut incidents = Incidents::default();
    let (paused, waits) = (
        (Kind::DeliveryPaused, "a@contoso.com"),
        (Kind::MailWaits, ""),
    );

    assert_eq!(
        reported(&mut incidents, 0, &[paused]).0,
        [Kind::DeliveryPaused]
    );
    assert_eq!(
        reported(&mut incidents, 20, &[paused, waits]).0,
        [Kind::MailWaits]
    );
}

#[test]
fn a_restart_does_not_end_a_problem_that_is_only_seen_again_some_time_later() {
    let mut incidents = Incidents::default();
    let token = [(Kind::NoToken, "contoso")];
    assert_eq!(reported(&mut incidents, 0, &token).0, [Kind::NoToken]);

    // The file was last written an hour ago.
    incidents.correct(at(60).running);

    assert_eq!(reported(&mut incidents, 60, &[]), (vec![], vec![]));
    assert_eq!(reported(&mut incidents, 61, &token), (vec![], vec![]));
    assert_eq!(reported(&mut incidents, 70, &[]).1, [Kind::NoToken]);
}

#[test]
fn the_consequences_of_an_outage_are_not_told_by_themselves() {
    let mut incidents = Incidents::default();
    let (token, waits) = ((Kind::NoToken, "contoso"), (Kind::MailWaits, ""));
    let doctor = (Kind::Doctor, "");

    assert_eq!(reported(&mut incidents, 0, &[token]).0, [Kind::NoToken]);
    assert_eq!(reported(&mut incidents, 15, &[waits, token]).0, []);
    assert_eq!(reported(&mut incidents, 60, &[doctor, waits, token]).0, []);
    // Both end together: only a reported beginning has a reported end.
    assert_eq!(
        reported(&mut incidents, 70, &[]),
        (vec![], vec![Kind::NoToken])
    );
}

#[test]
fn a_consequence_that_outlives_its_cause_is_told_then() {
    let mut incidents = Incidents::default();
    let (token, waits) = ((Kind::NoToken, "contoso"), (Kind::MailWaits, ""));

    assert_eq!(
        reported(&mut incidents, 0, &[waits, token]).0,
        [Kind::NoToken]
    );
    assert_eq!(reported(&mut incidents, 4, &[waits]).0, []);
    assert_eq!(
        reported(&mut incidents, 6, &[waits]),
        (vec![Kind::MailWaits], vec![Kind::NoToken])
    );
}

#[test]
fn a_problem_that_is_gone_before_its_alert_is_not_reported_unless_it_comes_back() {
    let mut incidents = Incidents::default();
    let (token, held) = ((Kind::NoToken, "contoso"), (Kind::MessageHeld, "held"));
    assert_eq!(reported(&mut incidents, 0, &[token]).0, [Kind::NoToken]);
    // Less than a minute after that alert.
    let half = Moment {
        at: at(0).at + MINUTE / 2,
        running: at(0).running + MINUTE / 2,
    };
    let seen = [token, held].map(|(kind, of)| condition(kind, of));

    assert_eq!(incidents.compare(seen.to_vec(), half, OVER), None);
    assert_eq!(reported(&mut incidents, 1, &[token]), (vec![], vec![]));
    assert_eq!(
        reported(&mut incidents, 2, &[token, held]).0,
        [Kind::MessageHeld]
    );
}

#[test]
fn a_cause_that_was_gone_before_its_alert_keeps_no_consequence_back() {
    let mut incidents = Incidents::default();
    let held = (Kind::MessageHeld, "held");
    let (token, waits) = ((Kind::NoToken, "contoso"), (Kind::MailWaits, ""));
    assert_eq!(reported(&mut incidents, 0, &[held]).0, [Kind::MessageHeld]);
    let half = Moment {
        at: at(0).at + MINUTE / 2,
        running: at(0).running + MINUTE / 2,
    };
    let seen = [held, token].map(|(kind, of)| condition(kind, of));

    assert_eq!(incidents.compare(seen.to_vec(), half, OVER), None);
    assert_eq!(
        reported(&mut incidents, 1, &[held, waits]).0,
        [Kind::MailWaits]
    );
}

#[test]
fn an_event_is_reported_although_the_pause_is_as_long_as_it_lasts() {
    let mut incidents = Incidents::default();
    let event = |subject: &str| {
        let mut event = condition(Kind::MessageFailed, subject);
        event.happened_ago_ms = Some(0);
        event
    };
    assert!(incidents.compare(vec![event("a")], at(0), MINUTE).is_some());
    let soon = Moment {
        at: at(0).at + MINUTE / 4,
        running: at(0).running + MINUTE / 4,
    };

    assert_eq!(incidents.compare(vec![event("b")], soon, MINUTE), None);
    let changes = incidents.compare(Vec::new(), at(2), MINUTE).unwrap();

    assert_eq!(changes.began[0].condition.subject.as_deref(), Some("b"));
}

#[test]
fn a_consequence_that_ends_before_its_cause_is_not_reported() {
    let mut incidents = Incidents::default();
    let (token, waits) = ((Kind::NoToken, "contoso"), (Kind::MailWaits, ""));

    assert_eq!(
        reported(&mut incidents, 0, &[waits, token]).0,
        [Kind::NoToken]
    );
    assert_eq!(reported(&mut incidents, 2, &[waits]), (vec![], vec![]));
    assert_eq!(
        reported(&mut incidents, 6, &[]),
        (vec![], vec![Kind::NoToken])
    );
    assert_eq!(reported(&mut incidents, 9, &[]), (vec![], vec![]));
}

#[test]
fn a_hundred_mailboxes_that_fail_one_after_the_other_are_a_few_alerts() {
    let mut incidents = Incidents::default();
    let names: Vec<String> = (0..100).map(|n| format!("box{n}@contoso.com")).collect();
    let mut alerts = 0;
    for n in 0..100_u32 {
        let seen = names.iter().take(n as usize + 1);
        let seen = seen
            .map(|name| condition(Kind::SignInNeeded, name))
            .collect();
        // One mailbox in two seconds.
        let millis = i64::from(n) * 2000;
        let now = Moment {
            at: Timestamp::from_millis(millis),
            running: RunningTime::from_millis(millis),
        };
        alerts += u32::from(incidents.compare(seen, now, OVER).is_some());
    }

    assert_eq!(alerts, 4);
    assert!(incidents.reported() > 90);
}

#[test]
fn an_event_does_not_end_and_begins_again_a_while_after_it_last_happened() {
    let mut incidents = Incidents::default();
    let failed = |ago: u64| {
        let mut failed = condition(Kind::MessageFailed, "");
        failed.happened_ago_ms = Some(ago * 60_000);
        vec![failed]
    };

    assert!(incidents.compare(failed(0), at(0), OVER).is_some());
    assert!(incidents.compare(failed(0), at(4), OVER).is_none());
    assert_eq!(incidents.compare(failed(5), at(9), OVER), None);
    let again = incidents.compare(failed(0), at(10), OVER).unwrap();
    assert_eq!((again.began.len(), again.ended.len()), (1, 0));
}

#[test]
fn an_event_is_not_among_the_problems_that_go_on() {
    let mut incidents = Incidents::default();
    let mut failed = condition(Kind::MessageFailed, "");
    failed.happened_ago_ms = Some(0);
    let held = condition(Kind::MessageHeld, "");
    let open = |seen, minute, incidents: &mut Incidents| {
        let changes = incidents.compare(seen, at(minute), OVER);
        changes.map(|changes| changes.open)
    };

    assert_eq!(open(vec![failed], 0, &mut incidents), Some(0));
    assert_eq!(open(vec![held.clone()], 1, &mut incidents), Some(0));
    let paused = condition(Kind::DeliveryPaused, "");
    assert_eq!(open(vec![held, paused], 2, &mut incidents), Some(1));
}

#[test]
fn an_event_between_two_looks_is_reported_and_only_once() {
    let mut incidents = Incidents::default();
    let over = Duration::from_secs(1);
    let mut look = |second: u64, ago: u64| {
        let mut failed = condition(Kind::MessageFailed, "");
        failed.happened_ago_ms = Some(ago * 1000);
        let now = Moment {
            at: at(0).at + Duration::from_secs(second),
            running: at(0).running + Duration::from_secs(second),
        };
        let changes = incidents.compare(vec![failed], now, over);
        changes.map(|changes| (changes.began.len(), changes.ended.len()))
    };

    assert_eq!(look(2, 1), Some((1, 0)));
    assert_eq!(look(4, 3), None);
    assert_eq!(look(6, 5), None);
    assert_eq!(look(8, 1), Some((1, 0)));
}

#[test]
fn an_event_began_when_it_happened_by_the_wall_clock() {
    let mut incidents = Incidents::default();
    let mut failed = condition(Kind::MessageFailed, "");
    failed.happened_ago_ms = Some(0);
    // The relay was stopped for most of this time.
    failed.since = Some(at(0).at);

    let changes = incidents.compare(vec![failed], at(60), OVER).unwrap();

    assert_eq!(changes.began[0].began, at(0).at);
    assert_eq!(changes.began[0].seen_at, at(0).at);
}
