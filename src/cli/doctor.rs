//! `doctor`: prints the checks, one line each, with a fix for everything that is wrong.

use super::ConfigFile;
use super::Exit;
use super::counted;
use super::running::Failure;
use super::running::Relay;
use super::say;
use super::say_json;
use super::say_styled;
use super::talk;
use super::terminal::Progress;
use super::terminal::Style;
use crate::config::Environment;
use crate::doctor;
use crate::doctor::Finding;
use crate::doctor::Heard;
use crate::doctor::State;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) async fn run(options: &Options) -> Exit {
    examine(&options.file, options.json).await
}

pub(super) async fn examine(file: &ConfigFile, json: bool) -> Exit {
    let progress = Progress::begin("checking");
    let heard = hear(file).await;
    let findings = doctor::examine(&file.config, Environment::Counts, &heard).await;
    drop(progress);
    for finding in &findings {
        if json {
            say_json(finding);
        } else {
            tell(finding);
        }
    }
    let count = |state| findings.iter().filter(|it| it.state == state).count();
    let (failures, warnings) = (count(State::Failure), count(State::Warning));
    if !json {
        talk(&format!(
            "{}, {}",
            counted(failures, "failure"),
            counted(warnings, "warning")
        ));
    }
    match failures {
        0 => Exit::Done,
        _ => Exit::CheckFailed,
    }
}

/// What the running relay reports about itself.
async fn hear(file: &ConfigFile) -> Heard {
    let Ok(relay) = Relay::of(file) else {
        // Problems of the file have their own line.
        return Heard::Stopped;
    };
    match relay.ask("/status").await {
        Ok(Some(status)) => Heard::Status(status),
        Ok(None) => Heard::Unheard(Failure::another_version().words),
        Err(failure) if failure.exit == Exit::NotPermitted || relay.is_there() => {
            Heard::Unheard(failure.words)
        }
        Err(_) => Heard::Stopped,
    }
}

fn tell(finding: &Finding) {
    let Finding {
        check,
        state,
        words,
        remedy,
        place,
        ..
    } = finding;
    let (style, state) = match state {
        State::Ok => (Style::Good, "ok"),
        State::Warning => (Style::Warning, "warning"),
        State::Failure => (Style::Bad, "FAILURE"),
    };
    let blanks = " ".repeat("FAILURE  ".len() - state.len());
    say_styled(&[
        (style, state),
        (Style::Plain, &format!("{blanks}{check}: {words}")),
    ]);
    for line in remedy.iter().chain(place) {
        say(&format!("         -> {line}"));
    }
}
