//! `queue show`: one message with every attempt, and what an operator can do about it.

use std::time::Duration;

use super::Failure;
use super::Relay;
use super::no_message;
use super::reason;
use super::style;
use crate::admin::Shown;
use crate::admin::Waits;
use crate::catalogue;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::ago;
use crate::cli::say;
use crate::cli::say_json;
use crate::cli::say_styled;
use crate::cli::talk;
use crate::cli::terminal::Style;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::clock::span;
use crate::clock::span_in_words;
use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::AttemptOutcome;
use crate::spool::AttemptView;
use crate::spool::EntryView;
use crate::spool::OrderView;
use crate::spool::Requested;
use crate::spool::State;

pub(super) async fn show(file: &ConfigFile, id: SpoolId, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let Some(shown) = relay.ask::<Shown>(&format!("/queue/{id}")).await? else {
        talk(&format!("graph-relay: {}", no_message(id)));
        return Ok(Exit::CheckFailed);
    };
    if json {
        say_json(&shown);
        return Ok(Exit::Done);
    }
    let Shown { entry, waits } = shown;
    let summary = &entry.summary;
    let destination = match (&summary.mailbox, &summary.account) {
        (Some(mailbox), Some(account)) => format!("{mailbox} (account {account})"),
        _ => "no [[account]] sends it".to_owned(),
    };
    say(&format!("message     {}", summary.id));
    let now = Clock::System.now();
    say_styled(&[
        (Style::Plain, "state       "),
        (style(summary.state), summary.state.name()),
        (Style::Plain, &since(&entry, waits.as_ref(), now)),
    ]);
    let told = |attempt: &AttemptView| attempt.reason == summary.reason;
    if let Some(reason) = &summary.reason
        && !entry.timeline.last().is_some_and(told)
    {
        say(&format!("            {reason}"));
    }
    say_envelope(&entry);
    say(&format!(
        "From header {}",
        summary.author.as_deref().unwrap_or("no usable address")
    ));
    say(&format!("sent by     {destination}"));
    let subject = summary.subject.iter();
    subject.for_each(|subject| say(&format!("subject     {subject}")));
    say(&format!("size        {} bytes", summary.size));
    say(&format!("{}  {}", summary.accepted_at, came(&entry)));
    say_steps(&entry);
    say_outcome(&entry, waits.as_ref(), now);
    Ok(Exit::Done)
}

/// Formats the attempts and the orders of operators, in the order of time.
fn say_steps(entry: &EntryView) {
    let attempts = entry.timeline.iter();
    let attempts = attempts.map(|it| (it.begun_at, attempt_line(it)));
    let orders = entry.orders.iter();
    let orders = orders.map(|it| (it.at, order_line(entry, it)));
    let mut steps: Vec<_> = attempts.chain(orders).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps.iter().for_each(|(_, line)| say(line));
}

fn order_line(entry: &EntryView, order: &OrderView) -> String {
    let what = match (order.order.as_str(), order.copy) {
        ("retry", _) => "retried".to_owned(),
        ("hold", _) => "held".to_owned(),
        ("release", _) => "released".to_owned(),
        ("drop", _) if entry.is_about_content(order) => "content deleted".to_owned(),
        ("drop", _) => "dropped".to_owned(),
        ("resend", Some(copy)) => format!("sent again as {copy}"),
        (other, _) => other.to_owned(),
    };
    let by = match (&order.by, order.uid) {
        (Some(name), _) => format!("{name} on the admin page"),
        (None, 0) => "root".to_owned(),
        (None, uid) => format!("user ID {uid}"),
    };
    format!("{}  {what} by {by}", order.at)
}

/// Formats what followed the attempts, and what can be done.
fn say_outcome(entry: &EntryView, waits: Option<&Waits>, now: Timestamp) {
    let (summary, id) = (&entry.summary, entry.summary.id);
    // What an order says is not repeated.
    let is_said = |copy: &SpoolId| entry.orders.iter().any(|it| it.copy == Some(*copy));
    for copy in entry.resent_as.iter().filter(|copy| !is_said(copy)) {
        say(&format!("copy        {copy}"));
    }
    let has_order = entry
        .orders
        .iter()
        .any(|it| it.order == Action::Drop.name());
    let is_dropped = summary.state == State::Dropped && !has_order;
    if let Some(ended) = entry.ended_at.filter(|_| is_dropped) {
        say(&format!("{ended}  dropped"));
    }
    if let Some(until) = entry.kept_until_at {
        say(&format!(
            "content     kept until {until}; to send it again: graph-relay queue resend {id}"
        ));
    }
    if summary.state == State::Waiting {
        if let Some(at) = waits.map_or(Some(summary.due_at), Waits::until) {
            say(&format!("{at}  next attempt"));
        }
        if let Some(waits) = waits {
            say(&format!("            {}", reason(waits, now)));
        }
    }
    if let Some(next) = next_step(entry, waits) {
        say(&format!("next        {next}"));
    }
}

/// Says how long ago it was accepted and ended, and when the next attempt is.
fn since(entry: &EntryView, waits: Option<&Waits>, now: Timestamp) -> String {
    let summary = &entry.summary;
    // Both by the wall clock: in running time, a message could have failed before it was accepted.
    let ended = entry.ended_at.map(|at| format!(" {}", ago(now.since(at))));
    let accepted = ago(now.since(summary.accepted_at));
    let due = now + Duration::from_millis(summary.due_in_ms);
    let next = waits.map_or(Some(due), Waits::until);
    let left = next.map(|next| next.since(now));
    let next = match (summary.state, left) {
        (State::Waiting, None) => ", paused".to_owned(),
        (State::Waiting, Some(left)) if left.as_secs() > 0 => {
            format!(", next attempt in {}", span_in_words(left))
        }
        (State::Waiting, Some(_)) => ", next attempt now".to_owned(),
        (
            State::Claimed
            | State::Held
            | State::Delivered
            | State::Failed
            | State::Dropped
            | State::Quarantined,
            _,
        ) => String::new(),
    };
    format!("{}, accepted {accepted}{next}", ended.unwrap_or_default())
}

/// Formats sender and recipients, with the reports that were requested.
fn say_envelope(entry: &EntryView) {
    let summary = &entry.summary;
    say(&format!("envelope    from <{}>", summary.reverse_path));
    for recipient in &summary.recipients {
        let requested = entry.requested.iter().find(|it| it.recipient == *recipient);
        let asked = requested.map(asked).unwrap_or_default();
        let for_whom = for_whom(entry, recipient);
        say(&format!("            to   <{recipient}>{for_whom}{asked}"));
    }
    if let Some(returned) = &entry.ret {
        say(&format!(
            "            RET={returned}: {}",
            returns(returned)
        ));
    }
    if let Some(id) = &entry.envid {
        say(&format!("            ENVID={id}"));
    }
}

/// Formats what the client requested for a recipient (RFC 3461).
fn asked(requested: &Requested) -> String {
    let notify = requested.notify.as_ref();
    let notify = notify.map_or_else(String::new, |notify| format!("  NOTIFY={notify}"));
    let original = requested.orcpt.as_ref();
    let original = original.map_or_else(String::new, |original| format!("  ORCPT={original}"));
    format!("{notify}{original}")
}

/// Explains RET.
fn returns(returned: &str) -> &'static str {
    match returned {
        "FULL" => "a failure report returns the whole message",
        _ => "a failure report returns the header section",
    }
}

/// Formats what the client named instead of a recipient.
fn for_whom(entry: &EntryView, recipient: &str) -> String {
    let replaced = entry.replaced.iter();
    let originals = replaced.filter(|it| it.recipient.eq_ignore_ascii_case(recipient));
    let originals: Vec<_> = originals.map(|it| format!("<{}>", it.original)).collect();
    match originals.is_empty() {
        true => String::new(),
        false => format!(", for {}", originals.join(", ")),
    }
}

/// Formats where a message came from.
fn came(entry: &EntryView) -> String {
    let user = entry.user.as_deref();
    let user = user.map_or_else(String::new, |user| format!(", user {user}"));
    let client = format!(
        "from {} ({}) by {}{user}",
        entry.client, entry.hello, entry.protocol
    );
    match (entry.about, entry.resend_of) {
        (Some(SpoolId::ALERT), _) => "created as an alert of the relay itself".to_owned(),
        (Some(about), _) => format!("created as the report about {about}"),
        (None, Some(of)) => format!(
            "accepted as a copy of {of}, on an operator's order; the original came {client}"
        ),
        (None, None) => format!("accepted {client}"),
    }
}

/// Says what an operator can do about a message.
fn next_step(entry: &EntryView, waits: Option<&Waits>) -> Option<String> {
    let (state, id) = (entry.summary.state, entry.summary.id);
    let command = |command: &str| format!("graph-relay queue {command} {id}");
    let (retry, drop) = (command("retry"), command("drop"));
    match state {
        State::Waiting => match waits {
            Some(Waits::Pause(pause)) => Some(format!("to let delivery go on: {}", pause.remedy())),
            Some(waits) if waits.outlasts_retry() => None,
            Some(_) | None => Some(format!("to try it now: {retry}")),
        },
        State::Held => Some(format!("to send it: {}; or: {drop}", command("release"))),
        // Another attempt would go to the same recipients.
        State::Failed if has_wrong_recipient(entry) => {
            let kept = entry.kept_until_at.filter(|_| entry.about.is_none());
            let resend = kept.map_or_else(String::new, |_| {
                format!(
                    "to send it to the right address: {} --to ADDRESS; or: ",
                    command("resend")
                )
            });
            Some(format!("{resend}{drop}"))
        }
        State::Failed => Some(format!("when the cause is fixed: {retry}; or: {drop}")),
        State::Quarantined => Some(format!("when it can be read again: {retry}; or: {drop}")),
        State::Claimed | State::Delivered | State::Dropped => None,
    }
}

fn has_wrong_recipient(entry: &EntryView) -> bool {
    let code = entry.timeline.last().and_then(|it| it.code.as_deref());
    code == Some(catalogue::INVALID_RECIPIENTS.code)
}

fn attempt_line(attempt: &AttemptView) -> String {
    let outcome = attempt.outcome.map_or("in progress", AttemptOutcome::name);
    let mut line = format!(
        "{}  attempt {}: {outcome}",
        attempt.begun_at, attempt.number
    );
    if let Some(status) = attempt.http_status {
        line.push_str(&format!(", HTTP {status}"));
    }
    if let Some(code) = &attempt.code {
        line.push_str(&format!(" {code}"));
    }
    if let Some(seconds) = attempt.retry_after_seconds {
        let wait = span_in_words(Duration::from_secs(seconds));
        line.push_str(&format!(", asked to wait {wait}"));
    }
    if let Some(took) = attempt.took_ms {
        line.push_str(&format!(", after {}", span(Duration::from_millis(took))));
    }
    if let Some(reason) = &attempt.reason {
        line.push_str(&format!("\n            {reason}"));
    }
    line.push_str(&format!(
        "\n            client-request-id {}",
        attempt.client_request_id
    ));
    if let Some(request_id) = &attempt.request_id {
        line.push_str(&format!(", request-id {request_id}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::BackingOff;
    use crate::admin::BackoffCause;

    /// An entry that was accepted half an hour before this moment and failed ten minutes before
    /// it, with the relay stopped for most of the time.
    fn failed(now: Timestamp) -> EntryView {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let json = serde_json::json!({
            "id": SpoolId::first_of(now), "state": "failed", "accepted_at": now - minutes(30),
            "age_ms": 4 * 60_000, "due_at": now, "due_in_ms": 0, "size": 1, "reverse_path": "",
            "recipients": [], "attempts": 1, "client": "127.0.0.1", "hello": "app",
            "protocol": "ESMTP", "ended_at": now - minutes(10), "timeline": [],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn ages_of_one_message_are_by_one_clock() {
        let now = Timestamp::from_millis(1_800_000_000_000);

        assert_eq!(
            since(&failed(now), None, now),
            " 10 minutes ago, accepted 30 minutes ago"
        );
    }

    #[test]
    fn an_age_is_never_negative() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let before = now - Duration::from_secs(60 * 60);

        assert_eq!(
            since(&failed(now), None, before),
            " just now, accepted just now"
        );
    }

    #[test]
    fn a_mailbox_that_graph_asked_to_wait_is_not_tried_now() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let until = now + Duration::from_secs(10 * 60);
        let mut entry = failed(now);
        entry.summary.state = State::Waiting;
        entry.ended_at = None;
        let backing_off = |asked_until| {
            Waits::Backoff(BackingOff {
                account: "contoso".to_owned(),
                mailbox: None,
                until,
                asked_until,
                cause: BackoffCause::Throttled,
                reported: None,
            })
        };
        let next = |asked| next_step(&entry, Some(&backing_off(asked)));

        let shown = since(&entry, Some(&backing_off(Some(until))), now);

        assert!(shown.ends_with("next attempt in 10 minutes"), "{shown}");
        assert_eq!(next(Some(until)), None);
        assert!(next(None).is_some());
    }
}
