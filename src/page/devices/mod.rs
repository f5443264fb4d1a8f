//! The devices: each client address and, where it authenticates, each user, with what came
//! of its messages and how it behaves; and the users that have not come yet.

mod add;
mod allow;
mod forget;
mod list;
mod one;
pub(super) mod texts;
mod user;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use super::Page;
use super::access::change::Who;
use super::access::change::change;
use super::layout;
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
        .route("/devices", get(list::show))
        .route(
            "/devices/add",
            get(add::form).merge(change(ADMINISTRATOR, AuditAction::AddDevice, add::add)),
        )
        .route("/devices/first", get(add::first))
        .route("/devices/user/{name}", get(user::show))
        .route(
            "/devices/user/{name}/remove",
            get(user::ask_to_remove).merge(change(
                ADMINISTRATOR,
                AuditAction::RemoveDevice,
                user::remove,
            )),
        )
        .route(
            "/devices/user/{name}/password",
            get(user::ask_for_password).merge(change(
                ADMINISTRATOR,
                AuditAction::NewDevicePassword,
                user::password,
            )),
        )
        .route("/devices/{client}", get(one::show))
        .route(
            "/devices/{client}/allow",
            get(allow::show).merge(change(
                ADMINISTRATOR,
                AuditAction::AllowDevice,
                allow::allow,
            )),
        )
        .route(
            "/devices/{client}/forget",
            get(forget::ask).merge(change(
                ADMINISTRATOR,
                AuditAction::ForgetDevice,
                forget::forget,
            )),
        )
}

/// The device at this address with this user, or with none if that is empty.
fn known(page: &Page, client: &str, user: Option<&str>) -> Option<(IpAddr, DeviceView)> {
    let user = user.filter(|user| !user.is_empty());
    let device = page.admin_state.device(client.parse().ok()?, user)?;
    Some((device.client?, device))
}

/// A device, in the audit list.
fn name(device: &DeviceView) -> String {
    let user = device.user.iter().map(|user| format!(" ({user})"));
    let client = device.client.map(|client| client.to_string());
    client.into_iter().chain(user).collect()
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
        let seen = device.last_seen_at.map(|at| now.since(at));
        Self {
            path: path(&device),
            class: class(device.state),
            state: (texts.state)(device.state),
            seen: match seen {
                None => texts.never.to_owned(),
                Some(seen) if seen.as_secs() == 0 => texts.now.to_owned(),
                Some(seen) => (texts.ago)(&all.time.span(seen)),
            },
            today: today
                .map(|(count, class, words)| (class, words(count)))
                .collect(),
            silent: device.silent_days.map(texts.silent),
            device,
        }
    }

    /// What it is called: its address, or its user while it has none.
    fn title(&self) -> String {
        let client = self.device.client.map(|client| client.to_string());
        let user = || self.device.user.clone().unwrap_or_default();
        client.unwrap_or_else(user)
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
        DeviceState::Added | DeviceState::Removed => "",
    }
}

/// The address of its page.
fn path(device: &DeviceView) -> String {
    path_to(device, "")
}

/// The address of a page below it.
fn path_to(device: &DeviceView, below: &str) -> String {
    match (device.client, &device.user) {
        (Some(client), Some(user)) => {
            let client = encoded(&client.to_string());
            format!("/devices/{client}{below}?user={}", encoded(user))
        }
        (Some(client), None) => format!("/devices/{}{below}", encoded(&client.to_string())),
        (None, user) => path_of_user(user.as_deref().unwrap_or_default(), below),
    }
}

/// The address of the page of a user, or of one below it.
fn path_of_user(name: &str, below: &str) -> String {
    format!("/devices/user/{}{below}", encoded(name))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// There is no such device.
fn unknown(visitor: &Visitor) -> Response {
    let texts = &visitor.texts().devices;
    let (title, words) = (texts.unknown_title, texts.unknown);
    layout::told(visitor, StatusCode::NOT_FOUND, title, words)
}
