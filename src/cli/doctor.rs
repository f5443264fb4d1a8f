//! `doctor`: the checks, one line each, with what to do where something is wrong.

use super::ConfigFile;
use super::Exit;
use super::relay::Relay;
use super::say;
use super::talk;
use crate::admin::Status;
use crate::doctor;
use crate::doctor::Finding;
use crate::doctor::State;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) async fn run(options: &Options) -> Exit {
    examine(&options.file, options.json).await
}

pub(super) async fn examine(file: &ConfigFile, json: bool) -> Exit {
    let running = running(file).await;
    let findings = doctor::examine(&file.config, running.as_ref()).await;
    for finding in &findings {
        if json {
            say(&serde_json::to_string(finding).unwrap_or_default());
        } else {
            tell(finding);
        }
    }
    let count = |state| findings.iter().filter(|it| it.state == state).count();
    let (failures, warnings) = (count(State::Failure), count(State::Warning));
    if !json {
        talk(&format!("{failures} failures, {warnings} warnings"));
    }
    match failures {
        0 => Exit::Done,
        _ => Exit::CheckFailed,
    }
}

/// What the running relay says; nothing where it does not run or cannot be asked.
async fn running(file: &ConfigFile) -> Option<Status> {
    let relay = Relay::of(file).ok()?;
    relay.ask("/status").await.ok()?
}

fn tell(finding: &Finding) {
    let Finding {
        check,
        state,
        words,
        remedy,
        place,
    } = finding;
    let state = match state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Failure => "FAILURE",
    };
    say(&format!("{state:8} {check}: {words}"));
    for line in remedy.iter().chain(place) {
        say(&format!("         -> {line}"));
    }
}
