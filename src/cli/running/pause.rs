//! `pause` and `resume`: stops all delivery, or that of one mailbox, and lets it go on.
//! Mail is accepted meanwhile.

use super::Failure;
use super::Relay;
use crate::admin::Paused;
use crate::admin::Resumed;
use crate::admin::ToPause;
use crate::admin::ToResume;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::counted;
use crate::cli::say;
use crate::cli::talk;
use crate::cli::when;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::spool::Pause;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Only this mailbox; other mailboxes continue
    #[arg(long, value_name = "MAILBOX")]
    mailbox: Option<Address>,
    /// Why, for whoever looks at the status later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResumeOptions {
    /// Only this mailbox, which was paused by itself
    #[arg(long, value_name = "MAILBOX")]
    mailbox: Option<Address>,
    #[command(flatten)]
    file: ConfigFile,
}

pub(in crate::cli) async fn pause(options: &Options) -> Exit {
    let wanted = ToPause {
        mailbox: options.mailbox.clone(),
        reason: options.reason.clone(),
    };
    let paused = async {
        let relay = Relay::of(&options.file)?;
        let paused: Option<Paused> = relay.order("/pauses", &wanted).await?;
        let paused = paused.ok_or_else(Failure::another_version)?;
        let (what, remedy) = (paused.pause.what(), paused.pause.remedy());
        let waits = waits(paused.waiting);
        match paused.is_new {
            true => say(&format!(
                "{what} is paused: {waits}; mail is still accepted. To go on: {remedy}"
            )),
            false => say(&format!(
                "{}: {waits}. To go on: {remedy}",
                words(&paused.pause, Clock::System.now())
            )),
        }
        Ok(Exit::Done)
    };
    paused.await.unwrap_or_else(Failure::tell)
}

pub(in crate::cli) async fn resume(options: &ResumeOptions) -> Exit {
    let wanted = ToResume {
        mailbox: options.mailbox.clone(),
    };
    let resumed = async {
        let relay = Relay::of(&options.file)?;
        let resumed: Option<Resumed> = relay.order("/pauses/end", &wanted).await?;
        let resumed = resumed.ok_or_else(Failure::another_version)?;
        Ok(conclude(&options.mailbox, &resumed))
    };
    resumed.await.unwrap_or_else(Failure::tell)
}

fn conclude(mailbox: &Option<Address>, resumed: &Resumed) -> Exit {
    let Resumed {
        ended,
        left,
        waiting,
    } = resumed;
    if let Some(ended) = ended {
        say(&format!("{} is resumed: {}", ended.what(), waits(*waiting)));
        if ended.by_relay {
            talk(STILL_UNREADABLE);
        }
    }
    // What is paused by itself does not concern another mailbox.
    let concerns = |pause: &&Pause| mailbox.is_none() || pause.mailbox.is_none();
    let still: Vec<_> = left.iter().filter(concerns).collect();
    for pause in &still {
        let words = words(pause, Clock::System.now());
        talk(&format!("{words}. To go on: {}", pause.remedy()));
    }
    match (ended, still.is_empty()) {
        (Some(_), _) => Exit::Done,
        (None, true) => {
            talk("nothing to do: it is not paused");
            Exit::Done
        }
        (None, false) => Exit::CheckFailed,
    }
}

/// What to know when a pause by the relay ends.
const STILL_UNREADABLE: &str = "What was paused before is still unreadable, so the next start \
    pauses delivery again. To repair the spool: systemctl stop graph-relay, then graph-relay spool \
    salvage";

fn waits(count: u64) -> String {
    match count {
        0 => "no message waits for it now".to_owned(),
        1 => "1 message waits".to_owned(),
        count => format!("{} wait", counted(count, "message")),
    }
}

/// Since when something is paused, by whom and why.
pub(super) fn words(pause: &Pause, now: Timestamp) -> String {
    let (what, since) = (pause.what(), when(pause.since, now));
    let (by, why) = (pause.by(), pause.why());
    format!("{what} has been paused since {since} {by}{why}")
}
