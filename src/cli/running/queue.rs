//! `queue`: lists the messages that are not delivered and why, as the running relay reports
//! it. `actions.rs` has the commands that change something.

use std::time::Duration;

use super::Failure;
use super::Relay;
use super::actions;
use super::pause;
use super::resend;
use crate::admin::Listed;
use crate::admin::Shown;
use crate::admin::Waits;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::talk;
use crate::cli::when;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::clock::span;
use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::AttemptOutcome;
use crate::spool::AttemptView;
use crate::spool::EntryView;
use crate::spool::Filter;
use crate::spool::Requested;
use crate::spool::State;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the messages that are not delivered
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// Only messages that match this expression, including delivered and dropped ones
        #[arg(long, value_name = "EXPR", long_help = actions::FILTER)]
        filter: Option<Filter>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show one message with every attempt
    Show {
        /// The ID of the message, as in the list, in the log and in the reply to DATA
        id: SpoolId,
        #[command(flatten)]
        file: ConfigFile,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Try to send messages now, including failed and held ones
    Retry(actions::Options),
    /// Hold messages: do not send them until you release them
    Hold(actions::Options),
    /// Release held messages, so that they are sent
    Release(actions::Options),
    /// Send a copy of a message, to its recipients or to somebody else
    Resend(resend::Options),
    /// Drop messages: never send them, and delete their content
    Drop(actions::Options),
}

impl Command {
    /// `queue list`.
    pub(in crate::cli) fn list(file: ConfigFile) -> Self {
        Self::List {
            file,
            filter: None,
            json: false,
        }
    }

    /// `queue retry --all --yes`.
    pub(in crate::cli) fn retry_all(file: ConfigFile) -> Self {
        Self::Retry(actions::Options::all(file))
    }
}

pub(in crate::cli) async fn run(command: &Command) -> Exit {
    let outcome = match command {
        Command::List { file, filter, json } => list(file, filter.as_ref(), *json).await,
        Command::Show { id, file, json } => show(file, *id, *json).await,
        Command::Retry(options) => actions::run(Action::Retry, options).await,
        Command::Hold(options) => actions::run(Action::Hold, options).await,
        Command::Release(options) => actions::run(Action::Release, options).await,
        Command::Resend(options) => resend::run(options).await,
        Command::Drop(options) => actions::run(Action::Drop, options).await,
    };
    outcome.unwrap_or_else(Failure::tell)
}

async fn list(file: &ConfigFile, filter: Option<&Filter>, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let mut after: Option<SpoolId> = None;
    let mut count = 0;
    loop {
        let filter = filter.map(|filter| ("filter", filter.to_string()));
        let after_id = after.map(|id| ("after", id.to_string()));
        let parameters: Vec<_> = filter.into_iter().chain(after_id).collect();
        let page: Vec<Listed> = relay
            .ask_for("/queue", &parameters)
            .await?
            .unwrap_or_default();
        if page.is_empty() {
            break;
        }
        for entry in &page {
            if json {
                say(&serde_json::to_string(entry).unwrap_or_default());
            } else {
                if count == 0 {
                    say(&format!(
                        "{:26}  {:11}  {:>6}  {:>8}  {:>5}  {:8}  FROM, TO",
                        "ID", "STATE", "AGE", "SIZE", "TRIES", "NEXT"
                    ));
                }
                say(&row(entry, Clock::System.now()));
            }
            count += 1;
            after = Some(entry.summary.id);
        }
    }
    if count == 0 {
        talk(match filter {
            None => "nothing is waiting and nothing has failed",
            Some(_) => "no matching messages",
        });
    }
    Ok(Exit::Done)
}

fn row(Listed { summary, waits }: &Listed, now: Timestamp) -> String {
    let entry = summary;
    let next = match entry.state {
        State::Waiting if waits.is_some() => match waits {
            Some(Waits::Backoff(backing_off)) => {
                format!("in {}", span(backing_off.until.since(now)))
            }
            Some(Waits::Pause(_)) => "paused".to_owned(),
            Some(Waits::Limit(_)) | None => "limited".to_owned(),
        },
        State::Waiting if entry.due_in_ms > 0 => {
            format!("in {}", span(Duration::from_millis(entry.due_in_ms)))
        }
        State::Waiting => "due".to_owned(),
        State::Claimed => "sending".to_owned(),
        State::Held | State::Delivered | State::Failed | State::Dropped | State::Quarantined => {
            "-".to_owned()
        }
    };
    let others = match entry.recipients.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let to = entry.recipients.first().map_or("", |first| first.as_str());
    let mut row = format!(
        "{}  {:11}  {:>6}  {:>8}  {:>5}  {:8}  <{}>, <{to}>{others}",
        entry.id,
        entry.state,
        span(Duration::from_millis(entry.age_ms)),
        entry.size,
        entry.attempts,
        next,
        entry.reverse_path,
    );
    let waits = waits.as_ref().map(|waits| reason(waits, now));
    for line in waits.iter().chain(&entry.reason) {
        row.push_str(&format!("\n{:28}{line}", ""));
    }
    row
}

/// Says why a message waits although it is due.
fn reason(waits: &Waits, now: Timestamp) -> String {
    match waits {
        Waits::Pause(paused) => pause::words(paused, now),
        Waits::Limit(limited) => {
            let until = when(limited.until, now);
            format!("rate-limited until {until} ({})", limited.limit)
        }
        Waits::Backoff(backing_off) => {
            let whose = match &backing_off.mailbox {
                Some(mailbox) => mailbox.to_string(),
                None => format!("account {}", backing_off.account),
            };
            format!("{whose} is backing off: {}", backing_off.why())
        }
    }
}

async fn show(file: &ConfigFile, id: SpoolId, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let Some(shown) = relay.ask::<Shown>(&format!("/queue/{id}")).await? else {
        talk(&format!("graph-relay: {}", super::no_message(id)));
        return Ok(Exit::CheckFailed);
    };
    if json {
        say(&serde_json::to_string(&shown).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let Shown { entry, waits } = shown;
    let summary = &entry.summary;
    let destination = match (&summary.mailbox, &summary.account) {
        (Some(mailbox), Some(account)) => format!("{mailbox} (account {account})"),
        _ => "no [[account]] sends it".to_owned(),
    };
    say(&format!("message     {}", summary.id));
    say(&format!("state       {}", summary.state));
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
    say(&format!("size        {} bytes", summary.size));
    say(&format!("{}  {}", summary.accepted_at, came(&entry)));
    for attempt in &entry.timeline {
        say(&attempt_line(attempt));
    }
    for copy in &entry.resent_as {
        say(&format!("copy        {copy}"));
    }
    if let Some(ended) = entry.ended_at.filter(|_| summary.state == State::Dropped) {
        say(&format!("{ended}  dropped"));
    }
    if let Some(until) = entry.kept_until_at {
        say(&format!(
            "content     kept until {until}; to send it again: graph-relay queue resend {id}"
        ));
    }
    if summary.state == State::Waiting {
        say(&format!("{}  next attempt", summary.due_at));
        if let Some(waits) = waits {
            let now = Clock::System.now();
            say(&format!("            {}", reason(&waits, now)));
        }
    }
    if let Some(next) = next_step(summary.state, id) {
        say(&format!("next        {next}"));
    }
    Ok(Exit::Done)
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
        (Some(about), _) => format!("created as the report about {about}"),
        (None, Some(of)) => format!(
            "accepted as a copy of {of}, on an operator's order; the original came {client}"
        ),
        (None, None) => format!("accepted {client}"),
    }
}

/// Says what an operator can do about a message.
fn next_step(state: State, id: SpoolId) -> Option<String> {
    let command = |command: &str| format!("graph-relay queue {command} {id}");
    let (retry, drop) = (command("retry"), command("drop"));
    match state {
        State::Waiting => Some(format!("to try it now: {retry}")),
        State::Held => Some(format!("to send it: {}; or: {drop}", command("release"))),
        State::Failed => Some(format!("when the cause is fixed: {retry}; or: {drop}")),
        State::Quarantined => Some(format!("when it can be read again: {retry}; or: {drop}")),
        State::Claimed | State::Delivered | State::Dropped => None,
    }
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
