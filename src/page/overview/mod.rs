//! The overview: how much mail came and went, what waits, and how far each mailbox is
//! from its limits.

mod chart;
pub(super) mod counts;
mod mailboxes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use self::counts::Span;
use self::counts::Tally;
use self::mailboxes::MailboxRow;
use super::Broken;
use super::Page;
use super::layout::Layout;
use super::layout::Tab;
use super::texts::Texts;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::Status;
use crate::spool::State as Queued;

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new().route("/", get(overview))
}

/// A number with its chart.
struct Figure {
    id: &'static str,
    title: &'static str,
    sum: u64,
    /// SVG; the numbers in it are escaped.
    chart: String,
    help: Option<&'static str>,
    link: Option<(&'static str, &'static str)>,
}

/// A span of time to choose.
struct Choice {
    title: &'static str,
    path: &'static str,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    layout: Layout,
    figures: Vec<Figure>,
    spans: Vec<Choice>,
    note: Option<String>,
    waiting: u64,
    held: u64,
    oldest: Option<String>,
    mailboxes: Vec<MailboxRow>,
    listeners: Vec<String>,
    version: String,
    /// A command that sends a first message, if there was none yet.
    first: Option<String>,
    /// Whether the visitor may send a test message.
    may_send: bool,
}

#[derive(Debug, Deserialize)]
struct Asked {
    span: Option<String>,
}

async fn overview(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let layout = page.layout(&visitor, Some(Tab::Overview)).await?;
    let status = page.status().await?;
    let texts = visitor.texts();
    let span = match asked.span.as_deref() {
        Some("hour") => Span::Hour,
        Some("week") => Span::Week,
        _ => Span::Day,
    };
    let oldest = status.queue.oldest_waiting_ms.map(Duration::from_millis);
    let listeners = status.listeners.iter();
    super::shown(&Overview {
        layout,
        figures: figures(&page.counts.bars(span), texts),
        spans: spans(span, texts),
        note: note(span, page.counts.counted_for(), texts),
        waiting: status.queue.count(Queued::Waiting) + status.queue.count(Queued::Claimed),
        held: status.queue.count(Queued::Held),
        oldest: oldest.map(|oldest| (texts.overview.oldest)(&texts.time.span(oldest))),
        mailboxes: mailboxes::rows(&status, texts),
        listeners: listeners.map(ToString::to_string).collect(),
        version: (texts.overview.version)(&status.version),
        first: first(&page, &status).await?,
        may_send: visitor.require(Role::Operator).is_ok(),
    })
}

fn figures(bars: &[Tally], texts: &Texts) -> Vec<Figure> {
    let texts = &texts.overview;
    let figure = |id, title, class, of: fn(&Tally) -> u64| {
        let numbers: Vec<u64> = bars.iter().map(of).collect();
        let sum = numbers.iter().sum();
        let most = numbers.iter().copied().max().unwrap_or(0);
        let label = format!("{title}: {sum}, {}", (texts.most_in_a_bar)(most));
        Figure {
            id,
            title,
            sum,
            chart: chart::bars(&numbers, class, &label),
            help: None,
            link: None,
        }
    };
    vec![
        figure("accepted", texts.accepted, "", |it| it.accepted),
        figure("delivered", texts.delivered, "", |it| it.delivered),
        Figure {
            help: Some(texts.deferred_help),
            ..figure("deferred", texts.deferred, "warn", |it| it.deferred)
        },
        Figure {
            link: Some(("/messages?state=failed", texts.show_failed)),
            ..figure("failed", texts.failed, "bad", |it| it.failed)
        },
        Figure {
            link: Some(("/messages?state=refused", texts.show_refused)),
            ..figure("refused", texts.refused, "bad", |it| it.refused)
        },
    ]
}

fn spans(current: Span, texts: &Texts) -> Vec<Choice> {
    let choice = |span, title, path| Choice {
        title,
        path,
        is_current: span == current,
    };
    let texts = &texts.overview;
    vec![
        choice(Span::Hour, texts.hour, "/?span=hour"),
        choice(Span::Day, texts.day, "/?span=day"),
        choice(Span::Week, texts.week, "/?span=week"),
    ]
}

/// Says so where the relay has not counted for the whole span.
fn note(span: Span, counted_for: Option<Duration>, texts: &Texts) -> Option<String> {
    let counted_for = counted_for?;
    let length = Duration::from_secs(match span {
        Span::Hour => 60 * 60,
        Span::Day => 24 * 60 * 60,
        Span::Week => 7 * 24 * 60 * 60,
    });
    (counted_for < length).then(|| (texts.overview.since_start)(&texts.time.span(counted_for)))
}

/// How to send the first message, where there was none.
async fn first(page: &Page, status: &Status) -> Result<Option<String>, Broken> {
    let history = page.admin_state.history("", None, None, 1).await?;
    if !history.rows.is_empty() {
        return Ok(None);
    }
    let Some(listener) = status.listeners.first() else {
        return Ok(None);
    };
    let account = status.accounts.first();
    let from = account.map(|account| account.mailbox.as_str());
    let from = from.filter(|mailbox| mailbox.contains('@'));
    Ok(Some(command(listener, from.unwrap_or("YOU@YOUR-DOMAIN"))))
}

fn command(listener: &SocketAddr, from: &str) -> String {
    let port = listener.port();
    let server = match listener.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    format!("swaks --server {server} --port {port} --from {from} --to {from}")
}
