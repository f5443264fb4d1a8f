//! One device: how it is and what to do about it, what it sent last, and what went wrong.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Row;
use crate::admin::DeviceView;
use crate::admin::HistoryRow;
use crate::page::Broken;
use crate::page::Page;
use crate::page::badge::Badge;
use crate::page::devices::texts::DevicesTexts;
use crate::page::layout;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Visitor;
use crate::telemetry::devices::Counts;
use crate::telemetry::devices::LastRefusal;
use crate::telemetry::transcripts::Party;
use crate::telemetry::transcripts::Transcript;

/// Messages and sessions that are shown.
const LAST: u32 = 5;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    user: Option<String>,
}

/// A message, as far as it fits.
struct Message {
    row: HistoryRow,
    badge: Badge,
}

/// A line of a session: whose it is, and its text.
struct Line {
    by: &'static str,
    text: String,
}

/// A session that went wrong.
struct Session {
    kept: Transcript,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "device.html")]
struct One {
    layout: Layout,
    row: Row,
    verdict: &'static str,
    /// Today and since it is known.
    figures: Vec<(String, Counts)>,
    messages: Vec<Message>,
    sessions: Vec<Session>,
}

impl One {
    fn device(&self) -> &DeviceView {
        &self.row.device
    }

    fn refusal(&self) -> Option<&LastRefusal> {
        self.device().last_refusal.as_ref()
    }
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(client): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let all = visitor.texts();
    let texts = &all.devices;
    let user = asked.user.as_deref().filter(|user| !user.is_empty());
    let known = client
        .parse()
        .ok()
        .and_then(|client| page.admin_state.device(client, user));
    let Some(device) = known else {
        let (title, words) = (texts.unknown_title, texts.unknown);
        return Ok(layout::told(&visitor, StatusCode::NOT_FOUND, title, words));
    };
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    let messages = messages(&page, &device).await?;
    let sessions = sessions(&page, device.client, texts);
    let since = (texts.since)(&device.first_seen_at.rfc3339());
    let figures = vec![
        (texts.today.to_owned(), device.today),
        (since, device.messages),
    ];
    let now = page.admin_state.means.clock.now();
    crate::page::shown(&One {
        layout,
        verdict: (texts.verdict)(device.state),
        figures,
        messages,
        sessions,
        row: Row::of(device, now, all),
    })
}

/// Its last messages, accepted and refused.
async fn messages(page: &Page, device: &DeviceView) -> Result<Vec<Message>, Broken> {
    let mut filter = format!("client={}", device.client);
    if let Some(user) = &device.user {
        filter += &format!(" user=\"{}\"", user.replace('"', ""));
    }
    let filter = filter.parse().ok();
    let found = page.admin_state.history("", filter, None, LAST).await?;
    let messages = found.rows.into_iter().map(|row| Message {
        badge: Badge::of(&row),
        row,
    });
    Ok(messages.collect())
}

/// The last sessions of its address that went wrong.
fn sessions(page: &Page, client: IpAddr, texts: &DevicesTexts) -> Vec<Session> {
    let kept = page.admin_state.transcripts_of(client).into_iter();
    let most = usize::try_from(LAST).unwrap_or(usize::MAX);
    let sessions = kept.take(most).map(|kept| Session {
        lines: lines(&kept, texts),
        kept,
    });
    sessions.collect()
}

fn lines(kept: &Transcript, texts: &DevicesTexts) -> Vec<Line> {
    let mut lines: Vec<Line> = kept
        .lines
        .iter()
        .map(|line| Line {
            by: match line.by {
                Party::Client => texts.client,
                Party::Relay => texts.relay,
                Party::Event => texts.event,
            },
            text: line.text.clone(),
        })
        .collect();
    if kept.omitted > 0 {
        let text = (texts.omitted)(kept.omitted);
        let by = texts.event;
        lines.insert(lines.len() / 2, Line { by, text });
    }
    lines
}
