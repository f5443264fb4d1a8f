//! The devices: each client address and, where it authenticates, each user, with what came
//! of its messages and how it behaves.

mod add;
mod allow;
mod one;
pub(super) mod texts;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use super::Broken;
use super::Page;
use super::access::change::Who;
use super::access::change::change;
use super::layout;
use super::layout::Layout;
use super::layout::Tab;
use super::texts::Texts;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::AuditAction;
use crate::admin::DeviceState;
use crate::admin::DeviceView;
use crate::clock::Timestamp;

/// Who may change something here.
const ADMINISTRATOR: Who = Who::Role(Role::Administrator);

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route("/devices", get(list))
        .route(
            "/devices/add",
            get(add::form).merge(change(ADMINISTRATOR, AuditAction::AddDevice, add::add)),
        )
        .route("/devices/first", get(add::first))
        .route("/devices/{client}", get(one::show))
        .route(
            "/devices/{client}/allow",
            get(allow::show).merge(change(
                ADMINISTRATOR,
                AuditAction::AllowDevice,
                allow::allow,
            )),
        )
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

    /// Why it was refused, if that is how it is: more than the client was told, if there is
    /// more to say.
    fn refusal(&self) -> Option<&str> {
        let refusal = self.device.last_refusal.as_ref();
        let refusal = refusal.filter(|_| self.device.state == DeviceState::Refused)?;
        Some(match refusal.cause.as_str() {
            "" => &refusal.reply,
            cause => cause,
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
    path_to(device, "")
}

/// The address of a page below it.
fn path_to(device: &DeviceView, below: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let client = encoded(&device.client.to_string());
    match &device.user {
        Some(user) => format!("/devices/{client}{below}?user={}", encoded(user)),
        None => format!("/devices/{client}{below}"),
    }
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    layout: Layout,
    rows: Vec<Row>,
    /// Whether the visitor may add one.
    may_add: bool,
}

/// There is no such device.
fn unknown(visitor: &Visitor) -> Response {
    let texts = &visitor.texts().devices;
    let (title, words) = (texts.unknown_title, texts.unknown);
    layout::told(visitor, StatusCode::NOT_FOUND, title, words)
}

async fn list(State(page): State<Arc<Page>>, visitor: Visitor) -> Result<Response, Broken> {
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    let now = page.admin_state.means.clock.now();
    let devices = page.admin_state.devices().into_iter();
    let rows = devices.map(|device| Row::of(device, now, visitor.texts()));
    super::shown(&Devices {
        layout,
        rows: rows.collect(),
        may_add: visitor.require(Role::Administrator).is_ok(),
    })
}
