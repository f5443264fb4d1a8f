//! The rules: which parts of a status are problems, and what to do about each.

use std::time::Duration;

use super::AlertView;
use super::Checkup;
use super::Condition;
use super::Finding;
use super::FindingState;
use super::Kind;
use crate::admin::AccountView;
use crate::admin::EndingView;
use crate::admin::Status;
use crate::admin::TokenState;
use crate::admin::TokenView;
use crate::catalogue;
use crate::clock::Timestamp;
use crate::clock::span;
use crate::delivery::BackingOff;
use crate::delivery::BackoffCause;
use crate::delivery::Delivery;
use crate::delivery::STALLED;
use crate::listener::Connections;
use crate::listener::PickupTrouble;
use crate::spool::Failure;
use crate::spool::Overview;
use crate::spool::Pause;
use crate::spool::State;

/// Mail that has waited for longer is a problem, unless somebody chooses another time.
pub const LONG: Duration = Duration::from_secs(15 * 60);
/// Older failures are not a problem any more.
const RECENT: Duration = Duration::from_secs(24 * 60 * 60);
const LIST: &str = "graph-relay queue list";

/// Returns everything that needs attention. Mail that has waited for longer than `long`
/// does.
pub fn conditions(status: &Status, long: Duration) -> Vec<Condition> {
    let mut found = Vec::new();
    for account in &status.accounts {
        found.extend(of_account(account));
    }
    let certificate = status.certificate.as_ref();
    found.extend(certificate.and_then(|ends| {
        let what = "the listeners' certificate".to_owned();
        let remedy = "replace it with a new certificate: the relay uses it at once";
        expires(ends, "[tls]", &what, remedy)
    }));
    found.extend(status.paused.iter().map(paused));
    found.extend(of_delivery(&status.delivery));
    found.extend(stuck(&status.queue));
    found.extend(status.full.as_ref().map(|full| {
        let remedy = match status.is_database_gone {
            true => "restart the relay: systemctl restart graph-relay; until then clients get 451",
            false => "free up space; until then clients get 452 and keep their mail",
        };
        Condition::new(Kind::DiskFull, full).remedied(Some(remedy.to_owned()))
    }));
    if status.full.is_none() {
        found.extend(nearly_full(status));
    }
    found.extend(itself(status));
    if let Some(error) = status.spool_error.as_ref().filter(|it| it.is_recent()) {
        let ago = span(Duration::from_millis(error.ago_ms));
        let words = format!(
            "cannot write or read the spool (last error {ago} ago): {}",
            error.reason
        );
        let remedy = "check the disk (journalctl -k, df, mount); once it works again, run \
                      graph-relay spool check";
        found.push(Condition::new(Kind::SpoolError, words).remedied(Some(remedy.to_owned())));
    }
    found.extend(connections_full(&status.connections));
    found.extend(status.pickups.iter().map(pickup));
    found.extend(waits_for_long(&status.queue, status.now, long));
    found.extend(of_queue(&status.queue));
    let checkup = status.checkup.as_ref();
    let of_doctor = checkup.and_then(|it| of_doctor(it, status.now, &found));
    found.extend(of_doctor);
    found.extend(status.alerts.iter().filter_map(of_alert));
    found.extend(alert_mail(&status.queue));
    found
}

/// The disk or the spool will soon be full.
fn nearly_full(status: &Status) -> Option<Condition> {
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let disk = status
        .disk
        .filter(|disk| disk.free < disk.least.saturating_mul(2));
    let disk = disk.map(|disk| {
        let (free, least) = (megabytes(disk.free), megabytes(disk.least));
        format!("the disk is nearly full: {free} MB free; limits.free_space is {least} MB")
    });
    let spool = &status.spool;
    let stays = ["waiting", "held", "quarantined"];
    let stays = stays.iter().filter_map(|state| spool.states.get(*state));
    let stays = stays.sum::<u64>() + spool.receiving;
    let is_near = stays >= spool.limit - spool.limit / 10;
    let spool = is_near.then(|| {
        let (stays, limit) = (megabytes(stays), megabytes(spool.limit));
        format!("the spool is nearly full: {stays} MB; limits.spool_size is {limit} MB")
    });
    let near = Condition::new(Kind::DiskFull, disk.or(spool)?);
    let remedy = "free up space, or find out why mail waits, before clients get 452";
    Some(near.remedied(Some(remedy.to_owned())))
}

/// The checks of `doctor` that say of the status what has a rule here.
const LIVE: [&str; 6] = ["delivery", "throttling", "pause", "limits", "spool", "disk"];

/// Failures that the relay found when it examined itself, without those that are `known`
/// from the status: who needs to sign in is named once.
fn of_doctor(checkup: &Checkup, now: Timestamp, known: &[Condition]) -> Option<Condition> {
    let is_known = |finding: &Finding| {
        let is_of = |subject: &String| {
            finding.check == format!("token {subject}") || finding.words.contains(subject.as_str())
        };
        let mut tokens = known
            .iter()
            .filter(|condition| matches!(condition.kind, Kind::SignInNeeded | Kind::NoToken));
        finding.check.starts_with("token ")
            && tokens.any(|condition| condition.subject.as_ref().is_some_and(is_of))
    };
    let failures = checkup.findings.iter().filter(|finding| {
        finding.state == FindingState::Failure
            && !LIVE.contains(&finding.check.as_str())
            && !is_known(finding)
    });
    let failures: Vec<&Finding> = failures.collect();
    let ago = span(now.since(checkup.at));
    let words = match failures.as_slice() {
        [] => format!("doctor: {}", checkup.error.as_ref()?),
        [one] => format!(
            "doctor found a failure {ago} ago: {}: {}",
            one.check, one.words
        ),
        [first, more @ ..] => format!(
            "doctor found {} failures {ago} ago, the first is: {}: {}",
            more.len() + 1,
            first.check,
            first.words
        ),
    };
    let remedy = failures.first().and_then(|first| first.remedy.clone());
    let found = Condition::new(Kind::Doctor, words).remedied(remedy);
    Some(found.run("graph-relay doctor"))
}

/// One failed attempt is nothing to report yet.
const FAILING: u32 = 2;

fn of_alert(alert: &AlertView) -> Option<Condition> {
    let trouble = alert
        .trouble
        .as_ref()
        .filter(|_| alert.failing >= FAILING)?;
    let name = &alert.name;
    let failed = Condition {
        detail: Some(trouble.clone()),
        ..Condition::new(
            Kind::AlertFailed,
            format!("alerts by {name} cannot be sent"),
        )
    };
    Some(failed.of(name).run("graph-relay alert-test"))
}

/// The newest alert by mail that has failed, if that is recent.
fn alert_mail(queue: &Overview) -> Option<Condition> {
    let failure = queue.failures.iter().find(|failure| failure.is_alert)?;
    let ago = failure.ended_ago_ms?;
    (Duration::from_millis(ago) < RECENT).then(|| {
        let failed = Condition {
            since: failure.ended_at,
            happened_ago_ms: Some(ago),
            detail: failure.reason.clone(),
            ..Condition::new(Kind::AlertFailed, "an alert by mail has failed")
        };
        let command = format!("graph-relay queue show {}", failure.id);
        failed.of("mail").run(command)
    })
}

fn of_account(account: &AccountView) -> Vec<Condition> {
    let name = &account.name;
    let mut found = Vec::new();
    found.extend(account.ends.as_ref().and_then(|ends| {
        let remedy = "create a new one, replace the old one with it, and write its expiry date \
                      into relay.toml";
        expires(ends, name, &format!("the credential of {name}"), remedy)
    }));
    found.extend(account.trouble.as_ref().map(|trouble| {
        let remedy = "fix the credential that relay.toml names for this account";
        let unreadable = Condition::new(Kind::NoToken, trouble).of(name);
        unreadable.remedied(Some(remedy.to_owned()))
    }));
    found.extend(account.tokens.iter().filter_map(|it| of_token(name, it)));
    found
}

fn expires(ends: &EndingView, subject: &str, what: &str, remedy: &str) -> Option<Condition> {
    ends.is_near.then(|| {
        let words = format!("{what} expires soon or has expired");
        let near = Condition::new(Kind::CredentialExpires, words).of(subject);
        near.remedied(Some(format!("{remedy} (it expires at {})", ends.at)))
    })
}

fn of_token(account: &str, token: &TokenView) -> Option<Condition> {
    let mailbox = token.mailbox.as_ref();
    let whose = mailbox.map_or(account, |mailbox| mailbox.as_str());
    if token.state.needs_sign_in() {
        let words = format!("{whose} needs to sign in");
        let command = format!("graph-relay login {whose}");
        let needed = Condition::new(Kind::SignInNeeded, words).of(whose);
        let remedy = "sign in as this mailbox".to_owned();
        let detail = token.trouble.clone();
        return Some(
            Condition { detail, ..needed }
                .remedied(Some(remedy))
                .run(command),
        );
    }
    token.state.is_trouble().then(|| {
        let kind = match token.state == TokenState::Unavailable {
            true => Kind::BackingOff,
            false => Kind::NoToken,
        };
        let remedy = token.code.as_deref().and_then(catalogue::find);
        let mailbox = mailbox.map_or("MAILBOX", |it| it.as_str());
        let remedy =
            remedy.map(|entry| catalogue::named(entry.remedy, mailbox, catalogue::SOME_ADDRESS));
        let refused = Condition {
            detail: token.trouble.clone(),
            ..Condition::new(kind, format!("{whose} gets no token"))
        };
        refused.of(whose).remedied(remedy)
    })
}

fn paused(pause: &Pause) -> Condition {
    let (what, since) = (pause.what(), pause.since);
    let (by, why) = (pause.by(), pause.why());
    let words = format!("{what} has been paused since {since} {by}{why}");
    let subject = pause.mailbox.as_ref().map(ToString::to_string);
    Condition {
        subject,
        since: Some(since),
        ..Condition::new(Kind::DeliveryPaused, words)
    }
    .remedied(Some("resume it when the reason is gone".to_owned()))
    .run(pause.remedy())
}

/// What delivery waits for.
pub fn of_delivery(delivery: &Delivery) -> Vec<Condition> {
    let mut found: Vec<_> = delivery.backing_off.iter().map(backing_off).collect();
    let unlisted = delivery.backing_off_count.saturating_sub(found.len());
    let like_the_last = found.last().map_or(Kind::BackingOff, |last| last.kind);
    found.extend(more(like_the_last, unlisted));
    let of_a_day = delivery.limited.iter().filter(|limited| limited.daily);
    let limited: Vec<_> = of_a_day
        .map(|limited| {
            let (mailbox, limit) = (&limited.mailbox, &limited.limit);
            let words = format!("{mailbox} has reached {limit}");
            Condition::new(Kind::DailyLimit, words).of(mailbox.as_str())
        })
        .collect();
    let unlisted = delivery.limited_for_a_day.saturating_sub(limited.len());
    found.extend(limited);
    found.extend(more(Kind::DailyLimit, unlisted));
    let stalled = delivery.stalled_seconds.map(Duration::from_secs);
    if let Some(stalled) = stalled.filter(|stalled| *stalled >= STALLED) {
        let stalled = span(stalled);
        let words = format!("nothing has been sent for {stalled} although mail is waiting");
        found.push(Condition::new(Kind::Stalled, words));
    }
    found
}

/// Those that the status only counts.
fn more(kind: Kind, count: usize) -> Option<Condition> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    (count > 0).then(|| Condition {
        count,
        ..Condition::new(kind, format!("{count} {}", kind.of_more()))
    })
}

fn backing_off(backing_off: &BackingOff) -> Condition {
    let whose = match &backing_off.mailbox {
        Some(mailbox) => mailbox.as_str(),
        None => backing_off.account.as_str(),
    };
    let kind = match backing_off.cause {
        BackoffCause::Configuration => Kind::DeliveryRefused,
        BackoffCause::Throttled | BackoffCause::Unavailable => Kind::BackingOff,
    };
    let entry = backing_off.reported.as_deref().and_then(catalogue::find);
    let remedy = match backing_off.cause {
        BackoffCause::Unavailable => None,
        BackoffCause::Throttled | BackoffCause::Configuration => {
            let mailbox = backing_off.mailbox.as_ref();
            let mailbox = mailbox.map_or("MAILBOX", |it| it.as_str());
            entry.map(|entry| catalogue::named(entry.remedy, mailbox, catalogue::SOME_ADDRESS))
        }
    };
    let words = format!("{whose} is backing off: {}", backing_off.why());
    Condition::new(kind, words).of(whose).remedied(remedy)
}

/// Messages that wait for a reason of their own, or for one that nothing else explains.
fn stuck(queue: &Overview) -> Vec<Condition> {
    let mut found = Vec::new();
    if let count @ 1.. = queue.failing.max(queue.own_trouble) {
        let which = match count {
            1 => "1 message keeps failing".to_owned(),
            count => format!("{count} messages keep failing"),
        };
        let words = match queue.own_trouble >= count {
            true => format!("{which} while other mail is delivered"),
            false => which,
        };
        let stuck = Condition {
            detail: queue.failing_because.clone(),
            ..Condition::new(Kind::MessageStuck, words)
        };
        found.push(stuck.run(LIST));
    }
    if let count @ 1.. = queue.without_account {
        let which = match count {
            1 => "1 message waits".to_owned(),
            count => format!("{count} messages wait"),
        };
        let words = format!("{which} for which no [[account]] matches");
        found.push(Condition::new(Kind::NoAccount, words).run(LIST));
    }
    found
}

/// What is wrong with the relay's own file and log.
fn itself(status: &Status) -> Vec<Condition> {
    let mut found = Vec::new();
    found.extend(
        status
            .configuration
            .trouble()
            .map(|(words, remedy)| Condition::new(Kind::Configuration, words).run(remedy)),
    );
    if let unread @ 1.. = status.log.unread {
        let words = format!("nothing reads the log: {unread} lines are lost so far");
        found.push(Condition::new(Kind::LogUnread, words));
    }
    found
}

fn connections_full(connections: &Connections) -> Option<Condition> {
    let ago = connections.recently_full()?;
    let (limit, holders) = (connections.limit, connections.held_by());
    let words = format!(
        "all {limit} connections were in use {} ago (now {holders}): see limits.connections",
        span(ago)
    );
    Some(Condition::new(Kind::ConnectionsFull, words))
}

fn pickup(trouble: &PickupTrouble) -> Condition {
    let words = format!("messages in a pickup folder wait: {}", trouble.reason);
    Condition {
        since: Some(trouble.since),
        remedy: Some(trouble.remedy.clone()),
        ..Condition::new(Kind::PickupWaits, words).of(trouble.folder.to_string_lossy())
    }
}

/// Mail that waits for long. What is paused waits because somebody wants it to.
fn waits_for_long(queue: &Overview, now: Timestamp, long: Duration) -> Option<Condition> {
    let oldest = queue.oldest_unpaused_ms.map(Duration::from_millis);
    let waits = oldest.filter(|waits| *waits > long)?;
    let words = format!("a message has waited for {}", span(waits));
    let found = Condition {
        since: Some(now - waits),
        ..Condition::new(Kind::MailWaits, words)
    };
    Some(found.run(LIST))
}

/// Mail that has failed or is held.
fn of_queue(queue: &Overview) -> Vec<Condition> {
    let mut found = Vec::new();
    let newest = queue.failures.iter().find(|failure| !failure.is_alert);
    found.extend(newest.and_then(failed));
    for (state, are) in [(State::Held, "held"), (State::Quarantined, "in quarantine")] {
        if let count @ 1.. = queue.count(state) {
            let words = match count {
                1 => format!("1 message is {are}"),
                count => format!("{count} messages are {are}"),
            };
            let held = Condition::new(Kind::MessageHeld, words).of(state.to_string());
            found.push(held.run(format!("{LIST} --filter state={state}")));
        }
    }
    found
}

/// The newest failure, if it is recent.
fn failed(failure: &Failure) -> Option<Condition> {
    let ago = failure.ended_ago_ms?;
    let reason = failure
        .reason
        .as_deref()
        .unwrap_or("the reason is not known");
    (Duration::from_millis(ago) < RECENT).then(|| {
        let words = "messages have failed in the last 24 hours";
        let failed = Condition {
            since: failure.ended_at,
            happened_ago_ms: Some(ago),
            detail: Some(format!("the last one is {}: {reason}", failure.id)),
            ..Condition::new(Kind::MessageFailed, words)
        };
        failed.remedied(Some(format!("look at them: {LIST} --filter state=failed")))
    })
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
