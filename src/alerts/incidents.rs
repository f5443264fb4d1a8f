//! Which problems an alert has reported, and what there is to tell now.
//!
//! A problem is raised when it is first seen, and over when it has not been seen for
//! `over_after`: one that comes and goes is one problem. Only what was reported is reported as over.
//! Some problems follow from others: if an account gets no token, its mail waits, and
//! `doctor` finds a failure. Such a problem is not reported while a cause is ([`causes`]). If it
//! stays when the cause is over, it is reported then.
//!
//! What begins or ends within a minute of the last alert waits for the rest of this minute,
//! so that a hundred mailboxes that fail one after the other are a few alerts.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::admin::Status;
use crate::admin::attention::Condition;
use crate::admin::attention::Kind;
use crate::admin::attention::conditions;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::config::Alert;
use crate::config::alerts::AlertEvent;
use crate::config::alerts::AlertTarget;

/// A problem that was seen and is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Incident {
    /// What, in its latest words.
    #[serde(flatten)]
    pub(super) condition: Condition,
    /// When it began.
    pub(super) began: Timestamp,
    /// When it was last seen; of an event, when it last happened.
    pub(super) seen_at: Timestamp,
    /// When it was last seen. Of an event, when it was first seen or last happened.
    seen: RunningTime,
    /// Of an event, when it last happened.
    happened: Option<RunningTime>,
    /// Whether its beginning was reported.
    reported: bool,
}

/// The problems that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Incidents {
    open: Vec<Incident>,
    /// When something was last reported.
    reported_at: Option<RunningTime>,
    /// The last of each event that is over: a list that still shows it is no news.
    past: Vec<Past>,
}

/// An event that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    kind: Kind,
    subject: Option<String>,
    happened: RunningTime,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changes {
    /// Problems that have begun.
    pub(super) began: Vec<Incident>,
    /// Problems that are over.
    pub(super) ended: Vec<Incident>,
    /// Told problems that go on.
    pub(super) open: usize,
}

/// An event is news for this long at least, so that none is missed between two looks.
const NEWS: Duration = Duration::from_secs(10);
/// The same event is this long ago at most, give or take.
const ABOUT: Duration = Duration::from_secs(1);
/// After an alert, the next one waits for this long, or for `over_after` if that is less.
const PAUSE: Duration = Duration::from_secs(60);

/// What a problem leads to shows within this time: mail waits, or doctor looks every hour.
const CONSEQUENCES: Duration = Duration::from_secs(2 * 60 * 60);

/// The event of a kind of problem; none if it is only shown.
fn event(kind: Kind) -> Option<AlertEvent> {
    Some(match kind {
        Kind::MessageFailed => AlertEvent::MessageFailed,
        Kind::MessageHeld => AlertEvent::MessageHeld,
        Kind::MailWaits => AlertEvent::MailWaits,
        Kind::CredentialExpires => AlertEvent::CredentialExpires,
        Kind::SignInNeeded => AlertEvent::SignInNeeded,
        Kind::NoToken => AlertEvent::NoToken,
        Kind::DeliveryRefused => AlertEvent::DeliveryRefused,
        Kind::DeliveryPaused => AlertEvent::DeliveryPaused,
        Kind::DiskFull => AlertEvent::DiskFull,
        Kind::SpoolError => AlertEvent::SpoolError,
        Kind::Doctor => AlertEvent::Doctor,
        Kind::AlertFailed => AlertEvent::AlertFailed,
        // These last for moments, or end in one of the others if they do not.
        Kind::BackingOff
        | Kind::Stalled
        | Kind::MessageStuck
        | Kind::NoAccount
        | Kind::DailyLimit
        | Kind::Configuration
        | Kind::ConnectionsFull
        | Kind::LogUnread
        | Kind::PickupWaits => return None,
    })
}

/// The kinds that a problem may follow from.
fn causes(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::DeliveryRefused => &[Kind::NoToken, Kind::SignInNeeded],
        Kind::MailWaits => &[
            Kind::NoToken,
            Kind::SignInNeeded,
            Kind::DeliveryRefused,
            Kind::DeliveryPaused,
            Kind::SpoolError,
        ],
        Kind::Doctor => &[
            Kind::NoToken,
            Kind::SignInNeeded,
            Kind::DeliveryRefused,
            Kind::MailWaits,
            Kind::SpoolError,
        ],
        Kind::MessageFailed
        | Kind::MessageHeld
        | Kind::CredentialExpires
        | Kind::SignInNeeded
        | Kind::NoToken
        | Kind::BackingOff
        | Kind::Stalled
        | Kind::MessageStuck
        | Kind::NoAccount
        | Kind::DailyLimit
        | Kind::DiskFull
        | Kind::SpoolError
        | Kind::DeliveryPaused
        | Kind::AlertFailed
        | Kind::Configuration
        | Kind::ConnectionsFull
        | Kind::LogUnread
        | Kind::PickupWaits => &[],
    }
}

/// The problems of a status that an alert is sent for.
pub(super) fn concerning(alert: &Alert, status: &Status) -> Vec<Condition> {
    let news = alert.over_after.max(NEWS).as_millis();
    let news = u64::try_from(news).unwrap_or(u64::MAX);
    let is_wanted = |condition: &Condition| {
        let is_fresh = condition.happened_ago_ms.is_none_or(|ago| ago < news);
        let event = event(condition.kind);
        is_fresh
            && event.is_some_and(|event| alert.on.contains(&event))
            && !is_own(alert, condition)
    };
    let found = conditions(status, alert.mail_waits_after);
    found.into_iter().filter(is_wanted).collect()
}

/// An alert does not report that it does not work itself. And there is no mail about mail.
fn is_own(alert: &Alert, condition: &Condition) -> bool {
    let subject = condition.subject.as_deref().unwrap_or_default();
    let same_way = match alert.target {
        AlertTarget::Webhook(_) => subject == alert.name,
        AlertTarget::Mail(_) => subject.starts_with("mail"),
    };
    condition.kind == Kind::AlertFailed && same_way
}

impl Incidents {
    /// Compares with what is seen now. Returns what there is to tell, which counts as reported
    /// then.
    pub(super) fn compare(
        &mut self,
        seen: Vec<Condition>,
        now: Moment,
        over_after: Duration,
    ) -> Option<Changes> {
        for condition in seen {
            self.see(condition, now);
        }
        let reported_at = self.reported_at.filter(|at| *at <= now.running);
        let pause = PAUSE.min(over_after);
        if reported_at.is_some_and(|at| now.running.since(at) < pause) {
            return None;
        }
        let is_over = |incident: &Incident| now.running.since(incident.seen) >= over_after;
        let (over, open) = self.open.drain(..).partition(is_over);
        self.open = open;
        let over: Vec<Incident> = over;
        over.iter().for_each(|incident| self.remember(incident));
        let ended: Vec<_> = over
            .into_iter()
            .filter(|incident| incident.reported)
            .collect();
        let began = self.begin();
        if began.is_empty() && ended.is_empty() {
            return None;
        }
        self.reported_at = Some(now.running);
        Some(Changes {
            open: self.reported() - began.len(),
            began,
            ended,
        })
    }

    /// Begins again after a start: what lasted until the stop has not been looked for since,
    /// and another spool may have counted the times.
    pub(super) fn correct(&mut self, now: RunningTime) {
        for incident in &mut self.open {
            incident.seen = match incident.happened {
                Some(_) => incident.seen.min(now),
                None => now,
            };
        }
        self.past.retain(|past| past.happened <= now);
    }

    /// How many were reported and are not over.
    pub(super) fn reported(&self) -> usize {
        self.open
            .iter()
            .filter(|incident| incident.reported)
            .count()
    }

    /// Whether more than the time and the words has changed.
    pub(super) fn differs(&self, before: &Self) -> bool {
        let key = |it: &Incident| (it.condition.kind, it.condition.subject.clone(), it.reported);
        !self.open.iter().map(key).eq(before.open.iter().map(key))
    }

    fn see(&mut self, condition: Condition, now: Moment) {
        let ago = condition.happened_ago_ms.map(Duration::from_millis);
        let happened = ago.map(|ago| now.running - ago);
        let seen_at = now.at - ago.unwrap_or_default();
        let same = |incident: &&mut Incident| {
            let known = &incident.condition;
            known.kind == condition.kind && known.subject == condition.subject
        };
        if let Some(incident) = self.open.iter_mut().find(same) {
            incident.seen = happened.map_or(now.running, |it| it.max(incident.seen));
            incident.happened = happened;
            incident.seen_at = seen_at;
            incident.condition = condition;
            return;
        }
        if happened.is_some_and(|at| self.is_past(&condition, at)) {
            return;
        }
        self.open.push(Incident {
            began: condition.since.unwrap_or(seen_at),
            seen_at,
            seen: now.running,
            happened,
            reported: false,
            condition,
        });
    }

    fn remember(&mut self, over: &Incident) {
        let Some(happened) = over.happened else {
            return;
        };
        let Condition { kind, subject, .. } = over.condition.clone();
        self.past
            .retain(|past| past.kind != kind || past.subject != subject);
        self.past.push(Past {
            kind,
            subject,
            happened,
        });
    }

    /// Whether an event has been over before.
    fn is_past(&self, condition: &Condition, happened: RunningTime) -> bool {
        let mut past = self.past.iter();
        past.any(|past| {
            past.kind == condition.kind
                && past.subject == condition.subject
                && happened <= past.happened + ABOUT
        })
    }

    /// Marks what is to be reported as reported, the causes first.
    fn begin(&mut self) -> Vec<Incident> {
        let mut began = Vec::new();
        loop {
            let waits = |it: &Incident| !it.reported && !self.is_consequence(it);
            let Some(next) = self.open.iter().position(waits) else {
                return began;
            };
            if let Some(incident) = self.open.get_mut(next) {
                incident.reported = true;
                began.push(incident.clone());
            }
        }
    }

    /// Whether a problem that it may follow from is open and began not long before it.
    fn is_consequence(&self, incident: &Incident) -> bool {
        let causes = causes(incident.condition.kind);
        let is_cause = |other: &Incident| {
            causes.contains(&other.condition.kind)
                && incident.began.since(other.began) <= CONSEQUENCES
        };
        self.open.iter().any(is_cause)
    }
}

#[cfg(test)]
mod tests {
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
        let (paused, waits) = (
            (Kind::DeliveryPaused, "a@contoso.com"),
            (Kind::MailWaits, ""),
        );

        assert_eq!(
            reported(&mut incidents, 0, &[paused]).0,
            [Kind::DeliveryPaused]
        );
        assert_eq!(
            reported(&mut incidents, 24 * 60, &[paused, waits]).0,
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
        let (paused, waits) = ((Kind::DeliveryPaused, ""), (Kind::MailWaits, ""));

        assert_eq!(
            reported(&mut incidents, 0, &[waits, paused]).0,
            [Kind::DeliveryPaused]
        );
        assert_eq!(reported(&mut incidents, 4, &[waits]).0, []);
        assert_eq!(
            reported(&mut incidents, 6, &[waits]),
            (vec![Kind::MailWaits], vec![Kind::DeliveryPaused])
        );
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
    fn an_event_is_over_a_while_after_it_last_happened() {
        let mut incidents = Incidents::default();
        let failed = |ago: u64| {
            let mut failed = condition(Kind::MessageFailed, "");
            failed.happened_ago_ms = Some(ago * 60_000);
            vec![failed]
        };

        assert!(incidents.compare(failed(0), at(0), OVER).is_some());
        assert!(incidents.compare(failed(4), at(4), OVER).is_none());
        let ended = incidents.compare(vec![], at(5), OVER).unwrap().ended;
        assert_eq!(ended[0].seen_at, at(0).at);
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
        assert_eq!(look(4, 3), Some((0, 1)));
        assert_eq!(look(6, 5), None);
        assert_eq!(look(8, 1), Some((1, 0)));
    }
}
