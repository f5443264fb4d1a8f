//! `sessions`: shows the sessions that went wrong, as the running relay reports them.

use std::time::Duration;

use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::counted;
use crate::cli::running::Failure;
use crate::cli::running::Relay;
use crate::cli::say;
use crate::cli::say_json;
use crate::cli::talk;
use crate::cli::terminal::Column;
use crate::cli::terminal::Table;
use crate::clock::Clock;
use crate::clock::span;
use crate::telemetry::transcripts::Line;
use crate::telemetry::transcripts::Party;
use crate::telemetry::transcripts::Transcript;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the latest sessions that were refused or broken off, since the relay started
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show one session: the transcript, why it went wrong, and how to fix it
    Show {
        /// The number of the session in the list
        number: u64,
        #[command(flatten)]
        file: ConfigFile,
        /// Print one JSON object
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
        talk("no session has been refused or broken off since the relay started");
    }
    let now = Clock::System.now();
    let mut table = Table::new(&[
        Column::number("NUMBER"),
        Column::number("AGE"),
        Column::text("CLIENT"),
        Column::long("PROBLEM"),
    ]);
    for session in &kept {
        if json {
            say_json(session);
            continue;
        }
        let first = session.troubles.first();
        let cells = vec![
            session.number.to_string().into(),
            span(now.since(session.begun_at).max(Duration::from_secs(1))).into(),
            session.client.to_string().into(),
            first.map_or("", |trouble| trouble.what.as_str()).into(),
        ];
        table.row(cells, Vec::new());
    }
    table.print();
    Ok(Exit::Done)
}

async fn show(file: &ConfigFile, number: u64, json: bool) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let Some(session) = relay
        .ask::<Transcript>(&format!("/sessions/{number}"))
        .await?
    else {
        talk(&format!(
            "graph-relay: no session {number}: graph-relay sessions list shows all that are kept"
        ));
        return Ok(Exit::CheckFailed);
    };
    if json {
        say_json(&session);
        return Ok(Exit::Done);
    }
    let hello = session.hello.as_deref();
    let hello = hello.map_or_else(|| "no EHLO".to_owned(), |name| format!("EHLO {name}"));
    let user = session.user.as_deref();
    let user = user.map_or_else(
        || "not authenticated".to_owned(),
        |user| format!("authenticated as {user}"),
    );
    say(&format!("session   {}", session.number));
    say(&format!("started   {}", session.begun_at));
    say(&format!("client    {}, {hello}", session.client));
    say(&format!("listener  {}, {user}", session.listener));
    for trouble in &session.troubles {
        say(&format!("\nproblem   {}", trouble.what));
        say(&format!("fix       {}", trouble.remedy));
    }
    say("");
    let beginning = session.lines.len() / 2;
    for (at, line) in session.lines.iter().enumerate() {
        if at == beginning && session.omitted > 0 {
            say(&format!(
                "          ... {} not kept ...",
                counted(session.omitted, "line")
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
