//! `history` and `trace`: what became of messages, asked of the running relay over its
//! admin socket. `history` lists, in two lines for each recipient; `trace` looks for
//! something, and says everything about what it finds.

use super::Failure;
use super::Relay;
use super::queue;
use super::queue::actions;
use crate::admin::HistoryPage;
use crate::admin::HistoryRow;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::ago;
use crate::cli::counted;
use crate::cli::say;
use crate::cli::say_json;
use crate::cli::say_styled;
use crate::cli::talk;
use crate::cli::terminal::Column;
use crate::cli::terminal::Progress;
use crate::cli::terminal::Style;
use crate::cli::terminal::Table;
use crate::cli::when;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::spool::Filter;
use crate::spool::Place;
use crate::spool::State;

/// Rows that are shown where nobody says how many.
const LIMIT: &str = "50";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Only messages that match this expression
    #[arg(long, value_name = "EXPR", long_help = actions::FILTER)]
    filter: Option<Filter>,
    /// Show at most this many rows
    #[arg(long, value_name = "N", default_value = LIMIT, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Continue where an earlier list ended, at the place that its last line names
    #[arg(long, value_name = "PLACE")]
    after: Option<Place>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TraceOptions {
    /// An ID or a Message-ID, an address, the address of a client, or a part of a subject, an
    /// address or a name
    text: String,
    #[command(flatten)]
    options: Options,
}

/// How much is said of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Brief,
    Full,
}

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    let shown = show("", options, Detail::Brief).await;
    shown.unwrap_or_else(Failure::tell)
}

pub(in crate::cli) async fn trace(options: &TraceOptions) -> Exit {
    let shown = show(&options.text, &options.options, Detail::Full).await;
    shown.unwrap_or_else(Failure::tell)
}

async fn show(text: &str, options: &Options, detail: Detail) -> Result<Exit, Failure> {
    let relay = Relay::of(&options.file)?;
    let mut after = options.after;
    let mut left = options.limit;
    let mut count = 0_u64;
    let mut table = Table::new(&COLUMNS);
    let progress = Progress::begin("searching");
    let now = Clock::System.now();
    loop {
        let page: Option<HistoryPage> = relay
            .ask_for("/history", &parameters(text, options, after, left))
            .await?;
        let page = page.ok_or_else(Failure::another_version)?;
        for row in &page.rows {
            match (options.json, detail) {
                (true, _) => say_json(row),
                (false, Detail::Brief) => brief(&mut table, row, now),
                (false, Detail::Full) => full(row, count == 0, now),
            }
            count += 1;
            left = left.saturating_sub(1);
        }
        table.print();
        let Some(next) = page.next else {
            break;
        };
        if left == 0 {
            talk(&format!(
                "{} shown; there may be older ones: add --after {next}, or a larger --limit",
                counted(count, "row")
            ));
            return Ok(Exit::Done);
        }
        progress.next(&format!("searching before {}", when(next.id.time(), now)));
        after = Some(next);
    }
    drop(progress);
    if count == 0 {
        let words = match options.filter.is_some() || !text.is_empty() || options.after.is_some() {
            true => {
                "no matching messages: either there was none, or it is older than history.keep allows"
            }
            false => "no message was accepted or refused yet",
        };
        talk(words);
    }
    Ok(Exit::Done)
}

fn parameters(
    text: &str,
    options: &Options,
    after: Option<Place>,
    limit: u32,
) -> Vec<(&'static str, String)> {
    let mut parameters = vec![("text", text.to_owned()), ("limit", limit.to_string())];
    let filter = options.filter.as_ref();
    parameters.extend(filter.map(|filter| ("filter", filter.to_string())));
    parameters.extend(after.map(|after| ("after", after.to_string())));
    parameters
}

const COLUMNS: [Column; 7] = [
    Column::text("TIME"),
    Column::text("AGE"),
    Column::text("STATE"),
    Column::text("ID"),
    Column::long("FROM"),
    Column::long("TO"),
    Column::long("SUBJECT"),
];

/// A row of the list; below it what happened.
fn brief(table: &mut Table, row: &HistoryRow, now: Timestamp) {
    let client = || row.client.clone().unwrap_or_default();
    let cells = vec![
        row.received_at.as_str().into(),
        age(row, now).into(),
        (style(&row.state), row.state.clone()).into(),
        row.id.as_deref().unwrap_or("-").into(),
        row.sender.as_deref().map_or_else(client, bare).into(),
        row.recipient.as_deref().unwrap_or_default().into(),
        row.subject.as_deref().unwrap_or_default().into(),
    ];
    table.row(cells, vec![row.verdict.happened.clone()]);
}

/// How long ago it came.
fn age(row: &HistoryRow, now: Timestamp) -> String {
    let came = Timestamp::from_words(&row.received_at);
    came.map_or_else(String::new, |came| ago(now.since(came)))
}

/// The null sender has a name that can be seen.
fn bare(sender: &str) -> String {
    match sender {
        "" => "<>".to_owned(),
        sender => sender.to_owned(),
    }
}

fn style(state: &str) -> Style {
    match State::named(state) {
        Some(state) => queue::style(state),
        None => Style::Warning,
    }
}

/// A row with everything that an operator asks about it.
fn full(row: &HistoryRow, is_first: bool, now: Timestamp) {
    if !is_first {
        say("");
    }
    let sender = row.sender.as_ref().map(|sender| format!("<{sender}>"));
    let recipient = row.recipient.as_ref().map(|it| format!("<{it}>"));
    let mut who: Vec<String> = sender.into_iter().chain(recipient).collect();
    if who.is_empty() {
        who.extend(row.client.clone());
    }
    let id = row.id.as_deref().unwrap_or("-");
    say_styled(&[
        (Style::Plain, &format!("{}  ", row.received_at)),
        (style(&row.state), &format!("{:11}", row.state)),
        (Style::Plain, &format!("  {id:26}  {}", who.join(", "))),
    ]);
    let line = |label: &str, text: Option<&String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            say(&format!("  {label:10}{text}"));
        }
    };
    line("received", Some(&age(row, now)));
    line("subject", row.subject.as_ref());
    line("for", row.asked_for.as_ref());
    let from = row.author.as_ref();
    line(
        "From",
        from.filter(|from| row.sender.as_ref() != Some(from)),
    );
    line("client", client(row).as_ref());
    line("happened", Some(&row.verdict.happened));
    line("next", row.verdict.next.as_ref());
    line("you can", row.verdict.action.as_ref());
}

fn client(row: &HistoryRow) -> Option<String> {
    let mut words = row.client.clone()?;
    if let Some(hello) = row.hello.as_ref().filter(|hello| !hello.is_empty()) {
        words.push_str(&format!(" ({hello})"));
    }
    if let Some(user) = &row.user {
        words.push_str(&format!(", user {user}"));
    }
    Some(words)
}
