//! `import report`: the senders of the SMTP AUTH clients report, ticked off as soon as the
//! running relay's history has mail from them.

use std::path::PathBuf;

use serde::Serialize;

use super::unread;
use crate::admin::HistoryPage;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::counted;
use crate::cli::running::Failure;
use crate::cli::running::Relay;
use crate::cli::say;
use crate::cli::say_json;
use crate::cli::talk;
use crate::import::report;
use crate::import::report::Report;
use crate::import::report::Sender;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The report that the Exchange admin centre exported (Reports, Mail flow, SMTP AUTH clients)
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// A row of the list.
#[derive(Debug, Serialize)]
struct Row<'a> {
    sender: &'a str,
    messages: Option<u64>,
    /// When the relay's newest message from it came in; nothing if there is none.
    seen_at: Option<String>,
    /// The address of the machine that sent it.
    client: Option<String>,
}

/// A history may have this many pieces without a message of a sender.
const MOST_PIECES: usize = 1000;
/// Messages that were refused count for nothing.
const ACCEPTED: &str = "25";

pub(super) async fn run(options: &Options) -> Exit {
    list(options).await.unwrap_or_else(Failure::tell)
}

async fn list(options: &Options) -> Result<Exit, Failure> {
    let Report { senders, notice } = report::read(&options.file).map_err(|error| unread(&error))?;
    if let Some(notice) = notice {
        talk(&format!("{}: {notice}", options.file.display()));
    }
    let mut relay = Some(Relay::of(&options.config)?);
    let mut rows = Vec::new();
    for sender in &senders {
        let seen = match &relay {
            Some(asked) => asked_for(asked, sender).await,
            None => Ok(None),
        };
        let seen = seen.unwrap_or_else(|failure| {
            talk(&format!("nothing is ticked off: {}", failure.words));
            relay = None;
            None
        });
        let (seen_at, client) = seen.unzip();
        rows.push(Row {
            sender: sender.address.as_str(),
            messages: sender.messages,
            seen_at,
            client: client.flatten(),
        });
    }
    if options.json {
        rows.iter().for_each(say_json);
    } else {
        show(&rows, &senders);
    }
    Ok(Exit::Done)
}

fn show(rows: &[Row<'_>], senders: &[Sender]) {
    let done = rows.iter().filter(|row| row.seen_at.is_some()).count();
    let all = counted(u64::try_from(rows.len()).unwrap_or(u64::MAX), "sender");
    say(&format!(
        "{done} of {all} already send through the relay:\n"
    ));
    for (row, sender) in rows.iter().zip(senders) {
        let tick = if row.seen_at.is_some() { "[x]" } else { "[ ]" };
        let messages = row
            .messages
            .map(|count| format!(", {} in the report", counted(count, "message")));
        say(&format!(
            "  {tick} {}{}",
            row.sender,
            messages.unwrap_or_default()
        ));
        if let Some(at) = &row.seen_at {
            let client = row.client.as_deref().map(|it| format!(" from {it}"));
            say(&format!(
                "        newest message: {at}{}",
                client.unwrap_or_default()
            ));
        } else if !sender.others.is_empty() {
            let others = sender
                .others
                .iter()
                .map(|(name, value)| format!("{name}: {value}"));
            say(&format!(
                "        {}",
                others.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    if done < rows.len() {
        say(
            "\nFor each of them: find the device or program, and enter this relay as its SMTP server. \
             It may keep its name and password if relay.toml has a [[user]] with that name, whose \
             senders has the address. Then run this command again.",
        );
    }
}

/// When the newest message from a sender came in that the relay accepted, and from where.
async fn asked_for(
    relay: &Relay,
    sender: &Sender,
) -> Result<Option<(String, Option<String>)>, Failure> {
    let mut after = None;
    for _ in 0..MOST_PIECES {
        let mut parameters = vec![
            ("text", String::new()),
            ("limit", ACCEPTED.to_owned()),
            ("filter", format!("from={}", sender.address)),
        ];
        parameters.extend(after.as_ref().map(|place| ("after", format!("{place}"))));
        let page: Option<HistoryPage> = relay.ask_for("/history", &parameters).await?;
        let page = page.ok_or_else(Failure::another_version)?;
        if let Some(row) = page.rows.into_iter().find(|row| row.id.is_some()) {
            return Ok(Some((row.received_at, row.client)));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(None)
}
