//! `queue`: what waits and why, asked of the running relay over its admin
//! socket.

use super::ConfigFile;
use super::Exit;
use super::relay::Failure;
use super::relay::Relay;
use super::say;
use super::span;
use super::talk;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::mail::SpoolId;
use crate::spool::AttemptView;
use crate::spool::EntryView;
use crate::spool::Summary;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the messages that are not delivered
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one message with every attempt
    Show {
        /// As in the reply to DATA, and in the log
        id: SpoolId,
        #[command(flatten)]
        file: ConfigFile,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: &Command) -> Exit {
    let outcome = match command {
        Command::List { file, json } => list(file, *json).await,
        Command::Show { id, file, json } => show(file, *id, *json).await,
    };
    outcome.unwrap_or_else(Failure::tell)
}

async fn list(file: &ConfigFile, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let now = Clock::System.now();
    let mut after: Option<SpoolId> = None;
    let mut count = 0;
    loop {
        let page: Vec<Summary> = match after {
            None => relay.ask("/queue").await?,
            Some(id) => relay.ask(&format!("/queue?after={id}")).await?,
        }
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
                say(&row(entry, now));
            }
            count += 1;
            after = Some(entry.id);
        }
    }
    if count == 0 {
        talk("nothing is waiting and nothing has failed");
    }
    Ok(Exit::Done)
}

fn row(entry: &Summary, now: Timestamp) -> String {
    let next = match entry.state.as_str() {
        "waiting" if entry.due_at > now => format!("in {}", span(entry.due_at.since(now))),
        "waiting" => "due".to_owned(),
        "claimed" => "sending".to_owned(),
        _ => "-".to_owned(),
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
        span(now.since(entry.accepted_at)),
        entry.size,
        entry.attempts,
        next,
        entry.reverse_path,
    );
    if let Some(reason) = &entry.reason {
        row.push_str(&format!("\n{:28}{reason}", ""));
    }
    row
}

async fn show(file: &ConfigFile, id: SpoolId, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let Some(entry) = relay.ask::<EntryView>(&format!("/queue/{id}")).await? else {
        talk(&format!(
            "graph-relay: no message {id}: it was never here, or its history.keep is over"
        ));
        return Ok(Exit::CheckFailed);
    };
    if json {
        say(&serde_json::to_string(&entry).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let summary = &entry.summary;
    let lane = match (&summary.mailbox, &summary.account) {
        (Some(mailbox), Some(account)) => format!("{mailbox} (account {account})"),
        _ => "no [[account]] sends it".to_owned(),
    };
    say(&format!("message     {}", summary.id));
    say(&format!("state       {}", summary.state));
    say(&format!("envelope    from <{}>", summary.reverse_path));
    for recipient in &summary.recipients {
        say(&format!("            to   <{recipient}>"));
    }
    say(&format!(
        "From header {}",
        summary.author.as_deref().unwrap_or("none that is usable")
    ));
    say(&format!("sent by     {lane}"));
    say(&format!("size        {} bytes", summary.size));
    let user = entry.user.as_deref();
    let user = user.map_or_else(String::new, |user| format!(", user {user}"));
    let came = match entry.about {
        Some(about) => format!("made as the report about {about}"),
        None => format!(
            "accepted from {} ({}) by {}{user}",
            entry.client, entry.hello, entry.protocol
        ),
    };
    say(&format!("{}  {came}", summary.accepted_at));
    for attempt in &entry.timeline {
        say(&attempt_line(attempt));
    }
    if summary.state == "waiting" {
        say(&format!("{}  next attempt", summary.due_at));
    }
    Ok(Exit::Done)
}

fn attempt_line(attempt: &AttemptView) -> String {
    let outcome = attempt.outcome.as_deref().unwrap_or("under way");
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
    if let Some(ended) = attempt.ended_at {
        line.push_str(&format!(", after {}", span(ended.since(attempt.begun_at))));
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
