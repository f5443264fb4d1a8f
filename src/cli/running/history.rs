//! `history` and `trace`: what became of messages, asked of the running relay over its
//! admin socket. `history` lists, in two lines for each recipient; `trace` looks for
//! something, and says everything about what it finds.

use super::Failure;
use super::Relay;
use super::actions;
use crate::admin::HistoryPage;
use crate::admin::HistoryRow;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::counted;
use crate::cli::say;
use crate::cli::talk;
use crate::spool::Filter;
use crate::spool::Place;

/// Rows that are shown where nobody says how many.
const LIMIT: &str = "50";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Only messages that match this expression
    #[arg(long, value_name = "EXPR", long_help = actions::FILTER)]
    filter: Option<Filter>,
    /// Show at most this many rows
    #[arg(long, value_name = "N", default_value = LIMIT)]
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
    let mut left = options.limit.max(1);
    let mut count = 0_u64;
    loop {
        let page: Option<HistoryPage> = relay
            .ask_for("/history", &parameters(text, options, after, left))
            .await?;
        let page = page.ok_or_else(Failure::another_version)?;
        for row in &page.rows {
            match (options.json, detail) {
                (true, _) => say(&serde_json::to_string(row).unwrap_or_default()),
                (false, Detail::Brief) => brief(row).iter().for_each(|line| say(line)),
                (false, Detail::Full) => full(row, count == 0).iter().for_each(|line| say(line)),
            }
            count += 1;
            left = left.saturating_sub(1);
        }
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
        after = Some(next);
    }
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

/// When, what became of it, and who: one line.
fn heading(row: &HistoryRow) -> String {
    let sender = row.sender.as_ref().map(|sender| format!("<{sender}>"));
    let recipient = row.recipient.as_ref().map(|it| format!("<{it}>"));
    let mut who: Vec<String> = sender.into_iter().chain(recipient).collect();
    if who.is_empty() {
        who.extend(row.client.clone());
    }
    format!(
        "{}  {:11}  {:26}  {}",
        row.received_at,
        row.state,
        row.id.as_deref().unwrap_or("-"),
        who.join(", ")
    )
}

fn brief(row: &HistoryRow) -> Vec<String> {
    vec![heading(row), format!("{:22}{}", "", row.verdict.happened)]
}

fn full(row: &HistoryRow, is_first: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if !is_first {
        lines.push(String::new());
    }
    lines.push(heading(row));
    let mut line = |label: &str, text: Option<&String>| {
        let text = text.filter(|text| !text.is_empty());
        lines.extend(text.map(|text| format!("  {label:10}{text}")));
    };
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
    lines
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
