//! Checks delivery by asking the running relay: what is backing off and why, which limits
//! are reached, and whether any mail leaves.

use std::time::Duration;

use super::Finding;
use crate::catalogue;
use crate::clock::Timestamp;
use crate::clock::span_in_words;
use crate::config::Config;
use crate::delivery::BackingOff;
use crate::delivery::BackoffCause;
use crate::delivery::Delivery;
use crate::delivery::Limited;
use crate::delivery::STALLED;
use crate::spool::Pause;

/// At most this many mailboxes have a line of their own.
const NAMED: usize = 10;

pub(super) fn examine(
    config: &Config,
    delivery: &Delivery,
    paused: &[Pause],
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = pauses(paused);
    findings.extend(held_back(config, delivery, now));
    findings.extend(limited(delivery));
    findings.push(leaves(delivery));
    findings
}

/// Reports what an operator has paused, which is easily forgotten.
fn pauses(paused: &[Pause]) -> Vec<Finding> {
    let check = "pause";
    let one = |pause: &Pause| {
        let (what, since) = (pause.what(), pause.since);
        let (by, why) = (pause.by(), pause.why());
        let words = format!("{what} has been paused since {since} {by}{why}");
        Finding::warning(check, words, format!("to go on: {}", pause.remedy()))
    };
    let mut findings: Vec<Finding> = paused.iter().take(NAMED).map(one).collect();
    if let more @ 1.. = paused.len().saturating_sub(NAMED) {
        let words = format!("{more} more mailboxes are paused");
        findings.push(Finding::warning(
            check,
            words,
            "see graph-relay status --json",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(check, "nothing is paused"));
    }
    findings
}

/// Reports what is backing off after errors.
fn held_back(config: &Config, delivery: &Delivery, now: Timestamp) -> Vec<Finding> {
    let check = "throttling";
    if delivery.backing_off.is_empty() {
        let accounts = config.accounts.len();
        let words = format!("nothing is backing off, accounts: {accounts}");
        return vec![Finding::ok(check, words)];
    }
    let named = delivery.backing_off.iter().take(NAMED);
    let mut findings: Vec<Finding> = named
        .map(|backing_off| backing_off_one(check, backing_off, now))
        .collect();
    if let more @ 1.. = delivery.backing_off_count.saturating_sub(NAMED) {
        let words = format!("{more} more mailboxes are backing off");
        let remedy = "see graph-relay status --json, and the log (event=\"fault\")";
        findings.push(Finding::warning(check, words, remedy));
    }
    findings
}

fn backing_off_one(check: &str, backing_off: &BackingOff, now: Timestamp) -> Finding {
    let (whose, why) = (backing_off.whose(), backing_off.why());
    // A backoff that is over lasts until the next message is due and gets through.
    let until = Some(backing_off.until).filter(|until| *until > now);
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let words = format!("{whose} is backing off{until}: {why}");
    let entry = backing_off.reported.as_deref().and_then(catalogue::find);
    let remedy = match (backing_off.cause, entry) {
        (BackoffCause::Unavailable, _) => "wait: the relay tries again by itself",
        (_, Some(entry)) => entry.remedy,
        (BackoffCause::Throttled, None) => {
            "wait: the relay tries again by itself; if this lasts, lower the limits in \
             [account.rate_limits], or send less at once"
        }
        (BackoffCause::Configuration, None) => "see the log (event=\"fault\")",
    };
    let mailbox = backing_off
        .mailbox
        .as_ref()
        .map_or("MAILBOX", |it| it.as_str());
    let remedy = catalogue::named(remedy, mailbox, catalogue::SOME_ADDRESS);
    Finding::warning(check, words, remedy)
}

/// Reports mailboxes that wait for hours because they have reached a daily limit.
fn limited(delivery: &Delivery) -> Vec<Finding> {
    let check = "limits";
    let of_a_day = delivery.limited.iter().filter(|limited| limited.daily);
    let one = |limited: &Limited| {
        let Limited {
            mailbox,
            limit,
            until,
            ..
        } = limited;
        let words = format!("{mailbox} has reached {limit}: its mail waits until {until}");
        let remedy = format!(
            "find out in the log (event=\"accepted\") who sends so much; if this mail is wanted, \
             spread it over several mailboxes, or raise {limit} in [account.rate_limits] up to what \
             Exchange allows"
        );
        Finding::warning(check, words, remedy)
    };
    let mut findings: Vec<Finding> = of_a_day.take(NAMED).map(one).collect();
    if let more @ 1.. = delivery.limited_for_a_day.saturating_sub(NAMED) {
        let words = format!("{more} more mailboxes have reached a daily limit");
        let remedy = "see graph-relay status --json";
        findings.push(Finding::warning(check, words, remedy));
    }
    findings
}

/// Reports whether any mail leaves.
fn leaves(delivery: &Delivery) -> Finding {
    let check = "delivery";
    match delivery.stalled_seconds.map(Duration::from_secs) {
        None => Finding::ok(check, "no mail is waiting"),
        // It may be on its way, or wait as long as the backoff lasts.
        Some(stalled) if stalled < STALLED => {
            let words = match delivery.backing_off.is_empty() {
                true => "mail is being sent".to_owned(),
                false => {
                    let seconds = stalled.as_secs();
                    format!(
                        "mail is waiting; nothing has been sent for {seconds} s: see throttling"
                    )
                }
            };
            Finding::ok(check, words)
        }
        Some(stalled) => {
            let stalled = span_in_words(stalled);
            let words = format!("nothing has been sent for {stalled} although mail is waiting");
            let remedy = "see what each message waits for: graph-relay queue list; what is wrong: graph-relay status, \
                and the log (event=\"fault\", \"deferred\", \"spool\")";
            Finding::failure(check, words, remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn no_deliveries_are_a_failure_with_a_remedy() {
        let found = |seconds| {
            leaves(&Delivery {
                stalled_seconds: seconds,
                ..Delivery::default()
            })
        };

        assert_eq!(found(None).state, State::Ok);
        assert_eq!(found(Some(60)).state, State::Ok);
        let stalled = found(Some(3600));
        assert_eq!(stalled.state, State::Failure);
        assert!(stalled.words.contains("60 minutes"), "{stalled:?}");
        assert!(stalled.remedy.is_some());
    }

    #[test]
    fn a_time_that_is_over_is_left_out() {
        let until = Timestamp::from_millis(1000);
        let backing_off = BackingOff {
            account: "contoso".to_owned(),
            mailbox: None,
            until,
            asked_until: None,
            cause: BackoffCause::Throttled,
            reported: None,
        };
        let words = |now| backing_off_one("throttling", &backing_off, now).words;

        assert_eq!(
            words(until),
            "account contoso is backing off: Graph asked for fewer requests"
        );
        assert!(words(Timestamp::from_millis(0)).contains(&format!(" until {until}: ")));
    }

    #[test]
    fn mail_that_is_held_back_does_not_leave() {
        let held_back = |backing_off| {
            let stalled_seconds = Some(60);
            leaves(&Delivery {
                stalled_seconds,
                backing_off,
                ..Delivery::default()
            })
        };
        let backing_off = BackingOff {
            account: "contoso".to_owned(),
            mailbox: None,
            until: Timestamp::from_millis(0),
            asked_until: None,
            cause: BackoffCause::Unavailable,
            reported: None,
        };

        assert_eq!(held_back(Vec::new()).words, "mail is being sent");
        let words = held_back(vec![backing_off]).words;
        assert!(words.contains("nothing has been sent for 60 s"), "{words}");
    }
}
