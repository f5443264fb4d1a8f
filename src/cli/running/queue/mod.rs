//! `queue`: the messages that are not delivered, as the running relay reports them. `list.rs`
//! lists them, `show.rs` shows one, `actions.rs` and `resend.rs` have the commands that change
//! something.

pub(super) mod actions;
mod list;
mod resend;
mod show;

use super::Failure;
use super::Relay;
use super::no_message;
use super::pause;
use crate::admin::Waits;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::terminal::Style;
use crate::cli::when;
use crate::clock::Timestamp;
use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::Filter;
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
        /// List at most this many, the oldest first; 0 shows only how many there are. Default: 100 on
        /// a terminal, otherwise all
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
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
            limit: None,
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
        Command::List {
            file,
            filter,
            limit,
            json,
        } => list::list(file, filter.as_ref(), *limit, *json).await,
        Command::Show { id, file, json } => show::show(file, *id, *json).await,
        Command::Retry(options) => actions::run(Action::Retry, options).await,
        Command::Hold(options) => actions::run(Action::Hold, options).await,
        Command::Release(options) => actions::run(Action::Release, options).await,
        Command::Resend(options) => resend::run(options).await,
        Command::Drop(options) => actions::run(Action::Drop, options).await,
    };
    outcome.unwrap_or_else(Failure::tell)
}

/// The colour of a state.
pub(super) fn style(state: State) -> Style {
    match state {
        State::Waiting | State::Claimed | State::Dropped => Style::Plain,
        State::Delivered => Style::Good,
        State::Held => Style::Warning,
        State::Failed | State::Quarantined => Style::Bad,
    }
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
            let (whose, why) = (backing_off.whose(), backing_off.why());
            format!("{whose} is backing off: {why}")
        }
    }
}
