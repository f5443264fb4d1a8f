//! `queue retry`, `hold`, `release` and `drop`: one line with the result for each message, and
//! the totals at the end. Of many messages a terminal gets a line for each that was refused,
//! the first lines with another remark, and the number of the others.
//!
//! Before an action on many messages, the command shows their number and asks. The action
//! then does not include messages that arrived later. It goes on in slices; Ctrl-C ends it
//! after one, and the totals say how much was done.

use std::collections::HashSet;
use std::pin::pin;

use serde::Serialize;

use super::Failure;
use super::Relay;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::counted;
use crate::cli::grouped;
use crate::cli::say;
use crate::cli::say_json;
use crate::cli::talk;
use crate::cli::terminal;
use crate::cli::terminal::Progress;
use crate::mail::SpoolId;
use crate::platform::signals;
use crate::platform::signals::Signal;
use crate::spool::Action;
use crate::spool::Count;
use crate::spool::Decided;
use crate::spool::Decision;
use crate::spool::Filter;
use crate::spool::Order;
use crate::spool::Verdict;
use crate::spool::Which;

/// The help for an expression.
pub(in crate::cli) const FILTER: &str = "\
Only messages that match all of these terms, separated by spaces or commas, such as
state=failed,from=*@contoso.com

  state=STATE      waiting, claimed (being sent), held, failed, quarantined;
                   delivered, dropped; refused (only in the history)
  from=PATTERN     the address in MAIL FROM or in the From header; <> is the null sender
  to=PATTERN       a recipient
  subject=TEXT     a part of the subject
  client=PATTERN   the address of the client
  user=PATTERN     the user who authenticated
  message-id=PATTERN
                   the Message-ID that goes out
  mailbox=PATTERN  the mailbox that sends it
  account=NAME     the account that sends it
  code=PATTERN     the error code of the last attempt, such as ErrorAccessDenied
  reason=TEXT      a part of the reason that the list shows; ignores case
  older=TIME       accepted longer ago than this: 90m, 12h, 2d
  newer=TIME       accepted less long ago than this
  since=MOMENT     accepted at this moment (UTC) or later: 2026-12-01, 2026-12-01T14:30
  until=MOMENT     accepted before this moment

In a PATTERN, * stands for any characters; case is ignored.
Put a text with spaces in \"...\".";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(in crate::cli) struct Options {
    /// The ID of a message, as in the list, in the log and in the reply to DATA
    #[arg(value_name = "ID", group = "which")]
    ids: Vec<SpoolId>,
    /// All messages that the command can apply to; asks first
    #[arg(long, group = "which")]
    all: bool,
    /// Only messages that match this expression
    #[arg(long, value_name = "EXPR", group = "which", long_help = FILTER)]
    filter: Option<Filter>,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

impl Options {
    /// Everything, without a question.
    pub(super) fn all(file: ConfigFile) -> Self {
        Self {
            ids: Vec::new(),
            all: true,
            filter: None,
            yes: true,
            json: false,
            file,
        }
    }
}

/// Lines on a terminal about messages that nobody named. Most of them say the same, such as why
/// a mailbox waits.
const MOST_LINES: u64 = 20;

/// What came of the command, over all pages.
#[derive(Default)]
struct Totals {
    done: u64,
    already: u64,
    refused: u64,
    /// Lines that were printed, and those beyond [`MOST_LINES`].
    listed: u64,
    unlisted: u64,
}

pub(in crate::cli) async fn run(action: Action, options: &Options) -> Result<Exit, Failure> {
    // Dropping what a filter finds is as dangerous as dropping all.
    let asks = !options.yes && (options.all || options.filter.is_some() && action == Action::Drop);
    if asks && !terminal::is_there() {
        talk(
            "graph-relay: this command asks for confirmation, but there is no terminal: add --yes",
        );
        return Ok(Exit::Usage);
    }
    let relay = Relay::of(&options.file)?;
    let mut totals = Totals::default();
    if !options.ids.is_empty() {
        let mut seen = HashSet::new();
        let mut ids = options.ids.clone();
        ids.retain(|id| seen.insert(*id));
        let decided = give(&relay, action, Which::Ids(ids)).await?;
        totals.add(action, &decided, Shown::of(options));
        return Ok(conclude(action, &totals));
    }
    let count = count(&relay, action, options.filter.as_ref()).await?;
    if count.states.is_empty() {
        talk("no matching messages");
        return Ok(Exit::Done);
    }
    if asks && !terminal::agreed(&format!("{} Continue?", question(action, &count)), false) {
        talk("nothing was changed");
        return Ok(Exit::CheckFailed);
    }
    all(&relay, action, options, &count, &mut totals).await
}

/// Gives the order for everything that was counted, slice by slice.
async fn all(
    relay: &Relay,
    action: Action,
    options: &Options,
    count: &Count,
    totals: &mut Totals,
) -> Result<Exit, Failure> {
    let of = count.states.values().sum();
    let progress = Progress::begin(present(action));
    let mut interrupt = signals::interrupt().ok();
    let mut after = None;
    loop {
        let which = Which::Matching {
            filter: options.filter.clone(),
            accepted_by: count.at,
            after,
        };
        let order = give(relay, action, which);
        let (decided, is_interrupted) = finished(order, &mut interrupt).await;
        let decided = match decided {
            Ok(decided) => decided,
            Err(failure) => {
                drop(progress);
                conclude(action, totals);
                return Err(failure);
            }
        };
        totals.add(action, &decided, Shown::of(options));
        progress.at(totals.all(), of);
        after = decided.next;
        if after.is_none() {
            drop(progress);
            return Ok(conclude(action, totals));
        }
        if is_interrupted {
            drop(progress);
            conclude(action, totals);
            let left = grouped(of.saturating_sub(totals.all()));
            talk(&format!("about {left} were left as they are"));
            return Ok(Exit::Interrupted);
        }
    }
}

/// Waits for a slice, also after Ctrl-C. Returns whether that came.
async fn finished(
    order: impl Future<Output = Result<Decided, Failure>>,
    interrupt: &mut Option<Signal>,
) -> (Result<Decided, Failure>, bool) {
    let mut order = pin!(order);
    tokio::select! {
        decided = &mut order => return (decided, false),
        () = interrupted(interrupt) => {}
    }
    talk("interrupted: waiting until the messages under way are done");
    (order.await, true)
}

async fn interrupted(interrupt: &mut Option<Signal>) {
    match interrupt {
        Some(interrupt) => {
            interrupt.recv().await;
        }
        None => std::future::pending().await,
    }
}

async fn count(relay: &Relay, action: Action, filter: Option<&Filter>) -> Result<Count, Failure> {
    let filter = filter.map(|filter| ("filter", filter.to_string()));
    let action = ("action", verb(action).to_owned());
    let parameters: Vec<_> = [action].into_iter().chain(filter).collect();
    let count = relay.ask_for("/queue/count", &parameters).await?;
    count.ok_or_else(Failure::another_version)
}

/// Gives one order. Returns what came of it, and where the next slice begins, if there may
/// be one.
async fn give(relay: &Relay, action: Action, which: Which) -> Result<Decided, Failure> {
    let order = Order { action, which };
    let decided = relay.order("/queue/actions", &order).await?;
    decided.ok_or_else(Failure::another_version)
}

/// How much of the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Json,
    Everything,
    /// Only lines that say more than that it was done, and of these the first.
    Exceptions,
}

impl Shown {
    fn of(options: &Options) -> Self {
        match (options.json, options.ids.is_empty()) {
            (true, _) => Self::Json,
            (false, true) if terminal::is_watched() => Self::Exceptions,
            (false, _) => Self::Everything,
        }
    }
}

impl Totals {
    fn all(&self) -> u64 {
        self.done + self.already + self.refused
    }

    /// Adds a slice, and prints it.
    fn add(&mut self, action: Action, decided: &Decided, shown: Shown) {
        for decision in &decided.decisions {
            match decision.verdict {
                Verdict::Done => self.done += 1,
                Verdict::Already => self.already += 1,
                Verdict::Refused => self.refused += 1,
            }
            let is_plain = decision.verdict == Verdict::Done && decision.remark.is_none();
            match shown {
                Shown::Json => say_json(&Line { action, decision }),
                Shown::Exceptions if is_plain => {}
                // What was not done is always named.
                Shown::Exceptions
                    if self.listed >= MOST_LINES && decision.verdict != Verdict::Refused =>
                {
                    self.unlisted += 1;
                }
                Shown::Everything | Shown::Exceptions => {
                    self.listed += 1;
                    say(&format!("{}  {}", decision.id, words(action, decision)));
                }
            }
        }
    }
}

/// The result as `--json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    action: Action,
    #[serde(flatten)]
    decision: &'a Decision,
}

fn words(action: Action, decision: &Decision) -> String {
    let remark = decision.remark.as_deref().unwrap_or_default();
    match decision.verdict {
        Verdict::Done if remark.is_empty() => match action {
            Action::Retry | Action::Release => format!("{}, due now", done(action)),
            Action::Hold | Action::Drop => done(action).to_owned(),
        },
        Verdict::Done => format!("{}: {remark}", done(action)),
        Verdict::Already => format!("nothing to do: {remark}"),
        Verdict::Refused => format!("not {}: {remark}", participle(action)),
    }
}

fn done(action: Action) -> &'static str {
    match action {
        Action::Retry | Action::Release => "waiting again",
        Action::Hold => "held",
        Action::Drop => "dropped",
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Retry => "retry",
        Action::Hold => "hold",
        Action::Release => "release",
        Action::Drop => "drop",
    }
}

fn present(action: Action) -> &'static str {
    match action {
        Action::Retry => "retrying",
        Action::Hold => "holding",
        Action::Release => "releasing",
        Action::Drop => "dropping",
    }
}

fn participle(action: Action) -> &'static str {
    match action {
        Action::Retry => "retried",
        Action::Hold => "held",
        Action::Release => "released",
        Action::Drop => "dropped",
    }
}

fn question(action: Action, count: &Count) -> String {
    let total: u64 = count.states.values().sum();
    let states: Vec<String> = count
        .states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let what = match action {
        Action::Retry => "will be tried now",
        Action::Hold => "will be held",
        Action::Release => "will be released and sent",
        Action::Drop => {
            "will be dropped: never sent, and the content is deleted unless history.keep_content keeps it"
        }
    };
    let messages = counted(total, "message");
    format!("{messages} ({}) {what}.", states.join(", "))
}

fn conclude(action: Action, totals: &Totals) -> Exit {
    let Totals {
        done,
        already,
        refused,
        listed: _,
        unlisted,
    } = totals;
    let participle = participle(action);
    if *unlisted > 0 {
        let more = grouped(*unlisted);
        talk(&format!("and {more} more that are not listed"));
    }
    talk(&format!(
        "{done} {participle}, {already} unchanged, {refused} not {participle}"
    ));
    match refused {
        0 => Exit::Done,
        _ => Exit::CheckFailed,
    }
}
