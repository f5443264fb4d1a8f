//! The devices: each client address and, where it authenticates, each user, with what came
//! of its messages and how it behaves.

mod one;
pub(super) mod texts;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use super::Broken;
use super::Page;
use super::layout::Layout;
use super::layout::Tab;
use super::texts::Texts;
use super::visitor::Visitor;
use crate::admin::DeviceState;
use crate::admin::DeviceView;
use crate::clock::Timestamp;

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route("/devices", get(list))
        .route("/devices/{client}", get(one::show))
}

/// A device as it is shown.
struct Row {
    device: DeviceView,
    /// The address of its page.
    path: String,
    class: &'static str,
    state: &'static str,
    /// How long ago it was seen.
    seen: String,
    /// What came of its messages today, each with the class of its badge.
    today: Vec<(&'static str, String)>,
    silent: Option<String>,
}

impl Row {
    fn of(device: DeviceView, now: Timestamp, all: &Texts) -> Self {
        let texts = &all.devices;
        let counts = device.today;
        let today = [
            (counts.accepted, "", texts.accepted),
            (counts.delivered, "", texts.delivered),
            (counts.failed, "bad", texts.failed),
            (counts.refused, "bad", texts.refused),
        ];
        let today = today.into_iter().filter(|(count, ..)| *count > 0);
        let seen = now.since(device.last_seen_at);
        Self {
            path: path(&device),
            class: class(device.state),
            state: (texts.state)(device.state),
            seen: match seen.as_secs() {
                0 => texts.now.to_owned(),
                _ => (texts.ago)(&all.time.span(seen)),
            },
            today: today
                .map(|(count, class, words)| (class, words(count)))
                .collect(),
            silent: device.silent_days.map(texts.silent),
            device,
        }
    }

    /// Why it was refused, if that is how it is.
    fn refusal(&self) -> Option<&str> {
        let refusal = self.device.last_refusal.as_ref();
        let refusal = refusal.filter(|_| self.device.state == DeviceState::Refused)?;
        Some(match refusal.reply.as_str() {
            "" => &refusal.cause,
            reply => reply,
        })
    }
}

/// Its badge in the style sheet.
fn class(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Sending => "ok",
        DeviceState::Silent => "warn",
        DeviceState::Refused => "bad",
    }
}

/// The address of its page.
fn path(device: &DeviceView) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let client = encoded(&device.client.to_string());
    match &device.user {
        Some(user) => format!("/devices/{client}?user={}", encoded(user)),
        None => format!("/devices/{client}"),
    }
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    layout: Layout,
    rows: Vec<Row>,
}

async fn list(State(page): State<Arc<Page>>, visitor: Visitor) -> Result<Response, Broken> {
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    let now = page.admin_state.means.clock.now();
    let devices = page.admin_state.devices().into_iter();
    let rows = devices.map(|device| Row::of(device, now, visitor.texts()));
    super::shown(&Devices {
        layout,
        rows: rows.collect(),
    })
}
