//! One device: how it is and what to do about it, what it sent last, and what went wrong.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::Row;
use super::path_to;
use crate::admin::DeviceState;
use crate::admin::DeviceView;
use crate::admin::HistoryRow;
use crate::config::edit::Change;
use crate::config::edit::Line;
use crate::config::edit::Side;
use crate::page::Broken;
use crate::page::Page;
use crate::page::badge::Badge;
use crate::page::devices::texts::DevicesTexts;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Role;
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
    /// It was just allowed what it was refused.
    allowed: Option<String>,
    /// The name of a change that allows it, and that the relay may not write.
    change: Option<String>,
}

/// A message, as far as it fits.
struct Message {
    row: HistoryRow,
    badge: Badge,
}

/// A line of a session: whose it is, and its text.
struct Said {
    by: &'static str,
    text: String,
}

/// A session that went wrong.
struct Session {
    kept: Transcript,
    lines: Vec<Said>,
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
    client: IpAddr,
    /// The page of its user.
    user: Option<String>,
    /// Where it can be allowed what it was refused.
    allow: Option<String>,
    is_allowed: bool,
    prepared: Option<Waiting>,
    /// Where it can be forgotten.
    forget: Option<String>,
}

/// A change that somebody else has to write.
pub(super) struct Waiting {
    pub(super) id: String,
    /// The lines that differ.
    pub(super) lines: Vec<Line>,
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
    let Some((client, device)) = super::known(&page, &client, asked.user.as_deref()) else {
        return Ok(super::unknown(&visitor));
    };
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    let messages = messages(&page, client, &device).await?;
    let sessions = sessions(&page, client, texts);
    let since = device.first_seen_at.map(crate::page::moment);
    let figures = vec![
        (texts.today.to_owned(), device.today),
        ((texts.since)(&since.unwrap_or_default()), device.messages),
    ];
    let now = page.admin_state.means.clock.now();
    let may_change = visitor.require(Role::Administrator).is_ok();
    let prepared = asked.change.filter(|_| may_change);
    crate::page::shown(&One {
        layout,
        allow: (may_change && may_be_allowed(&page, &device).await)
            .then(|| path_to(&device, "/allow")),
        is_allowed: asked.allowed.is_some(),
        prepared: prepared.and_then(|id| waiting(&page, &id)),
        verdict: (texts.verdict)(device.state),
        forget: may_change.then(|| path_to(&device, "/forget")),
        user: user_of(&page, &device),
        client,
        figures,
        messages,
        sessions,
        row: Row::of(device, now, all),
    })
}

/// The page of its user, if there is such a user.
fn user_of(page: &Page, device: &DeviceView) -> Option<String> {
    let user = page.admin_state.user(device.user.as_deref()?)?;
    Some(super::path_of_user(&user.name, ""))
}

/// Whether a change of relay.toml allows it what it was refused last.
async fn may_be_allowed(page: &Page, device: &DeviceView) -> bool {
    let is_refused = device.state == DeviceState::Refused;
    is_refused && matches!(page.admin_state.permission(device).await, Ok(Some(_)))
}

/// A change that waits for somebody who may write the file.
pub(super) fn waiting(page: &Page, id: &str) -> Option<Waiting> {
    let configuration = &page.admin_state.configuration;
    let prepared = configuration.prepared(id)?;
    let (before, after) = (prepared.before, prepared.after);
    let environment = configuration.environment();
    let change = Change::checked(&prepared.file, before, after, environment).ok()?;
    let (id, lines) = (prepared.id, change.lines());
    Some(Waiting { id, lines })
}

/// Its last messages, accepted and refused.
async fn messages(
    page: &Page,
    client: IpAddr,
    device: &DeviceView,
) -> Result<Vec<Message>, Broken> {
    let mut filter = format!("client={client}");
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

fn lines(kept: &Transcript, texts: &DevicesTexts) -> Vec<Said> {
    let mut lines: Vec<Said> = kept
        .lines
        .iter()
        .map(|line| Said {
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
        lines.insert(lines.len() / 2, Said { by, text });
    }
    lines
}
