//! Which problems an alert has reported, and what there is to tell now.
//!
//! A problem is raised when it is first seen, and over when it has not been seen for
//! `over_after`: one that comes and goes is one problem. Only what was reported is reported
//! as over. An event (a message has failed) is reported when it happens, and never as over;
//! if it happens again within `over_after`, it is the same event. Some problems follow from
//! others: if an account gets no token, its mail waits, and `doctor` finds a failure. Such a
//! problem is not reported while a cause is ([`causes`]). If it stays when the cause is
//! over, it is reported then.
//!
//! What begins or ends within a minute of the last alert waits for the rest of this minute,
//! so that a hundred mailboxes that fail one after the other are a few alerts. What is gone by
//! the time that it would be reported is not reported, unless it comes back.

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

impl Incident {
    /// Whether its beginning is to be reported: of an event in any case, of a problem only
    /// while it is seen.
    fn awaits_beginning(&self, now: RunningTime) -> bool {
        !self.reported && (self.happened.is_some() || self.seen == now)
    }

    /// Whether its end is still to be reported. An event has none.
    fn awaits_end(&self) -> bool {
        self.reported && self.happened.is_none()
    }
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
        // An event that began during the pause is not over before it is reported.
        let is_over = |it: &Incident| {
            let waits = it.happened.is_some() && !it.reported;
            now.running.since(it.seen) >= over_after && !waits
        };
        let (over, open) = self.open.drain(..).partition(is_over);
        self.open = open;
        let over: Vec<Incident> = over;
        over.iter().for_each(|incident| self.remember(incident));
        let ended: Vec<_> = over.into_iter().filter(Incident::awaits_end).collect();
        let open = self.reported();
        let began = self.begin(now.running);
        if began.is_empty() && ended.is_empty() {
            return None;
        }
        self.reported_at = Some(now.running);
        Some(Changes { began, ended, open })
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
        self.open.iter().filter(|it| it.awaits_end()).count()
    }

    /// Whether more than the time and the words has changed.
    pub(super) fn differs(&self, before: &Self) -> bool {
        let key = |it: &Incident| (it.condition.kind, it.condition.subject.clone(), it.reported);
        !self.open.iter().map(key).eq(before.open.iter().map(key))
    }

    fn see(&mut self, condition: Condition, now: Moment) {
        let ago = condition.happened_ago_ms.map(Duration::from_millis);
        let happened = ago.map(|ago| now.running - ago);
        // The running time does not count while the relay is stopped.
        let seen_at = match ago {
            Some(ago) => condition.since.unwrap_or(now.at - ago),
            None => now.at,
        };
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
    fn begin(&mut self, now: RunningTime) -> Vec<Incident> {
        let mut began = Vec::new();
        loop {
            let waits = |it: &Incident| it.awaits_beginning(now) && !self.is_consequence(it, now);
            let Some(next) = self.open.iter().position(waits) else {
                return began;
            };
            if let Some(incident) = self.open.get_mut(next) {
                incident.reported = true;
                began.push(incident.clone());
            }
        }
    }

    /// Whether a problem that it may follow from is open, began not long before it, and is or will
    /// be reported.
    fn is_consequence(&self, incident: &Incident, now: RunningTime) -> bool {
        let causes = causes(incident.condition.kind);
        let is_cause = |other: &Incident| {
            causes.contains(&other.condition.kind)
                && (other.reported || other.awaits_beginning(now))
                && incident.began.since(other.began) <= CONSEQUENCES
        };
        self.open.iter().any(is_cause)
    }
}

#[cfg(test)]
#[path = "incidents_tests.rs"]
mod tests;
