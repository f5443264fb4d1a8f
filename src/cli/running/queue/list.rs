//! `queue list`: what is not delivered and why, with totals at the end. However many there are,
//! no more than a page of them is in memory.

use std::time::Duration;

use super::Failure;
use super::Relay;
use super::reason;
use super::style;
use crate::admin::Listed;
use crate::admin::Waits;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::counted;
use crate::cli::grouped;
use crate::cli::say_json;
use crate::cli::size;
use crate::cli::talk;
use crate::cli::terminal;
use crate::cli::terminal::Column;
use crate::cli::terminal::Progress;
use crate::cli::terminal::Table;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::clock::span;
use crate::mail::SpoolId;
use crate::spool::Filter;
use crate::spool::State;
use crate::spool::Sum;
use crate::spool::Summary;

/// Rows that are shown on a terminal where nobody says how many.
const USUAL_LIMIT: u64 = 100;
/// The most rows that the relay gives in one answer.
const PAGE: u64 = 500;

/// Less is not worth a unit of its own.
const YOUNGEST: Duration = Duration::from_secs(1);

const COLUMNS: [Column; 9] = [
    Column::text("ID"),
    Column::text("STATE"),
    Column::number("AGE"),
    Column::number("SIZE"),
    Column::number("TRIES"),
    Column::text("NEXT"),
    Column::long("FROM"),
    Column::long("TO"),
    Column::long("SUBJECT"),
];

pub(super) async fn list(
    file: &ConfigFile,
    filter: Option<&Filter>,
    limit: Option<u64>,
    json: bool,
) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let usual = terminal::is_watched().then_some(USUAL_LIMIT);
    let limit = limit.or(usual).unwrap_or(u64::MAX);
    let mut table = Table::new(&COLUMNS);
    // On a terminal the rows themselves show how far it is.
    let progress = (!terminal::is_watched()).then(|| Progress::begin("listing"));
    let mut after: Option<SpoolId> = None;
    let mut count: u64 = 0;
    loop {
        let wanted = limit.saturating_sub(count).min(PAGE);
        let page = page(&relay, filter, after, wanted).await?;
        for entry in &page {
            if json {
                say_json(entry);
            } else {
                add(&mut table, entry, Clock::System.now());
            }
            count += 1;
            after = Some(entry.summary.id);
        }
        table.print();
        progress.iter().for_each(|progress| progress.at(count, 0));
        if page.is_empty() || count >= limit {
            break;
        }
    }
    drop(progress);
    if !json {
        conclude(&relay, filter, count).await?;
    }
    Ok(Exit::Done)
}

async fn page(
    relay: &Relay,
    filter: Option<&Filter>,
    after: Option<SpoolId>,
    limit: u64,
) -> Result<Vec<Listed>, Failure> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let filter = filter.map(|filter| ("filter", filter.to_string()));
    let after = after.map(|id| ("after", id.to_string()));
    let limit = ("limit", limit.to_string());
    let parameters: Vec<_> = filter.into_iter().chain(after).chain([limit]).collect();
    let page = relay.ask_for("/queue", &parameters).await?;
    Ok(page.unwrap_or_default())
}

/// How many there are, also of those that are not listed.
async fn conclude(relay: &Relay, filter: Option<&Filter>, shown: u64) -> Result<(), Failure> {
    let parameters = filter.map(|filter| ("filter", filter.to_string()));
    let parameters: Vec<_> = parameters.into_iter().collect();
    let sum: Option<Sum> = relay.ask_for("/queue/totals", &parameters).await?;
    let sum = sum.ok_or_else(Failure::another_version)?;
    let bytes = size(sum.bytes);
    // Others come and go while the rows are printed.
    if sum.messages > shown {
        let all = grouped(sum.messages);
        talk(&match shown {
            0 => format!("{all} messages; {bytes}"),
            shown => format!(
                "showing the {} oldest of {all}; {bytes}. For more: --limit {}",
                grouped(shown),
                sum.messages
            ),
        });
    } else if shown > 0 {
        talk(&format!("{}; {bytes}", counted(shown, "message")));
    } else {
        talk(match filter {
            None => "nothing is waiting and nothing has failed",
            Some(_) => "no matching messages",
        });
    }
    Ok(())
}

fn add(table: &mut Table, Listed { summary, waits }: &Listed, now: Timestamp) {
    let entry = summary;
    let others = match entry.recipients.len() {
        0 | 1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let to = entry.recipients.first().map_or("", |first| first.as_str());
    let from = match entry.reverse_path.as_str() {
        "" => "<>",
        from => from,
    };
    let cells = vec![
        entry.id.to_string().into(),
        (style(entry.state), entry.state.to_string()).into(),
        span(now.since(entry.accepted_at).max(YOUNGEST)).into(),
        size(entry.size).into(),
        entry.attempts.to_string().into(),
        next(entry, waits.as_ref(), now).into(),
        from.into(),
        format!("{to}{others}").into(),
        entry.subject.clone().unwrap_or_default().into(),
    ];
    let waits = waits.as_ref().map(|waits| reason(waits, now));
    let notes = waits.into_iter().chain(entry.reason.clone());
    table.row(cells, notes.collect());
}

/// When something happens by itself.
fn next(entry: &Summary, waits: Option<&Waits>, now: Timestamp) -> String {
    match (entry.state, waits) {
        (State::Waiting, Some(Waits::Backoff(backing_off))) => {
            format!("in {}", span(backing_off.until.since(now)))
        }
        (State::Waiting, Some(Waits::Pause(_))) => "paused".to_owned(),
        (State::Waiting, Some(Waits::Limit(_))) => "limited".to_owned(),
        (State::Waiting, None) if entry.due_in_ms > 0 => {
            format!("in {}", span(Duration::from_millis(entry.due_in_ms)))
        }
        (State::Waiting, None) => "due".to_owned(),
        (State::Claimed, _) => "sending".to_owned(),
        (
            State::Held | State::Delivered | State::Failed | State::Dropped | State::Quarantined,
            _,
        ) => "-".to_owned(),
    }
}
