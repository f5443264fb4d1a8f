//! `apply`: writes a change of relay.toml that somebody has prepared on the admin page.
//!
//! The relay itself usually may not write its configuration, so that nobody who breaks into it
//! can change what it does. Whoever runs this command sees what changes, and decides.

use crate::admin::InForce;
use crate::admin::Prepared;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::running::Failure;
use crate::cli::running::Relay;
use crate::cli::say;
use crate::cli::talk;
use crate::cli::terminal;
use crate::config::Environment;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Side;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The change, as the admin page shows it
    change: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Leave it to somebody else to restart the relay, if the change needs that
    #[arg(long)]
    no_restart: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    match apply(options).await {
        Ok(exit) => exit,
        Err(failure) => failure.tell(),
    }
}

async fn apply(options: &Options) -> Result<Exit, Failure> {
    let relay = Relay::of(&options.file)?;
    // It goes into a path.
    let is_plain = options.change.chars().all(|c| c.is_ascii_alphanumeric());
    let path = format!("/changes/{}", options.change);
    let prepared: Option<Prepared> = match is_plain {
        true => relay.ask(&path).await?,
        false => None,
    };
    let prepared = prepared.ok_or_else(|| Failure {
        exit: Exit::CheckFailed,
        words: format!(
            "no change {} waits: it waits for a day, until the service is stopped, or until there are \
             many others. Prepare it again on the admin page",
            options.change
        ),
    })?;
    let path = std::path::absolute(&options.file.config);
    if !path.is_ok_and(|path| path == prepared.file) {
        let file = prepared.file.display();
        return Err(Failure {
            exit: Exit::Usage,
            words: format!("this is a change of {file}: run the command with --config {file}"),
        });
    }
    let (before, after) = (prepared.before, prepared.after);
    let change = Change::checked(&prepared.file, before, after, Environment::Counts);
    let change = change.map_err(failure)?;
    show(&change, &prepared.by);
    if !options.yes && !agreed()? {
        talk("Nothing has changed.");
        return Ok(Exit::CheckFailed);
    }
    change.write().map_err(failure)?;
    let file = change.path.display();
    say(&format!(
        "{file}: written. The text before is in {file}.previous"
    ));
    in_force(&relay, options).await
}

fn agreed() -> Result<bool, Failure> {
    if terminal::is_there() {
        return Ok(terminal::agreed("Apply this change?", false));
    }
    Err(Failure {
        exit: Exit::Usage,
        words: "there is no terminal to ask: add --yes to apply this change".to_owned(),
    })
}

fn show(change: &Change, by: &str) {
    say(&format!("{}, prepared by {by}:", change.path.display()));
    for line in change.lines() {
        let sign = match line.side {
            Side::Both => "  ",
            Side::Old => "- ",
            Side::New => "+ ",
            Side::Gap => "  ...",
        };
        say(&format!("  {sign}{}", line.text));
    }
}

/// Makes the relay use the new file.
async fn in_force(relay: &Relay, options: &Options) -> Result<Exit, Failure> {
    let path = format!("/changes/{}", options.change);
    let mut reloaded: Option<InForce> = relay.order(&path, &()).await?;
    if reloaded.is_none() {
        // The relay has forgotten the change meanwhile, but the file is written.
        reloaded = relay.order("/configuration/reload", &()).await?;
    }
    let reloaded = reloaded.ok_or_else(Failure::another_version)?;
    let needs = match (&reloaded.error, reloaded.needs_restart.as_slice()) {
        (None, []) => {
            say("The relay uses it now.");
            return Ok(Exit::Done);
        }
        (Some(error), _) => error.clone(),
        (None, needs) => needs.join(", "),
    };
    if options.no_restart {
        say(&format!(
            "Some of it takes effect at a restart ({needs}). Run: systemctl restart graph-relay"
        ));
        return Ok(Exit::Done);
    }
    let _restarts: Option<InForce> = relay.order("/configuration/restart", &()).await?;
    say(&format!(
        "The relay restarts, because that is needed for: {needs}"
    ));
    Ok(Exit::Done)
}

fn failure(error: EditError) -> Failure {
    let words = error.to_string();
    match error {
        EditError::Refused(error) => Failure::of_configuration(&error),
        EditError::Changed(_) => Failure {
            exit: Exit::CheckFailed,
            words: format!("{words}. Then prepare the change again on the admin page"),
        },
        EditError::Busy(_) => Failure {
            exit: Exit::TryLater,
            words,
        },
        EditError::Write { .. } if error.is_not_permitted() => Failure {
            exit: Exit::NotPermitted,
            words: format!("{words}: run this with sudo, where the file can be written"),
        },
        EditError::Read { .. }
        | EditError::Form(_)
        | EditError::Interrupted
        | EditError::Write { .. } => Failure {
            exit: Exit::CannotCreate,
            words,
        },
    }
}
