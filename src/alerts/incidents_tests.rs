//! Problems and events, minute by minute.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const OVER: Duration = Duration::from_secs(5 * 60);

const TOKEN: (Kind, &str) = (Kind::NoToken, "contoso");
const WAITS: (Kind, &str) = (Kind::MailWaits, "");
const HELD: (Kind, &str) = (Kind::MessageHeld, "held");

fn at(minutes: u32) -> Moment {
    at_second(60 * u64::from(minutes))
}

fn at_second(seconds: u64) -> Moment {
    let since = Duration::from_secs(seconds);
    Moment {
        at: Timestamp::from_millis(1_800_000_000_000) + since,
        running: RunningTime::from_millis(0) + since,
    }
}

fn condition(kind: Kind, subject: &str) -> Condition {
    let json = serde_json::json!({"kind": kind, "subject": subject, "sentence": "it is wrong"});
    serde_json::from_value(json).unwrap()
}

/// A message that failed this long ago.
fn event(subject: &str, ago: Duration) -> Condition {
    Condition {
        happened_ago_ms: Some(u64::try_from(ago.as_millis()).unwrap()),
        ..condition(Kind::MessageFailed, subject)
    }
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

    assert_eq!(
        reported(&mut incidents, 0, &[WAITS]),
        (vec![Kind::MailWaits], vec![])
    );
    for minute in [1, 2, 6] {
        assert_eq!(reported(&mut incidents, minute, &[WAITS]), (vec![], vec![]));
        assert_eq!(reported(&mut incidents, minute + 1, &[]), (vec![], vec![]));
    }
    let changes = incidents.compare(vec![], at(11), OVER).unwrap();

    assert!(changes.began.is_empty());
    let lasted = changes.ended[0].seen_at.since(changes.ended[0].began);
    assert_eq!(lasted, 6 * MINUTE);
    assert_eq!(reported(&mut incidents, 20, &[]), (vec![], vec![]));
    assert_eq!(
        reported(&mut incidents, 21, &[WAITS]),
        (vec![Kind::MailWaits], vec![])
    );
}

#[test]
fn a_problem_that_begins_long_after_a_lasting_one_is_reported_by_itself() {
    let mut incidents = Incidents::default();

    assert_eq!(reported(&mut incidents, 0, &[TOKEN]).0, [Kind::NoToken]);
    assert_eq!(
        reported(&mut incidents, 24 * 60, &[TOKEN, WAITS]).0,
        [Kind::MailWaits]
    );
}

#[test]
fn a_pause_of_one_mailbox_does_not_hide_that_the_mail_of_others_waits() {
    let mut incidents = Incidents::default();
    let paused = (Kind::DeliveryPaused, "a@contoso.com");

    assert_eq!(
        reported(&mut incidents, 0, &[paused]).0,
        [Kind::DeliveryPaused]
    );
    assert_eq!(
        reported(&mut incidents, 20, &[paused, WAITS]).0,
        [Kind::MailWaits]
    );
}

#[test]
fn a_restart_does_not_end_a_problem_that_is_only_seen_again_some_time_later() {
    let mut incidents = Incidents::default();
    assert_eq!(reported(&mut incidents, 0, &[TOKEN]).0, [Kind::NoToken]);

    // The file was last written an hour ago.
    incidents.correct(at(60).running);

    assert_eq!(reported(&mut incidents, 60, &[]), (vec![], vec![]));
    assert_eq!(reported(&mut incidents, 61, &[TOKEN]), (vec![], vec![]));
    assert_eq!(reported(&mut incidents, 70, &[]).1, [Kind::NoToken]);
}

#[test]
fn consequences_of_an_outage_are_not_reported_separately() {
    let mut incidents = Incidents::default();
    let doctor = (Kind::Doctor, "");

    assert_eq!(reported(&mut incidents, 0, &[TOKEN]).0, [Kind::NoToken]);
    assert_eq!(reported(&mut incidents, 15, &[WAITS, TOKEN]).0, []);
    assert_eq!(reported(&mut incidents, 60, &[doctor, WAITS, TOKEN]).0, []);
    // Both end together: only a reported beginning has a reported end.
    assert_eq!(
        reported(&mut incidents, 70, &[]),
        (vec![], vec![Kind::NoToken])
    );
}

#[test]
fn a_consequence_that_outlives_its_cause_is_reported_when_the_cause_is_over() {
    let mut incidents = Incidents::default();

    assert_eq!(
        reported(&mut incidents, 0, &[WAITS, TOKEN]).0,
        [Kind::NoToken]
    );
    assert_eq!(reported(&mut incidents, 4, &[WAITS]).0, []);
    assert_eq!(
        reported(&mut incidents, 6, &[WAITS]),
        (vec![Kind::MailWaits], vec![Kind::NoToken])
    );
}

#[test]
fn a_problem_that_is_gone_before_its_alert_is_not_reported_unless_it_comes_back() {
    let mut incidents = Incidents::default();
    assert_eq!(reported(&mut incidents, 0, &[TOKEN]).0, [Kind::NoToken]);
    let seen = [TOKEN, HELD].map(|(kind, of)| condition(kind, of));

    // Less than a minute after that alert.
    assert_eq!(incidents.compare(seen.to_vec(), at_second(30), OVER), None);
    assert_eq!(reported(&mut incidents, 1, &[TOKEN]), (vec![], vec![]));
    assert_eq!(
        reported(&mut incidents, 2, &[TOKEN, HELD]).0,
        [Kind::MessageHeld]
    );
}

#[test]
fn a_cause_that_was_gone_before_its_alert_keeps_no_consequence_back() {
    let mut incidents = Incidents::default();
    assert_eq!(reported(&mut incidents, 0, &[HELD]).0, [Kind::MessageHeld]);
    let seen = [HELD, TOKEN].map(|(kind, of)| condition(kind, of));

    assert_eq!(incidents.compare(seen.to_vec(), at_second(30), OVER), None);
    assert_eq!(
        reported(&mut incidents, 1, &[HELD, WAITS]).0,
        [Kind::MailWaits]
    );
}

#[test]
fn an_event_during_the_pause_is_reported_even_if_over_after_is_as_short() {
    let mut incidents = Incidents::default();
    let [first, second] = ["a", "b"].map(|subject| vec![event(subject, Duration::ZERO)]);
    assert!(incidents.compare(first, at(0), MINUTE).is_some());

    assert_eq!(incidents.compare(second, at_second(15), MINUTE), None);
    let changes = incidents.compare(Vec::new(), at(2), MINUTE).unwrap();

    assert_eq!(changes.began[0].condition.subject.as_deref(), Some("b"));
}

#[test]
fn a_consequence_that_ends_before_its_cause_is_not_reported() {
    let mut incidents = Incidents::default();

    assert_eq!(
        reported(&mut incidents, 0, &[WAITS, TOKEN]).0,
        [Kind::NoToken]
    );
    assert_eq!(reported(&mut incidents, 2, &[WAITS]), (vec![], vec![]));
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
        let now = at_second(2 * u64::from(n));
        alerts += u32::from(incidents.compare(seen, now, OVER).is_some());
    }

    assert_eq!(alerts, 4);
    assert!(incidents.reported() > 90);
}

#[test]
fn an_event_does_not_end_and_begins_again_a_while_after_it_last_happened() {
    let mut incidents = Incidents::default();
    let failed = |minutes: u32| vec![event("", MINUTE * minutes)];

    assert!(incidents.compare(failed(0), at(0), OVER).is_some());
    assert!(incidents.compare(failed(0), at(4), OVER).is_none());
    assert_eq!(incidents.compare(failed(5), at(9), OVER), None);
    let again = incidents.compare(failed(0), at(10), OVER).unwrap();
    assert_eq!((again.began.len(), again.ended.len()), (1, 0));
}

#[test]
fn an_event_is_not_among_the_problems_that_go_on() {
    let mut incidents = Incidents::default();
    let failed = event("", Duration::ZERO);
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
        let failed = event("", Duration::from_secs(ago));
        let changes = incidents.compare(vec![failed], at_second(second), over);
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
    let mut failed = event("", Duration::ZERO);
    // The relay was stopped for most of this time.
    failed.since = Some(at(0).at);

    let changes = incidents.compare(vec![failed], at(60), OVER).unwrap();

    assert_eq!(changes.began[0].began, at(0).at);
    assert_eq!(changes.began[0].seen_at, at(0).at);
}
