//! `sessions`: what was said in sessions that went wrong, asked of the running
//! relay over its admin socket.

use super::Failure;
use super::Relay;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::talk;
use crate::clock::Clock;
use crate::clock::span;
use crate::telemetry::transcripts::Line;
use crate::telemetry::transcripts::Party;
use crate::telemetry::transcripts::Transcript;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the last sessions that were refused or broken off, since the relay started
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one: what was said, why it went wrong, and what to change
    Show {
        /// As in the list
        number: u64,
        #[command(flatten)]
        file: ConfigFile,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(in crate::cli) async fn run(command: &Command) -> Exit {
    let outcome = match command {
        Command::List { file, json } => list(file, *json).await,
        Command::Show { number, file, json } => show(file, *number, *json).await,
    };
    outcome.unwrap_or_else(Failure::tell)
}

async fn list(file: &ConfigFile, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let kept: Vec<Transcript> = relay.ask("/sessions").await?.unwrap_or_default();
    if kept.is_empty() {
        talk("no session was refused or broken off since the relay started");
    }
    let now = Clock::System.now();
    for (at, session) in kept.iter().enumerate() {
        if json {
            say(&serde_json::to_string(session).unwrap_or_default());
            continue;
        }
        if at == 0 {
            say(&format!(
                "{:>6}  {:>6}  {:15}  WHAT",
                "NUMBER", "AGE", "CLIENT"
            ));
        }
        let first = session.troubles.first();
        say(&format!(
            "{:>6}  {:>6}  {:15}  {}",
            session.number,
            span(now.since(session.begun_at)),
            session.client,
            first.map_or("", |trouble| trouble.what.as_str()),
        ));
    }
    Ok(Exit::Done)
}

async fn show(file: &ConfigFile, number: u64, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let Some(session) = relay
        .ask::<Transcript>(&format!("/sessions/{number}"))
        .await?
    else {
        talk(&format!(
            "graph-relay: no session {number}: graph-relay sessions list shows those that are kept"
        ));
        return Ok(Exit::CheckFailed);
    };
    if json {
        say(&serde_json::to_string(&session).unwrap_or_default());
        return Ok(Exit::Done);
    }
    let hello = session.hello.as_deref().unwrap_or("nothing");
    let user = session.user.as_deref().unwrap_or("nobody");
    say(&format!("session   {}", session.number));
    say(&format!("begun     {}", session.begun_at));
    say(&format!(
        "client    {}, which calls itself {hello}",
        session.client
    ));
    say(&format!(
        "listener  {}, authenticated as {user}",
        session.listener
    ));
    for trouble in &session.troubles {
        say(&format!("\nwrong     {}", trouble.what));
        say(&format!("change    {}", trouble.remedy));
    }
    say("");
    let beginning = session.lines.len() / 2;
    for (at, line) in session.lines.iter().enumerate() {
        if at == beginning && session.omitted > 0 {
            say(&format!(
                "          ... {} lines are not kept ...",
                session.omitted
            ));
        }
        say(&shown(line));
    }
    Ok(Exit::Done)
}

fn shown(line: &Line) -> String {
    let by = match line.by {
        Party::Client => "C:",
        Party::Relay => "S:",
        Party::Event => "--",
    };
    format!("{:>6} ms  {by} {}", line.after_ms, line.text)
}
